//! Placeholder until the first capability lands.

pub mod date;
pub mod duration;
pub mod expect;
pub mod lines;
pub mod port;
pub mod timer;
