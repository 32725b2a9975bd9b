//! User code that hears events on the engine's thread, and what it may ask for there.
//!
//! A handler gets a [`Context`]: it may ask for anything (start, kill, write, a timer) and wait for nothing. What it
//! asks for happens after it has returned. Being slow is its only way to do harm: while it runs, nothing else does,
//! and a turn of more than 100 ms is named in the log.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::engine::{EngineState, Insertion};
use crate::event::{Effect, Event, Input, Kill, Notification, Request, Stream};
use crate::id::{HandlerId, ProcessId, TimerId};
use crate::outcome::LateFailure;
use crate::output::Captured;
use crate::spec::{Launch, Spec};

/// Code that hears events. One instance may hear those of many processes.
///
/// The order is guaranteed: `Started` first, then the output of each stream in the order of writing, `Ended` last and
/// exactly once. (A process that could not be started has no `Started`.) Between stdout and stderr there is no order.
///
/// A handler that was added to a process also hears when one of its streams has ended, after all that was said on it,
/// and when the process is reset ([`Notification`]).
///
/// A panic in a handler is caught and logged; it makes the process that the event was about "not ok", and harms
/// no other process: the other handlers hear the event too, and this one hears the next.
pub trait Handler: Send {
    /// Hears one event.
    fn on_event(&mut self, context: &mut Context<'_>, event: &Event);

    /// Hears what concerns handlers only. Most do not care.
    fn on_notification(&mut self, _context: &mut Context<'_>, _notification: &Notification) {}

    /// Performs an effect on a process of which this handler is the [backend](crate::backend), or begins to; it is
    /// answered, now or later, by [`Context::answer`].
    fn on_effect(&mut self, _context: &mut Context<'_>, _effect: &Effect) {}
}

/// What a handler can be told.
#[derive(Debug, Clone, Copy)]
pub(crate) enum HandlerCall<'a> {
    Event(&'a Event),
    Notification(&'a Notification),
    Effect(&'a Effect),
}

impl HandlerCall<'_> {
    pub(crate) fn process(&self) -> Option<ProcessId> {
        match self {
            Self::Event(event) => event.process(),
            Self::Notification(notification) => notification.process(),
            Self::Effect(effect) => Some(effect.process()),
        }
    }
}

impl<F: FnMut(&mut Context<'_>, &Event) + Send> Handler for F {
    fn on_event(&mut self, context: &mut Context<'_>, event: &Event) {
        self(context, event);
    }
}

/// What a handler may ask for.
pub struct Context<'a> {
    pub(crate) state: &'a mut EngineState,
    pub(crate) me: HandlerId,
}

impl fmt::Debug for Context<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").field("handler", &self.me).finish_non_exhaustive()
    }
}

impl Context<'_> {
    /// Starts a process whose events this handler will hear; its output too, after a [`Request::EmitOutput`].
    pub fn start(&mut self, id: ProcessId, spec: Spec) {
        self.state.enter(id, spec);
        self.state.deferred.routes.push((id, self.me));
        self.request(id, Request::Start);
    }

    /// As [`Context::start`], for a process that has a handle.
    pub(crate) fn start_watched(&mut self, insertion: Insertion) {
        let Insertion { id, spec, run, handlers, emits_output } = insertion;
        self.state.deferred.runs.extend(run.map(|run| (id, run)));
        let is_heard = emits_output || !handlers.is_empty();
        self.state.deferred.routes.extend(handlers.into_iter().map(|handler| (id, handler)));
        self.start(id, spec);
        if is_heard {
            self.request(id, Request::EmitOutput);
        }
    }

    /// From now on this handler hears the events of that process too.
    pub(crate) fn hear(&mut self, id: ProcessId) -> ProcessId {
        self.state.deferred.routes.push((id, self.me));
        id
    }

    /// Asks something of a process. One that is unknown or has ended is not an error: late is normal.
    pub fn request(&mut self, id: ProcessId, request: Request) {
        if self.state.table.contains(id) {
            return self.state.request(id, request);
        }
        let failure = match request {
            Request::ExpectFailed => LateFailure::ExpectFailed,
            Request::Fail(reason) => LateFailure::Failed(reason),
            Request::HandlerFailed(reason) => LateFailure::HandlerFailed(reason),
            _ => return,
        };
        // Its end is still to be told, or is being told.
        if self.state.launches.contains_key(&id) {
            self.state.deferred.late_failures.push((id, failure));
        }
    }

    /// Says what became of a process of which this handler is the [backend](crate::backend). What cannot be (of a process
    /// that has ended, or that another runs) is ignored: late is normal.
    pub fn answer(&mut self, id: ProcessId, input: Input<'_>) {
        let EngineState { table, hosted, now, .. } = &mut *self.state;
        hosted.answer(self.me, id, input, table, *now);
    }

    /// Returns how a process is described that has not ended: what a [backend](crate::backend) is to start.
    #[must_use]
    pub fn launch(&self, id: ProcessId) -> Option<Arc<Launch>> {
        self.state.launches.get(&id).cloned()
    }

    /// Ends a process politely: SIGTERM to its group, then SIGKILL after its grace.
    pub fn kill(&mut self, id: ProcessId) {
        self.request(id, Request::Kill(Kill::default()));
    }

    /// Returns what has been kept so far of a stream of a process that has not ended.
    #[must_use]
    pub fn captured(&self, id: ProcessId, stream: Stream) -> Option<&Captured> {
        self.state.table.captured(id, stream)
    }

    /// Asks for an [`Event::Timer`] after `delay`.
    pub fn timer(&mut self, delay: Duration) -> TimerId {
        let timer = TimerId::new();
        if let Some(deadline) = self.state.now.checked_add(delay) {
            self.state.deferred.timers.push((deadline, timer, self.me));
        }
        timer
    }

    /// Returns whether a stream of a process may still bring something; `None` when the process has ended or is unknown.
    #[must_use]
    pub fn is_open(&self, id: ProcessId, stream: Stream) -> Option<bool> {
        self.state.table.is_open(id, stream)
    }

    /// Returns when this turn of the engine began: the time of all events of the turn.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.state.now
    }

    /// Returns the name of this handler, by which others [ask for its
    /// attention](crate::engine::EngineHandle::wake_handler).
    #[must_use]
    pub fn handler(&self) -> HandlerId {
        self.me
    }

    /// Removes this handler from the engine: it will hear nothing more.
    pub fn detach(&mut self) {
        self.state.deferred.detached.push(self.me);
    }
}
