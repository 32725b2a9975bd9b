//! Our own stdout and stderr: buffered, in order, with one status line that never gets between.
//!
//! Each stream is collected and written in one piece per turn. Where both lead to the same place (a terminal, `2>&1`),
//! what was collected for one is written before anything is collected for the other, so that the order of arrival
//! survives. The status line is erased before, and drawn again after, anything else is written to a terminal. The
//! writing itself is done by a [`Writer`], which may be held up without holding us up.

use std::io::{self, IsTerminal as _};
use std::os::unix::fs::MetadataExt as _;

use phalanx_config::configuration::Configuration;
use phalanx_config::style::Styles;
use phalanx_process::visible::visible;

use super::OutputError;
use super::writer::{Target, Writer};

/// Enough for a write to be worth its system call.
const ENOUGH: usize = 64 * 1024;

/// What one may write on.
#[derive(Debug)]
pub(crate) struct Console {
    out: Vec<u8>,
    err: Vec<u8>,
    same_place: bool,
    stderr_is_terminal: bool,
    styles: StreamStyles,
    status: String,
    drawn: bool,
    writer: Writer,
}

/// How things look on each stream.
#[derive(Debug, Clone)]
pub(crate) struct StreamStyles {
    pub(crate) stdout: Styles,
    pub(crate) stderr: Styles,
}

impl Console {
    /// Nothing written yet.
    ///
    /// # Errors
    /// When the system has no thread left for the writing.
    pub(crate) fn new(configuration: &Configuration) -> io::Result<Self> {
        let stderr = io::stderr().is_terminal();
        let styles =
            StreamStyles { stdout: configuration.styles(&io::stdout()), stderr: configuration.styles(&io::stderr()) };
        Ok(Self {
            out: Vec::with_capacity(2 * ENOUGH),
            err: Vec::new(),
            same_place: same_place(),
            stderr_is_terminal: stderr,
            styles,
            status: String::new(),
            drawn: false,
            writer: Writer::start()?,
        })
    }

    pub(crate) fn writer(&self) -> &Writer {
        &self.writer
    }

    pub(crate) fn styles(&self) -> &StreamStyles {
        &self.styles
    }

    pub(crate) fn has_terminal(&self) -> bool {
        // A dumb terminal cannot erase a line.
        self.stderr_is_terminal && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
    }

    /// How wide a table may be.
    pub(crate) fn columns(&self) -> usize {
        terminal_size::terminal_size().map_or(80, |(width, _)| usize::from(width.0))
    }

    /// Collects for stdout.
    pub(crate) fn stdout(&mut self, bytes: &[u8]) -> Result<(), OutputError> {
        self.write_stdout(|out| out.extend_from_slice(bytes))
    }

    /// Collects for stdout what `write` appends.
    pub(crate) fn write_stdout(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> Result<(), OutputError> {
        if self.same_place && !self.err.is_empty() {
            self.flush()?;
        }
        write(&mut self.out);
        if self.out.len() >= ENOUGH { self.flush() } else { Ok(()) }
    }

    /// Collects for stderr.
    pub(crate) fn stderr(&mut self, bytes: &[u8]) -> Result<(), OutputError> {
        self.write_stderr(|err| err.extend_from_slice(bytes))
    }

    /// Collects for stderr what `write` appends.
    pub(crate) fn write_stderr(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> Result<(), OutputError> {
        if self.same_place && !self.out.is_empty() {
            self.flush()?;
        }
        write(&mut self.err);
        if self.err.len() >= ENOUGH { self.flush() } else { Ok(()) }
    }

    /// A line of our own, on stderr.
    pub(crate) fn message(&mut self, text: &str) -> Result<(), OutputError> {
        self.write_stderr(|err| {
            err.extend_from_slice(b"phalanx: ");
            err.extend_from_slice(visible(text).as_bytes());
            err.push(b'\n');
        })
    }

    /// Changes the status line, cut to the width of the terminal: a wrapped line could not be erased.
    pub(crate) fn set_status(&mut self, status: &str) {
        let width = terminal_size::terminal_size_of(io::stderr()).map_or(80, |(width, _)| usize::from(width.0));
        let cut: String = status.chars().take(width.saturating_sub(1)).collect();
        if self.status != cut {
            self.status = cut;
            let mut bytes = self.erasure();
            bytes.extend(self.drawing());
            self.writer.push(Target::Stderr, bytes);
        }
    }

    /// Hands on what was collected.
    ///
    /// # Errors
    /// What went wrong with something handed on earlier.
    pub(crate) fn flush(&mut self) -> Result<(), OutputError> {
        if !self.out.is_empty() || !self.err.is_empty() {
            let erasure = self.erasure();
            self.writer.push(Target::Stderr, erasure);
            let out = std::mem::replace(&mut self.out, Vec::with_capacity(2 * ENOUGH));
            self.writer.push(Target::Stdout, out);
            let mut err = std::mem::take(&mut self.err);
            err.extend(self.drawing());
            self.writer.push(Target::Stderr, err);
        }
        self.writer.take_failure().map_or(Ok(()), Err)
    }

    /// What makes the status line disappear, if it is there.
    fn erasure(&mut self) -> Vec<u8> {
        if std::mem::take(&mut self.drawn) { b"\r\x1b[K".to_vec() } else { Vec::new() }
    }

    /// What makes it appear.
    fn drawing(&mut self) -> Vec<u8> {
        self.drawn = !self.status.is_empty();
        self.status.as_bytes().to_vec()
    }
}

/// Whether both streams lead to the same place, so that their order can be seen.
fn same_place() -> bool {
    let place = |path| std::fs::metadata(path).map(|meta| (meta.dev(), meta.ino())).ok();
    let (out, err) = (place("/proc/self/fd/1"), place("/proc/self/fd/2"));
    out.is_some() && out == err
}
