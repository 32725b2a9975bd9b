//! The project's own commands, as a library so that the tests can call the same checks.
//!
//! In reading order: [`verbs`] is the list, [`step`] runs one command and remembers how it ended, [`install`] gets what
//! a machine lacks, [`test`](mod@test), [`ci`] and [`demo`] are compositions of those, [`tidy`] reads the source, [`help`] writes the help texts into the documents,
//! [`bench`](mod@bench) measures.

#![expect(clippy::print_stdout, reason = "these commands speak to the developer who called them")]
#![expect(clippy::print_stderr, reason = "these commands speak to the developer who called them")]

pub mod bench;
pub mod ci;
pub mod demo;
pub mod help;
pub mod install;
pub mod step;
pub mod test;
pub mod tidy;
pub mod verbs;
