//! Moves bytes between children and the table, within bounds.
//!
//! Reading is edge triggered and bounded: a stream with more to give than one turn allows stands in a queue of its own
//! and is read on in the next turn, so that no child can keep the others waiting.

use std::os::fd::AsFd;

use phalanx_core::pipe::{self, ReadOutcome};

use super::super::driver::DriverCtx;
use super::super::stdin::Flushed;
use super::super::tokens::Source;
use super::{LocalChild, LocalDriver};
use crate::event::{Input, Stream};
use crate::id::ProcessId;

/// How many buffers one stream may fill in one turn.
const READS_PER_TURN: usize = 4;

impl LocalDriver {
    /// Reads and writes on with all that is ready, each within its bound.
    pub(super) fn move_bytes(&mut self, ctx: &mut DriverCtx<'_>) {
        for _ in 0..self.ready.len() {
            let Some((id, source)) = self.ready.pop_front() else { return };
            let more = match source {
                Source::Stdin => self.flush(id, ctx),
                _ => self.read(id, source, READS_PER_TURN, ctx),
            };
            if more {
                self.ready.push_back((id, source));
            }
        }
    }

    /// Reads at most `reads` buffers; whether there may be more. Only "would block" says that there is no more now: a
    /// terminal ctx out less than it has.
    pub(super) fn read(&mut self, id: ProcessId, source: Source, reads: usize, ctx: &mut DriverCtx<'_>) -> bool {
        let Some(live) = self.live.get_mut(&id) else { return false };
        for _ in 0..reads {
            let master = live.master.as_ref();
            let fd = match source {
                Source::Stdout => live.stdout.as_ref().map(|end| end.fd(master)),
                Source::Stderr => live.stderr.as_ref().map(|end| end.fd(master)),
                _ => live.diagnostics.as_ref().map(AsFd::as_fd),
            };
            let Some(fd) = fd else { return false };
            match pipe::read(fd, &mut self.buffer) {
                Ok(ReadOutcome::Bytes(count)) => ctx.input(id, said(source, &self.buffer[..count])),
                Ok(ReadOutcome::WouldBlock) => return false,
                Ok(ReadOutcome::EndOfFile) => {
                    live.close(source);
                    report_end(id, source, ctx);
                    return false;
                }
                Err(error) => {
                    log::error!("cannot read what {id} says: {error}");
                    live.close(source);
                    report_end(id, source, ctx);
                    return false;
                }
            }
        }
        true
    }

    /// Writes what its stdin takes; whether it would take more at once.
    pub(super) fn flush(&mut self, id: ProcessId, ctx: &mut DriverCtx<'_>) -> bool {
        let Some(live) = self.live.get_mut(&id) else { return false };
        let Some(stdin) = &mut live.stdin else { return false };
        let flushed = stdin.flush(live.master.as_ref());
        if let Err(error) = stdin.watch(id, &flushed, live.master.as_ref(), ctx.reactor) {
            log::error!("cannot watch the stdin of {id}: {error}");
        }
        match flushed {
            Flushed::Blocked => false,
            Flushed::More => {
                if !self.ready.contains(&(id, Source::Stdin)) {
                    self.ready.push_back((id, Source::Stdin));
                }
                false
            }
            Flushed::Drained { something } => {
                if stdin.close_when_empty {
                    live.stdin = None;
                }
                if something {
                    ctx.input(id, Input::StdinDrained);
                }
                false
            }
            Flushed::Failed => {
                live.stdin = None;
                ctx.input(id, Input::WriteFailed);
                false
            }
        }
    }
}

fn said(source: Source, bytes: &[u8]) -> Input<'_> {
    match source {
        Source::Stdout => Input::Bytes(Stream::Stdout, bytes),
        Source::Stderr => Input::Bytes(Stream::Stderr, bytes),
        _ => Input::Diagnostics(bytes),
    }
}

fn report_end(id: ProcessId, source: Source, ctx: &mut DriverCtx<'_>) {
    match source {
        Source::Stdout => ctx.input(id, Input::Eof(Stream::Stdout)),
        Source::Stderr => ctx.input(id, Input::Eof(Stream::Stderr)),
        _ => {}
    }
}

impl LocalChild {
    fn close(&mut self, source: Source) {
        match source {
            Source::Stdout => self.stdout = None,
            Source::Stderr => self.stderr = None,
            _ => self.diagnostics = None,
        }
    }
}
