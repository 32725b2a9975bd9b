//! Says how a process ended, and whether that is "ok", in one numbered list.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::signal::ExitStatus;

use crate::event::Stream;
use crate::output::{Capture, Captured};
use crate::policy::{Faults, Policy};

/// Why a process could not be started.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot start `{program}`: {reason}")]
pub struct StartError {
    /// What was to be started.
    pub program: String,
    /// What went wrong.
    pub reason: String,
    /// The number of the system's error, where there was one.
    pub errno: Option<i32>,
}

/// How a process ended: facts, not a judgement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Its process id, if it was started.
    pub pid: Option<u32>,
    /// When it was started.
    pub started_at: Option<Instant>,
    /// When it was over: it had ended and its streams were closed or given up.
    pub ended_at: Instant,
    /// Exit code or signal; `None` when it never ran.
    pub status: Option<ExitStatus>,
    /// Why it could not be started.
    pub error: Option<StartError>,
    /// It ran longer than it was allowed to, and was killed for it.
    pub timed_out: bool,
    /// It was sent a signal, or called off before it was started.
    pub killed: bool,
    /// It did not end within its grace, and was sent SIGKILL by us.
    pub forced_kill: bool,
    /// It did not say what was expected of it.
    pub expect_failed: bool,
    /// Something written to it was not read.
    pub write_error: bool,
    /// It ended, but somebody it started kept its streams open; what they said later is lost.
    pub leaked: bool,
    /// Why what it was started for was not done, as judged by what started it; whatever its exit status.
    pub failed: Option<Arc<str>>,
    /// Why a handler of it failed, if one did: it panicked, or could not do its work.
    pub handler_failed: Option<Arc<str>>,
    /// Why its status is [lost](ExitStatus::Lost), where that is known: what ended the engine that ran it, or what
    /// its driver knows.
    pub lost_because: Option<Arc<str>>,
}

impl Outcome {
    /// Returns the outcome of a process about whose end nothing else is to be said.
    #[must_use]
    pub fn new(status: Option<ExitStatus>, started_at: Option<Instant>, ended_at: Instant) -> Self {
        Self {
            pid: None,
            started_at,
            ended_at,
            status,
            error: None,
            timed_out: false,
            killed: false,
            forced_kill: false,
            expect_failed: false,
            write_error: false,
            leaked: false,
            failed: None,
            handler_failed: None,
            lost_because: None,
        }
    }

    /// Whether the process did what it was asked to. The first line that applies decides:
    ///
    /// 1. a handler of it failed, or what started it says that it failed: no
    /// 2. something expected of it did not come, and that is not ignored: no
    /// 3. something written to it was not read, and that is not ignored: no
    /// 4. it could not be started: only if that is ignored
    /// 5. it ran out of time, and that is not ignored: no
    /// 6. it was killed: yes, whatever its exit status, since it was we who ended it
    /// 7. its exit code is zero, or exit codes are ignored: yes
    /// 8. otherwise: no
    #[must_use]
    pub fn ok(&self, ignore: &Faults) -> bool {
        if self.handler_failed.is_some()
            || self.failed.is_some()
            || (self.expect_failed && !ignore.expect_failed)
            || (self.write_error && !ignore.write_error)
        {
            return false;
        }
        if self.error.is_some() {
            return ignore.error;
        }
        if self.timed_out && !ignore.timeout {
            return false;
        }
        self.killed || ignore.exit_code || self.exit_code() == Some(0)
    }

    /// Whether its end deserves a warning, given the faults that do not.
    #[must_use]
    pub fn is_worth_a_warning(&self, nolog: &Faults) -> bool {
        let bad_exit = self.error.is_none() && !self.killed && self.exit_code() != Some(0);
        (self.error.is_some() && !nolog.error)
            || (self.timed_out && !nolog.timeout)
            || (bad_exit && !nolog.exit_code)
            || (self.expect_failed && !nolog.expect_failed)
            || (self.write_error && !nolog.write_error)
            || self.handler_failed.is_some()
            || self.failed.is_some()
    }

    /// The exit code, if it exited.
    #[must_use]
    pub fn exit_code(&self) -> Option<i32> {
        match self.status {
            Some(ExitStatus::Exited(code)) => Some(code),
            _ => None,
        }
    }

    /// How long it ran.
    #[must_use]
    pub fn duration(&self) -> Option<Duration> {
        self.started_at.map(|started| self.ended_at.saturating_duration_since(started))
    }
}

impl fmt::Display for Outcome {
    /// One phrase: `exited with exit code 3`, `timed out after 2.0s (SIGTERM)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(error) = &self.error {
            return write!(f, "{error}");
        }
        let Some(status) = self.status else { return f.write_str("not started") };
        if self.timed_out {
            let seconds = self.duration().unwrap_or_default().as_secs_f64();
            write!(f, "timed out after {seconds:.1}s")?;
            return if self.forced_kill { f.write_str(", killed with SIGKILL") } else { Ok(()) };
        }
        if let Some(reason) = &self.lost_because {
            return write!(f, "was lost: {reason}");
        }
        match status {
            ExitStatus::Exited(code) => write!(f, "exited with exit code {code}"),
            ExitStatus::Signaled { signal, core_dumped } => {
                write!(f, "killed by {signal}{}", if core_dumped { ", core dumped" } else { "" })
            }
            ExitStatus::UnknownSignal => f.write_str("killed by a signal (ssh does not tell which)"),
            ExitStatus::Lost => f.write_str(
                "ended, but nobody can say how: somebody else took its exit status, or whoever ran it does not answer",
            ),
        }
    }
}

/// An ended process: how, and what it said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    /// How it ended.
    pub outcome: Outcome,
    /// Whether that is ok, by the process's own policy.
    pub ok: bool,
    /// Whether that deserves a warning in the log, by the process's own policy.
    pub worth_a_warning: bool,
    /// What was kept of its stdout.
    pub stdout: Captured,
    /// What was kept of its stderr.
    pub stderr: Captured,
    /// What the program reported apart from its streams, see `Launch::diagnostics`.
    pub diagnostics: Captured,
    /// The faults that its policy forgives, also those that are found after the end.
    pub ignore: Faults,
}

/// A failure of a process that is found after its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LateFailure {
    /// It did not write what was expected of it.
    ExpectFailed,
    /// It did not read all that was written to it.
    WriteError,
    /// It failed, for this reason, as judged by what started it.
    Failed(Arc<str>),
    /// A handler of it failed, for this reason.
    HandlerFailed(Arc<str>),
}

impl Finished {
    /// Returns an ended process of which nothing was kept, whose policy forgives `ignore` and warns of everything else.
    #[must_use]
    pub fn new(outcome: Outcome, ignore: Faults) -> Self {
        let (ok, worth_a_warning) = (outcome.ok(&ignore), outcome.is_worth_a_warning(&Faults::default()));
        let [stdout, stderr, diagnostics] = std::array::from_fn(|_| Captured::default());
        Self { outcome, ok, worth_a_warning, stdout, stderr, diagnostics, ignore }
    }

    /// Returns the end of a process that was never started, for want of an engine that could.
    #[must_use]
    pub fn never_started(error: StartError, policy: &Policy, now: Instant) -> Self {
        let outcome = Outcome { error: Some(error), ..Outcome::new(None, None, now) };
        Self {
            ok: outcome.ok(&policy.ignore),
            worth_a_warning: outcome.is_worth_a_warning(&policy.nolog),
            stdout: Captured::new(policy.capture_stdout),
            stderr: Captured::new(policy.capture_stderr),
            diagnostics: Captured::new(Capture::None),
            ignore: policy.ignore,
            outcome,
        }
    }

    /// Enters a fault that was found after the end.
    pub fn record_failure(&mut self, blame: LateFailure) {
        match blame {
            LateFailure::ExpectFailed => self.outcome.expect_failed = true,
            LateFailure::WriteError => self.outcome.write_error = true,
            LateFailure::Failed(reason) => drop(self.outcome.failed.get_or_insert(reason)),
            LateFailure::HandlerFailed(reason) => drop(self.outcome.handler_failed.get_or_insert(reason)),
        }
        self.ok = self.outcome.ok(&self.ignore);
    }

    /// What was kept of one of its streams.
    #[must_use]
    pub fn captured(&self, stream: Stream) -> &Captured {
        match stream {
            Stream::Stdout => &self.stdout,
            Stream::Stderr => &self.stderr,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(status: Option<ExitStatus>) -> Outcome {
        let now = Instant::now();
        Outcome {
            pid: Some(1),
            started_at: Some(now),
            ended_at: now,
            status,
            error: None,
            timed_out: false,
            killed: false,
            forced_kill: false,
            expect_failed: false,
            write_error: false,
            leaked: false,
            failed: None,
            handler_failed: None,
            lost_because: None,
        }
    }

    /// Every combination of faults against the list in [`Outcome::ok`], spelled out a second way.
    #[test]
    fn ok_follows_its_list_for_every_combination() {
        let flag = |bits: u32, n: u32| bits >> n & 1 == 1;
        for bits in 0..1 << 8 {
            for ignored in 0..1 << 5 {
                let ignore = Faults {
                    error: flag(ignored, 0),
                    exit_code: flag(ignored, 1),
                    timeout: flag(ignored, 2),
                    expect_failed: flag(ignored, 3),
                    write_error: flag(ignored, 4),
                };
                let error =
                    flag(bits, 0).then(|| StartError { program: "x".into(), reason: "y".into(), errno: Some(2) });
                let status = if error.is_some() { None } else { Some(ExitStatus::Exited(i32::from(flag(bits, 1)))) };
                let outcome = Outcome {
                    error,
                    timed_out: flag(bits, 2),
                    killed: flag(bits, 3),
                    expect_failed: flag(bits, 4),
                    write_error: flag(bits, 5),
                    handler_failed: flag(bits, 6).then(|| Arc::from("it panicked")),
                    failed: flag(bits, 7).then(|| Arc::from("half of it came")),
                    ..outcome(status)
                };
                let rules = [
                    (outcome.handler_failed.is_some() || outcome.failed.is_some(), false),
                    (outcome.expect_failed && !ignore.expect_failed, false),
                    (outcome.write_error && !ignore.write_error, false),
                    (outcome.error.is_some(), ignore.error),
                    (outcome.timed_out && !ignore.timeout, false),
                    (outcome.killed, true),
                    (outcome.exit_code() == Some(0) || ignore.exit_code, true),
                    (true, false),
                ];
                let expected = rules.iter().find(|(applies, _)| *applies).expect("the last always applies").1;
                assert_eq!(outcome.ok(&ignore), expected, "{outcome:?} {ignore:?}");
            }
        }
    }

    #[test]
    fn a_signal_is_not_an_exit_code() {
        let killed = outcome(Some(ExitStatus::Signaled { signal: crate::signal::Signal::KILL, core_dumped: false }));
        assert_eq!((killed.exit_code(), killed.ok(&Faults::default())), (None, false));
        assert_eq!(killed.to_string(), "killed by SIGKILL");
        assert!(outcome(Some(ExitStatus::Exited(0))).ok(&Faults::default()));
        assert!(!outcome(Some(ExitStatus::Lost)).ok(&Faults::default()));
    }
}
