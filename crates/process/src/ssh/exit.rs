//! Classifies how an ssh ended: what became of the command on the other host, from evidence alone. Pure.
//!
//! ssh exits with 255 when it could not connect, when the connection broke, when a signal killed the remote command, and
//! when the remote command exited with 255 itself. What tells these apart is ssh's own log, which reaches us apart from
//! the command's stderr, see [`SshFeatures`](super::SshFeatures). Each conclusion rests on a line that says so:
//!
//! | conclusion | the line |
//! |---|---|
//! | the command was sent | `Sending command: …`, or `master session id: …` under a ControlMaster |
//! | it has an exit status | `rtype exit-status` of its channel, or `Received exit status from master …` |
//! | a signal killed it | `rtype exit-signal` of its channel |
//!
//! A log without the first means that the command was not started, whatever ssh exited with. No log at all means that
//! the program does not write one (a wrapper): then its exit status is all there is, apart from complaints of ssh that
//! are found among the stderr.

mod log;
mod reason;

use phalanx_core::ExitStatus;

use self::log::SshLog;
use self::reason::explain_end;
pub use self::reason::{SshFailure, ssh_warnings};
use crate::outcome::Finished;

/// What became of a command on another host, as far as can be known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RemoteExit {
    /// It ended as the local ssh did: by its exit status.
    AsReported,
    /// A signal killed the remote command; ssh does not tell which.
    Signaled,
    /// The host was not reached, or refused the command: it was not started.
    NotReached(SshFailure),
    /// The connection broke after the command was sent: it may still be running there.
    Lost(SshFailure),
}

/// The exit status of ssh for everything that is not an exit status of the remote command.
const SSH_FAILED: i32 = 255;

/// Returns what became of the remote command of an ssh that has ended. The first line that applies decides:
///
/// 1. we killed ssh, or it did not start: as its status says
/// 2. it wrote no log: a complaint of ssh that ends the stderr tells that the host was not reached; otherwise as its
///    status says
/// 3. the log does not say that the command was sent: the host was not reached
/// 4. ssh did not exit with 255: as its status says; killed by a signal, the connection is lost
/// 5. the log has an exit status of the remote command: that was 255 itself
/// 6. the log has a signal: that killed the remote command
/// 7. otherwise the connection is lost
#[must_use]
pub fn classify_ssh_exit(finished: &Finished) -> RemoteExit {
    let Some(status) = finished.outcome.status else { return RemoteExit::AsReported };
    if finished.outcome.killed {
        return RemoteExit::AsReported;
    }
    let (log, stderr) = (finished.diagnostics.text(), finished.stderr.text());
    classify(status, &SshLog::parse(&log, finished.diagnostics.is_truncated()), &stderr)
}

/// Returns why an ssh that runs no command ended, if the log that it wrote says so.
pub(crate) fn explain(log: &str) -> Option<SshFailure> {
    reason::explain_log(&SshLog::parse(log, false))
}

fn classify(status: ExitStatus, log: &SshLog<'_>, stderr: &str) -> RemoteExit {
    if log.is_empty() {
        return without_log(status, stderr);
    }
    if !log.was_sent() {
        return RemoteExit::NotReached(explain_end(log, stderr));
    }
    match status {
        ExitStatus::Signaled { signal, .. } => RemoteExit::Lost(SshFailure::ssh_killed(signal)),
        ExitStatus::Exited(SSH_FAILED) if log.has_exit_status() => RemoteExit::AsReported,
        ExitStatus::Exited(SSH_FAILED) if log.has_exit_signal() => RemoteExit::Signaled,
        ExitStatus::Exited(SSH_FAILED) => RemoteExit::Lost(explain_end(log, stderr)),
        ExitStatus::Exited(_) | ExitStatus::UnknownSignal | ExitStatus::Lost => RemoteExit::AsReported,
    }
}

fn without_log(status: ExitStatus, stderr: &str) -> RemoteExit {
    match status {
        ExitStatus::Signaled { signal, .. } => RemoteExit::Lost(SshFailure::ssh_killed(signal)),
        ExitStatus::Exited(SSH_FAILED) => {
            reason::complaint_on_stderr(stderr).map_or(RemoteExit::AsReported, RemoteExit::NotReached)
        }
        // ssh gives up with 1 before it has read its configuration.
        ExitStatus::Exited(1) if reason::could_not_open_log(stderr) => {
            reason::complaint_on_stderr(stderr).map_or(RemoteExit::AsReported, RemoteExit::NotReached)
        }
        ExitStatus::Exited(_) | ExitStatus::UnknownSignal | ExitStatus::Lost => RemoteExit::AsReported,
    }
}

#[cfg(test)]
mod tests;
