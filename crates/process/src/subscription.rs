//! Events on another thread: a channel from the engine, and the iterator at its far end. A subscriber hears everything; a
//! tap hears some processes, as any handler of them does.
//!
//! A subscriber that is slower than its processes must not fill memory: the bytes under way are counted, and while
//! they are over a bound the engine reads no stream, so that the children feel it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, TryRecvError};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use crate::engine::{WeakEngineHandle, assert_may_block};
use crate::event::Event;
use crate::handler::{Context, Handler};

/// Past this, the engine stops reading streams.
const CONGESTED: usize = 8 * 1024 * 1024;

/// The engine's end.
pub(crate) struct EventSender {
    sender: mpsc::Sender<Event>,
    in_flight: Arc<AtomicUsize>,
}

impl EventSender {
    /// Sends a copy; `false` when nobody listens any more.
    pub(crate) fn send(&self, event: &Event) -> bool {
        self.in_flight.fetch_add(weight(event), Ordering::Relaxed);
        self.sender.send(event.clone()).is_ok()
    }

    pub(crate) fn backlog(&self) -> Backlog {
        Backlog(Arc::downgrade(&self.in_flight))
    }
}

/// Tells how much is under way.
pub(crate) struct Backlog(Weak<AtomicUsize>);

impl Backlog {
    pub(crate) fn is_congested(&self) -> bool {
        self.0.upgrade().is_some_and(|in_flight| in_flight.load(Ordering::Relaxed) > CONGESTED)
    }

    /// Whether both ends are gone.
    pub(crate) fn is_idle(&self) -> bool {
        self.0.strong_count() == 0
    }
}

/// The handler that sends on what it hears.
pub(crate) struct FilteredSubscription(pub(crate) EventSender);

impl Handler for FilteredSubscription {
    fn on_event(&mut self, context: &mut Context<'_>, event: &Event) {
        if event.process().is_some() && !self.0.send(event) {
            context.detach();
        }
    }
}

fn weight(event: &Event) -> usize {
    match event {
        Event::Output { bytes, .. } => bytes.len(),
        _ => 0,
    }
}

/// Events of an engine, in order, from the moment of subscription. Iterating waits for the next one.
pub struct Events {
    receiver: mpsc::Receiver<Event>,
    in_flight: Arc<AtomicUsize>,
    engine: WeakEngineHandle,
}

impl std::fmt::Debug for Events {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Events").field("bytes_in_flight", &self.in_flight).finish_non_exhaustive()
    }
}

/// Both ends of a subscription.
pub(crate) fn subscription(engine: WeakEngineHandle) -> (EventSender, Events) {
    let (sender, receiver) = mpsc::channel();
    let in_flight = Arc::new(AtomicUsize::new(0));
    (EventSender { sender, in_flight: Arc::clone(&in_flight) }, Events { receiver, in_flight, engine })
}

impl Events {
    /// Waits for the next event; `None` when none came for `timeout` or the engine has ended. On the thread of a
    /// current-thread engine, waiting turns it.
    ///
    /// # Panics
    /// Inside a handler.
    pub fn next_within(&mut self, timeout: Duration) -> Option<Event> {
        self.next_until(Instant::now().checked_add(timeout))
    }

    fn next_until(&mut self, deadline: Option<Instant>) -> Option<Event> {
        let event = match self.receiver.try_recv() {
            Ok(event) => Some(event),
            Err(TryRecvError::Disconnected) => None,
            Err(TryRecvError::Empty) => {
                assert_may_block("wait for an event");
                if self.engine.is_here() { self.turn_until(deadline) } else { self.block_until(deadline) }
            }
        };
        event.inspect(|event| self.taken(event))
    }

    fn turn_until(&self, deadline: Option<Instant>) -> Option<Event> {
        while deadline.is_none_or(|deadline| Instant::now() < deadline) && self.engine.turn(deadline) {
            match self.receiver.try_recv() {
                Err(TryRecvError::Empty) => {}
                received => return received.ok(),
            }
        }
        self.receiver.try_recv().ok()
    }

    fn block_until(&self, deadline: Option<Instant>) -> Option<Event> {
        match deadline {
            Some(deadline) => self.receiver.recv_timeout(deadline.saturating_duration_since(Instant::now())).ok(),
            None => self.receiver.recv().ok(),
        }
    }

    fn taken(&self, event: &Event) {
        let before = self.in_flight.fetch_sub(weight(event), Ordering::Relaxed);
        if before > CONGESTED && before - weight(event) <= CONGESTED {
            self.engine.look();
        }
    }
}

impl Iterator for Events {
    type Item = Event;

    /// Waits; `None` only when the engine has ended, or the subscription was released.
    fn next(&mut self) -> Option<Event> {
        self.next_until(None)
    }
}

impl Drop for Events {
    /// What is under way will be read by nobody: it must not hold up the engine.
    fn drop(&mut self) {
        // The receiver first: what the engine sends after that is refused, so it cannot count again.
        drop(std::mem::replace(&mut self.receiver, mpsc::channel().1));
        self.in_flight.store(0, Ordering::Relaxed);
        self.engine.look();
    }
}
