//! A port here that leads to a port behind a host, through ssh.
//!
//! It is ready when a connection really goes through it: the log of ssh says when it listens, and then a connection is
//! made and given up again as soon as the far side has confirmed that it reached the target. So a target sees one
//! connection that says nothing; [`PortForwarder::without_probe`] is for targets that cannot take it.
//!
//! It needs OpenSSH, or a wrapper around it that passes its options on.

mod error;
mod log;
mod setup;

use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs as _};
use std::time::Duration;

pub use self::error::ForwardError;
pub use self::setup::PendingForwarding;
use crate::completion::Completion;
use crate::engine::{EngineHandle, assert_may_block};
use crate::host::{Host, bracketed};
use crate::outcome::Finished;
use crate::output::Capture;
use crate::process::Process;
use crate::spec::{Command, Faults, Launch, Output, Policy, Spec};
use crate::ssh::{SshFailure, SshOptions, defaults, explain};

/// How long it may take until a connection goes through, unless the parameters say otherwise.
const TIMEOUT: Duration = Duration::from_secs(25);
/// How much of the log is kept: what is said last matters.
const LOG_KEPT: usize = 32 * 1024;

/// What the user's own options cannot change, or nobody could tell whether the port is forwarded: a failure ends ssh,
/// the log says what happens, no master of the user's takes the work over, and no configuration undoes it.
const FIRST: [&str; 4] = ["ExitOnForwardFailure=yes", "LogLevel=DEBUG2", "ControlPath=none", "ClearAllForwardings=no"];
/// A forwarding may be idle for hours: without this, nobody would notice that the host is gone.
const ALIVE: [&str; 2] = ["ServerAliveInterval=15", "ServerAliveCountMax=3"];

/// A port here that is to lead to a port behind a host.
///
/// ```no_run
/// use phalanx_process::forward::PortForwarder;
///
/// let database = PortForwarder::new("gate.example.org", "db.internal", 5432).start()?;
/// println!("connect to {}", database.local_address());
/// // It ends here, when `database` is dropped.
/// # Ok::<(), phalanx_process::forward::ForwardError>(())
/// ```
#[derive(Debug, Clone)]
pub struct PortForwarder {
    host: Host,
    target: String,
    local_port: Option<u16>,
    bind_address: String,
    params: SshOptions,
    probe: bool,
}

impl PortForwarder {
    /// To `remote_host` and `remote_port` as seen from `host`; `localhost` is the host itself.
    #[must_use]
    pub fn new(host: impl Into<Host>, remote_host: &str, remote_port: u16) -> Self {
        Self {
            host: host.into(),
            target: format!("{}:{remote_port}", bracketed(remote_host)),
            local_port: None,
            bind_address: Ipv4Addr::LOCALHOST.to_string(),
            params: SshOptions::default(),
            probe: true,
        }
    }

    /// From this port here. Otherwise a free one is chosen.
    #[must_use]
    pub fn local_port(self, port: u16) -> Self {
        Self { local_port: Some(port), ..self }
    }

    /// From this address here, an IP address without brackets or a name, instead of 127.0.0.1; `0.0.0.0` lets every
    /// host that reaches this one use the port.
    #[must_use]
    pub fn bind_address(self, address: impl Into<String>) -> Self {
        Self { bind_address: address.into(), ..self }
    }

    /// How to reach the host, and how long that may take
    /// ([`forwarding_timeout`](SshOptions::forwarding_timeout)).
    #[must_use]
    pub fn params(self, params: SshOptions) -> Self {
        Self { params, ..self }
    }

    /// Ready as soon as ssh listens here, whatever the target: for one that serves only one connection.
    #[must_use]
    pub fn without_probe(self) -> Self {
        Self { probe: false, ..self }
    }

    /// Starts ssh, and waits until the port is forwarded.
    ///
    /// # Errors
    /// When it is not; then nothing is left behind.
    ///
    /// # Panics
    /// Inside a handler.
    pub fn start(&self) -> Result<Forwarding, ForwardError> {
        self.start_on(EngineHandle::global())
    }

    /// As [`PortForwarder::start`], with another engine.
    ///
    /// # Errors
    /// When it is not forwarded; then nothing is left behind.
    ///
    /// # Panics
    /// Inside a handler.
    pub fn start_on(&self, engine: &EngineHandle) -> Result<Forwarding, ForwardError> {
        assert_may_block("wait for a forwarded port");
        self.begin_on(engine)?.wait()
    }

    /// Starts ssh, and waits for nothing.
    ///
    /// # Errors
    /// When the address here cannot be listened on.
    pub fn begin_on(&self, engine: &EngineHandle) -> Result<PendingForwarding, ForwardError> {
        self.check_bind_address()?;
        let timeout = self.params.forwarding_timeout.or(defaults().forwarding_timeout).unwrap_or(TIMEOUT);
        Ok(PendingForwarding::begin(self.clone(), timeout, engine))
    }

    /// Before ssh is asked: it takes an empty address for all addresses, so that a variable that is not set would open the
    /// port to the world; and it does not say that a name has no address.
    fn check_bind_address(&self) -> Result<(), ForwardError> {
        let reason = if self.bind_address.is_empty() {
            "it is empty; 0.0.0.0 stands for all addresses".to_owned()
        } else if self.bind_address == "*" {
            return Ok(());
        } else {
            match (self.bind_address.as_str(), 0).to_socket_addrs() {
                Ok(_) => return Ok(()),
                Err(error) => error.to_string(),
            }
        };
        Err(ForwardError::BindAddress { host: self.host.to_string(), address: self.bind_address.clone(), reason })
    }

    fn spec(&self, port: u16) -> Spec {
        let forward = format!("{}:{port}:{}", bracketed(&self.bind_address), self.target);
        let mut words: Vec<OsString> = ALIVE.iter().flat_map(|option| ["-o".into(), option.into()]).collect();
        words.extend(["-N", "-T", "-L"].map(OsString::from));
        words.push(forward.into());
        let connection = self.params.connection(&self.host);
        let launch = Launch {
            command: Command::Arguments(connection.ssh_without_command(&FIRST, &words)),
            stdout: Output::Null,
            defect: self.host.check().err().map(|error| error.to_string()),
            name: Some(format!("forward {}:{port} to {}", bracketed(&self.bind_address), self.target)),
            ..Launch::default()
        };
        let policy = Policy {
            capture_stderr: Capture::Last(LOG_KEPT),
            // Who started it hears of its end as an error, or from the guard.
            nolog: Faults::ALL,
            ..Policy::default()
        };
        Spec { launch, policy }
    }
}

fn not_reached(host: String, finished: &Finished) -> ForwardError {
    if let Some(error) = finished.outcome.error.clone() {
        return ForwardError::Start { host, error };
    }
    let Lost { reason, advice } = Lost::of(finished);
    ForwardError::HostNotReached { host, reason, advice }
}

/// A forwarded port. It is forwarded until this is dropped or the connection is lost.
#[must_use = "the port is forwarded only as long as this lives"]
pub struct Forwarding {
    process: Process,
    lost: Completion<Lost>,
    host: String,
    bind_address: String,
    port: u16,
}

/// Why a port is forwarded no longer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason} ({advice})")]
pub struct Lost {
    /// What ssh said last.
    pub reason: String,
    /// What to do about it.
    pub advice: &'static str,
}

impl Lost {
    fn of(finished: &Finished) -> Self {
        let log = finished.stderr.text();
        // A target that refused one connection did not end the others.
        let log = log.lines().filter(|line| !line.starts_with("channel ")).collect::<Vec<_>>().join("\n");
        match explain(&log) {
            Some(SshFailure { reason, hint }) => Self { reason, advice: hint },
            None => {
                let reason = format!("its ssh {}", finished.outcome);
                Self { reason, advice: "run `ssh -v` to that host to see more" }
            }
        }
    }
}

impl Forwarding {
    /// The port here.
    #[must_use]
    pub fn local_port(&self) -> u16 {
        self.port
    }

    /// The address here on which it listens, as it was given.
    #[must_use]
    pub fn bind_address(&self) -> &str {
        &self.bind_address
    }

    /// Address and port here, as one text: `127.0.0.1:25500`, `[::1]:25500`.
    #[must_use]
    pub fn local_address(&self) -> String {
        format!("{}:{}", bracketed(&self.bind_address), self.port)
    }

    /// The ssh that forwards.
    #[must_use]
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// Whether the port is still forwarded, so far as ssh knows.
    #[must_use]
    pub fn is_forwarding(&self) -> bool {
        self.lost.is_pending()
    }

    /// Returns what is completed when the port is forwarded no longer, with the reason.
    #[must_use]
    pub fn lost(&self) -> &Completion<Lost> {
        &self.lost
    }

    /// Waits until the port is forwarded no longer, and says why.
    ///
    /// # Panics
    /// Inside a handler.
    #[must_use]
    pub fn wait(&self) -> Lost {
        let engine = self.process.engine();
        engine.wait_for("wait for the end of a forwarding", &self.lost, None).unwrap_or_else(|_| Lost {
            reason: engine.ended().map_or_else(|| "its engine has ended".to_owned(), |reason| reason.to_string()),
            advice: "start it again",
        })
    }
}

/// Returns where this program reaches the port, when the address stands for all addresses, or for several.
fn reachable_addresses(bind_address: &str, port: u16) -> Vec<SocketAddr> {
    let name = if bind_address == "*" { "0.0.0.0" } else { bind_address };
    let addresses = (name, port).to_socket_addrs().map(Vec::from_iter).unwrap_or_default();
    let loopback = |mut address: SocketAddr| {
        if address.ip().is_unspecified() {
            let ipv4 = address.is_ipv4();
            address.set_ip(if ipv4 { IpAddr::from(Ipv4Addr::LOCALHOST) } else { Ipv6Addr::LOCALHOST.into() });
        }
        address
    };
    addresses.into_iter().map(loopback).collect()
}

impl std::fmt::Debug for Forwarding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Forwarding({} through {}, {:?})", self.local_address(), self.host, self.process)
    }
}

impl Drop for Forwarding {
    /// Ends ssh, and with it the port and the connections through it.
    fn drop(&mut self) {
        self.process.kill();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Items 86 to 88.
    #[test]
    fn the_argv_says_what_is_forwarded_and_the_users_options_follow_the_indispensable_ones() {
        let params = SshOptions { options: vec!["Compression=yes".into()], ..SshOptions::default() };
        let plain = PortForwarder::new(Host::new("gate").with_user("root"), "db", 5432).params(params);
        let line = |forwarder: &PortForwarder| {
            let command = forwarder.spec(8000).launch.command;
            let words = command.arguments().expect("a list");
            words.join(std::ffi::OsStr::new(" ")).into_string().expect("text")
        };
        let begin = "ssh -o ExitOnForwardFailure=yes -o LogLevel=DEBUG2 -o ControlPath=none -o \
                     ClearAllForwardings=no -o RemoteCommand=none -o ForkAfterAuthentication=no -o PermitLocalCommand=no \
                     -o Compression=yes -o BatchMode=yes -l root -o ServerAliveInterval=15 -o ServerAliveCountMax=3 -N -T -L";
        assert_eq!(line(&plain), format!("{begin} 127.0.0.1:8000:db:5432 -- gate"));
        let ipv6 = PortForwarder { target: "[fe80::1]:80".into(), ..plain.bind_address("::1") };
        assert_eq!(line(&ipv6), format!("{begin} [::1]:8000:[fe80::1]:80 -- gate"));
    }
}
