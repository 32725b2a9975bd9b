//! The engine on a private thread: output is read and timeouts fire whatever the caller does.
//!
//! This is the model of execo and mitogen. Handles of processes are `Send + Sync + Clone`; what they ask for travels
//! to the conductor as a message, with one wake-up per batch. A default conductor starts with the first process that
//! needs one.

use std::io;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, mpsc};
use std::thread::{JoinHandle, ThreadId};

use phalanx_core::inbox::Sender;

use crate::engine::{Engine, EngineOptions, Message};
use crate::event::{Notice, Request, Stream};
use crate::handler::Handler;
use crate::id::{HandlerId, ProcessId};
use crate::output::Captured;
use crate::slot::Slot;
use crate::spec::Spec;
use crate::subscription::{Events, Tap, subscription};

/// A thread that runs an engine. Cloning gives another handle to the same one; with the last handle the engine stops,
/// and no child of it lives on.
#[derive(Clone)]
pub struct Conductor {
    inner: Arc<Inner>,
}

struct Inner {
    sender: Sender<Message>,
    thread: ThreadId,
    handle: Mutex<Option<JoinHandle<()>>>,
}

impl std::fmt::Debug for Conductor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Conductor").field("thread", &self.inner.thread).finish_non_exhaustive()
    }
}

impl Conductor {
    /// Starts a conductor of one's own.
    ///
    /// # Errors
    /// When the system has no thread or descriptor left for it.
    pub fn start(options: EngineOptions) -> io::Result<Self> {
        let (made, ready) = mpsc::channel();
        let thread = std::thread::Builder::new().name("phalanx-conductor".to_owned());
        // The engine is made on its thread: children die with the thread that started them.
        let handle = thread.spawn(move || match Engine::new(options) {
            Ok(engine) => {
                // The starter waits for exactly this.
                let _ = made.send(Ok(engine.sender()));
                drop(made);
                conduct(engine);
            }
            Err(error) => drop(made.send(Err(error))),
        })?;
        let sender = ready.recv().unwrap_or_else(|_| Err(io::Error::other("the conductor ended as it started")))?;
        let thread = handle.thread().id();
        Ok(Self { inner: Arc::new(Inner { sender, thread, handle: Mutex::new(Some(handle)) }) })
    }

    /// The default conductor, started when first asked for. It stops with the program.
    ///
    /// # Panics
    /// When the system has no thread or descriptor left for it, as `std::thread::spawn` does.
    #[must_use]
    pub fn global() -> &'static Self {
        static GLOBAL: OnceLock<Conductor> = OnceLock::new();
        GLOBAL.get_or_init(|| {
            Self::start(EngineOptions::default()).expect("the system has a thread and a few descriptors left")
        })
    }

    /// Gives a handler to the engine; its first event is [`crate::event::Event::Attached`].
    pub fn attach(&self, handler: impl Handler + 'static) -> HandlerId {
        let id = HandlerId::new();
        self.send(Message::Attach(id, Box::new(handler)));
        id
    }

    /// Calls for a handler: it is given [`Notice::Called`] on the conductor's thread, after all that has happened so
    /// far. How others tell it that they have left something for it.
    pub fn call(&self, handler: HandlerId) {
        self.send(Message::Notify(handler, Notice::Called));
    }

    /// Lets go of a handler: it is dropped when no process that it hears is left.
    pub fn disown(&self, handler: HandlerId) {
        self.send(Message::Disown(handler));
    }

    pub(crate) fn route(&self, id: ProcessId, handler: HandlerId) {
        self.send(Message::Route(id, handler));
    }

    pub(crate) fn notify(&self, handler: HandlerId, notice: Notice) {
        self.send(Message::Notify(handler, notice));
    }

    pub(crate) fn write(&self, id: ProcessId, bytes: Arc<[u8]>, slot: Arc<Slot>) {
        self.send(Message::Write { id, bytes, slot });
    }

    /// Every event from now on, in order.
    #[must_use]
    pub fn events(&self) -> Events {
        let sender = self.inner.sender.clone();
        let (feed, events) = subscription(Arc::new(move || sender.send(Message::Nudge)));
        self.send(Message::Subscribe(feed));
        events
    }

    /// Events of chosen processes: of those that are given the handler, with [`Process::heard_by`]. Nothing more comes
    /// when it has been [disowned](Conductor::disown) and the processes have ended.
    ///
    /// [`Process::heard_by`]: crate::Process::heard_by
    #[must_use]
    pub fn tap(&self) -> (HandlerId, Events) {
        let sender = self.inner.sender.clone();
        let (feed, events) = subscription(Arc::new(move || sender.send(Message::Nudge)));
        self.send(Message::Gauge(feed.gauge()));
        (self.attach(Tap(feed)), events)
    }

    /// What has been kept so far of a stream of a process that has not ended.
    pub(crate) fn captured(&self, id: ProcessId, stream: Stream) -> Option<Captured> {
        self.assert_outside("look at the output of a process");
        let (reply, answer) = mpsc::channel();
        self.send(Message::Inspect { id, stream, reply });
        answer.recv().ok().flatten()
    }

    pub(crate) fn insert(&self, id: ProcessId, spec: Spec, slot: Arc<Slot>, handlers: Vec<HandlerId>) {
        self.send(Message::Insert { id, spec: Box::new(spec), slot: Some(slot), handlers });
    }

    pub(crate) fn request(&self, id: ProcessId, request: Request) {
        self.send(Message::Request(id, request));
    }

    /// Refuses to block the thread that everybody waits for.
    ///
    /// # Panics
    /// On the conductor's own thread, that is, inside a handler.
    pub fn assert_outside(&self, what: &str) {
        assert!(
            std::thread::current().id() != self.inner.thread,
            "a handler cannot {what}: it would wait for itself; ask through its Context instead"
        );
    }

    pub(crate) fn sender(&self) -> Sender<Message> {
        self.inner.sender.clone()
    }

    fn send(&self, message: Message) {
        self.inner.sender.send(message);
    }
}

fn conduct(mut engine: Engine) {
    while !engine.is_stopped() {
        if let Err(error) = engine.turn(None, &mut |_| {}) {
            log::error!("the conductor cannot wait for events and ends, with all its processes: {error}");
            return;
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.sender.send(Message::Stop);
        let handle = self.handle.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(handle) = handle
            && std::thread::current().id() != self.thread
        {
            // It was caught and logged if a handler panicked; anything else is a defect that the thread has printed.
            let _ = handle.join();
        }
    }
}
