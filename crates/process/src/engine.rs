//! Drives processes: one engine, which can be turned in two ways, in tokio's words.
//!
//! * [`Engine::background`]: on a thread of its own. Output is read and timeouts fire whatever the caller does. This is the
//!   model of execo and mitogen. [`EngineHandle::global`] is one that starts with the first process that needs it.
//! * [`Engine::current_thread`]: on the thread that made it, whenever that thread waits. This is the model of ClusterShell:
//!   for command lines, tests, and embedding in another loop. Nothing happens between the calls.
//!
//! Both give the same [`EngineHandle`], which is cheap to clone and may go to any thread; everything that can run runs on
//! either: processes, handlers, backends, and what is built of them.
//!
//! # Waiting
//! A wait ([`Process::wait`](crate::Process::wait), `expect`, a `write` to a process that is full) on the thread of a
//! current-thread engine turns that engine until it has come. On any other thread it blocks until the engine brings it: of
//! a current-thread engine, until its owner turns it.
//! A wait inside a handler is refused with a sentence, and so is an `.await` that is not ready: the engine would wait for
//! itself.
//!
//! # The end of an engine
//! A background engine ends with its last handle, a current-thread engine when it is dropped; either when it fails: when
//! a logger panics, or its descriptors are closed under it. Its children are killed, and every wait, future and later start
//! gets an outcome with the reason. An engine does not survive a `fork` without `exec`: in the child its handles refuse
//! everything with a sentence, since its thread and its children are the parent's. Start another one there.
//!
//! # Inside
//! ```text
//!  EngineHandle ──Message──▶ inbox ─▶ EventLoop::turn
//!            ┌────────────── settle, within 5 ms ───────────────┐
//!  events ◀──┤ table.poll_event  ▶ dispatch: handlers, handles   │
//!            │ table.poll_effect ▶ driver: local, serial, mux, … │
//!            └──────────────────────────────────────────────────┘
//!                 nothing left? wait in the reactor until the next deadline
//!                 readiness ▶ drivers read, write, notice exits ▶ table.handle_input
//!                 the time  ▶ table.handle_timeout
//! ```

mod backends;
mod background;
mod current_thread;
mod dispatch;
mod driver;
mod event_loop;
mod handle;
mod kill_descendants;
mod local;
mod message;
mod mux;
mod serial;
mod state;
mod stdin;
mod stdio;
mod this_thread;
mod tokens;

use std::panic::{AssertUnwindSafe, catch_unwind};

pub use self::current_thread::Engine;
pub use self::handle::{EngineHandle, WeakEngineHandle};
pub(crate) use self::message::{Insertion, Message};
pub(crate) use self::state::EngineState;
pub use self::this_thread::assert_may_block;

/// How an engine is made.
#[derive(Debug, Clone, Copy, Default)]
pub struct EngineOptions {
    /// Notification exits by SIGCHLD instead of by a pidfd for each child: a descriptor less for each, and a look at every
    /// child for each burst of exits. For kernels before 5.4, and where descriptors are scarce.
    pub sigchld: bool,
    /// Start no watchdog, a shell that ends what the children started when this program is killed with SIGKILL: for an
    /// engine that runs one short command.
    pub no_watchdog: bool,
}

/// Logs, and survives a logger that panics: one that prints, and whose reader has gone.
fn log_guarded(level: log::Level, words: std::fmt::Arguments<'_>) {
    // Nothing is left to say it with.
    let _ = catch_unwind(AssertUnwindSafe(|| log::log!(level, "{words}")));
}

/// Reports a panic of user code that was contained.
pub(crate) fn log_panic(what: &str, panic: &(dyn std::any::Any + Send)) {
    log_guarded(log::Level::Error, format_args!("{what} panicked: {}", panic_text(panic)));
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no text")
}
