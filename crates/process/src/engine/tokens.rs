//! Packs a process and what became ready of it into the one number that the reactor knows.

use crate::id::ProcessId;

/// What a key of the reactor stands for, besides its process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    Exit,
    Stdout,
    Stderr,
    Stdin,
    Diagnostics,
    Terminal,
}

/// The number of low bits of a key that hold the role.
const ROLE_BITS: u32 = 3;

pub(super) fn key(id: ProcessId, role: Source) -> u64 {
    id.number() << ROLE_BITS | role as u64
}

pub(super) fn from_key(key: u64) -> (ProcessId, Source) {
    let role = match key & ((1 << ROLE_BITS) - 1) {
        0 => Source::Exit,
        1 => Source::Stdout,
        2 => Source::Stderr,
        3 => Source::Stdin,
        4 => Source::Diagnostics,
        _ => Source::Terminal,
    };
    (ProcessId::from_number(key >> ROLE_BITS), role)
}
