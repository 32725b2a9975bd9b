//! Pseudo-terminals: a pair of ends, of which a child gets one (the slave) as its terminal while this program reads and
//! writes the other (the master). Opens and configures them; starting a child on one is the business of the spawn
//! wrapper, which makes the child a session leader and lets it open [`Pty::slave`] as its descriptor 0: so the pty
//! becomes its controlling terminal, without a fork of this program.
//!
//! What to know about reading a master:
//!
//! * the end is `EIO`, once the last descriptor of the slave is closed, not a read of 0 bytes; [`read`] turns one into
//!   the other;
//! * after the exit of the child there may be bytes left: read until the end.
//!
//! And about writing one: a cooked terminal keeps a line of at most 4095 bytes, and drops the rest of a longer one.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use nix::pty::{PtyMaster, Winsize, grantpt, posix_openpt, ptsname_r, unlockpt};

use crate::terminal::{self, DeviceError};

pub use crate::terminal::Mode;

/// The character that a cooked terminal turns into SIGINT: Ctrl-C.
pub const INTERRUPT: u8 = 0x03;
/// The character that ends the input of a program that reads a cooked terminal, at the beginning of a line: Ctrl-D.
pub const END_OF_FILE: u8 = 0x04;
/// The character that a cooked terminal turns into SIGTSTP: Ctrl-Z.
pub const SUSPEND: u8 = 0x1a;
/// The character that a cooked terminal turns into SIGQUIT: Ctrl-\.
pub const QUIT: u8 = 0x1c;

/// The size of a terminal, in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowSize {
    /// The number of lines.
    pub rows: u16,
    /// The number of characters on a line.
    pub columns: u16,
}

impl Default for WindowSize {
    /// Returns 24 lines of 80 characters.
    fn default() -> Self {
        Self { rows: 24, columns: 80 }
    }
}

impl WindowSize {
    fn to_winsize(self) -> Winsize {
        Winsize { ws_row: self.rows, ws_col: self.columns, ws_xpixel: 0, ws_ypixel: 0 }
    }
}

/// How a pty is set up before a child opens it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TerminalSettings {
    /// The size that programs on it see.
    pub size: WindowSize,
    /// Whether the terminal edits lines.
    pub mode: Mode,
    /// Whether what is written to the master comes back from it.
    pub echo: bool,
}

impl Default for TerminalSettings {
    /// Returns what a terminal emulator gives a shell: cooked, with echo.
    fn default() -> Self {
        Self { size: WindowSize::default(), mode: Mode::Cooked, echo: true }
    }
}

/// A pty, seen from the master. Non-blocking, and closed on exec. The slave is not open: its end is seen once a child
/// has opened and closed it.
#[derive(Debug)]
pub struct Pty {
    master: PtyMaster,
    slave: PathBuf,
}

impl Pty {
    /// Opens a pty that no child has yet.
    ///
    /// # Errors
    ///
    /// When there are no ptys or no descriptors left.
    pub fn open(settings: &TerminalSettings) -> Result<Self, DeviceError> {
        let pty =
            Self::open_pair().map_err(|error| DeviceError::new("open a pty by", Path::new("/dev/ptmx"), error))?;
        // On Linux the master's attributes are the slave's (tty_ioctl(4)), so the slave need not be opened for this.
        let configured =
            terminal::change(&pty.master, |attributes| terminal::set_mode(attributes, settings.mode, settings.echo));
        configured.map_err(|error| DeviceError::new("set up the terminal", &pty.slave, error))?;
        pty.set_size(settings.size)?;
        Ok(pty)
    }

    fn open_pair() -> nix::Result<Self> {
        let master = posix_openpt(OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)?;
        // Linux takes all flags; POSIX promises only the first two.
        fcntl(&master, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
        fcntl(&master, FcntlArg::F_SETFL(OFlag::O_RDWR | OFlag::O_NONBLOCK))?;
        grantpt(&master)?;
        unlockpt(&master)?;
        let slave = ptsname_r(&master)?.into();
        Ok(Self { master, slave })
    }

    /// Returns the path of the slave, for the child to open.
    #[must_use]
    pub fn slave(&self) -> &Path {
        &self.slave
    }

    /// Tells the terminal its size; the programs on it are sent SIGWINCH.
    ///
    /// # Errors
    ///
    /// When the system refuses.
    pub fn set_size(&self, size: WindowSize) -> Result<(), DeviceError> {
        ioctl::set_window_size(&self.master, &size.to_winsize())
            .map_err(|error| DeviceError::new("set the window size of", &self.slave, error))
    }

    /// Returns the size that programs on the terminal see.
    ///
    /// # Errors
    ///
    /// When the system refuses.
    pub fn size(&self) -> Result<WindowSize, DeviceError> {
        let size = ioctl::window_size(&self.master)
            .map_err(|error| DeviceError::new("ask for the window size of", &self.slave, error))?;
        Ok(WindowSize { rows: size.ws_row, columns: size.ws_col })
    }

    /// Sets whether what is written to the master comes back from it. A program on the terminal can change that too, as
    /// those that ask for a password do.
    ///
    /// # Errors
    ///
    /// When the system refuses.
    pub fn set_echo(&self, echo: bool) -> Result<(), DeviceError> {
        use nix::sys::termios::LocalFlags;
        terminal::change(&self.master, |attributes| attributes.local_flags.set(LocalFlags::ECHO, echo))
            .map_err(|error| DeviceError::new("set the echo of", &self.slave, error))
    }

    /// Converts it into the descriptor of the master; the path is lost.
    #[must_use]
    pub fn into_master(self) -> OwnedFd {
        self.master.into()
    }
}

impl AsFd for Pty {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.master.as_fd()
    }
}

impl AsRawFd for Pty {
    fn as_raw_fd(&self) -> std::os::fd::RawFd {
        self.master.as_raw_fd()
    }
}

/// Reads from a master. 0 bytes are the end: no descriptor of the slave is open any more.
///
/// # Errors
///
/// As read(2), except `EIO`, which is the end.
pub fn read(master: impl AsFd, buffer: &mut [u8]) -> io::Result<usize> {
    match nix::unistd::read(master, buffer) {
        Err(Errno::EIO) => Ok(0),
        result => Ok(result?),
    }
}

/// Returns the character that ends the input of the program on the terminal, if the terminal is cooked at the moment:
/// it may have been chosen, or the mode changed, by that program. A raw terminal has no end of input.
///
/// # Errors
///
/// When the system refuses.
pub fn end_of_input(master: impl AsFd) -> io::Result<Option<u8>> {
    use nix::sys::termios::{LocalFlags, SpecialCharacterIndices, tcgetattr};
    let attributes = tcgetattr(master)?;
    let cooked = attributes.local_flags.contains(LocalFlags::ICANON);
    Ok(cooked.then(|| attributes.control_chars[SpecialCharacterIndices::VEOF as usize]))
}

/// The two requests that nix has no function for.
mod ioctl {
    #![expect(unsafe_code, reason = "ioctl(2) has no types")]

    use std::os::fd::{AsFd, AsRawFd};

    use nix::pty::Winsize;

    pub(super) fn set_window_size(terminal: impl AsFd, size: &Winsize) -> nix::Result<()> {
        nix::ioctl_write_ptr_bad!(tiocswinsz, nix::libc::TIOCSWINSZ, Winsize);
        // SAFETY: the descriptor is open, and TIOCSWINSZ reads one winsize (tty_ioctl(4)), which `size` is for the time
        // of the call.
        unsafe { tiocswinsz(terminal.as_fd().as_raw_fd(), size) }.map(drop)
    }

    pub(super) fn window_size(terminal: impl AsFd) -> nix::Result<Winsize> {
        nix::ioctl_read_bad!(tiocgwinsz, nix::libc::TIOCGWINSZ, Winsize);
        let mut size = Winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
        // SAFETY: the descriptor is open, and TIOCGWINSZ writes one winsize (tty_ioctl(4)), which `size` is for the
        // time of the call.
        unsafe { tiocgwinsz(terminal.as_fd().as_raw_fd(), &raw mut size) }.map(|_| size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    use std::fs::File;
    use std::io::{Read, Write};
    use std::os::unix::fs::OpenOptionsExt;

    fn slave(pty: &Pty) -> File {
        // O_NOCTTY: the test program must not get a controlling terminal.
        File::options()
            .read(true)
            .write(true)
            .custom_flags(OFlag::O_NOCTTY.bits())
            .open(pty.slave())
            .expect("the slave opens")
    }

    fn write(pty: &Pty, bytes: &[u8]) {
        assert_eq!(nix::unistd::write(pty, bytes), Ok(bytes.len()));
    }

    /// Reads exactly so many bytes, waiting for them.
    fn read_exactly(pty: &Pty, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        let mut have = 0;
        while have < count {
            poll(&mut [PollFd::new(pty.as_fd(), PollFlags::POLLIN)], PollTimeout::from(10_000_u16)).expect("poll");
            have += read(pty, &mut bytes[have..]).expect("readable");
        }
        bytes
    }

    #[test]
    fn a_master_is_closed_on_exec_and_never_blocks() {
        let pty = Pty::open(&TerminalSettings::default()).expect("a pty");
        let flags = fcntl(&pty, FcntlArg::F_GETFD).expect("open");
        assert!(FdFlag::from_bits_truncate(flags).contains(FdFlag::FD_CLOEXEC));
        assert_eq!(
            read(&pty, &mut [0]).expect_err("no child has opened it yet, and that is not the end").kind(),
            io::ErrorKind::WouldBlock
        );
    }

    #[test]
    fn a_raw_pty_passes_every_byte_both_ways() {
        let pty = Pty::open(&TerminalSettings { mode: Mode::Raw, echo: false, ..TerminalSettings::default() })
            .expect("a pty");
        let mut slave = slave(&pty);
        let all: Vec<u8> = (0..=255).collect();
        write(&pty, &all);
        let mut there = vec![0; 256];
        slave.read_exact(&mut there).expect("the bytes are there");
        assert_eq!(there, all);
        slave.write_all(&all).expect("the pty takes them");
        assert_eq!(read_exactly(&pty, 256), all);
    }

    #[test]
    fn a_cooked_pty_edits_lines_echoes_and_translates_newlines() {
        let pty = Pty::open(&TerminalSettings::default()).expect("a pty");
        let mut slave = slave(&pty);
        write(&pty, b"lx\x7fs\n");
        let mut line = [0; 3];
        slave.read_exact(&mut line).expect("the line is there");
        assert_eq!(&line, b"ls\n");
        slave.write_all(b"a\n").expect("the pty takes it");
        assert_eq!(read_exactly(&pty, 11), b"lx\x08 \x08s\r\na\r\n");
    }

    #[test]
    fn echo_can_be_switched_off_at_any_time() {
        let pty = Pty::open(&TerminalSettings::default()).expect("a pty");
        let mut slave = slave(&pty);
        pty.set_echo(false).expect("an attribute");
        write(&pty, b"secret\n");
        slave.write_all(b"ok").expect("the pty takes it");
        assert_eq!(read_exactly(&pty, 2), b"ok");
    }

    #[test]
    fn programs_on_the_terminal_see_its_size() {
        let size = WindowSize { rows: 50, columns: 132 };
        let pty = Pty::open(&TerminalSettings { size, ..TerminalSettings::default() }).expect("a pty");
        let slave = slave(&pty);
        let seen = ioctl::window_size(&slave).expect("a terminal");
        assert_eq!((seen.ws_row, seen.ws_col), (50, 132));
        let larger = WindowSize { rows: 100, columns: 200 };
        pty.set_size(larger).expect("a terminal");
        assert_eq!(pty.size().expect("a terminal"), larger);
        assert_eq!(ioctl::window_size(&slave).expect("a terminal").ws_row, 100);
    }

    #[test]
    fn the_end_of_the_slave_is_an_end_and_comes_after_its_last_bytes() {
        let pty = Pty::open(&TerminalSettings { mode: Mode::Raw, echo: false, ..TerminalSettings::default() })
            .expect("a pty");
        let mut slave = slave(&pty);
        slave.write_all(b"bye").expect("the pty takes it");
        drop(slave);
        assert_eq!(read_exactly(&pty, 3), b"bye");
        assert_eq!(read(&pty, &mut [0; 10]).expect("the end is no error"), 0);
    }

    #[test]
    fn an_end_character_ends_the_input_of_a_cooked_terminal() {
        let pty = Pty::open(&TerminalSettings { echo: false, ..TerminalSettings::default() }).expect("a pty");
        let mut slave = slave(&pty);
        write(&pty, &[b'a', b'\n', END_OF_FILE]);
        let mut all = String::new();
        slave.read_to_string(&mut all).expect("text");
        assert_eq!(all, "a\n");
    }
}
