//! One turn looks at everything once: settles what is to be told and done, else waits for the next thing to happen.
//!
//! The only one that reads the clock, and that joins names to descriptors. It has no opinion about processes: those are the
//! table's. Both ways to turn an engine call the same [`EventLoop::turn`].

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use phalanx_core::hugepages::prefer_large_pages;
use phalanx_core::inbox::Inbox;
use phalanx_core::signal::SignalWatch;
use phalanx_core::{Reactor, Ready, Signal};

use super::backends::BACKEND_GONE;
use super::dispatch::Dispatcher;
use super::driver::{DriverCtx, Drivers};
use super::handle::{FORKED, Mailbox};
use super::local::LocalDriver;
use super::message::Insertion;
use super::state::EngineState;
use super::{EngineOptions, Message, log_guarded, panic_text};
use crate::event::{Effect, Event, Notification, Request};
use crate::handler::Handler;
use crate::id::{EngineId, HandlerId, ProcessId};
use crate::outcome::LateFailure;
use crate::result::{Evidence, ResultKind, Route};
use crate::spec::Launch;
use crate::spin::{SPIN, Spin, look_again};

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
/// The longest wait while there are processes. The kernel does not end a wait whose descriptor is closed under it, so this
/// is how soon that is found.
const LONGEST_WAIT: Duration = Duration::from_millis(50);
/// What the system says of a descriptor that was closed (EBADF).
const BAD_DESCRIPTOR: i32 = 9;

/// One reactor, one table, and the handlers.
pub(super) struct EventLoop {
    reactor: Reactor,
    inbox: Inbox<Message>,
    mailbox: Mailbox,
    signals: Option<SignalWatch>,
    state: EngineState,
    drivers: Drivers,
    dispatcher: Dispatcher,
    ready: Vec<Ready>,
    spin: Spin,
    pending_signals: Vec<Signal>,
    /// The user's waker was called since the last turn.
    woken: bool,
    /// Whether the streams are read; see [`EventLoop::set_reading`].
    reading: bool,
    /// What waits until no event is left to tell: a notification for a handler, or, with none, its release.
    notifications: VecDeque<(HandlerId, Option<Notification>)>,
    stopped: bool,
}

/// How far [`EventLoop::settle`] came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Settled {
    /// There was nothing to do.
    Nothing,
    /// Something was told; it may be what the caller waits for.
    Something,
    /// There is more to do, but the others must be looked at first.
    OutOfBudget,
}

/// Is shown every event that was told, and whether a handle hears those of its process.
pub(super) type Seen<'a> = &'a mut dyn FnMut(Event, bool);

impl EventLoop {
    pub(super) fn new(options: EngineOptions, is_background: bool) -> io::Result<Self> {
        let reactor = Reactor::new()?;
        let inbox = Inbox::new(&reactor, INBOX_KEY)?;
        let local = LocalDriver::new(&reactor, options.sigchld.then_some(SIGCHLD_KEY), !options.no_watchdog)?;
        let mailbox = Mailbox {
            id: EngineId::new(),
            sender: inbox.sender(),
            end: Arc::new(OnceLock::new()),
            pid: std::process::id(),
            is_background,
        };
        Ok(Self {
            inbox,
            mailbox,
            drivers: Drivers::new(local),
            reactor,
            signals: None,
            state: EngineState::new(Instant::now()),
            dispatcher: Dispatcher::default(),
            ready: Vec::new(),
            spin: Spin::default(),
            pending_signals: Vec::new(),
            woken: false,
            reading: true,
            notifications: VecDeque::new(),
            stopped: false,
        })
    }

    pub(super) fn id(&self) -> EngineId {
        self.mailbox.id
    }

    pub(super) fn mailbox(&self) -> Mailbox {
        self.mailbox.clone()
    }

    /// Makes these signals to this program an [`Event::Signal`].
    pub(super) fn watch_signals(&mut self, signals: &[Signal]) -> io::Result<()> {
        self.signals = Some(SignalWatch::new(&self.reactor, SIGNALS_KEY, signals)?);
        Ok(())
    }

    /// Reads the streams of the children, or leaves them alone, so that the children feel back-pressure. All else goes on.
    pub(super) fn set_reading(&mut self, reading: bool) {
        self.reading = reading;
    }

    fn reads(&self) -> bool {
        self.reading && !self.dispatcher.is_congested()
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stopped
    }

    pub(super) fn state(&self) -> &EngineState {
        &self.state
    }

    pub(super) fn launch(&self, id: ProcessId) -> Option<&Launch> {
        self.state.launches.get(&id).map(Arc::as_ref)
    }

    /// One turn: settles what is to be settled; if there was nothing, waits for the next thing to happen, at most
    /// until `limit`, and takes note of it. Every event told is also given to `seen`.
    ///
    /// # Errors
    /// When the engine has ended, or ends now: the system refuses to wait, or code that it ran panicked in a way that no
    /// handler answers for.
    pub(super) fn turn(&mut self, limit: Option<Instant>, seen: Seen<'_>) -> io::Result<()> {
        if let Some(reason) = self.mailbox.end.get() {
            return Err(io::Error::other(reason.to_string()));
        }
        if std::process::id() != self.mailbox.pid {
            return Err(io::Error::other(FORKED));
        }
        // AssertUnwindSafe: after a panic nothing of this is used but to end it.
        match catch_unwind(AssertUnwindSafe(|| self.turn_once(limit, seen))) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => {
                self.end(&format!("its engine has ended: it cannot wait for events: {error}"));
                Err(error)
            }
            Err(panic) => {
                let reason = format!("its engine has ended: it panicked: {}", panic_text(&*panic));
                self.end(&reason);
                Err(io::Error::other(reason))
            }
        }
    }

    fn turn_once(&mut self, limit: Option<Instant>, seen: Seen<'_>) -> io::Result<()> {
        let began = Instant::now();
        self.state.now = began;
        self.read_inbox_early();
        let timeout = match self.settle(began, seen) {
            Settled::Something => return Ok(()),
            Settled::OutOfBudget => Some(Duration::ZERO),
            Settled::Nothing => self.time_to_wait(limit),
        };
        self.wait(timeout)
    }

    /// Returns when something is due although nothing became ready; now, if there is something to be done already.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        // What the last turn has read waits to be told, and no descriptor says so.
        let is_settled = self.state.table.is_settled()
            && self.pending_signals.is_empty()
            && self.notifications.is_empty()
            && !self.inbox.has_messages();
        if self.has_ready() || !is_settled {
            return Some(Instant::now());
        }
        let timeouts = [self.state.table.poll_timeout(), self.dispatcher.next_timer(), self.drivers.next_deadline()];
        timeouts.into_iter().flatten().min()
    }

    /// Whether something can be read or written on, of which no readiness will tell again.
    fn has_ready(&self) -> bool {
        self.drivers.has_ready() && self.reads()
    }

    fn time_to_wait(&self, limit: Option<Instant>) -> Option<Duration> {
        let next = [limit, self.next_deadline()].into_iter().flatten().min();
        let timeout = next.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let bound = (self.state.table.ids().next().is_some()).then_some(LONGEST_WAIT);
        [timeout, bound].into_iter().flatten().min()
    }

    /// Empties the outgoing queues, events first since they are cheap.
    fn settle(&mut self, began: Instant, seen: Seen<'_>) -> Settled {
        let mut settled = Settled::Nothing;
        if std::mem::take(&mut self.woken) {
            settled = Settled::Something;
            seen(Event::Woken, false);
        }
        for signal in std::mem::take(&mut self.pending_signals) {
            settled = Settled::Something;
            self.deliver(Event::Signal(signal), seen);
        }
        loop {
            while let Some(event) = self.state.table.poll_event() {
                settled = Settled::Something;
                self.deliver(event, seen);
            }
            if self.give_notification() {
                settled = Settled::Something;
                continue;
            }
            if let Some(timer) = self.dispatcher.expire(&mut self.state) {
                settled = Settled::Something;
                seen(Event::Timer { timer }, false);
                continue;
            }
            let Some(effect) = self.state.table.poll_effect() else { return settled };
            self.perform(effect);
            self.state.now = Instant::now();
            if self.state.now.saturating_duration_since(began) >= BUDGET {
                // Also if something was told: a cancellation of what is still to be done must be heard before it is done.
                return Settled::OutOfBudget;
            }
        }
    }

    /// Gives handlers one notification; whether there was one. Comes when no event is left: the end of a stream is told
    /// after what was said on it, and a handler that is woken knows all that has happened.
    fn give_notification(&mut self) -> bool {
        if let Some((id, stream)) = self.state.table.poll_stream_end() {
            self.dispatcher.end_stream(id, stream, &mut self.state);
            return true;
        }
        let Some((handler, notification)) = self.notifications.pop_front() else { return false };
        match notification {
            Some(notification) => self.dispatcher.notify(handler, notification, &mut self.state),
            None => self.dispatcher.release(handler),
        }
        true
    }

    fn deliver(&mut self, mut event: Event, seen: Seen<'_>) {
        let has_handle = event.process().is_some_and(|id| self.dispatcher.has_handle(id));
        let began = Instant::now();
        self.dispatcher.deliver(&mut event, &mut self.state);
        let taken = began.elapsed();
        if taken > LONG {
            log::warn!("a handler took {} ms: meanwhile all other processes waited", taken.as_millis());
        }
        if let Event::Ended { id, .. } = &event {
            let launch = self.state.launches.remove(id);
            self.drivers.ended(*id, &mut self.state.hosted);
            log_end(&event, launch.as_deref());
        }
        seen(event, has_handle);
    }

    fn perform(&mut self, effect: Effect) {
        let launch = match &effect {
            Effect::Spawn(id) => self.state.launches.get(id).cloned(),
            Effect::Write(..) => {
                self.spin.asked();
                None
            }
            _ => None,
        };
        let EngineState { table, hosted, deferred, now, .. } = &mut self.state;
        let mut ctx = DriverCtx { reactor: &self.reactor, table, deferred, now: *now };
        self.drivers.perform(effect, launch.as_deref(), hosted, &mut ctx);
        while let Some((backend, effect)) = self.state.deferred.effects.pop_front() {
            if !self.dispatcher.perform(backend, &effect, &mut self.state) {
                let EngineState { table, hosted, now, .. } = &mut self.state;
                hosted.fail(effect.process(), BACKEND_GONE, table, *now);
            }
        }
    }

    fn wait(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        // The table hears of no time later than the last look at what is ready. Otherwise a controller that was
        // suspended would take every process that ended meanwhile for one that ran too long.
        let before = Instant::now();
        self.poll_or_spin(before, timeout)?;
        let now = Instant::now();
        self.state.now = now;
        self.spin.waited(now.saturating_duration_since(before));
        for ready in std::mem::take(&mut self.ready) {
            match ready.token {
                INBOX_KEY => self.read_inbox(),
                SIGNALS_KEY => self.pending_signals.extend(self.signals.iter_mut().flat_map(SignalWatch::take)),
                _ => self.handle_readiness(ready),
            }
        }
        if self.reads() {
            let EngineState { table, deferred, .. } = &mut self.state;
            self.drivers.advance(&mut DriverCtx { reactor: &self.reactor, table, deferred, now });
        }
        while let Some(buffer) = self.state.table.poll_grown_buffer() {
            prefer_large_pages(buffer);
        }
        let EngineState { table, deferred, .. } = &mut self.state;
        self.drivers.handle_timeout(&mut DriverCtx { reactor: &self.reactor, table, deferred, now });
        self.state.table.handle_timeout(before);
        Ok(())
    }

    /// Waits until something is ready: for a moment by looking again and again, if that pays, then by sleeping.
    fn poll_or_spin(&mut self, began: Instant, timeout: Option<Duration>) -> io::Result<()> {
        self.ready.clear();
        if std::mem::take(&mut self.state.deferred.answered) {
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

    fn handle_readiness(&mut self, ready: Ready) {
        let EngineState { table, hosted, deferred, now, .. } = &mut self.state;
        let mut ctx = DriverCtx { reactor: &self.reactor, table, deferred, now: *now };
        if ready.token == SIGCHLD_KEY {
            self.drivers.local.handle_sigchld(&mut ctx);
        } else if ready.token >= FIRST_PROCESS_KEY {
            self.drivers.handle_readiness(ready, hosted, &mut ctx);
        }
    }

    /// Does what handles have asked for, without having been woken for it.
    pub(super) fn read_inbox_early(&mut self) {
        if self.inbox.has_messages() {
            self.read_inbox();
        }
    }

    /// Does what handles have asked for. A wake-up must come here even if there is nothing left to read: until then no
    /// sender wakes again.
    fn read_inbox(&mut self) {
        self.spin.asked();
        for message in self.inbox.take() {
            match message {
                Message::Insert(insertion) => self.insert(*insertion),
                Message::Request(id, request) => self.state.request(id, request),
                Message::Write { id, bytes, .. } if self.state.table.contains(id) => {
                    self.state.request(id, Request::Write(bytes));
                }
                Message::Write { run, .. } => run.record_failure(LateFailure::WriteError),
                Message::Attach(id, handler) => self.dispatcher.attach(id, handler, &mut self.state),
                Message::Route(id, handler) => self.route(id, handler),
                Message::Release(handler) => self.release(handler),
                Message::Notify(handler, notification) => self.notify(handler, notification),
                Message::Subscribe(subscriber) => self.dispatcher.subscribe(subscriber),
                Message::Backlog(backlog) => self.dispatcher.backlog(backlog),
                Message::Inspect { id, stream, reply } => {
                    reply.complete(self.state.table.captured(id, stream).cloned());
                }
                Message::Look => {}
                Message::Wake => self.woken = true,
                Message::Stop => self.stopped = true,
            }
        }
    }

    fn insert(&mut self, insertion: Insertion) {
        let Insertion { id, spec, run, handlers, emits_output } = insertion;
        self.state.enter(id, spec);
        self.dispatcher.apply_deferred(&mut self.state);
        if emits_output || !handlers.is_empty() {
            self.state.request(id, Request::EmitOutput);
        }
        for handler in handlers {
            self.dispatcher.route(id, handler);
        }
        if let Some(run) = run {
            self.dispatcher.watch(id, run);
        }
    }

    pub(super) fn route(&mut self, id: ProcessId, handler: HandlerId) {
        // Events that are still to be told are not for it.
        if self.state.table.contains(id) {
            self.dispatcher.route(id, handler);
            self.state.request(id, Request::EmitOutput);
        }
    }

    pub(super) fn attach(&mut self, handler: Box<dyn Handler>) -> HandlerId {
        let id = HandlerId::new(self.id());
        self.dispatcher.attach(id, handler, &mut self.state);
        id
    }

    pub(super) fn notify(&mut self, handler: HandlerId, notification: Notification) {
        self.notifications.push_back((handler, Some(notification)));
    }

    pub(super) fn release(&mut self, handler: HandlerId) {
        self.notifications.push_back((handler, None));
    }

    /// Ends the engine, once: kills its children, and gives an outcome to every wait and an answer to everything asked.
    /// Each step is taken whatever became of the one before, since what they touch may be what has failed.
    pub(super) fn end(&mut self, reason: &str) {
        let reason = Arc::clone(self.mailbox.end.get_or_init(|| reason.into()));
        log_guarded(log::Level::Debug, format_args!("{reason}"));
        let guarded = |step: &mut dyn FnMut()| {
            if let Err(panic) = catch_unwind(AssertUnwindSafe(step)) {
                super::log_panic("the end of an engine", &*panic);
            }
        };
        let unread = self.inbox.close();
        guarded(&mut || self.drivers.local.kill_all());
        let now = Instant::now();
        guarded(&mut || {
            self.dispatcher.apply_deferred(&mut self.state);
            self.state.table.abandon_all(now, &reason);
            while let Some(event) = self.state.table.poll_event() {
                self.dispatcher.finish(&event, now);
            }
        });
        for (_, run) in self.dispatcher.take_runs() {
            run.abandon();
        }
        unread.into_iter().for_each(|message| message.refuse(&reason));
        guarded(&mut || self.dispatcher.remove_all());
    }
}

impl EventLoop {
    /// Drops what is left after an error. Descriptors that were closed under the engine are not closed again: their numbers
    /// may be those of other files by now.
    pub(super) fn abandon_descriptors_after(self, error: &io::Error) {
        if error.raw_os_error() == Some(BAD_DESCRIPTOR) {
            std::mem::forget(self);
        }
    }
}

/// Logs the end of a process: as a warning, unless it is ok or its policy says otherwise.
fn log_end(event: &Event, launch: Option<&Launch>) {
    let Event::Ended { id, finished } = event else { return };
    let Some(launch) = launch else { return };
    crate::ssh::log_warnings(launch, finished);
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

impl AsFd for EventLoop {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.reactor.as_fd()
    }
}

impl Drop for EventLoop {
    fn drop(&mut self) {
        if std::process::id() != self.mailbox.pid {
            // The children are those of the parent, which goes on.
            self.drivers.local.disclaim();
            return;
        }
        self.end("its engine has ended: it was dropped, or its last handle was");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::Spec;

    /// The engine of a current thread is copied by a fork; the copy must not touch the children of the parent.
    #[test]
    fn the_copy_of_a_fork_neither_turns_nor_ends_the_children_of_the_parent() {
        let mut event_loop = EventLoop::new(EngineOptions::default(), false).expect("a descriptor");
        let id = ProcessId::new();
        let spec = Spec::new(["sleep", "1000"]);
        event_loop.insert(Insertion { id, spec, run: None, handlers: Vec::new(), emits_output: false });
        event_loop.state.request(id, Request::Start);
        let mut pid = 0;
        while pid == 0 {
            let mut seen = |event, _| {
                if let Event::Started { pid: started, .. } = event {
                    pid = started;
                }
            };
            event_loop.turn(None, &mut seen).expect("it turns");
        }
        event_loop.mailbox.pid += 1;
        let refused = event_loop.turn(None, &mut |_, _| {}).expect_err("this is not the program that made it");
        assert!(refused.to_string().contains("has forked"), "{refused}");
        drop(event_loop);
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("it is alive");
        assert!(!stat.contains(") Z "), "{stat}");
        let kill = std::process::Command::new("kill").args(["-KILL", &pid.to_string()]).status().expect("kill runs");
        assert!(kill.success());
    }
}
