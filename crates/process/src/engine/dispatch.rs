//! Knows who listens to whom, and contains the one line in the workspace that runs user code.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use phalanx_proto::timers::Timers;

use super::state::EngineState;
use super::{log_guarded, log_panic, panic_text};
use crate::event::{Effect, Event, Notification, Request, Stream};
use crate::handler::{Context, Handler, HandlerCall};
use crate::id::{HandlerId, ProcessId, TimerId};
use crate::run::RunState;
use crate::subscription::{Backlog, EventSender};

/// Handlers, handles and subscribers.
#[derive(Default)]
pub(super) struct Dispatcher {
    handlers: HashMap<HandlerId, Box<dyn Handler>>,
    /// How many processes each handler hears; it may be added to one before it is attached.
    refcounts: HashMap<HandlerId, usize>,
    /// Handlers without an owner outside; removed with the last of their processes.
    released: HashSet<HandlerId>,
    routes: HashMap<ProcessId, Vec<HandlerId>>,
    timers: Timers<TimerId>,
    timer_owners: HashMap<TimerId, HandlerId>,
    runs: HashMap<ProcessId, Arc<RunState>>,
    subscribers: Vec<EventSender>,
    backlogs: Vec<Backlog>,
}

impl Dispatcher {
    pub(super) fn attach(&mut self, id: HandlerId, handler: Box<dyn Handler>, state: &mut EngineState) {
        self.handlers.insert(id, handler);
        self.call_handler(id, HandlerCall::Event(&Event::Attached), state);
    }

    /// Releases a handler that has no owner outside any more: it is removed once it hears no process.
    pub(super) fn release(&mut self, id: HandlerId) {
        if self.refcounts.contains_key(&id) {
            self.released.insert(id);
        } else {
            self.remove(id);
        }
    }

    /// Removes a handler. What it holds is the user's, and may panic when it is dropped.
    fn remove(&mut self, id: HandlerId) {
        let Some(handler) = self.handlers.remove(&id) else { return };
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| drop(handler))) {
            log_panic("what a handler held", &*panic);
        }
    }

    /// Removes all handlers without calling them: the engine has ended.
    pub(super) fn remove_all(&mut self) {
        let ids: Vec<_> = self.handlers.keys().copied().collect();
        ids.into_iter().for_each(|id| self.remove(id));
        self.subscribers.clear();
    }

    /// Tells the handles that wait for this event, without calling handlers: the engine has ended.
    pub(super) fn finish(&mut self, event: &Event, now: Instant) {
        if let Some(process) = event.process() {
            self.tell_handles(process, event, now);
        }
    }

    /// Takes the runs whose end has not been told.
    pub(super) fn take_runs(&mut self) -> impl Iterator<Item = (ProcessId, Arc<RunState>)> + use<> {
        std::mem::take(&mut self.runs).into_iter()
    }

    pub(super) fn route(&mut self, process: ProcessId, handler: HandlerId) {
        let route = self.routes.entry(process).or_default();
        if !route.contains(&handler) {
            route.push(handler);
            *self.refcounts.entry(handler).or_default() += 1;
        }
    }

    /// A process that this handler heard has ended.
    fn unroute(&mut self, handler: HandlerId) {
        let Entry::Occupied(mut count) = self.refcounts.entry(handler) else { return };
        *count.get_mut() -= 1;
        if *count.get() == 0 {
            count.remove();
            if self.released.remove(&handler) {
                self.remove(handler);
            }
        }
    }

    /// Lets a handle know of this process.
    pub(super) fn watch(&mut self, process: ProcessId, run: Arc<RunState>) {
        self.runs.insert(process, run);
    }

    /// Whether a handle knows of this process, and so hears its events in its own ways.
    pub(super) fn has_handle(&self, process: ProcessId) -> bool {
        self.runs.contains_key(&process)
    }

    pub(super) fn subscribe(&mut self, subscriber: EventSender) {
        self.backlog(subscriber.backlog());
        self.subscribers.push(subscriber);
    }

    pub(super) fn backlog(&mut self, backlog: Backlog) {
        self.backlogs.retain(|backlog| !backlog.is_idle());
        self.backlogs.push(backlog);
    }

    /// Returns whether a subscriber lags so far behind that reading more would only fill memory.
    pub(super) fn is_congested(&self) -> bool {
        self.backlogs.iter().any(Backlog::is_congested)
    }

    /// Tells handlers first, then the handle of the process, then subscribers.
    pub(super) fn deliver(&mut self, event: &mut Event, state: &mut EngineState) {
        if let Some(process) = event.process() {
            // The last event takes the route with it; the others borrow it for the time of the telling.
            let route = self.routes.remove(&process).unwrap_or_default();
            for &handler in &route {
                self.call_handler(handler, HandlerCall::Event(event), state);
            }
            if let Event::Ended { finished, .. } = event {
                // There is no record left to mark, so the event itself says it.
                for (_, failure) in state.deferred.late_failures.extract_if(.., |(id, _)| *id == process) {
                    Arc::make_mut(finished).record_failure(failure);
                }
            }
            if matches!(event, Event::Ended { .. }) {
                let added = self.routes.remove(&process).unwrap_or_default();
                route.into_iter().chain(added).for_each(|handler| self.unroute(handler));
            } else {
                self.restore(process, route);
            }
            self.tell_handles(process, event, state.now);
        }
        self.subscribers.retain(|subscriber| subscriber.send(event));
    }

    /// Gives a route back, before the handlers that were added to it meanwhile.
    fn restore(&mut self, process: ProcessId, mut route: Vec<HandlerId>) {
        if let Some(added) = self.routes.remove(&process) {
            // A handler that was added twice is told once: the counts of routes must agree.
            for handler in added {
                if !route.contains(&handler) {
                    route.push(handler);
                } else {
                    self.unroute(handler);
                }
            }
        }
        if !route.is_empty() {
            self.routes.insert(process, route);
        }
    }

    /// Tells all handlers of a process that one of its streams has ended.
    pub(super) fn end_stream(&mut self, id: ProcessId, stream: Stream, state: &mut EngineState) {
        let route = self.routes.remove(&id).unwrap_or_default();
        for &handler in &route {
            self.call_handler(handler, HandlerCall::Notification(&Notification::StreamEnded { id, stream }), state);
        }
        self.restore(id, route);
    }

    /// Gives one handler a notification.
    pub(super) fn notify(&mut self, handler: HandlerId, notification: Notification, state: &mut EngineState) {
        self.call_handler(handler, HandlerCall::Notification(&notification), state);
    }

    /// Has a backend perform an effect. Returns whether it is there and did not panic.
    pub(super) fn perform(&mut self, backend: HandlerId, effect: &Effect, state: &mut EngineState) -> bool {
        self.call_handler(backend, HandlerCall::Effect(effect), state)
    }

    fn tell_handles(&mut self, process: ProcessId, event: &Event, now: Instant) {
        match event {
            Event::Started { pid, .. } => {
                if let Some(run) = self.runs.get(&process) {
                    run.started(*pid, now);
                }
            }
            Event::Ended { finished, .. } => {
                if let Some(run) = self.runs.remove(&process) {
                    run.ended(Arc::clone(finished));
                }
            }
            Event::StdinDrained { .. } => {
                if let Some(run) = self.runs.get(&process) {
                    run.stdin_drained();
                }
            }
            _ => {}
        }
    }

    /// Expires one timer and tells its owner.
    pub(super) fn expire(&mut self, state: &mut EngineState) -> Option<TimerId> {
        let timer = self.timers.expired(state.now)?;
        if let Some(owner) = self.timer_owners.remove(&timer) {
            self.call_handler(owner, HandlerCall::Event(&Event::Timer { timer }), state);
        }
        Some(timer)
    }

    pub(super) fn next_timer(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// Calls one handler: the one line that runs user code. Returns whether the handler is there and did not panic.
    fn call_handler(&mut self, id: HandlerId, call: HandlerCall<'_>, state: &mut EngineState) -> bool {
        let Some(handler) = self.handlers.get_mut(&id) else { return false };
        let mut context = Context { state, me: id };
        // AssertUnwindSafe: the state only ever grows by whole entries, and a handler that panicked may find its own state
        // half done, which is its author's business.
        let called = catch_unwind(AssertUnwindSafe(|| match call {
            HandlerCall::Event(event) => handler.on_event(&mut context, event),
            HandlerCall::Notification(notification) => handler.on_notification(&mut context, notification),
            HandlerCall::Effect(effect) => handler.on_effect(&mut context, effect),
        }));
        if let Err(panic) = &called {
            let reason = format!("it panicked: {}", panic_text(&**panic));
            match call.process() {
                Some(process) => {
                    log_guarded(log::Level::Error, format_args!("a handler of {process} failed: {reason}"));
                    context.request(process, Request::HandlerFailed(reason.into()));
                }
                None => log_guarded(log::Level::Error, format_args!("a handler failed: {reason}")),
            }
        }
        self.apply_deferred(state);
        called.is_ok()
    }

    /// Does what handlers asked of the engine.
    pub(super) fn apply_deferred(&mut self, state: &mut EngineState) {
        for (process, handler) in std::mem::take(&mut state.deferred.routes) {
            self.route(process, handler);
        }
        self.runs.extend(state.deferred.runs.drain(..));
        for (deadline, timer, handler) in state.deferred.timers.drain(..) {
            self.timers.insert(deadline, timer);
            self.timer_owners.insert(timer, handler);
        }
        for handler in std::mem::take(&mut state.deferred.detached) {
            self.remove(handler);
            state.hosted.backend_removed(handler, &mut state.table, state.now);
        }
    }
}
