//! Placeholder until the first capability lands.

pub mod expect;
pub mod lines;
