//! The pure state machines of Phalanx: what can happen to a process, what is looked for in its output, which member of a
//! job starts when.
//!
//! Nothing here opens a descriptor, reads a clock, starts a thread, calls back or logs. A machine is fed with `handle_*`
//! and asked with `poll_*`; the time is an argument. (quinn-proto is the model.) So every test runs whole lives in
//! virtual time, and the wall is Cargo's: the crates that perform system calls depend on this one, never the reverse.
//!
//! Modules in reading order:
//! 1. [`id`]: names of processes, handlers and timers, never reused.
//! 2. [`signal`]: signals by number and name, and how a process ended.
//! 3. [`policy`]: how a process is treated and judged.
//! 4. [`event`]: everything that crosses the border of the table.
//! 5. [`table`]: the only place where a process changes state.
//! 6. [`output`]: keeps what a process wrote; [`outcome`]: how it ended, and whether that is ok.
//! 7. [`lines`] and [`expect`]: find things in a stream, incrementally.
//! 8. [`rollout`] and [`job`]: the same work on many members, and which of them starts when; [`workflow`]: steps, and
//!    what the end of one leads to.
//! 9. [`mux`]: sessions over an ssh connection that exists, as OpenSSH's masters offer them.
//! 10. [`timers`] and [`duration`]: deadlines in a heap, and spans of time as people write them. [`visible`]: text from
//!     elsewhere, safe to show.

#![forbid(unsafe_code)]

pub mod duration;
pub mod event;
pub mod expect;
pub mod id;
pub mod job;
pub mod lines;
pub mod mux;
pub mod outcome;
pub mod output;
pub mod policy;
pub mod rollout;
pub mod signal;
pub mod table;
pub mod timers;
pub mod visible;
pub mod workflow;

pub use signal::{ExitStatus, Signal};
