//! Signals by number and by name, and how a process ended. Knows nothing of sending or catching them: that is a matter of
//! the crate that performs system calls.

use std::fmt;
use std::str::FromStr;

/// A signal number of this system, real-time signals included.
///
/// Not an enum of the named ones, as nix has it: a process may well die of a real-time signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Signal(i32);

impl Signal {
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

    /// Returns the signal with this number, if the system has one.
    #[must_use]
    pub fn from_number(number: i32) -> Option<Self> {
        (1..=libc::SIGRTMAX()).contains(&number).then_some(Self(number))
    }

    /// Returns its number.
    #[must_use]
    pub fn number(self) -> i32 {
        self.0
    }

    /// Reports whether it asks a process to end in its own time. A stopped process receives such a signal only once it
    /// continues, so the sender lets it continue too, as shells do with their jobs.
    #[must_use]
    pub fn asks_to_end(self) -> bool {
        [Self::TERM, Self::INT, Self::HUP].contains(&self)
    }
}

/// The signals that have a name, by the names of signal(7).
const NAMES: &[(i32, &str)] = &[
    (libc::SIGHUP, "SIGHUP"),
    (libc::SIGINT, "SIGINT"),
    (libc::SIGQUIT, "SIGQUIT"),
    (libc::SIGILL, "SIGILL"),
    (libc::SIGTRAP, "SIGTRAP"),
    (libc::SIGABRT, "SIGABRT"),
    (libc::SIGBUS, "SIGBUS"),
    (libc::SIGFPE, "SIGFPE"),
    (libc::SIGKILL, "SIGKILL"),
    (libc::SIGUSR1, "SIGUSR1"),
    (libc::SIGSEGV, "SIGSEGV"),
    (libc::SIGUSR2, "SIGUSR2"),
    (libc::SIGPIPE, "SIGPIPE"),
    (libc::SIGALRM, "SIGALRM"),
    (libc::SIGTERM, "SIGTERM"),
    (libc::SIGCHLD, "SIGCHLD"),
    (libc::SIGCONT, "SIGCONT"),
    (libc::SIGSTOP, "SIGSTOP"),
    (libc::SIGTSTP, "SIGTSTP"),
    (libc::SIGTTIN, "SIGTTIN"),
    (libc::SIGTTOU, "SIGTTOU"),
    (libc::SIGURG, "SIGURG"),
    (libc::SIGXCPU, "SIGXCPU"),
    (libc::SIGXFSZ, "SIGXFSZ"),
    (libc::SIGVTALRM, "SIGVTALRM"),
    (libc::SIGPROF, "SIGPROF"),
    (libc::SIGWINCH, "SIGWINCH"),
    (libc::SIGIO, "SIGIO"),
    (libc::SIGSYS, "SIGSYS"),
];

impl fmt::Display for Signal {
    /// `SIGTERM`, `SIGRTMIN+3`; a number that has neither name is `signal 32`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match NAMES.iter().find(|(number, _)| *number == self.0) {
            Some((_, name)) => f.write_str(name),
            None if self.0 >= libc::SIGRTMIN() => write!(f, "SIGRTMIN+{}", self.0 - libc::SIGRTMIN()),
            None => write!(f, "signal {}", self.0),
        }
    }
}

/// The text names no signal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a signal: give a name such as TERM or SIGTERM, or a number")]
pub struct UnknownSignal(String);

impl FromStr for Signal {
    type Err = UnknownSignal;

    /// `TERM`, `SIGTERM`, `term`, `15`, `SIGRTMIN+3`.
    fn from_str(text: &str) -> Result<Self, UnknownSignal> {
        let unknown = || UnknownSignal(text.to_owned());
        if let Ok(number) = text.parse() {
            return Self::from_number(number).ok_or_else(unknown);
        }
        let upper = text.to_ascii_uppercase();
        let name = upper.strip_prefix("SIG").unwrap_or(&upper);
        if let Some(offset) = name.strip_prefix("RTMIN+") {
            let offset: i32 = offset.parse().map_err(|_| unknown())?;
            return libc::SIGRTMIN().checked_add(offset).and_then(Self::from_number).ok_or_else(unknown);
        }
        let named = NAMES.iter().find(|(_, full)| full.strip_prefix("SIG") == Some(name));
        named.map(|(number, _)| Self(*number)).ok_or_else(unknown)
    }
}

/// How a process ended. The exit code and the signal are two facts, never one raw wait status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitStatus {
    /// It returned from main or called exit with this code.
    Exited(i32),
    /// A signal ended it.
    Signaled {
        /// The signal.
        signal: Signal,
        /// Whether it left a core dump.
        core_dumped: bool,
    },
    /// A signal ended it, and what ran it does not tell which: an ssh master does not.
    UnknownSignal,
    /// Its status is unknown: other code in this program reaped it (a `waitpid(-1)`, or SIGCHLD set to be ignored), or
    /// the backend that ran it does not answer.
    Lost,
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
        for text in ["", "0", "-9", "NOPE", "9999", "RTMIN+9999", "SIGSIGTERM"] {
            assert!(text.parse::<Signal>().is_err(), "{text}");
        }
    }

    #[test]
    fn every_signal_of_the_system_is_read_as_it_is_shown() {
        for signal in (1..=libc::SIGRTMAX()).filter_map(Signal::from_number) {
            let shown = signal.to_string();
            // The two that the C library keeps for itself have no name.
            assert!(shown.starts_with("signal ") || shown.parse() == Ok(signal), "{shown}");
        }
    }
}
