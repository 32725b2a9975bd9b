//! Names signals, sends them, and turns those sent to us into readiness.
//!
//! Nothing is ever blocked for our sake: a blocked signal would be inherited by every child. signal-hook's handlers
//! only write a byte into a socket, and exec resets handlers anyway.

use std::fmt;
use std::io::{self, Read as _};
use std::os::unix::net::UnixStream;
use std::str::FromStr;

use signal_hook::SigId;

use crate::reactor::{Interest, Reactor};

/// A signal number of this system, real-time signals included.
///
/// A type of our own rather than nix's enum, which has no real-time signals: a process may well die of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Signal(i32);

impl Signal {
    /// Whether it asks a process to end in its own time. A process that is stopped hears that only once it continues, so
    /// who asks lets it continue too (as shells do with their jobs).
    #[must_use]
    pub fn asks_to_end(self) -> bool {
        [Self::TERM, Self::INT, Self::HUP].contains(&self)
    }

    /// The terminal hung up.
    pub const HUP: Self = Self(libc::SIGHUP);
    /// Ctrl-C.
    pub const INT: Self = Self(libc::SIGINT);
    /// Ctrl-\.
    pub const QUIT: Self = Self(libc::SIGQUIT);
    /// The end that cannot be refused.
    pub const KILL: Self = Self(libc::SIGKILL);
    /// A polite request to end.
    pub const TERM: Self = Self(libc::SIGTERM);
    /// For the program's own use, first.
    pub const USR1: Self = Self(libc::SIGUSR1);
    /// For the program's own use, second.
    pub const USR2: Self = Self(libc::SIGUSR2);
    /// The stop that cannot be refused.
    pub const STOP: Self = Self(libc::SIGSTOP);
    /// Go on after a stop.
    pub const CONT: Self = Self(libc::SIGCONT);
    /// A file would grow past the limit.
    pub const XFSZ: Self = Self(libc::SIGXFSZ);
    /// A child changed state.
    pub const CHLD: Self = Self(libc::SIGCHLD);
    /// The window changed its size.
    pub const WINCH: Self = Self(libc::SIGWINCH);

    /// The signal with this number, if the system has one.
    #[must_use]
    pub fn from_number(number: i32) -> Option<Self> {
        (1..=libc::SIGRTMAX()).contains(&number).then_some(Self(number))
    }

    /// Its number.
    #[must_use]
    pub fn number(self) -> i32 {
        self.0
    }
}

impl fmt::Display for Signal {
    /// `SIGTERM`, `SIGRTMIN+3`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match nix::sys::signal::Signal::try_from(self.0) {
            Ok(named) => f.write_str(named.as_str()),
            Err(_) => write!(f, "SIGRTMIN+{}", self.0 - libc::SIGRTMIN()),
        }
    }
}

/// The text names no signal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a signal: give a name such as TERM or SIGTERM, or a number")]
pub struct UnknownSignal(String);

impl FromStr for Signal {
    type Err = UnknownSignal;

    /// `TERM`, `SIGTERM`, `term`, `15`.
    fn from_str(text: &str) -> Result<Self, UnknownSignal> {
        let unknown = || UnknownSignal(text.to_owned());
        if let Ok(number) = text.parse() {
            return Self::from_number(number).ok_or_else(unknown);
        }
        let upper = text.to_ascii_uppercase();
        let name = if upper.starts_with("SIG") { upper } else { format!("SIG{upper}") };
        nix::sys::signal::Signal::from_str(&name).map(|signal| Self(signal as i32)).map_err(|_| unknown())
    }
}

/// Ends this process the way `signal` would have, so that whoever waits for us sees the true cause.
pub fn die_of(signal: Signal) -> ! {
    let _ = signal_hook::low_level::emulate_default_handler(signal.number());
    std::process::exit(128 + signal.number());
}

/// Signals sent to this program, as readiness of a [`Reactor`].
///
/// Dropping it stops the watch, but signal-hook's handler stays and does nothing: the old disposition may have been
/// changed by somebody else in the meantime.
#[derive(Debug)]
pub struct SignalWatch {
    watched: Vec<Watched>,
}

#[derive(Debug)]
struct Watched {
    signal: Signal,
    reader: UnixStream,
    id: SigId,
}

impl SignalWatch {
    /// Watches `signals`, reported by `reactor` under `key`.
    ///
    /// # Errors
    /// For KILL, STOP and the signals of faults, and when descriptors have run out.
    pub fn new(reactor: &Reactor, key: u64, signals: &[Signal]) -> io::Result<Self> {
        let watched = signals.iter().map(|&signal| Watched::new(reactor, key, signal)).collect::<io::Result<_>>()?;
        Ok(Self { watched })
    }

    /// The signals that came since the last call, each as often as it could be told apart.
    #[must_use]
    pub fn take(&mut self) -> Vec<Signal> {
        let mut came = Vec::new();
        for watched in &mut self.watched {
            let mut bytes = [0; 64];
            while let Ok(count @ 1..) = watched.reader.read(&mut bytes) {
                came.extend(std::iter::repeat_n(watched.signal, count));
            }
        }
        came
    }
}

impl Watched {
    fn new(reactor: &Reactor, key: u64, signal: Signal) -> io::Result<Self> {
        let (reader, writer) = UnixStream::pair()?;
        reader.set_nonblocking(true)?;
        reactor.register(&reader, key, Interest::Readable)?;
        let id = signal_hook::low_level::pipe::register(signal.number(), writer)?;
        Ok(Self { signal, reader, id })
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        signal_hook::low_level::unregister(self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_are_read_and_shown() {
        for text in ["TERM", "SIGTERM", "term", "15"] {
            assert_eq!(text.parse(), Ok(Signal::TERM));
        }
        assert_eq!(Signal::KILL.to_string(), "SIGKILL");
        assert_eq!(Signal::from_number(libc::SIGRTMIN() + 3).unwrap().to_string(), "SIGRTMIN+3");
        for text in ["", "0", "-9", "NOPE", "9999"] {
            assert!(text.parse::<Signal>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_signal_to_us_is_readiness() {
        let mut reactor = Reactor::new().unwrap();
        let mut watch = SignalWatch::new(&reactor, 5, &[Signal::USR1, Signal::USR2]).unwrap();
        signal_hook::low_level::raise(libc::SIGUSR2).unwrap();
        assert_eq!(reactor.wait(None).unwrap().next().unwrap().key, 5);
        assert_eq!(watch.take(), [Signal::USR2]);
        assert_eq!(watch.take(), []);
    }
}
