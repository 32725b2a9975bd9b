//! Why a port is not forwarded, in sentences that say what to do.

use std::io;
use std::time::Duration;

use crate::outcome::StartError;

/// Why a port is not forwarded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ForwardError {
    /// No program connects.
    #[error("cannot forward a port through {host}: {error}")]
    Start {
        /// Through which host.
        host: String,
        /// What went wrong.
        error: StartError,
    },
    /// No local port is free.
    #[error("cannot forward a port through {host}: {error}")]
    NoPort {
        /// Through which host.
        host: String,
        /// What went wrong.
        error: io::Error,
    },
    /// The local address is none.
    #[error("cannot forward a port through {host}: cannot listen on the address {address:?} here: {reason}")]
    BindAddress {
        /// Through which host.
        host: String,
        /// The address here, as it was given.
        address: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Somebody else listens on the local port.
    #[error(
        "cannot forward {local} through {host}: that port is in use here; give another, or none to have one chosen"
    )]
    PortInUse {
        /// Through which host.
        host: String,
        /// Address and port here.
        local: String,
    },
    /// The local address or port cannot be had.
    #[error("cannot forward {local} through {host}: cannot listen on it: {reason}")]
    NotListening {
        /// Through which host.
        host: String,
        /// Address and port here.
        local: String,
        /// What the system said.
        reason: String,
    },
    /// There is no connection to the host.
    #[error("cannot forward a port through {host}: not reached: {reason} ({advice})")]
    HostNotReached {
        /// Which host.
        host: String,
        /// What ssh said.
        reason: String,
        /// What to do about it.
        advice: &'static str,
    },
    /// The host was reached, the target not.
    #[error("cannot forward a port to {target}: {host} was reached, but not the target: {reason} ({advice})")]
    TargetRefused {
        /// Through which host.
        host: String,
        /// Address and port as seen from there.
        target: String,
        /// What the host said.
        reason: String,
        /// What to do about it.
        advice: &'static str,
    },
    /// It was given up before it was forwarded.
    #[error("the forwarding of a port through {host} was cancelled")]
    Cancelled {
        /// Through which host.
        host: String,
    },
    /// It took too long.
    #[error("cannot forward a port to {target} through {host}: {waited_for} did not happen within {} s; wait longer, or see `ssh -v`", .timeout.as_secs_f64())]
    TimedOut {
        /// Through which host.
        host: String,
        /// Address and port as seen from there.
        target: String,
        /// What was waited for.
        waited_for: &'static str,
        /// How long.
        timeout: Duration,
    },
}

/// What to do when the far side refuses the target.
pub(super) fn advice_about_target(reason: &str) -> &'static str {
    let known = [
        ("Connection refused", "nothing listens there: check the port, and that its server runs"),
        ("not known", "the host does not know that name: names are resolved there, not here"),
        ("resolution", "the host does not know that name: names are resolved there, not here"),
        ("prohibited", "its sshd forbids forwarding: see AllowTcpForwarding and PermitOpen"),
        ("timed out", "the target does not answer the host"),
        ("No route", "the host has no way to the target"),
        ("unreachable", "the host has no way to the target"),
    ];
    known.iter().find(|(said, _)| reason.contains(said)).map_or("check the target from that host", |(_, advice)| advice)
}
