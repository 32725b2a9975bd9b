//! Waiting for one value: by blocking, by polling, as a future, or with a callback.
//!
//! Every wait of the house is one of these, so that the rules hold once:
//! * The first value wins; later ones are ignored.
//! * A [`Completer`] that is dropped without a value ends every wait with [`NotComplete::Abandoned`]. What owns the
//!   completer may end in any way, and nothing waits for ever.
//! * A future has one place for its waker, which goes with the future: polling costs no memory, and a dropped future
//!   wakes nothing.
//! * Callbacks and wakers run outside of the lock, in the order of asking, and one that panics keeps no other from
//!   running.
//! * Blocking inside a handler is refused with a sentence, since the engine would wait for itself.
//!
//! A blocking wait here only blocks. To wait for what an engine of the same thread will bring, wait through
//! [`EngineHandle::wait_for`](crate::engine::EngineHandle::wait_for), which turns that engine meanwhile.
//!
//! ```
//! use phalanx_process::completion::{Completion, NotComplete};
//!
//! let (completer, completion) = Completion::pair();
//! assert_eq!(completion.get(), Err(NotComplete::Pending));
//! std::thread::spawn(move || completer.complete(42));
//! assert_eq!(completion.wait(), Ok(42));
//!
//! let (completer, completion) = Completion::<u8>::pair();
//! drop(completer);
//! assert_eq!(completion.wait(), Err(NotComplete::Abandoned));
//! ```

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Instant;

/// Why there is no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotComplete {
    /// It may still come; a wait with a deadline returns this when the deadline has passed.
    #[error("it has not come yet")]
    Pending,
    /// It will never come: what was to bring it is gone.
    #[error("it will not come: what was to bring it has ended")]
    Abandoned,
}

/// A value that comes once. Cloning gives another handle to the same one.
pub struct Completion<T> {
    shared: Arc<Shared<T>>,
}

/// The side that brings the value. Dropping it without one abandons the completion.
#[must_use = "dropping it abandons the completion"]
pub struct Completer<T: Clone> {
    completion: Completion<T>,
}

struct Shared<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
}

struct State<T> {
    value: Result<T, NotComplete>,
    /// What is to be run at the end, in the order of asking.
    observers: BTreeMap<u64, Observer<T>>,
    /// How many observers were ever added.
    added: u64,
    /// How many threads block. Without one there is nothing to notify, which is a system call.
    blocked: usize,
}

type Callback<T> = Box<dyn FnOnce(Result<T, NotComplete>) + Send>;

enum Observer<T> {
    Waker(Waker),
    Callback(Callback<T>),
}

impl<T> Clone for Completion<T> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<T> Default for Completion<T> {
    fn default() -> Self {
        let state = State { value: Err(NotComplete::Pending), observers: BTreeMap::new(), added: 0, blocked: 0 };
        Self { shared: Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new() }) }
    }
}

impl<T> fmt::Debug for Completion<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &self.state().value {
            Ok(_) => "complete",
            Err(NotComplete::Pending) => "pending",
            Err(NotComplete::Abandoned) => "abandoned",
        };
        f.debug_tuple("Completion").field(&state).finish()
    }
}

impl<T: Clone> fmt::Debug for Completer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Completer").field(&self.completion).finish()
    }
}

impl<T> Completion<T> {
    fn state(&self) -> MutexGuard<'_, State<T>> {
        // Nothing panics while the lock is held.
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether there is a value.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.state().value.is_ok()
    }

    /// Whether nothing has been decided: there is no value, and there may be one.
    #[must_use]
    pub fn is_pending(&self) -> bool {
        matches!(self.state().value, Err(NotComplete::Pending))
    }

    /// Runs `change` on the value, if there is one: a fact that is found later. Returns whether there was.
    pub fn update(&self, change: impl FnOnce(&mut T)) -> bool {
        self.state().value.as_mut().map(change).is_ok()
    }

    fn add(&self, observer: Observer<T>) -> Result<u64, Observer<T>> {
        let mut state = self.state();
        if !matches!(state.value, Err(NotComplete::Pending)) {
            return Err(observer);
        }
        state.added += 1;
        let key = state.added;
        state.observers.insert(key, observer);
        Ok(key)
    }

    fn remove(&self, key: u64) {
        // What it holds is dropped outside of the lock.
        let observer = self.state().observers.remove(&key);
        drop(observer);
    }
}

impl<T> Completion<T> {
    /// Says that no value will come, unless one has. Returns whether that was new.
    pub fn abandon(&self) -> bool
    where
        T: Clone,
    {
        self.decide(Err(NotComplete::Abandoned))
    }

    /// Takes the value, if it has come; to everyone else it is abandoned from then on.
    ///
    /// # Errors
    /// When it has not come.
    pub fn take(&self) -> Result<T, NotComplete> {
        let mut state = self.state();
        match state.value {
            Err(NotComplete::Pending) => Err(NotComplete::Pending),
            _ => std::mem::replace(&mut state.value, Err(NotComplete::Abandoned)),
        }
    }

    /// Blocks while it is pending, at most until `deadline`.
    pub(crate) fn block_until(&self, deadline: Option<Instant>) {
        let mut state = self.state();
        while matches!(state.value, Err(NotComplete::Pending)) {
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return;
            }
            state.blocked += 1;
            state = match left {
                None => self.shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(left) => self.shared.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0,
            };
            state.blocked -= 1;
        }
    }
}

impl<T: Clone> Completion<T> {
    /// Returns a completion and the side that completes it.
    pub fn pair() -> (Completer<T>, Self) {
        let completion = Self::default();
        (Completer { completion: completion.clone() }, completion)
    }

    /// Brings the value. Returns whether it was the first.
    pub fn complete(&self, value: T) -> bool {
        self.decide(Ok(value))
    }

    fn decide(&self, value: Result<T, NotComplete>) -> bool {
        let (observers, blocked) = {
            let mut state = self.state();
            if !matches!(state.value, Err(NotComplete::Pending)) {
                return false;
            }
            state.value = value;
            (std::mem::take(&mut state.observers), state.blocked)
        };
        if blocked > 0 {
            self.shared.changed.notify_all();
        }
        for observer in observers.into_values() {
            self.run(observer);
        }
        true
    }

    /// Runs user code: a panic in it is its own affair.
    fn run(&self, observer: Observer<T>) {
        let ran = catch_unwind(AssertUnwindSafe(|| match observer {
            Observer::Waker(waker) => waker.wake(),
            Observer::Callback(callback) => callback(self.get()),
        }));
        if let Err(panic) = ran {
            crate::engine::log_panic("what was to be woken at the end of a wait", &*panic);
        }
    }

    /// Returns the value, if it has come.
    ///
    /// # Errors
    /// When it has not.
    pub fn get(&self) -> Result<T, NotComplete> {
        self.state().value.clone()
    }

    /// Waits for the value.
    ///
    /// # Errors
    /// When it will never come.
    ///
    /// # Panics
    /// Inside a handler.
    pub fn wait(&self) -> Result<T, NotComplete> {
        self.wait_until(None)
    }

    /// Waits for the value, at most until `deadline`.
    ///
    /// # Errors
    /// When it will never come, or has not come by then.
    ///
    /// # Panics
    /// Inside a handler.
    pub fn wait_until(&self, deadline: Option<Instant>) -> Result<T, NotComplete> {
        crate::engine::assert_may_block("wait");
        self.block_until(deadline);
        self.get()
    }

    /// Runs `callback` once it is decided; at once if that has been. It runs on the thread that decides and must not
    /// block. Dropping the result takes it back, unless it is [kept](Observing::keep).
    pub fn on_complete(&self, callback: impl FnOnce(Result<T, NotComplete>) + Send + 'static) -> Observing<T> {
        let key = match self.add(Observer::Callback(Box::new(callback))) {
            Ok(key) => Some(key),
            Err(observer) => {
                self.run(observer);
                None
            }
        };
        Observing { completion: self.clone(), key }
    }

    /// Wakes `waker` once it is decided; at once if that has been. Dropping the result takes it back.
    pub fn wake(&self, waker: Waker) -> Observing<T> {
        let key = self.add(Observer::Waker(waker));
        let key = key.map_err(|observer| self.run(observer)).ok();
        Observing { completion: self.clone(), key }
    }

    /// Returns a future of the value.
    #[must_use]
    pub fn future(&self) -> CompletionFuture<T> {
        CompletionFuture { completion: self.clone(), key: None }
    }
}

impl<T: Clone> Completer<T> {
    /// Brings the value. Returns whether it was the first.
    pub fn complete(self, value: T) -> bool {
        self.completion.complete(value)
    }
}

impl<T: Clone> Drop for Completer<T> {
    fn drop(&mut self) {
        self.completion.abandon();
    }
}

/// What was asked for at the end of a completion; taken back when this is dropped.
#[must_use = "dropping it takes the request back"]
pub struct Observing<T> {
    completion: Completion<T>,
    key: Option<u64>,
}

impl<T> Observing<T> {
    /// Lets it happen whatever becomes of this.
    pub fn keep(mut self) {
        self.key = None;
    }
}

impl<T> fmt::Debug for Observing<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Observing").field(&self.completion).finish()
    }
}

impl<T> Drop for Observing<T> {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            self.completion.remove(key);
        }
    }
}

/// The future of a [`Completion`].
#[derive(Debug)]
pub struct CompletionFuture<T> {
    completion: Completion<T>,
    /// The place of its waker.
    key: Option<u64>,
}

impl<T: Clone> Future for CompletionFuture<T> {
    type Output = Result<T, NotComplete>;

    /// # Panics
    /// Inside a handler, when it is not complete: the executor would block the engine.
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let old = {
            let mut state = this.completion.state();
            match &state.value {
                Err(NotComplete::Pending) => {}
                value => return Poll::Ready(value.clone()),
            }
            match this.key.and_then(|key| state.observers.get_mut(&key)) {
                Some(Observer::Waker(waker)) if waker.will_wake(context.waker()) => None,
                Some(place) => Some(std::mem::replace(place, Observer::Waker(context.waker().clone()))),
                None => {
                    state.added += 1;
                    let key = state.added;
                    state.observers.insert(key, Observer::Waker(context.waker().clone()));
                    this.key = Some(key);
                    None
                }
            }
        };
        // A waker is user code, and dropped outside of the lock.
        drop(old);
        crate::engine::assert_may_block("await");
        Poll::Pending
    }
}

impl<T> Drop for CompletionFuture<T> {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            self.completion.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;
    use std::time::Duration;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    struct Panics;

    impl Wake for Panics {
        fn wake(self: Arc<Self>) {
            panic!("a waker panics on purpose");
        }
    }

    #[test]
    fn the_first_value_wins_and_ends_every_kind_of_wait() {
        let completion = Completion::default();
        let (count, called) = (Arc::new(Count::default()), Arc::new(AtomicUsize::new(0)));
        let waker = Waker::from(Arc::clone(&count));
        let mut future = completion.future();
        assert!(Pin::new(&mut future).poll(&mut Context::from_waker(&waker)).is_pending());
        let seen = Arc::clone(&called);
        completion
            .on_complete(move |value| {
                seen.fetch_add(value.unwrap_or(0), Ordering::SeqCst);
            })
            .keep();
        let thread = {
            let completion = completion.clone();
            std::thread::spawn(move || completion.wait())
        };
        assert!(completion.complete(7) && !completion.complete(8) && !completion.abandon());
        assert_eq!(thread.join().expect("it does not panic"), Ok(7));
        assert_eq!((count.0.load(Ordering::SeqCst), called.load(Ordering::SeqCst)), (1, 7));
        assert_eq!(Pin::new(&mut future).poll(&mut Context::from_waker(&waker)), Poll::Ready(Ok(7)));
        let seen = Arc::clone(&called);
        completion
            .on_complete(move |value| {
                seen.fetch_add(value.unwrap_or(0), Ordering::SeqCst);
            })
            .keep();
        assert_eq!(called.load(Ordering::SeqCst), 14, "a late callback runs at once");
    }

    #[test]
    fn a_completer_that_is_dropped_abandons_every_wait() {
        let (completer, completion) = Completion::<u8>::pair();
        let called = Arc::new(AtomicUsize::new(0));
        let seen = Arc::clone(&called);
        let _observing = completion.on_complete(move |value| {
            assert_eq!(value, Err(NotComplete::Abandoned));
            seen.fetch_add(1, Ordering::SeqCst);
        });
        drop(completer);
        assert_eq!((completion.wait(), completion.get()), (Err(NotComplete::Abandoned), Err(NotComplete::Abandoned)));
        assert_eq!(called.load(Ordering::SeqCst), 1);
        assert!(!completion.complete(1));
    }

    #[test]
    fn a_wait_with_a_deadline_ends_there() {
        let completion = Completion::<u8>::default();
        let deadline = Instant::now() + Duration::from_millis(5);
        assert_eq!(completion.wait_until(Some(deadline)), Err(NotComplete::Pending));
        assert!(Instant::now() >= deadline);
    }

    /// A future polled a hundred times keeps one waker, and none when it is gone.
    #[test]
    fn a_future_keeps_one_waker_and_takes_it_along() {
        let completion = Completion::<u8>::default();
        let count = Arc::new(Count::default());
        let waker = Waker::from(Arc::clone(&count));
        for _ in 0..100 {
            let mut future = completion.future();
            for _ in 0..100 {
                assert!(Pin::new(&mut future).poll(&mut Context::from_waker(&waker)).is_pending());
            }
            assert_eq!(Arc::strong_count(&count), 3);
        }
        assert_eq!(Arc::strong_count(&count), 2);
        completion.complete(1);
        assert_eq!(count.0.load(Ordering::SeqCst), 0, "no future was left to wake");
    }

    #[test]
    fn a_future_that_is_moved_to_another_task_wakes_that_one() {
        let completion = Completion::<u8>::default();
        let (first, second) = (Arc::new(Count::default()), Arc::new(Count::default()));
        let mut future = completion.future();
        for count in [&first, &second] {
            let waker = Waker::from(Arc::clone(count));
            assert!(Pin::new(&mut future).poll(&mut Context::from_waker(&waker)).is_pending());
        }
        completion.complete(1);
        assert_eq!((first.0.load(Ordering::SeqCst), second.0.load(Ordering::SeqCst)), (0, 1));
    }

    #[test]
    fn a_waker_and_a_callback_that_panic_keep_no_other_from_running() {
        let completion = Completion::<u8>::default();
        let bad = Waker::from(Arc::new(Panics));
        let mut future = completion.future();
        assert!(Pin::new(&mut future).poll(&mut Context::from_waker(&bad)).is_pending());
        completion.on_complete(|_| panic!("a callback panics on purpose")).keep();
        let called = Arc::new(AtomicUsize::new(0));
        let seen = Arc::clone(&called);
        completion
            .on_complete(move |_| {
                seen.fetch_add(1, Ordering::SeqCst);
            })
            .keep();
        assert!(completion.complete(1));
        assert_eq!(called.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn a_callback_that_was_taken_back_does_not_run() {
        let completion = Completion::<u8>::default();
        drop(completion.on_complete(|_| unreachable!("it was taken back")));
        completion.complete(1);
    }

    #[test]
    fn a_value_can_be_amended_once_it_is_there() {
        let completion = Completion::<u8>::default();
        assert!(!completion.update(|value| *value += 1));
        completion.complete(1);
        assert!(completion.update(|value| *value += 1));
        assert_eq!(completion.get(), Ok(2));
    }
}
