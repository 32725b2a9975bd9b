//! An engine on a thread of its own.

use std::io;
use std::sync::mpsc;

use super::event_loop::EventLoop;
use super::{Engine, EngineHandle, EngineOptions, this_thread};

impl Engine {
    /// Starts an engine on a thread of its own, and returns the handle to it. It ends with the last handle, and no child of
    /// it lives on.
    ///
    /// # Errors
    /// When the system has no thread or descriptor left for it.
    pub fn background(options: EngineOptions) -> io::Result<EngineHandle> {
        let (made, ready) = mpsc::channel();
        let thread = std::thread::Builder::new().name("phalanx-engine".to_owned());
        // The engine is made on its thread: children die with the thread that started them.
        let thread = thread.spawn(move || match EventLoop::new(options, true) {
            Ok(event_loop) => {
                let _turning = this_thread::turning(event_loop.id());
                // The starter waits for exactly this.
                let _ = made.send(Ok(event_loop.mailbox()));
                drop(made);
                run(event_loop);
            }
            Err(error) => drop(made.send(Err(error))),
        })?;
        let mailbox = ready.recv().unwrap_or_else(|_| Err(io::Error::other("the engine ended as it started")))?;
        Ok(EngineHandle::new(mailbox, Some(thread)))
    }
}

fn run(mut event_loop: EventLoop) {
    while !event_loop.is_stopped() {
        if let Err(error) = event_loop.turn(None, &mut |_, _| {}) {
            // It has ended, and everything that waited knows.
            return event_loop.abandon_descriptors_after(&error);
        }
    }
}
