//! The terminal at which the user sits: raw for as long as something else wants every key, and waited for together with
//! other descriptors.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::termios::{SetArg, Termios, tcgetattr, tcsetattr};

use crate::terminal;

/// A terminal in raw mode: every key arrives as it is pressed, Ctrl-C included. Dropping it restores what was; only a
/// SIGKILL can prevent that.
#[derive(Debug)]
pub struct RawMode {
    terminal: OwnedFd,
    before: Termios,
}

impl RawMode {
    /// Makes a terminal raw, both ways: who writes to it ends a line with `\r\n`.
    ///
    /// # Errors
    /// When it is no terminal.
    pub fn enter(terminal: impl AsFd) -> io::Result<Self> {
        let terminal = terminal.as_fd().try_clone_to_owned()?;
        let before = tcgetattr(&terminal)?;
        terminal::change(&terminal, terminal::make_raw)?;
        Ok(Self { terminal, before })
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        // A terminal that has hung up has nothing to be restored. At once, since one that the user has stopped (Ctrl-S)
        // would never finish showing what it was given.
        while tcsetattr(&self.terminal, SetArg::TCSANOW, &self.before) == Err(Errno::EINTR) {}
    }
}

/// Waits until one of the descriptors can be read without blocking, or `deadline` has passed; returns which.
///
/// # Errors
/// What poll(2) says; a signal is none.
pub fn wait_readable<const N: usize>(
    descriptors: [Option<BorrowedFd<'_>>; N],
    deadline: Option<Instant>,
) -> io::Result<[bool; N]> {
    let mut watched: Vec<PollFd<'_>> =
        descriptors.iter().flatten().map(|fd| PollFd::new(*fd, PollFlags::POLLIN)).collect();
    loop {
        match poll(&mut watched, timeout(deadline)) {
            Ok(_) => break,
            Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let mut ready = watched.iter().map(|fd| fd.any().unwrap_or(true));
    Ok(descriptors.map(|fd| fd.is_some() && ready.next().unwrap_or(false)))
}

/// Returns the time left, rounded up: a wait that ends too early would have to be repeated.
fn timeout(deadline: Option<Instant>) -> PollTimeout {
    let Some(deadline) = deadline else { return PollTimeout::NONE };
    let left = deadline.saturating_duration_since(Instant::now()) + Duration::from_micros(999);
    PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pty::{Pty, TerminalSettings};
    use nix::sys::termios::LocalFlags;
    use std::fs::File;
    use std::io::Write as _;
    use std::os::unix::net::UnixStream;

    #[test]
    fn a_raw_console_passes_keys_and_is_restored() {
        let pty = Pty::open(&TerminalSettings::default()).expect("a pty");
        let slave = File::options().read(true).write(true).open(pty.slave()).expect("the slave opens");
        let before = tcgetattr(&slave).expect("a terminal");
        let console = RawMode::enter(&slave).expect("a terminal");
        let raw = tcgetattr(&slave).expect("a terminal");
        assert!(!raw.local_flags.intersects(LocalFlags::ICANON | LocalFlags::ISIG | LocalFlags::ECHO));
        assert!(before.local_flags.contains(LocalFlags::ICANON));
        drop(console);
        assert_eq!(tcgetattr(&slave).expect("a terminal"), before);
        assert!(RawMode::enter(File::open("/dev/null").expect("it is there")).is_err());
    }

    #[test]
    fn readable_descriptors_are_told_from_silent_ones() {
        let (mut ours, theirs) = UnixStream::pair().expect("a pair");
        let (_silent, other) = UnixStream::pair().expect("a pair");
        let look = |deadline| wait_readable([Some(other.as_fd()), None, Some(theirs.as_fd())], deadline);
        assert_eq!(look(Some(Instant::now())).expect("poll"), [false; 3]);
        ours.write_all(b"x").expect("room");
        assert_eq!(look(None).expect("poll"), [false, false, true]);
    }
}
