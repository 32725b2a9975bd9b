//! Messages from other threads to the one that waits in a [`Reactor`], with one wake-up per batch.
//!
//! A wake-up is a system call; a thousand messages sent in a row need one. Whether one is under way is known under the lock
//! of the messages themselves: it is so exactly while there is a message that was sent. So a receiver that finds nothing to
//! take may wait, whatever wake-up comes late: the next sender finds none under way.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::reactor::Reactor;

#[derive(Debug)]
struct Shared<T> {
    /// `None` once it is closed.
    queue: Mutex<Option<Undelivered<T>>>,
    waker: mio::Waker,
}

#[derive(Debug)]
struct Undelivered<T> {
    messages: Vec<T>,
    /// Whether the receiver was woken, or is about to be, for one of the messages.
    woken: bool,
}

impl<T> Shared<T> {
    /// Locks the queue, even if a sender panicked while it held the lock: a `Vec` is whole after any push.
    fn queue(&self) -> MutexGuard<'_, Option<Undelivered<T>>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The receiving side. It belongs to the thread of its reactor.
#[derive(Debug)]
pub struct Inbox<T> {
    shared: Arc<Shared<T>>,
}

/// The sending side, to be cloned and given away.
#[derive(Debug)]
pub struct Sender<T> {
    shared: Arc<Shared<T>>,
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<T> Inbox<T> {
    /// Makes an empty inbox whose wake-ups are reported by `reactor` under `token`.
    ///
    /// # Errors
    /// When the system has no descriptor left for the waker.
    pub fn new(reactor: &Reactor, token: u64) -> io::Result<Self> {
        let waker = reactor.waker(token)?;
        let queue = Undelivered { messages: Vec::new(), woken: false };
        Ok(Self { shared: Arc::new(Shared { queue: Mutex::new(Some(queue)), waker }) })
    }

    /// Returns a sender for another thread.
    #[must_use]
    pub fn sender(&self) -> Sender<T> {
        Sender { shared: Arc::clone(&self.shared) }
    }

    /// Takes everything sent so far, oldest first.
    #[must_use]
    pub fn take(&self) -> Vec<T> {
        let take = |queue: &mut Undelivered<T>| {
            queue.woken = false;
            std::mem::take(&mut queue.messages)
        };
        self.shared.queue().as_mut().map(take).unwrap_or_default()
    }

    /// Returns whether something waits to be taken.
    #[must_use]
    pub fn has_messages(&self) -> bool {
        self.shared.queue().as_ref().is_some_and(|queue| !queue.messages.is_empty())
    }

    /// Takes everything sent so far and refuses everything from now on, without a gap between the two.
    #[must_use]
    pub fn close(&self) -> Vec<T> {
        self.shared.queue().take().map(|queue| queue.messages).unwrap_or_default()
    }
}

/// Messages that no receiver will take.
#[derive(Debug)]
pub struct Unsent<T> {
    /// The refused message; when the receiver could not be woken, all that it had not taken.
    pub messages: Vec<T>,
    /// Why the receiver cannot be woken; `None` when it has closed the inbox.
    pub error: Option<io::Error>,
}

impl<T> Sender<T> {
    /// Puts `message` into the inbox and makes sure that the receiver wakes up for it.
    ///
    /// # Errors
    /// When the receiver has closed the inbox, or cannot be woken; from then on the inbox is closed.
    pub fn send(&self, message: T) -> Result<(), Unsent<T>> {
        let wakes = self.push(message, |queue| !std::mem::replace(&mut queue.woken, true))?;
        if wakes && let Err(error) = self.shared.waker.wake() {
            let messages = self.shared.queue().take().map(|queue| queue.messages).unwrap_or_default();
            return Err(Unsent { messages, error: Some(error) });
        }
        Ok(())
    }

    /// Leaves `message` in the inbox without waking the receiver: for its own thread, which cannot be waiting.
    ///
    /// # Errors
    /// When the receiver has closed the inbox.
    pub fn leave(&self, message: T) -> Result<(), Unsent<T>> {
        self.push(message, |_| ())
    }

    fn push<R>(&self, message: T, then: impl FnOnce(&mut Undelivered<T>) -> R) -> Result<R, Unsent<T>> {
        match &mut *self.shared.queue() {
            Some(queue) => {
                queue.messages.push(message);
                Ok(then(queue))
            }
            None => Err(Unsent { messages: vec![message], error: None }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_batch_wakes_once_and_loses_nothing() {
        let mut reactor = Reactor::new().unwrap();
        let inbox = Inbox::new(&reactor, 9).unwrap();
        for n in 0..100 {
            inbox.sender().send(n).unwrap();
        }
        assert_eq!(reactor.poll(None).unwrap().map(|ready| ready.token).collect::<Vec<_>>(), [9]);
        assert_eq!(inbox.take(), (0..100).collect::<Vec<_>>());
        assert_eq!(reactor.poll(Some(Duration::ZERO)).unwrap().count(), 0);
    }

    #[test]
    fn every_message_of_many_threads_arrives() {
        let mut reactor = Reactor::new().unwrap();
        let inbox = Inbox::new(&reactor, 9).unwrap();
        let mut got = 0;
        std::thread::scope(|scope| {
            for _ in 0..4 {
                let sender = inbox.sender();
                scope.spawn(move || (0..1000).for_each(|n| sender.send(n).unwrap()));
            }
            while got < 4000 {
                let _ = reactor.poll(Some(Duration::from_secs(10))).unwrap().count();
                got += inbox.take().len();
            }
        });
        assert_eq!(got, 4000);
    }

    #[test]
    fn a_closed_inbox_returns_what_it_had_and_gives_back_what_comes_later() {
        let reactor = Reactor::new().unwrap();
        let inbox = Inbox::new(&reactor, 9).unwrap();
        inbox.sender().send(1).unwrap();
        inbox.sender().leave(2).unwrap();
        assert!(inbox.has_messages());
        assert_eq!(inbox.close(), [1, 2]);
        assert!(!inbox.has_messages());
        let unsent = inbox.sender().send(3).unwrap_err();
        assert!(unsent.messages == [3] && unsent.error.is_none());
        assert_eq!(inbox.sender().leave(4).unwrap_err().messages, [4]);
    }

    // As an engine does it: having taken the messages, it does not ask again when it is woken for them.
    #[test]
    fn a_wake_up_that_comes_behind_its_message_does_not_silence_the_next_one() {
        let mut reactor = Reactor::new().unwrap();
        let inbox = Inbox::new(&reactor, 9).unwrap();
        let (sender, (taken, told)) = (inbox.sender(), std::sync::mpsc::channel());
        std::thread::scope(|scope| {
            scope.spawn(move || {
                for round in 0..20_000 {
                    sender.send(round).unwrap();
                    if told.recv() != Ok(round) {
                        return;
                    }
                }
            });
            let mut got = 0;
            while got < 20_000 {
                if inbox.has_messages() {
                    for message in inbox.take() {
                        got += 1;
                        taken.send(message).unwrap();
                    }
                } else {
                    let woken = reactor.poll(Some(Duration::from_secs(10))).unwrap().count() == 1;
                    assert!(woken || inbox.has_messages(), "waited in vain after {got} messages");
                    assert!(woken, "message {got} came without a wake-up");
                }
            }
            drop(taken);
        });
    }
}
