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
use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

pub use expecting::{IntoExpect, Matches, expect_all};
pub use facts::{COMPACT_OUTPUT_THRESHOLD, set_compact_output_threshold};
pub use failure::{Failure, ProcessesFailed};
pub use scope::Scoped;

use crate::backend::Backend;
use crate::engine::{EngineHandle, Insertion, assert_may_block};
use crate::event::{Kill, Notification, Request};
use crate::handler::Context;
use crate::id::{HandlerId, ProcessId};
use crate::outcome::Finished;
use crate::run::RunState;
use crate::spec::{Command, Spec};
use crate::watch::Watch;

/// A process, from its description to its end. Cloning gives another handle to the same process.
///
/// Starting is asynchronous: [`Process::start`] returns at once, and the [engine](EngineHandle) does the rest on its
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
    engine: EngineHandle,
    state: Mutex<State>,
}

struct State {
    spec: Spec,
    host: Option<Arc<str>>,
    handlers: Vec<HandlerId>,
    /// Those of the handlers that are this process's alone.
    owned: Vec<HandlerId>,
    /// What runs it, if that is not the kernel; kept as long as it can be started.
    backend: Option<Backend>,
    /// Whether its output is made into events although no handler hears it.
    emits_output: bool,
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
    /// Begins a run. Returns it, and what the engine is to be told of it.
    fn begin(&mut self) -> (Run, Insertion) {
        self.prospect = Prospect::Unknown;
        let run = self.coming.take().unwrap_or_else(Run::new);
        let mut handlers = self.handlers.clone();
        handlers.extend(run.watch.get().map(Watch::handler));
        self.run = Some(run.clone());
        let (spec, state) = (self.spec.clone(), Arc::clone(&run.state));
        let insertion = Insertion { id: run.id, spec, run: Some(state), handlers, emits_output: self.emits_output };
        (run, insertion)
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
        state.owned.drain(..).for_each(|handler| self.engine.release(handler));
    }
}

/// One start of the process, and what is known of it.
#[derive(Clone)]
struct Run {
    id: ProcessId,
    state: Arc<RunState>,
    /// What is expected of it, if anything.
    watch: Arc<OnceLock<Watch>>,
}

impl Run {
    fn new() -> Self {
        Self { id: ProcessId::new(), state: Arc::default(), watch: Arc::default() }
    }
}

/// A process has not taken what was written to it before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the process has not read what was written to it before; try again when it has")]
pub struct StdinFull;

impl Process {
    /// A process to be run by the default engine. A line is split into words as a shell would; nothing in it is
    /// expanded. A list of arguments is taken as it is.
    #[must_use]
    pub fn new(command: impl Into<Command>) -> Self {
        Self::from_spec(command.into().into(), EngineHandle::global())
    }

    /// A process whose command `/bin/sh` interprets.
    #[must_use]
    pub fn shell(command: impl AsRef<OsStr>) -> Self {
        Self::from_spec(Spec::shell(command.as_ref()), EngineHandle::global())
    }

    /// A process described in full, to be run by `engine`.
    #[must_use]
    pub fn from_spec(spec: Spec, engine: &EngineHandle) -> Self {
        let state = State {
            spec,
            host: None,
            handlers: Vec::new(),
            owned: Vec::new(),
            backend: None,
            emits_output: false,
            expect_timeout: None,
            run: None,
            coming: None,
            early: Vec::new(),
            prospect: Prospect::default(),
        };
        Self { inner: Arc::new(Inner { engine: engine.clone(), state: Mutex::new(state) }) }
    }

    /// Returns a handle that does not keep it: for its own handlers.
    #[must_use]
    pub fn downgrade(&self) -> WeakProcess {
        WeakProcess { inner: Arc::downgrade(&self.inner) }
    }

    /// Returns the engine that runs it.
    #[must_use]
    pub fn engine(&self) -> &EngineHandle {
        &self.inner.engine
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts it, and returns at once. A process that was started already is left alone; see [`Process::reset`].
    #[must_use = "the handle is how you hear of it; call `drop` if you do not care"]
    pub fn start(self) -> Self {
        let mut state = self.state();
        if state.run.is_none() {
            let (run, insertion) = state.begin();
            let engine = &self.inner.engine;
            engine.insert(insertion);
            engine.request(run.id, Request::Start);
            state.early.drain(..).for_each(|request| engine.request(run.id, request));
        }
        drop(state);
        self
    }

    /// Starts it from inside a handler, which will hear its events too, under the name that is returned. Of a process
    /// that was started already it will hear the rest; of one that has ended nothing, and there is no name.
    pub fn start_within(&self, context: &mut Context<'_>) -> Option<ProcessId> {
        let (own, its) = (context.handler().engine(), self.inner.engine.id());
        assert!(own == its, "a process of one engine cannot be started by a handler of another");
        let mut state = self.state();
        if let Some(run) = &state.run {
            let is_over = run.state.finished().is_some();
            return (!is_over).then(|| context.hear(run.id));
        }
        let (run, insertion) = state.begin();
        context.start_watched(insertion);
        state.early.drain(..).for_each(|request| context.request(run.id, request));
        Some(run.id)
    }

    /// Starts it once more from inside a handler, now that it has ended, as [`Process::reset`] and
    /// [`Process::start_within`] do. One that has not ended is left alone.
    pub fn restart_within(&self, context: &mut Context<'_>) -> Option<ProcessId> {
        let over = {
            let mut state = self.state();
            let over = state.run.take_if(|run| run.state.finished().is_some());
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
        run.state.abandon();
        if let Some(watch) = run.watch.get() {
            self.inner.engine.notify(watch.handler(), Notification::Reset { id: run.id });
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
        assert_may_block("wait for the start of a process");
        if let Some(run) = self.awaited_run("its start can be waited for") {
            self.inner.engine.block_until("wait for the start of a process", run.state.start(), None);
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
        assert_may_block("wait for a process");
        if let Some(run) = self.awaited_run("it can be waited for") {
            self.inner.engine.block_until("wait for a process", run.state.end(), deadline);
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

    /// ChildStdio it in another way.
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
        assert_may_block("write to a process");
        // Only one that was started can be full.
        while self.try_write(&bytes) == Err(StdinFull) {
            let Some(run) = self.run_state() else { return };
            if let Err(room) = run.state.reserve(&[]) {
                self.inner.engine.block_until("write to a process", &room, None);
            }
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
        let bytes = run.state.reserve(bytes.as_ref()).map_err(|_| StdinFull)?;
        self.inner.engine.write(run.id, bytes, run.state);
        Ok(())
    }

    /// Closes its stdin once everything has been written; of a process that is [announced](Process::announce), then.
    pub fn close_stdin(&self) {
        let mut state = self.state();
        match &state.run {
            Some(run) => self.inner.engine.request(run.id, Request::CloseStdin),
            None if state.prospect == Prospect::Announced => state.early.push(Request::CloseStdin),
            None => {}
        }
    }

    fn request(&self, request: Request) {
        if let Some(run) = self.run_state() {
            self.inner.engine.request(run.id, request);
        }
    }

    /// Kills and waits for it if it runs, tells its handlers ([`Notification::Reset`]), and makes it ready to be started again.
    /// Description and handlers stay.
    ///
    /// # Panics
    /// Inside a handler, if it runs.
    #[must_use]
    pub fn reset(self) -> Self {
        if let Some(run) = self.run_state()
            && run.state.finished().is_none()
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
        handlers.into_iter().for_each(|handler| self.inner.engine.notify(handler, Notification::Reset { id }));
    }
}

impl IntoFuture for Process {
    type Output = Arc<Finished>;
    type IntoFuture = Pin<Box<dyn Future<Output = Arc<Finished>> + Send>>;

    /// Waits on any executor for its end; starts it if it was not. Dropping the future leaves the process running; to end
    /// it then, await a process that is [scoped](Process::scoped). The future keeps a background engine from ending. An
    /// engine of the current thread is turned by [`Engine::block_on`](crate::engine::Engine::block_on).
    ///
    /// # Panics
    /// When it is polled inside a handler before the end: the executor would block the engine. And when there is no end,
    /// since the process was reset.
    fn into_future(self) -> Self::IntoFuture {
        let process = self.start();
        let run = process.run_state().expect("it was just started");
        Box::pin(async move {
            let ended = run.state.end().future().await;
            drop(process);
            ended.expect("a process that was started ends").finished
        })
    }
}

/// A handle to a process that keeps neither the process nor its handlers nor its engine: for a handler of the process
/// itself, or for two processes whose handlers know each other. With a [`Process`] there, none of them would ever be freed.
///
/// ```
/// use phalanx_process::Process;
///
/// let server = Process::new("sleep 1000");
/// let to_kill = server.downgrade();
/// let client = Process::new("true").on_end(move |_, _| to_kill.upgrade().iter().for_each(Process::kill));
/// let (server, _client) = (server.start(), client.start());
/// assert!(server.wait().killed());
/// ```
#[derive(Clone)]
pub struct WeakProcess {
    inner: Weak<Inner>,
}

impl fmt::Debug for WeakProcess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.upgrade() {
            Some(process) => write!(f, "Weak{process:?}"),
            None => f.write_str("WeakProcess(gone)"),
        }
    }
}

impl WeakProcess {
    /// Returns a handle to the process, unless the last one is gone.
    #[must_use]
    pub fn upgrade(&self) -> Option<Process> {
        self.inner.upgrade().map(|inner| Process { inner })
    }
}
