//! `--record`: the events of a job in a file, written while they happen.
//!
//! What has happened when Phalanx is killed can be read afterwards: nothing is held back longer than a turn of the
//! engine, and what a turn brought is appended in one piece (`O_APPEND`). It is not forced to the disk, so a crash of
//! the whole machine may cost the last seconds.
//!
//! A record that holds something is never touched. One that cannot be written any more does not stop the run, which is
//! what the user came for: it is said once, and it counts as a failure. Later events are tried all the same, each on a
//! line of its own, since there may be room again.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use phalanx_record::event::Event;

use super::json::Json;

/// Enough for a write to be worth its system call.
const ENOUGH: usize = 64 * 1024;

/// Nothing can be recorded, said before anything is started.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RecordError {
    #[error("cannot record into `{}` (--record): {error}", .path.display())]
    Io { path: PathBuf, error: io::Error },
    #[error("`{}` (--record) is not empty, and a record is never overwritten: name another file", .0.display())]
    NotEmpty(PathBuf),
}

/// The record of a job under way.
#[derive(Debug)]
pub(super) struct Record {
    path: PathBuf,
    file: File,
    json: Json,
    lines: Vec<u8>,
    /// The last write was cut off: the next begins with a newline, so that it loses only that one.
    torn: bool,
    /// Something could not be written.
    incomplete: bool,
}

impl Record {
    /// Begins a record, and writes its first event, if there is one.
    pub(super) fn begin(path: &Path, first: Option<&Event<'_>>) -> Result<Self, RecordError> {
        let failed = |error| RecordError::Io { path: path.to_owned(), error };
        let file = OpenOptions::new().create(true).append(true).open(path).map_err(failed)?;
        if file.metadata().map_err(failed)?.len() > 0 {
            return Err(RecordError::NotEmpty(path.to_owned()));
        }
        let mut lines = Vec::with_capacity(2 * ENOUGH);
        first.iter().for_each(|event| event.write(SystemTime::now(), &mut lines));
        let mut record =
            Self { path: path.to_owned(), file, json: Json::default(), lines, torn: false, incomplete: false };
        match record.write() {
            Ok(()) => Ok(record),
            Err(error) => Err(RecordError::Io { path: record.path, error }),
        }
    }

    /// Appends what `write` does.
    pub(super) fn append(&mut self, write: impl FnOnce(&mut Json, &mut Vec<u8>)) {
        write(&mut self.json, &mut self.lines);
        if self.lines.len() >= ENOUGH {
            self.flush();
        }
    }

    /// Whether something could not be written.
    pub(super) fn is_incomplete(&self) -> bool {
        self.incomplete
    }

    /// Writes what has happened.
    pub(super) fn flush(&mut self) {
        if let Err(error) = self.write()
            && !std::mem::replace(&mut self.incomplete, true)
        {
            log::error!("cannot record into `{}`: {error}; the run goes on, its record has gaps", self.path.display());
        }
    }

    fn write(&mut self) -> io::Result<()> {
        if self.lines.is_empty() {
            return Ok(());
        }
        if self.torn {
            self.lines.insert(0, b'\n');
        }
        let written = self.file.write_all(&self.lines);
        self.torn = written.is_err();
        self.lines.clear();
        written
    }
}
