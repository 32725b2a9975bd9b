//! Plays a plan: does what its [workflow](super::workflow) says, on an engine of the caller's thread, and tells what happens.
//!
//! ```text
//!            Start, Stop, Iterate                     start, kill, write
//!  Workflow ───────────────────────────▶ Player ─────────────────────────▶ Engine
//!    ▲                                    │ │ ▲                              │
//!    └── handle_ended, ready, iteration … ┘ │ └────── Event ─────────────────┘
//!                                           ▼
//!                                       Happening, for those who watch
//! ```
//!
//! Within a step of `processes`, a [`JobState`](phalanx_action::job::JobState) says which starts next; `recipe` makes it; `member`
//! knows what is expected of it. `sweeping` asks for combinations. Forwarded ports (`ports`) are set up on the same engine.

mod chained;
mod happening;
mod member;
mod outline;
mod ports;
mod processes;
mod recipe;
mod sweeping;

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::io;
use std::sync::Arc;
use std::time::Instant;

use phalanx_process::Signal;
use phalanx_process::engine::{Engine, EngineOptions};
use phalanx_process::event::{Event, Kill, Request};
use phalanx_process::id::ProcessId;

pub use self::happening::{Happening, Manner};
pub use self::outline::{Line, outline};
use self::ports::{PortEvent, PortEvents, PortForwardStep};
use self::processes::Running;
use self::sweeping::Sweeping;
use super::model::{Plan, Step, Work};
use super::workflow::{RunOf, StepOutcome, StepRun, Workflow, WorkflowEffect};
use phalanx_action::source::MemberSource;
use phalanx_action::substitute::Lists;
use phalanx_sweep::Combination;

/// Plays one plan.
pub struct Player {
    plan: Arc<Plan>,
    manner: Manner,
    workflow: Workflow,
    engine: Engine,
    /// What is under way, by its turn.
    under_way: HashMap<StepRun, UnderWay>,
    processes: HashMap<ProcessId, (StepRun, usize)>,
    /// What is to be looked at when.
    alarms: BTreeSet<(Instant, StepRun, Alarm)>,
    /// The values that blocks add: factors, forwarded ports.
    values: HashMap<StepRun, Vec<(String, String)>>,
    combinations: HashMap<StepRun, Combination>,
    /// What was wrong with a step as a whole.
    reasons: HashMap<StepRun, String>,
    happenings: VecDeque<Happening>,
    ports: PortEvents,
    /// What made the processes of steps that have ended, as long as something here tidies up after them.
    left_behind: Vec<Arc<dyn MemberSource>>,
}

enum UnderWay {
    Processes(Box<Running>),
    Port(PortForwardStep),
    Sweep(Box<Sweeping>),
    Pause,
}

impl UnderWay {
    /// Returns the processes of the step that have not ended for good.
    fn open(&self, turn: StepRun) -> Vec<(StepRun, usize)> {
        let Self::Processes(running) = self else { return Vec::new() };
        let job = &running.job;
        (0..job.total()).filter(|member| job.is_open(*member)).map(|member| (turn, member)).collect()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Alarm {
    /// Somebody may start.
    Start,
    /// The time of a process may be over in some way.
    Member(usize),
    /// A pause is over.
    Pause,
}

impl std::fmt::Debug for Player {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Player").field("plan", &self.plan.name).finish_non_exhaustive()
    }
}

impl Player {
    /// A player of `plan`, which begins at once.
    ///
    /// # Errors
    /// When the system has no descriptor left for it.
    pub fn new(plan: Arc<Plan>, manner: Manner) -> io::Result<Self> {
        let mut player = Self {
            workflow: plan.workflow(),
            plan,
            manner,
            engine: Engine::current_thread(EngineOptions::default())?,
            under_way: HashMap::new(),
            processes: HashMap::new(),
            alarms: BTreeSet::new(),
            values: HashMap::new(),
            combinations: HashMap::new(),
            reasons: HashMap::new(),
            happenings: VecDeque::new(),
            ports: PortEvents::default(),
            left_behind: Vec::new(),
        };
        player.workflow.handle_begin(Instant::now());
        Ok(player)
    }

    /// From now on these signals to this program are happenings, and do nothing else.
    ///
    /// # Errors
    /// As [`Engine::watch_signals`].
    pub fn watch_signals(&mut self, signals: &[Signal]) -> io::Result<()> {
        self.engine.watch_signals(signals)
    }

    /// Something with which any thread can make [`Player::next_happening`] return a [`Happening::Woken`].
    pub fn waker(&self) -> impl Fn() + Send + Sync + 'static {
        self.engine.waker()
    }

    /// Reads what the processes say, or leaves it alone until further notice, so that they feel it.
    pub fn set_reading(&mut self, reading: bool) {
        self.engine.set_reading(reading);
    }

    /// Waits, for a few seconds at most, for what has still something to tidy up here when all is over.
    pub fn join(&self) {
        self.left_behind.iter().for_each(|source| source.join());
    }

    /// What is played.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// How far it is.
    #[must_use]
    pub fn workflow(&self) -> &Workflow {
        &self.workflow
    }

    /// The step that a turn is one of; `None` for the plan as a whole.
    #[must_use]
    pub fn step(&self, turn: StepRun) -> Option<&Step> {
        match self.workflow.run_of(turn) {
            RunOf::Root => None,
            RunOf::Step(number) | RunOf::Iteration(number) => Some(self.plan.step(number)),
        }
    }

    /// What a turn is called: the name of its step, or the values of its combination.
    #[must_use]
    pub fn title(&self, turn: StepRun) -> String {
        match self.workflow.run_of(turn) {
            RunOf::Root => self.plan.name.clone(),
            RunOf::Step(number) => self.plan.step(number).name.clone(),
            RunOf::Iteration(_) => self.combinations.get(&turn).map(combination_name).unwrap_or_default(),
        }
    }

    /// Whether all is over, and everything was told.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.workflow.is_over() && self.happenings.is_empty()
    }

    /// Ends everything that runs, politely, and begins nothing more.
    pub fn stop(&mut self) {
        self.workflow.handle_cancel(Instant::now());
        self.settle();
    }

    /// Kills everything that runs, at once, and begins nothing more.
    pub fn kill(&mut self) {
        self.stop();
        for id in self.engine.processes() {
            self.engine.request(id, Request::Kill(Kill::NOW));
        }
    }

    /// The processes that run now, by their steps.
    #[must_use]
    pub fn running(&self) -> Vec<(StepRun, usize)> {
        let ids = self.engine.processes();
        let mut running: Vec<_> = ids.iter().filter_map(|id| self.processes.get(id).copied()).collect();
        running.sort_unstable();
        running
    }

    /// Returns the members of steps under way that do not run and have not ended for good, by their steps.
    #[must_use]
    pub fn waiting(&self) -> Vec<(StepRun, usize)> {
        let running = self.running();
        let mut waiting: Vec<_> = self.under_way.iter().flat_map(|(turn, under_way)| under_way.open(*turn)).collect();
        waiting.retain(|member| running.binary_search(member).is_err());
        waiting.sort_unstable();
        waiting
    }

    /// What has happened already.
    pub fn take_happening(&mut self) -> Option<Happening> {
        loop {
            self.settle();
            if let Some(happening) = self.happenings.pop_front() {
                return Some(happening);
            }
            match self.engine.take_event() {
                Some(event) => self.event(event),
                None => {
                    self.finish_chains();
                    self.settle();
                    return self.happenings.pop_front();
                }
            }
        }
    }

    /// Waits for what happens next, at most until `deadline`; `None` when that has passed.
    ///
    /// # Errors
    /// When the system refuses to wait.
    pub fn next_happening(&mut self, deadline: Option<Instant>) -> io::Result<Option<Happening>> {
        loop {
            if let Some(happening) = self.take_happening() {
                return Ok(Some(happening));
            }
            let alarm = self.alarms.first().map(|(at, ..)| *at);
            let until = [deadline, alarm, self.workflow.poll_timeout()].into_iter().flatten().min();
            if let Some(event) = self.engine.next_event(until)? {
                self.event(event);
            }
            let now = Instant::now();
            self.ring(now);
            self.read_port_events();
            if self.happenings.is_empty() && deadline.is_some_and(|deadline| deadline <= now) {
                return Ok(None);
            }
        }
    }

    /// Does what the workflow says.
    fn settle(&mut self) {
        while let Some(effect) = self.workflow.poll_effect() {
            match effect {
                WorkflowEffect::Start(turn) => self.start(turn),
                WorkflowEffect::Begun(turn) => self.begun(turn),
                WorkflowEffect::Stop(turn) => self.end(turn),
                WorkflowEffect::Iterate(turn) => self.next_combination(turn),
                WorkflowEffect::Finished(turn, verdict) => self.over(turn, verdict),
            }
        }
    }

    fn begun(&mut self, turn: StepRun) {
        if turn == StepRun::ROOT {
            return;
        }
        let tell = |members| Happening::Begun { turn, members, command: String::new(), remote: false };
        self.happenings.push_back(tell([].into()));
    }

    fn start(&mut self, turn: StepRun) {
        let plan = Arc::clone(&self.plan);
        let RunOf::Step(number) = self.workflow.run_of(turn) else { unreachable!("only steps are started") };
        let step = plan.step(number);
        let lists = self.lists(turn);
        let started = match &step.work {
            Work::Processes(processes) => self.start_processes(turn, processes, step.background),
            Work::Forward(forward) => {
                let command = ports::describe(forward, &lists);
                self.tell_begun(turn, command, true);
                ports::forwarder(forward, step.limit, &lists, &self.manner.params)
                    .and_then(|forwarder| PortForwardStep::begin(turn, &forwarder, &self.ports, &self.engine))
                    .map(|port| drop(self.under_way.insert(turn, UnderWay::Port(port))))
            }
            Work::Pause(pause) => {
                self.tell_begun(turn, format!("pause {} s", pause.as_secs_f64()), false);
                self.under_way.insert(turn, UnderWay::Pause);
                if let Some(at) = Instant::now().checked_add(*pause) {
                    self.alarms.insert((at, turn, Alarm::Pause));
                }
                Ok(())
            }
            Work::Sequence(_) | Work::Parallel { .. } | Work::Sweep(_) => unreachable!("a block is not started"),
        };
        if let Err(reason) = started {
            self.reasons.insert(turn, reason);
            self.workflow.handle_ended(turn, false, Instant::now());
        }
    }

    fn tell_begun(&mut self, turn: StepRun, command: String, remote: bool) {
        self.happenings.push_back(Happening::Begun { turn, members: [].into(), command, remote });
    }

    /// What a step may substitute: what the plan names, and what the blocks around it add.
    fn lists(&self, turn: StepRun) -> Lists {
        let mut around: Vec<StepRun> = std::iter::successors(Some(turn), |turn| self.workflow.parent(*turn)).collect();
        around.reverse();
        let mut lists = self.plan.lists.clone();
        for (name, value) in around.iter().filter_map(|turn| self.values.get(turn)).flatten() {
            lists.insert(name, vec![value.clone()]).expect("names were looked at when the plan was read");
        }
        lists
    }

    fn running_mut(&mut self, turn: StepRun) -> Option<&mut Running> {
        match self.under_way.get_mut(&turn) {
            Some(UnderWay::Processes(running)) => Some(running),
            _ => None,
        }
    }

    fn end(&mut self, turn: StepRun) {
        match self.under_way.get_mut(&turn) {
            Some(UnderWay::Processes(running)) => {
                running.job.handle_cancel();
                if let Some(chain) = &running.chain {
                    return chain.kill();
                }
                let now = Instant::now();
                for member in 0..running.members.len() {
                    self.end_member(turn, member, now);
                }
                self.start_ready(turn);
            }
            Some(UnderWay::Port(port)) => {
                if !port.end() {
                    self.under_way.remove(&turn);
                    self.workflow.handle_ended(turn, true, Instant::now());
                }
            }
            Some(UnderWay::Pause) => {
                self.under_way.remove(&turn);
                self.workflow.handle_ended(turn, true, Instant::now());
            }
            Some(UnderWay::Sweep(_)) | None => {}
        }
    }

    fn event(&mut self, event: Event) {
        let now = Instant::now();
        match event {
            Event::Started { id, pid } => self.started(id, pid, now),
            Event::Output { id, stream, bytes } => self.said(id, stream, bytes.into(), now),
            Event::Ended { id, finished } => self.ended(id, finished, now),
            Event::Signal(signal) => self.happenings.push_back(Happening::Signal(signal)),
            Event::Woken => {
                self.read_port_events();
                self.happenings.push_back(Happening::Woken);
            }
            Event::StdinDrained { id } => self.drained(id, now),
            Event::Attached | Event::Timer { .. } => {}
        }
    }

    /// Looks at everything whose time has come.
    fn ring(&mut self, now: Instant) {
        self.workflow.handle_timeout(now);
        while let Some(&(at, turn, alarm)) = self.alarms.first().filter(|(at, ..)| *at <= now) {
            self.alarms.remove(&(at, turn, alarm));
            match alarm {
                Alarm::Start => self.start_ready(turn),
                Alarm::Member(member) => {
                    let Some(running) = self.running_mut(turn) else { continue };
                    let one = &mut running.members[member];
                    if one.id.is_none() || one.poll_timeout().is_none_or(|deadline| deadline > now) {
                        continue;
                    }
                    let wishes = one.handle_timeout(now);
                    self.grant(turn, member, wishes, now);
                }
                Alarm::Pause => {
                    if let Some(UnderWay::Pause) = self.under_way.get(&turn) {
                        self.under_way.remove(&turn);
                        self.workflow.handle_ended(turn, true, now);
                    }
                }
            }
        }
    }

    fn read_port_events(&mut self) {
        while let Some((turn, event)) = self.ports.next() {
            let Some(UnderWay::Port(port)) = self.under_way.get_mut(&turn) else { continue };
            match event {
                PortEvent::Settled => match port.settle(turn, &self.ports, &self.engine) {
                    Ok(port) => self.port_is_ready(turn, port),
                    Err(reason) => self.port_is_over(turn, reason),
                },
                PortEvent::Lost(reason) => self.port_is_over(turn, reason),
            }
        }
    }

    fn port_is_over(&mut self, turn: StepRun, reason: String) {
        self.under_way.remove(&turn);
        if !self.workflow.is_stopping(turn) {
            self.reasons.insert(turn, reason);
        }
        self.workflow.handle_ended(turn, false, Instant::now());
    }

    fn port_is_ready(&mut self, turn: StepRun, port: u16) {
        let variable = match self.step(turn).map(|step| &step.work) {
            Some(Work::Forward(forward)) => forward.variable.clone(),
            _ => None,
        };
        if let (Some(name), Some(block)) = (variable, self.workflow.parent(turn)) {
            let values = self.values.entry(block).or_default();
            values.retain(|(other, _)| *other != name);
            values.push((name, port.to_string()));
        }
        self.happenings.push_back(Happening::Note { turn, text: format!("port {port} here") });
        self.happenings.push_back(Happening::Ready { turn });
        self.workflow.handle_ready(turn, Instant::now());
    }

    fn over(&mut self, turn: StepRun, verdict: StepOutcome) {
        match self.workflow.run_of(turn) {
            RunOf::Iteration(_) => self.combination_is_over(turn, verdict),
            RunOf::Step(_) => {
                if let Some(UnderWay::Sweep(sweeping)) = self.under_way.remove(&turn) {
                    match sweeping.end() {
                        Ok(said) => self.happenings.extend(said.map(|text| Happening::Note { turn, text })),
                        Err(error) => drop(self.reasons.insert(turn, error.to_string())),
                    }
                }
            }
            RunOf::Root => {}
        }
        let limit = self.step(turn).and_then(|step| step.limit).filter(|_| self.workflow.is_timed_out(turn));
        let late = limit.map(|limit| format!("took longer than {} s (timeout)", limit.as_secs_f64()));
        let reason = self.reasons.remove(&turn).or(late);
        self.happenings.push_back(Happening::Over { turn, verdict, reason });
    }
}

/// The values of a combination, as one reads them.
fn combination_name(combination: &Combination) -> String {
    combination.iter().map(|(name, value)| format!("{name} = {value}")).collect::<Vec<_>>().join(", ")
}
