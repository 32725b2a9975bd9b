//! What became of a command on another host, told from what ssh said and how it ended. Pure.

use crate::outcome::Finished;

/// What became of a command on another host, as far as can be known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RemoteEnd {
    /// It ended as the local ssh did: by its exit status.
    AsReported,
    /// A signal ended the remote command; ssh does not tell which.
    Signaled,
    /// There was no connection, or it broke.
    Connection {
        /// What ssh said, in one line.
        reason: String,
        /// What to do about it.
        advice: &'static str,
        /// Whether the command may have been started before the connection broke.
        established: bool,
    },
}

/// The exit status of ssh for everything that is not an exit status of the remote command.
const SSH_FAILED: i32 = 255;

/// Tells from what ssh reported what became of the remote command. The first line that applies decides:
///
/// 1. ssh did not end with 255: as its status says
/// 2. it reported an exit status of the remote command: that was 255 itself
/// 3. it reported a signal: the remote command was killed
/// 4. it complained of something: the connection; the last complaint is the reason
/// 5. it went through a master of the user's own (ControlMaster), which tells nothing: as its status says
/// 6. it wrote no log: it failed before it could (a wrong option, a wrong configuration) if it said so on stderr, or is
///    not OpenSSH; then as its status says
/// 7. otherwise: the connection, without a reason
#[must_use]
pub fn remote_end(finished: &Finished) -> RemoteEnd {
    if finished.outcome.exit_code() != Some(SSH_FAILED) || finished.outcome.killed {
        return RemoteEnd::AsReported;
    }
    let log = finished.diagnostics.text();
    if log.contains("rtype exit-status") {
        return RemoteEnd::AsReported;
    }
    if log.contains("rtype exit-signal") {
        return RemoteEnd::Signaled;
    }
    let from_stderr = finished.stderr.text();
    let reason = last_complaint(&log).or_else(|| last_line_of_ssh(&from_stderr));
    let established = log.contains("Entering interactive session") || log.contains("Sending command:");
    match reason {
        Some(reason) => {
            let advice = advice(&reason);
            RemoteEnd::Connection { reason, advice, established }
        }
        None if log.is_empty() || log.contains("mux_client_request_session") => RemoteEnd::AsReported,
        None => RemoteEnd::Connection {
            reason: "the connection ended without a word".to_owned(),
            advice: advice(""),
            established,
        },
    }
}

/// The last line that is not of the debugging kind.
pub(crate) fn last_complaint(log: &str) -> Option<String> {
    let own = |line: &&str| !line.starts_with("debug") && !line.trim().is_empty() && !is_noise(line);
    log.lines().map(str::trim_end).rfind(own).map(str::to_owned)
}

/// Lines in the log that are no complaint: the version, the summary at the end, a new host key.
fn is_noise(line: &str) -> bool {
    ["OpenSSH_", "Authenticated to ", "Transferred: ", "Bytes per second: ", "Warning: Permanently added"]
        .iter()
        .any(|start| line.starts_with(start))
}

/// Without a log of its own, ssh complains among the stderr of the command, last.
fn last_line_of_ssh(stderr: &str) -> Option<String> {
    let line = stderr.lines().map(str::trim_end).rfind(|line| !line.is_empty())?;
    let known = [
        "ssh: ",
        "kex_exchange",
        "Connection ",
        "Permission denied",
        "Host key verification",
        "Timeout, server",
        "command-line",
        "remote username",
        "Bad owner or permissions",
        "percent_expand",
        "vdollar_percent_expand",
        "Unsupported option",
        "Couldn't open logfile",
    ];
    let said = known.iter().any(|start| line.starts_with(start)) || line.contains("Permission denied (");
    said.then(|| line.to_owned())
}

/// What a user can do about a complaint of ssh.
pub(crate) fn advice(reason: &str) -> &'static str {
    let known = [
        ("Could not resolve", "check the name, or give it an address in your ssh configuration"),
        ("Connection refused", "nothing listens there: check that sshd runs, and the port (-p)"),
        ("Permission denied", "check the user (-l) and the key (-i); nobody is asked for a password"),
        (
            "Host key verification failed",
            "its host key is unknown or has changed: check it, then update your known hosts",
        ),
        ("REMOTE HOST IDENTIFICATION", "its host key has changed: check it, then update your known hosts"),
        ("timed out", "it does not answer: check that it is up, or wait longer (-t)"),
        ("No route to host", "check the network and that it is up"),
        ("Network is unreachable", "check the network"),
        (
            "Connection closed",
            "sshd hung up: too many connections at once (see MaxStartups, or lower -f), or not allowed in",
        ),
        (
            "Connection reset",
            "sshd hung up: too many connections at once (see MaxStartups, or lower -f), or not allowed in",
        ),
        (
            "Too many authentication failures",
            "your agent offers too many keys: name one with -i and -o IdentitiesOnly=yes",
        ),
        ("invalid time value", "give -t a number of seconds that ssh understands"),
        ("remote username", "check the user (-l)"),
        ("Bad configuration option", "mend the option (-o) or the ssh configuration (-F)"),
        ("Identity file", "check the key file (-i)"),
        (
            "Could not request local forwarding",
            "your ssh configuration forwards ports of its own for that host, and one of them cannot be had",
        ),
    ];
    let found = known.iter().find(|(said, _)| reason.contains(said));
    found.map_or("run `ssh -v` to that host to see more", |(_, advice)| advice)
}
