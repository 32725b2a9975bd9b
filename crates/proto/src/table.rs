//! Owns every process record and is the only place where one changes state.
//!
//! The table is pure: no clock, no descriptor, no thread, no callback, no allocation of names. Requests, inputs and
//! the passing of time go in; effects, events and the next deadline come out; whoever drives it performs the effects
//! and tells the events. The same table drives local children and, later, those of a remote agent.
//!
//! ```text
//!                Start            effect taken          Spawned                Exited
//!  insert ▶ Idle ─────▶ Queued ──────────────▶ Spawning ───────▶ Running ─────────────▶ Draining ──▶ Ended, forgotten
//!                         │  ▲ ResourceExhausted  │                                        │
//!                    Kill │  └──────────────────-─┤ SpawnFailed               both streams at their end,
//!                         ▼                       ▼                           or the leak timeout passed
//!                  Ended: never started     Ended: start error
//! ```
//!
//! The happy path: `Start` queues a `Spawn` effect; the driver takes it and answers `Spawned`, which makes the
//! `Started` event and arms the timeout; bytes become `Output` events and are kept as the policy says; both streams
//! end and the process exits, in any order; then comes `Ended`, with everything, and the record is gone.
//!
//! Whoever performs the effects may be somebody far away, who can fall silent. Where the policy says so (`abandon`), a
//! kill while `Spawning` becomes a `Cancel`, and a process that does not answer its last word in time is given up:
//! called off, or ended with a status that is lost. For children of ours the kernel always answers.
//!
//! `Draining` is the state that simple designs lack. Exit and end of output are two facts: a process may close its
//! streams and go on, and a grandchild may hold them for ever. After the exit we go on reading until both streams
//! have ended, but no longer than the leak timeout.
//!
//! Three rules hold throughout:
//! * Urgent effects overtake: signals, closes and releases come out before any spawn.
//! * Whatever is about an unknown process is ignored: among asynchronous parties late is normal.
//! * Deadlines are outlived, never removed: an expired one looks at the record and finds it still matters, or not.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::event::{Effect, Event, Grace, Input, Kill, NO_PROCESS, Request, SignalScope, Stream};
use crate::id::ProcessId;
use crate::outcome::{Finished, Outcome, StartError};
use crate::output::{Capture, Captured};
use crate::policy::{Leftovers, Policy};
use crate::signal::{ExitStatus, Signal};
use crate::timers::Timers;

/// How long a start waits for a resource (a descriptor, a process) while nothing of ours is alive that could give one
/// back. A process with a shorter timeout waits no longer than that.
const GIVE_UP_AFTER: Duration = Duration::from_secs(60);

/// How much of what a program reports on its own doings is kept: far more than ssh says about one connection.
const DIAGNOSTICS_KEPT: usize = 32 * 1024;

/// Every process that has not ended, and what is to be done and told about it.
#[derive(Debug, Default)]
pub struct ProcessTable {
    records: HashMap<ProcessId, Record>,
    urgent: VecDeque<Effect>,
    spawns: VecDeque<ProcessId>,
    events: VecDeque<Event>,
    stream_ends: VecDeque<(ProcessId, Stream)>,
    /// Streams whose buffers should be put on large pages.
    grown: Vec<(ProcessId, Stream)>,
    deadlines: Timers<ProcessId>,
    exhausted: Option<ResourceExhausted>,
    alive: usize,
}

/// No spawn is handed out until then, or until a process ends.
#[derive(Debug, Clone, Copy)]
struct ResourceExhausted {
    retry_at: Instant,
    /// Since when nothing of ours has been alive that could give something back.
    idle_since: Option<Instant>,
    waiting: bool,
}

#[derive(Debug)]
struct Record {
    policy: Policy,
    phase: Phase,
    stdout: Captured,
    stderr: Captured,
    diagnostics: Captured,
    /// Which of stdout and stderr may still bring something.
    open: [bool; 2],
    stdin: Stdin,
    pid: Option<u32>,
    started_at: Option<Instant>,
    timeout_at: Option<Instant>,
    kill_at: Option<Instant>,
    abandon_at: Option<Instant>,
    timed_out: bool,
    killed: bool,
    /// A kill of it meant everything that it started.
    kills_all: bool,
    forced_kill: bool,
    expect_failed: bool,
    write_error: bool,
    failed: Option<Arc<str>>,
    handler_failed: Option<Arc<str>>,
    lost_because: Option<Arc<str>>,
    /// Whether its output is made into events.
    emits_output: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Idle,
    Queued,
    Spawning { kill: Option<Kill> },
    Running,
    Draining { status: ExitStatus, until: Instant, swept: bool },
}

/// What was asked of stdin before there was one, and whether it is still ours to write.
#[derive(Debug, Default)]
struct Stdin {
    waiting: Vec<Arc<[u8]>>,
    closed: bool,
}

impl ProcessTable {
    /// Enters a process, to be started by [`Request::Start`].
    ///
    /// # Panics
    /// When `id` is known already: names are never reused.
    pub fn insert(&mut self, id: ProcessId, policy: Policy) {
        let known = self.records.insert(id, Record::new(policy)).is_some();
        assert!(!known, "{id} was entered twice");
    }

    /// Whether `id` has been entered and has not ended.
    #[must_use]
    pub fn contains(&self, id: ProcessId) -> bool {
        self.records.contains_key(&id)
    }

    /// All processes that have been entered and have not ended, in no order.
    pub fn ids(&self) -> impl Iterator<Item = ProcessId> + '_ {
        self.records.keys().copied()
    }

    /// How many processes run or drain.
    #[must_use]
    pub fn alive(&self) -> usize {
        self.alive
    }

    /// Whether there is nothing to be told, and nothing to be done at once.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        let held_back = self.exhausted.is_some_and(|shortage| shortage.waiting);
        self.events.is_empty()
            && self.stream_ends.is_empty()
            && self.urgent.is_empty()
            && (held_back || self.spawns.is_empty())
    }

    /// What has been kept so far of a stream of a process that has not ended.
    #[must_use]
    pub fn captured(&self, id: ProcessId, stream: Stream) -> Option<&Captured> {
        self.records.get(&id).map(|record| match stream {
            Stream::Stdout => &record.stdout,
            Stream::Stderr => &record.stderr,
        })
    }

    /// How a process that has not ended is treated.
    #[must_use]
    pub fn policy(&self, id: ProcessId) -> Option<&Policy> {
        self.records.get(&id).map(|record| &record.policy)
    }

    /// Returns whether the output of a process that has not ended is made into events.
    #[must_use]
    pub fn emits_output(&self, id: ProcessId) -> Option<bool> {
        self.records.get(&id).map(|record| record.emits_output)
    }

    /// Takes what a user or a handler asks for.
    pub fn handle_request(&mut self, id: ProcessId, now: Instant, request: Request) {
        let Some(record) = self.records.get_mut(&id) else { return };
        match request {
            Request::Start if record.phase == Phase::Idle => {
                record.phase = Phase::Queued;
                self.spawns.push_back(id);
            }
            Request::Start => {}
            Request::Kill(kill) => self.kill(id, now, kill),
            Request::Signal(signal) => {
                if record.phase == Phase::Running {
                    self.urgent.push_back(Effect::Signal { id, signal, scope: SignalScope::Group });
                }
            }
            Request::Write(bytes) => self.write(id, bytes),
            Request::CloseStdin => {
                if !std::mem::replace(&mut record.stdin.closed, true) && record.pid.is_some() {
                    self.urgent.push_back(Effect::CloseStdin(id));
                }
            }
            Request::ExpectFailed => record.expect_failed = true,
            Request::Fail(reason) => drop(record.failed.get_or_insert(reason)),
            Request::HandlerFailed(reason) => drop(record.handler_failed.get_or_insert(reason)),
            Request::EmitOutput => record.emits_output = true,
        }
    }

    /// Takes what the driver saw.
    pub fn handle_input(&mut self, id: ProcessId, now: Instant, input: Input<'_>) {
        let Some(record) = self.records.get_mut(&id) else { return };
        match input {
            Input::Spawned { pid } => self.spawned(id, now, pid),
            Input::SpawnFailed(error) => self.end(id, now, None, Some(error)),
            Input::Cancelled => self.cancelled(id, now),
            Input::ResourceExhausted { retry_at, reason } => self.defer_spawns(id, now, retry_at, reason),
            Input::Bytes(stream, bytes) => {
                if record.captured_mut(stream).append(bytes) {
                    self.grown.push((id, stream));
                }
                if record.emits_output {
                    self.events.push_back(Event::Output { id, stream, bytes: bytes.to_vec() });
                }
            }
            Input::Eof(stream) => {
                record.open[stream as usize] = false;
                if record.emits_output {
                    self.stream_ends.push_back((id, stream));
                }
                self.end_if_drained(id, now);
            }
            Input::StdinDrained => self.events.push_back(Event::StdinDrained { id }),
            Input::WriteFailed => {
                record.write_error = true;
                self.events.push_back(Event::StdinDrained { id });
            }
            Input::Diagnostics(bytes) => {
                record.diagnostics.append(bytes);
            }
            Input::Exited(status) => self.exited(id, now, status),
            Input::Lost(reason) => {
                record.lost_because.get_or_insert(reason);
                self.exited(id, now, ExitStatus::Lost);
            }
        }
    }

    /// Ends every process at once, since what drives the table ends, for this reason. One that runs is
    /// [lost](ExitStatus::Lost), one that was not started has a start error. Performs nothing: what was alive is the
    /// driver's to end.
    pub fn abandon_all(&mut self, now: Instant, reason: &Arc<str>) {
        self.urgent.clear();
        self.spawns.clear();
        for (id, record) in std::mem::take(&mut self.records) {
            let (status, error) = match record.phase {
                Phase::Running | Phase::Draining { .. } => (Some(ExitStatus::Lost), None),
                Phase::Idle | Phase::Queued | Phase::Spawning { .. } => {
                    let reason = reason.to_string();
                    (None, Some(StartError { program: String::new(), reason, errno: None }))
                }
            };
            let mut finished = record.finish(now, status, error);
            finished.outcome.lost_because = status.map(|_| Arc::clone(reason));
            self.events.push_back(Event::Ended { id, finished: Arc::new(finished) });
        }
        self.alive = 0;
    }

    /// Takes note that time has passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(id) = self.deadlines.expired(now) {
            self.check_deadlines(id, now);
        }
        if let Some(shortage) = &mut self.exhausted
            && shortage.retry_at <= now
        {
            shortage.waiting = false;
        }
    }

    /// When time next matters.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let retry = self.exhausted.filter(|shortage| shortage.waiting && !self.spawns.is_empty());
        [self.deadlines.next(), retry.map(|shortage| shortage.retry_at)].into_iter().flatten().min()
    }

    /// The next thing to do, the urgent ones first.
    #[must_use]
    pub fn poll_effect(&mut self) -> Option<Effect> {
        if let Some(effect) = self.urgent.pop_front() {
            return Some(effect);
        }
        if self.exhausted.is_some_and(|shortage| shortage.waiting) {
            return None;
        }
        while let Some(id) = self.spawns.pop_front() {
            // A process that was called off in the meantime is not there any more.
            if let Some(record) = self.records.get_mut(&id) {
                record.phase = Phase::Spawning { kill: None };
                return Some(Effect::Spawn(id));
            }
        }
        None
    }

    /// The next thing to tell.
    #[must_use]
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// The next stream that has ended, of those that are listened to. Ask when there is no event left: the end of a
    /// stream comes after what was said on it.
    #[must_use]
    pub fn poll_stream_end(&mut self) -> Option<(ProcessId, Stream)> {
        self.stream_ends.pop_front()
    }

    /// Takes a buffer that has moved and is large, for the driver to advise the system on its memory; its contents are not
    /// the driver's. That is the only thing about a process that the table lets others touch.
    pub fn poll_grown_buffer(&mut self) -> Option<&mut Vec<u8>> {
        loop {
            let (id, stream) = self.grown.pop()?;
            if self.records.contains_key(&id) {
                return self.records.get_mut(&id).map(|record| record.captured_mut(stream).buffer());
            }
        }
    }

    /// Whether a stream may still bring something; `None` for a process that is unknown or has ended.
    #[must_use]
    pub fn is_open(&self, id: ProcessId, stream: Stream) -> Option<bool> {
        self.records.get(&id).map(|record| record.open[stream as usize])
    }

    fn spawned(&mut self, id: ProcessId, now: Instant, pid: u32) {
        self.exhausted = None;
        self.alive += 1;
        let record = self.records.get_mut(&id).expect("the caller found it");
        let Phase::Spawning { kill } = record.phase else { unreachable!("{id} was spawned without having been asked") };
        record.phase = Phase::Running;
        // From here on another last word counts.
        record.abandon_at = None;
        record.pid = Some(pid);
        record.started_at = Some(now);
        if let Some(timeout) = record.policy.timeout {
            self.arm(id, now, timeout, |record| &mut record.timeout_at);
        }
        self.events.push_back(Event::Started { id, pid });
        let record = self.records.get_mut(&id).expect("the caller found it");
        let waiting = std::mem::take(&mut record.stdin.waiting);
        self.urgent.extend(waiting.into_iter().map(|bytes| Effect::Write(id, bytes)));
        if record.stdin.closed {
            self.urgent.push_back(Effect::CloseStdin(id));
        }
        if let Some(kill) = kill {
            self.kill(id, now, kill);
        }
    }

    /// It was killed before it ran: as if it had never left the queue.
    fn cancelled(&mut self, id: ProcessId, now: Instant) {
        let record = self.records.get_mut(&id).expect("the caller found it");
        let Phase::Spawning { kill: Some(_) } = record.phase else { unreachable!("nobody called {id} off") };
        record.killed = true;
        self.end(id, now, None, None);
    }

    /// Puts the process back at the head of the queue and holds all spawns back for a while.
    fn defer_spawns(&mut self, id: ProcessId, now: Instant, retry_at: Instant, reason: StartError) {
        let record = self.records.get_mut(&id).expect("the caller found it");
        let Phase::Spawning { kill } = record.phase else { unreachable!("{id} was short without having been asked") };
        let known = self.exhausted.and_then(|shortage| shortage.idle_since);
        let idle_since = (self.alive == 0).then(|| known.unwrap_or(now));
        let patience = record.policy.timeout.map_or(GIVE_UP_AFTER, |timeout| timeout.min(GIVE_UP_AFTER));
        if idle_since.is_some_and(|since| now.saturating_duration_since(since) >= patience) {
            return self.end(id, now, None, Some(reason));
        }
        record.phase = Phase::Queued;
        self.spawns.push_front(id);
        self.exhausted = Some(ResourceExhausted { retry_at, idle_since, waiting: true });
        if let Some(kill) = kill {
            self.kill(id, now, kill);
        }
    }

    fn exited(&mut self, id: ProcessId, now: Instant, status: ExitStatus) {
        let record = self.records.get_mut(&id).expect("the caller found it");
        if record.phase != Phase::Running {
            return;
        }
        // What has not even been handed on by now, it will never read.
        record.write_error |= self.urgent.iter().any(|effect| matches!(effect, Effect::Write(to, _) if *to == id));
        let until = now + record.policy.leak_timeout;
        record.phase = Phase::Draining { status, until, swept: false };
        if record.open != [false, false] {
            self.deadlines.insert(until, id);
        }
        self.end_if_drained(id, now);
    }

    fn end_if_drained(&mut self, id: ProcessId, now: Instant) {
        let record = &self.records[&id];
        if let Phase::Draining { status, .. } = record.phase
            && record.open == [false, false]
        {
            self.end(id, now, Some(status), None);
        }
    }

    fn check_deadlines(&mut self, id: ProcessId, now: Instant) {
        let Some(record) = self.records.get_mut(&id) else { return };
        let due = |deadline: &mut Option<Instant>| deadline.take_if(|at| *at <= now).is_some();
        match record.phase {
            Phase::Running => {
                if due(&mut record.kill_at) {
                    record.forced_kill = true;
                    let scope = if record.kills_all { SignalScope::Everything } else { SignalScope::Process };
                    self.urgent.push_back(Effect::Signal { id, signal: Signal::KILL, scope });
                    self.arm_abandon(id, now);
                } else if due(&mut record.timeout_at) {
                    record.timed_out = true;
                    self.kill(id, now, Kill::default());
                } else if due(&mut record.abandon_at) {
                    self.end(id, now, Some(ExitStatus::Lost), None);
                }
            }
            Phase::Spawning { kill: Some(_) } if due(&mut record.abandon_at) => {
                // It has no pid that would make its end release it.
                self.urgent.push_back(Effect::Release(id));
                self.cancelled(id, now);
            }
            Phase::Draining { status, until, swept } if until <= now => self.give_up_draining(id, now, status, swept),
            Phase::Draining { .. } | Phase::Idle | Phase::Queued | Phase::Spawning { .. } => {}
        }
    }

    /// The streams are still held by somebody after the leak timeout: kill the group and listen a little more, if the
    /// group is not to live on; else leave it alone.
    fn give_up_draining(&mut self, id: ProcessId, now: Instant, status: ExitStatus, swept: bool) {
        let record = self.records.get_mut(&id).expect("the caller found it");
        match record.sweep() {
            Some(scope) if !swept => {
                let until = now + record.policy.leak_timeout;
                record.phase = Phase::Draining { status, until, swept: true };
                self.deadlines.insert(until, id);
                self.urgent.push_back(Effect::Signal { id, signal: Signal::KILL, scope });
            }
            _ => self.end(id, now, Some(status), None),
        }
    }

    fn kill(&mut self, id: ProcessId, now: Instant, kill: Kill) {
        let record = self.records.get_mut(&id).expect("the caller found it");
        match &mut record.phase {
            Phase::Idle | Phase::Queued => {
                record.killed = true;
                self.end(id, now, None, None);
            }
            Phase::Spawning { kill: wanted } => {
                let first = wanted.replace(kill).is_none();
                if first && record.policy.abandon.is_some() {
                    self.urgent.push_back(Effect::Cancel(id));
                    self.arm_abandon(id, now);
                }
            }
            Phase::Running => {
                record.killed = true;
                let grace = record.grace(kill);
                let scope = if kill.group { SignalScope::Everything } else { SignalScope::Process };
                record.kills_all |= kill.group;
                self.urgent.push_back(Effect::Signal { id, signal: kill.signal, scope });
                if let Some(grace) = grace {
                    self.arm(id, now, grace, |record| &mut record.kill_at);
                }
                if kill.signal == Signal::KILL {
                    self.arm_abandon(id, now);
                }
            }
            // It has ended by itself.
            Phase::Draining { .. } => {}
        }
    }

    /// It has been told the last word, and has so long to answer.
    fn arm_abandon(&mut self, id: ProcessId, now: Instant) {
        if let Some(patience) = self.records[&id].policy.abandon {
            self.arm(id, now, patience, |record| &mut record.abandon_at);
        }
    }

    /// Sets a deadline of a record, unless it has an earlier one of that kind.
    fn arm(&mut self, id: ProcessId, now: Instant, after: Duration, deadline: fn(&mut Record) -> &mut Option<Instant>) {
        // A deadline past the end of time is none.
        let Some(at) = now.checked_add(after) else { return };
        let record = self.records.get_mut(&id).expect("the caller found it");
        let slot = deadline(record);
        if slot.is_none_or(|earlier| at < earlier) {
            *slot = Some(at);
            self.deadlines.insert(at, id);
        }
    }

    fn write(&mut self, id: ProcessId, bytes: Arc<[u8]>) {
        let record = self.records.get_mut(&id).expect("the caller found it");
        if record.stdin.closed {
            record.write_error = true;
            return;
        }
        match record.phase {
            Phase::Running => self.urgent.push_back(Effect::Write(id, bytes)),
            Phase::Draining { .. } => record.write_error = true,
            Phase::Idle | Phase::Queued | Phase::Spawning { .. } => record.stdin.waiting.push(bytes),
        }
    }

    /// The record goes, the last event comes. A process that was never started needs no release.
    fn end(&mut self, id: ProcessId, now: Instant, status: Option<ExitStatus>, error: Option<StartError>) {
        let record = self.records.remove(&id).expect("the caller found it");
        if record.pid.is_some() {
            self.alive -= 1;
            if let Some(scope) = record.sweep() {
                // Before the release: once the leader is reaped, the group may be somebody else's.
                self.urgent.push_back(Effect::Signal { id, signal: Signal::KILL, scope });
            }
            self.urgent.push_back(Effect::Release(id));
            // Something has been given back.
            if let Some(shortage) = &mut self.exhausted {
                shortage.waiting = false;
            }
        }
        let finished = Arc::new(record.finish(now, status, error));
        self.events.push_back(Event::Ended { id, finished });
    }
}

impl Record {
    fn new(policy: Policy) -> Self {
        Self {
            phase: Phase::Idle,
            stdout: Captured::new(policy.capture_stdout),
            stderr: Captured::new(policy.capture_stderr),
            diagnostics: Captured::new(Capture::Last(DIAGNOSTICS_KEPT)),
            open: [true, true],
            stdin: Stdin::default(),
            pid: None,
            started_at: None,
            timeout_at: None,
            kill_at: None,
            abandon_at: None,
            timed_out: false,
            killed: false,
            kills_all: false,
            forced_kill: false,
            expect_failed: false,
            write_error: false,
            failed: None,
            handler_failed: None,
            lost_because: None,
            emits_output: false,
            policy,
        }
    }

    fn captured_mut(&mut self, stream: Stream) -> &mut Captured {
        match stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        }
    }

    /// What is killed of what it left behind when it has ended.
    fn sweep(&self) -> Option<SignalScope> {
        match self.policy.leftovers {
            _ if self.kills_all => Some(SignalScope::Everything),
            // After an end of its own, whoever has left the group has left it on purpose.
            Leftovers::Kill => Some(SignalScope::Group),
            Leftovers::Leave => None,
        }
    }

    fn grace(&self, kill: Kill) -> Option<Duration> {
        match kill.grace {
            Grace::Default if [Signal::TERM, Signal::INT].contains(&kill.signal) => self.policy.grace,
            Grace::Default | Grace::Never => None,
            Grace::After(grace) => Some(grace),
        }
    }

    fn finish(self, now: Instant, status: Option<ExitStatus>, error: Option<StartError>) -> Finished {
        let outcome = Outcome {
            pid: self.pid.filter(|pid| *pid != NO_PROCESS),
            started_at: self.started_at,
            ended_at: now,
            status,
            error,
            timed_out: self.timed_out,
            killed: self.killed,
            forced_kill: self.forced_kill,
            expect_failed: self.expect_failed,
            write_error: self.write_error,
            leaked: status.is_some()
                && (self.open != [false, false] || matches!(self.phase, Phase::Draining { swept: true, .. })),
            failed: self.failed,
            handler_failed: self.handler_failed,
            lost_because: self.lost_because,
        };
        let ok = outcome.ok(&self.policy.ignore);
        let worth_a_warning = outcome.is_worth_a_warning(&self.policy.nolog);
        Finished {
            outcome,
            ok,
            worth_a_warning,
            stdout: self.stdout,
            stderr: self.stderr,
            diagnostics: self.diagnostics,
            ignore: self.policy.ignore,
        }
    }
}
