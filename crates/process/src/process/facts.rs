//! What is known of a process, and how it is shown.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Instant, SystemTime};

use phalanx_core::ExitStatus;

use super::Process;
use crate::engine::assert_may_block;
use crate::event::{NO_PROCESS, Stream};
use crate::outcome::{Finished, Outcome, StartError};
use crate::run::Running;
use crate::spec::Command;
use crate::stats::Stats;

/// How much of each stream [`Process::dump`] shows unless told otherwise, in characters.
pub const COMPACT_OUTPUT_THRESHOLD: usize = 4096;

static THRESHOLD: AtomicUsize = AtomicUsize::new(COMPACT_OUTPUT_THRESHOLD);

/// Sets how much of each stream [`Process::dump`] shows from now on, in characters; 0 for all. For the author of a
/// script; a library calls [`Process::dump_within`].
pub fn set_compact_output_threshold(threshold: usize) {
    THRESHOLD.store(threshold, Ordering::Relaxed);
}

impl Process {
    /// All about its end, once it has ended.
    #[must_use]
    pub fn finished(&self) -> Option<Arc<Finished>> {
        self.run_state()?.state.finished()
    }

    /// How it ended, once it has.
    #[must_use]
    pub fn outcome(&self) -> Option<Outcome> {
        self.finished().map(|finished| finished.outcome.clone())
    }

    fn is(&self, fact: impl FnOnce(&Outcome) -> bool) -> bool {
        self.finished().is_some_and(|finished| fact(&finished.outcome))
    }

    /// Whether nothing is wrong with it, so far as is known: a process that has not ended is ok.
    #[must_use]
    pub fn ok(&self) -> bool {
        self.finished().is_none_or(|finished| finished.ok)
    }

    /// Whether it has ended and is ok.
    #[must_use]
    pub fn finished_ok(&self) -> bool {
        self.finished().is_some_and(|finished| finished.ok)
    }

    /// Whether it was started, successfully or not.
    #[must_use]
    pub fn started(&self) -> bool {
        self.run_state().is_some_and(|run| run.state.running().is_some() || run.state.finished().is_some())
    }

    /// Whether it has ended.
    #[must_use]
    pub fn ended(&self) -> bool {
        self.finished().is_some()
    }

    /// Whether it runs.
    #[must_use]
    pub fn running(&self) -> bool {
        self.run_state().is_some_and(|run| run.state.running().is_some() && run.state.finished().is_none())
    }

    /// Its exit code, if it has exited. A signal is no exit code; see [`Process::status`].
    #[must_use]
    pub fn exit_code(&self) -> Option<i32> {
        self.finished()?.outcome.exit_code()
    }

    /// How it ended: exit code or signal; `None` before, and when it never ran.
    #[must_use]
    pub fn status(&self) -> Option<ExitStatus> {
        self.finished()?.outcome.status
    }

    /// Why it could not be started.
    #[must_use]
    pub fn error(&self) -> Option<StartError> {
        self.finished()?.outcome.error.clone()
    }

    /// Whether it ran longer than it was allowed to, as is known once it has ended.
    #[must_use]
    pub fn timed_out(&self) -> bool {
        self.is(|outcome| outcome.timed_out)
    }

    /// Whether it was killed through us, as is known once it has ended.
    #[must_use]
    pub fn killed(&self) -> bool {
        self.is(|outcome| outcome.killed)
    }

    /// Whether it had to be sent SIGKILL since it did not end within its grace, as is known once it has ended.
    #[must_use]
    pub fn forced_kill(&self) -> bool {
        self.is(|outcome| outcome.forced_kill)
    }

    /// Whether it did not say what was expected of it, as is known once it has ended.
    #[must_use]
    pub fn expect_failed(&self) -> bool {
        self.is(|outcome| outcome.expect_failed)
    }

    /// Whether it did not read what was written to it, as is known once it has ended.
    #[must_use]
    pub fn write_error(&self) -> bool {
        self.is(|outcome| outcome.write_error)
    }

    /// Its process id, once it runs; none for a serial line. Waits for the start if that is under way.
    ///
    /// # Panics
    /// Inside a handler.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        let run = self.run_state().or_else(|| self.announced_run())?;
        assert_may_block("wait for the start of a process");
        self.inner.engine.block_until("wait for the start of a process", run.state.start(), None);
        run.state.running().map(|running| running.pid).filter(|pid| *pid != NO_PROCESS)
    }

    /// When it was started, if it runs or has run.
    #[must_use]
    pub fn started_at(&self) -> Option<Instant> {
        self.run_state()?.state.running().map(|running| running.started_at)
    }

    /// When it was started, by the wall clock of that moment.
    #[must_use]
    pub fn start_date(&self) -> Option<SystemTime> {
        self.run_state()?.state.running().map(|running| running.started_on)
    }

    /// When it was over, by the wall clock of that moment.
    #[must_use]
    pub fn end_date(&self) -> Option<SystemTime> {
        self.run_state()?.state.ended_on()
    }

    /// When it runs, or ran, out of time.
    #[must_use]
    pub fn timeout_at(&self) -> Option<Instant> {
        let timeout = self.state().spec.policy.timeout?;
        self.started_at()?.checked_add(timeout)
    }

    /// What has been kept of its stdout, while it runs or afterwards.
    ///
    /// # Panics
    /// Inside a handler, while it runs.
    #[must_use]
    pub fn stdout(&self) -> Vec<u8> {
        self.captured(Stream::Stdout)
    }

    /// What has been kept of its stderr, while it runs or afterwards.
    ///
    /// # Panics
    /// Inside a handler, while it runs.
    #[must_use]
    pub fn stderr(&self) -> Vec<u8> {
        self.captured(Stream::Stderr)
    }

    fn captured(&self, stream: Stream) -> Vec<u8> {
        let Some(run) = self.run_state() else { return Vec::new() };
        let ended = |finished: Arc<Finished>| finished.captured(stream).bytes().to_vec();
        if let Some(finished) = run.state.finished() {
            return ended(finished);
        }
        match self.inner.engine.captured(run.id, stream) {
            Some(captured) => captured.into_bytes(),
            // It ended between the two looks.
            None => {
                self.inner.engine.block_until("look at the output of a process", run.state.end(), None);
                run.state.finished().map(ended).unwrap_or_default()
            }
        }
    }

    /// What it runs.
    #[must_use]
    pub fn command(&self) -> Command {
        self.state().spec.launch.command.clone()
    }

    /// On which host it runs, where that is not this one.
    #[must_use]
    pub fn host(&self) -> Option<Arc<str>> {
        self.state().host.clone()
    }

    /// Its name: the given one, or its command on one line of at most 39 characters.
    #[must_use]
    pub fn name(&self) -> String {
        self.state().spec.launch.name()
    }

    /// What a report counts.
    #[must_use]
    pub fn stats(&self) -> Stats {
        match self.finished() {
            Some(finished) => Stats::of_finished(&self.name(), &finished, self.start_date(), self.end_date()),
            None => Stats::of_unfinished(&self.name(), self.start_date()),
        }
    }

    /// Everything worth reading about it: one line on how it is, and the beginning and end of both streams, at most
    /// [`COMPACT_OUTPUT_THRESHOLD`] characters each, unless [`set_compact_output_threshold`] chose another number.
    ///
    /// # Panics
    /// Inside a handler, while it runs.
    #[must_use]
    pub fn dump(&self) -> String {
        self.dump_within(THRESHOLD.load(Ordering::Relaxed))
    }

    /// As [`Process::dump`], with another threshold; 0 for none.
    ///
    /// # Panics
    /// Inside a handler, while it runs.
    #[must_use]
    pub fn dump_within(&self, threshold: usize) -> String {
        let [stdout, stderr] = [self.stdout(), self.stderr()].map(|bytes| compact(&bytes, threshold));
        format!("{self:?}\nstdout:\n{stdout}\nstderr:\n{stderr}")
    }
}

/// The first and the last half of a text that is longer than so many characters. Whole characters, never half of one.
fn compact(bytes: &[u8], threshold: usize) -> String {
    let text = String::from_utf8_lossy(bytes);
    let count = text.chars().count();
    if threshold == 0 || count <= threshold {
        return text.into_owned();
    }
    let (first, last) = (threshold / 2, threshold - threshold / 2);
    let head = text.chars().take(first);
    head.chain("\n[...]\n".chars()).chain(text.chars().skip(count - last)).collect()
}

impl fmt::Debug for Process {
    /// One line: name, host, and how it is.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Process({:?}", self.name())?;
        if let Some(host) = self.host() {
            write!(f, " on {host}")?;
        }
        match (self.run_state(), self.finished()) {
            (_, Some(finished)) => {
                let verdict = if finished.ok { "ok" } else { "not ok" };
                write!(f, ", {}", finished.outcome)?;
                let faults = [
                    (finished.outcome.killed && !finished.outcome.timed_out, "killed by us"),
                    (finished.outcome.expect_failed, "what was expected did not come"),
                    (finished.outcome.write_error, "what was written was not read"),
                    (finished.outcome.leaked, "its streams are still held by others"),
                ];
                faults.iter().filter(|(is, _)| *is).try_for_each(|(_, fault)| write!(f, ", {fault}"))?;
                if let Some(reason) = &finished.outcome.failed {
                    write!(f, ", {reason}")?;
                }
                if let Some(reason) = &finished.outcome.handler_failed {
                    write!(f, ", a handler failed: {reason}")?;
                }
                write!(f, ", {verdict})")
            }
            (Some(run), None) => match run.state.running() {
                Some(Running { pid: NO_PROCESS, .. }) => write!(f, ", running)"),
                Some(running) => write!(f, ", running as pid {})", running.pid),
                None => write!(f, ", starting)"),
            },
            (None, None) => write!(f, ", not started)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A20 of the reference.
    #[test]
    fn a_long_text_is_shown_by_its_two_ends() {
        let text = "é".repeat(20_000);
        let half = "é".repeat(2048);
        assert_eq!(compact(text.as_bytes(), COMPACT_OUTPUT_THRESHOLD), format!("{half}\n[...]\n{half}"));
        assert_eq!(compact(text.as_bytes(), 0), text);
        assert_eq!(compact(b"abcde", 3), "a\n[...]\nde");
        assert_eq!(compact(b"abc", 3), "abc");
    }
}
