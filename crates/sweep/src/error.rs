//! What can go wrong with a queue, and what to do about it.

use std::io;
use std::path::PathBuf;

use super::combination::Combination;
use super::owner::Owner;

/// Why an operation on a queue failed. None of these loses anything that was confirmed before.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// The system refused.
    #[error("cannot {attempt} {}: {source}{}", path.display(), advice(source))]
    Io {
        /// The operation, as a verb.
        attempt: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A line of the journal means nothing. Only its end can be torn by a crash, and that is mended in silence: this is
    /// another file, or it was edited.
    #[error("{}, line {line}: {reason}; nothing was changed: correct that line, or remove it", path.display())]
    Damaged {
        /// The journal.
        path: PathBuf,
        /// The line, counted from one.
        line: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// The journal is not the file it was before.
    #[error(
        "{} was removed, replaced or made shorter while the queue was open: open the queue again to go on with what is \
         there now",
        path.display()
    )]
    Replaced {
        /// The journal.
        path: PathBuf,
    },
    /// Neither the sweep nor the journal has it.
    #[error("{combination} was never part of this sweep; nothing was changed")]
    Unknown {
        /// The unknown combination.
        combination: Combination,
    },
    /// Giving it back could let it be done twice.
    #[error("{combination} is in progress in another process ({owner}); when that has ended for good, reset it")]
    TakenByOther {
        /// The combination to be given back.
        combination: Combination,
        /// The process that has it.
        owner: Box<Owner>,
    },
}

/// Returns advice to the user, where there is some.
fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            "; nothing was recorded, and nothing that was recorded before is lost: make room and go on"
        }
        io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => {
            "; the directory of a sweep must be writable, for every process that works on it"
        }
        io::ErrorKind::Unsupported => "; the file system does not know locks: use a directory on another one",
        _ => "",
    }
}
