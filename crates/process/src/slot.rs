//! Where the engine leaves what it knows of one process for those who hold a handle to it, and where they wait.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::Instant;

use crate::outcome::Finished;

/// The state of one run of a process, as seen from outside the engine.
#[derive(Debug, Default)]
pub(crate) struct Slot {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    running: Option<Running>,
    finished: Option<Arc<Finished>>,
    wakers: Vec<Waker>,
}

/// A process that was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Running {
    pub(crate) pid: u32,
    pub(crate) started_at: Instant,
}

impl Slot {
    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics while the lock is held.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn started(&self, pid: u32, started_at: Instant) {
        self.state().running = Some(Running { pid, started_at });
        self.changed.notify_all();
    }

    pub(crate) fn ended(&self, finished: Arc<Finished>) {
        let wakers = {
            let mut state = self.state();
            state.finished = Some(finished);
            std::mem::take(&mut state.wakers)
        };
        self.changed.notify_all();
        wakers.into_iter().for_each(Waker::wake);
    }

    pub(crate) fn running(&self) -> Option<Running> {
        self.state().running
    }

    pub(crate) fn finished(&self) -> Option<Arc<Finished>> {
        self.state().finished.clone()
    }

    /// Waits for the start or the end, whichever comes first.
    pub(crate) fn wait_started(&self) {
        let undecided = |state: &mut State| state.running.is_none() && state.finished.is_none();
        drop(self.changed.wait_while(self.state(), undecided).unwrap_or_else(PoisonError::into_inner));
    }

    /// Waits for the end, until `deadline` if there is one.
    pub(crate) fn wait_ended(&self, deadline: Option<Instant>) -> Option<Arc<Finished>> {
        let running = |state: &mut State| state.finished.is_none();
        let state = match deadline {
            None => self.changed.wait_while(self.state(), running).unwrap_or_else(PoisonError::into_inner),
            Some(deadline) => {
                let left = deadline.saturating_duration_since(Instant::now());
                let waited = self.changed.wait_timeout_while(self.state(), left, running);
                waited.unwrap_or_else(PoisonError::into_inner).0
            }
        };
        state.finished.clone()
    }

    pub(crate) fn poll_ended(&self, waker: &Waker) -> Poll<Arc<Finished>> {
        let mut state = self.state();
        match &state.finished {
            Some(finished) => Poll::Ready(Arc::clone(finished)),
            None => {
                state.wakers.push(waker.clone());
                Poll::Pending
            }
        }
    }
}
