//! Many processes as one thing: started within a fan-out, waited for, killed and judged together.

use std::fmt;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use phalanx_process::conductor::Conductor;
use phalanx_process::handler::Context;
use phalanx_process::process::ProcessesFailed;
use phalanx_process::spec::{Output, Stdin};
use phalanx_process::{Process, Spec};

use crate::crew::{CallOff, Crew};
use crate::fanout::Fanout;
use crate::report::Stats;

/// Processes that belong together. Cloning gives another handle to the same action.
///
/// The processes exist from the beginning, in the order of their hosts, so that handlers can be given to them before
/// the start. Made by [`crate::remote::Remote`] and [`crate::local::Local`].
#[derive(Clone)]
pub struct Action {
    inner: Arc<Inner>,
}

struct Inner {
    name: String,
    processes: Vec<Process>,
    fanout: usize,
    conductor: Conductor,
    call_off: CallOff,
    phase: Arc<Phase>,
    preparation: Option<Arc<dyn Preparation>>,
}

/// Makes processes ready at the moment they start: for what should not be held before its turn, such as descriptors.
pub trait Preparation: Send + Sync {
    /// What the process at `index` is to be, now that it is about to start. Called by a handler: it must not wait.
    fn prepare(&self, index: usize) -> Spec;
    /// Waits until what was made for the processes is gone, now that all have ended.
    fn settle(&self);
}

#[derive(Default)]
struct Phase {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum State {
    #[default]
    Idle,
    Started,
    Ended,
}

impl Phase {
    fn get(&self) -> State {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, state: State) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = state;
        self.changed.notify_all();
    }

    fn wait_ended(&self, deadline: Option<Instant>) {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let running = |state: &mut State| *state != State::Ended;
        match deadline {
            None => drop(self.changed.wait_while(state, running).unwrap_or_else(PoisonError::into_inner)),
            Some(deadline) => {
                let left = deadline.saturating_duration_since(Instant::now());
                drop(self.changed.wait_timeout_while(state, left, running).unwrap_or_else(PoisonError::into_inner));
            }
        }
    }
}

/// How many processes of an action run at once, unless told otherwise.
pub const DEFAULT_FANOUT: usize = 64;

impl Action {
    /// An action of these processes, to be run by `conductor`, at most `fanout` at once (zero: all).
    #[must_use]
    pub fn new(name: impl Into<String>, processes: Vec<Process>, fanout: usize, conductor: &Conductor) -> Self {
        Self::build(name.into(), processes, fanout, conductor, None)
    }

    /// As [`Action::new`], of processes that are described when their turn comes.
    #[must_use]
    pub fn prepared(
        name: impl Into<String>,
        processes: Vec<Process>,
        fanout: usize,
        conductor: &Conductor,
        preparation: Arc<dyn Preparation>,
    ) -> Self {
        Self::build(name.into(), processes, fanout, conductor, Some(preparation))
    }

    fn build(
        name: String,
        processes: Vec<Process>,
        fanout: usize,
        conductor: &Conductor,
        preparation: Option<Arc<dyn Preparation>>,
    ) -> Self {
        let inner = Inner {
            name,
            processes,
            fanout,
            conductor: conductor.clone(),
            call_off: CallOff::default(),
            phase: Arc::default(),
            preparation,
        };
        Self { inner: Arc::new(inner) }
    }

    /// Its name in reports.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// Its processes, in the order of their hosts.
    #[must_use]
    pub fn processes(&self) -> &[Process] {
        &self.inner.processes
    }

    /// Starts its processes as the fan-out allows, and returns at once.
    ///
    /// # Panics
    /// When it was started before.
    #[must_use = "the handle is how you hear of it; call `drop` if you do not care"]
    pub fn start(self) -> Self {
        assert!(self.inner.phase.get() == State::Idle, "an action may be started only once");
        self.inner.phase.set(State::Started);
        let processes = self.inner.processes.clone();
        let fanout = Fanout::new(processes.len(), self.inner.fanout);
        let phase = Arc::clone(&self.inner.phase);
        let preparation = self.inner.preparation.clone();
        let start = move |context: &mut Context<'_>, member: usize| match &preparation {
            None => processes[member].start_within(context),
            Some(preparation) => start_prepared(&processes[member], preparation.prepare(member), context),
        };
        let over = move || phase.set(State::Ended);
        self.inner.conductor.attach(Crew::new(fanout, self.inner.call_off.clone(), start, over));
        self
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
        self.inner.conductor.assert_outside("wait for an action");
        assert!(self.inner.phase.get() != State::Idle, "an action must be started before it can be waited for");
        self.inner.phase.wait_ended(deadline);
        if let Some(preparation) = &self.inner.preparation
            && self.ended()
        {
            preparation.settle();
        }
    }

    /// Starts it and waits until all its processes have ended.
    ///
    /// # Panics
    /// When it was started before, or inside a handler.
    #[must_use = "running is for looking at the result"]
    pub fn run(self) -> Self {
        self.start().wait()
    }

    /// Starts no further process and ends those that run. Returns at once.
    pub fn kill(&self) {
        self.inner.call_off.call_off();
        self.inner.processes.iter().for_each(Process::kill);
    }

    /// Whether it was started.
    #[must_use]
    pub fn started(&self) -> bool {
        self.inner.phase.get() != State::Idle
    }

    /// Whether all its processes have ended.
    #[must_use]
    pub fn ended(&self) -> bool {
        self.inner.phase.get() == State::Ended
    }

    /// Whether nothing is wrong with any of its processes, so far as is known.
    #[must_use]
    pub fn ok(&self) -> bool {
        self.inner.processes.iter().all(Process::ok)
    }

    /// Whether it has ended and all its processes are ok. One that was called off before its start is not.
    #[must_use]
    pub fn finished_ok(&self) -> bool {
        self.ended() && self.inner.processes.iter().all(Process::finished_ok)
    }

    /// Its figures as they are now.
    #[must_use]
    pub fn stats(&self) -> Stats {
        Stats::of_processes(self.name(), &self.inner.processes)
    }

    /// A failed action as an error.
    ///
    /// # Errors
    /// When some process has ended and is not ok.
    pub fn check(self) -> Result<Self, ProcessesFailed> {
        let failed: Vec<_> = self.inner.processes.iter().filter(|process| !process.ok()).cloned().collect();
        if failed.is_empty() { Ok(self) } else { Err(ProcessesFailed { processes: failed }) }
    }
}

/// Its descriptors are given to the engine alone: a handle that kept them would keep pipes open for ever.
fn start_prepared(process: &Process, spec: Spec, context: &mut Context<'_>) {
    let process = process.clone().with(|description| description.launch = spec.launch);
    process.start_within(context);
    drop(process.stdin(Stdin::Null).stdout_to(Output::Read));
}

impl fmt::Debug for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.inner.phase.get();
        write!(f, "Action({:?}, {} processes, {state:?})", self.name(), self.inner.processes.len())
    }
}
