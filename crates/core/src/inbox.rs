//! Messages from other threads to the one that waits in a [`Reactor`], with one wake-up per batch.
//!
//! A wake-up is a system call; a thousand messages sent in a row need one. The order that makes this safe:
//! the sender pushes, then raises the flag and wakes only if it was down; the receiver lowers the flag, *then*
//! takes the messages. A message pushed after the taking finds the flag down and wakes again.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::reactor::Reactor;

#[derive(Debug)]
struct Shared<T> {
    messages: Mutex<Vec<T>>,
    woken: AtomicBool,
    waker: mio::Waker,
}

impl<T> Shared<T> {
    /// Locks the queue, even if a sender panicked while it held the lock: a `Vec` is whole after any push.
    fn messages(&self) -> MutexGuard<'_, Vec<T>> {
        self.messages.lock().unwrap_or_else(PoisonError::into_inner)
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
        let shared = Shared { messages: Mutex::default(), woken: AtomicBool::new(false), waker };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Returns a sender for another thread.
    #[must_use]
    pub fn sender(&self) -> Sender<T> {
        Sender { shared: Arc::clone(&self.shared) }
    }

    /// Takes everything sent so far, oldest first.
    #[must_use]
    pub fn take(&self) -> Vec<T> {
        self.shared.woken.store(false, Ordering::SeqCst);
        std::mem::take(&mut *self.shared.messages())
    }
}

impl<T> Sender<T> {
    /// Puts `message` into the inbox and makes sure that the receiver wakes up for it.
    ///
    /// Messages to a receiver that is gone are dropped with the last sender.
    pub fn send(&self, message: T) {
        self.shared.messages().push(message);
        if !self.shared.woken.swap(true, Ordering::SeqCst)
            && let Err(error) = self.shared.waker.wake()
        {
            log::error!("cannot wake the reactor: {error}");
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
            inbox.sender().send(n);
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
                scope.spawn(move || (0..1000).for_each(|n| sender.send(n)));
            }
            while got < 4000 {
                let _ = reactor.poll(Some(Duration::from_secs(10))).unwrap().count();
                got += inbox.take().len();
            }
        });
        assert_eq!(got, 4000);
    }
}
