//! The floor of Phalanx: one reactor, and every system call the rest of the house needs.
//!
//! This crate turns requests such as "start this program with these three ends" into system calls, and readiness
//! into plain values. It knows processes as pids and descriptors only. What a process *means* (its timeout, whether
//! it is `ok`, who listens to it) is the business of `phalanx-process`; no callback of anybody ever runs in here.
//!
//! All `unsafe` of the workspace lives in this crate, in six modules: [`spawn`] (a vfork-like clone),
//! [`child`] and [`escapees`] (waitid and pidfd signals), [`signal`] (kill), [`pty`] and [`serial`] (ioctl).
//!
//! Modules in reading order:
//! 1. [`reactor`]: waits for readiness and hands back the caller's keys.
//! 2. [`inbox`]: messages from other threads, one wake-up per batch.
//! 4. [`signal`]: names signals, and turns those sent to us into readiness.
//! 5. [`pipe`]: the ends of a child, read and written without blocking.
//! 6. [`spawn`]: a child with its own group and nothing inherited by accident.
//! 7. [`child`]: signals and reaps exactly the child that was meant.
//! 8. [`guardian`]: ends our children when we are killed with SIGKILL.
//! 9. [`escapees`]: finds what a child started and what left its group.
//! 10. [`limits`]: how many descriptors we may use.
//! 11. [`terminal`]: what ptys and serial lines have in common.
//! 12. [`pty`]: opens a pseudo-terminal for a child, without a fork.
//! 13. [`serial`]: opens a serial line, without `stty`.
//! 14. [`console`]: the terminal at which the user sits.
//!
//! Beside them, [`memory`] asks for large pages under large buffers.
//!
//! Linux is first class: pidfds, `PR_SET_PDEATHSIG`, memfd. What another Unix lacks stays behind the border of this
//! crate.

pub mod child;
pub mod console;
pub mod escapees;
pub mod guardian;
pub mod inbox;
pub mod limits;
pub mod memory;
pub mod pipe;
pub mod pty;
pub mod reactor;
pub mod serial;
pub mod signal;
pub mod spawn;
pub mod terminal;

pub use child::{Child, ExitStatus};
pub use reactor::{Interest, Reactor, Readiness};
pub use signal::Signal;
