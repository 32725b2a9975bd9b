//! How far an action has come, and who waits for its end.

use std::fmt;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
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
    sequels: Vec<Sequel>,
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

    /// Begins, unless somebody was faster; whether it was this one.
    pub(super) fn begin(&self) -> bool {
        let mut state = self.state();
        let is_first = state.stage == Stage::Idle;
        if is_first {
            state.stage = Stage::Started;
        }
        is_first
    }

    pub(super) fn end(&self) {
        let sequels = {
            let mut state = self.state();
            state.stage = Stage::Ended;
            std::mem::take(&mut state.sequels)
        };
        self.changed.notify_all();
        sequels.into_iter().for_each(|sequel| sequel());
    }

    /// Does something at the end; at once if that has been.
    pub(super) fn then(&self, sequel: Sequel) {
        let mut state = self.state();
        if state.stage == Stage::Ended {
            drop(state);
            sequel();
        } else {
            state.sequels.push(sequel);
        }
    }

    pub(super) fn reset(&self) {
        self.state().stage = Stage::Idle;
    }

    pub(super) fn wait_ended(&self, deadline: Option<Instant>) {
        let state = self.state();
        let running = |state: &mut State| state.stage != Stage::Ended;
        match deadline {
            None => drop(self.changed.wait_while(state, running).unwrap_or_else(PoisonError::into_inner)),
            Some(deadline) => {
                let left = deadline.saturating_duration_since(Instant::now());
                drop(self.changed.wait_timeout_while(state, left, running).unwrap_or_else(PoisonError::into_inner));
            }
        }
    }
}
