//! An engine on the thread that made it, turned whenever that thread waits.
//!
//! For a loop of your own, watch the engine's descriptor ([`AsFd`]) for reading, wake up at [`Engine::next_deadline`], and
//! call [`Engine::turn`].

mod expecting;

use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Instant;

use phalanx_core::Signal;

use self::expecting::Expecting;
use super::event_loop::EventLoop;
use super::message::Insertion;
use super::{EngineHandle, EngineOptions, Message, WeakEngineHandle, assert_may_block, this_thread};
use crate::event::{Event, Request};
use crate::handler::Handler;
use crate::id::{HandlerId, ProcessId};
use crate::spec::Spec;

/// An engine of this thread, which runs while this thread waits. Dropping it kills its children and ends it for all its
/// [handles](EngineHandle).
///
/// It cannot be sent to another thread: its children die with the thread that started them. (For the two ways to turn an
/// engine, and for how the other one is made, see [`crate::engine`].)
///
/// Processes are started by name, and heard of by [`Engine::next_event`]:
///
/// ```
/// use phalanx_process::engine::{Engine, EngineOptions};
/// use phalanx_process::event::Event;
/// use phalanx_process::spec::Spec;
///
/// let mut engine = Engine::current_thread(EngineOptions::default())?;
/// engine.start(Spec::new(["echo", "hello"]));
/// while let Some(event) = engine.next_event(None)? {
///     if let Event::Ended { finished, .. } = event {
///         assert_eq!(finished.stdout.text(), "hello\n");
///         break;
///     }
/// }
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// or as anywhere else, by handles: waiting turns the engine.
///
/// ```
/// use phalanx_process::Process;
/// use phalanx_process::engine::{Engine, EngineOptions};
/// use phalanx_process::spec::Spec;
///
/// let engine = Engine::current_thread(EngineOptions::default())?;
/// let process = Process::from_spec(Spec::new(["echo", "hello"]), &engine.handle()).run();
/// assert_eq!(process.stdout(), b"hello\n");
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Engine {
    handle: EngineHandle,
    /// Readable when something is ready: the reactor's own, once more.
    descriptor: OwnedFd,
    stays_here: PhantomData<*const ()>,
}

/// What is kept for the thread of an engine; see [`this_thread`].
pub(super) struct CurrentThread {
    event_loop: EventLoop,
    /// What [`Engine::next_event`] has not returned yet.
    events: VecDeque<Event>,
    expecting: HashMap<ProcessId, Expecting>,
}

impl CurrentThread {
    /// One turn, at most until `deadline`. The events of processes that have a handle are heard through it, and not kept.
    pub(super) fn turn(&mut self, deadline: Option<Instant>) -> io::Result<()> {
        let Self { event_loop, events, expecting } = self;
        event_loop.turn(deadline, &mut |event, has_handle| {
            // Timers are their handlers' affair. One at the end of the queue says that something may have changed.
            let is_known = matches!(event, Event::Timer { .. }) && matches!(events.back(), Some(Event::Timer { .. }));
            if !has_handle && !is_known && !expecting::is_for_the_search_only(expecting, &event) {
                events.push_back(event);
            }
        })
    }

    fn take_event(&mut self) -> Option<Event> {
        let event = self.events.pop_front()?;
        if let Event::Ended { id, .. } = &event {
            self.expect_no_more(*id);
        }
        Some(event)
    }

    fn next_event(&mut self, deadline: Option<Instant>) -> io::Result<Option<Event>> {
        loop {
            if let Some(event) = self.take_event() {
                return Ok(Some(event));
            }
            let began = Instant::now();
            self.turn(deadline)?;
            if self.events.is_empty() && deadline.is_some_and(|deadline| deadline <= began) {
                return Ok(None);
            }
        }
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Engine").field(&self.handle).finish()
    }
}

impl Engine {
    /// Makes an engine of this thread, with nothing to do yet.
    ///
    /// # Errors
    /// When the system has no descriptor left for it.
    pub fn current_thread(options: EngineOptions) -> io::Result<Self> {
        let event_loop = EventLoop::new(options, false)?;
        let handle = EngineHandle::new(event_loop.mailbox(), None);
        let descriptor = event_loop.as_fd().try_clone_to_owned()?;
        let engine = CurrentThread { event_loop, events: VecDeque::new(), expecting: HashMap::new() };
        this_thread::insert(handle.id(), Box::new(engine));
        Ok(Self { handle, descriptor, stays_here: PhantomData })
    }

    /// Returns a handle to it. Handles do not keep it: it ends when this is dropped.
    #[must_use]
    pub fn handle(&self) -> EngineHandle {
        self.handle.clone()
    }

    fn with<T>(&self, act: impl FnOnce(&mut CurrentThread) -> T) -> T {
        this_thread::with(self.handle.id(), |engine| {
            // In the order of asking, whichever way it was asked.
            engine.event_loop.read_inbox_early();
            act(engine)
        })
    }

    /// Starts a process. Its output becomes events after a [`Request::EmitOutput`].
    pub fn start(&self, spec: Spec) -> ProcessId {
        let id = ProcessId::new();
        let insertion = Insertion { id, spec, run: None, handlers: Vec::new(), emits_output: false };
        self.handle.send(Message::Insert(Box::new(insertion)));
        self.request(id, Request::Start);
        id
    }

    /// Asks something of a process. One that is unknown or has ended is not an error: late is normal.
    pub fn request(&self, id: ProcessId, request: Request) {
        self.handle.request(id, request);
    }

    /// Gives a handler to the engine; its first event is [`Event::Attached`].
    pub fn attach(&self, handler: impl Handler + 'static) -> HandlerId {
        self.handle.attach(handler)
    }

    /// Asks for the attention of a handler, as [`EngineHandle::wake_handler`] does.
    pub fn wake_handler(&self, handler: HandlerId) {
        self.handle.wake_handler(handler);
    }

    /// Makes these signals to this program events, from now on; they do nothing else.
    ///
    /// # Errors
    /// For KILL, STOP and the signals of faults, and when descriptors have run out.
    pub fn watch_signals(&mut self, signals: &[Signal]) -> io::Result<()> {
        self.with(|engine| engine.event_loop.watch_signals(signals))
    }

    /// Reads what the processes say, or leaves it alone until further notice, so that they feel back-pressure. Signals,
    /// timeouts and ends are taken note of all the same.
    pub fn set_reading(&mut self, reading: bool) {
        self.with(|engine| engine.event_loop.set_reading(reading));
    }

    /// Returns something with which any thread can make [`Engine::next_event`] return an [`Event::Woken`].
    pub fn waker(&self) -> impl Fn() + Send + Sync + use<> + 'static {
        let handle = self.handle.downgrade();
        move || handle.wake()
    }

    /// Returns all processes that have not ended, in no order.
    #[must_use]
    pub fn processes(&self) -> Vec<ProcessId> {
        self.with(|engine| engine.event_loop.state().table.ids().collect())
    }

    /// Waits for the next event, at most until `deadline`; `None` when it has passed. Events of processes that have a
    /// [handle](crate::Process) are heard through that, and not here.
    ///
    /// With nothing started and no deadline this waits for ever, unless a signal is watched for.
    ///
    /// # Errors
    /// When the system refuses to wait, or the engine has ended.
    ///
    /// # Panics
    /// Inside a handler.
    pub fn next_event(&mut self, deadline: Option<Instant>) -> io::Result<Option<Event>> {
        assert_may_block("wait for an event");
        self.with(|engine| engine.next_event(deadline))
    }

    /// One turn without waiting, for those who have a loop of their own.
    ///
    /// # Errors
    /// When the system refuses to look, or the engine has ended.
    pub fn turn(&mut self) -> io::Result<()> {
        self.with(|engine| engine.turn(Some(Instant::now())))
    }

    /// Returns the next event that is known already.
    pub fn take_event(&mut self) -> Option<Event> {
        self.with(CurrentThread::take_event)
    }

    /// Returns when the next turn is due although nothing became ready.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        self.with(|engine| engine.event_loop.next_deadline())
    }

    /// Turns the engine until a future is ready, and polls that whenever it is woken.
    ///
    /// ```
    /// use phalanx_process::Process;
    /// use phalanx_process::engine::{Engine, EngineOptions};
    /// use phalanx_process::spec::Spec;
    ///
    /// let mut engine = Engine::current_thread(EngineOptions::default())?;
    /// let handle = engine.handle();
    /// let ok = engine.block_on(async {
    ///     let first = Process::from_spec(Spec::new(["true"]), &handle).await;
    ///     first.ok && Process::from_spec(Spec::new(["true"]), &handle).await.ok
    /// })?;
    /// assert!(ok);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    /// When the system refuses to wait, or the engine has ended.
    ///
    /// # Panics
    /// Inside a handler.
    pub fn block_on<F: Future>(&mut self, future: F) -> io::Result<F::Output> {
        assert_may_block("wait for a future");
        let woken = Arc::new(TurnWaker { handle: self.handle.downgrade(), is_due: AtomicBool::new(true) });
        let waker = Waker::from(Arc::clone(&woken));
        let mut future = pin!(future);
        loop {
            if woken.is_due.swap(false, Ordering::SeqCst)
                && let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker))
            {
                return Ok(output);
            }
            if !woken.is_due.load(Ordering::SeqCst) {
                self.with(|engine| engine.turn(None))?;
            }
        }
    }
}

/// Ends a turn, so that a future is polled.
struct TurnWaker {
    handle: WeakEngineHandle,
    is_due: AtomicBool,
}

impl Wake for TurnWaker {
    fn wake(self: Arc<Self>) {
        self.is_due.store(true, Ordering::SeqCst);
        self.handle.look();
    }
}

impl AsFd for Engine {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // Dropped here, where what its handlers hold may ask for other engines of this thread.
        let engine = this_thread::remove(self.handle.id());
        let _turning = this_thread::turning(self.handle.id());
        drop(engine);
    }
}
