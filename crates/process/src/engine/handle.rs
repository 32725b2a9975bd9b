//! The handle to an engine, whichever way that is turned.

use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::task::{Wake, Waker};
use std::thread::JoinHandle;
use std::time::Instant;

use phalanx_core::inbox::{Sender, Unsent};

use super::message::Insertion;
use super::{Engine, EngineOptions, Message, assert_may_block, this_thread};
use crate::completion::{Completion, NotComplete};
use crate::event::{Notification, Request, Stream};
use crate::handler::Handler;
use crate::id::{EngineId, HandlerId, ProcessId};
use crate::output::Captured;
use crate::run::RunState;
use crate::subscription::{Events, FilteredSubscription, subscription};

/// Why nothing works in the child of a fork.
pub(super) const FORKED: &str = "this program has forked since its engine was started, and the engine stayed with the \
                                 parent: run another program with exec, or start an engine of the child's own";

/// Asks an engine for things, from any thread. Cloning gives another handle to the same engine.
///
/// What is asked travels to the engine as a message, with one wake-up per batch, and is done in the order of asking. A
/// background engine ends with its last handle, and no child of it lives on; a current-thread engine ends when it is
/// dropped, whatever handles there are.
#[doc(alias = "Conductor")]
#[derive(Clone)]
pub struct EngineHandle {
    inner: Arc<Inner>,
}

struct Inner {
    mailbox: Mailbox,
    /// The thread of a background engine.
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// The way to an engine, which does not keep it.
#[derive(Clone)]
pub(super) struct Mailbox {
    pub(super) id: EngineId,
    pub(super) sender: Sender<Message>,
    /// Why the engine has ended, once it has.
    pub(super) end: Arc<OnceLock<Arc<str>>>,
    /// The program that started it, which is not the one that runs now if that was forked.
    pub(super) pid: u32,
    pub(super) is_background: bool,
}

impl Mailbox {
    /// Sends a message, or answers it on behalf of an engine that has ended. Returns whether it was sent.
    fn send(&self, message: Message) -> bool {
        if self.has_forked() {
            // No lock that the engine may have held at the fork is touched.
            message.refuse(&FORKED.into());
            return false;
        }
        // What its own thread asks, an engine sees before it waits.
        let sent = if this_thread::turns(self.id) || self.is_here() {
            self.sender.leave(message)
        } else {
            self.sender.send(message)
        };
        let Err(Unsent { messages, error }) = sent else { return true };
        if let Some(error) = error {
            let reason = format!("its engine has ended: it cannot be woken any more: {error}");
            self.end.get_or_init(|| reason.into());
        }
        let reason = self.end.get_or_init(|| "its engine has ended".into());
        messages.into_iter().for_each(|message| message.refuse(reason));
        false
    }

    fn has_forked(&self) -> bool {
        std::process::id() != self.pid
    }

    /// Whether waiting on this thread turns the engine.
    fn is_here(&self) -> bool {
        !self.is_background && this_thread::owns(self.id)
    }

    /// Waits while `completion` is pending, at most until `deadline`, and turns the engine meanwhile if that is this
    /// thread's to do.
    fn block_until<T: Clone>(&self, what: &str, completion: &Completion<T>, deadline: Option<Instant>) {
        if !completion.is_pending() {
            return;
        }
        assert!(!self.has_forked(), "cannot {what}: {FORKED}");
        assert_may_block(what);
        if !self.is_here() {
            return completion.block_until(deadline);
        }
        // Another thread may complete it.
        let mailbox = self.clone();
        let _woken = completion.wake(Waker::from(Arc::new(mailbox)));
        while completion.is_pending() && deadline.is_none_or(|deadline| Instant::now() < deadline) {
            if this_thread::with(self.id, |engine| engine.turn(deadline)).is_err() {
                // It has ended, and with it everything that it could have brought. What others bring is waited for.
                return completion.block_until(deadline);
            }
        }
    }
}

impl Wake for Mailbox {
    /// Ends the wait of the engine's thread, so that what it waits for is looked at.
    fn wake(self: Arc<Self>) {
        self.send(Message::Look);
    }
}

impl std::fmt::Debug for EngineHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let way = if self.inner.mailbox.is_background { "background" } else { "current_thread" };
        write!(f, "EngineHandle({:?}, {way})", self.inner.mailbox.id)
    }
}

impl EngineHandle {
    pub(super) fn new(mailbox: Mailbox, thread: Option<JoinHandle<()>>) -> Self {
        Self { inner: Arc::new(Inner { mailbox, thread: Mutex::new(thread) }) }
    }

    /// Returns the default engine, a background one that is started when first asked for. It ends with the program.
    ///
    /// # Panics
    /// When the system has no thread or descriptor left for it, as `std::thread::spawn` does.
    #[must_use]
    pub fn global() -> &'static Self {
        static GLOBAL: OnceLock<EngineHandle> = OnceLock::new();
        GLOBAL.get_or_init(|| {
            Engine::background(EngineOptions::default()).expect("the system has a thread and a few descriptors left")
        })
    }

    /// Returns which engine it is.
    #[must_use]
    pub fn id(&self) -> EngineId {
        self.inner.mailbox.id
    }

    /// Returns why the engine has ended, once it has.
    #[must_use]
    pub fn ended(&self) -> Option<Arc<str>> {
        if self.inner.mailbox.has_forked() { Some(FORKED.into()) } else { self.inner.mailbox.end.get().cloned() }
    }

    /// Returns a handle that does not keep a background engine from ending: for what the engine itself holds.
    #[must_use]
    pub fn downgrade(&self) -> WeakEngineHandle {
        WeakEngineHandle { inner: Arc::downgrade(&self.inner), mailbox: self.inner.mailbox.clone() }
    }

    /// Gives a handler to the engine; its first event is [`crate::event::Event::Attached`].
    pub fn attach(&self, handler: impl Handler + 'static) -> HandlerId {
        let id = HandlerId::new(self.id());
        self.send(Message::Attach(id, Box::new(handler)));
        id
    }

    /// Asks for the attention of a handler: it is given [`Notification::Woken`] on the engine's thread, after all that has
    /// happened so far. How others tell it that they have left something for it.
    pub fn wake_handler(&self, handler: HandlerId) {
        self.send(Message::Notify(handler, Notification::Woken));
    }

    /// Releases a handler: it is dropped when it hears no process any more.
    pub fn release(&self, handler: HandlerId) {
        self.send(Message::Release(handler));
    }

    /// Asks something of a process. One that is unknown or has ended is not an error: late is normal.
    pub fn request(&self, id: ProcessId, request: Request) {
        self.send(Message::Request(id, request));
    }

    /// Returns every event from now on, in order.
    #[must_use]
    pub fn subscribe(&self) -> Events {
        let (sender, events) = subscription(self.downgrade());
        self.send(Message::Subscribe(sender));
        events
    }

    /// Returns the events of chosen processes: of those that are given the handler, with [`Process::heard_by`]. Nothing
    /// more comes when it has been [released](EngineHandle::release) and the processes have ended.
    ///
    /// [`Process::heard_by`]: crate::Process::heard_by
    #[must_use]
    pub fn subscribe_filtered(&self) -> (HandlerId, Events) {
        let (sender, events) = subscription(self.downgrade());
        self.send(Message::Backlog(sender.backlog()));
        (self.attach(FilteredSubscription(sender)), events)
    }

    /// Waits for what this engine will bring, at most until `deadline`. On the thread of a current-thread engine it turns
    /// that engine meanwhile; anywhere else it blocks. `what` is what cannot be done inside a handler, such as "wait for a
    /// process".
    ///
    /// # Errors
    /// When it will never come, or has not come by then.
    ///
    /// # Panics
    /// Inside a handler, and in the child of a fork, unless it has come.
    pub fn wait_for<T: Clone>(
        &self,
        what: &str,
        completion: &Completion<T>,
        deadline: Option<Instant>,
    ) -> Result<T, NotComplete> {
        self.block_until(what, completion, deadline);
        completion.get()
    }

    /// As [`EngineHandle::wait_for`], without looking at the value.
    pub(crate) fn block_until<T: Clone>(&self, what: &str, completion: &Completion<T>, deadline: Option<Instant>) {
        self.inner.mailbox.block_until(what, completion, deadline);
    }

    /// Returns whether a wait on this thread turns the engine: it is a current-thread engine of this thread.
    #[must_use]
    pub fn turns_here(&self) -> bool {
        self.inner.mailbox.is_here()
    }

    pub(crate) fn route(&self, id: ProcessId, handler: HandlerId) {
        self.send(Message::Route(id, handler));
    }

    pub(crate) fn notify(&self, handler: HandlerId, notification: Notification) {
        self.send(Message::Notify(handler, notification));
    }

    pub(crate) fn write(&self, id: ProcessId, bytes: Arc<[u8]>, run: Arc<RunState>) {
        self.send(Message::Write { id, bytes, run });
    }

    /// Returns what has been kept so far of a stream of a process that has not ended.
    pub(crate) fn captured(&self, id: ProcessId, stream: Stream) -> Option<Captured> {
        assert_may_block("look at the output of a process");
        let (reply, answer) = Completion::pair();
        self.send(Message::Inspect { id, stream, reply });
        self.block_until("look at the output of a process", &answer, None);
        answer.take().ok().flatten()
    }

    pub(crate) fn insert(&self, insertion: Insertion) {
        self.send(Message::Insert(Box::new(insertion)));
    }

    pub(super) fn send(&self, message: Message) {
        self.inner.mailbox.send(message);
    }
}

/// A handle to an engine that does not keep it from ending.
#[derive(Clone)]
pub struct WeakEngineHandle {
    inner: Weak<Inner>,
    mailbox: Mailbox,
}

impl std::fmt::Debug for WeakEngineHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "WeakEngineHandle({:?})", self.mailbox.id)
    }
}

impl WeakEngineHandle {
    /// Returns a handle, unless the last one is gone.
    #[must_use]
    pub fn upgrade(&self) -> Option<EngineHandle> {
        self.inner.upgrade().map(|inner| EngineHandle { inner })
    }

    /// Makes the loop that turns a current-thread engine see an [`Event::Woken`](crate::event::Event::Woken).
    pub fn wake(&self) {
        self.mailbox.send(Message::Wake);
    }

    /// Makes the engine look again before it waits.
    pub(crate) fn look(&self) {
        self.mailbox.send(Message::Look);
    }

    pub(crate) fn release(&self, handler: HandlerId) {
        self.mailbox.send(Message::Release(handler));
    }

    /// Whether waiting on this thread turns the engine.
    pub(crate) fn is_here(&self) -> bool {
        self.mailbox.is_here()
    }

    /// Turns the engine of this thread once, at most until `deadline`. Returns whether it can be turned again.
    pub(crate) fn turn(&self, deadline: Option<Instant>) -> bool {
        this_thread::with(self.mailbox.id, |engine| engine.turn(deadline)).is_ok()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if !self.mailbox.is_background || self.mailbox.has_forked() {
            return;
        }
        // An engine that cannot be told may never end.
        let will_end = self.mailbox.send(Message::Stop);
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        // An engine must not wait for itself, nor for another.
        if let Some(thread) = thread
            && will_end
            && !this_thread::turns_any()
        {
            // A panic was caught and has ended the engine; anything else is a defect that the thread has printed.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Process, Spec};
    use std::panic::{AssertUnwindSafe, catch_unwind};

    /// What the child of a fork has: the same handle in another program.
    fn after_a_fork(handle: &EngineHandle) -> EngineHandle {
        let mailbox = Mailbox { pid: std::process::id() + 1, ..handle.inner.mailbox.clone() };
        EngineHandle::new(mailbox, None)
    }

    #[test]
    fn the_child_of_a_fork_is_refused_with_a_sentence_and_the_parent_goes_on() {
        let engine = Engine::background(EngineOptions::default()).expect("a thread");
        let current = Engine::current_thread(EngineOptions::default()).expect("a descriptor");
        for parent in [engine, current.handle()] {
            let child = after_a_fork(&parent);
            let process = Process::from_spec(Spec::new(["true"]), &child).start();
            assert!(process.error().expect("a start error").reason.contains("has forked"), "{process:?}");
            let process = process.wait();
            assert!(child.ended().expect("a reason").contains("has forked"));
            let pending = Completion::<()>::default();
            let wait = catch_unwind(AssertUnwindSafe(|| child.wait_for("wait for a process", &pending, None)));
            let refusal = wait.expect_err("it would wait for ever").downcast::<String>().expect("a sentence");
            assert!(refusal.contains("cannot wait for a process") && refusal.contains("has forked"), "{refusal}");
            drop((child, process));
            assert!(Process::from_spec(Spec::new(["true"]), &parent).run().ok());
        }
    }
}
