//! What is known of one run of a process outside of the engine, and what handles wait for.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Instant, SystemTime};

use crate::completion::Completion;
use crate::outcome::{Finished, LateFailure};

/// More than this, written and not yet taken by the process, makes a writer wait.
pub(crate) const STDIN_BOUND: usize = 1 << 20;

/// See the module's documentation.
#[derive(Debug, Default)]
pub(crate) struct RunState {
    /// Abandoned by a run that ends without having been started.
    started: Completion<Running>,
    /// Abandoned by a run that will not be.
    ended: Completion<Ended>,
    /// Failures that were found when the table had forgotten the process, but its end was not told yet.
    late: Mutex<Vec<LateFailure>>,
    stdin: Mutex<StdinQueue>,
}

/// A process that was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Running {
    pub(crate) pid: u32,
    pub(crate) started_at: Instant,
    /// By the wall clock, for people to read.
    pub(crate) started_on: SystemTime,
}

/// A process that has ended.
#[derive(Debug, Clone)]
pub(crate) struct Ended {
    pub(crate) finished: Arc<Finished>,
    /// By the wall clock, for people to read.
    pub(crate) on: SystemTime,
}

/// What was written through handles and may not have been taken.
#[derive(Debug, Default)]
struct StdinQueue {
    /// Each lives as long as something has to write it.
    written: VecDeque<(Weak<[u8]>, usize)>,
    /// How many bytes those are.
    queued: usize,
    /// Completed when there may be room, if a writer waits for that.
    room: Option<Completion<()>>,
    is_over: bool,
}

impl StdinQueue {
    /// Returns how many bytes have not been taken.
    fn queued(&mut self) -> usize {
        // They are taken in the order of writing, so that the first that lives says where to stop.
        while let Some((bytes, len)) = self.written.front()
            && bytes.strong_count() == 0
        {
            self.queued -= len;
            self.written.pop_front();
        }
        self.queued
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing panics while these locks are held.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl RunState {
    pub(crate) fn started(&self, pid: u32, started_at: Instant) {
        self.started.complete(Running { pid, started_at, started_on: SystemTime::now() });
    }

    pub(crate) fn ended(&self, mut finished: Arc<Finished>) {
        for failure in lock(&self.late).drain(..) {
            Arc::make_mut(&mut finished).record_failure(failure);
        }
        self.no_more_stdin();
        self.ended.complete(Ended { finished, on: SystemTime::now() });
        self.enter_late_failures();
        self.started.abandon();
    }

    /// There will be no start, or nothing more will be known.
    pub(crate) fn abandon(&self) {
        self.no_more_stdin();
        self.started.abandon();
        self.ended.abandon();
    }

    fn no_more_stdin(&self) {
        let room = {
            let mut stdin = lock(&self.stdin);
            stdin.is_over = true;
            stdin.written.clear();
            stdin.queued = 0;
            stdin.room.take()
        };
        if let Some(room) = room {
            room.complete(());
        }
    }

    pub(crate) fn stdin_drained(&self) {
        let room = lock(&self.stdin).room.take();
        if let Some(room) = room {
            room.complete(());
        }
    }

    /// Enters a failure that was found when the process had ended, or was about to.
    pub(crate) fn record_failure(&self, failure: LateFailure) {
        lock(&self.late).push(failure);
        self.enter_late_failures();
    }

    fn enter_late_failures(&self) {
        if self.ended.is_complete() {
            let late = std::mem::take(&mut *lock(&self.late));
            for failure in late {
                self.ended.update(|ended| Arc::make_mut(&mut ended.finished).record_failure(failure));
            }
        }
    }

    /// Makes a copy for the stdin, if there is room for it: less than the bound is waiting. After the end there always is.
    ///
    /// # Errors
    /// When there is none: what is completed when there may be.
    pub(crate) fn reserve(&self, bytes: &[u8]) -> Result<Arc<[u8]>, Completion<()>> {
        let mut stdin = lock(&self.stdin);
        if !stdin.is_over && stdin.queued() >= STDIN_BOUND {
            return Err(stdin.room.get_or_insert_default().clone());
        }
        let bytes: Arc<[u8]> = bytes.into();
        stdin.written.push_back((Arc::downgrade(&bytes), bytes.len()));
        stdin.queued += bytes.len();
        Ok(bytes)
    }

    pub(crate) fn ended_on(&self) -> Option<SystemTime> {
        self.ended.get().ok().map(|ended| ended.on)
    }

    pub(crate) fn running(&self) -> Option<Running> {
        self.started.get().ok()
    }

    pub(crate) fn finished(&self) -> Option<Arc<Finished>> {
        self.ended.get().ok().map(|ended| ended.finished)
    }

    /// What is decided by the start or by the end, whichever comes first.
    pub(crate) fn start(&self) -> &Completion<Running> {
        &self.started
    }

    /// What is decided by the end.
    pub(crate) fn end(&self) -> &Completion<Ended> {
        &self.ended
    }
}
