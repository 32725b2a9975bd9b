//! Actions of actions: side by side, or one after the other, nested at will.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use phalanx_process::Process;
use phalanx_process::engine::EngineHandle;
use phalanx_process::event::Kill;
use phalanx_process::outcome::Finished;
use phalanx_process::result::Delivery;
use phalanx_process::stats::Stats;

use super::{Action, Over, Work};

/// Actions side by side: all start together, and it is over when the last of them is.
///
/// ```
/// use phalanx_action::action::Parallel;
/// use phalanx_action::local::Local;
///
/// let both = Parallel::new([Local::new("true").build(), Local::new("echo hello").build()]).build().run();
/// assert!(both.finished_ok());
/// assert_eq!(both.processes().len(), 2);
/// ```
#[derive(Debug)]
pub struct Parallel {
    actions: Vec<Action>,
    hides_parts: bool,
    engine: EngineHandle,
}

/// Actions one after the other.
///
/// ```
/// use phalanx_action::action::{AfterFailure, Sequential};
/// use phalanx_action::local::Local;
///
/// let steps = ["true", "false", "echo never"].map(|command| Local::new(command).build());
/// let steps = Sequential::new(steps).after_failure(AfterFailure::Stop).build().run();
/// assert!(!steps.ok() && !steps.processes()[2].started());
/// ```
#[derive(Debug)]
pub struct Sequential {
    actions: Vec<Action>,
    after_failure: AfterFailure,
    hides_parts: bool,
    engine: EngineHandle,
}

/// What a sequence does when one of its actions has ended and is not ok.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AfterFailure {
    /// It goes on with the next one, as execo does.
    #[default]
    GoOn,
    /// The rest is not started.
    Stop,
}

impl Parallel {
    /// These actions. One that was started already is only waited for.
    #[must_use]
    pub fn new(actions: impl IntoIterator<Item = Action>) -> Self {
        let engine = EngineHandle::global().clone();
        Self { actions: actions.into_iter().collect(), hides_parts: false, engine }
    }

    /// Lets `engine` see to it, rather than the default one.
    #[must_use]
    pub fn on(mut self, engine: &EngineHandle) -> Self {
        self.engine = engine.clone();
        self
    }

    /// Shows as one line in reports, without its actions.
    #[must_use]
    pub fn hide_subactions(mut self) -> Self {
        self.hides_parts = true;
        self
    }

    /// The action, called `Parallel N actions`.
    #[must_use]
    pub fn build(self) -> Action {
        let name = format!("Parallel {} actions", self.actions.len());
        let Self { actions, hides_parts, engine } = self;
        Action::of(name, Arc::new(SideBySide { parts: Parts::new(actions, hides_parts) }), &engine)
    }
}

impl Sequential {
    /// These actions, in this order. One that was started already is only waited for.
    #[must_use]
    pub fn new(actions: impl IntoIterator<Item = Action>) -> Self {
        let (actions, engine) = (actions.into_iter().collect(), EngineHandle::global().clone());
        Self { actions, after_failure: AfterFailure::default(), hides_parts: false, engine }
    }

    /// What it does after a failure; it goes on unless told otherwise.
    #[must_use]
    pub fn after_failure(mut self, after_failure: AfterFailure) -> Self {
        self.after_failure = after_failure;
        self
    }

    /// Lets `engine` see to it, rather than the default one.
    #[must_use]
    pub fn on(mut self, engine: &EngineHandle) -> Self {
        self.engine = engine.clone();
        self
    }

    /// Shows as one line in reports, without its actions.
    #[must_use]
    pub fn hide_subactions(mut self) -> Self {
        self.hides_parts = true;
        self
    }

    /// The action, called `Sequential N actions`.
    #[must_use]
    pub fn build(self) -> Action {
        let name = format!("Sequential {} actions", self.actions.len());
        let Self { actions, after_failure, hides_parts, engine } = self;
        let work = OneByOne { parts: Parts::new(actions, hides_parts), after_failure };
        Action::of(name, Arc::new(work), &engine)
    }
}

/// What both have in common.
struct Parts {
    actions: Vec<Action>,
    /// The place of the first process of each action among all processes.
    starts: Vec<usize>,
    hides_parts: bool,
    /// The last order to end them.
    killed: Mutex<Option<Kill>>,
}

impl Parts {
    fn new(actions: Vec<Action>, hides_parts: bool) -> Self {
        let mut next = 0;
        let start = |action: &Action| {
            next += action.processes().len();
            next - action.processes().len()
        };
        let starts = actions.iter().map(start).collect();
        Self { actions, starts, hides_parts, killed: Mutex::default() }
    }

    fn killed(&self) -> MutexGuard<'_, Option<Kill>> {
        self.killed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn are_killed(&self) -> bool {
        self.killed().is_some()
    }

    /// Begins one of them. Whoever kills all of them at this moment may have passed by it, so that is made up for.
    fn begin(&self, action: &Action, sequel: impl FnOnce() + Send + 'static) {
        action.begin_then(sequel);
        let killed = *self.killed();
        killed.into_iter().for_each(|kill| action.kill_with(kill));
    }

    fn processes(&self) -> Vec<Process> {
        self.actions.iter().flat_map(Action::processes).cloned().collect()
    }

    fn kill(&self, kill: Kill) {
        *self.killed() = Some(kill);
        self.actions.iter().for_each(|action| action.kill_with(kill));
    }

    fn reset(&self) {
        *self.killed() = None;
        self.actions.iter().for_each(|action| drop(action.clone().reset()));
    }

    fn stats(&self, name: &str) -> Stats {
        let mut stats = Stats::sum(name, self.actions.iter().map(Action::stats).collect());
        if self.hides_parts {
            stats.parts.clear();
        }
        stats
    }

    /// Asks the action to which the process at `index` belongs.
    fn delivery(&self, index: usize, finished: &Finished) -> Option<Delivery> {
        // The last of those that begin at or before it: one without processes begins where the next does.
        let part = self.starts.partition_point(|start| *start <= index).checked_sub(1)?;
        self.actions[part].work().delivery(index - self.starts[part], finished)
    }
}

struct SideBySide {
    parts: Parts,
}

impl Work for SideBySide {
    fn processes(&self) -> Vec<Process> {
        self.parts.processes()
    }

    fn begin(self: Arc<Self>, over: Over) {
        // One more than there are, so that nothing is over before all have begun.
        let missing = Arc::new(AtomicUsize::new(self.parts.actions.len() + 1));
        let over = Arc::new(Mutex::new(Some(over)));
        let arrive = move || {
            if missing.fetch_sub(1, Ordering::SeqCst) == 1 {
                let over = over.lock().unwrap_or_else(PoisonError::into_inner).take();
                over.expect("the last one arrives once").tell();
            }
        };
        for action in &self.parts.actions {
            if self.parts.are_killed() {
                arrive();
            } else {
                self.parts.begin(action, arrive.clone());
            }
        }
        arrive();
    }

    fn kill(&self, kill: Kill) {
        self.parts.kill(kill);
    }

    fn reset(&self) {
        self.parts.reset();
    }

    fn stats(&self, name: &str) -> Stats {
        self.parts.stats(name)
    }

    fn delivery(&self, index: usize, finished: &Finished) -> Option<Delivery> {
        self.parts.delivery(index, finished)
    }
}

struct OneByOne {
    parts: Parts,
    after_failure: AfterFailure,
}

impl OneByOne {
    fn go_on(self: Arc<Self>, mut next: usize, over: Over) {
        // One that has ended already is passed by here: its sequel would come at once, from within, and many of them would
        // fill the stack.
        while !self.stops_before(next) && self.parts.actions.get(next).is_some_and(Action::ended) {
            next += 1;
        }
        match self.parts.actions.get(next) {
            Some(action) if !self.stops_before(next) => {
                let this = Arc::clone(&self);
                self.parts.begin(action, move || this.go_on(next + 1, over));
            }
            _ => over.tell(),
        }
    }

    fn stops_before(&self, next: usize) -> bool {
        let failed = self.parts.actions[..next].last().is_some_and(|action| !action.ok());
        failed && self.after_failure == AfterFailure::Stop || self.parts.are_killed()
    }
}

impl Work for OneByOne {
    fn processes(&self) -> Vec<Process> {
        self.parts.processes()
    }

    fn begin(self: Arc<Self>, over: Over) {
        self.go_on(0, over);
    }

    fn kill(&self, kill: Kill) {
        self.parts.kill(kill);
    }

    fn reset(&self) {
        self.parts.reset();
    }

    fn stats(&self, name: &str) -> Stats {
        self.parts.stats(name)
    }

    fn delivery(&self, index: usize, finished: &Finished) -> Option<Delivery> {
        self.parts.delivery(index, finished)
    }
}
