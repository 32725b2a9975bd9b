//! Processes handled properly: started without forking, read without blocking, ended without leftovers, and judged by
//! a list you can read.
//!
//! The life of a process is a pure state machine, the [`table`]; an engine drives it with the reactor of
//! `phalanx-core`. There are two ways to turn one [`engine`] and one handle to it: on a thread of its own, or on the
//! caller's thread whenever that waits. [`Process`] is a handle to a process of either.
//!
//! ```
//! use phalanx_process::Process;
//!
//! let process = Process::new("uname -s").run().check()?;
//! assert_eq!(process.stdout(), b"Linux\n");
//! # Ok::<(), phalanx_process::process::ProcessesFailed>(())
//! ```
//!
//! Modules in reading order: [`id`] names, [`spec`] describes, [`event`] lists what crosses the border of the
//! [`table`], [`output`] keeps what was said, [`outcome`] says how it ended, [`result`] what became of its host.
//! [`engine`] drives, [`handler`]s hear, [`subscription`]s iterate, a [`completion`] is waited for; [`process`] is the
//! handle. [`host`] names hosts, [`ssh`] makes a process of a command on one, [`forward`] makes a port of one behind it, and
//! [`serial`] a process of a serial line; a [`backend`] runs processes instead of the kernel. [`expect`] and [`lines`] find
//! things in what a process says; [`mod@watch`] and [`listeners`] let them listen to one. [`duration`], [`timer`] and
//! [`port`] serve those who write experiments.

pub mod backend;
pub mod completion;
pub mod engine;
pub mod forward;
pub mod handler;
pub mod host;
pub mod listeners;
pub mod port;
pub mod process;
pub mod result;
mod run;
pub mod serial;
pub mod spec;
mod spin;
pub mod ssh;
pub mod stats;
pub mod subscription;
pub mod timer;
pub mod watch;

pub use phalanx_core::tty;
pub use phalanx_proto::{
    ExitStatus, Signal, duration, event, expect, id, job, lines, mux, outcome, output, policy, rollout, table, visible,
    workflow,
};
pub use process::Process;
pub use spec::Spec;
