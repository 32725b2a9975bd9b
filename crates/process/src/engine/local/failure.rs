//! Says why a child could not be started, and whether trying again later makes sense.

use std::io;

use phalanx_core::spawn::SpawnError;

use super::super::stdio::OpenFailed;

/// Why a child could not be started, and whether trying again later makes sense.
pub(in crate::engine) struct Failure {
    pub(in crate::engine) reason: String,
    pub(in crate::engine) errno: Option<i32>,
    pub(in crate::engine) shortage: bool,
}

impl Failure {
    pub(in crate::engine) fn shortage(reason: &str) -> Self {
        Self { reason: reason.to_owned(), errno: None, shortage: true }
    }

    pub(in crate::engine) fn malformed(reason: String) -> Self {
        Self { reason, errno: None, shortage: false }
    }
}

impl From<SpawnError> for Failure {
    fn from(failure: SpawnError) -> Self {
        Self { reason: failure.to_string(), errno: failure.error.raw_os_error(), shortage: failure.is_shortage() }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        SpawnError { stage: phalanx_core::spawn::SpawnStage::Descriptors, error }.into()
    }
}

impl From<OpenFailed> for Failure {
    fn from(failed: OpenFailed) -> Self {
        match failed {
            // Whoever has a pty gives it back some day.
            OpenFailed::Terminal(error) => {
                let exhausted = error.source.kind() == io::ErrorKind::StorageFull;
                let reason = error.to_string();
                let failure = Self::from(error.source);
                Self { reason, shortage: failure.shortage || exhausted, ..failure }
            }
            OpenFailed::Pipe(error) => error.into(),
            OpenFailed::File { path, error } => {
                let mut failure = Self::from(error);
                failure.reason = format!("cannot open `{}` for it: {}", path.display(), failure.reason);
                failure
            }
        }
    }
}
