//! Where the engine leaves what it knows of one process for those who hold a handle to it, and where they wait.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Poll, Waker};
use std::time::{Instant, SystemTime};

use crate::outcome::{Blame, Finished};

/// More than this, written and not yet taken by the process, makes a writer wait.
pub(crate) const STDIN_BOUND: usize = 1 << 20;

/// The state of one run of a process, as seen from outside the engine.
#[derive(Debug, Default)]
pub(crate) struct Slot {
    state: Mutex<State>,
    changed: Condvar,
    /// Its stdin may have room. Apart from the other, so that a dialogue does not wake whoever waits for the end.
    room: Condvar,
}

#[derive(Debug, Default)]
struct State {
    running: Option<Running>,
    finished: Option<Arc<Finished>>,
    ended_on: Option<SystemTime>,
    /// It will not be started.
    abandoned: bool,
    wakers: Vec<Waker>,
    /// What was written through the handle and may not have been taken: each lives as long as somebody has to write it.
    written: VecDeque<(Weak<[u8]>, usize)>,
    /// How many bytes those are.
    queued: usize,
    /// How many wait for room. Waking nobody is a system call too, and a dialogue would pay it for every answer.
    writers: usize,
    /// Faults that were found when the table had forgotten the process already, but nobody had been told its end.
    late: Vec<Blame>,
}

/// A process that was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Running {
    pub(crate) pid: u32,
    pub(crate) started_at: Instant,
    /// By the wall clock, for people to read.
    pub(crate) started_on: SystemTime,
}

impl State {
    /// How many bytes nobody has taken so far.
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

impl Slot {
    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics while the lock is held.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn started(&self, pid: u32, started_at: Instant) {
        self.state().running = Some(Running { pid, started_at, started_on: SystemTime::now() });
        self.changed.notify_all();
    }

    pub(crate) fn ended(&self, mut finished: Arc<Finished>) {
        let wakers = {
            let mut state = self.state();
            for blame in std::mem::take(&mut state.late) {
                Arc::make_mut(&mut finished).blame(blame);
            }
            state.finished = Some(finished);
            state.ended_on = Some(SystemTime::now());
            state.written.clear();
            state.queued = 0;
            std::mem::take(&mut state.wakers)
        };
        self.changed.notify_all();
        self.room.notify_all();
        wakers.into_iter().for_each(Waker::wake);
    }

    pub(crate) fn stdin_drained(&self) {
        // A writer that has just found no room is counted before the lock is free.
        let waited_for = self.state().writers > 0;
        if waited_for {
            self.room.notify_all();
        }
    }

    /// Enters a fault that was found when the process had ended, or was about to.
    pub(crate) fn blame(&self, blame: Blame) {
        let mut state = self.state();
        match &mut state.finished {
            Some(finished) => Arc::make_mut(finished).blame(blame),
            None => state.late.push(blame),
        }
    }

    /// Makes a copy for the stdin, if there is room for it: less than the bound is waiting. With `patient`, waits for
    /// room; an end of the process makes room too.
    pub(crate) fn reserve(&self, bytes: &[u8], patient: bool) -> Option<Arc<[u8]>> {
        let mut state = self.state();
        while state.finished.is_none() && state.queued() >= STDIN_BOUND {
            if !patient {
                return None;
            }
            state.writers += 1;
            state = self.room.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.writers -= 1;
        }
        let bytes: Arc<[u8]> = bytes.into();
        state.written.push_back((Arc::downgrade(&bytes), bytes.len()));
        state.queued += bytes.len();
        Some(bytes)
    }

    pub(crate) fn ended_on(&self) -> Option<SystemTime> {
        self.state().ended_on
    }

    pub(crate) fn running(&self) -> Option<Running> {
        self.state().running
    }

    pub(crate) fn finished(&self) -> Option<Arc<Finished>> {
        self.state().finished.clone()
    }

    /// There will be no start: nobody need wait.
    pub(crate) fn abandon(&self) {
        self.state().abandoned = true;
        self.changed.notify_all();
    }

    /// Waits for the start or the end, whichever comes first.
    pub(crate) fn wait_started(&self) {
        let undecided = |state: &mut State| state.running.is_none() && state.finished.is_none() && !state.abandoned;
        drop(self.changed.wait_while(self.state(), undecided).unwrap_or_else(PoisonError::into_inner));
    }

    /// Waits for the end, until `deadline` if there is one.
    pub(crate) fn wait_ended(&self, deadline: Option<Instant>) -> Option<Arc<Finished>> {
        let running = |state: &mut State| state.finished.is_none() && !state.abandoned;
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
