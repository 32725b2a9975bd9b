//! The examples: each is a program of its own in `examples/*.rs`.
//!
//! The README follows, so that the Rust in it is compiled and run with the other examples of the documentation. Its
//! commands are run by `tests/it/documents.rs`.
#![doc = include_str!("../../README.md")]
