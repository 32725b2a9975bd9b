//! Writes to one stdin, a pipe or a terminal, as much as it takes.

use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use phalanx_core::{Interest, Reactor, pipe};

use super::stdio::ParentEnd;
use super::tokens::{Source, key};
use crate::id::ProcessId;

/// How many writes one stdin may take in one turn.
const WRITES_PER_TURN: usize = 16;

pub(super) struct StdinPipe {
    pub(super) end: ParentEnd,
    pub(super) queue: VecDeque<Arc<[u8]>>,
    /// How much of the first of the queue has been written.
    written: usize,
    /// Whether readiness tells when it takes more.
    watched: bool,
    pub(super) close_when_empty: bool,
    /// Whether the last byte written left a line unfinished, which matters to a terminal.
    within_line: bool,
}

pub(super) enum Flushed {
    /// It takes no more now; readiness will tell.
    Blocked,
    /// It would take more, but others want their turn.
    More,
    /// All is written, and something was.
    Drained { something: bool },
    /// It will never take more.
    Failed,
}

impl StdinPipe {
    pub(super) fn new(end: ParentEnd) -> Self {
        let queue = VecDeque::new();
        Self { end, queue, written: 0, watched: false, close_when_empty: false, within_line: false }
    }

    /// Asks for the end. A pipe is closed once everything is written; a terminal is written its end-of-file character,
    /// and once more if the first only completes a line.
    pub(super) fn close(&mut self, master: Option<&OwnedFd>) {
        if std::mem::replace(&mut self.close_when_empty, true) || !matches!(self.end, ParentEnd::Terminal) {
            return;
        }
        let last = self.queue.back().and_then(|bytes| bytes.last());
        let within_line = last.map_or(self.within_line, |byte| *byte != b'\n');
        let character = master.map(phalanx_core::pty::end_of_input);
        match character {
            Some(Ok(Some(end))) => self.queue.push_back(vec![end; 1 + usize::from(within_line)].into()),
            Some(Err(error)) => log::warn!("cannot end the input of a terminal: {error}"),
            Some(Ok(None)) | None => {}
        }
    }

    /// Watches it from when it takes no more. A terminal, only until everything is written: it becomes writable whenever
    /// its program has read something, and a dialogue would be woken for that in every round.
    pub(super) fn watch(
        &mut self,
        id: ProcessId,
        flushed: &Flushed,
        master: Option<&OwnedFd>,
        reactor: &Reactor,
    ) -> io::Result<()> {
        let watched = match (flushed, &self.end) {
            (Flushed::Blocked, _) => true,
            (Flushed::Drained { .. }, ParentEnd::Terminal) => false,
            _ => self.watched,
        };
        if std::mem::replace(&mut self.watched, watched) == watched {
            return Ok(());
        }
        let fd = self.end.fd(master);
        match self.end {
            ParentEnd::Pipe(_) => reactor.register(fd, key(id, Source::Stdin), Interest::Writable),
            ParentEnd::Terminal if watched => reactor.reregister(fd, key(id, Source::Terminal), Interest::Both),
            ParentEnd::Terminal => reactor.reregister(fd, key(id, Source::Terminal), Interest::Readable),
        }
    }

    pub(super) fn flush(&mut self, master: Option<&OwnedFd>) -> Flushed {
        let something = !self.queue.is_empty();
        for _ in 0..WRITES_PER_TURN {
            let Some(first) = self.queue.front() else { return Flushed::Drained { something } };
            match pipe::write(self.end.fd(master), &first[self.written..]) {
                Ok(None) => return Flushed::Blocked,
                Ok(Some(count)) => self.written += count,
                Err(_) => return Flushed::Failed,
            }
            if self.written == first.len() {
                self.within_line = first.last().map_or(self.within_line, |byte| *byte != b'\n');
                self.queue.pop_front();
                self.written = 0;
            }
        }
        if self.queue.is_empty() { Flushed::Drained { something } } else { Flushed::More }
    }
}
