//! Knows who listens to whom, and contains the one line in the workspace that runs user code.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use phalanx_core::timer::Timers;

use super::Launches;
use crate::event::{Event, Request};
use crate::handler::{Context, Handler, Wishes};
use crate::id::{HandlerId, ProcessId, TimerId};
use crate::slot::Slot;
use crate::subscription::Feed;
use crate::table::Table;

/// Handlers, waiters and subscribers.
#[derive(Default)]
pub(super) struct Hub {
    handlers: HashMap<HandlerId, Box<dyn Handler>>,
    routes: HashMap<ProcessId, Vec<HandlerId>>,
    timers: Timers<TimerId>,
    timer_owners: HashMap<TimerId, HandlerId>,
    slots: HashMap<ProcessId, Arc<Slot>>,
    feeds: Vec<Feed>,
    wishes: Wishes,
}

/// What a handler gets to work with, besides the hub itself.
pub(super) struct Ground<'a> {
    pub(super) table: &'a mut Table,
    pub(super) launches: &'a mut Launches,
    pub(super) now: Instant,
}

impl Hub {
    pub(super) fn attach(&mut self, id: HandlerId, handler: Box<dyn Handler>, ground: Ground<'_>) {
        self.handlers.insert(id, handler);
        self.tell(id, &Event::Attached, ground);
    }

    pub(super) fn route(&mut self, process: ProcessId, handler: HandlerId) {
        self.routes.entry(process).or_default().push(handler);
    }

    pub(super) fn watch(&mut self, process: ProcessId, slot: Arc<Slot>) {
        self.slots.insert(process, slot);
    }

    pub(super) fn subscribe(&mut self, feed: Feed) {
        self.feeds.push(feed);
    }

    /// Whether some subscriber lags so far behind that reading more would only fill memory.
    pub(super) fn is_congested(&self) -> bool {
        self.feeds.iter().any(Feed::is_congested)
    }

    /// Tells everybody concerned: handlers first, then waiters, then subscribers.
    pub(super) fn deliver(&mut self, event: &mut Event, mut ground: Ground<'_>) {
        if let Some(process) = event.process() {
            // The last event takes the route with it; the others borrow it for the time of the telling.
            let route = self.routes.remove(&process).unwrap_or_default();
            for &handler in &route {
                if self.tell(handler, event, ground.reborrow()) == Told::Panicked {
                    blame_handler(event);
                }
            }
            if !route.is_empty() && !matches!(event, Event::Ended { .. }) {
                self.routes.insert(process, route);
            }
            self.tell_waiters(process, event, ground.now);
        }
        self.feeds.retain(|feed| feed.send(event));
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
            _ => {}
        }
    }

    /// Expires one timer and tells its owner.
    pub(super) fn expire(&mut self, ground: Ground<'_>) -> Option<TimerId> {
        let timer = self.timers.expired(ground.now)?;
        if let Some(owner) = self.timer_owners.remove(&timer) {
            self.tell(owner, &Event::Timer { timer }, ground);
        }
        Some(timer)
    }

    pub(super) fn next_timer(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// Runs one handler for one event.
    fn tell(&mut self, id: HandlerId, event: &Event, ground: Ground<'_>) -> Told {
        let Some(handler) = self.handlers.get_mut(&id) else { return Told::Well };
        let Ground { table, launches, now } = ground;
        let mut context = Context { table, launches, wishes: &mut self.wishes, me: id, now };
        // AssertUnwindSafe: the table and the wishes only ever grow by whole entries, and a handler that panicked may
        // find its own state half done, which is its author's business.
        let run = catch_unwind(AssertUnwindSafe(|| handler.on_event(&mut context, event)));
        self.grant();
        let Err(panic) = run else { return Told::Well };
        let text = panic_text(&*panic);
        match event.process() {
            Some(process) => {
                log::error!("a handler of {process} panicked: {text}");
                table.handle_request(process, now, Request::HandlerPanicked);
            }
            None => log::error!("a handler panicked: {text}"),
        }
        Told::Panicked
    }

    fn grant(&mut self) {
        for (process, handler) in self.wishes.routes.drain(..) {
            self.routes.entry(process).or_default().push(handler);
        }
        self.slots.extend(self.wishes.slots.drain(..));
        for (deadline, timer, handler) in self.wishes.timers.drain(..) {
            self.timers.insert(deadline, timer);
            self.timer_owners.insert(timer, handler);
        }
        for handler in self.wishes.farewells.drain(..) {
            self.handlers.remove(&handler);
        }
    }
}

/// How a handler took an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    Well,
    Panicked,
}

/// After the last event there is no record to mark, so the event itself says it.
fn blame_handler(event: &mut Event) {
    if let Event::Ended { finished, .. } = event {
        let finished = Arc::make_mut(finished);
        finished.outcome.handler_panicked = true;
        finished.ok = false;
    }
}

impl Ground<'_> {
    pub(super) fn reborrow(&mut self) -> Ground<'_> {
        Ground { table: self.table, launches: self.launches, now: self.now }
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no text")
}
