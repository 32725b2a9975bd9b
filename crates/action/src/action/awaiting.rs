//! An action as a future, for any executor: no runtime is needed, and none is known.

use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Poll, Waker};

use super::Action;

impl IntoFuture for Action {
    type Output = Action;
    type IntoFuture = Pin<Box<dyn Future<Output = Action> + Send>>;

    /// Waits on any executor for its end; starts it if it was not.
    fn into_future(self) -> Self::IntoFuture {
        self.begin();
        let awaited = Arc::new(Mutex::new(Awaited::default()));
        let told = Arc::clone(&awaited);
        let follower = self.follow(move || Awaited::tell(&told));
        Box::pin(std::future::poll_fn(move |context| {
            // Goes with the future: who loses interest leaves nothing behind.
            let _ = &follower;
            let mut awaited = awaited.lock().unwrap_or_else(PoisonError::into_inner);
            if awaited.has_ended {
                return Poll::Ready(self.clone());
            }
            awaited.waker = Some(context.waker().clone());
            Poll::Pending
        }))
    }
}

/// What a future knows. An end of its own, since the action may have been reset when it is polled.
#[derive(Default)]
struct Awaited {
    has_ended: bool,
    waker: Option<Waker>,
}

impl Awaited {
    fn tell(this: &Mutex<Self>) {
        let waker = {
            let mut this = this.lock().unwrap_or_else(PoisonError::into_inner);
            this.has_ended = true;
            this.waker.take()
        };
        waker.into_iter().for_each(Waker::wake);
    }
}
