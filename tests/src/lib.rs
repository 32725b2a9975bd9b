//! Support for whole-program tests: what stands around a test, never what it asserts.
//!
//! In reading order:
//! * [`Fleet`] is a private OpenSSH server in which every name `node*` is a host, and a few other names are hosts in
//!   trouble;
//! * [`shared_fleet`] starts one per test process, or reports the test as skipped by name;
//! * [`Namespaces`] are hosts with addresses of their own;
//! * [`wait_until`] waits for a condition, never for a time;
//! * [`Browser`] looks at a page;
//! * [`phalanx`] and [`child`] say where the programs under test and our own helper children are.
//!
//! The helper children are `src/bin/*.rs`, each with its behaviour in its header: `flood`, `closer`, `orphan`, `deaf`,
//! `trap`, `describe`.
//!
//! This library deliberately knows nothing of the crates of Phalanx, so that every one of them may use it in its own
//! tests.

mod browser;
mod fleet;
mod namespaces;
mod programs;
mod skip;
mod wait;

pub use browser::Browser;
pub use fleet::{Fleet, Missing, shared_fleet};
pub use namespaces::Namespaces;
pub use programs::{child, find_program, phalanx};
pub use skip::{nothing_is_skipped_here, require_program, skip};
pub use wait::{SAFETY_NET, wait_until};
