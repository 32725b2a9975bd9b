//! Our own stdout and stderr: buffered, in order, with one status line that never gets between.
//!
//! Each stream is collected and written in one piece per turn. Where both lead to the same place (a terminal, `2>&1`),
//! what was collected for one is written before anything is collected for the other, so that the order of arrival
//! survives. The status line is erased before, and drawn again after, anything else is written to a terminal.

use std::io::{self, IsTerminal as _, Write as _};
use std::os::unix::fs::MetadataExt as _;

use phalanx_process::style::Styles;

use super::ShowError;

/// Enough for a write to be worth its system call.
const ENOUGH: usize = 64 * 1024;

/// What one may write on.
#[derive(Debug)]
pub(crate) struct Screen {
    out: Vec<u8>,
    err: Vec<u8>,
    same_place: bool,
    stderr_is_terminal: bool,
    colours: Colours,
    status: String,
    drawn: bool,
}

/// Which stream gets colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Colours {
    pub(crate) stdout: bool,
    pub(crate) stderr: bool,
}

impl Screen {
    pub(crate) fn new() -> Self {
        let stderr = io::stderr().is_terminal();
        let colours = Colours {
            stdout: Styles::of(&io::stdout()).are_coloured(),
            stderr: Styles::of(&io::stderr()).are_coloured(),
        };
        Self {
            out: Vec::with_capacity(2 * ENOUGH),
            err: Vec::new(),
            same_place: same_place(),
            stderr_is_terminal: stderr,
            colours,
            status: String::new(),
            drawn: false,
        }
    }

    pub(crate) fn colours(&self) -> Colours {
        self.colours
    }

    pub(crate) fn has_terminal(&self) -> bool {
        self.stderr_is_terminal
    }

    /// How wide a table may be.
    pub(crate) fn columns(&self) -> usize {
        let columns = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
        columns.unwrap_or(80)
    }

    /// Collects for stdout.
    pub(crate) fn stdout(&mut self, bytes: &[u8]) -> Result<(), ShowError> {
        self.write_stdout(|out| out.extend_from_slice(bytes))
    }

    /// Collects for stdout what `write` appends.
    pub(crate) fn write_stdout(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> Result<(), ShowError> {
        if self.same_place && !self.err.is_empty() {
            self.flush()?;
        }
        write(&mut self.out);
        if self.out.len() >= ENOUGH { self.flush() } else { Ok(()) }
    }

    /// Collects for stderr.
    pub(crate) fn stderr(&mut self, bytes: &[u8]) -> Result<(), ShowError> {
        self.write_stderr(|err| err.extend_from_slice(bytes))
    }

    /// Collects for stderr what `write` appends.
    pub(crate) fn write_stderr(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> Result<(), ShowError> {
        if self.same_place && !self.out.is_empty() {
            self.flush()?;
        }
        write(&mut self.err);
        if self.err.len() >= ENOUGH { self.flush() } else { Ok(()) }
    }

    /// A line of our own, on stderr.
    pub(crate) fn message(&mut self, text: &str) -> Result<(), ShowError> {
        self.write_stderr(|err| {
            err.extend_from_slice(b"phalanx: ");
            err.extend_from_slice(printable(text).as_bytes());
            err.push(b'\n');
        })
    }

    /// Changes the status line, which is drawn with the next flush.
    pub(crate) fn set_status(&mut self, status: &str) {
        if self.status != status {
            status.clone_into(&mut self.status);
            self.redraw();
        }
    }

    /// Writes what was collected.
    pub(crate) fn flush(&mut self) -> Result<(), ShowError> {
        if self.out.is_empty() && self.err.is_empty() {
            return Ok(());
        }
        self.erase();
        // Both, even if the first fails: they may lead to different places.
        let out = write(&mut self.out, &mut io::stdout().lock(), "stdout");
        let err = write(&mut self.err, &mut io::stderr().lock(), "stderr");
        self.redraw();
        out.and(err)
    }

    fn erase(&mut self) {
        if std::mem::take(&mut self.drawn) {
            // Only looks are at stake.
            let _ = io::stderr().lock().write_all(b"\r\x1b[K");
        }
    }

    fn redraw(&mut self) {
        self.erase();
        if !self.status.is_empty() {
            let _ = io::stderr().lock().write_all(self.status.as_bytes());
            self.drawn = true;
        }
    }
}

fn write(bytes: &mut Vec<u8>, to: &mut impl io::Write, name: &'static str) -> Result<(), ShowError> {
    let written = to.write_all(bytes).and_then(|()| to.flush());
    bytes.clear();
    written.map_err(|error| ShowError { to: name, error })
}

/// Whether both streams lead to the same place, so that their order can be seen.
fn same_place() -> bool {
    let place = |path| std::fs::metadata(path).map(|meta| (meta.dev(), meta.ino())).ok();
    let (out, err) = (place("/proc/self/fd/1"), place("/proc/self/fd/2"));
    out.is_some() && out == err
}

/// Text from elsewhere in a message of ours, without what a terminal would obey.
fn printable(text: &str) -> String {
    text.chars().map(|char| if char.is_control() { char::REPLACEMENT_CHARACTER } else { char }).collect()
}
