//! Ends a command on another host together with its ssh. A command without a terminal is not told that its connection is
//! gone: sshd closes its streams, and the command goes on until it next writes, a server for ever.
//!
//! So the command is run by a few lines of shell, a watchdog that reads its stdin. As long as that is open, nothing
//! happens. When it is closed, by us, by the end of our ssh, or by that of the connection, the process group of the command
//! gets the signal, and SIGKILL if it is still there after 5 s. The command itself reads `/dev/null`, as it would anyway.
//!
//! * The command is interpreted by the shell of the user, as without this. It runs in the foreground, for a shell has
//!   its background jobs ignore SIGINT.
//! * The outer shell takes note of the signal, by a trap that its children do not inherit, and hands on the exit status.
//!   What that shell itself has to say about a command that was killed is dropped.
//! * After an end of its own, what the command has left running goes on, as it always does with ssh.
//! * What made a session of its own (`setsid`) is out of reach.
//!
//! A warm connection, or an agent, would do it without shell.

use phalanx_process::Signal;
use phalanx_process::ssh::login_shell::script_line;

const SCRIPT: &str = include_str!("remote_kill.sh");

/// Wraps `command` for the login shell of a host: it must be started with a stdin that stays open until the command is to be
/// ended by `signal`.
#[must_use]
pub fn with_stdin_watchdog(command: &str, signal: Signal) -> String {
    let name = signal.to_string();
    let name = name.strip_prefix("SIG").unwrap_or(&name);
    script_line(&SCRIPT.trim_end().replace("SIGNAL", name), &[command])
}
