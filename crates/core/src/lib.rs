//! The system calls of Phalanx: a reactor, and everything that the other crates need of the kernel.
//!
//! This crate turns requests such as "start this program with these three streams" into system calls, and readiness
//! into plain values. It knows processes as pids and descriptors only. What a process *means* (its timeout, whether
//! it is `ok`, who listens to it) is a matter of `phalanx-process`; no user code ever runs in here.
//!
//! All `unsafe` of the workspace lives in this crate, in six modules: [`spawn`] (a vfork-like clone),
//! [`child`] and [`descendants`] (waitid and pidfd signals), [`signal`] (kill), [`pty`] and [`serial`] (ioctl).
//!
//! Modules in reading order:
//! 1. [`reactor`]: waits for readiness and reports the caller's tokens.
//! 2. [`inbox`]: messages from other threads, one wake-up per batch.
//! 3. [`signal`]: signals sent to this program, as readiness.
//! 4. [`pipe`]: pipes to children, read and written without blocking.
//! 5. [`spawn`]: starts a child in a group of its own, with nothing inherited by accident.
//! 6. [`child`]: signals and reaps exactly the child that was meant.
//! 7. [`watchdog`]: ends our children when this program is killed with SIGKILL.
//! 8. [`descendants`]: finds descendants that have left a child's group.
//! 9. [`rlimit`]: the limit on open descriptors.
//! 10. [`terminal`]: what ptys and serial lines have in common.
//! 11. [`pty`]: opens a pseudo-terminal for a child, without a fork.
//! 12. [`serial`]: opens a serial line, without `stty`.
//! 13. [`tty`]: the terminal of the user.
//! 14. [`unix`]: connections to unix sockets, and descriptors passed over them.
//!
//! Beside them, [`hugepages`] asks for large pages under large buffers.
//!
//! Linux is first class: pidfds, `PR_SET_PDEATHSIG`, memfd. What another Unix lacks stays behind the border of this
//! crate.

pub mod child;
pub mod descendants;
pub mod hugepages;
pub mod inbox;
pub mod pipe;
pub mod pty;
pub mod reactor;
pub mod rlimit;
pub mod serial;
pub mod signal;
pub mod spawn;
pub mod terminal;
pub mod tty;
pub mod unix;
pub mod watchdog;

pub use child::{Child, ExitStatus};
pub use reactor::{Interest, Reactor, Ready};
pub use signal::Signal;
