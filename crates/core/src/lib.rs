//! Placeholder until the first capability lands.

pub mod pty;
pub mod serial;
pub mod terminal;
