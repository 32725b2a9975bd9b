//! Turns signals sent to this program into readiness, and ends it by one.
//!
//! Nothing is ever blocked for our sake: a blocked signal would be inherited by every child. signal-hook's handlers
//! only write a byte into a socket, and exec resets handlers anyway.

use std::io::{self, Read as _};
use std::os::unix::net::UnixStream;

use signal_hook::SigId;

pub use phalanx_proto::signal::Signal;

use crate::reactor::{Interest, Reactor};

/// Ends this process the way `signal` would have, so that the process that waits for this one sees the true cause.
pub fn die_of(signal: Signal) -> ! {
    let _ = signal_hook::low_level::emulate_default_handler(signal.number());
    std::process::exit(128 + signal.number());
}

/// The signals that a user has a program ignore by starting it so.
const PROTECTABLE: [Signal; 4] = [Signal::HUP, Signal::INT, Signal::QUIT, Signal::TERM];

/// Reports whether this program ignores `signal` now.
#[expect(unsafe_code, reason = "nix can only ask for a disposition by setting one")]
fn is_ignored(signal: Signal) -> bool {
    let mut action = std::mem::MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: no new action is set, and `action` is a valid place for the present one.
    if unsafe { libc::sigaction(signal.number(), std::ptr::null(), action.as_mut_ptr()) } != 0 {
        return false;
    }
    // SAFETY: all zeroes is a valid sigaction, and the call has filled it in.
    unsafe { action.assume_init() }.sa_sigaction == libc::SIG_IGN
}

/// Signals sent to this program, as readiness of a [`Reactor`].
///
/// Dropping it stops the watch, but signal-hook's handler stays and does nothing: the old disposition may have been
/// changed by other code in the meantime.
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
    /// Watches `signals`, reported by `reactor` under `token`.
    ///
    /// One of HUP, INT, QUIT and TERM that this program was started with ignored stays ignored: that is how `nohup` and
    /// `trap '' INT` protect a program, and all that it starts.
    ///
    /// # Errors
    /// For KILL, STOP and the signals of faults, and when descriptors have run out.
    pub fn new(reactor: &Reactor, token: u64, signals: &[Signal]) -> io::Result<Self> {
        let wanted = signals.iter().filter(|signal| !(PROTECTABLE.contains(signal) && is_ignored(**signal)));
        let watched = wanted.map(|&signal| Watched::new(reactor, token, signal)).collect::<io::Result<_>>()?;
        Ok(Self { watched })
    }

    /// Takes the signals received since the last call, each as often as it could be told apart.
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
    fn new(reactor: &Reactor, token: u64, signal: Signal) -> io::Result<Self> {
        let (reader, writer) = UnixStream::pair()?;
        reader.set_nonblocking(true)?;
        reactor.register(&reader, token, Interest::Readable)?;
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
    fn a_signal_to_us_is_readiness() {
        let mut reactor = Reactor::new().unwrap();
        let mut watch = SignalWatch::new(&reactor, 5, &[Signal::USR1, Signal::USR2]).unwrap();
        signal_hook::low_level::raise(libc::SIGUSR2).unwrap();
        assert_eq!(reactor.poll(None).unwrap().next().unwrap().token, 5);
        assert_eq!(watch.take(), [Signal::USR2]);
        assert_eq!(watch.take(), []);
    }
}
