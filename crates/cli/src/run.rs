//! `phalanx run`: feeds the plan to an engine on this thread, and the events to a reporter.
//!
//! ```text
//!  running ──first SIGINT or SIGTERM──▶ stopping ──second──▶ killing ──▶ over
//!     │  no other is started,              │  SIGKILL to all     ▲
//!     │  SIGTERM to all, then a grace      └── all have ended ───┤
//!     └────────────────── all have ended ────────────────────────┘
//! ```

mod again;
mod args;
mod local;
mod plan;
mod state;

use std::collections::HashMap;
use std::io;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use phalanx_action::chain::CancelHandle;
use phalanx_action::files::Fault;
use phalanx_action::job::{Attempt, JobHandle, JobHandler, JobMembers, MemberEvent, Retry};
use phalanx_config::configuration::Configuration;
use phalanx_process::engine::{Engine, EngineOptions};
use phalanx_process::event::{Event, Kill, Request, Stream};
use phalanx_process::handler::Context;
use phalanx_process::id::{HandlerId, ProcessId, ProcessIds};
use phalanx_process::outcome::Finished;
use phalanx_process::stats::Stats;
use phalanx_process::{Signal, Spec};
use phalanx_record::report::Report;

pub(crate) use self::args::RunArgs;
pub(crate) use self::plan::{Plan, Recipe};
use self::state::RunState;
use crate::exit;
use crate::output::{Conclusion, FileProgress, JobEvent, OutputError, OutputOptions, Reporter, StepId};
use crate::shutdown::{SIGNALS, ShutdownState};
use crate::work::WorkArgs;

/// How often the status line changes.
const TICK: Duration = Duration::from_millis(200);

/// `phalanx run`, from what was typed to the exit status.
pub(crate) fn run(args: &RunArgs, configuration: &Configuration) -> ExitCode {
    let plan = match Plan::new(args, configuration) {
        Ok(plan) => plan,
        Err(error) => return exit::usage(&error),
    };
    if plan.hosts.is_empty() {
        return exit::nothing_to_do(&"no host that was asked for failed in the record: nothing is run again");
    }
    drive(&plan, &args.output(configuration), &args.work)
}

impl RunArgs {
    fn output<'a>(&'a self, configuration: &'a Configuration) -> OutputOptions<'a> {
        let (output_dir, record) = (self.output_dir.as_deref(), self.record.as_deref());
        let options = self.work.output(configuration);
        OutputOptions { label: !self.no_label, gather: self.gather, output_dir, record, ..options }
    }
}

/// Does what was planned, and shows it.
pub(crate) fn drive(plan: &Plan, options: &OutputOptions<'_>, work: &WorkArgs) -> ExitCode {
    if work.dry_run {
        return plan.show();
    }
    let files = plan.is_files().then_some(plan as &dyn FileProgress);
    let reporter = match Reporter::open(options, Some(&plan.event()), files) {
        Ok(reporter) => reporter,
        Err(error) => return exit::usage(&error),
    };
    match Run::new(plan, reporter, work.max_status).and_then(Run::drive_to_the_end) {
        Ok(status) => ExitCode::from(status),
        Err(error) => exit::internal(&format!("cannot go on: {error}")),
    }
}

/// A run under way.
struct Run<'a> {
    plan: &'a Plan,
    drive: Engine,
    /// A name for each attempt of each host: all first attempts, then all second ones…
    ids: ProcessIds,
    hold: Hold,
    handler: HandlerId,
    retries: Retries,
    faults: Faults,
    over: Arc<AtomicBool>,
    shutdown: ShutdownState,
    state: RunState,
    reporter: Reporter<'a>,
    max_status: bool,
}

/// The failed attempts that are followed by another, until their ends have been shown.
type Retries = Arc<Mutex<HashMap<ProcessId, Retry>>>;
/// What was wrong with attempts, apart from their processes, until their ends are shown.
type Faults = Arc<Mutex<HashMap<ProcessId, Fault>>>;

/// By what those who start the processes are held.
enum Hold {
    Job(JobHandle),
    Chain(CancelHandle),
}

impl Hold {
    fn call_off(&self) {
        match self {
            Self::Job(job) => job.cancel(),
            Self::Chain(cancel) => cancel.call_off(),
        }
    }
}

/// Starts the processes of a run.
struct Starter {
    ids: ProcessIds,
    recipe: Recipe,
    hosts: Arc<[String]>,
    retries: Retries,
    faults: Faults,
    over: Arc<AtomicBool>,
}

impl Starter {
    fn id(&self, host: usize, attempt: u32) -> ProcessId {
        self.ids.at((attempt as usize - 1) * self.hosts.len() + host)
    }

    /// Starts a process that is described already, for the first and only time.
    fn start_spec(&self, context: &mut Context<'_>, host: usize, mut spec: Spec) -> ProcessId {
        self.recipe.adorn(&mut spec);
        let id = self.id(host, 1);
        context.start(id, spec);
        context.request(id, Request::EmitOutput);
        id
    }
}

impl JobMembers for Starter {
    fn start(&mut self, context: &mut Context<'_>, host: usize, attempt: u32) -> Attempt {
        let id = self.id(host, attempt);
        context.start(id, self.recipe.spec(&self.hosts[host], host));
        context.request(id, Request::EmitOutput);
        Attempt::Running(id)
    }

    fn judge(&mut self, _context: &mut Context<'_>, id: ProcessId, host: usize, finished: &Finished) -> bool {
        let fault = self.recipe.finished(host, finished);
        let is_ok = finished.ok && fault.is_none();
        self.faults.lock().unwrap_or_else(PoisonError::into_inner).extend(fault.map(|fault| (id, fault)));
        is_ok
    }

    fn on_member_event(&mut self, event: MemberEvent) {
        match event {
            MemberEvent::Retrying { member, retry } => {
                let id = self.id(member, retry.failed);
                self.retries.lock().unwrap_or_else(PoisonError::into_inner).insert(id, retry);
            }
            MemberEvent::Finished { .. } | MemberEvent::Cancelled { .. } => {}
            MemberEvent::Done => self.over.store(true, Ordering::SeqCst),
        }
    }
}

impl<'a> Run<'a> {
    fn new(plan: &'a Plan, reporter: Reporter<'a>, max_status: bool) -> io::Result<Self> {
        let mut drive = Engine::current_thread(EngineOptions::default())?;
        drive.watch_signals(&SIGNALS)?;
        reporter.on_progress(drive.waker());
        let attempts = 1 + plan.rollout.retries.count as usize;
        let ids = ProcessId::block(plan.hosts.len() * attempts);
        let job = JobHandle::new(plan.hosts.len(), plan.rollout.clone());
        let (retries, faults) = (Retries::default(), Faults::default());
        let over = Arc::new(AtomicBool::new(false));
        let (recipe, hosts, told) = (plan.recipe(), Arc::clone(&plan.hosts), Arc::clone(&over));
        let all_over = Arc::clone(&over);
        let starter =
            Starter { ids, recipe, hosts, retries: Arc::clone(&retries), faults: Arc::clone(&faults), over: told };
        let (hold, handler) = match plan.chain() {
            None => (Hold::Job(job.clone()), drive.attach(JobHandler::new(job, starter))),
            Some(broadcast) => {
                let cancel = CancelHandle::default();
                let start = move |context: &mut Context<'_>, host: usize, spec: Spec| {
                    Some(starter.start_spec(context, host, spec))
                };
                let all_over = move || all_over.store(true, Ordering::SeqCst);
                let steering = broadcast.handler(cancel.clone(), start, all_over);
                (Hold::Chain(cancel), drive.attach(steering))
            }
        };
        Ok(Self {
            plan,
            drive,
            ids,
            hold,
            handler,
            retries,
            faults,
            over,
            shutdown: ShutdownState::No,
            state: RunState::new(plan.hosts.len()),
            reporter,
            max_status,
        })
    }

    /// Runs until all have ended, then shows what is shown at the end.
    fn drive_to_the_end(mut self) -> io::Result<u8> {
        self.report(JobEvent::StepBegun { step: StepId::RUN, description: self.plan.description() });
        while !self.over.load(Ordering::SeqCst) {
            let event = match self.drive.take_event() {
                Some(event) => Some(event),
                None => {
                    // Nothing more at hand: let it be seen what has come so far, before waiting for more.
                    self.watch_output(Reporter::flush);
                    self.drive.set_reading(!self.reporter.is_congested());
                    let deadline = self.reporter.needs_ticks().then(|| Instant::now() + TICK);
                    self.drive.next_event(deadline)?
                }
            };
            self.handle(event);
        }
        while let Some(event) = self.drive.take_event() {
            self.handle(Some(event));
        }
        self.conclude()
    }

    fn handle(&mut self, event: Option<Event>) {
        match event {
            None => {}
            Some(Event::Started { id, pid }) => {
                let (member, attempt) = self.member(id);
                self.state.started(member);
                self.report(JobEvent::Started { step: StepId::RUN, member, attempt, pid });
            }
            // There the far end of a put says how it went.
            Some(Event::Output { stream: Stream::Stdout, .. }) if self.plan.is_files() => {}
            Some(Event::Output { id, stream, bytes }) => {
                let (member, _) = self.member(id);
                self.report(JobEvent::Output { step: StepId::RUN, member, stream, bytes: &bytes, shown: true });
            }
            Some(Event::Ended { id, finished }) => self.ended(id, finished),
            Some(Event::Signal(Signal::XFSZ)) => {}
            Some(Event::Signal(signal)) => self.on_signal(signal),
            Some(Event::Attached | Event::StdinDrained { .. } | Event::Timer { .. } | Event::Woken) => {}
        }
        self.reporter.tick();
    }

    /// Returns the host of a process, and which attempt it is, counted from 1.
    fn member(&self, id: ProcessId) -> (usize, u32) {
        let index = self.ids.index(id).expect("this run started all its processes");
        let hosts = self.plan.hosts.len();
        (index % hosts, u32::try_from(index / hosts).map_or(u32::MAX, |before| before.saturating_add(1)))
    }

    fn ended(&mut self, id: ProcessId, finished: Arc<Finished>) {
        let (host, _) = self.member(id);
        let fault = self.faults.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
        let result = self.plan.result(host, &finished, fault);
        // The job has been told of the end before, and has decided.
        let retry = self.retries.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
        match retry {
            None => self.state.ended(host),
            Some(_) => self.state.backs_off(host, result.clone(), Arc::clone(&finished)),
        }
        self.report(JobEvent::Ended { step: StepId::RUN, member: host, result, finished: &finished, retry });
    }

    /// Stops the run: once politely, then at once.
    fn on_signal(&mut self, signal: Signal) {
        self.call_off();
        // Not the state's: a process may run whose start has not been told yet.
        let mut running: Vec<_> = self.drive.processes().into_iter().map(|id| self.member(id).0).collect();
        running.sort_unstable();
        let waiting = self.state.unended().filter(|host| running.binary_search(host).is_err());
        let [running, waiting] = [running.clone(), waiting.collect()].map(of_run);
        self.shutdown = match self.shutdown {
            ShutdownState::No => {
                self.reporter.stopping(signal, &running, &waiting);
                self.kill_all(Kill::default());
                ShutdownState::Asked(signal)
            }
            ShutdownState::Asked(first) | ShutdownState::Killed(first) => {
                self.reporter.killing(&running);
                self.kill_all(Kill::NOW);
                ShutdownState::Killed(first)
            }
            ShutdownState::OutputClosed | ShutdownState::OutputFailed => self.shutdown,
        };
    }

    /// Starts no further process; pauses end too.
    fn call_off(&mut self) {
        self.hold.call_off();
        self.drive.wake_handler(self.handler);
    }

    fn kill_all(&mut self, kill: Kill) {
        for id in self.drive.processes() {
            self.drive.request(id, Request::Kill(kill));
        }
    }

    fn report(&mut self, event: JobEvent<'_>) {
        self.watch_output(|reporter| reporter.handle(event));
    }

    fn watch_output(&mut self, show: impl FnOnce(&mut Reporter<'a>) -> Result<(), OutputError>) {
        let shown = show(&mut self.reporter);
        if self.shutdown.is_forced_by(shown, "run") {
            self.call_off();
            self.kill_all(Kill::NOW);
        }
    }

    fn conclude(mut self) -> io::Result<u8> {
        let step = StepId::RUN;
        for (member, result, finished) in self.state.end_backing_off() {
            self.report(JobEvent::Ended { step, member, result, finished: &finished, retry: None });
        }
        let left: Vec<_> = self.state.unended().collect();
        left.into_iter().for_each(|member| self.report(JobEvent::NotStarted { step, member }));
        // The status tells whether what was said so far could be recorded.
        self.watch_output(Reporter::flush);
        let conclusion = self.conclusion();
        self.watch_output(|reporter| reporter.conclude(conclusion));
        self.drain()?;
        self.plan.join();
        Ok(self.status())
    }

    fn conclusion(&self) -> Conclusion {
        let state = self.reporter.step(StepId::RUN).expect("it has begun");
        let report = self.reporter.wants_report().then(|| {
            let mut report = Report::default();
            report.add(Stats { name: self.plan.command.clone(), ..state.stats() });
            report
        });
        Conclusion { exit_status: self.status(), steps: None, lines: state.stopped(), report }
    }

    /// Waits until everything has been written. While it is not read, a signal ends that too.
    fn drain(&mut self) -> io::Result<()> {
        let deadline = self.shutdown.drain_deadline();
        while !self.reporter.is_drained() && deadline.is_none_or(|deadline| Instant::now() < deadline) {
            if let Some(Event::Signal(signal)) = self.drive.next_event(deadline)?
                && self.shutdown.ends_waiting(signal)
            {
                return Ok(());
            }
        }
        self.watch_output(Reporter::flush);
        Ok(())
    }

    /// The first that applies: how it was stopped, the largest remote status if that is wanted, whether all went well.
    fn status(&self) -> u8 {
        if let Some(status) = self.shutdown.status() {
            return status;
        }
        match self.reporter.max_status() {
            status if self.max_status && status > 0 => status,
            // A record that cannot be relied on is a failure of its own.
            _ if self.reporter.has_failures() || self.reporter.record_is_incomplete() => exit::FAILED,
            _ => exit::OK,
        }
    }
}

/// These hosts, as members of the only step of a run.
fn of_run(hosts: Vec<usize>) -> Vec<(StepId, usize)> {
    hosts.into_iter().map(|host| (StepId::RUN, host)).collect()
}
