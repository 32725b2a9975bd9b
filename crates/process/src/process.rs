//! A handle to one process: describe it, start it, wait for it, look at it.
//!
//! Failure is data, not an exception: nothing here returns an error because a process went wrong. It has a
//! [`Finished`] with every fact, [`Process::ok`] sums them up, and [`Process::check`] turns a failure into an error
//! where that is what you want.

mod describe;
mod expecting;
mod facts;
mod failure;
mod scope;

use std::ffi::OsStr;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::Poll;
use std::time::{Duration, Instant};

pub use expecting::{IntoExpect, Matches, expect_all};
pub use facts::{COMPACT_OUTPUT_THRESHOLD, set_compact_output_threshold};
pub use failure::{Failure, ProcessesFailed};
pub use scope::Scoped;

use crate::conductor::Conductor;
use crate::event::{Kill, Notice, Request};
use crate::handler::Context;
use crate::id::{HandlerId, ProcessId};
use crate::outcome::Finished;
use crate::slot::Slot;
use crate::spec::{Command, Spec};
use crate::watch::Watch;

/// A process, from its description to its end. Cloning gives another handle to the same process.
///
/// Starting is asynchronous: [`Process::start`] returns at once, and the [conductor](Conductor) does the rest on its
/// own thread. The methods that describe it take effect at the next start.
///
/// A process lives until it ends or is killed; dropping the last handle does not end it. When this program ends, for
/// whatever reason, its processes are killed.
///
/// ```
/// use phalanx_process::Process;
///
/// let process = Process::new("sh -c 'echo hello; exit 3'").start().wait();
/// assert!(!process.ok());
/// let finished = process.finished().expect("it was waited for");
/// assert_eq!(finished.outcome.exit_code(), Some(3));
/// assert_eq!(finished.stdout.text(), "hello\n");
/// ```
#[derive(Clone)]
pub struct Process {
    inner: Arc<Inner>,
}

struct Inner {
    conductor: Conductor,
    state: Mutex<State>,
}

struct State {
    spec: Spec,
    host: Option<Arc<str>>,
    handlers: Vec<HandlerId>,
    /// Those of the handlers that are this process's alone.
    owned: Vec<HandlerId>,
    expect_timeout: Option<Duration>,
    run: Option<Run>,
    /// Whether there will be a run, as far as was said.
    prospect: Prospect,
    /// The run that is still to begin, if somebody waits for it already.
    coming: Option<Run>,
    /// What is asked of that run as soon as it begins.
    early: Vec<Request>,
}

/// What was said about a start that is still to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Prospect {
    /// Nothing: to wait for it would be to wait for ever.
    #[default]
    Unknown,
    /// Somebody will see to it.
    Announced,
    /// There will be none.
    CalledOff,
}

impl State {
    /// Begins a run: what the engine is to be told about it.
    fn begin(&mut self) -> (Run, Spec, Vec<HandlerId>) {
        self.prospect = Prospect::Unknown;
        let run = self.coming.take().unwrap_or_else(Run::new);
        let (mut spec, mut handlers) = (self.spec.clone(), self.handlers.clone());
        if let Some(watch) = run.watch.get() {
            spec.policy.listened = true;
            handlers.push(watch.handler());
        }
        self.run = Some(run.clone());
        (run, spec, handlers)
    }

    /// The run that was begun last, or the one that is to begin.
    fn present_or_coming(&mut self) -> Run {
        match &self.run {
            Some(run) => run.clone(),
            None => self.coming.get_or_insert_with(Run::new).clone(),
        }
    }
}

impl Drop for Inner {
    /// Nobody can start it again: its handlers go with its end.
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        state.owned.drain(..).for_each(|handler| self.conductor.disown(handler));
    }
}

/// One start of the process, and what is known of it.
#[derive(Clone)]
struct Run {
    id: ProcessId,
    slot: Arc<Slot>,
    /// What is expected of it, if anything.
    watch: Arc<OnceLock<Watch>>,
}

impl Run {
    fn new() -> Self {
        Self { id: ProcessId::new(), slot: Arc::default(), watch: Arc::default() }
    }
}

/// A process has not taken what was written to it before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the process has not read what was written to it before; try again when it has")]
pub struct StdinFull;

impl Process {
    /// A process to be run by the default conductor. A line is split into words as a shell would; nothing in it is
    /// expanded. A list of arguments is taken as it is.
    #[must_use]
    pub fn new(command: impl Into<Command>) -> Self {
        Self::from_spec(command.into().into(), Conductor::global())
    }

    /// A process whose command `/bin/sh` interprets.
    #[must_use]
    pub fn shell(command: impl AsRef<OsStr>) -> Self {
        Self::from_spec(Spec::shell(command.as_ref()), Conductor::global())
    }

    /// A process described in full, to be run by `conductor`.
    #[must_use]
    pub fn from_spec(spec: Spec, conductor: &Conductor) -> Self {
        let state = State {
            spec,
            host: None,
            handlers: Vec::new(),
            owned: Vec::new(),
            expect_timeout: None,
            run: None,
            coming: None,
            early: Vec::new(),
            prospect: Prospect::default(),
        };
        Self { inner: Arc::new(Inner { conductor: conductor.clone(), state: Mutex::new(state) }) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts it, and returns at once. A process that was started already is left alone; see [`Process::reset`].
    #[must_use = "the handle is how you hear of it; call `drop` if you do not care"]
    pub fn start(self) -> Self {
        let mut state = self.state();
        if state.run.is_none() {
            let (run, spec, handlers) = state.begin();
            let conductor = &self.inner.conductor;
            conductor.insert(run.id, spec, run.slot, handlers);
            conductor.request(run.id, Request::Start);
            state.early.drain(..).for_each(|request| conductor.request(run.id, request));
        }
        drop(state);
        self
    }

    /// Starts it from inside a handler, which will hear its events too, under the name that is returned. Of a process
    /// that was started already it will hear the rest; of one that has ended nothing, and there is no name.
    pub fn start_within(&self, context: &mut Context<'_>) -> Option<ProcessId> {
        let mut state = self.state();
        if let Some(run) = &state.run {
            let is_over = run.slot.finished().is_some();
            return (!is_over).then(|| context.hear(run.id));
        }
        let (run, spec, handlers) = state.begin();
        context.start_watched(run.id, spec, run.slot, &handlers);
        state.early.drain(..).for_each(|request| context.request(run.id, request));
        Some(run.id)
    }

    /// Starts it once more from inside a handler, now that it has ended, as [`Process::reset`] and
    /// [`Process::start_within`] do. One that has not ended is left alone.
    pub fn restart_within(&self, context: &mut Context<'_>) -> Option<ProcessId> {
        let over = {
            let mut state = self.state();
            let over = state.run.take_if(|run| run.slot.finished().is_some());
            over.map(|run| (run, state.handlers.clone()))
        };
        if let Some((run, handlers)) = over {
            self.tell_reset(run.id, handlers);
        }
        self.start_within(context)
    }

    /// Says that somebody will start it, so that others may wait for it already, write to it, and expect something of it.
    /// Must be followed by a start, or by [`Process::call_off`]. An [action](https://docs.rs/phalanx-action) does so.
    pub fn announce(&self) {
        let mut state = self.state();
        if state.run.is_none() {
            state.prospect = Prospect::Announced;
        }
    }

    /// Says that it will not be started: whoever waits for it already need not. One that was started is left alone, and
    /// one that is started all the same is as if nothing had been said.
    pub fn call_off(&self) {
        let coming = {
            let mut state = self.state();
            if state.run.is_none() {
                state.early.clear();
                state.prospect = Prospect::CalledOff;
            }
            state.coming.take()
        };
        coming.into_iter().for_each(|run| self.disappoint(&run));
    }

    /// Whatever is expected of this run will not come.
    fn disappoint(&self, run: &Run) {
        run.slot.abandon();
        if let Some(watch) = run.watch.get() {
            self.inner.conductor.notify(watch.handler(), Notice::Reset { id: run.id });
        }
    }

    /// The name under which the engine knows its present run; none before it was started.
    #[must_use]
    pub fn id(&self) -> Option<ProcessId> {
        self.run_state().map(|run| run.id)
    }

    fn run_state(&self) -> Option<Run> {
        self.state().run.clone()
    }

    /// The run that will be, if that was announced.
    fn announced_run(&self) -> Option<Run> {
        let mut state = self.state();
        (state.prospect == Prospect::Announced).then(|| state.present_or_coming())
    }

    /// The run that there is or will be; none if it was called off. `what` is what cannot be done before.
    fn awaited_run(&self, what: &str) -> Option<Run> {
        let mut state = self.state();
        if state.run.is_none() && state.prospect == Prospect::CalledOff {
            return None;
        }
        let known = state.run.is_some() || state.prospect == Prospect::Announced;
        assert!(known, "a process must be started before {what}");
        Some(state.present_or_coming())
    }

    /// Waits until it runs, or could not be started.
    ///
    /// # Panics
    /// When it was never started, or inside a handler.
    #[must_use = "the handle is how you hear of it; call `drop` if you do not care"]
    pub fn wait_started(self) -> Self {
        self.inner.conductor.assert_outside("wait for the start of a process");
        if let Some(run) = self.awaited_run("its start can be waited for") {
            run.slot.wait_started();
        }
        self
    }

    /// Waits until it has ended.
    ///
    /// # Panics
    /// When it was never started, or inside a handler.
    #[must_use = "waiting is for looking at the result"]
    pub fn wait(self) -> Self {
        self.wait_until(None);
        self
    }

    /// Waits until it has ended, but no longer than `timeout`; the process goes on. [`Process::ended`] tells.
    ///
    /// # Panics
    /// When it was never started, or inside a handler.
    #[must_use = "waiting is for looking at the result"]
    pub fn wait_for(self, timeout: Duration) -> Self {
        self.wait_until(Instant::now().checked_add(timeout));
        self
    }

    fn wait_until(&self, deadline: Option<Instant>) {
        self.inner.conductor.assert_outside("wait for a process");
        if let Some(run) = self.awaited_run("it can be waited for") {
            run.slot.wait_ended(deadline);
        }
    }

    /// Starts it and waits until it has ended.
    ///
    /// # Panics
    /// Inside a handler.
    #[must_use = "running is for looking at the result"]
    pub fn run(self) -> Self {
        self.start().wait()
    }

    /// Ends it: SIGTERM to its whole group, then SIGKILL after its grace. Returns at once. A process that does not run
    /// is left alone.
    pub fn kill(&self) {
        self.kill_with(Kill::default());
    }

    /// Ends it in another way.
    pub fn kill_with(&self, kill: Kill) {
        self.request(Request::Kill(kill));
    }

    /// Writes to its stdin, which must be [`Stdin::Pipe`](crate::spec::Stdin::Pipe) or a terminal. Waits while more than
    /// 1 MiB is waiting to be taken, so that a process that reads slowly is not written to death; otherwise returns at
    /// once. What cannot be delivered, now or later, makes it "not ok".
    ///
    /// # Panics
    /// When it was neither started nor [announced](Process::announce), or inside a handler: use [`Process::try_write`]
    /// there, or [`Context::request`].
    pub fn write(&self, bytes: impl AsRef<[u8]>) {
        self.inner.conductor.assert_outside("write to a process");
        // Only one that was started can be full.
        if self.try_write(&bytes) == Err(StdinFull)
            && let Some(run) = self.run_state()
            && let Some(bytes) = run.slot.reserve(bytes.as_ref(), true)
        {
            self.inner.conductor.write(run.id, bytes, run.slot);
        }
    }

    /// As [`Process::write`], but never waits.
    ///
    /// # Errors
    /// When too much is waiting to be taken; nothing was written then.
    ///
    /// # Panics
    /// When it was neither started nor [announced](Process::announce).
    pub fn try_write(&self, bytes: impl AsRef<[u8]>) -> Result<(), StdinFull> {
        let run = {
            let mut state = self.state();
            match (&state.run, state.prospect) {
                (Some(run), _) => run.clone(),
                (None, Prospect::Unknown) => panic!("a process must be started before it can be written to"),
                (None, Prospect::Announced) => {
                    state.early.push(Request::Write(bytes.as_ref().into()));
                    return Ok(());
                }
                (None, Prospect::CalledOff) => return Ok(()),
            }
        };
        let bytes = run.slot.reserve(bytes.as_ref(), false).ok_or(StdinFull)?;
        self.inner.conductor.write(run.id, bytes, run.slot);
        Ok(())
    }

    /// Closes its stdin once everything has been written; of a process that is [announced](Process::announce), then.
    pub fn close_stdin(&self) {
        let mut state = self.state();
        match &state.run {
            Some(run) => self.inner.conductor.request(run.id, Request::CloseStdin),
            None if state.prospect == Prospect::Announced => state.early.push(Request::CloseStdin),
            None => {}
        }
    }

    fn request(&self, request: Request) {
        if let Some(run) = self.run_state() {
            self.inner.conductor.request(run.id, request);
        }
    }

    /// Kills and waits for it if it runs, tells its handlers ([`Notice::Reset`]), and makes it ready to be started again.
    /// Description and handlers stay.
    ///
    /// # Panics
    /// Inside a handler, if it runs.
    #[must_use]
    pub fn reset(self) -> Self {
        if let Some(run) = self.run_state()
            && run.slot.finished().is_none()
        {
            self.kill();
            self.wait_until(None);
        }
        // The watch of the run is dropped outside of the lock.
        let (run, handlers) = {
            let mut state = self.state();
            state.prospect = Prospect::Unknown;
            (state.run.take(), state.handlers.clone())
        };
        if let Some(run) = run {
            self.tell_reset(run.id, handlers);
        }
        self
    }

    fn tell_reset(&self, id: ProcessId, handlers: Vec<HandlerId>) {
        handlers.into_iter().for_each(|handler| self.inner.conductor.notify(handler, Notice::Reset { id }));
    }
}

impl IntoFuture for Process {
    type Output = Arc<Finished>;
    type IntoFuture = Pin<Box<dyn Future<Output = Arc<Finished>> + Send>>;

    /// Waits on any executor for its end; starts it if it was not.
    fn into_future(self) -> Self::IntoFuture {
        let run = self.start().run_state().expect("it was just started");
        Box::pin(std::future::poll_fn(move |context| match run.slot.poll_ended(context.waker()) {
            Poll::Ready(finished) => Poll::Ready(finished),
            Poll::Pending => Poll::Pending,
        }))
    }
}
