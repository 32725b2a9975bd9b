//! User code that hears events on the engine's thread, and what it may ask for there.
//!
//! A handler gets a [`Context`]: it may ask for anything (start, kill, write, a timer) and wait for nothing. What it
//! asks for happens after it has returned. Being slow is its only way to do harm: while it runs, nothing else does,
//! and a turn of more than 100 ms is named in the log.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::engine::{Hosting, Launches};
use crate::event::{Effect, Event, Input, Kill, Notice, Request, Stream};
use crate::id::{HandlerId, ProcessId, TimerId};
use crate::outcome::Blame;
use crate::output::Captured;
use crate::slot::Slot;
use crate::spec::{Launch, Spec};
use crate::table::Table;

/// Code that hears events. One instance may hear those of many processes.
///
/// The order is guaranteed: `Started` first, then the output of each stream in the order of writing, `Ended` last and
/// exactly once. (A process that could not be started has no `Started`.) Between stdout and stderr there is no order.
///
/// A handler that was added to a process also hears when one of its streams has ended, after all that was said on it,
/// and when the process is reset ([`Notice`]).
///
/// A panic in a handler is caught and logged; it makes the process that the event was about "not ok", and harms
/// nobody else: the other handlers hear the event too, and this one hears the next.
pub trait Handler: Send {
    /// Hears one event.
    fn on_event(&mut self, context: &mut Context<'_>, event: &Event);

    /// Hears what concerns handlers only. Most do not care.
    fn on_notice(&mut self, _context: &mut Context<'_>, _notice: &Notice) {}

    /// Performs an effect on a process of which this handler is the [backend](crate::hosted), or begins to; it is
    /// answered, now or later, by [`Context::answer`].
    fn on_effect(&mut self, _context: &mut Context<'_>, _effect: &Effect) {}
}

/// What a handler can be told.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Tidings<'a> {
    Event(&'a Event),
    Notice(&'a Notice),
    Effect(&'a Effect),
}

impl Tidings<'_> {
    pub(crate) fn process(&self) -> Option<ProcessId> {
        match self {
            Self::Event(event) => event.process(),
            Self::Notice(notice) => notice.process(),
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
    pub(crate) table: &'a mut Table,
    pub(crate) launches: &'a mut Launches,
    pub(crate) hosting: &'a mut Hosting,
    pub(crate) wishes: &'a mut Wishes,
    pub(crate) me: HandlerId,
    pub(crate) now: Instant,
}

/// What handlers asked for that needs the engine itself; granted after they have returned.
#[derive(Default)]
pub(crate) struct Wishes {
    pub(crate) routes: Vec<(ProcessId, HandlerId)>,
    pub(crate) timers: Vec<(Instant, TimerId, HandlerId)>,
    pub(crate) slots: Vec<(ProcessId, Arc<Slot>)>,
    /// Faults of processes that the table has forgotten; they are entered into the event that is being told.
    pub(crate) blames: Vec<(ProcessId, Blame)>,
    pub(crate) farewells: Vec<HandlerId>,
    /// Somebody on another thread was told what it waited for, and may ask for more at once.
    pub(crate) answered: bool,
}

impl fmt::Debug for Context<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").field("handler", &self.me).finish_non_exhaustive()
    }
}

impl Context<'_> {
    /// Starts a process whose events this handler will hear; its output too, if the policy says `listened`.
    pub fn start(&mut self, id: ProcessId, spec: Spec) {
        if let Some(backend) = crate::engine::enter(self.table, self.launches, id, spec, self.now) {
            self.wishes.routes.push((id, backend));
        }
        self.wishes.routes.push((id, self.me));
        self.request(id, Request::Start);
    }

    /// As [`Context::start`], for a process that somebody holds a handle to.
    pub(crate) fn start_watched(&mut self, id: ProcessId, spec: Spec, slot: Arc<Slot>, handlers: &[HandlerId]) {
        self.wishes.slots.push((id, slot));
        self.wishes.routes.extend(handlers.iter().map(|handler| (id, *handler)));
        self.start(id, spec);
    }

    /// From now on this handler hears the events of that process too.
    pub(crate) fn hear(&mut self, id: ProcessId) -> ProcessId {
        self.wishes.routes.push((id, self.me));
        id
    }

    /// Asks something of a process. One that is unknown or has ended is not an error: late is normal.
    pub fn request(&mut self, id: ProcessId, request: Request) {
        if !self.table.contains(id) {
            let blame = match request {
                Request::ExpectFailed => Blame::ExpectFailed,
                Request::HandlerPanicked => Blame::HandlerPanicked,
                _ => return,
            };
            // Its end is still to be told, or is being told.
            if self.launches.contains_key(&id) {
                self.wishes.blames.push((id, blame));
            }
            return;
        }
        self.table.handle_request(id, self.now, request);
    }

    /// Says what became of a process of which this handler is the [backend](crate::hosted). What cannot be (of a process
    /// that has ended, or that another runs) is ignored: late is normal.
    pub fn answer(&mut self, id: ProcessId, input: Input<'_>) {
        self.hosting.answer(self.me, id, input, self.table, self.now);
    }

    /// How a process is described that has not ended: what a [backend](crate::hosted) is to start.
    #[must_use]
    pub fn launch(&self, id: ProcessId) -> Option<Arc<Launch>> {
        self.launches.get(&id).cloned()
    }

    /// Ends a process politely: SIGTERM to its group, then SIGKILL after its grace.
    pub fn kill(&mut self, id: ProcessId) {
        self.request(id, Request::Kill(Kill::default()));
    }

    /// What has been kept so far of a stream of a process that has not ended.
    #[must_use]
    pub fn captured(&self, id: ProcessId, stream: Stream) -> Option<&Captured> {
        self.table.captured(id, stream)
    }

    /// Asks for an [`Event::Timer`] after `delay`.
    pub fn timer(&mut self, delay: Duration) -> TimerId {
        let timer = TimerId::new();
        if let Some(deadline) = self.now.checked_add(delay) {
            self.wishes.timers.push((deadline, timer, self.me));
        }
        timer
    }

    /// Whether a stream of a process may still bring something; `None` when the process has ended or is unknown.
    #[must_use]
    pub fn is_open(&self, id: ProcessId, stream: Stream) -> Option<bool> {
        self.table.is_open(id, stream)
    }

    /// When this turn of the engine began: the time of all events of the turn.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.now
    }

    /// The name of this handler, by which others [call](crate::conductor::Conductor::call) for it.
    #[must_use]
    pub fn handler(&self) -> HandlerId {
        self.me
    }

    /// Lets go of this handler: it will hear nothing more.
    pub fn farewell(&mut self) {
        self.wishes.farewells.push(self.me);
    }
}
