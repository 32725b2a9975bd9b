//! `--record`: the events of a run in a file, written while they happen.
//!
//! What has happened when Phalanx is killed can be read afterwards: nothing is held back longer than a turn of the
//! engine, and what a turn brought is appended in one piece (`O_APPEND`). It is not forced to the disk, so a crash of
//! the whole machine may cost the last seconds.
//!
//! A record that holds something is never touched. One that cannot be written any more does not stop the run, which is
//! what the user came for: it is said once, and it counts as a failure. Later events are tried all the same, each on a
//! line of its own, for somebody may make room.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use phalanx_action::rollout::Retry;
use phalanx_process::event::Stream;
use phalanx_process::outcome::Outcome;
use phalanx_process::result::HostResult;

use super::events::Events;
use crate::run::{Plan, Tally};

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

/// The file of a record, to which events are appended.
#[derive(Debug)]
pub(crate) struct RecordFile {
    path: PathBuf,
    file: File,
    lines: Vec<u8>,
    /// The last write was cut off: the next begins with a newline, so that it loses only that one.
    torn: bool,
    /// Something could not be written.
    incomplete: bool,
}

impl RecordFile {
    /// Begins a record, with these lines.
    pub(crate) fn begin(path: &Path, lines: Vec<u8>) -> Result<Self, RecordError> {
        let failed = |error| RecordError::Io { path: path.to_owned(), error };
        let file = OpenOptions::new().create(true).append(true).open(path).map_err(failed)?;
        if file.metadata().map_err(failed)?.len() > 0 {
            return Err(RecordError::NotEmpty(path.to_owned()));
        }
        let mut record = Self { path: path.to_owned(), file, lines, torn: false, incomplete: false };
        match record.write() {
            Ok(()) => Ok(record),
            Err(error) => Err(RecordError::Io { path: record.path, error }),
        }
    }

    /// Appends what `write` does.
    pub(crate) fn append(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        write(&mut self.lines);
        if self.lines.len() >= ENOUGH {
            self.flush();
        }
    }

    /// Whether something could not be written.
    pub(crate) fn is_incomplete(&self) -> bool {
        self.incomplete
    }

    /// Writes what has happened.
    pub(crate) fn flush(&mut self) {
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

/// The record of a run under way.
#[derive(Debug)]
pub(crate) struct Record {
    file: RecordFile,
    events: Events,
}

impl Record {
    /// Begins a record: it says what is about to be run.
    pub(crate) fn begin(path: &Path, plan: &Plan) -> Result<Self, RecordError> {
        let mut lines = Vec::with_capacity(2 * ENOUGH);
        Events::run(plan, &mut lines);
        Ok(Self { file: RecordFile::begin(path, lines)?, events: Events::default() })
    }

    pub(crate) fn started(&mut self, node: &str, pid: u32) {
        self.file.append(|lines| Events::started(node, pid, lines));
    }

    pub(crate) fn output(&mut self, host: usize, node: &str, stream: Stream, bytes: &[u8]) {
        self.file.append(|lines| self.events.output(host, node, stream, bytes, lines));
    }

    pub(crate) fn retry(&mut self, host: usize, node: &str, verdict: &HostResult, retry: Retry) {
        self.file.append(|lines| self.events.retry(host, node, verdict, retry, lines));
    }

    pub(crate) fn ended(&mut self, host: usize, node: &str, verdict: &HostResult, outcome: &Outcome) {
        self.file.append(|lines| self.events.ended(host, node, verdict, Some(outcome), lines));
    }

    pub(crate) fn summary(&mut self, plan: &Plan, tally: &Tally, exit_status: u8) {
        self.file.append(|lines| self.events.summary(plan, tally, exit_status, lines));
        self.file.flush();
    }

    /// Whether something could not be written.
    pub(crate) fn is_incomplete(&self) -> bool {
        self.file.is_incomplete()
    }

    /// Writes what has happened.
    pub(crate) fn flush(&mut self) {
        self.file.flush();
    }
}
