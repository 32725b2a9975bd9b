//! A handle to one process: describe it, start it, wait for it, look at it.
//!
//! Failure is data, not an exception: nothing here returns an error because a process went wrong. It has a
//! [`Finished`] with every fact, [`Process::ok`] sums them up, and [`Process::check`] turns a failure into an error
//! where that is what you want.

use std::ffi::OsStr;
use std::fmt;
use std::future::{Future, IntoFuture};
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::{Duration, Instant};

use crate::conductor::Conductor;
use crate::event::{Kill, NO_PROCESS, Request, Stream};
use crate::handler::{Context, Handler};
use crate::id::{HandlerId, ProcessId};
use crate::outcome::Finished;
use crate::slot::{Running, Slot};
use crate::spec::{Command, Environment, Faults, Output, Policy, Spec, Stdin};

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
    run: Option<Run>,
}

/// One start of the process, and what is known of it.
#[derive(Clone)]
struct Run {
    id: ProcessId,
    slot: Arc<Slot>,
}

/// Processes that are not ok, with all that is known of them.
#[derive(Debug, Clone)]
pub struct ProcessesFailed {
    /// Which.
    pub processes: Vec<Process>,
}

impl fmt::Display for ProcessesFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} failed process(es):", self.processes.len())?;
        self.processes.iter().try_for_each(|process| write!(f, "\n{process:?}"))
    }
}

impl std::error::Error for ProcessesFailed {}

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
        let state = State { spec, host: None, handlers: Vec::new(), run: None };
        Self { inner: Arc::new(Inner { conductor: conductor.clone(), state: Mutex::new(state) }) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn describe(self, change: impl FnOnce(&mut Spec)) -> Self {
        change(&mut self.state().spec);
        self
    }

    /// Changes anything about its description.
    #[must_use]
    pub fn with(self, change: impl FnOnce(&mut Spec)) -> Self {
        self.describe(change)
    }

    /// How long it may run before it is killed.
    #[must_use]
    pub fn timeout(self, timeout: Duration) -> Self {
        self.describe(|spec| spec.policy.timeout = Some(timeout))
    }

    /// How it is treated, as a whole.
    #[must_use]
    pub fn policy(self, policy: Policy) -> Self {
        self.describe(|spec| spec.policy = policy)
    }

    /// Faults that do not make it "not ok".
    #[must_use]
    pub fn ignore(self, faults: Faults) -> Self {
        self.describe(|spec| spec.policy.ignore = faults)
    }

    /// Faults that are not worth a warning in the log.
    #[must_use]
    pub fn nolog(self, faults: Faults) -> Self {
        self.describe(|spec| spec.policy.nolog = faults)
    }

    /// Where its stdin comes from.
    #[must_use]
    pub fn stdin(self, stdin: Stdin) -> Self {
        self.describe(|spec| spec.launch.stdin = stdin)
    }

    /// Where its stdout goes.
    #[must_use]
    pub fn stdout_to(self, output: Output) -> Self {
        self.describe(|spec| spec.launch.stdout = output)
    }

    /// Where its stderr goes.
    #[must_use]
    pub fn stderr_to(self, output: Output) -> Self {
        self.describe(|spec| spec.launch.stderr = output)
    }

    /// One variable more, or another value for it, in its environment.
    #[must_use]
    pub fn env(self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.describe(|spec| {
            let environment = spec.launch.environment.take().map_or_else(Environment::inherited, Arc::unwrap_or_clone);
            spec.launch.environment = Some(Arc::new(environment.with(name, value)));
        })
    }

    /// Its working directory.
    #[must_use]
    pub fn directory(self, directory: impl Into<PathBuf>) -> Self {
        self.describe(|spec| spec.launch.directory = Some(directory.into()))
    }

    /// What to call it in messages.
    #[must_use]
    pub fn named(self, name: impl Into<String>) -> Self {
        self.describe(|spec| spec.launch.name = Some(name.into()))
    }

    /// On which host it runs, where that is not this one.
    #[must_use]
    pub fn on_host(self, host: &str) -> Self {
        self.state().host = Some(host.into());
        self
    }

    /// Lets `handler` hear its events, output included. It runs on the conductor's thread.
    #[must_use]
    pub fn on(self, handler: impl Handler + 'static) -> Self {
        let id = self.inner.conductor.attach(handler);
        {
            let mut state = self.state();
            state.spec.policy.listened = true;
            state.handlers.push(id);
        }
        self
    }

    /// Starts it, and returns at once. A process that was started already is left alone; see [`Process::reset`].
    #[must_use = "the handle is how you hear of it; call `drop` if you do not care"]
    pub fn start(self) -> Self {
        let mut state = self.state();
        if state.run.is_none() {
            let run = Run { id: ProcessId::new(), slot: Arc::default() };
            let conductor = &self.inner.conductor;
            conductor.insert(run.id, state.spec.clone(), Arc::clone(&run.slot), state.handlers.clone());
            conductor.request(run.id, Request::Start);
            state.run = Some(run);
        }
        drop(state);
        self
    }

    /// Starts it from inside a handler, which will hear its events too. A process that was started already is left
    /// alone.
    pub fn start_within(&self, context: &mut Context<'_>) {
        let mut state = self.state();
        if state.run.is_none() {
            let run = Run { id: ProcessId::new(), slot: Arc::default() };
            context.start_watched(run.id, state.spec.clone(), Arc::clone(&run.slot), &state.handlers);
            state.run = Some(run);
        }
    }

    fn run_state(&self) -> Option<Run> {
        self.state().run.clone()
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
        let run = self.run_state().expect("a process must be started before it can be waited for");
        run.slot.wait_ended(deadline);
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

    /// Writes to its stdin, which must be [`Stdin::Pipe`]. Returns at once; what cannot be delivered makes it "not ok".
    pub fn write(&self, bytes: impl AsRef<[u8]>) {
        self.request(Request::Write(bytes.as_ref().into()));
    }

    /// Closes its stdin once everything has been written.
    pub fn close_stdin(&self) {
        self.request(Request::CloseStdin);
    }

    fn request(&self, request: Request) {
        if let Some(run) = self.run_state() {
            self.inner.conductor.request(run.id, request);
        }
    }

    /// Kills and waits for it if it runs, and makes it ready to be started again. Description and handlers stay.
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
        self.state().run = None;
        self
    }

    /// All about its end, once it has ended.
    #[must_use]
    pub fn finished(&self) -> Option<Arc<Finished>> {
        self.run_state()?.slot.finished()
    }

    /// Whether nothing is wrong with it, so far as is known: a process that has not ended is ok.
    #[must_use]
    pub fn ok(&self) -> bool {
        self.finished().is_none_or(|finished| finished.ok)
    }

    /// Whether it has ended and is ok.
    #[must_use]
    pub fn finished_ok(&self) -> bool {
        self.finished().is_some_and(|finished| finished.ok)
    }

    /// Whether it was started, successfully or not.
    #[must_use]
    pub fn started(&self) -> bool {
        self.run_state().is_some_and(|run| run.slot.running().is_some() || run.slot.finished().is_some())
    }

    /// Whether it has ended.
    #[must_use]
    pub fn ended(&self) -> bool {
        self.finished().is_some()
    }

    /// Whether it runs.
    #[must_use]
    pub fn running(&self) -> bool {
        self.run_state().is_some_and(|run| run.slot.running().is_some() && run.slot.finished().is_none())
    }

    /// Its process id, once it runs; none for a serial line. Waits for the start if that is under way.
    ///
    /// # Panics
    /// Inside a handler.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        let run = self.run_state()?;
        self.inner.conductor.assert_outside("wait for the start of a process");
        run.slot.wait_started();
        run.slot.running().map(|running| running.pid).filter(|pid| *pid != NO_PROCESS)
    }

    /// When it was started, if it runs or has run.
    #[must_use]
    pub fn started_at(&self) -> Option<Instant> {
        self.run_state()?.slot.running().map(|running| running.started_at)
    }

    /// What has been kept of its stdout, while it runs or afterwards.
    ///
    /// # Panics
    /// Inside a handler, while it runs.
    #[must_use]
    pub fn stdout(&self) -> Vec<u8> {
        self.captured(Stream::Stdout)
    }

    /// What has been kept of its stderr, while it runs or afterwards.
    ///
    /// # Panics
    /// Inside a handler, while it runs.
    #[must_use]
    pub fn stderr(&self) -> Vec<u8> {
        self.captured(Stream::Stderr)
    }

    fn captured(&self, stream: Stream) -> Vec<u8> {
        let Some(run) = self.run_state() else { return Vec::new() };
        let ended = |finished: Arc<Finished>| match stream {
            Stream::Stdout => finished.stdout.bytes().to_vec(),
            Stream::Stderr => finished.stderr.bytes().to_vec(),
        };
        if let Some(finished) = run.slot.finished() {
            return ended(finished);
        }
        match self.inner.conductor.captured(run.id, stream) {
            Some(captured) => captured.into_bytes(),
            // It ended between the two looks.
            None => run.slot.finished().map(ended).unwrap_or_default(),
        }
    }

    /// On which host it runs, where that is not this one.
    #[must_use]
    pub fn host(&self) -> Option<Arc<str>> {
        self.state().host.clone()
    }

    /// Its name: the given one, or its command on one line of at most 39 characters.
    #[must_use]
    pub fn name(&self) -> String {
        self.state().spec.launch.name()
    }

    /// A failed process as an error.
    ///
    /// # Errors
    /// When it has ended and is not ok.
    pub fn check(self) -> Result<Self, ProcessesFailed> {
        if self.ok() { Ok(self) } else { Err(ProcessesFailed { processes: vec![self] }) }
    }
}

impl fmt::Debug for Process {
    /// One line: name, host, and how it is.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Process({:?}", self.name())?;
        if let Some(host) = self.host() {
            write!(f, " on {host}")?;
        }
        match (self.run_state(), self.finished()) {
            (_, Some(finished)) => {
                let verdict = if finished.ok { "ok" } else { "not ok" };
                write!(f, ", {}, {verdict})", finished.outcome)
            }
            (Some(run), None) => match run.slot.running() {
                Some(Running { pid: NO_PROCESS, .. }) => write!(f, ", running)"),
                Some(running) => write!(f, ", running as pid {})", running.pid),
                None => write!(f, ", starting)"),
            },
            (None, None) => write!(f, ", not started)"),
        }
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
