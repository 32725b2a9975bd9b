//! Packs a process and what became ready of it into the one number that the reactor knows.

use crate::id::ProcessId;

/// What a key of the reactor stands for, besides its process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Exit,
    Stdout,
    Stderr,
    Stdin,
    Diagnostics,
    Terminal,
}

/// The number of low bits of a key that hold the role.
const ROLE_BITS: u32 = 3;

pub(super) fn key(id: ProcessId, role: Role) -> u64 {
    id.number() << ROLE_BITS | role as u64
}

pub(super) fn from_key(key: u64) -> (ProcessId, Role) {
    let role = match key & ((1 << ROLE_BITS) - 1) {
        0 => Role::Exit,
        1 => Role::Stdout,
        2 => Role::Stderr,
        3 => Role::Stdin,
        4 => Role::Diagnostics,
        _ => Role::Terminal,
    };
    (ProcessId::from_number(key >> ROLE_BITS), role)
}
