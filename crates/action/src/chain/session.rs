//! A chain under way: joins the plan, the processes of the hosts and what is fed from here to an engine.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use phalanx_process::Spec;
use phalanx_process::event::{Event, Kill, Notification, Request, Stream};
use phalanx_process::handler::{Context, Handler};
use phalanx_process::host::Host;
use phalanx_process::id::{ProcessId, TimerId};
use phalanx_process::lines::Lines;
use phalanx_process::outcome::Finished;
use phalanx_process::output::Capture;
use phalanx_process::result::Delivery;
use phalanx_process::spec::{Policy, Stdin};
use phalanx_process::ssh::{SshOptions, SshProcess};

use super::params::ChainParams;
use super::protocol;
use super::remote_script::NodeScript;
use super::sender::{Outcome, SendJob, Sender};
use super::topology::{Command, Feeder, Input, Settings, Topology};
use crate::files::pack::Packing;
use crate::files::sources::Source;
use crate::files::{Fault, Progress, size_of_tree};

/// How often it looks whether something is late, and how feeding from here goes.
const TICK: Duration = Duration::from_millis(100);
/// As much as the time may jump without anybody being called late for it: this program, or all of this machine, may have
/// been stopped for an hour.
const JUMP: Duration = Duration::from_secs(1);
/// How long a host that is given up may take to tidy up, before its ssh is ended.
const PATIENCE: Duration = Duration::from_secs(5);
/// What 0 means, as with the other times: a hundred years.
const FOREVER: Duration = Duration::from_secs(100 * 365 * 86_400);
/// How much of what the far end says is kept: its last line says what was wrong.
const KEPT_OF_STDOUT: usize = 4096;
/// No word of a host is longer.
const LONGEST_LINE: usize = 4096;

/// A chain that is ready to begin. Cloning gives another handle to the same.
#[derive(Clone)]
pub struct Broadcast {
    inner: Arc<Inner>,
}

struct Inner {
    task: Task,
    /// Why hosts were given up.
    faults: Mutex<Vec<Option<Fault>>>,
    progress: Mutex<(u64, usize)>,
    size: OnceLock<Progress>,
}

/// Holds a chain from outside, on whatever thread. Cloning gives another hold on the same chain.
///
/// It takes effect within a moment, at once if the handler is
/// [called](phalanx_process::engine::EngineHandle::wake_handler) for.
#[derive(Debug, Clone, Default)]
pub struct CancelHandle(Arc<Mutex<Cancelled>>);

#[derive(Debug, Default)]
struct Cancelled {
    called_off: bool,
    /// How those that run are to be ended, if they are.
    kill: Option<Kill>,
}

impl CancelHandle {
    /// Nobody more is started, and nobody is fed from here; who runs is not ended by that.
    pub fn call_off(&self) {
        lock(&self.0).called_off = true;
    }

    /// Nobody more is started, and who runs is ended.
    pub fn kill(&self, kill: Kill) {
        *lock(&self.0) = Cancelled { called_off: true, kill: Some(kill) };
    }
}

/// What is to be done.
pub(super) struct Task {
    pub(super) name: String,
    pub(super) params: SshOptions,
    pub(super) chain: ChainParams,
    pub(super) policy: Policy,
    pub(super) fanout: usize,
    pub(super) sources: Arc<[Source]>,
    pub(super) keep_setid: bool,
    /// The last thing in the stream, which is the same every time it is sent.
    pub(super) receipt: String,
    pub(super) members: Vec<Member>,
}

/// One host.
pub(super) struct Member {
    pub(super) host: Host,
    /// Where others reach it.
    pub(super) address: String,
    pub(super) into: bool,
    pub(super) destination: OsString,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for Broadcast {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Broadcast({:?}, {} hosts)", self.inner.task.name, self.len())
    }
}

impl Broadcast {
    pub(super) fn new(task: Task) -> Self {
        let faults = Mutex::new(vec![None; task.members.len()]);
        Self { inner: Arc::new(Inner { task, faults, progress: Mutex::default(), size: OnceLock::new() }) }
    }

    /// How many hosts there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.inner.task.members.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What it is called in reports.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.inner.task.name
    }

    /// The host at `index`.
    #[must_use]
    pub fn host(&self, index: usize) -> &Host {
        &self.inner.task.members[index].host
    }

    /// The handler that does it, to be attached to an engine. It calls `start` to have the process of the host at an
    /// index started through the context, and `over`, once, when all processes have ended and none will be started.
    ///
    /// # Panics
    /// When the system has no random numbers, as a `HashMap` does.
    pub fn handler<S, O>(&self, cancel: CancelHandle, start: S, over: O) -> ChainHandler<S, O>
    where
        S: FnMut(&mut Context<'_>, usize, Spec) -> Option<ProcessId> + Send,
        O: FnOnce() + Send,
    {
        let Inner { task, faults, progress, .. } = &*self.inner;
        lock(faults).fill(Some(Fault::Disconnected));
        *lock(progress) = (0, 0);
        let settings = Settings {
            host_retry: task.chain.host_retry,
            may_skip: task.chain.chain_retry.of(self.len()),
            try_delay: task.chain.try_delay,
            client_timeout: task.chain.client_timeout,
            server_timeout: Some(task.chain.server_timeout).filter(|time| !time.is_zero()).unwrap_or(FOREVER),
            fanout: task.fanout,
        };
        ChainHandler {
            broadcast: self.clone(),
            mark: secret(),
            token: secret(),
            topology: Topology::new(self.len(), settings),
            time: Duration::ZERO,
            seen: None,
            cancel,
            start,
            over: Some(over),
            ids: vec![None; self.len()],
            hosts: HashMap::new(),
            lines: vec![Lines::with_bound(LONGEST_LINE); self.len()],
            feeds: HashMap::new(),
            given_up: Vec::new(),
            tick: None,
        }
    }

    /// Judges the host at `index`, whose process has ended so: returns what was wrong with it, and nothing only if the host
    /// has said that everything is in place.
    #[must_use]
    pub fn finished(&self, index: usize, _finished: &Finished) -> Option<Fault> {
        lock(&self.inner.faults)[index].clone()
    }

    /// Returns what the chain knows of the host at `index`, whose process has ended so.
    #[must_use]
    pub fn delivery(&self, index: usize, finished: &Finished) -> Delivery {
        // A host whose part went wrong is marked with a missed expectation, also one whose process ended with 0.
        match Fault::delivery(self.finished(index, finished)) {
            Delivery::Failed(reason) if finished.outcome.failed.is_some() => Delivery::GivenUp(reason),
            delivery => delivery,
        }
    }

    /// How much has arrived so far: bytes of the stream, at all hosts together; a file counts when it is in place.
    #[must_use]
    pub fn progress(&self) -> Progress {
        let (bytes, placed) = *lock(&self.inner.progress);
        Progress { bytes, files: self.size().files * placed as u64 }
    }

    /// How much there is to be put in all. Looks at every file.
    #[must_use]
    pub fn total(&self) -> Progress {
        let (size, hosts) = (self.size(), self.len() as u64);
        Progress { bytes: size.bytes * hosts, files: size.files * hosts }
    }

    fn size(&self) -> Progress {
        let look = || self.inner.task.sources.iter().map(|source| size_of_tree(&source.path, true)).sum();
        *self.inner.size.get_or_init(look)
    }

    /// What is done for the host at `index`, in words.
    #[must_use]
    pub fn describe(&self, index: usize) -> String {
        let Task { sources, members, .. } = &self.inner.task;
        let Member { into, destination, address, .. } = &members[index];
        let sources: Vec<_> = sources.iter().map(|source| format!("`{}`", source.path.display())).collect();
        let way = if index == 0 { "from here".to_owned() } else { format!("from `{}`", members[index - 1].host) };
        let place = if *into { "into" } else { "at" };
        format!("put {} {place} `{}`, {way}, to {address}", sources.join(" "), destination.display())
    }

    /// How the process of a host is treated.
    pub(super) fn policy(&self) -> Policy {
        let policy = self.inner.task.policy.clone();
        Policy { capture_stdout: Capture::Last(KEPT_OF_STDOUT), ..policy }
    }

    fn spec(&self, index: usize, mark: &str, token: &str) -> (Spec, Arc<[u8]>) {
        let task = &self.inner.task;
        let Member { host, into, destination, .. } = &task.members[index];
        let (params, sources) = (&task.chain, &task.sources);
        let far = NodeScript { mark, position: index, token, params, into: *into, destination, sources };
        let (command, text) = far.text();
        let mut spec = SshProcess::new(command, host).params(task.params.clone()).spec();
        spec.policy = self.policy();
        spec.launch.name = Some(task.name.clone());
        spec.launch.stdin = Stdin::Pipe;
        (spec, text.into())
    }
}

/// 128 bits that nobody can guess.
fn secret() -> String {
    let mut bytes = [0; 16];
    let filled = File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut bytes));
    filled.expect("every system that we run on has /dev/urandom");
    protocol::hexadecimal(&bytes)
}

/// Steers a chain: made by [`Broadcast::handler`].
pub struct ChainHandler<S, O> {
    broadcast: Broadcast,
    mark: String,
    token: String,
    topology: Topology,
    /// The time of the plan, and when it was looked at last.
    time: Duration,
    seen: Option<Instant>,
    cancel: CancelHandle,
    start: S,
    over: Option<O>,
    ids: Vec<Option<ProcessId>>,
    hosts: HashMap<ProcessId, usize>,
    lines: Vec<Lines>,
    feeds: HashMap<u64, Sender>,
    /// Whose ssh is to be ended when.
    given_up: Vec<(Duration, ProcessId)>,
    tick: Option<TimerId>,
}

impl<S, O> fmt::Debug for ChainHandler<S, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChainHandler").field("topology", &self.topology).finish_non_exhaustive()
    }
}

impl<S, O> ChainHandler<S, O>
where
    S: FnMut(&mut Context<'_>, usize, Spec) -> Option<ProcessId> + Send,
    O: FnOnce() + Send,
{
    fn report(&mut self, context: &mut Context<'_>, report: Input) {
        let mut orders = self.topology.handle(report, self.time);
        while !orders.is_empty() {
            let mut unable = Vec::new();
            for order in orders {
                log::debug!("{}: {order:?}", self.broadcast.name());
                unable.extend(self.perform(context, order));
            }
            orders = unable.into_iter().flat_map(|report| self.topology.handle(report, self.time)).collect();
        }
    }

    /// What is to be reported at once.
    fn perform(&mut self, context: &mut Context<'_>, order: Command) -> Option<Input> {
        let members = &self.broadcast.inner.task.members;
        if let Some((host, line)) = protocol::instruction(&order, |host| members[host].address.clone()) {
            self.ask(context, host, Request::Write(line.into_bytes().into()));
        }
        match order {
            Command::Start { host } => return self.begin(context, host),
            Command::Feed { attempt, from: Feeder::Here, host, port, offset } => self.feed(attempt, host, port, offset),
            Command::StopFeeding { attempt } => drop(self.feeds.remove(&attempt)),
            Command::GiveUp { host, why } => self.give_up(context, host, why),
            Command::Feed { .. } | Command::Again { .. } | Command::Tell { .. } | Command::Release { .. } => {}
        }
        None
    }

    fn begin(&mut self, context: &mut Context<'_>, host: usize) -> Option<Input> {
        let (spec, script) = self.broadcast.spec(host, &self.mark, &self.token);
        let Some(id) = (self.start)(context, host, spec) else { return Some(Input::Ended { host }) };
        context.request(id, Request::EmitOutput);
        self.ids[host] = Some(id);
        self.hosts.insert(id, host);
        context.request(id, Request::Write(script));
        None
    }

    fn feed(&mut self, attempt: u64, host: usize, port: u16, offset: u64) {
        let task = &self.broadcast.inner.task;
        let errand = SendJob {
            sources: Arc::clone(&task.sources),
            packing: Packing { verify: false, keep_setid: task.keep_setid, receipt: task.receipt.clone() },
            address: task.members[host].address.clone(),
            port,
            offset,
            token: self.token.clone(),
            timeout: task.chain.client_timeout.max(Duration::from_millis(1)),
        };
        self.feeds.insert(attempt, Sender::start(errand));
    }

    /// It is asked to tidy up and end by the end of its stdin, and if it does not, its ssh is ended.
    fn give_up(&mut self, context: &mut Context<'_>, host: usize, why: String) {
        log::info!("{}: {why}", self.broadcast.host(host));
        let fault = &mut lock(&self.broadcast.inner.faults)[host];
        if *fault == Some(Fault::Disconnected) {
            *fault = Some(Fault::Remote(why.clone()));
        }
        self.ask(context, host, Request::CloseStdin);
        // Ended by us, it would count as ok.
        self.ask(context, host, Request::Fail(why.into()));
        self.given_up.extend(self.ids[host].map(|id| (self.time + PATIENCE, id)));
    }

    fn ask(&self, context: &mut Context<'_>, host: usize, request: Request) {
        if let Some(id) = self.ids[host] {
            context.request(id, request);
        }
    }

    fn heard(&mut self, context: &mut Context<'_>, host: usize, bytes: &[u8]) {
        self.collect(context);
        let mark = &self.mark;
        let lines = self.lines[host].feed(bytes);
        let reports: Vec<_> = lines.filter_map(|line| protocol::report(host, mark, line.bytes)).collect();
        reports.into_iter().for_each(|report| self.report(context, report));
    }

    fn ended(&mut self, context: &mut Context<'_>, host: usize, finished: &Finished) {
        if self.topology.is_placed(host) {
            let fault = &mut lock(&self.broadcast.inner.faults)[host];
            fault.take_if(|fault| *fault == Fault::Disconnected);
        } else if !finished.outcome.killed {
            self.ask(context, host, Request::Fail("it did not say that it has everything".into()));
        }
        self.report(context, Input::Ended { host });
    }

    /// Hears how feeding from here went. Before any word of a host, which may be about that.
    fn collect(&mut self, context: &mut Context<'_>) {
        let outcomes: Vec<_> = self.feeds.iter().filter_map(|(id, feed)| Some((*id, feed.outcome()?))).collect();
        for (attempt, outcome) in outcomes {
            self.feeds.remove(&attempt);
            let report = match outcome {
                Outcome::Sent(total) => Input::Sent { total },
                Outcome::NotFed(why) => Input::NotFed { attempt, why },
                Outcome::SourceFailed(why) => Input::SourceFailed { why },
            };
            self.report(context, report);
        }
    }

    fn apply_cancel(&mut self, context: &mut Context<'_>) {
        let (called_off, kill) = {
            let mut recalled = lock(&self.cancel.0);
            (recalled.called_off, recalled.kill.take())
        };
        if called_off {
            self.feeds.clear();
            self.report(context, Input::CalledOff);
        }
        if let Some(kill) = kill {
            self.ids.iter().flatten().for_each(|id| context.request(*id, Request::Kill(kill)));
        }
    }

    fn tick(&mut self, context: &mut Context<'_>) {
        self.apply_cancel(context);
        self.collect(context);
        self.report(context, Input::Tick);
        *lock(&self.broadcast.inner.progress) = self.topology.progress();
        let now = self.time;
        self.given_up.retain(|(deadline, id)| {
            let waits = now < *deadline;
            if !waits {
                context.kill(*id);
            }
            waits
        });
        self.tick = Some(context.timer(TICK));
    }

    fn look_at_clock(&mut self, now: Instant) {
        if let Some(seen) = self.seen {
            self.time += now.saturating_duration_since(seen).min(JUMP);
        }
        self.seen = Some(now);
    }
}

impl<S, O> Handler for ChainHandler<S, O>
where
    S: FnMut(&mut Context<'_>, usize, Spec) -> Option<ProcessId> + Send,
    O: FnOnce() + Send,
{
    fn on_event(&mut self, context: &mut Context<'_>, event: &Event) {
        self.look_at_clock(context.now());
        match event {
            Event::Attached => self.tick(context),
            Event::Timer { timer } if Some(*timer) == self.tick => {
                // Not as soon as all have ended: handlers hear of an end before those who wait for it.
                if self.topology.is_over()
                    && let Some(over) = self.over.take()
                {
                    over();
                    return context.detach();
                }
                self.tick(context);
            }
            Event::Output { id, stream: Stream::Stdout, bytes } => {
                if let Some(host) = self.hosts.get(id) {
                    self.heard(context, *host, bytes);
                }
            }
            Event::Ended { id, finished } => {
                if let Some(host) = self.hosts.get(id) {
                    self.ended(context, *host, finished);
                }
            }
            _ => {}
        }
    }

    fn on_notification(&mut self, context: &mut Context<'_>, notice: &Notification) {
        if *notice == Notification::Woken {
            self.apply_cancel(context);
        }
    }
}
