//! Says why a session could not be opened, or what became of it cannot be known, and whether trying again later makes sense.

use std::path::Path;

use phalanx_proto::mux::{ProtocolError, Refusal};
use phalanx_proto::visible::visible;

use super::super::local::Failure as LocalFailure;
use super::super::stdio::OpenFailed;
use super::ConnectFailed;
use crate::spec::{Launch, Output, Stdin};

/// Why there is no session.
pub(super) struct Failure {
    /// What the master did, to follow its name; or, with no master, the whole reason.
    what: String,
    by_master: bool,
    pub(super) errno: Option<i32>,
    /// Whether something is missing that will be given back.
    pub(super) shortage: bool,
}

impl Failure {
    fn of_master(what: impl Into<String>) -> Self {
        Self { what: what.into(), by_master: true, errno: None, shortage: false }
    }

    fn of_launch(what: impl Into<String>) -> Self {
        Self { by_master: false, ..Self::of_master(what) }
    }

    pub(super) fn refused(refusal: &Refusal) -> Self {
        if refusal.is_session_limit() {
            return Self::of_master("has as many sessions open as its server allows (MaxSessions)");
        }
        Self::of_master(format!("refused the session: {}", visible(&refusal.reason)))
    }

    pub(super) fn hung_up() -> Self {
        Self::of_master("closed the connection without an answer")
    }

    /// One that ends closes what has reached its queue.
    pub(super) fn protocol(error: ProtocolError) -> Self {
        if error == ProtocolError::NoHello {
            return Self::hung_up();
        }
        Self::of_master(format!("is none that this program understands: {error}"))
    }

    pub(super) fn silent() -> Self {
        Self::of_master("does not answer")
    }

    pub(super) fn ended() -> Self {
        Self::of_master("has ended, or its connection broke")
    }

    pub(super) fn is_another() -> Self {
        Self::of_master("is another by now: the one that had the session has ended, or its connection broke")
    }

    /// Returns the reason in words.
    pub(super) fn reason(&self, socket: &Path) -> String {
        match self.by_master {
            true => format!("the ssh master at {} {}", visible(&socket.to_string_lossy()), self.what),
            false => self.what.clone(),
        }
    }
}

impl From<ConnectFailed> for Failure {
    fn from(failed: ConnectFailed) -> Self {
        match failed {
            ConnectFailed::Request(error) => Self::of_launch(error.to_string()),
            ConnectFailed::Stranger(peer) => Self::of_master(format!("belongs to the user with id {}", peer.uid)),
            ConnectFailed::System(error) => {
                let what = format!("cannot be reached: {error}");
                let LocalFailure { errno, shortage, .. } = error.into();
                Self { errno, shortage, ..Self::of_master(what) }
            }
        }
    }
}

impl From<OpenFailed> for Failure {
    fn from(failed: OpenFailed) -> Self {
        let LocalFailure { reason, errno, shortage } = failed.into();
        Self { errno, shortage, ..Self::of_launch(reason) }
    }
}

/// Looks for what a session cannot have.
pub(super) fn check(launch: &Launch) -> Result<(), Failure> {
    if let Some(defect) = &launch.defect {
        return Err(Failure::of_launch(defect.clone()));
    }
    if launch.terminal.is_some() {
        return Err(Failure::of_launch("a command over an ssh master has no terminal of its own here"));
    }
    // The master makes what it is given non-blocking, for all that share it.
    let inherits = matches!(launch.stdin, Stdin::Inherit)
        || [&launch.stdout, &launch.stderr].iter().any(|output| matches!(output, Output::Inherit));
    if inherits {
        return Err(Failure::of_launch(
            "an ssh master cannot be given what this program has inherited; a handler can copy it",
        ));
    }
    Ok(())
}
