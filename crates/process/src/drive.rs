//! The engine on the caller's thread, for as long as the caller waits.
//!
//! This is the model of ClusterShell: for command lines, tests, and embedding in another loop. Nothing happens between
//! calls: no output is read and no timeout fires. For a loop of your own, watch the drive's descriptor
//! ([`AsFd`]) for reading, wake up at [`Drive::next_deadline`], and call [`Drive::turn`].
//!
//! ```
//! use phalanx_process::drive::Drive;
//! use phalanx_process::event::Event;
//! use phalanx_process::spec::Spec;
//!
//! let mut drive = Drive::new()?;
//! drive.start(Spec::new(["echo", "hello"]));
//! while let Some(event) = drive.next_event(None)? {
//!     if let Event::Ended { finished, .. } = event {
//!         assert_eq!(finished.stdout.text(), "hello\n");
//!         break;
//!     }
//! }
//! # Ok::<(), std::io::Error>(())
//! ```

mod expecting;

use std::collections::{HashMap, VecDeque};
use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Instant;

use phalanx_core::Signal;

use crate::engine::{Engine, EngineOptions, Message};
use crate::event::{Event, Notice, Request};
use crate::handler::Handler;
use crate::id::{HandlerId, ProcessId};
use crate::spec::Spec;
use expecting::Expecting;

/// An engine that runs while it is waited for. Dropping it kills its children.
///
/// It cannot be sent to another thread: its children die with the thread that started them.
pub struct Drive {
    engine: Engine,
    events: VecDeque<Event>,
    expecting: HashMap<ProcessId, Expecting>,
    stays_here: PhantomData<*const ()>,
}

impl std::fmt::Debug for Drive {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Drive").field("events", &self.events.len()).finish_non_exhaustive()
    }
}

impl Drive {
    /// A drive with nothing to do yet.
    ///
    /// # Errors
    /// When the system has no descriptor left for it.
    pub fn new() -> io::Result<Self> {
        Self::with_options(EngineOptions::default())
    }

    /// As [`Drive::new`], with options.
    ///
    /// # Errors
    /// When the system has no descriptor left for it.
    pub fn with_options(options: EngineOptions) -> io::Result<Self> {
        Ok(Self {
            engine: Engine::new(options)?,
            events: VecDeque::new(),
            expecting: HashMap::new(),
            stays_here: PhantomData,
        })
    }

    /// Starts a process. Its output becomes events if the policy says `listened`.
    pub fn start(&mut self, spec: Spec) -> ProcessId {
        let id = ProcessId::new();
        self.engine.insert(id, spec, None, &[]);
        self.request(id, Request::Start);
        id
    }

    /// Asks something of a process. One that is unknown or has ended is not an error: late is normal.
    pub fn request(&mut self, id: ProcessId, request: Request) {
        self.engine.request(id, request);
    }

    /// Gives a handler to the engine; its first event is [`Event::Attached`], told at once.
    pub fn attach(&mut self, handler: impl Handler + 'static) -> HandlerId {
        let id = HandlerId::new();
        self.engine.attach(id, Box::new(handler));
        id
    }

    /// Calls for a handler, as [`Conductor::call`](crate::conductor::Conductor::call) does.
    pub fn call(&mut self, handler: HandlerId) {
        self.engine.notify(handler, Notice::Called);
    }

    /// From now on these signals to this program are events, and do nothing else.
    ///
    /// # Errors
    /// For KILL, STOP and the signals of faults, and when descriptors have run out.
    pub fn watch_signals(&mut self, signals: &[Signal]) -> io::Result<()> {
        self.engine.watch_signals(signals)
    }

    /// Reads what the processes say, or leaves it alone until further notice, so that they feel it. Signals, timeouts
    /// and ends are taken note of all the same.
    pub fn set_reading(&mut self, reading: bool) {
        self.engine.set_reading(reading);
    }

    /// Something with which any thread can make [`Drive::next_event`] return an [`Event::Woken`].
    pub fn waker(&self) -> impl Fn() + Send + Sync + 'static {
        let sender = self.engine.sender();
        move || sender.send(Message::Nudge)
    }

    /// All processes that have not ended, in no order.
    pub fn processes(&self) -> impl Iterator<Item = ProcessId> + '_ {
        self.engine.table().ids()
    }

    /// Waits for the next event, at most until `deadline`; `None` when it has passed.
    ///
    /// With nothing started and no deadline this waits for ever, unless a signal is watched for.
    ///
    /// # Errors
    /// When the system refuses to wait.
    pub fn next_event(&mut self, deadline: Option<Instant>) -> io::Result<Option<Event>> {
        loop {
            if let Some(event) = self.take_event() {
                return Ok(Some(event));
            }
            let began = Instant::now();
            self.turn_until(deadline)?;
            if self.events.is_empty() && deadline.is_some_and(|deadline| deadline <= began) {
                return Ok(None);
            }
        }
    }

    /// One turn without waiting, for those who have a loop of their own.
    ///
    /// # Errors
    /// When the system refuses to look.
    pub fn turn(&mut self) -> io::Result<()> {
        self.turn_until(Some(Instant::now()))
    }

    /// The next event that is known already.
    pub fn take_event(&mut self) -> Option<Event> {
        let event = self.events.pop_front()?;
        if let Event::Ended { id, .. } = &event {
            self.expect_no_more(*id);
        }
        Some(event)
    }

    /// When the next turn is due although nothing became ready.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        self.engine.next_deadline()
    }

    fn turn_until(&mut self, deadline: Option<Instant>) -> io::Result<()> {
        let Self { engine, events, expecting, .. } = self;
        engine.turn(deadline, &mut |event| {
            if !expecting::is_for_the_search_only(expecting, &event) {
                events.push_back(event);
            }
        })
    }
}

impl AsFd for Drive {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.engine.as_fd()
    }
}
