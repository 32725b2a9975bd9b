//! Plays a plan: does what its [course](super::course) says, on an engine of the caller's thread, and tells what happens.
//!
//! ```text
//!            Effect::Start, End, Next                 start, kill, write
//!  Course ─────────────────────────────▶ Player ─────────────────────────▶ Drive
//!    ▲                                    │ │ ▲                              │
//!    └── ended, ready, pass, time_is_over ┘ │ └────── Event ─────────────────┘
//!                                           ▼
//!                                       Happening, for those who watch
//! ```
//!
//! Within a step, its [`Schedule`] says which process starts next; `recipe` makes it; `member` knows what is expected of
//! it. Forwarded ports (`tunnel`) are begun on threads of their own, since that waits.

mod member;
mod outline;
mod recipe;
mod sweeping;
mod tunnel;

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::io;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use phalanx_process::Signal;
use phalanx_process::drive::Drive;
use phalanx_process::event::{Event, Grace, Kill, Request, Stream};
use phalanx_process::id::ProcessId;
use phalanx_process::outcome::Finished;
use phalanx_process::output::Capture;
use phalanx_process::spec::{Faults, Leftovers, Policy};
use phalanx_process::ssh::ConnectionParams;

use self::member::{Member, Wishes};
pub use self::member::Fault;
pub use self::outline::{Line, outline};
use self::recipe::{Ending, Recipe};
use self::sweeping::Sweeping;
use self::tunnel::{Tidings, Tunnel};
use super::course::{Course, Effect, Part, Turn, Verdict};
use super::model::{Plan, Processes, Step, Work};
use crate::rollout::{DEFAULT_FANOUT, Retry, Rollout, Schedule, Step as Next};
use crate::substitute::Lists;
use crate::sweep::Combination;

/// What happens while a plan is played.
#[derive(Debug, Clone)]
pub enum Happening {
    /// A step begins, or a block, or a combination of a sweep.
    Begun {
        /// Which.
        turn: Turn,
        /// What its processes are called, in order.
        members: Arc<[String]>,
        /// What they do, before anything is substituted.
        command: String,
        /// Whether they are reached through ssh.
        remote: bool,
    },
    /// A process was started.
    Started {
        /// Of which step.
        turn: Turn,
        /// Which of its processes.
        member: usize,
        /// For the so-manieth time, counted from 1.
        attempt: u32,
        /// Its process id here.
        pid: u32,
    },
    /// A process said something.
    Output {
        /// Of which step.
        turn: Turn,
        /// Which of its processes.
        member: usize,
        /// Where.
        stream: Stream,
        /// What.
        bytes: Arc<[u8]>,
        /// Whether it is to be seen.
        shown: bool,
    },
    /// A process has ended.
    Ended {
        /// Of which step.
        turn: Turn,
        /// Which of its processes.
        member: usize,
        /// How.
        finished: Arc<Finished>,
        /// Whether all is well with that.
        ok: bool,
        /// What was wrong with it, apart from its process.
        fault: Option<Fault>,
        /// It was ended because its part was over: since its block is, or the plan was stopped.
        asked: bool,
        /// If it is tried again, how.
        retry: Option<Retry>,
    },
    /// A process was never started, and will not be.
    NotStarted {
        /// Of which step.
        turn: Turn,
        /// Which of its processes.
        member: usize,
    },
    /// A step in the background is ready.
    Ready {
        /// Which.
        turn: Turn,
    },
    /// Something worth knowing about a step.
    Note {
        /// Which.
        turn: Turn,
        /// What.
        text: String,
    },
    /// It is over.
    Over {
        /// Which.
        turn: Turn,
        /// What became of it.
        verdict: Verdict,
        /// What was wrong with it as a whole.
        reason: Option<String>,
    },
    /// This program was sent a signal.
    Signal(Signal),
    /// Somebody has called the [waker](Player::waker).
    Woken,
}

/// How the processes of a plan are treated, where the plan does not say.
#[derive(Debug, Clone)]
pub struct Manner {
    /// How hosts are reached.
    pub params: ConnectionParams,
    /// How every process is treated. Its grace is that of every step; it should keep a little of what is said on stderr,
    /// from which one learns why a connection failed.
    pub policy: Policy,
    /// How many of a step run at once; zero for all.
    pub fanout: usize,
}

impl Default for Manner {
    /// Nothing outlives the plan, and what has been asked to end has 5 s for it.
    fn default() -> Self {
        let policy = Policy {
            grace: Some(GRACE),
            leftovers: Leftovers::Kill,
            leak_timeout: Duration::from_secs(1),
            capture_stdout: Capture::None,
            capture_stderr: Capture::Last(4096),
            nolog: Faults::ALL,
            ..Policy::default()
        };
        Self { params: ConnectionParams::default(), policy, fanout: DEFAULT_FANOUT }
    }
}

/// How long what was asked to end may take, unless somebody says otherwise.
const GRACE: Duration = Duration::from_secs(5);

/// Plays one plan.
pub struct Player {
    plan: Arc<Plan>,
    manner: Manner,
    course: Course,
    drive: Drive,
    /// What is under way, by its turn.
    under_way: HashMap<Turn, UnderWay>,
    processes: HashMap<ProcessId, (Turn, usize)>,
    /// What is to be looked at when.
    alarms: BTreeSet<(Instant, Turn, Alarm)>,
    /// The values that blocks add: factors, forwarded ports.
    values: HashMap<Turn, Vec<(String, String)>>,
    combinations: HashMap<Turn, Combination>,
    /// What was wrong with a step as a whole.
    reasons: HashMap<Turn, String>,
    happenings: VecDeque<Happening>,
    tidings: (mpsc::Sender<(Turn, Tidings)>, mpsc::Receiver<(Turn, Tidings)>),
}

enum UnderWay {
    Processes(Box<Running>),
    Tunnel(Tunnel),
    Sweep(Sweeping),
    Pause,
}

/// A step of processes under way.
struct Running {
    recipe: Recipe,
    schedule: Schedule,
    members: Vec<Member>,
    /// How many are ready.
    ready: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Alarm {
    /// Somebody may start.
    Start,
    /// The time of a process may be over in some way.
    Member(usize),
    /// The time of the step is over.
    Limit,
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
            course: Course::new(&plan),
            plan,
            manner,
            drive: Drive::new()?,
            under_way: HashMap::new(),
            processes: HashMap::new(),
            alarms: BTreeSet::new(),
            values: HashMap::new(),
            combinations: HashMap::new(),
            reasons: HashMap::new(),
            happenings: VecDeque::new(),
            tidings: mpsc::channel(),
        };
        player.course.begin();
        Ok(player)
    }

    /// From now on these signals to this program are happenings, and do nothing else.
    ///
    /// # Errors
    /// As [`Drive::watch_signals`].
    pub fn watch_signals(&mut self, signals: &[Signal]) -> io::Result<()> {
        self.drive.watch_signals(signals)
    }

    /// Something with which any thread can make [`Player::next_happening`] return a [`Happening::Woken`].
    pub fn waker(&self) -> impl Fn() + Send + Sync + 'static {
        self.drive.waker()
    }

    /// Reads what the processes say, or leaves it alone until further notice, so that they feel it.
    pub fn set_reading(&mut self, reading: bool) {
        self.drive.set_reading(reading);
    }

    /// What is played.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// How far it is.
    #[must_use]
    pub fn course(&self) -> &Course {
        &self.course
    }

    /// The step that a turn is one of; `None` for the plan as a whole.
    #[must_use]
    pub fn step(&self, turn: Turn) -> Option<&Step> {
        match self.course.part(turn) {
            Part::Plan => None,
            Part::Step(number) | Part::Pass(number) => Some(self.plan.step(number)),
        }
    }

    /// What a turn is called: the name of its step, or the values of its combination.
    #[must_use]
    pub fn title(&self, turn: Turn) -> String {
        match self.course.part(turn) {
            Part::Plan => self.plan.name.clone(),
            Part::Step(number) => self.plan.step(number).name.clone(),
            Part::Pass(_) => self.combinations.get(&turn).map(combination_name).unwrap_or_default(),
        }
    }

    /// Whether all is over, and everything was told.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.course.is_over() && self.happenings.is_empty()
    }

    /// Ends everything that runs, politely, and begins nothing more.
    pub fn stop(&mut self) {
        self.course.stop();
        self.settle();
    }

    /// Kills everything that runs, at once, and begins nothing more.
    pub fn kill(&mut self) {
        self.stop();
        let ids: Vec<_> = self.drive.processes().collect();
        for id in ids {
            self.drive.request(id, Request::Kill(Kill::NOW));
        }
    }

    /// The processes that run now, by their steps.
    #[must_use]
    pub fn running(&self) -> Vec<(Turn, usize)> {
        let ids: Vec<_> = self.drive.processes().collect();
        let mut running: Vec<_> = ids.iter().filter_map(|id| self.processes.get(id).copied()).collect();
        running.sort_unstable();
        running
    }

    /// What has happened already.
    pub fn take_happening(&mut self) -> Option<Happening> {
        loop {
            self.settle();
            if let Some(happening) = self.happenings.pop_front() {
                return Some(happening);
            }
            let event = self.drive.take_event()?;
            self.event(event);
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
            let until = [deadline, alarm].into_iter().flatten().min();
            if let Some(event) = self.drive.next_event(until)? {
                self.event(event);
            }
            let now = Instant::now();
            self.ring(now);
            self.read_tidings();
            if self.happenings.is_empty() && deadline.is_some_and(|deadline| deadline <= now) {
                return Ok(None);
            }
        }
    }

    /// Does what the course says.
    fn settle(&mut self) {
        while let Some(effect) = self.course.poll() {
            match effect {
                Effect::Start(turn) => self.start(turn),
                Effect::Begun(turn) => self.begun(turn),
                Effect::End(turn) => self.end(turn),
                Effect::Next(turn) => self.next_combination(turn),
                Effect::Over(turn, verdict) => self.over(turn, verdict),
            }
        }
    }

    fn begun(&mut self, turn: Turn) {
        if turn == Turn::PLAN {
            return;
        }
        self.arm_limit(turn);
        let tell = |members| Happening::Begun { turn, members, command: String::new(), remote: false };
        self.happenings.push_back(tell([].into()));
    }

    fn arm_limit(&mut self, turn: Turn) {
        let Part::Step(number) = self.course.part(turn) else { return };
        if let Some(at) = self.plan.step(number).limit.and_then(|limit| Instant::now().checked_add(limit)) {
            self.alarms.insert((at, turn, Alarm::Limit));
        }
    }

    fn start(&mut self, turn: Turn) {
        let plan = Arc::clone(&self.plan);
        let Part::Step(number) = self.course.part(turn) else { unreachable!("only steps are started") };
        let step = plan.step(number);
        let lists = self.lists(turn);
        let started = match &step.work {
            Work::Processes(processes) => self.start_processes(turn, processes, &lists),
            Work::Forward(forward) => {
                let command = tunnel::describe(forward, &lists);
                self.tell_begun(turn, command, true);
                let (sender, wake) = (self.tidings.0.clone(), self.drive.waker());
                Tunnel::begin(turn, forward, step.limit, &lists, &self.manner.params, sender, wake)
                    .map(|tunnel| drop(self.under_way.insert(turn, UnderWay::Tunnel(tunnel))))
            }
            Work::Pause(pause) => {
                self.tell_begun(turn, format!("pause {} s", pause.as_secs_f64()), false);
                self.under_way.insert(turn, UnderWay::Pause);
                if let Some(at) = Instant::now().checked_add(*pause) {
                    self.alarms.insert((at, turn, Alarm::Limit));
                }
                Ok(())
            }
            Work::Sequence(_) | Work::Parallel { .. } | Work::Sweep(_) => unreachable!("a block is not started"),
        };
        if let Err(reason) = started {
            self.reasons.insert(turn, reason);
            self.course.ended(turn, false);
        }
    }

    fn tell_begun(&mut self, turn: Turn, command: String, remote: bool) {
        self.happenings.push_back(Happening::Begun { turn, members: [].into(), command, remote });
    }

    fn start_processes(&mut self, turn: Turn, step: &Processes, lists: &Lists) -> Result<(), String> {
        let recipe = match Recipe::new(step, lists, &self.manner) {
            Ok(recipe) => recipe,
            Err(error) => {
                self.tell_begun(turn, String::new(), false);
                return Err(error);
            }
        };
        let members = Arc::clone(&recipe.labels);
        let (command, remote) = (recipe.command.clone(), recipe.is_remote());
        let count = members.len();
        self.happenings.push_back(Happening::Begun { turn, members, command, remote });
        // Everybody must be ready before the next step begins, so nobody waits for anybody.
        let in_background = self.step(turn).is_some_and(|step| step.background);
        let fanout = if in_background { 0 } else { step.fanout.unwrap_or(self.manner.fanout) };
        let rollout = Rollout { fanout, ..step.rollout.clone() };
        let schedule = Schedule::new(count, rollout);
        let members = std::iter::repeat_with(Member::default).take(count).collect();
        let running = Running { recipe, schedule, members, ready: 0 };
        self.under_way.insert(turn, UnderWay::Processes(Box::new(running)));
        self.pump(turn);
        Ok(())
    }

    /// What a step may substitute: what the plan names, and what the blocks around it add.
    fn lists(&self, turn: Turn) -> Lists {
        let mut around: Vec<Turn> = std::iter::successors(Some(turn), |turn| self.course.parent(*turn)).collect();
        around.reverse();
        let mut lists = self.plan.lists.clone();
        for (name, value) in around.iter().filter_map(|turn| self.values.get(turn)).flatten() {
            lists.insert(name, vec![value.clone()]).expect("names were looked at when the plan was read");
        }
        lists
    }

    fn running_mut(&mut self, turn: Turn) -> Option<&mut Running> {
        match self.under_way.get_mut(&turn) {
            Some(UnderWay::Processes(running)) => Some(running),
            _ => None,
        }
    }

    /// The processes that a turn is one of, as the plan describes them.
    fn description(plan: &Plan, part: Part) -> &Processes {
        let Part::Step(number) = part else { unreachable!("only steps have processes") };
        let Work::Processes(processes) = &plan.step(number).work else { unreachable!("it has processes") };
        processes
    }

    /// Starts who may start now.
    fn pump(&mut self, turn: Turn) {
        loop {
            let now = Instant::now();
            let Some(running) = self.running_mut(turn) else { return };
            match running.schedule.step(now) {
                Next::Start { member, attempt } => self.start_member(turn, member, attempt),
                Next::WaitUntil(at) => {
                    self.alarms.insert((at, turn, Alarm::Start));
                    return;
                }
                Next::Wait => return,
                Next::Over => return self.finish(turn),
            }
        }
    }

    fn start_member(&mut self, turn: Turn, member: usize, attempt: u32) {
        let plan = Arc::clone(&self.plan);
        let step = Self::description(&plan, self.course.part(turn));
        let Some(UnderWay::Processes(running)) = self.under_way.get_mut(&turn) else { return };
        let mut spec = match running.members[member].prepare(step, &running.recipe, member) {
            Ok(()) => running.recipe.spec(member),
            Err(defect) => {
                let mut spec = phalanx_process::Spec::new(["false"]);
                spec.launch.defect = Some(defect);
                spec.policy = self.manner.policy.clone();
                spec
            }
        };
        // What the far end of a put says is how it went, and for nobody else.
        spec.policy.listened = true;
        let id = self.drive.start(spec);
        (running.members[member].id, running.members[member].attempt) = (Some(id), attempt);
        self.processes.insert(id, (turn, member));
    }

    /// All processes of a step have ended for good.
    fn finish(&mut self, turn: Turn) {
        let Some(UnderWay::Processes(running)) = self.under_way.remove(&turn) else { return };
        let Running { schedule, members, recipe, .. } = *running;
        let left: Vec<usize> = (0..members.len()).filter(|member| !schedule.is_settled(*member)).collect();
        for member in &left {
            self.happenings.push_back(Happening::NotStarted { turn, member: *member });
        }
        if !left.is_empty() && schedule.is_halted() {
            let failures = schedule.failures();
            let reason = format!(
                "{failures} of {} have failed, so {} were not tried (max_failures)",
                recipe.labels.len(),
                left.len()
            );
            self.reasons.insert(turn, reason);
        }
        self.course.ended(turn, schedule.failures() == 0 && left.is_empty());
    }

    fn end(&mut self, turn: Turn) {
        match self.under_way.get_mut(&turn) {
            Some(UnderWay::Processes(running)) => {
                running.schedule.call_off();
                let now = Instant::now();
                for member in 0..running.members.len() {
                    self.end_member(turn, member, now);
                }
                self.pump(turn);
            }
            Some(UnderWay::Tunnel(tunnel)) => {
                if !tunnel.end() {
                    self.under_way.remove(&turn);
                    self.course.ended(turn, true);
                }
            }
            Some(UnderWay::Pause) => {
                self.under_way.remove(&turn);
                self.course.ended(turn, true);
            }
            Some(UnderWay::Sweep(_)) | None => {}
        }
    }

    /// Ends a process whose part is over, politely.
    fn end_member(&mut self, turn: Turn, member: usize, now: Instant) {
        let plan = Arc::clone(&self.plan);
        let signal = Self::description(&plan, self.course.part(turn)).stop_signal;
        let grace = self.manner.policy.grace;
        let Some(running) = self.running_mut(turn) else { return };
        let ending = running.recipe.ending;
        let one = &mut running.members[member];
        let Some(id) = one.id else { return };
        one.ending = true;
        match ending {
            Ending::CloseStdin => {
                one.kill_at = grace.and_then(|grace| now.checked_add(grace));
                self.drive.request(id, Request::CloseStdin);
            }
            Ending::Signal(_) => {
                let grace = grace.map_or(Grace::Never, Grace::After);
                let kill = Kill { signal, grace, group: true };
                self.drive.request(id, Request::Kill(kill));
            }
        }
        self.arm_member(turn, member);
    }

    fn arm_member(&mut self, turn: Turn, member: usize) {
        let at = self.running_mut(turn).and_then(|running| running.members[member].deadline());
        if let Some(at) = at {
            self.alarms.insert((at, turn, Alarm::Member(member)));
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
                self.read_tidings();
                self.happenings.push_back(Happening::Woken);
            }
            Event::StdinDrained { id } => self.drained(id, now),
            Event::Attached | Event::Timer { .. } => {}
        }
    }

    fn started(&mut self, id: ProcessId, pid: u32, now: Instant) {
        let Some(&(turn, member)) = self.processes.get(&id) else { return };
        let plan = Arc::clone(&self.plan);
        let step = Self::description(&plan, self.course.part(turn));
        let Some(running) = self.running_mut(turn) else { return };
        let Running { recipe, members, .. } = running;
        let wishes = members[member].started(step, recipe, member, now);
        let attempt = members[member].attempt;
        self.happenings.push_back(Happening::Started { turn, member, attempt, pid });
        self.grant(turn, member, wishes, now);
    }

    fn said(&mut self, id: ProcessId, stream: Stream, bytes: Arc<[u8]>, now: Instant) {
        let Some(&(turn, member)) = self.processes.get(&id) else { return };
        let plan = Arc::clone(&self.plan);
        let show = Self::description(&plan, self.course.part(turn)).show;
        let Some(running) = self.running_mut(turn) else { return };
        // There the far end of a put says how it went.
        let internal = running.recipe.transfers().is_some() && stream == Stream::Stdout;
        let one = &mut running.members[member];
        let wishes = one.said(stream, &bytes, now);
        let shown = show.unwrap_or(!one.has_file(stream));
        if !internal {
            self.happenings.push_back(Happening::Output { turn, member, stream, bytes, shown });
        }
        self.grant(turn, member, wishes, now);
    }

    /// Does what a process needs.
    fn grant(&mut self, turn: Turn, member: usize, wishes: Wishes, now: Instant) {
        let background = self.step(turn).is_some_and(|step| step.background);
        let Some(running) = self.running_mut(turn) else { return };
        let Some(id) = running.members[member].id else { return };
        let line = running.recipe.is_line();
        running.ready += usize::from(wishes.ready);
        let all_ready = wishes.ready && running.ready == running.members.len();
        if !wishes.write.is_empty() {
            running.members[member].unwritten = true;
            self.drive.request(id, Request::Write(wishes.write.into()));
        }
        if wishes.done && !background {
            if line {
                self.end_line(turn, member, now);
            } else {
                self.drive.request(id, Request::CloseStdin);
            }
        }
        if wishes.kill {
            self.drive.request(id, Request::Kill(Kill::default()));
        }
        self.arm_member(turn, member);
        if all_ready && background {
            self.happenings.push_back(Happening::Ready { turn });
            self.course.ready(turn);
        }
    }

    /// A serial line has done its part: it is ended when the last answer is on its way.
    fn end_line(&mut self, turn: Turn, member: usize, now: Instant) {
        let Some(running) = self.running_mut(turn) else { return };
        let one = &mut running.members[member];
        one.over = true;
        if !one.unwritten {
            self.end_member(turn, member, now);
        }
    }

    fn drained(&mut self, id: ProcessId, now: Instant) {
        let Some(&(turn, member)) = self.processes.get(&id) else { return };
        let Some(running) = self.running_mut(turn) else { return };
        let one = &mut running.members[member];
        one.unwritten = false;
        if one.over {
            self.end_member(turn, member, now);
        }
    }

    fn ended(&mut self, id: ProcessId, finished: Arc<Finished>, now: Instant) {
        let Some((turn, member)) = self.processes.remove(&id) else { return };
        let plan = Arc::clone(&self.plan);
        let step = Self::description(&plan, self.course.part(turn));
        let asked = self.course.is_ending(turn);
        let Some(running) = self.running_mut(turn) else { return };
        let Running { recipe, members, schedule, .. } = running;
        let transfers = recipe.transfers().and_then(|transfers| transfers.fault(member, &finished));
        let one = &mut members[member];
        let fault = one.ended(step, transfers).filter(|_| !asked);
        let ok = !asked && one.is_ok(step, recipe, &finished, fault.as_ref());
        let retry = schedule.ended(member, ok, now);
        self.happenings.push_back(Happening::Ended { turn, member, finished, ok, fault, asked, retry });
        self.pump(turn);
    }

    /// Looks at everything whose time has come.
    fn ring(&mut self, now: Instant) {
        while let Some(&(at, turn, alarm)) = self.alarms.first().filter(|(at, ..)| *at <= now) {
            self.alarms.remove(&(at, turn, alarm));
            match alarm {
                Alarm::Start => self.pump(turn),
                Alarm::Member(member) => {
                    let Some(running) = self.running_mut(turn) else { continue };
                    let one = &mut running.members[member];
                    if one.id.is_none() || one.deadline().is_none_or(|deadline| deadline > now) {
                        continue;
                    }
                    let wishes = one.look_at_the_time(now);
                    self.grant(turn, member, wishes, now);
                }
                Alarm::Limit => match self.under_way.get(&turn) {
                    Some(UnderWay::Pause) => {
                        self.under_way.remove(&turn);
                        self.course.ended(turn, true);
                    }
                    // The thread that begins it knows of it.
                    Some(UnderWay::Tunnel(_)) => {}
                    Some(UnderWay::Processes(_) | UnderWay::Sweep(_)) | None => {
                        let limit = self.step(turn).and_then(|step| step.limit).unwrap_or_default();
                        if self.course.verdict(turn).is_none() {
                            self.reasons.insert(turn, format!("took longer than {} s (timeout)", limit.as_secs_f64()));
                        }
                        self.course.time_is_over(turn);
                    }
                },
            }
        }
    }

    fn read_tidings(&mut self) {
        while let Ok((turn, tidings)) = self.tidings.1.try_recv() {
            if !matches!(self.under_way.get(&turn), Some(UnderWay::Tunnel(_))) {
                continue;
            }
            match tidings {
                Tidings::Ready { port } => self.port_is_ready(turn, port),
                Tidings::Over(reason) => {
                    self.under_way.remove(&turn);
                    if !self.course.is_ending(turn) {
                        self.reasons.insert(turn, reason);
                    }
                    self.course.ended(turn, false);
                }
            }
        }
    }

    fn port_is_ready(&mut self, turn: Turn, port: u16) {
        let variable = match self.step(turn).map(|step| &step.work) {
            Some(Work::Forward(forward)) => forward.variable.clone(),
            _ => None,
        };
        if let (Some(name), Some(block)) = (variable, self.course.parent(turn)) {
            let values = self.values.entry(block).or_default();
            values.retain(|(other, _)| *other != name);
            values.push((name, port.to_string()));
        }
        self.happenings.push_back(Happening::Note { turn, text: format!("port {port} here") });
        self.happenings.push_back(Happening::Ready { turn });
        self.course.ready(turn);
    }

    fn next_combination(&mut self, turn: Turn) {
        let plan = Arc::clone(&self.plan);
        let Some(Work::Sweep(sweep)) = self.step(turn).map(|step| step.number).map(|number| &plan.step(number).work) else {
            unreachable!("only sweeps have combinations")
        };
        if !self.under_way.contains_key(&turn) {
            match Sweeping::begin(sweep) {
                Ok((sweeping, said)) => {
                    self.under_way.insert(turn, UnderWay::Sweep(sweeping));
                    self.happenings.extend(said.map(|text| Happening::Note { turn, text }));
                }
                Err(error) => return self.break_sweep(turn, error.to_string()),
            }
        }
        let Some(UnderWay::Sweep(sweeping)) = self.under_way.get_mut(&turn) else { return };
        match sweeping.next() {
            Err(error) => self.break_sweep(turn, error.to_string()),
            Ok(None) => drop(self.course.pass(turn, false)),
            Ok(Some(combination)) => {
                let Some(pass) = self.course.pass(turn, true) else {
                    // It was stopped in the meantime.
                    let given_back = sweeping.tried(combination, None);
                    self.note_queue(turn, given_back.map_err(|error| error.to_string()));
                    return;
                };
                // Sub-factors that this combination does not have are empty.
                let empty = sweep.factors.iter().map(|name| (name.clone(), String::new()));
                let own = combination.iter().map(|(name, value)| (name.to_owned(), value.to_string()));
                let slug = [("combination".to_owned(), combination.slug())];
                self.values.insert(pass, empty.chain(own).chain(slug).collect());
                self.combinations.insert(pass, combination);
            }
        }
    }

    fn break_sweep(&mut self, turn: Turn, reason: String) {
        self.reasons.insert(turn, reason);
        self.course.give_up(turn);
    }

    fn note_queue(&mut self, turn: Turn, result: Result<(), String>) {
        if let Err(reason) = result {
            self.break_sweep(turn, reason);
        }
    }

    fn over(&mut self, turn: Turn, verdict: Verdict) {
        match self.course.part(turn) {
            Part::Pass(_) => self.combination_is_over(turn, verdict),
            Part::Step(_) => {
                if let Some(UnderWay::Sweep(sweeping)) = self.under_way.remove(&turn) {
                    match sweeping.end() {
                        Ok(said) => self.happenings.extend(said.map(|text| Happening::Note { turn, text })),
                        Err(error) => drop(self.reasons.insert(turn, error.to_string())),
                    }
                }
            }
            Part::Plan => {}
        }
        let reason = self.reasons.remove(&turn);
        self.happenings.push_back(Happening::Over { turn, verdict, reason });
    }

    fn combination_is_over(&mut self, pass: Turn, verdict: Verdict) {
        let Some(sweep) = self.course.parent(pass) else { return };
        let Some(combination) = self.combinations.get(&pass).cloned() else { return };
        self.values.remove(&pass);
        let ok = match verdict {
            Verdict::Ok => Some(true),
            Verdict::Failed => Some(false),
            Verdict::Stopped(_) | Verdict::NotRun(_) => None,
        };
        let Some(UnderWay::Sweep(sweeping)) = self.under_way.get_mut(&sweep) else { return };
        let tried = sweeping.tried(combination, ok).map_err(|error| error.to_string());
        self.note_queue(sweep, tried);
    }
}

/// The values of a combination, as one reads them.
fn combination_name(combination: &Combination) -> String {
    combination.iter().map(|(name, value)| format!("{name} = {value}")).collect::<Vec<_>>().join(", ")
}
