//! Starts the members of a fan-out one after the other, as others end: the handler that joins a [`Fanout`] to an
//! engine.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use phalanx_process::event::Event;
use phalanx_process::handler::{Context, Handler};
use phalanx_process::id::TimerId;

use crate::fanout::Fanout;

/// Lets other threads call the rest of a crew off.
#[derive(Debug, Clone, Default)]
pub struct CallOff(Arc<AtomicBool>);

impl CallOff {
    /// Nobody more is started; who runs goes on.
    pub fn call_off(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    /// Whether it was called off.
    #[must_use]
    pub fn is_called_off(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// Members that start as the fan-out allows.
///
/// `start` starts the member at an index, through the context; `over` is called once, when nobody runs, nobody will be
/// started, and all who wait for a member have been told of its end.
pub struct Crew<S, O> {
    fanout: Fanout,
    start: S,
    over: Option<O>,
    call_off: CallOff,
    /// The timer that ends it all.
    curtain: Option<TimerId>,
}

impl<S, O> std::fmt::Debug for Crew<S, O> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Crew").field("fanout", &self.fanout).finish_non_exhaustive()
    }
}

impl<S, O> Crew<S, O>
where
    S: FnMut(&mut Context<'_>, usize) + Send,
    O: FnOnce() + Send,
{
    /// A crew that starts when it is attached to an engine.
    pub fn new(fanout: Fanout, call_off: CallOff, start: S, over: O) -> Self {
        Self { fanout, start, over: Some(over), call_off, curtain: None }
    }

    fn fill(&mut self, context: &mut Context<'_>) {
        if self.call_off.is_called_off() {
            self.fanout.call_off();
        }
        while let Some(member) = self.fanout.start_next() {
            (self.start)(context, member);
        }
        if self.fanout.is_over() && self.curtain.is_none() {
            // Not at once: handlers hear of an end before those who wait for it, and nobody may find an action over
            // that has a process still running.
            self.curtain = Some(context.timer(Duration::ZERO));
        }
    }
}

impl<S, O> Handler for Crew<S, O>
where
    S: FnMut(&mut Context<'_>, usize) + Send,
    O: FnOnce() + Send,
{
    fn on_event(&mut self, context: &mut Context<'_>, event: &Event) {
        match event {
            Event::Attached => self.fill(context),
            Event::Ended { .. } => {
                self.fanout.ended();
                self.fill(context);
            }
            Event::Timer { timer } if Some(*timer) == self.curtain => {
                if let Some(over) = self.over.take() {
                    over();
                }
                context.farewell();
            }
            _ => {}
        }
    }
}
