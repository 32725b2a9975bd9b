//! Runs `taktuk` for the processes of an action: the handler that joins [`Tree`]s to an engine.
//!
//! It is the [backend](phalanx_process::backend) of these processes. Those that are started together share one taktuk:
//!
//! ```text
//!  effects of the members ──▶ gathered ──▶ one child `taktuk` for them ◀── signals, gathered, in its own language
//!  inputs for the members ◀── Tree ◀────── its stdout, line by line
//! ```
//!
//! The child ends when its last member has: it is asked to, and killed when it does not obey in time.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use phalanx_process::event::{Effect, Event, Input, Notification, Request, Stream};
use phalanx_process::handler::{Context, Handler};
use phalanx_process::id::{ProcessId, TimerId};
use phalanx_process::outcome::{Finished, StartError};
use phalanx_process::output::Capture;
use phalanx_process::spec::{Environment, Faults, Launch, Policy, Stdin};
use phalanx_process::{ExitStatus, Spec};

use super::language;
use super::said::Splitter;
use super::tree::Tree;

/// Nobody more is started, or signalled, for so long: then those who are gathered are dealt with together.
const QUIET: Duration = Duration::from_millis(5);
/// How long what was cancelled may take to end when it is asked to, and taktuk when it has nothing left to do; then each is
/// killed.
const PATIENCE: Duration = Duration::from_secs(5);
/// How much of what taktuk complains of is kept.
const COMPLAINTS_KEPT: usize = 4096;

/// What is to be run, for every member.
pub(super) struct Plan {
    /// The argv of taktuk.
    pub(super) arguments: Vec<std::ffi::OsString>,
    pub(super) members: Vec<language::Member>,
    /// What becomes of their streams, where that is not just heard.
    pub(super) freight: Option<Arc<dyn Freight>>,
}

/// Goods that travel with the commands: what is sent to all of their stdins, and what takes their stdouts.
pub(super) trait Freight: Send + Sync {
    /// A run of taktuk begins with these members. What is to be sent is a file that it opens by the path that is
    /// returned; `called` makes the backend look again at who has [delivered](Freight::delivered).
    fn embark(&self, members: &[usize]) -> Result<Option<String>, String>;
    /// A member said something on its stdout; whether it was taken.
    fn take(&self, member: usize, bytes: &[u8]) -> bool;
    /// A member says no more. Its end is told when what it said [is delivered](Freight::delivered).
    fn last(&self, member: usize);
    /// Whether what a member said is where it belongs; `None` while nobody knows.
    fn delivered(&self, member: usize) -> Option<Result<(), String>>;
    /// The run of taktuk is over.
    fn disembark(&self, members: &[usize]);
}

/// The backend of the processes of one action.
pub(super) struct Taktuk {
    plan: Plan,
    /// Those who are to be started together.
    gathered: Vec<(ProcessId, usize)>,
    quiet: Option<TimerId>,
    runs: HashMap<ProcessId, Run>,
    /// Which run a member takes part in.
    seats: HashMap<ProcessId, Seat>,
}

#[derive(Debug, Clone, Copy)]
struct Seat {
    run: ProcessId,
    member: usize,
}

/// One child `taktuk`.
struct Run {
    tree: Tree,
    splitter: Splitter,
    members: Vec<usize>,
    complaints: Vec<u8>,
    /// What sends the freight, once all hosts can take it.
    feed: Option<Vec<u8>>,
    /// It was asked to end; when this expires, its commands are killed, and then it is.
    farewell: Option<TimerId>,
    /// Ends that wait until what was said is where it belongs.
    held: Vec<(ProcessId, usize, ExitStatus)>,
}

impl Taktuk {
    pub(super) fn new(plan: Plan) -> Self {
        Self { plan, gathered: Vec::new(), quiet: None, runs: HashMap::new(), seats: HashMap::new() }
    }

    /// Waits for others to be gathered, unless nobody is missing.
    fn gather(&mut self, context: &mut Context<'_>, complete: bool) {
        if complete {
            self.quiet = None;
            self.go(context);
        } else {
            self.quiet = Some(context.timer(QUIET));
        }
    }

    /// Deals with those who are gathered.
    fn go(&mut self, context: &mut Context<'_>) {
        if !self.gathered.is_empty() {
            self.start(context);
        }
        let mut words = Vec::new();
        for (child, run) in &mut self.runs {
            words.push((*child, run.tree.take_signals()));
        }
        for (child, words) in words {
            tell(context, child, words);
        }
    }

    fn start(&mut self, context: &mut Context<'_>) {
        let mut gathered = std::mem::take(&mut self.gathered);
        gathered.sort_by(|(_, one), (_, other)| {
            self.plan.members[*one].user.cmp(&self.plan.members[*other].user).then(one.cmp(other))
        });
        let members: Vec<_> = gathered.iter().map(|(_, member)| *member).collect();
        let feed = match self.plan.freight.as_ref().map(|freight| freight.embark(&members)).transpose() {
            Ok(feed) => feed.flatten(),
            Err(reason) => {
                for (id, _) in gathered {
                    let error = StartError { program: "taktuk".to_owned(), reason: reason.clone(), errno: None };
                    context.answer(id, Input::SpawnFailed(error));
                }
                return;
            }
        };
        let child = ProcessId::new();
        let words = language::deployment(members.iter().map(|member| &self.plan.members[*member]));
        let hosts = gathered.iter().map(|(id, member)| (*id, self.plan.members[*member].address.clone()));
        let tree = Tree::new(hosts);
        for (id, member) in &gathered {
            self.seats.insert(*id, Seat { run: child, member: *member });
        }
        let run = Run {
            tree,
            splitter: Splitter::default(),
            members,
            complaints: Vec::new(),
            feed: feed.as_deref().map(language::input_file),
            farewell: None,
            held: Vec::new(),
        };
        self.runs.insert(child, run);
        context.start(child, self.spec());
        context.request(child, Request::EmitOutput);
        tell(context, child, words);
    }

    fn spec(&self) -> Spec {
        let launch = Launch {
            stdin: Stdin::Pipe,
            // They would change how it reads what we write.
            environment: Some(Arc::new(
                ["ESCAPE_CHARACTER", "COMMAND_SEPARATOR", "OPTION_SEPARATOR", "INTERACTIVE"]
                    .iter()
                    .fold(Environment::inherited(), |all, name| all.without(format!("TAKTUK_{name}"))),
            )),
            ..Spec::new(&self.plan.arguments).launch
        };
        let policy = Policy {
            capture_stdout: Capture::None,
            capture_stderr: Capture::None,
            grace: Some(PATIENCE),
            // It is its members who are judged.
            nolog: Faults::ALL,
            ..Policy::default()
        };
        Spec { launch, policy }
    }

    /// Gives a run's tree something to digest, and does what follows.
    fn with(&mut self, child: ProcessId, context: &mut Context<'_>, act: impl FnOnce(&mut Run, &mut Passing<'_, '_>)) {
        let Some(run) = self.runs.get_mut(&child) else { return };
        let mut passing = Passing {
            context,
            freight: self.plan.freight.as_deref(),
            seats: &mut self.seats,
            held: std::mem::take(&mut run.held),
            said: None,
        };
        act(run, &mut passing);
        passing.flush();
        run.held = passing.held;
        if run.tree.is_complete()
            && let Some(words) = run.feed.take()
        {
            tell(context, child, words);
        }
        if run.tree.is_over() && run.farewell.is_none() && run.held.is_empty() {
            run.farewell = Some(context.timer(PATIENCE));
            tell(context, child, run.tree.farewell());
        }
        // Its stdin stays open: who was called off may only now begin, and must be told to end.
        if run.farewell.is_some() {
            tell(context, child, run.tree.take_signals());
        }
    }

    fn ended(&mut self, child: ProcessId, finished: &Finished, context: &mut Context<'_>) {
        self.with(child, context, |run, passing| {
            let said = String::from_utf8_lossy(&run.complaints);
            let last = said.lines().map(str::trim).rfind(|line| !line.is_empty() && !line.starts_with("[ TAKTUK"));
            let last = last.map(|line| format!("; it said: {line}")).unwrap_or_default();
            let how = match &finished.outcome.error {
                Some(error) if error.errno == Some(ENOENT) => {
                    format!("is not there: {error}; install the package `taktuk`, or say where it is")
                }
                Some(error) => format!("did not start: {error}"),
                None => format!("ended too early: it {}{last}", finished.outcome),
            };
            run.tree.taktuk_ended(&how, &mut |id, input| passing.on(id, input));
        });
        let Some(mut run) = self.runs.remove(&child) else { return };
        if let Some(freight) = &self.plan.freight {
            freight.disembark(&run.members);
        }
        // Nobody will call for these any more; the freight knows by now, or never.
        for (id, member, status) in run.held.drain(..) {
            settle(context, self.plan.freight.as_deref(), id, member, status);
        }
        self.seats.retain(|_, seat| seat.run != child);
    }

    /// Looks at whose end is held back.
    fn look(&mut self, context: &mut Context<'_>) {
        let children: Vec<_> = self.runs.keys().copied().collect();
        for child in children {
            self.with(child, context, |_, passing| {
                let freight = passing.freight;
                let (ready, held) = std::mem::take(&mut passing.held)
                    .into_iter()
                    .partition(|(_, member, _)| freight.is_none_or(|freight| freight.delivered(*member).is_some()));
                passing.held = held;
                for (id, member, status) in ready {
                    settle(passing.context, freight, id, member, status);
                }
            });
        }
    }
}

/// "No such file or directory", see errno(3).
const ENOENT: i32 = 2;

fn tell(context: &mut Context<'_>, child: ProcessId, words: Vec<u8>) {
    if !words.is_empty() {
        context.request(child, Request::Write(words.into()));
    }
}

/// What lies between a tree and the engine.
struct Passing<'a, 'b> {
    context: &'a mut Context<'b>,
    freight: Option<&'a dyn Freight>,
    seats: &'a mut HashMap<ProcessId, Seat>,
    held: Vec<(ProcessId, usize, ExitStatus)>,
    /// What one of them said last, and goes on to say.
    said: Option<(ProcessId, Stream, Vec<u8>)>,
}

impl Passing<'_, '_> {
    /// taktuk speaks in lines, and even those come in pieces: what belongs together is passed on together.
    fn on(&mut self, id: ProcessId, input: Input<'_>) {
        let Input::Bytes(stream, bytes) = input else {
            self.flush();
            return self.pass(id, input);
        };
        if self.said.as_ref().is_some_and(|(whose, on, _)| (*whose, *on) != (id, stream)) {
            self.flush();
        }
        self.said.get_or_insert_with(|| (id, stream, Vec::new())).2.extend_from_slice(bytes);
    }

    fn flush(&mut self) {
        if let Some((id, stream, bytes)) = self.said.take() {
            self.pass(id, Input::Bytes(stream, &bytes));
        }
    }

    fn pass(&mut self, id: ProcessId, input: Input<'_>) {
        let member = self.seats.get(&id).map(|seat| seat.member);
        if let (Some(freight), Some(member)) = (self.freight, member) {
            match input {
                Input::Bytes(Stream::Stdout, bytes) if freight.take(member, bytes) => return,
                Input::Exited(status) => {
                    freight.last(member);
                    if freight.delivered(member).is_none() {
                        return self.held.push((id, member, status));
                    }
                    return settle(self.context, self.freight, id, member, status);
                }
                // They are told with the end.
                Input::Eof(_) => return,
                _ => {}
            }
        }
        self.context.answer(id, input);
    }
}

/// Tells the end of a process whose goods have been delivered, or not.
fn settle(context: &mut Context<'_>, freight: Option<&dyn Freight>, id: ProcessId, member: usize, status: ExitStatus) {
    let mut status = status;
    let delivered = freight.and_then(|freight| freight.delivered(member)).unwrap_or(Ok(()));
    if let Err(reason) = delivered {
        context.answer(id, Input::Bytes(Stream::Stderr, format!("{reason}\n").as_bytes()));
        // The far end thinks that all is well.
        if status == ExitStatus::Exited(0) {
            status = ExitStatus::Exited(1);
        }
    }
    context.answer(id, Input::Eof(Stream::Stdout));
    context.answer(id, Input::Eof(Stream::Stderr));
    context.answer(id, Input::Exited(status));
}

impl Handler for Taktuk {
    fn on_event(&mut self, context: &mut Context<'_>, event: &Event) {
        match event {
            Event::Output { id, stream: Stream::Stdout, bytes } => self.with(*id, context, |run, passing| {
                let Run { tree, splitter, .. } = run;
                splitter.push(bytes, |said| tree.hear(&said, &mut |id, input| passing.on(id, input)));
            }),
            Event::Output { id, stream: Stream::Stderr, bytes } => {
                if let Some(run) = self.runs.get_mut(id) {
                    log::debug!("taktuk: {}", String::from_utf8_lossy(bytes).trim_end());
                    run.complaints.extend_from_slice(bytes);
                    let excess = run.complaints.len().saturating_sub(COMPLAINTS_KEPT);
                    run.complaints.drain(..excess);
                }
            }
            Event::Ended { id, finished } if self.runs.contains_key(id) => self.ended(*id, finished, context),
            Event::Timer { timer } if self.quiet == Some(*timer) => {
                self.quiet = None;
                self.go(context);
            }
            Event::Timer { timer } => {
                let slow = self.runs.iter_mut().find(|(_, run)| run.farewell == Some(*timer));
                let Some((&child, run)) = slow else { return };
                match run.tree.kill_the_rest() {
                    Some(words) => {
                        run.farewell = Some(context.timer(PATIENCE));
                        tell(context, child, words);
                    }
                    None => {
                        log::debug!("taktuk does not end, and is killed");
                        context.kill(child);
                    }
                }
            }
            _ => {}
        }
    }

    fn on_notification(&mut self, context: &mut Context<'_>, notice: &Notification) {
        if *notice == Notification::Woken {
            self.look(context);
        }
    }

    fn on_effect(&mut self, context: &mut Context<'_>, effect: &Effect) {
        let id = effect.process();
        match effect {
            Effect::Spawn(_) => {
                let Some(launch) = context.launch(id) else { return };
                match refusal(&launch) {
                    Some(reason) => {
                        let error = StartError { program: launch.name(), reason: reason.to_owned(), errno: None };
                        context.answer(id, Input::SpawnFailed(error));
                    }
                    None => {
                        let hosted = launch.hosted.expect("it is given to its backend");
                        self.gathered.push((id, hosted.member));
                        let complete = self.gathered.len() == self.plan.members.len();
                        self.gather(context, complete);
                    }
                }
            }
            Effect::Cancel(_) if self.gathered.iter().any(|(gathered, _)| *gathered == id) => {
                self.gathered.retain(|(gathered, _)| *gathered != id);
                context.answer(id, Input::Cancelled);
            }
            effect => {
                let Some(Seat { run, .. }) = self.seats.get(&id).copied() else { return };
                let mut complete = false;
                self.with(run, context, |run, passing| {
                    run.tree.effect(effect, &mut |id, input| passing.on(id, input));
                    complete = run.tree.signals_are_complete();
                });
                if matches!(effect, Effect::Signal { .. }) {
                    self.gather(context, complete);
                }
            }
        }
    }
}

/// What taktuk cannot do for a process.
fn refusal(launch: &Launch) -> Option<&'static str> {
    let wanted = [
        (launch.terminal.is_some(), "taktuk gives no terminal to its commands"),
        (launch.directory.is_some(), "taktuk has no working directory for its commands: begin the command with `cd`"),
        (launch.environment.is_some(), "taktuk has no environment for its commands: begin the command with `env`"),
        (!matches!(launch.stdin, Stdin::Null), "a command of taktuk cannot be written to"),
    ];
    wanted.into_iter().find(|(wanted, _)| *wanted).map(|(_, reason)| reason)
}
