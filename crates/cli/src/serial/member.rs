//! One of the lines: what it has said, whether that is what is looked for, and how it ended.

use std::sync::Arc;
use std::time::Instant;

use phalanx_process::expect::{Expect, IDLE_TIMEOUT, Matcher};
use phalanx_process::id::ProcessId;
use phalanx_process::lines::{FedLines, Lines};
use phalanx_process::outcome::Finished;
use phalanx_process::result::{Evidence, ResultKind, Route};

/// A line that was opened, or is about to be.
pub(super) struct Member {
    pub(super) id: ProcessId,
    /// Where it is, if not here.
    pub(super) host: Option<String>,
    /// Something was written to it that it has not taken yet.
    pub(super) busy: bool,
    lines: Lines,
    search: Option<Search>,
    ended: Option<Arc<Finished>>,
}

/// The search for what it is to say.
struct Search {
    matcher: Matcher,
    found: bool,
    /// When silence decides what further bytes might change.
    quiet_at: Option<Instant>,
}

impl Member {
    pub(super) fn new(id: ProcessId, host: Option<String>, until: Option<&Expect>) -> Self {
        let search = until.map(|expect| {
            let mut matcher = Matcher::default();
            let found = matcher.expect(expect).is_some_and(|verdict| verdict.is_ok());
            Search { matcher, found, quiet_at: None }
        });
        Self { id, host, busy: false, lines: Lines::default(), search, ended: None }
    }

    /// Takes what it said, and shows it: as it is, or line by line behind its host.
    pub(super) fn said(&mut self, bytes: &[u8], labelled: bool, out: &mut Vec<u8>, now: Instant) {
        if let Some(search) = &mut self.search {
            search.feed(bytes, now);
        }
        match (&self.host, labelled) {
            (Some(host), true) => label(host, self.lines.feed(bytes), out),
            _ => out.extend_from_slice(bytes),
        }
    }

    pub(super) fn end(&mut self, finished: Arc<Finished>, out: &mut Vec<u8>) {
        self.ended = Some(finished);
        self.busy = false;
        // Empty unless its lines are shown one by one.
        label(self.host.as_deref().unwrap_or_default(), self.lines.end_of_file(), out);
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended.is_some()
    }

    /// Whether it has said what is looked for.
    pub(super) fn has_found(&self) -> bool {
        self.search.as_ref().is_some_and(|search| search.found)
    }

    /// When its silence matters.
    pub(super) fn quiet_at(&self) -> Option<Instant> {
        self.search.as_ref()?.quiet_at
    }

    /// Takes note that time has passed.
    pub(super) fn look_at_the_time(&mut self, now: Instant) {
        if let Some(search) = &mut self.search
            && search.quiet_at.take_if(|at| *at <= now).is_some()
        {
            search.found |= search.matcher.handle_idle().is_some_and(|verdict| verdict.is_ok());
        }
    }

    /// What went wrong, if it has ended without having said what was looked for.
    pub(super) fn fault(&self) -> Option<String> {
        let finished = self.ended.as_ref().filter(|_| !self.has_found())?;
        let said = finished.stderr.text().trim_end().to_owned();
        let Some(host) = &self.host else {
            return Some(if said.is_empty() { finished.outcome.to_string() } else { said });
        };
        let result = Evidence::new(finished, Route::Ssh).judge();
        let reason = if result.kind() == ResultKind::Exit && !said.is_empty() { said } else { result.sentence() };
        Some(format!("{host}: {reason}"))
    }
}

impl Search {
    fn feed(&mut self, bytes: &[u8], now: Instant) {
        if self.found {
            return;
        }
        self.found = self.matcher.feed(bytes).is_some_and(|verdict| verdict.is_ok());
        self.quiet_at = (!self.found && self.matcher.is_pending()).then(|| now + IDLE_TIMEOUT);
    }
}

fn label(host: &str, lines: FedLines<'_>, out: &mut Vec<u8>) {
    for line in lines {
        out.extend_from_slice(host.as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(line.bytes);
        out.push(b'\n');
    }
}
