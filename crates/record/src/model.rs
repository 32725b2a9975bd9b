//! What a record says, once it is read.

use std::borrow::Cow;
use std::collections::HashMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use phalanx_process::event::Stream;
use phalanx_process::result::{ResultClass, ResultKind};

use super::read::Skipped;

/// What one file recorded.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Record {
    /// Where it was read.
    pub source: String,
    /// The commands that were run, in order.
    pub steps: Vec<Step>,
    /// The lines that could not be read.
    pub skipped: Option<Skipped>,
    /// It ends in the middle of a line: whoever wrote it was killed, or its disk was full.
    pub torn: bool,
}

impl Record {
    /// The hosts that have to be looked at again, in the order of the record: those whose last step did not end well,
    /// or is not known to have ended.
    #[must_use]
    pub fn failed_hosts(&self) -> Vec<String> {
        let mut order = Vec::new();
        let mut last = HashMap::new();
        for process in self.steps.iter().flat_map(|step| &step.processes) {
            if last.insert(process.node.as_str(), process.is_ok()).is_none() {
                order.push(process.node.as_str());
            }
        }
        order.into_iter().filter(|node| !last[node]).map(str::to_owned).collect()
    }
}

/// One command on some hosts.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Step {
    /// The command; `None` when the record has no line that says it, as with what `--json` prints.
    pub command: Option<String>,
    /// What it is called, if it is a step of a plan.
    pub title: Option<String>,
    /// How it got there: `ssh` or `exec`, where that is known.
    pub worker: Option<String>,
    /// The version of the program that recorded it, where that is known.
    pub phalanx: Option<String>,
    /// The time of its first event, in seconds since 1970.
    pub begin: f64,
    /// The time of its last event.
    pub last: f64,
    /// The exit status of the run; `None` when the record stops before its end.
    pub exit_status: Option<u8>,
    /// Its hosts, in the order of the run.
    pub processes: Vec<Process>,
}

impl Step {
    /// What it is called, or the command, or what is said in its place.
    #[must_use]
    pub fn name(&self) -> &str {
        self.title.as_deref().or(self.command.as_deref()).unwrap_or("(a command that is not in the record)")
    }
}

/// What is known of the command on one host.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Process {
    /// The host.
    pub node: String,
    /// When it was started, in seconds since 1970.
    pub started: Option<f64>,
    /// How it ended; `None` if the record does not tell.
    pub end: Option<End>,
    /// What it said.
    pub said: Said,
}

/// How a process ended.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct End {
    /// When, in seconds since 1970.
    pub time: f64,
    /// Whether all was well.
    pub ok: bool,
    /// What became of it, in a word of `docs/json.md`, or of a later version of that.
    pub result: String,
    /// The exit code, if it exited.
    pub exit_code: Option<i32>,
    /// The signal that ended it, by name.
    pub signal: Option<String>,
    /// It had to be killed.
    pub forced_kill: bool,
    /// How long it ran, in seconds.
    pub duration: Option<f64>,
    /// A sentence for people.
    pub message: String,
}

impl End {
    /// Returns what kind of result it is, unless its word is not known here.
    #[must_use]
    pub fn kind(&self) -> Option<ResultKind> {
        self.result.parse().ok()
    }
}

/// What stands for the result of a process whose end is not in the record.
pub(super) const UNFINISHED: &str = "unfinished";

impl Process {
    /// Whether it is known to have ended well.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.end.as_ref().is_some_and(|end| end.ok)
    }

    /// What became of it, in a word.
    #[must_use]
    pub fn result(&self) -> &str {
        self.end.as_ref().map_or(UNFINISHED, |end| &end.result)
    }

    /// What became of it, in a sentence.
    #[must_use]
    pub fn message(&self) -> Cow<'_, str> {
        match (&self.end, self.started) {
            (Some(end), _) if end.message.is_empty() => Cow::Borrowed(&end.result),
            (Some(end), _) => Cow::Borrowed(&end.message),
            (None, Some(_)) => Cow::Borrowed("unfinished: started, but the record does not tell its end"),
            (None, None) => Cow::Borrowed("unfinished: not started when the record ends"),
        }
    }

    /// Returns what kind of result it has; `None` if the record does not tell its end, or has a word for it that is not
    /// known here.
    #[must_use]
    pub fn kind(&self) -> Option<ResultKind> {
        self.end.as_ref()?.kind()
    }

    /// Returns what became of it, at a glance; `None` if the record does not tell its end.
    #[must_use]
    pub fn class(&self) -> Option<ResultClass> {
        let end = self.end.as_ref()?;
        Some(match end.kind() {
            _ if end.ok => ResultClass::Ok,
            None | Some(ResultKind::Ok) => ResultClass::Failed,
            Some(kind) => kind.class(),
        })
    }

    /// When it began, as well as can be told.
    pub(super) fn begin(&self) -> Option<f64> {
        let end = self.end.as_ref();
        self.started.or_else(|| end.and_then(|end| Some(end.time - end.duration?)))
    }

    /// How long it took, in seconds.
    #[must_use]
    pub fn duration(&self) -> Option<f64> {
        let end = self.end.as_ref()?;
        end.duration.or_else(|| self.started.map(|started| (end.time - started).max(0.0)))
    }
}

/// What a process said, in order: all of it, or the last of it when that was too much to keep.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Said {
    /// The pieces, neighbours from different streams.
    pub pieces: Vec<Piece>,
    /// How many bytes it said in all.
    pub total: u64,
    kept: usize,
}

/// Some output from one stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// From where.
    pub stream: Stream,
    /// What.
    pub bytes: Vec<u8>,
}

impl Said {
    /// How many bytes in front were not kept.
    #[must_use]
    pub fn left_out(&self) -> u64 {
        self.total - self.kept as u64
    }

    /// Appends, and keeps up to twice `bound` for now, so that each byte is moved once at most.
    pub(super) fn push(&mut self, stream: Stream, bytes: &[u8], bound: usize) {
        self.total += bytes.len() as u64;
        self.kept += bytes.len();
        match self.pieces.last_mut() {
            Some(last) if last.stream == stream => last.bytes.extend_from_slice(bytes),
            _ => self.pieces.push(Piece { stream, bytes: bytes.to_vec() }),
        }
        if self.kept > 2 * bound {
            self.trim(bound);
        }
    }

    /// Keeps the last `bound` bytes.
    pub(super) fn trim(&mut self, bound: usize) {
        let mut excess = self.kept.saturating_sub(bound);
        self.kept -= excess;
        let mut gone = 0;
        while let Some(piece) = self.pieces.get(gone).filter(|piece| piece.bytes.len() <= excess) {
            excess -= piece.bytes.len();
            gone += 1;
        }
        self.pieces.drain(..gone);
        if let Some(first) = self.pieces.first_mut() {
            first.bytes.drain(..excess);
        }
    }

    /// What was kept of one stream.
    #[must_use]
    pub fn of(&self, stream: Stream) -> Vec<u8> {
        let pieces = self.pieces.iter().filter(|piece| piece.stream == stream);
        pieces.flat_map(|piece| piece.bytes.iter().copied()).collect()
    }
}

/// A time of the record as a date; the reader let only those pass that can be one.
pub(super) fn date(seconds: f64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs_f64(seconds.max(0.0))
}
