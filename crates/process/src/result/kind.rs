//! The words for what became of a host. They are part of the schema of `docs/json.md`: none may change its meaning.

use std::fmt;
use std::str::FromStr;

/// What kind of [result](super::HostResult) a host has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum ResultKind {
    /// All is well.
    Ok,
    /// The command exited with a code that is not fine.
    Exit,
    /// A signal ended the command.
    Signal,
    /// The command ran out of time.
    Timeout,
    /// The host could not be reached.
    Unreachable,
    /// The connection broke while the command was running.
    Lost,
    /// The local process could not be started.
    NotStartable,
    /// Files were not transferred.
    NotTransferred,
    /// The process did not say what was expected of it.
    ExpectFailed,
    /// The process did not read what was written to it.
    StdinNotRead,
    /// A handler panicked.
    HandlerFailed,
    /// The output could not be written.
    OutputLost,
    /// The process was ended since the run was stopped.
    Interrupted,
    /// The run was stopped before the host's turn.
    NotStarted,
}

/// What kinds of results have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ResultClass {
    /// All is well.
    Ok,
    /// The command failed.
    Failed,
    /// Something around the command failed: the connection, the start, the writing of its output.
    Infrastructure,
    /// The run was stopped.
    Stopped,
}

/// A word that is no kind of result, or one of a later version of this program.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a result that is known here")]
pub struct UnknownKind(pub String);

impl ResultKind {
    /// All kinds.
    pub const ALL: [Self; 14] = [
        Self::Ok,
        Self::Exit,
        Self::Signal,
        Self::Timeout,
        Self::Unreachable,
        Self::Lost,
        Self::NotStartable,
        Self::NotTransferred,
        Self::ExpectFailed,
        Self::StdinNotRead,
        Self::HandlerFailed,
        Self::OutputLost,
        Self::Interrupted,
        Self::NotStarted,
    ];

    /// Returns the stable word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Exit => "exit",
            Self::Signal => "signal",
            Self::Timeout => "timeout",
            Self::Unreachable => "unreachable",
            Self::Lost => "lost",
            Self::NotStartable => "not-startable",
            Self::NotTransferred => "not-transferred",
            Self::ExpectFailed => "expect-failed",
            Self::StdinNotRead => "stdin-not-read",
            Self::HandlerFailed => "handler-failed",
            Self::OutputLost => "output-lost",
            Self::Interrupted => "interrupted",
            Self::NotStarted => "not-started",
        }
    }

    /// Returns what it has in common with others.
    #[must_use]
    pub const fn class(self) -> ResultClass {
        match self {
            Self::Ok => ResultClass::Ok,
            Self::Unreachable | Self::Lost | Self::NotStartable | Self::OutputLost | Self::HandlerFailed => {
                ResultClass::Infrastructure
            }
            Self::Interrupted | Self::NotStarted => ResultClass::Stopped,
            Self::Exit
            | Self::Signal
            | Self::Timeout
            | Self::NotTransferred
            | Self::ExpectFailed
            | Self::StdinNotRead => ResultClass::Failed,
        }
    }
}

impl fmt::Display for ResultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

impl FromStr for ResultKind {
    type Err = UnknownKind;

    fn from_str(word: &str) -> Result<Self, UnknownKind> {
        let known = Self::ALL.into_iter().find(|kind| kind.word() == word);
        known.ok_or_else(|| UnknownKind(word.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_read_back_from_its_word_and_every_word_is_one_kinds() {
        for (position, kind) in ResultKind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, position, "ALL has every kind once, in order");
            assert_eq!(kind.to_string().parse(), Ok(kind));
            assert!(kind.word().bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'), "{kind}");
        }
        assert_eq!("of-tomorrow".parse::<ResultKind>(), Err(UnknownKind("of-tomorrow".to_owned())));
    }

    #[test]
    fn only_ok_is_of_the_class_ok() {
        for kind in ResultKind::ALL {
            assert_eq!(kind.class() == ResultClass::Ok, kind == ResultKind::Ok, "{kind}");
        }
    }
}
