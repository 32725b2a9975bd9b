//! Many processes as one thing: started within a rollout, waited for, killed and judged together.
//!
//! An [`Action`] is a handle to some [`Work`]: a row of processes, or actions side by side ([`Parallel`]) or one after
//! the other ([`Sequential`]), or something of one's own.
//!
//! ```text
//!                 start                    all is over               handlers of the end have heard it
//!  idle ──────────────────────▶ started ─────────────────▶ … ───────────────────────────────────────▶ ended
//!   ▲  handlers of the start hear   │ kill: nobody more starts, who runs is ended                        │
//!   │  it before any process does   └───────────────────────────▶ …                                      │
//!   └────────────────────────────────────────── reset ───────────────────────────────────────────────────┘
//! ```

mod awaiting;
mod composite;
mod events;
mod phase;
mod row;
mod scope;
mod talking;
mod usher;
mod waiting;
mod work;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use phalanx_process::Process;
use phalanx_process::engine::{EngineHandle, assert_may_block};
use phalanx_process::event::Kill;
use phalanx_process::handler::Context;
use phalanx_process::id::HandlerId;
use phalanx_process::process::{Failure, ProcessesFailed};
use phalanx_process::result::{Delivery, HostResult};
use phalanx_process::stats::Stats;

pub use self::composite::{AfterFailure, Parallel, Sequential};
pub use self::events::Events;
use self::phase::{Follower, Phase, Stage};
use self::row::Row;
pub use self::scope::Scoped;
use self::usher::{Callback, Usher};
pub use self::waiting::{filter_bad_hosts, wait_all, wait_any};
pub use self::work::{Over, Work};
use crate::rollout::Rollout;
use crate::source::MemberSource;

/// Processes that belong together. Cloning gives another handle to the same action.
///
/// The processes exist from the beginning, in the order of their hosts, so that handlers can be given to them before
/// the start; they stay the same when it is reset and started again. Made by [`crate::remote::Remote`],
/// [`crate::local::Local`], [`crate::files`], and of other actions by [`Parallel`] and [`Sequential`].
#[derive(Clone)]
pub struct Action {
    inner: Arc<Inner>,
}

struct Inner {
    work: Arc<dyn Work>,
    processes: Vec<Process>,
    engine: EngineHandle,
    phase: Arc<Phase>,
    settings: Mutex<Settings>,
}

struct Settings {
    name: Arc<str>,
    expect_timeout: Option<Duration>,
    on_start: Vec<HandlerId>,
    on_end: Vec<HandlerId>,
    on_reset: Vec<HandlerId>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        let settings = self.settings.get_mut().unwrap_or_else(PoisonError::into_inner);
        let handlers = settings.on_start.iter().chain(&settings.on_end).chain(&settings.on_reset);
        handlers.for_each(|handler| self.engine.release(*handler));
    }
}

impl Action {
    /// An action of these processes, to be run by `engine`.
    #[must_use]
    pub fn new(name: impl Into<String>, processes: Vec<Process>, rollout: Rollout, engine: &EngineHandle) -> Self {
        Self::of(name, Arc::new(Row::new(processes, rollout, engine, None)), engine)
    }

    /// As [`Action::new`], of processes that are described when their turn comes.
    #[must_use]
    pub fn prepared(
        name: impl Into<String>,
        processes: Vec<Process>,
        rollout: Rollout,
        engine: &EngineHandle,
        source: Arc<dyn MemberSource>,
    ) -> Self {
        Self::of(name, Arc::new(Row::new(processes, rollout, engine, Some(source))), engine)
    }

    /// An action that does this work, on the thread of `engine`.
    #[must_use]
    pub fn of(name: impl Into<String>, work: Arc<dyn Work>, engine: &EngineHandle) -> Self {
        let settings = Settings {
            name: name.into().into(),
            expect_timeout: None,
            on_start: Vec::new(),
            on_end: Vec::new(),
            on_reset: Vec::new(),
        };
        let inner = Inner {
            processes: work.processes(),
            work,
            engine: engine.clone(),
            phase: Arc::default(),
            settings: Mutex::new(settings),
        };
        Self { inner: Arc::new(inner) }
    }

    fn settings(&self) -> MutexGuard<'_, Settings> {
        self.inner.settings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn engine(&self) -> &EngineHandle {
        &self.inner.engine
    }

    fn work(&self) -> &dyn Work {
        &*self.inner.work
    }

    /// Its name in reports.
    #[must_use]
    pub fn name(&self) -> Arc<str> {
        Arc::clone(&self.settings().name)
    }

    /// What to call it in reports.
    #[must_use]
    pub fn named(self, name: impl Into<String>) -> Self {
        self.settings().name = name.into().into();
        self
    }

    /// How long [`Action::expect`] waits; unless set, as long as each process says.
    #[must_use]
    pub fn default_expect_timeout(self, timeout: Option<Duration>) -> Self {
        self.settings().expect_timeout = timeout;
        self
    }

    /// Its processes, in the order of their hosts; of actions of actions, in the order of those.
    #[must_use]
    pub fn processes(&self) -> &[Process] {
        &self.inner.processes
    }

    /// Calls back when it starts, before any of its processes does.
    #[must_use]
    pub fn on_start(self, callback: impl FnMut(&mut Context<'_>, &Action) + Send + 'static) -> Self {
        let handler = self.attach(callback);
        self.settings().on_start.push(handler);
        self
    }

    /// Calls back when all its processes have ended, before anybody who waits for it goes on.
    #[must_use]
    pub fn on_end(self, callback: impl FnMut(&mut Context<'_>, &Action) + Send + 'static) -> Self {
        let handler = self.attach(callback);
        self.settings().on_end.push(handler);
        self
    }

    /// Calls back when it is reset.
    #[must_use]
    pub fn on_reset(self, callback: impl FnMut(&mut Context<'_>, &Action) + Send + 'static) -> Self {
        let handler = self.attach(callback);
        self.settings().on_reset.push(handler);
        self
    }

    /// Callbacks are handlers like all others: they run on the engine's thread, may wait for nothing, and may panic.
    fn attach(&self, callback: impl FnMut(&mut Context<'_>, &Action) + Send + 'static) -> HandlerId {
        self.engine().attach(Callback { action: Arc::downgrade(&self.inner), callback })
    }

    /// Starts its processes as the rollout says, and returns at once.
    ///
    /// # Panics
    /// When it was started before, and not [reset](Action::reset).
    #[must_use = "the handle is how you hear of it; call `drop` if you do not care"]
    pub fn start(self) -> Self {
        assert!(self.begin(), "an action may be started only once; reset it to start it again");
        self
    }

    /// Starts it unless that was done; whether it was done now.
    fn begin(&self) -> bool {
        // Who finds it started may wait for its processes.
        let begins = self.inner.phase.begin(|| self.processes().iter().for_each(Process::announce));
        if begins {
            let handlers = self.settings().on_start.clone();
            handlers.into_iter().for_each(|handler| self.engine().wake_handler(handler));
            let usher = self.engine().attach(Usher::new(self));
            self.engine().wake_handler(usher);
        }
        begins
    }

    /// Starts it unless that was done, and does something at its end, on the engine's thread.
    fn begin_then(&self, sequel: impl FnOnce() + Send + 'static) {
        self.begin();
        self.when_ended(sequel);
    }

    /// Does something at its end, on the engine's thread; at once if that has been.
    fn when_ended(&self, sequel: impl FnOnce() + Send + 'static) {
        self.inner.phase.follow(sequel).keep();
    }

    /// As [`Action::when_ended`], as long as the result is held.
    fn follow(&self, sequel: impl FnOnce() + Send + 'static) -> Follower {
        self.inner.phase.follow(sequel)
    }

    /// Waits until all its processes have ended.
    ///
    /// # Panics
    /// When it was never started, or inside a handler.
    #[must_use = "waiting is for looking at the result"]
    pub fn wait(self) -> Self {
        self.wait_until(None);
        self
    }

    /// Waits until all its processes have ended, but no longer than `timeout`; they go on. [`Action::ended`] tells.
    ///
    /// # Panics
    /// When it was never started, or inside a handler.
    #[must_use = "waiting is for looking at the result"]
    pub fn wait_for(self, timeout: Duration) -> Self {
        self.wait_until(Instant::now().checked_add(timeout));
        self
    }

    fn wait_until(&self, deadline: Option<Instant>) {
        self.assert_can_wait();
        let end = self.inner.phase.completion();
        // Whether the time is over is seen by looking at the action.
        let _ = self.engine().wait_for("wait for an action", &end, deadline);
    }

    fn assert_can_wait(&self) {
        assert_may_block("wait for an action");
        assert!(self.inner.phase.stage() != Stage::Idle, "an action must be started before it can be waited for");
    }

    /// Starts it and waits until all its processes have ended.
    ///
    /// # Panics
    /// When it was started before, or inside a handler.
    #[must_use = "running is for looking at the result"]
    pub fn run(self) -> Self {
        self.start().wait()
    }

    /// Starts no further process and ends those that run. Returns at once. One that does not run is left alone.
    pub fn kill(&self) {
        self.kill_with(Kill::default());
    }

    /// Ends it in another way.
    pub fn kill_with(&self, kill: Kill) {
        // Held: a kill that came after the end and a reset would befall the next start.
        self.inner.phase.while_started(|| self.work().kill(kill));
    }

    /// Kills and waits for it if it runs, tells its handlers, and makes it ready to be started again. Its processes stay,
    /// with their handlers.
    ///
    /// # Panics
    /// Inside a handler, if it runs.
    #[must_use]
    pub fn reset(self) -> Self {
        if self.inner.phase.stage() == Stage::Started {
            self.kill();
            self.wait_until(None);
        }
        let handlers = self.settings().on_reset.clone();
        handlers.into_iter().for_each(|handler| self.engine().wake_handler(handler));
        self.work().reset();
        self.inner.phase.reset();
        self
    }

    /// Whether it was started.
    #[must_use]
    pub fn started(&self) -> bool {
        self.inner.phase.stage() != Stage::Idle
    }

    /// Whether all its processes have ended.
    #[must_use]
    pub fn ended(&self) -> bool {
        self.inner.phase.stage() == Stage::Ended
    }

    /// Whether nothing is wrong with any of its processes, so far as is known.
    #[must_use]
    pub fn ok(&self) -> bool {
        (0..self.processes().len()).all(|index| self.failure(index).is_none())
    }

    /// Whether it has ended and all its processes are ok. One that was called off before its start is not.
    #[must_use]
    pub fn finished_ok(&self) -> bool {
        self.ended() && self.processes().iter().all(Process::finished_ok) && self.ok()
    }

    /// Its figures as they are now.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.work().stats(&self.name())
    }

    /// What was wrong with the process at `index` that it does not know itself, once the action has ended: with a file
    /// here that could not be written, for instance.
    ///
    /// # Panics
    /// When there is no such process.
    #[must_use]
    pub fn fault(&self, index: usize) -> Option<String> {
        match self.delivery(index, &self.processes()[index])? {
            Delivery::Failed(reason) | Delivery::GivenUp(reason) => Some(reason),
            Delivery::Confirmed | Delivery::Unconfirmed => None,
        }
    }

    fn delivery(&self, index: usize, process: &Process) -> Option<Delivery> {
        let finished = process.finished().filter(|_| self.ended())?;
        self.work().delivery(index, &finished)
    }

    /// Returns what became of the process at `index` and of the files it transferred, if any; `None` if it has not ended.
    ///
    /// # Panics
    /// When there is no such process.
    #[must_use]
    pub fn result(&self, index: usize) -> Option<HostResult> {
        let process = &self.processes()[index];
        process.result_of(self.delivery(index, process))
    }

    /// Returns why the process at `index` failed, if it did. A transfer whose process is ok may have failed all the same.
    fn failure(&self, index: usize) -> Option<Failure> {
        let process = &self.processes()[index];
        let delivery = self.delivery(index, process);
        if process.ok() && (delivery.is_none() || process.killed()) {
            return None;
        }
        let result = process.result_of(delivery)?;
        (!result.is_ok()).then(|| process.failure(result))
    }

    /// Returns a failed action as an error.
    ///
    /// # Errors
    /// When some process has ended and is not ok, or its files were not transferred.
    pub fn check(self) -> Result<Self, ProcessesFailed> {
        let total = self.processes().len();
        let failures: Vec<_> = (0..total).filter_map(|index| self.failure(index)).collect();
        if failures.is_empty() { Ok(self) } else { Err(ProcessesFailed::new(failures, total)) }
    }
}

impl fmt::Debug for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Action({:?}, {} processes, {:?})", self.name(), self.processes().len(), self.inner.phase)
    }
}
