//! An action as a future, for any executor: no runtime is needed, and none is known.

use std::future::{Future, IntoFuture};
use std::pin::Pin;

use super::Action;

impl IntoFuture for Action {
    type Output = Action;
    type IntoFuture = Pin<Box<dyn Future<Output = Action> + Send>>;

    /// Waits on any executor for its end; starts it if it was not. Dropping the future leaves the action running.
    ///
    /// # Panics
    /// When it is polled inside a handler before the end: the executor would block the engine.
    fn into_future(self) -> Self::IntoFuture {
        self.begin();
        // An end of its own, since the action may have been reset when it is polled.
        let end = self.inner.phase.completion();
        Box::pin(async move {
            // Its end comes, or is abandoned with the action, which is held here.
            let _ = end.future().await;
            self
        })
    }
}
