//! What became of one host: one word for machines, one sentence for people, one number for the exit status.

use phalanx_process::ExitStatus;
use phalanx_process::outcome::Finished;
use phalanx_process::ssh::{RemoteEnd, remote_end};

use crate::exit;

/// What became of the command on one host.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Verdict {
    /// It ended with 0.
    Ok,
    /// It ended with something else that was said to be fine.
    Accepted(i32),
    /// It ended with something else.
    Exit(i32),
    /// A signal ended it; which one, if known.
    Signal(Option<i32>),
    /// It ran out of time and was ended.
    Timeout {
        /// It had to be killed.
        forced: bool,
    },
    /// The host could not be reached, and the command was not started.
    Unreachable {
        /// What the connector said.
        reason: String,
        /// What to do about it.
        advice: &'static str,
    },
    /// The connection broke while the command was running; it may still run.
    Lost {
        /// What the connector said, or what became of it.
        reason: String,
        /// What to do about it.
        advice: &'static str,
    },
    /// The local process could not be started.
    NotStartable(String),
    /// Its files did not get where they should; nothing of them has its final name but what was complete.
    NotTransferred(String),
    /// It did not say what was expected of it.
    NotAsExpected(String),
    /// We ended it, since the run was stopped.
    Interrupted,
    /// The run was stopped before its turn.
    NotStarted,
    /// What it said could not be written down.
    OutputLost(String),
}

impl Verdict {
    /// Judges an ended process. The first line that applies decides:
    ///
    /// 1. it could not be started
    /// 2. it ran out of time
    /// 3. we ended it because the run was stopped
    /// 4. through ssh: a connection that failed or broke, or a remote death by signal
    /// 5. the exit status
    pub(crate) fn of(finished: &Finished, ssh: bool) -> Self {
        let outcome = &finished.outcome;
        if let Some(error) = &outcome.error {
            return Self::NotStartable(error.to_string());
        }
        if outcome.timed_out {
            return Self::Timeout { forced: outcome.forced_kill };
        }
        if outcome.killed {
            return if outcome.status.is_some() { Self::Interrupted } else { Self::NotStarted };
        }
        if ssh && let Some(verdict) = Self::of_connection(finished) {
            return verdict;
        }
        match outcome.status {
            Some(ExitStatus::Exited(0)) => Self::Ok,
            Some(ExitStatus::Exited(code)) => Self::Exit(code),
            Some(ExitStatus::Signaled { signal, .. }) => Self::Signal(Some(signal.number())),
            Some(ExitStatus::Lost) | None => Self::Signal(None),
        }
    }

    fn of_connection(finished: &Finished) -> Option<Self> {
        if let Some(ExitStatus::Signaled { signal, .. }) = finished.outcome.status {
            let reason = format!("its ssh was killed by {signal}");
            return Some(Self::Lost { reason, advice: "run it again; the command may still be running there" });
        }
        match remote_end(finished) {
            RemoteEnd::AsReported => None,
            RemoteEnd::Signaled => Some(Self::Signal(None)),
            RemoteEnd::Connection { reason, advice, established: true } => Some(Self::Lost { reason, advice }),
            RemoteEnd::Connection { reason, advice, established: false } => Some(Self::Unreachable { reason, advice }),
        }
    }

    /// The same of a transfer of files, with what was wrong with it apart from its process. What stopped it from outside
    /// comes first.
    pub(crate) fn of_transfer(self, fault: Option<String>) -> Self {
        match (self, fault) {
            (verdict @ (Self::Timeout { .. } | Self::Interrupted | Self::NotStarted | Self::Unreachable { .. }), _) => {
                verdict
            }
            (_, Some(fault)) => Self::NotTransferred(fault),
            (Self::Exit(127), None) => Self::NotTransferred("there is no sh on that host".to_owned()),
            (Self::Exit(code), None) => Self::NotTransferred(format!("the far end exited with exit code {code}")),
            (verdict, None) => verdict,
        }
    }

    /// The same of a host in a chain. One that was given up was ended by us, and the reason for that comes first; one whose
    /// process ended with 0 and that never said that it has everything is none that is well.
    pub(crate) fn of_chain(self, fault: Option<String>, finished: &Finished) -> Self {
        match (self, fault) {
            (Self::Interrupted, Some(fault)) if finished.outcome.expect_failed => Self::NotTransferred(fault),
            (Self::Ok, None) if finished.outcome.expect_failed => {
                Self::NotTransferred("the far end ended without a word: is there a shell on that host?".to_owned())
            }
            (verdict, fault) => verdict.of_transfer(fault),
        }
    }

    pub(crate) fn is_ok(&self) -> bool {
        matches!(self, Self::Ok | Self::Accepted(_))
    }

    /// One word, stable, for machines; documented in docs/json.md.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Ok | Self::Accepted(_) => "ok",
            Self::Exit(_) => "exit",
            Self::Signal(_) => "signal",
            Self::Timeout { .. } => "timeout",
            Self::Unreachable { .. } => "unreachable",
            Self::Lost { .. } => "lost",
            Self::NotStartable(_) => "not-startable",
            Self::NotTransferred(_) => "not-transferred",
            Self::NotAsExpected(_) => "expect-failed",
            Self::Interrupted => "interrupted",
            Self::NotStarted => "not-started",
            Self::OutputLost(_) => "output-lost",
        }
    }

    /// What happened, for people; begins in lower case, to follow the name of the host.
    pub(crate) fn sentence(&self) -> String {
        match self {
            Self::Ok => "ok".to_owned(),
            Self::Accepted(code) => format!("exited with exit code {code}, which is fine"),
            Self::Exit(code) => format!("exited with exit code {code}"),
            Self::Signal(Some(number)) => match phalanx_process::Signal::from_number(*number) {
                Some(signal) => format!("killed by {signal}"),
                None => format!("killed by signal {number}"),
            },
            Self::Signal(None) => "killed by a signal (ssh does not tell which)".to_owned(),
            Self::Timeout { forced: false } => "command timeout: ended after its time".to_owned(),
            Self::Timeout { forced: true } => "command timeout: killed after its time, it would not end".to_owned(),
            Self::Unreachable { reason, advice } => format!("not reached: {reason} ({advice})"),
            Self::Lost { reason, advice } => format!("connection lost: {reason} ({advice})"),
            Self::NotStartable(reason) => reason.clone(),
            Self::NotTransferred(reason) => format!("not transferred: {reason}"),
            Self::NotAsExpected(reason) => reason.clone(),
            Self::Interrupted => "ended, since the run was stopped".to_owned(),
            Self::NotStarted => "not started, since the run was stopped".to_owned(),
            Self::OutputLost(reason) => format!("its output is lost: {reason}"),
        }
    }

    /// What it counts under `-S`.
    pub(crate) fn status(&self) -> u8 {
        match self {
            Self::Ok | Self::Accepted(_) => exit::OK,
            Self::NotTransferred(_) | Self::NotAsExpected(_) => exit::FAILED,
            Self::Exit(code) => u8::try_from(*code).unwrap_or(exit::UNREACHABLE),
            Self::Signal(Some(number)) => exit::of_signal(*number),
            Self::Signal(None)
            | Self::Timeout { .. }
            | Self::Unreachable { .. }
            | Self::Lost { .. }
            | Self::NotStartable(_)
            | Self::Interrupted
            | Self::NotStarted
            | Self::OutputLost(_) => exit::UNREACHABLE,
        }
    }

    pub(crate) fn exit_code(&self) -> Option<i32> {
        match self {
            Self::Ok => Some(0),
            Self::Exit(code) | Self::Accepted(code) => Some(*code),
            _ => None,
        }
    }
}
