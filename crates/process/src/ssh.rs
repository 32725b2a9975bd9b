//! Makes a process of a command on another host: the argv of the user's own ssh, and the meaning of its end.
//!
//! The user's OpenSSH does the talking, so `~/.ssh/config`, agents, jump hosts and known hosts work as usual.
//!
//! # What its exit status 255 means
//! ssh ends with 255 when it could not connect, when the connection broke, when the remote command was killed by a
//! signal, and when the remote command ended with 255 itself. To tell these apart, OpenSSH is asked to write its own
//! doings (`LogLevel=DEBUG1`) into a pipe of ours (`-E`), apart from the stderr of the command. Only OpenSSH is asked
//! so: another program given as `ssh` may not know these options, and then its stderr is all there is to go by.

mod connection;
pub mod login_shell;
mod params;
mod process;
mod remote_end;

pub use connection::{Connection, SshArguments};
pub use params::{CheckHostKeys, ConnectionParams, HostRewrite, defaults, set_defaults};
pub use process::SshProcess;
pub use remote_end::{RemoteEnd, remote_end};
pub(crate) use remote_end::{advice, last_complaint};
