//! Makes a process of a command on another host: the argv of the user's own ssh, and the meaning of its end.
//!
//! The user's OpenSSH does the talking, so `~/.ssh/config`, agents, jump hosts and known hosts work as usual.
//!
//! # A command is no person
//! The configuration is written for people at a terminal. A command is run as scp runs one: without the `RemoteCommand`,
//! `SessionType`, `StdinNull` and `ForkAfterAuthentication` of the configuration, without its `LocalCommand`, and without
//! its forwardings. What a version of ssh does not know it is not told, see [`SshFeatures`].
//!
//! # What its exit status 255 means
//! ssh exits with 255 when it could not connect, when the connection broke, when the remote command was killed by a
//! signal, and when the remote command exited with 255 itself. To tell these apart, OpenSSH is asked to write its own
//! doings into a pipe of ours (`-E`), apart from the stderr of the command; [`classify_ssh_exit`] reads them. Since
//! OpenSSH 8.5 that needs no other `LogLevel` than the user's (`LogVerbose`), so that ssh says as much or as little to
//! people as it would by itself.
//!
//! A master of the user's (`ControlMaster`) is used as always: its client logs whether it got an exit status, so a master
//! that goes away is a lost connection.

mod exit;
mod features;
pub mod login_shell;
mod options;
mod process;
mod resolved;

pub(crate) use exit::explain;
pub use exit::{RemoteExit, SshFailure, classify_ssh_exit, ssh_warnings};
pub use features::SshFeatures;
pub use options::{HostKeyChecking, HostRewrite, SshOptions, defaults, set_defaults};
pub use process::SshProcess;
pub(crate) use process::log_warnings;
pub use resolved::{ResolvedSsh, SshArguments};
