//! Events on another thread: a channel from the engine, and the iterator at its far end. A subscriber hears everything; a
//! tap hears some processes, as any handler of them does.
//!
//! A subscriber that is slower than its processes must not fill memory: the bytes under way are counted, and while
//! they are over a bound the engine reads no stream, so that the children feel it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak, mpsc};
use std::time::{Duration, Instant};

use crate::event::Event;
use crate::handler::{Context, Handler};

/// Past this, the engine stops reading streams.
const CONGESTED: usize = 8 * 1024 * 1024;

/// Asks the engine to look again: called when a lagging subscriber has caught up.
type Nudge = Arc<dyn Fn() + Send + Sync>;

/// The engine's end.
pub(crate) struct Feed {
    sender: mpsc::Sender<Event>,
    under_way: Arc<AtomicUsize>,
}

impl Feed {
    /// Sends a copy; `false` when nobody listens any more.
    pub(crate) fn send(&self, event: &Event) -> bool {
        self.under_way.fetch_add(weight(event), Ordering::Relaxed);
        self.sender.send(event.clone()).is_ok()
    }

    pub(crate) fn gauge(&self) -> Gauge {
        Gauge(Arc::downgrade(&self.under_way))
    }
}

/// Tells how much is under way.
pub(crate) struct Gauge(Weak<AtomicUsize>);

impl Gauge {
    pub(crate) fn is_congested(&self) -> bool {
        self.0.upgrade().is_some_and(|under_way| under_way.load(Ordering::Relaxed) > CONGESTED)
    }

    /// Whether both ends are gone.
    pub(crate) fn is_idle(&self) -> bool {
        self.0.strong_count() == 0
    }
}

/// The handler that sends on what it hears.
pub(crate) struct Tap(pub(crate) Feed);

impl Handler for Tap {
    fn on_event(&mut self, context: &mut Context<'_>, event: &Event) {
        if event.process().is_some() && !self.0.send(event) {
            context.farewell();
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
    under_way: Arc<AtomicUsize>,
    nudge: Nudge,
}

impl std::fmt::Debug for Events {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Events").field("bytes_under_way", &self.under_way).finish_non_exhaustive()
    }
}

/// Both ends of a subscription.
pub(crate) fn subscription(nudge: Nudge) -> (Feed, Events) {
    let (sender, receiver) = mpsc::channel();
    let under_way = Arc::new(AtomicUsize::new(0));
    (Feed { sender, under_way: Arc::clone(&under_way) }, Events { receiver, under_way, nudge })
}

impl Events {
    /// The next event, or `None` when none came for `timeout` or the engine is gone.
    pub fn next_within(&mut self, timeout: Duration) -> Option<Event> {
        let deadline = Instant::now().checked_add(timeout);
        let event = match deadline {
            Some(_) => self.receiver.recv_timeout(timeout).ok(),
            None => self.receiver.recv().ok(),
        };
        event.inspect(|event| self.taken(event))
    }

    fn taken(&self, event: &Event) {
        let before = self.under_way.fetch_sub(weight(event), Ordering::Relaxed);
        if before > CONGESTED && before - weight(event) <= CONGESTED {
            (self.nudge)();
        }
    }
}

impl Iterator for Events {
    type Item = Event;

    /// Waits; `None` only when the engine, or the tap, is gone.
    fn next(&mut self) -> Option<Event> {
        self.receiver.recv().ok().inspect(|event| self.taken(event))
    }
}

impl Drop for Events {
    /// What is under way will be read by nobody: it must not hold up the engine.
    fn drop(&mut self) {
        // The receiver first: what the engine sends after that is refused, so it cannot count again.
        drop(std::mem::replace(&mut self.receiver, mpsc::channel().1));
        self.under_way.store(0, Ordering::Relaxed);
        (self.nudge)();
    }
}
