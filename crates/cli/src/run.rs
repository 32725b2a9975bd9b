//! `phalanx run`: feeds the plan to an engine on this thread, and the events to a show.
//!
//! ```text
//!  running ──first SIGINT or SIGTERM──▶ stopping ──second──▶ killing ──▶ over
//!     │  nobody new is started,            │  SIGKILL to all     ▲
//!     │  SIGTERM to all, then a grace      └── all have ended ───┤
//!     └────────────────── all have ended ────────────────────────┘
//! ```

mod again;
mod local;
mod plan;
mod tally;

use std::collections::HashMap;
use std::io;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use phalanx_action::chain::CancelHandle;
use phalanx_action::crew::{Crew, Foreman, Reins};
use phalanx_action::files::Fault;
use phalanx_action::rollout::Retry;
use phalanx_config::configuration::Configuration;
use phalanx_process::engine::{Engine, EngineOptions};
use phalanx_process::event::{Event, Kill, Request, Stream};
use phalanx_process::handler::Context;
use phalanx_process::id::{HandlerId, ProcessId, ProcessIds};
use phalanx_process::outcome::Finished;
use phalanx_process::result::HostResult;
use phalanx_process::stats::Calendar;
use phalanx_process::{Signal, Spec};

pub(crate) use self::plan::{Plan, Recipe};
pub(crate) use self::tally::Tally;
use crate::args::RunArgs;
use crate::exit;
use crate::show::{Show, ShowError, Wanted};
use crate::stop::{SIGNALS, Stop};
use crate::work::WorkArgs;

/// How often the status line is looked at.
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
    drive(&plan, &Wanted::of_run(args, configuration), &args.work)
}

/// Does what was planned, and shows it.
pub(crate) fn drive(plan: &Plan, wanted: &Wanted<'_>, work: &WorkArgs) -> ExitCode {
    if work.dry_run {
        return crate::show::dry_run(plan);
    }
    let show = match Show::new(wanted, plan) {
        Ok(show) => show,
        Err(error) => return exit::usage(&error),
    };
    match Run::new(plan, show, work.max_status).and_then(Run::drive_to_the_end) {
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
    stop: Stop,
    tally: Tally,
    show: Show<'a>,
    calendar: Calendar,
    max_status: bool,
}

/// The failed attempts that are followed by another, until their ends have been shown.
type Retries = Arc<Mutex<HashMap<ProcessId, Retry>>>;
/// What was wrong with attempts, apart from their processes, until their ends are shown.
type Faults = Arc<Mutex<HashMap<ProcessId, Fault>>>;

/// By what those who start the processes are held.
enum Hold {
    Crew(Reins),
    Chain(CancelHandle),
}

impl Hold {
    fn call_off(&self) {
        match self {
            Self::Crew(reins) => reins.call_off(),
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

impl Foreman for Starter {
    fn start(&mut self, context: &mut Context<'_>, host: usize, attempt: u32) -> Option<ProcessId> {
        let id = self.id(host, attempt);
        context.start(id, self.recipe.spec(&self.hosts[host], host));
        context.request(id, Request::EmitOutput);
        Some(id)
    }

    fn judge(&mut self, _context: &mut Context<'_>, id: ProcessId, host: usize, finished: &Finished) -> bool {
        let fault = self.recipe.finished(host, finished);
        let is_ok = finished.ok && fault.is_none();
        self.faults.lock().unwrap_or_else(PoisonError::into_inner).extend(fault.map(|fault| (id, fault)));
        is_ok
    }

    fn will_retry(&mut self, host: usize, retry: Retry) {
        let id = self.id(host, retry.failed);
        self.retries.lock().unwrap_or_else(PoisonError::into_inner).insert(id, retry);
    }

    fn over(&mut self) {
        self.over.store(true, Ordering::SeqCst);
    }
}

impl<'a> Run<'a> {
    fn new(plan: &'a Plan, show: Show<'a>, max_status: bool) -> io::Result<Self> {
        let mut drive = Engine::current_thread(EngineOptions::default())?;
        drive.watch_signals(&SIGNALS)?;
        show.on_progress(drive.waker());
        let attempts = 1 + plan.rollout.retries.count as usize;
        let ids = ProcessId::block(plan.hosts.len() * attempts);
        let reins = Reins::new(plan.hosts.len(), plan.rollout.clone());
        let (retries, faults) = (Retries::default(), Faults::default());
        let over = Arc::new(AtomicBool::new(false));
        let (recipe, hosts, told) = (plan.recipe(), Arc::clone(&plan.hosts), Arc::clone(&over));
        let all_over = Arc::clone(&over);
        let starter =
            Starter { ids, recipe, hosts, retries: Arc::clone(&retries), faults: Arc::clone(&faults), over: told };
        let (hold, handler) = match plan.chain() {
            None => (Hold::Crew(reins.clone()), drive.attach(Crew::new(reins, starter))),
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
            stop: Stop::No,
            tally: Tally::new(plan.hosts.len()),
            show,
            calendar: Calendar::now(),
            max_status,
        })
    }

    /// Runs until all have ended, then shows what is shown at the end.
    fn drive_to_the_end(mut self) -> io::Result<u8> {
        while !self.over.load(Ordering::SeqCst) {
            let event = match self.drive.take_event() {
                Some(event) => Some(event),
                None => {
                    // Nothing more at hand: let it be seen what has come so far, before waiting for more.
                    self.watch_output(Show::flush);
                    self.drive.set_reading(!self.show.is_congested());
                    let deadline = self.show.needs_ticks().then(|| Instant::now() + TICK);
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
                let host = self.host(id);
                self.tally.started(host);
                self.watch_output(|show| show.started(host, pid));
            }
            // There the far end of a put says how it went.
            Some(Event::Output { stream: Stream::Stdout, .. }) if self.plan.is_files() => {}
            Some(Event::Output { id, stream, bytes }) => {
                let host = self.host(id);
                self.watch_output(|show| show.output(host, stream, &bytes));
            }
            Some(Event::Ended { id, finished }) => self.ended(id, finished),
            Some(Event::Signal(Signal::XFSZ)) => {}
            Some(Event::Signal(signal)) => self.stop_by(signal),
            Some(Event::Attached | Event::StdinDrained { .. } | Event::Timer { .. } | Event::Woken) => {}
        }
        self.show.tick(&self.tally);
    }

    fn host(&self, id: ProcessId) -> usize {
        self.ids.index(id).expect("this run started all its processes") % self.plan.hosts.len()
    }

    fn ended(&mut self, id: ProcessId, finished: Arc<Finished>) {
        let host = self.host(id);
        let fault = self.faults.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
        let verdict = self.plan.result(host, &finished, fault);
        // The crew has heard of the end before, and has decided.
        let retry = self.retries.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
        match retry {
            None => self.conclude_host(host, verdict, &finished),
            Some(retry) => {
                let shown = self.show.retry(host, &verdict, retry);
                self.tally.pauses(host, verdict, finished);
                self.note_output(shown);
            }
        }
    }

    /// No attempt will follow.
    fn conclude_host(&mut self, host: usize, verdict: HostResult, finished: &Finished) {
        let lost = self.show.close(host).err();
        if let Some(lost) = lost.as_ref().filter(|_| !verdict.is_ok()) {
            log::error!("{}: {lost}", self.plan.hosts[host]);
        }
        let verdict = verdict.unless_output_lost(lost);
        self.tally.ended(host, verdict, finished, &self.calendar);
        let tally = &self.tally;
        let shown = self.show.ended(host, tally, &finished.outcome);
        self.note_output(shown);
    }

    /// Once politely, then at once.
    fn stop_by(&mut self, signal: Signal) {
        self.call_off();
        // Not the tally's: a process may run whose start has not been told yet.
        let mut running: Vec<_> = self.drive.processes().into_iter().map(|id| self.host(id)).collect();
        running.sort_unstable();
        let waiting: Vec<_> = self.tally.unended().filter(|host| running.binary_search(host).is_err()).collect();
        self.stop = match self.stop {
            Stop::No => {
                self.show.stopping(signal, &running, &waiting);
                self.kill_all(Kill::default());
                Stop::Asked(signal)
            }
            Stop::Asked(first) | Stop::Killed(first) => {
                self.show.killing(&running);
                self.kill_all(Kill::NOW);
                Stop::Killed(first)
            }
            Stop::OutputClosed | Stop::OutputFailed => self.stop,
        };
    }

    /// Starts nobody more; pauses end too.
    fn call_off(&mut self) {
        self.hold.call_off();
        self.drive.wake_handler(self.handler);
    }

    fn kill_all(&mut self, kill: Kill) {
        for id in self.drive.processes() {
            self.drive.request(id, Request::Kill(kill));
        }
    }

    fn watch_output(&mut self, show: impl FnOnce(&mut Show<'a>) -> Result<(), ShowError>) {
        let shown = show(&mut self.show);
        self.note_output(shown);
    }

    fn note_output(&mut self, shown: Result<(), ShowError>) {
        if self.stop.is_forced_by(shown, "run") {
            self.call_off();
            self.kill_all(Kill::NOW);
        }
    }

    fn conclude(mut self) -> io::Result<u8> {
        for (host, verdict, finished) in self.tally.take_pausing() {
            self.conclude_host(host, verdict, &finished);
        }
        self.tally.call_off_the_rest();
        // The status tells whether what was said so far could be recorded.
        self.watch_output(Show::flush);
        let status = self.status();
        let shown = self.show.conclude(&self.tally, status);
        self.note_output(shown);
        self.drain()?;
        self.plan.join();
        Ok(self.status())
    }

    /// Waits until everything has been written. While somebody does not read it, a signal ends that too.
    fn drain(&mut self) -> io::Result<()> {
        let moment = self.stop.last_moment();
        while !self.show.is_drained() && moment.is_none_or(|end| Instant::now() < end) {
            if let Some(Event::Signal(signal)) = self.drive.next_event(moment)?
                && self.stop.ends_waiting(signal)
            {
                return Ok(());
            }
        }
        self.watch_output(Show::flush);
        Ok(())
    }

    /// The first that applies: how it was stopped, the largest remote status if that is wanted, whether all went well.
    fn status(&self) -> u8 {
        if let Some(status) = self.stop.status() {
            return status;
        }
        match self.tally.max_status() {
            status if self.max_status && status > 0 => status,
            // A record that cannot be relied on is a failure of its own.
            _ if self.tally.failed() > 0 || self.show.record_is_incomplete() => exit::FAILED,
            _ => exit::OK,
        }
    }
}
