//! Moves bytes between children and the table, within bounds.
//!
//! Reading is edge triggered and bounded: a stream with more to give than one turn allows stands in a queue of its own
//! and is read on in the next turn, so that no child can keep the others waiting.

use std::os::fd::AsFd;

use phalanx_core::pipe::{self, ReadOutcome};

use super::super::Hands;
use super::super::keys::Role;
use super::stdin::Flushed;
use super::{Children, Live};
use crate::event::{Input, Stream};
use crate::id::ProcessId;

/// How many buffers one stream may fill in one turn.
const READS_PER_TURN: usize = 4;

impl Children {
    /// Reads and writes on with all that is ready, each within its bound.
    pub(in crate::engine) fn advance(&mut self, hands: &mut Hands<'_>) {
        for _ in 0..self.ready.len() {
            let Some((id, role)) = self.ready.pop_front() else { return };
            let more = match role {
                Role::Stdin => self.flush(id, hands),
                _ => self.read(id, role, READS_PER_TURN, hands),
            };
            if more {
                self.ready.push_back((id, role));
            }
        }
    }

    /// Reads at most `reads` buffers; whether there may be more. Only "would block" says that there is no more now: a
    /// terminal hands out less than it has.
    pub(super) fn read(&mut self, id: ProcessId, role: Role, reads: usize, hands: &mut Hands<'_>) -> bool {
        let Some(live) = self.live.get_mut(&id) else { return false };
        for _ in 0..reads {
            let master = live.master.as_ref();
            let fd = match role {
                Role::Stdout => live.stdout.as_ref().map(|end| end.fd(master)),
                Role::Stderr => live.stderr.as_ref().map(|end| end.fd(master)),
                _ => live.diagnostics.as_ref().map(AsFd::as_fd),
            };
            let Some(fd) = fd else { return false };
            match pipe::read(fd, &mut self.buffer) {
                Ok(ReadOutcome::Bytes(count)) => hands.input(id, said(role, &self.buffer[..count])),
                Ok(ReadOutcome::WouldBlock) => return false,
                Ok(ReadOutcome::EndOfFile) => {
                    live.close(role);
                    report_end(id, role, hands);
                    return false;
                }
                Err(error) => {
                    log::error!("cannot read what {id} says: {error}");
                    live.close(role);
                    report_end(id, role, hands);
                    return false;
                }
            }
        }
        true
    }

    /// Writes what its stdin takes; whether it would take more at once.
    pub(super) fn flush(&mut self, id: ProcessId, hands: &mut Hands<'_>) -> bool {
        let Some(live) = self.live.get_mut(&id) else { return false };
        let Some(stdin) = &mut live.stdin else { return false };
        let flushed = stdin.flush(live.master.as_ref());
        if let Err(error) = stdin.watch(id, &flushed, live.master.as_ref(), hands.reactor) {
            log::error!("cannot watch the stdin of {id}: {error}");
        }
        match flushed {
            Flushed::Blocked => false,
            Flushed::More => {
                if !self.ready.contains(&(id, Role::Stdin)) {
                    self.ready.push_back((id, Role::Stdin));
                }
                false
            }
            Flushed::Drained { something } => {
                if stdin.close_when_empty {
                    live.stdin = None;
                }
                if something {
                    hands.input(id, Input::StdinDrained);
                }
                false
            }
            Flushed::Failed => {
                live.stdin = None;
                hands.input(id, Input::WriteFailed);
                false
            }
        }
    }
}

fn said(role: Role, bytes: &[u8]) -> Input<'_> {
    match role {
        Role::Stdout => Input::Bytes(Stream::Stdout, bytes),
        Role::Stderr => Input::Bytes(Stream::Stderr, bytes),
        _ => Input::Diagnostics(bytes),
    }
}

fn report_end(id: ProcessId, role: Role, hands: &mut Hands<'_>) {
    match role {
        Role::Stdout => hands.input(id, Input::Eof(Stream::Stdout)),
        Role::Stderr => hands.input(id, Input::Eof(Stream::Stderr)),
        _ => {}
    }
}

impl Live {
    fn close(&mut self, role: Role) {
        match role {
            Role::Stdout => self.stdout = None,
            Role::Stderr => self.stderr = None,
            _ => self.diagnostics = None,
        }
    }
}
