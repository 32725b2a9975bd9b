//! How far an action has come, and who waits for its end.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// What is to be done at an end. Runs on the engine's thread, outside of all locks; it must not wait.
type Sequel = Box<dyn FnOnce() + Send>;

/// ```text
///  Idle ──begin──▶ Started ──end──▶ Ended
///   ▲                                 │
///   └──────────────reset──────────────┘
/// ```
#[derive(Default)]
pub(super) struct Phase {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    stage: Stage,
    /// How often it has ended: who waits for an end may wake up after the reset that followed it.
    ends: u64,
    /// In the order in which they were asked for.
    sequels: BTreeMap<u64, Sequel>,
    /// How many sequels were asked for.
    asked: u64,
}

/// Somebody who follows it; the sequel is forgotten when this is dropped.
#[must_use = "what is dropped will not be told"]
pub(super) struct Follower {
    phase: Arc<Phase>,
    sequel: u64,
}

impl Drop for Follower {
    fn drop(&mut self) {
        // What it holds is dropped outside of the lock.
        let sequel = self.phase.state().sequels.remove(&self.sequel);
        drop(sequel);
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Stage {
    #[default]
    Idle,
    Started,
    Ended,
}

impl fmt::Debug for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.stage().fmt(f)
    }
}

impl Phase {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn stage(&self) -> Stage {
        self.state().stage
    }

    /// Begins, unless somebody was faster; whether it was this one. Nobody finds it begun before `first` is done.
    pub(super) fn begin(&self, first: impl FnOnce()) -> bool {
        let mut state = self.state();
        let is_first = state.stage == Stage::Idle;
        if is_first {
            first();
            state.stage = Stage::Started;
        }
        is_first
    }

    pub(super) fn end(&self) {
        let sequels = {
            let mut state = self.state();
            state.stage = Stage::Ended;
            state.ends += 1;
            std::mem::take(&mut state.sequels)
        };
        self.changed.notify_all();
        sequels.into_values().for_each(|sequel| sequel());
    }

    /// Does something at the end; at once if that has been. Returns its number.
    pub(super) fn then(&self, sequel: Sequel) -> u64 {
        let mut state = self.state();
        state.asked += 1;
        let number = state.asked;
        if state.stage == Stage::Ended {
            drop(state);
            sequel();
        } else {
            state.sequels.insert(number, sequel);
        }
        number
    }

    /// As [`Phase::then`], for those who may lose interest before.
    pub(super) fn follow(self: &Arc<Self>, sequel: Sequel) -> Follower {
        Follower { phase: Arc::clone(self), sequel: self.then(sequel) }
    }

    /// Does something if it runs, and sees to it that it neither ends nor is reset meanwhile.
    pub(super) fn while_started(&self, act: impl FnOnce()) {
        let state = self.state();
        if state.stage == Stage::Started {
            act();
        }
    }

    pub(super) fn reset(&self) {
        self.state().stage = Stage::Idle;
    }

    /// Waits for the end, if it runs.
    pub(super) fn wait_ended(&self, deadline: Option<Instant>) {
        let state = self.state();
        let ends = state.ends;
        let running = |state: &mut State| state.stage == Stage::Started && state.ends == ends;
        match deadline {
            None => drop(self.changed.wait_while(state, running).unwrap_or_else(PoisonError::into_inner)),
            Some(deadline) => {
                let left = deadline.saturating_duration_since(Instant::now());
                drop(self.changed.wait_timeout_while(state, left, running).unwrap_or_else(PoisonError::into_inner));
            }
        }
    }
}
