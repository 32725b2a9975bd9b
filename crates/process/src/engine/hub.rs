//! Knows who listens to whom, and contains the one line in the workspace that runs user code.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use phalanx_proto::timers::Timers;

use super::{Hosting, Launches};
use crate::event::{Effect, Event, Notice, Request, Stream};
use crate::handler::{Context, Handler, Tidings, Wishes};
use crate::id::{HandlerId, ProcessId, TimerId};
use crate::slot::Slot;
use crate::subscription::{Feed, Gauge};
use crate::table::Table;

/// Handlers, waiters and subscribers.
#[derive(Default)]
pub(super) struct Hub {
    handlers: HashMap<HandlerId, Box<dyn Handler>>,
    /// How many processes each handler hears; it may be added to one before it is attached.
    hearing: HashMap<HandlerId, usize>,
    /// Handlers that nobody outside has a use for any more.
    disowned: HashSet<HandlerId>,
    routes: HashMap<ProcessId, Vec<HandlerId>>,
    timers: Timers<TimerId>,
    timer_owners: HashMap<TimerId, HandlerId>,
    slots: HashMap<ProcessId, Arc<Slot>>,
    feeds: Vec<Feed>,
    gauges: Vec<Gauge>,
    wishes: Wishes,
}

/// What a handler gets to work with, besides the hub itself.
pub(super) struct Ground<'a> {
    pub(super) table: &'a mut Table,
    pub(super) launches: &'a mut Launches,
    pub(super) hosting: &'a mut Hosting,
    pub(super) now: Instant,
}

impl Hub {
    pub(super) fn attach(&mut self, id: HandlerId, handler: Box<dyn Handler>, ground: Ground<'_>) {
        self.handlers.insert(id, handler);
        self.tell(id, Tidings::Event(&Event::Attached), ground);
    }

    /// Nobody outside has a use for it any more: it goes when it hears no process any more.
    pub(super) fn disown(&mut self, id: HandlerId) {
        if self.hearing.contains_key(&id) {
            self.disowned.insert(id);
        } else {
            self.handlers.remove(&id);
        }
    }

    pub(super) fn route(&mut self, process: ProcessId, handler: HandlerId) {
        let route = self.routes.entry(process).or_default();
        if !route.contains(&handler) {
            route.push(handler);
            *self.hearing.entry(handler).or_default() += 1;
        }
    }

    /// A process that this handler heard is over.
    fn unroute(&mut self, handler: HandlerId) {
        let Entry::Occupied(mut count) = self.hearing.entry(handler) else { return };
        *count.get_mut() -= 1;
        if *count.get() == 0 {
            count.remove();
            if self.disowned.remove(&handler) {
                self.handlers.remove(&handler);
            }
        }
    }

    pub(super) fn watch(&mut self, process: ProcessId, slot: Arc<Slot>) {
        self.slots.insert(process, slot);
    }

    pub(super) fn subscribe(&mut self, feed: Feed) {
        self.gauge(feed.gauge());
        self.feeds.push(feed);
    }

    pub(super) fn gauge(&mut self, gauge: Gauge) {
        self.gauges.retain(|gauge| !gauge.is_idle());
        self.gauges.push(gauge);
    }

    /// Whether some subscriber lags so far behind that reading more would only fill memory.
    pub(super) fn is_congested(&self) -> bool {
        self.gauges.iter().any(Gauge::is_congested)
    }

    /// Tells everybody concerned: handlers first, then waiters, then subscribers.
    pub(super) fn deliver(&mut self, event: &mut Event, mut ground: Ground<'_>) {
        if let Some(process) = event.process() {
            // The last event takes the route with it; the others borrow it for the time of the telling.
            let route = self.routes.remove(&process).unwrap_or_default();
            for &handler in &route {
                self.tell(handler, Tidings::Event(event), ground.reborrow());
            }
            if let Event::Ended { finished, .. } = event {
                // There is no record left to mark, so the event itself says it.
                for (_, blame) in self.wishes.blames.extract_if(.., |(blamed, _)| *blamed == process) {
                    Arc::make_mut(finished).blame(blame);
                }
            }
            if matches!(event, Event::Ended { .. }) {
                let added = self.routes.remove(&process).unwrap_or_default();
                route.into_iter().chain(added).for_each(|handler| self.unroute(handler));
            } else {
                self.restore(process, route);
            }
            self.tell_waiters(process, event, ground.now);
        }
        self.feeds.retain(|feed| feed.send(event));
    }

    /// Gives a route back, before whoever was added to it meanwhile.
    fn restore(&mut self, process: ProcessId, mut route: Vec<HandlerId>) {
        if let Some(added) = self.routes.remove(&process) {
            // Somebody added twice is told once: the count of routes must agree.
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
    pub(super) fn end_stream(&mut self, id: ProcessId, stream: Stream, mut ground: Ground<'_>) {
        let route = self.routes.remove(&id).unwrap_or_default();
        for &handler in &route {
            self.tell(handler, Tidings::Notice(&Notice::StreamEnded { id, stream }), ground.reborrow());
        }
        self.restore(id, route);
    }

    /// Gives one handler a notice.
    pub(super) fn notify(&mut self, handler: HandlerId, notice: Notice, ground: Ground<'_>) {
        self.tell(handler, Tidings::Notice(&notice), ground);
    }

    /// Has a backend perform an effect; whether it is there and did not panic.
    pub(super) fn perform(&mut self, backend: HandlerId, effect: &Effect, ground: Ground<'_>) -> bool {
        self.tell(backend, Tidings::Effect(effect), ground)
    }

    fn tell_waiters(&mut self, process: ProcessId, event: &Event, now: Instant) {
        match event {
            Event::Started { pid, .. } => {
                if let Some(slot) = self.slots.get(&process) {
                    slot.started(*pid, now);
                }
            }
            Event::Ended { finished, .. } => {
                if let Some(slot) = self.slots.remove(&process) {
                    slot.ended(Arc::clone(finished));
                }
            }
            Event::StdinDrained { .. } => {
                if let Some(slot) = self.slots.get(&process) {
                    slot.stdin_drained();
                }
            }
            _ => {}
        }
    }

    /// Expires one timer and tells its owner.
    pub(super) fn expire(&mut self, ground: Ground<'_>) -> Option<TimerId> {
        let timer = self.timers.expired(ground.now)?;
        if let Some(owner) = self.timer_owners.remove(&timer) {
            self.tell(owner, Tidings::Event(&Event::Timer { timer }), ground);
        }
        Some(timer)
    }

    pub(super) fn next_timer(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// Whether somebody on another thread was told what it waited for since this was last asked.
    pub(super) fn take_answered(&mut self) -> bool {
        std::mem::take(&mut self.wishes.answered)
    }

    /// Runs one handler once; whether it is there and did not panic.
    fn tell(&mut self, id: HandlerId, tidings: Tidings<'_>, mut ground: Ground<'_>) -> bool {
        let Some(handler) = self.handlers.get_mut(&id) else { return false };
        let Ground { table, launches, hosting, now } = ground.reborrow();
        let mut context = Context { table, launches, hosting, wishes: &mut self.wishes, me: id, now };
        // AssertUnwindSafe: the table and the wishes only ever grow by whole entries, and a handler that panicked may
        // find its own state half done, which is its author's business.
        let run = catch_unwind(AssertUnwindSafe(|| match tidings {
            Tidings::Event(event) => handler.on_event(&mut context, event),
            Tidings::Notice(notice) => handler.on_notice(&mut context, notice),
            Tidings::Effect(effect) => handler.on_effect(&mut context, effect),
        }));
        if run.is_err()
            && let Some(process) = tidings.process()
        {
            context.request(process, Request::HandlerPanicked);
        }
        self.grant(ground);
        let Err(panic) = run else { return true };
        let text = panic_text(&*panic);
        match tidings.process() {
            Some(process) => log::error!("a handler of {process} panicked: {text}"),
            None => log::error!("a handler panicked: {text}"),
        }
        false
    }

    fn grant(&mut self, ground: Ground<'_>) {
        for (process, handler) in std::mem::take(&mut self.wishes.routes) {
            self.route(process, handler);
        }
        self.slots.extend(self.wishes.slots.drain(..));
        for (deadline, timer, handler) in self.wishes.timers.drain(..) {
            self.timers.insert(deadline, timer);
            self.timer_owners.insert(timer, handler);
        }
        for handler in self.wishes.farewells.drain(..) {
            self.handlers.remove(&handler);
            ground.hosting.gone(handler, ground.table, ground.now);
        }
    }
}

impl Ground<'_> {
    pub(super) fn reborrow(&mut self) -> Ground<'_> {
        Ground { table: self.table, launches: self.launches, hosting: self.hosting, now: self.now }
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no text")
}
