//! One of the lines: what it has said, whether that is what is looked for, and how it ended.

use std::sync::Arc;
use std::time::Instant;

use phalanx_process::expect::Session;
use phalanx_process::id::ProcessId;
use phalanx_process::lines::{FedLines, Lines};
use phalanx_process::outcome::Finished;
use phalanx_process::result::{Evidence, ResultKind, Route};

use super::Plan;
use super::pace::Pace;

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
    /// Its input, if that is paced.
    pub(super) pace: Option<Pace>,
    ended: Option<Arc<Finished>>,
}

impl Member {
    pub(super) fn new(id: ProcessId, host: Option<String>, plan: &Plan, now: Instant) -> Self {
        let until = plan.until.as_ref().map(|expect| {
            let mut session = Session::default();
            session.expect(now, expect, None);
            session
        });
        let pace = plan.pacing.clone().map(Pace::new);
        let lines = Lines::default();
        let mut member = Self { id, host, busy: false, lines, until, found: false, pace, ended: None };
        member.search(|_| {});
        member
    }

    /// Takes what it said, and shows it: as it is, or line by line behind its host.
    pub(super) fn said(&mut self, bytes: &[u8], labelled: bool, out: &mut Vec<u8>, now: Instant) {
        self.search(|session| session.feed(now, bytes));
        if let Some(pace) = &mut self.pace {
            pace.feed(now, bytes);
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

    /// Returns whether it has said what is looked for.
    pub(super) fn has_found(&self) -> bool {
        self.found
    }

    /// Returns when [`Member::handle_timeout`] is to be called next, if at all.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let pace = self.pace.as_ref().filter(|_| !self.has_ended());
        let until = self.until.as_ref().and_then(Session::poll_timeout);
        pace.and_then(Pace::poll_timeout).into_iter().chain(until).min()
    }

    /// Takes note of the time.
    pub(super) fn handle_timeout(&mut self, now: Instant) {
        self.search(|session| session.handle_timeout(now));
        if let Some(pace) = &mut self.pace {
            pace.handle_timeout(now);
        }
    }

    /// Returns how many lines of its input have not been sent; none if the input is not paced.
    pub(super) fn unsent(&self) -> usize {
        self.pace.as_ref().filter(|_| !self.has_ended()).map_or(0, Pace::unsent)
    }

    fn search(&mut self, step: impl FnOnce(&mut Session)) {
        if let Some(session) = &mut self.until {
            step(session);
            self.found |= session.poll_result().is_some_and(|result| result.ok());
        }
    }

    /// Says that not all of its input was sent, if so.
    pub(super) fn unsent_fault(&self) -> Option<String> {
        let pace = self.pace.as_ref().filter(|pace| pace.unsent() > 0 && !self.has_ended())?;
        let host = self.host.as_ref().map(|host| format!("{host}: ")).unwrap_or_default();
        Some(format!("{host}not all of stdin was sent: {}", pace.reason()))
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
