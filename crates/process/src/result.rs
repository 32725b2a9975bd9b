//! What became of one host: one value, which the command line, records, reports, logs and the errors of the library share.
//! Pure.
//!
//! ```text
//!  Finished, and how it was reached ─┐
//!  what its transfer says ───────────┤
//!  what was expected of it ──────────┼─▶ Evidence ──judge──▶ HostResult ─┬─▶ kind: a stable word, for machines
//!  whether the run was stopped ──────┘                                   ├─▶ sentence, advice: for people
//!                                                                        └─▶ is_ok
//! ```

mod evidence;
mod kind;
#[cfg(test)]
mod tests;

use std::fmt;

pub use self::evidence::{Delivery, EndedBecause, Evidence, Route};
pub use self::kind::{ResultClass, ResultKind, UnknownKind};
use crate::Signal;
use crate::outcome::Finished;
use crate::visible::visible;

/// What became of the work on one host.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum HostResult {
    /// It did what it was asked to.
    Ok,
    /// It exited with a code other than 0 that was declared to be fine.
    Accepted(i32),
    /// It exited with a code that is not fine.
    Exited(i32),
    /// A signal ended it; which one, if known.
    Signaled(Option<i32>),
    /// It ran out of time and was ended.
    TimedOut {
        /// Whether it had to be killed with SIGKILL.
        forced: bool,
    },
    /// The host could not be reached, and the command was not started.
    Unreachable {
        /// What the connector said.
        reason: String,
        /// What to do about it.
        advice: &'static str,
    },
    /// The connection, or the exit status, was lost while the command was running; it may still run.
    Lost {
        /// What the connector said, or what became of it.
        reason: String,
        /// What to do about it.
        advice: &'static str,
    },
    /// The local process could not be started, for this reason.
    NotStartable(String),
    /// Its files were not transferred, for this reason; only what was complete has its final name.
    NotTransferred(String),
    /// It did not say what was expected of it, as the sentence says.
    ExpectFailed(String),
    /// It did not read what was written to its stdin.
    StdinNotRead,
    /// A handler of it failed, for this reason.
    HandlerFailed(String),
    /// It ended well, but its output could not be written, for this reason.
    OutputLost(String),
    /// It was ended since the run was stopped.
    Interrupted,
    /// The run was stopped before its turn.
    NotStarted,
}

impl HostResult {
    /// Returns what kind of result it is.
    #[must_use]
    pub fn kind(&self) -> ResultKind {
        match self {
            Self::Ok | Self::Accepted(_) => ResultKind::Ok,
            Self::Exited(_) => ResultKind::Exit,
            Self::Signaled(_) => ResultKind::Signal,
            Self::TimedOut { .. } => ResultKind::Timeout,
            Self::Unreachable { .. } => ResultKind::Unreachable,
            Self::Lost { .. } => ResultKind::Lost,
            Self::NotStartable(_) => ResultKind::NotStartable,
            Self::NotTransferred(_) => ResultKind::NotTransferred,
            Self::ExpectFailed(_) => ResultKind::ExpectFailed,
            Self::StdinNotRead => ResultKind::StdinNotRead,
            Self::HandlerFailed(_) => ResultKind::HandlerFailed,
            Self::OutputLost(_) => ResultKind::OutputLost,
            Self::Interrupted => ResultKind::Interrupted,
            Self::NotStarted => ResultKind::NotStarted,
        }
    }

    /// Returns whether all is well.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.kind() == ResultKind::Ok
    }

    /// Returns what happened, for people. Begins in lower case, to follow the name of the host, and includes the
    /// [advice](HostResult::advice).
    #[must_use]
    pub fn sentence(&self) -> String {
        self.to_string()
    }

    /// Returns what to do about it, where that is known.
    #[must_use]
    pub fn advice(&self) -> Option<&str> {
        match self {
            Self::Unreachable { advice, .. } | Self::Lost { advice, .. } => Some(advice),
            _ => None,
        }
    }

    /// Returns the exit code, if it exited and that is what matters.
    #[must_use]
    pub fn exit_code(&self) -> Option<i32> {
        match self {
            Self::Ok => Some(0),
            Self::Exited(code) | Self::Accepted(code) => Some(*code),
            _ => None,
        }
    }

    /// Returns the signal that ended it, if that is known and what matters.
    #[must_use]
    pub fn signal(&self) -> Option<Signal> {
        match self {
            Self::Signaled(Some(number)) => Signal::from_number(*number),
            _ => None,
        }
    }

    /// Applies the last rule of [`Evidence::judge`]: output that could not be written makes what went well fail, and
    /// what went wrong by itself keeps its own fault.
    #[must_use]
    pub fn unless_output_lost(self, output_lost: Option<String>) -> Self {
        match output_lost {
            Some(reason) if self.is_ok() => Self::OutputLost(reason),
            _ => self,
        }
    }

    /// Returns the line of stderr that is worth reading beside the sentence: the last one that is not blank, unless the
    /// sentence has it already. Without what a terminal would obey, and no longer than a line should be.
    #[must_use]
    pub fn last_words(&self, finished: &Finished) -> Option<String> {
        /// Longer lines are cut, and end in `…`.
        const LONGEST: usize = 300;
        let text = finished.stderr.text();
        let line = text.lines().map(str::trim).rfind(|line| !line.is_empty())?;
        let begin: String = line.chars().take(LONGEST).collect();
        let mut words = visible(&begin).into_owned();
        if line.chars().nth(LONGEST).is_some() {
            words.push('…');
        }
        (!self.to_string().contains(&words)).then_some(words)
    }
}

impl fmt::Display for HostResult {
    /// Writes the [sentence](HostResult::sentence).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ok => f.write_str("ok"),
            Self::Accepted(code) => write!(f, "exited with exit code {code}, which is fine"),
            Self::Exited(code) => write!(f, "exited with exit code {code}"),
            Self::Signaled(Some(number)) => match Signal::from_number(*number) {
                Some(signal) => write!(f, "killed by {signal}"),
                None => write!(f, "killed by signal {number}"),
            },
            Self::Signaled(None) => f.write_str("killed by a signal (ssh does not tell which)"),
            Self::TimedOut { forced: false } => f.write_str("command timeout: ended after its time"),
            Self::TimedOut { forced: true } => f.write_str("command timeout: killed after its time, it would not end"),
            Self::Unreachable { reason, advice } => write!(f, "not reached: {reason} ({advice})"),
            Self::Lost { reason, advice } => write!(f, "connection lost: {reason} ({advice})"),
            Self::NotStartable(reason) | Self::ExpectFailed(reason) => f.write_str(reason),
            Self::NotTransferred(reason) => write!(f, "not transferred: {reason}"),
            Self::StdinNotRead => f.write_str("did not read what was written to its stdin"),
            Self::HandlerFailed(reason) => write!(f, "a handler of it failed: {reason}"),
            Self::OutputLost(reason) => write!(f, "its output is lost: {reason}"),
            Self::Interrupted => f.write_str("ended, since the run was stopped"),
            Self::NotStarted => f.write_str("not started, since the run was stopped"),
        }
    }
}
