//! Makes a process of a command on another host: the argv of the user's own ssh, and the meaning of its end.
//!
//! The user's OpenSSH does the talking, so `~/.ssh/config`, agents, jump hosts and known hosts work as usual.
//!
//! # What its exit status 255 means
//! ssh ends with 255 when it could not connect, when the connection broke, when the remote command was killed by a
//! signal, and when the remote command ended with 255 itself. To tell these apart, OpenSSH is asked to write its own
//! doings (`LogLevel=DEBUG1`) into a pipe of ours (`-E`), apart from the stderr of the command. Only OpenSSH is asked
//! so: another program given as `ssh` may not know these options, and then its stderr is all there is to go by.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use crate::outcome::Finished;
use crate::spec::{Command, Launch, Spec};

/// How to reach hosts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionParams {
    /// The remote user.
    pub user: Option<String>,
    /// The remote port.
    pub port: Option<u16>,
    /// The private key.
    pub keyfile: Option<PathBuf>,
    /// The program that connects; one word.
    pub ssh: OsString,
    /// Its configuration, instead of the user's (`-F`).
    pub ssh_config: Option<PathBuf>,
    /// Options as for `ssh -o`; they win over all that is set here.
    pub options: Vec<String>,
    /// How long setting up a connection may take; ssh knows whole seconds, at least one.
    pub connect_timeout: Option<Duration>,
}

impl Default for ConnectionParams {
    /// The user's own ssh, unattended.
    fn default() -> Self {
        Self {
            user: None,
            port: None,
            keyfile: None,
            ssh: "ssh".into(),
            ssh_config: None,
            options: Vec::new(),
            connect_timeout: None,
        }
    }
}

impl ConnectionParams {
    /// The process that runs `command` on `host`. The host's shell interprets the command, as ssh always has it.
    #[must_use]
    pub fn spec(&self, host: &str, command: &str) -> Spec {
        let mut arguments: Vec<OsString> = vec![self.ssh.clone()];
        let diagnostics = self.is_openssh().then(|| {
            arguments.push("-E".into());
            // Replaced by the path of a pipe when the process starts.
            arguments.push("/dev/null".into());
            arguments.len() - 1
        });
        self.push_options(&mut arguments, diagnostics.is_some());
        arguments.push(host.into());
        arguments.push(command.into());
        let launch = Launch { command: Command::Arguments(arguments), diagnostics, ..Launch::default() };
        Spec { launch, ..Spec::default() }
    }

    /// ssh takes the first value it sees for each option, so the user's come first.
    fn push_options(&self, arguments: &mut Vec<OsString>, debug: bool) {
        if let Some(file) = &self.ssh_config {
            arguments.extend(["-F".into(), file.into()]);
        }
        for option in &self.options {
            arguments.extend(["-o".into(), option.into()]);
        }
        let mut option = |text: String| arguments.extend(["-o".into(), text.into()]);
        option("BatchMode=yes".to_owned());
        if let Some(timeout) = self.connect_timeout {
            option(format!("ConnectTimeout={}", timeout.as_secs_f64().ceil().max(1.0)));
        }
        if debug {
            option("LogLevel=DEBUG1".to_owned());
        }
        if let Some(user) = &self.user {
            arguments.extend(["-l".into(), user.into()]);
        }
        if let Some(port) = self.port {
            arguments.extend(["-p".into(), port.to_string().into()]);
        }
        if let Some(key) = &self.keyfile {
            arguments.extend(["-i".into(), key.into()]);
        }
        arguments.push("-T".into());
    }

    fn is_openssh(&self) -> bool {
        std::path::Path::new(&self.ssh).file_name().is_some_and(|name| name == "ssh")
    }
}

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
/// 4. otherwise: the connection; the reason is the last thing that ssh said of its own accord
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
        // A connector that is not OpenSSH, and nothing to go by: believe the number.
        None if log.is_empty() => RemoteEnd::AsReported,
        None => RemoteEnd::Connection {
            reason: "the connection ended without a word".to_owned(),
            advice: advice(""),
            established,
        },
    }
}

/// The last line that is not of the debugging kind.
fn last_complaint(log: &str) -> Option<String> {
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
    let known =
        ["ssh: ", "kex_exchange", "Connection ", "Permission denied", "Host key verification", "Timeout, server"];
    let said = known.iter().any(|start| line.starts_with(start)) || line.contains("Permission denied (");
    said.then(|| line.to_owned())
}

/// What a user can do about a complaint of ssh.
fn advice(reason: &str) -> &'static str {
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
        ("Bad configuration option", "mend the option (-o) or the ssh configuration (-F)"),
        ("Identity file", "check the key file (-i)"),
    ];
    let found = known.iter().find(|(said, _)| reason.contains(said));
    found.map_or("run `ssh -v` to that host to see more", |(_, advice)| advice)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(spec: &Spec) -> Vec<String> {
        let arguments = spec.launch.command.arguments().unwrap();
        arguments.iter().map(|word| word.to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn the_users_options_come_before_ours() {
        let params = ConnectionParams {
            user: Some("root".into()),
            port: Some(2222),
            keyfile: Some("/k".into()),
            ssh_config: Some("/c".into()),
            options: vec!["BatchMode=no".into()],
            connect_timeout: Some(Duration::from_millis(2500)),
            ..ConnectionParams::default()
        };
        let expected = "ssh -E /dev/null -F /c -o BatchMode=no -o BatchMode=yes -o ConnectTimeout=3 -o LogLevel=DEBUG1 \
                        -l root -p 2222 -i /k -T node1";
        let spec = params.spec("node1", "echo $HOME");
        let words = words(&spec);
        assert_eq!(words[..words.len() - 1].join(" "), expected);
        assert_eq!(words.last().unwrap(), "echo $HOME");
        assert_eq!(spec.launch.diagnostics, Some(2));
    }

    #[test]
    fn another_connector_is_not_asked_for_what_only_openssh_knows() {
        let params = ConnectionParams { ssh: "/opt/bin/oarsh".into(), ..ConnectionParams::default() };
        let spec = params.spec("n", "true");
        assert_eq!(words(&spec), ["/opt/bin/oarsh", "-o", "BatchMode=yes", "-T", "n", "true"]);
        assert_eq!(spec.launch.diagnostics, None);
    }
}
