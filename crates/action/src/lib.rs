//! Many processes as one thing.

pub mod groups;
