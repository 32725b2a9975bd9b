//! What ptys and serial lines have in common: they are terminals, with attributes, reads that end in their own way, and
//! errors that must say which device it was.

use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::termios::{LocalFlags, SetArg, SpecialCharacterIndices, Termios, cfmakeraw, tcgetattr, tcsetattr};

/// An operation on a device that failed.
#[derive(Debug)]
pub struct DeviceError {
    /// The operation: `open`, `set the speed to 9600 on`.
    pub action: String,
    /// The path of the device.
    pub device: PathBuf,
    /// The error of the system.
    pub source: io::Error,
}

impl DeviceError {
    pub(crate) fn new(action: impl Into<String>, device: &Path, source: impl Into<io::Error>) -> Self {
        Self { action: action.into(), device: device.to_owned(), source: source.into() }
    }

    /// Reports whether descriptors or memory have run out, so that trying again later makes sense.
    #[must_use]
    pub fn is_shortage(&self) -> bool {
        let errno = self.source.raw_os_error().map(Errno::from_raw);
        matches!(errno, Some(Errno::EMFILE | Errno::ENFILE | Errno::ENOMEM))
    }

    /// Returns advice to the user, where there is some.
    fn advice(&self) -> Option<&'static str> {
        Some(match Errno::from_raw(self.source.raw_os_error()?) {
            Errno::EACCES => "is the user in the group that owns the device, often dialout?",
            Errno::EBUSY | Errno::EWOULDBLOCK => "another program is using it",
            Errno::ENOENT => "is it plugged in?",
            Errno::ENOTTY => "it is not a terminal",
            Errno::ENOSPC => "all ptys are in use; see /proc/sys/kernel/pty/max",
            _ => return None,
        })
    }
}

impl std::error::Error for DeviceError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

impl std::fmt::Display for DeviceError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "cannot {} {}: {}", self.action, self.device.display(), self.source)?;
        self.advice().map_or(Ok(()), |advice| write!(f, " ({advice})"))
    }
}

/// Whether the terminal edits lines before the program reads them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// The terminal, line by line: control characters are signals and editing, `\n` is sent as `\r\n`. What a shell
    /// starts with.
    #[default]
    Cooked,
    /// No editing: every byte passes as it is, both ways.
    Raw,
}

/// Sets mode and echo, and changes nothing else.
pub(crate) fn set_mode(attributes: &mut Termios, mode: Mode, echo: bool) {
    if mode == Mode::Raw {
        make_raw(attributes);
    }
    // ECHOE and its like say how to echo, and do nothing without ECHO.
    attributes.local_flags.set(LocalFlags::ECHO, echo);
}

/// Makes every byte pass as it is. A read blocks until there is one: with VMIN 0 a non-blocking read would return 0 bytes,
/// which looks like the end (termios(3)).
pub(crate) fn make_raw(attributes: &mut Termios) {
    cfmakeraw(attributes);
    attributes.control_chars[SpecialCharacterIndices::VMIN as usize] = 1;
    attributes.control_chars[SpecialCharacterIndices::VTIME as usize] = 0;
}

/// Changes the attributes of a terminal at once, keeping all that `change` does not touch.
pub(crate) fn change(terminal: impl AsFd, change: impl FnOnce(&mut Termios)) -> nix::Result<()> {
    let mut attributes = tcgetattr(terminal.as_fd())?;
    change(&mut attributes);
    loop {
        match tcsetattr(terminal.as_fd(), SetArg::TCSANOW, &attributes) {
            Err(Errno::EINTR) => {}
            done => return done,
        }
    }
}
