//! How far an action has come, and what waits for its end.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use phalanx_process::completion::{Completion, Observing};

/// ```text
///  Idle ──begin──▶ Started ──end──▶ Ended
///   ▲                                 │
///   └──────────────reset──────────────┘
/// ```
#[derive(Default)]
pub(super) struct Phase {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    stage: Stage,
    /// The end of this run, or of the next: a wait for an end may look again after the reset that followed it.
    end: Completion<()>,
}

/// What follows an end; it is forgotten when this is dropped.
pub(super) type Follower = Observing<()>;

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

    /// Begins, unless that has been done. Returns whether it was done now. No other thread finds it begun before `first` is
    /// done.
    pub(super) fn begin(&self, first: impl FnOnce()) -> bool {
        let mut state = self.state();
        let is_first = state.stage == Stage::Idle;
        if is_first {
            first();
            state.stage = Stage::Started;
        }
        is_first
    }

    /// Ends, and does what was to follow, in the order of asking.
    pub(super) fn end(&self) {
        let end = {
            let mut state = self.state();
            state.stage = Stage::Ended;
            state.end.clone()
        };
        end.complete(());
    }

    /// Returns the end of this run, or of the next.
    pub(super) fn completion(&self) -> Completion<()> {
        self.state().end.clone()
    }

    /// Does something at the end; at once if that has been. It runs on the engine's thread, and must not wait.
    pub(super) fn follow(&self, sequel: impl FnOnce() + Send + 'static) -> Follower {
        self.completion().on_complete(move |_| sequel())
    }

    /// Does something if it runs, and sees to it that it neither ends nor is reset meanwhile.
    pub(super) fn while_started(&self, act: impl FnOnce()) {
        let state = self.state();
        if state.stage == Stage::Started {
            act();
        }
    }

    pub(super) fn reset(&self) {
        *self.state() = State::default();
    }
}
