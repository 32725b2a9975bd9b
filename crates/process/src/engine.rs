//! Drives the table with the reactor: one turn looks at everything once.
//!
//! ```text
//!            ┌────────────── settle, within 5 ms ──────────────┐
//!  events ◀──┤ table.poll_event  ▶ handlers, waiters, feeds     │
//!            │ table.poll_effect ▶ children perform it          │
//!            └──────────────────────────────────────────────────┘
//!                 nothing left? wait in the reactor until the next deadline
//!                 readiness ▶ children read, write, notice exits ▶ table.handle_input
//!                 the time  ▶ table.handle_timeout
//! ```
//!
//! The engine is the only one that reads the clock, and joins names to descriptors. It has no opinion about processes:
//! those are the table's. Both ways to drive it, the [conductor](crate::conductor) and the [drive](crate::drive) in
//! place, call the same `Engine::turn`.

mod children;
mod devices;
mod ends;
mod hosting;
mod hub;
mod hunt;
mod keys;

use std::collections::{HashMap, VecDeque};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use phalanx_core::hugepages::prefer_large_pages;
use phalanx_core::inbox::{Inbox, Sender};
use phalanx_core::signal::SignalWatch;
use phalanx_core::{Reactor, Ready, Signal};

use crate::event::{Effect, Event, Input, Notice, Request, Stream};
use crate::handler::Handler;
use crate::hosted::ABANDON_AFTER;
use crate::id::{HandlerId, ProcessId};
use crate::outcome::Blame;
use crate::output::Captured;
use crate::result::{Evidence, ResultKind, Route};
use crate::slot::Slot;
use crate::spec::{Launch, Spec, Stdin};
use crate::spin::{SPIN, Spin, look_again};
use crate::subscription::{Feed, Gauge};
use crate::table::Table;
use children::Children;
use devices::Devices;
pub(crate) use hosting::Hosting;
use hub::{Ground, Hub};

/// How the processes that have not ended are started.
pub(crate) type Launches = HashMap<ProcessId, Arc<Launch>>;

/// Keys of the engine's own, in the range of the process named zero, which there is not.
const INBOX_KEY: u64 = 0;
const SIGNALS_KEY: u64 = 1;
const SIGCHLD_KEY: u64 = 2;
const FIRST_PROCESS_KEY: u64 = 8;

/// How long effects are performed before the others are looked at. Without such a bound, starting a thousand children
/// makes every timeout a second late.
const BUDGET: Duration = Duration::from_millis(5);
/// Handlers that take longer over one event are named in the log.
const LONG: Duration = Duration::from_millis(100);

/// What effects are performed with: the reactor, the table, and the time.
struct Hands<'a> {
    reactor: &'a Reactor,
    table: &'a mut Table,
    now: Instant,
}

impl Hands<'_> {
    fn input(&mut self, id: ProcessId, input: Input<'_>) {
        self.table.handle_input(id, self.now, input);
    }
}

/// What other threads ask of an engine.
pub(crate) enum Message {
    Insert {
        id: ProcessId,
        spec: Box<Spec>,
        slot: Option<Arc<Slot>>,
        handlers: Vec<HandlerId>,
    },
    Request(ProcessId, Request),
    /// Bytes for a stdin, from somebody who wants to know if there was nobody left to take them.
    Write {
        id: ProcessId,
        bytes: Arc<[u8]>,
        slot: Arc<Slot>,
    },
    Attach(HandlerId, Box<dyn Handler>),
    /// A handler hears one process more, which may be running.
    Route(ProcessId, HandlerId),
    /// Nobody outside has a use for this handler any more.
    Disown(HandlerId),
    /// A handler is given a notice once it has heard all that was said before.
    Notify(HandlerId, Notice),
    Subscribe(Feed),
    /// Somebody else's channel, which may become congested too.
    Gauge(Gauge),
    Inspect {
        id: ProcessId,
        stream: Stream,
        reply: std::sync::mpsc::Sender<Option<Captured>>,
    },
    /// Look again at what is ready: a subscriber has caught up.
    Nudge,
    Stop,
}

/// How an engine is made.
#[derive(Debug, Clone, Copy, Default)]
pub struct EngineOptions {
    /// Notice exits by SIGCHLD instead of by a pidfd for each child: a descriptor less for each, and a look at every
    /// child for each burst of exits. For kernels before 5.4, and where descriptors are scarce.
    pub sigchld: bool,
}

/// One reactor, one table, and who listens.
pub(crate) struct Engine {
    reactor: Reactor,
    inbox: Inbox<Message>,
    signals: Option<SignalWatch>,
    table: Table,
    launches: Launches,
    children: Children,
    devices: Devices,
    hosting: Hosting,
    hub: Hub,
    ready: Vec<Ready>,
    spin: Spin,
    pending_signals: Vec<Signal>,
    /// Somebody nudged us since the last turn.
    woken: bool,
    /// Whether the streams are read; see [`Engine::set_reading`].
    reading: bool,
    /// What waits until no event is left to tell: a notice for a handler, or, with none, its dismissal.
    notices: VecDeque<(HandlerId, Option<Notice>)>,
    stopped: bool,
}

/// How far [`Engine::settle`] came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Settled {
    /// There was nothing to do.
    Nothing,
    /// Something was told; it may be what the caller waits for.
    Something,
    /// There is more to do, but the others must be looked at first.
    OutOfBudget,
}

impl Engine {
    pub(crate) fn new(options: EngineOptions) -> io::Result<Self> {
        let reactor = Reactor::new()?;
        Ok(Self {
            inbox: Inbox::new(&reactor, INBOX_KEY)?,
            children: Children::new(&reactor, options.sigchld.then_some(SIGCHLD_KEY))?,
            devices: Devices::default(),
            hosting: Hosting::default(),
            reactor,
            signals: None,
            table: Table::default(),
            launches: Launches::default(),
            hub: Hub::default(),
            ready: Vec::new(),
            spin: Spin::default(),
            pending_signals: Vec::new(),
            woken: false,
            reading: true,
            notices: VecDeque::new(),
            stopped: false,
        })
    }

    pub(crate) fn sender(&self) -> Sender<Message> {
        self.inbox.sender()
    }

    /// Signals to this program become [`Event::Signal`].
    pub(crate) fn watch_signals(&mut self, signals: &[Signal]) -> io::Result<()> {
        self.signals = Some(SignalWatch::new(&self.reactor, SIGNALS_KEY, signals)?);
        Ok(())
    }

    /// Reads the streams of the children, or leaves them alone, so that the children feel it. All else goes on.
    pub(crate) fn set_reading(&mut self, reading: bool) {
        self.reading = reading;
    }

    fn reads(&self) -> bool {
        self.reading && !self.hub.is_congested()
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped
    }

    pub(crate) fn table(&self) -> &Table {
        &self.table
    }

    pub(crate) fn insert(&mut self, id: ProcessId, spec: Spec, slot: Option<Arc<Slot>>, handlers: &[HandlerId]) {
        let backend = enter(&mut self.table, &mut self.launches, id, spec, Instant::now());
        if let Some(backend) = backend {
            self.hub.route(id, backend);
        }
        for &handler in handlers {
            self.hub.route(id, handler);
        }
        if let Some(slot) = slot {
            self.hub.watch(id, slot);
        }
    }

    pub(crate) fn request(&mut self, id: ProcessId, request: Request) {
        self.table.handle_request(id, Instant::now(), request);
    }

    pub(crate) fn attach(&mut self, id: HandlerId, handler: Box<dyn Handler>) {
        let (hub, ground) = self.hub_and_ground(Instant::now());
        hub.attach(id, handler, ground);
    }

    /// One turn: settles what is to be settled; if there was nothing, waits for the next thing to happen, at most
    /// until `limit`, and takes note of it. Every event told is also given to `seen`.
    pub(crate) fn turn(&mut self, limit: Option<Instant>, seen: &mut dyn FnMut(Event)) -> io::Result<()> {
        let timeout = match self.settle(Instant::now(), seen) {
            Settled::Something => return Ok(()),
            Settled::OutOfBudget => Some(Duration::ZERO),
            Settled::Nothing => self.time_to_wait(limit),
        };
        self.wait(timeout)
    }

    /// When something is due although nothing became ready; now, if there is something to be done already.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        // What the last turn has read waits to be told, and no descriptor says so.
        if self.has_ready() || !self.table.is_settled() || !self.pending_signals.is_empty() || !self.notices.is_empty()
        {
            return Some(Instant::now());
        }
        [self.table.poll_timeout(), self.hub.next_timer(), self.children.next_hunt()].into_iter().flatten().min()
    }

    /// Whether something can be read or written on, of which no readiness will tell again.
    fn has_ready(&self) -> bool {
        (self.children.has_ready() || self.devices.has_ready()) && self.reads()
    }

    fn time_to_wait(&self, limit: Option<Instant>) -> Option<Duration> {
        if self.has_ready() {
            return Some(Duration::ZERO);
        }
        let next = [limit, self.next_deadline()].into_iter().flatten().min();
        next.map(|deadline| deadline.saturating_duration_since(Instant::now()))
    }

    /// Empties the outgoing queues, events first since they are cheap.
    fn settle(&mut self, began: Instant, seen: &mut dyn FnMut(Event)) -> Settled {
        let mut settled = Settled::Nothing;
        if std::mem::take(&mut self.woken) {
            settled = Settled::Something;
            seen(Event::Woken);
        }
        for signal in std::mem::take(&mut self.pending_signals) {
            settled = Settled::Something;
            self.deliver(Event::Signal(signal), began, seen);
        }
        let mut now = began;
        loop {
            while let Some(event) = self.table.poll_event() {
                settled = Settled::Something;
                self.deliver(event, now, seen);
            }
            if self.give_notice(now) {
                settled = Settled::Something;
                continue;
            }
            let (hub, ground) = self.hub_and_ground(now);
            if let Some(timer) = hub.expire(ground) {
                settled = Settled::Something;
                seen(Event::Timer { timer });
                continue;
            }
            let Some(effect) = self.table.poll_effect() else { return settled };
            self.perform(effect, now);
            now = Instant::now();
            if now.saturating_duration_since(began) >= BUDGET {
                // Also if something was told: whoever calls off what is still to be done must be heard before it is done.
                return Settled::OutOfBudget;
            }
        }
    }

    /// Gives handlers one notice; whether there was one. Comes when no event is left: the end of a stream is told after
    /// what was said on it, and who is called knows all that has happened.
    fn give_notice(&mut self, now: Instant) -> bool {
        if let Some((id, stream)) = self.table.poll_stream_end() {
            let (hub, ground) = self.hub_and_ground(now);
            hub.end_stream(id, stream, ground);
            return true;
        }
        let Some((handler, notice)) = self.notices.pop_front() else { return false };
        let (hub, ground) = self.hub_and_ground(now);
        match notice {
            Some(notice) => hub.notify(handler, notice, ground),
            None => hub.disown(handler),
        }
        true
    }

    pub(crate) fn route(&mut self, id: ProcessId, handler: HandlerId) {
        // Events that are still to be told are not for it.
        if self.table.contains(id) {
            self.hub.route(id, handler);
            self.request(id, Request::Listen);
        }
    }

    /// Nobody outside has a use for this handler any more.
    pub(crate) fn disown(&mut self, handler: HandlerId) {
        self.notices.push_back((handler, None));
    }

    pub(crate) fn launch(&self, id: ProcessId) -> Option<&Launch> {
        self.launches.get(&id).map(Arc::as_ref)
    }

    pub(crate) fn notify(&mut self, handler: HandlerId, notice: Notice) {
        self.notices.push_back((handler, Some(notice)));
    }

    fn deliver(&mut self, mut event: Event, now: Instant, seen: &mut dyn FnMut(Event)) {
        if let Event::Ended { id, .. } = &event {
            let id = *id;
            self.tell(&mut event, now);
            let launch = self.launches.remove(&id);
            log_end(&event, launch.as_deref());
        } else {
            self.tell(&mut event, now);
        }
        seen(event);
    }

    fn tell(&mut self, event: &mut Event, now: Instant) {
        let began = Instant::now();
        let (hub, ground) = self.hub_and_ground(now);
        hub.deliver(event, ground);
        let taken = began.elapsed();
        if taken > LONG {
            log::warn!("a handler took {} ms: meanwhile all other processes waited", taken.as_millis());
        }
    }

    fn perform(&mut self, effect: Effect, now: Instant) {
        let launch = match &effect {
            Effect::Spawn(id) => self.launches.get(id).cloned(),
            Effect::Write(..) => {
                self.spin.asked();
                None
            }
            _ => None,
        };
        if let Some(backend) = self.hosting.performer(&effect, launch.as_deref()) {
            return self.have_performed(backend, &effect, launch.as_deref(), now);
        }
        let hands = Hands { reactor: &self.reactor, table: &mut self.table, now };
        if self.devices.concerns(&effect, launch.as_deref()) {
            self.devices.perform(effect, launch.as_deref(), hands);
        } else {
            self.children.perform(effect, launch.as_deref(), hands);
        }
    }

    /// Has a backend perform the effect. One that cannot fails the process: every effect is answered.
    fn have_performed(&mut self, backend: HandlerId, effect: &Effect, launch: Option<&Launch>, now: Instant) {
        let id = effect.process();
        if let Err(error) = self.hosting.note(effect, backend, launch) {
            return self.table.handle_input(id, now, Input::SpawnFailed(error));
        }
        let (hub, ground) = self.hub_and_ground(now);
        if !hub.perform(backend, effect, ground) {
            self.hosting.fail(id, hosting::GONE, &mut self.table, now);
        }
    }

    fn wait(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        // The table hears of no time later than the last look at what is ready. Otherwise a controller that was
        // suspended would take every process that ended meanwhile for one that ran too long.
        let before = Instant::now();
        self.look(before, timeout)?;
        let now = Instant::now();
        self.spin.waited(now.saturating_duration_since(before));
        for ready in std::mem::take(&mut self.ready) {
            match ready.token {
                INBOX_KEY => self.read_inbox(),
                SIGNALS_KEY => self.pending_signals.extend(self.signals.iter_mut().flat_map(SignalWatch::take)),
                _ => self.handle_readiness(ready, now),
            }
        }
        if self.reads() {
            let mut hands = Hands { reactor: &self.reactor, table: &mut self.table, now };
            self.children.advance(&mut hands);
            self.devices.advance(&mut hands);
        }
        while let Some(buffer) = self.table.poll_grown_buffer() {
            prefer_large_pages(buffer);
        }
        self.children.hunt(now);
        self.table.handle_timeout(before);
        Ok(())
    }

    /// Waits until something is ready: for a moment by looking again and again, if that pays, then by sleeping.
    fn look(&mut self, began: Instant, timeout: Option<Duration>) -> io::Result<()> {
        self.ready.clear();
        if self.hub.take_answered() {
            self.spin.asked();
        }
        if self.spin.pays() && timeout.is_none_or(|timeout| timeout > SPIN) {
            let Self { reactor, ready, .. } = self;
            let look = || match reactor.poll(Some(Duration::ZERO)) {
                Err(error) => Some(Err(error)),
                Ok(now) => {
                    ready.extend(now);
                    (!ready.is_empty()).then_some(Ok(()))
                }
            };
            if let Some(found) = look_again(began, look) {
                return found;
            }
        }
        self.ready.extend(self.reactor.poll(timeout)?);
        Ok(())
    }

    fn handle_readiness(&mut self, ready: Ready, now: Instant) {
        let mut hands = Hands { reactor: &self.reactor, table: &mut self.table, now };
        if ready.token == SIGCHLD_KEY {
            self.children.handle_sigchld(&mut hands);
        } else if self.devices.handle_readiness(ready) {
            // It was one of them.
        } else if ready.token >= FIRST_PROCESS_KEY {
            self.children.handle_readiness(ready, &mut hands);
        }
    }

    fn read_inbox(&mut self) {
        self.spin.asked();
        for message in self.inbox.take() {
            match message {
                Message::Insert { id, spec, slot, handlers } => self.insert(id, *spec, slot, &handlers),
                Message::Request(id, request) => self.request(id, request),
                Message::Write { id, bytes, slot } if self.table.contains(id) => {
                    drop(slot);
                    self.request(id, Request::Write(bytes));
                }
                Message::Write { slot, .. } => slot.blame(Blame::WriteError),
                Message::Attach(id, handler) => self.attach(id, handler),
                Message::Route(id, handler) => self.route(id, handler),
                Message::Disown(handler) => self.disown(handler),
                Message::Notify(handler, notice) => self.notify(handler, notice),
                Message::Subscribe(feed) => self.hub.subscribe(feed),
                Message::Gauge(gauge) => self.hub.gauge(gauge),
                Message::Inspect { id, stream, reply } => {
                    // Nobody waits for it any more? Then it was not needed.
                    let _ = reply.send(self.table.captured(id, stream).cloned());
                }
                Message::Nudge => self.woken = true,
                Message::Stop => self.stopped = true,
            }
        }
    }

    fn hub_and_ground(&mut self, now: Instant) -> (&mut Hub, Ground<'_>) {
        let ground = Ground { table: &mut self.table, launches: &mut self.launches, hosting: &mut self.hosting, now };
        (&mut self.hub, ground)
    }
}

/// Enters a process, not yet started. Data for its stdin is kept by the table until it runs. Returns its backend, if it
/// has one, which is to hear its events and so to live as long as it.
pub(crate) fn enter(
    table: &mut Table,
    launches: &mut Launches,
    id: ProcessId,
    spec: Spec,
    now: Instant,
) -> Option<HandlerId> {
    let Spec { launch, mut policy } = spec;
    let backend = launch.hosted.as_ref().map(|hosted| hosted.backend.handler());
    if backend.is_some() {
        policy.abandon.get_or_insert(ABANDON_AFTER);
    }
    table.insert(id, policy);
    if let Stdin::Data(bytes) = &launch.stdin {
        table.handle_request(id, now, Request::Write(Arc::clone(bytes)));
        table.handle_request(id, now, Request::CloseStdin);
    }
    launches.insert(id, launch.into());
    backend
}

/// An end that is not ok is worth a warning, unless its policy says otherwise; any end is worth a debug line.
fn log_end(event: &Event, launch: Option<&Launch>) {
    let Event::Ended { id, finished } = event else { return };
    let Some(launch) = launch else { return };
    let (name, outcome) = (launch.name(), &finished.outcome);
    if !finished.worth_a_warning {
        return log::debug!("{id} ({name}) {outcome}");
    }
    // Only an ssh that Phalanx describes has diagnostics.
    let route = if launch.diagnostics.is_some() { Route::Ssh } else { Route::Direct };
    let result = Evidence::new(finished, route).judge();
    let reason = match result.kind() {
        // How long it took, or whether it dumped core, is only in the outcome.
        ResultKind::Timeout | ResultKind::Signal | ResultKind::Interrupted => outcome.to_string(),
        _ => result.sentence(),
    };
    let last_words = result.last_words(finished).map(|words| format!(": {words}")).unwrap_or_default();
    log::warn!("{id} ({name}) {reason}{last_words}");
}

impl AsFd for Engine {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.reactor.as_fd()
    }
}
