//! One of the lines: what it has said, whether that is what is looked for, and how it ended.

use std::sync::Arc;
use std::time::Instant;

use phalanx_process::expect::{Expect, Session};
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
    /// The search for what it is to say.
    until: Option<Session>,
    found: bool,
    ended: Option<Arc<Finished>>,
}

impl Member {
    pub(super) fn new(id: ProcessId, host: Option<String>, until: Option<&Expect>, now: Instant) -> Self {
        let until = until.map(|expect| {
            let mut session = Session::default();
            session.expect(now, expect, None);
            session
        });
        let mut member = Self { id, host, busy: false, lines: Lines::default(), until, found: false, ended: None };
        member.search(|_| {});
        member
    }

    /// Takes what it said, and shows it: as it is, or line by line behind its host.
    pub(super) fn said(&mut self, bytes: &[u8], labelled: bool, out: &mut Vec<u8>, now: Instant) {
        self.search(|session| session.feed(now, bytes));
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

    /// Returns whether it has said what is looked for.
    pub(super) fn has_found(&self) -> bool {
        self.found
    }

    /// Returns when [`Member::handle_timeout`] is to be called next, if at all.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.until.as_ref().and_then(Session::poll_timeout)
    }

    /// Takes note of the time.
    pub(super) fn handle_timeout(&mut self, now: Instant) {
        self.search(|session| session.handle_timeout(now));
    }

    fn search(&mut self, step: impl FnOnce(&mut Session)) {
        if let Some(session) = &mut self.until {
            step(session);
            self.found |= session.poll_result().is_some_and(|result| result.ok());
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

fn label(host: &str, lines: FedLines<'_>, out: &mut Vec<u8>) {
    for line in lines {
        out.extend_from_slice(host.as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(line.bytes);
        out.push(b'\n');
    }
}
