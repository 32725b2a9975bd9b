//! Decides which step is next, and what the end of one leads to: steps one after the other, all at once, or once for each
//! of some iterations, nested at will. Pure: it knows what steps there are, and neither what they do nor a clock.
//!
//! What is counted here are *runs*: a step that is begun, perhaps several times (once for each iteration around it).
//!
//! ```text
//!            begun                 [background] ready                its end
//!  waiting ────────▶ running ──────────────────────────▶ ready ───────────────▶ finished: ok, failed,
//!     │                 │ └─────────────── its end ─────────┼─────────────────▶           stopped
//!     │                 │                                   │                            ▲
//!     │                 └──── its block is over, or was ────┴──▶ stopping ───────────────┘
//!     │                       cancelled, or its time is over          its end
//!     └─ its block stops before its turn ─────────────────────────────────────▶ finished: not run
//! ```
//!
//! # What the end of a step leads to
//! 1. It went well, or its failure is to be ignored: the next begins.
//! 2. It failed, and its block is to continue: the same, and the block has failed.
//! 3. It failed, and its block is to stop: in a sequence nothing more is begun, and what still runs in it is stopped. In a
//!    parallel block the others go on to their end, unless it is to fail fast: then they are stopped.
//!
//! A block is over when all its steps are that are not in the background, and those that are have been stopped. What was
//! stopped because it was in the background is ok, whatever its exit status. A step in the background that ends by itself
//! is judged as any other, and 3. stops the step that needed it too.
//!
//! What one step leads to is a list of `Task`s rather than calls within calls, so that the depth of the nesting is not
//! bounded by the stack.

use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};

/// One run of a step, by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StepRun(usize);

impl StepRun {
    /// The run of the workflow as a whole.
    pub const ROOT: Self = Self(0);

    /// Returns its number: runs are counted as they are created.
    #[must_use]
    pub fn number(self) -> usize {
        self.0
    }
}

/// What a workflow needs to know of a step.
#[derive(Debug, Clone)]
pub struct StepSpec {
    /// How the steps in it follow each other, if it is a block.
    pub kind: StepKind,
    /// The indices of the steps in it.
    pub steps: Vec<usize>,
    /// Whether the steps after it begin when it is ready, and it is stopped at the end of its block.
    pub background: bool,
    /// What its failure leads to.
    pub on_failure: OnFailure,
    /// How long it may take as a whole.
    pub timeout: Option<Duration>,
}

impl StepSpec {
    /// Returns a step that is no block, in the foreground.
    #[must_use]
    pub fn single(on_failure: OnFailure) -> Self {
        Self { kind: StepKind::Single, steps: Vec::new(), background: false, on_failure, timeout: None }
    }
}

/// How the steps of a block follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepKind {
    /// No block: it is started and ends by itself.
    Single,
    /// One after the other.
    Sequence,
    /// All at once.
    Parallel {
        /// Whether the first failure that stops its block stops the other steps.
        fail_fast: bool,
    },
    /// One after the other, once for each iteration.
    Iterate {
        /// Whether a failed iteration is the last one.
        stop_on_failure: bool,
    },
}

/// What the failure of a step leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnFailure {
    /// The block it is in has failed, and nothing more is begun in it.
    #[default]
    Stop,
    /// The block it is in has failed, and goes on.
    Continue,
    /// Nothing: the block goes on as if the step had gone well.
    Ignore,
}

/// What the driver is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WorkflowEffect {
    /// Start a step that is no block. Answered by [`Workflow::handle_ended`].
    Start(StepRun),
    /// A block has begun. Needs no answer.
    Begun(StepRun),
    /// Stop a step that was started. Answered by [`Workflow::handle_ended`].
    Stop(StepRun),
    /// Say whether there is another iteration. Answered by [`Workflow::handle_iteration`].
    Iterate(StepRun),
    /// A run is over. Needs no answer. Comes once for every run, for a block after those in it.
    Finished(StepRun, StepOutcome),
}

/// What became of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepOutcome {
    /// All went well.
    Ok,
    /// It has failed, or something in it.
    Failed,
    /// It was stopped before its end.
    Stopped(StopCause),
    /// It was not begun.
    NotRun(StopCause),
}

impl StepOutcome {
    /// Reports whether all went well.
    #[must_use]
    pub fn is_ok(self) -> bool {
        self == Self::Ok
    }
}

/// Why something was stopped, or not begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopCause {
    /// This run failed.
    Failure(StepRun),
    /// The time of this run was over.
    Timeout(StepRun),
    /// The block in the background that it is in was stopped, with the block around that.
    BlockEnded,
    /// The workflow was cancelled from outside.
    Cancelled,
}

/// What a run is a run of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunOf {
    /// The workflow as a whole.
    Root,
    /// A step, by its index.
    Step(usize),
    /// One iteration of a block, by the index of the block.
    Iteration(usize),
}

#[derive(Debug)]
struct Node {
    of: RunOf,
    parent: Option<StepRun>,
    kind: StepKind,
    background: bool,
    on_failure: OnFailure,
    state: State,
    /// The runs in it, in order.
    children: Vec<StepRun>,
    /// The number of children that were begun or passed over, in a sequence.
    next: usize,
    /// The number of children that are not finished.
    open: usize,
    /// The number of those that are not in the background.
    open_in_foreground: usize,
    /// The number of children that the next one of a sequence waits for.
    busy: usize,
    /// When its time is over.
    deadline: Option<Instant>,
    /// Its own time was over before its end.
    is_timed_out: bool,
    /// Something in it has failed.
    failed: bool,
    /// Nothing more is begun in it. Why, if that is not just its end.
    closed: Option<Option<StopCause>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Waiting,
    Running,
    Ready,
    /// Asked to stop; why, if not just because its block is over.
    Stopping(Option<StopCause>),
    Finished(StepOutcome),
}

/// What is left to be thought through, the last first.
#[derive(Debug, Clone, Copy)]
enum Task {
    /// Begin a run, if it still waits.
    Begin(StepRun),
    /// Begin what is next in a block, or end it.
    Advance(StepRun),
    /// Begin what is next in a block if this child of it is ready.
    AdvanceIfReady(StepRun, StepRun),
    /// Stop a run, whatever its state.
    Stop(StepRun, Option<StopCause>),
    /// End a closed block if all in it has.
    Conclude(StepRun),
}

/// How far the steps of a workflow are.
#[derive(Debug)]
pub struct Workflow {
    steps: Vec<StepSpec>,
    nodes: Vec<Node>,
    tasks: Vec<Task>,
    effects: VecDeque<WorkflowEffect>,
    /// When the time of what runs is over.
    deadlines: BTreeSet<(Instant, StepRun)>,
    /// The time of what is being handled.
    now: Option<Instant>,
}

impl Workflow {
    /// Returns a workflow of these steps, not begun: `top` are the indices of those that are in no block, and `kind` says
    /// how they follow each other.
    ///
    /// # Panics
    /// When an index is not that of a step.
    #[must_use]
    pub fn new(kind: StepKind, steps: Vec<StepSpec>, top: &[usize]) -> Self {
        let root = Node::new(RunOf::Root, None, kind, false, OnFailure::Stop);
        let (tasks, effects, deadlines) = (Vec::new(), VecDeque::new(), BTreeSet::new());
        let mut workflow = Self { steps, nodes: vec![root], tasks, effects, deadlines, now: None };
        workflow.add_children(StepRun::ROOT, top);
        workflow
    }

    /// Returns what the driver is to do next.
    pub fn poll_effect(&mut self) -> Option<WorkflowEffect> {
        self.effects.pop_front()
    }

    /// Returns when [`Workflow::handle_timeout`] is to be called.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    /// Begins it.
    pub fn handle_begin(&mut self, now: Instant) {
        self.handle(now, Task::Begin(StepRun::ROOT));
    }

    /// Takes note that a step in the background is ready: those that need it may begin.
    pub fn handle_ready(&mut self, run: StepRun, now: Instant) {
        let node = &self.nodes[run.0];
        if node.state == State::Running && node.background {
            let parent = node.parent;
            self.set_state(run, State::Ready);
            parent.into_iter().for_each(|parent| self.handle(now, Task::Advance(parent)));
        }
    }

    /// Takes note that a step that was started has ended, and whether it went well by itself.
    ///
    /// # Panics
    /// When it was not running: an end was reported twice.
    pub fn handle_ended(&mut self, run: StepRun, ok: bool, now: Instant) {
        let node = &self.nodes[run.0];
        assert!(node.kind == StepKind::Single, "only what was started ends: {run:?} is a block");
        let result = match node.state {
            State::Running | State::Ready if ok => StepOutcome::Ok,
            State::Running | State::Ready => StepOutcome::Failed,
            State::Stopping(cause) => node.result_of_stopped(cause),
            State::Waiting | State::Finished(_) => unreachable!("only a running step can end: {run:?} does not run"),
        };
        self.now = Some(now);
        self.finish(run, result);
        self.work();
    }

    /// Answers [`WorkflowEffect::Iterate`]: begins another iteration, if there is one. Returns its run.
    pub fn handle_iteration(&mut self, block: StepRun, another: bool, now: Instant) -> Option<StepRun> {
        let Node { of: RunOf::Step(step), closed: None, .. } = self.nodes[block.0] else { return None };
        self.now = Some(now);
        if !another {
            self.close(block, None);
            self.work();
            return None;
        }
        let iteration = StepRun(self.nodes.len());
        let of = RunOf::Iteration(step);
        self.nodes.push(Node::new(of, Some(block), StepKind::Sequence, false, OnFailure::Continue));
        let parent = &mut self.nodes[block.0];
        parent.children.push(iteration);
        parent.open += 1;
        parent.open_in_foreground += 1;
        let steps = self.steps[step].steps.clone();
        self.add_children(iteration, &steps);
        self.handle(now, Task::Begin(iteration));
        Some(iteration)
    }

    /// Takes note that a block cannot be iterated any more: it has failed, and what runs in it is stopped.
    pub fn handle_iteration_failed(&mut self, block: StepRun, now: Instant) {
        if self.nodes[block.0].closed.is_none() && self.result(block).is_none() {
            self.now = Some(now);
            self.nodes[block.0].failed = true;
            self.close(block, None);
            self.work();
        }
    }

    /// Stops every step whose time is over at `now`: it has failed.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some((_, run)) = self.deadlines.first().filter(|(at, _)| *at <= now).copied() {
            self.deadlines.pop_first();
            if matches!(self.nodes[run.0].state, State::Running | State::Ready) {
                let node = &mut self.nodes[run.0];
                (node.failed, node.is_timed_out) = (true, true);
                self.handle(now, Task::Stop(run, Some(StopCause::Timeout(run))));
            }
        }
    }

    /// Stops everything.
    pub fn handle_cancel(&mut self, now: Instant) {
        self.handle(now, Task::Stop(StepRun::ROOT, Some(StopCause::Cancelled)));
    }

    /// Returns what a run is a run of.
    #[must_use]
    pub fn run_of(&self, run: StepRun) -> RunOf {
        self.nodes[run.0].of
    }

    /// Returns the block it is in.
    #[must_use]
    pub fn parent(&self, run: StepRun) -> Option<StepRun> {
        self.nodes[run.0].parent
    }

    /// Returns the runs in it, in the order of the steps.
    #[must_use]
    pub fn children(&self, run: StepRun) -> &[StepRun] {
        &self.nodes[run.0].children
    }

    /// Returns what became of it, once it is over.
    #[must_use]
    pub fn result(&self, run: StepRun) -> Option<StepOutcome> {
        match self.nodes[run.0].state {
            State::Finished(result) => Some(result),
            _ => None,
        }
    }

    /// Reports whether it was asked to stop, and has not ended yet.
    #[must_use]
    pub fn is_stopping(&self, run: StepRun) -> bool {
        matches!(self.nodes[run.0].state, State::Stopping(_))
    }

    /// Reports whether it was stopped because its own time was over.
    #[must_use]
    pub fn is_timed_out(&self, run: StepRun) -> bool {
        self.nodes[run.0].is_timed_out
    }

    /// Reports whether all is over.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.result(StepRun::ROOT).is_some()
    }

    fn handle(&mut self, now: Instant, task: Task) {
        self.now = Some(now);
        self.tasks.push(task);
        self.work();
    }

    fn work(&mut self) {
        while let Some(task) = self.tasks.pop() {
            match task {
                Task::Begin(run) => self.begin(run),
                Task::Advance(block) => self.advance(block),
                Task::AdvanceIfReady(block, child) => {
                    if self.nodes[child.0].state == State::Ready {
                        self.advance(block);
                    }
                }
                Task::Stop(run, cause) => self.stop(run, cause),
                Task::Conclude(block) => self.conclude(block),
            }
        }
    }

    fn add_children(&mut self, parent: StepRun, steps: &[usize]) {
        for step in steps {
            let StepSpec { kind, background, on_failure, .. } = self.steps[*step];
            let run = StepRun(self.nodes.len());
            self.nodes.push(Node::new(RunOf::Step(*step), Some(parent), kind, background, on_failure));
            let parent = &mut self.nodes[parent.0];
            parent.children.push(run);
            parent.open += 1;
            parent.open_in_foreground += usize::from(!background);
        }
    }

    /// The one place where a state changes, so that the counts of the block are right.
    fn set_state(&mut self, run: StepRun, state: State) {
        let node = &mut self.nodes[run.0];
        let was_busy = node.is_busy();
        node.state = state;
        let is_busy = node.is_busy();
        let (background, parent) = (node.background, node.parent);
        let Some(parent) = parent.map(|parent| &mut self.nodes[parent.0]) else { return };
        parent.busy = parent.busy + usize::from(is_busy) - usize::from(was_busy);
        if matches!(state, State::Finished(_)) {
            parent.open -= 1;
            parent.open_in_foreground -= usize::from(!background);
        }
    }

    fn begin(&mut self, run: StepRun) {
        let Node { state: State::Waiting, kind, of, background, .. } = self.nodes[run.0] else { return };
        self.set_state(run, State::Running);
        if let RunOf::Step(step) = of {
            self.arm_timeout(run, step);
        }
        if kind == StepKind::Single {
            self.effects.push_back(WorkflowEffect::Start(run));
            return;
        }
        self.effects.push_back(WorkflowEffect::Begun(run));
        if let (RunOf::Step(step), StepKind::Sequence | StepKind::Parallel { .. }) = (of, kind) {
            let steps = self.steps[step].steps.clone();
            self.add_children(run, &steps);
        }
        if background {
            // There is no other sign that a block is ready than that it has begun.
            self.set_state(run, State::Ready);
        }
        match kind {
            StepKind::Iterate { .. } => self.effects.push_back(WorkflowEffect::Iterate(run)),
            StepKind::Parallel { .. } => {
                self.tasks.push(Task::Advance(run));
                let children = self.nodes[run.0].children.iter().rev();
                self.tasks.extend(children.map(|child| Task::Begin(*child)));
            }
            StepKind::Sequence | StepKind::Single => self.tasks.push(Task::Advance(run)),
        }
    }

    fn arm_timeout(&mut self, run: StepRun, step: usize) {
        let timeout = self.steps[step].timeout;
        let at = timeout.zip(self.now).and_then(|(timeout, now)| now.checked_add(timeout));
        self.nodes[run.0].deadline = at;
        self.deadlines.extend(at.map(|at| (at, run)));
    }

    fn advance(&mut self, block: StepRun) {
        let node = &mut self.nodes[block.0];
        if node.closed.is_some() {
            return self.conclude(block);
        }
        match node.kind {
            StepKind::Sequence if node.busy > 0 => {}
            StepKind::Sequence => match node.children.get(node.next).copied() {
                Some(next) => {
                    node.next += 1;
                    self.tasks.extend([Task::AdvanceIfReady(block, next), Task::Begin(next)]);
                }
                None => self.close(block, None),
            },
            StepKind::Parallel { .. } if node.open_in_foreground == 0 => self.close(block, None),
            StepKind::Parallel { .. } => {}
            StepKind::Iterate { .. } if node.open == 0 => self.effects.push_back(WorkflowEffect::Iterate(block)),
            StepKind::Iterate { .. } => {}
            StepKind::Single => unreachable!("a step that is no block has no steps"),
        }
    }

    /// Begins nothing more in a block, and stops what runs in it.
    fn close(&mut self, block: StepRun, cause: Option<StopCause>) {
        self.tasks.push(Task::Conclude(block));
        let node = &mut self.nodes[block.0];
        if node.closed.is_none() {
            node.closed = Some(cause);
            self.tasks.extend(node.children.iter().rev().map(|child| Task::Stop(*child, cause)));
        }
    }

    fn stop(&mut self, run: StepRun, cause: Option<StopCause>) {
        let Node { state, kind, .. } = self.nodes[run.0];
        match state {
            State::Finished(_) | State::Stopping(_) => {}
            State::Waiting => self.finish(run, StepOutcome::NotRun(cause.unwrap_or(StopCause::BlockEnded))),
            State::Running | State::Ready => {
                self.set_state(run, State::Stopping(cause));
                if kind == StepKind::Single {
                    self.effects.push_back(WorkflowEffect::Stop(run));
                } else {
                    self.close(run, Some(cause.unwrap_or(StopCause::BlockEnded)));
                }
            }
        }
    }

    fn conclude(&mut self, block: StepRun) {
        let node = &self.nodes[block.0];
        let Some(cause) = node.closed.filter(|_| node.open == 0) else { return };
        let result = match (node.state, cause) {
            (State::Finished(_), _) => return,
            (State::Stopping(cause), _) => node.result_of_stopped(cause),
            (_, Some(StopCause::Cancelled)) => StepOutcome::Stopped(StopCause::Cancelled),
            _ if node.failed => StepOutcome::Failed,
            _ => StepOutcome::Ok,
        };
        self.finish(block, result);
    }

    fn finish(&mut self, run: StepRun, result: StepOutcome) {
        self.set_state(run, State::Finished(result));
        if let Some(at) = self.nodes[run.0].deadline {
            self.deadlines.remove(&(at, run));
        }
        self.effects.push_back(WorkflowEffect::Finished(run, result));
        // A block that stops before the turn of this one concludes when it has said so of all.
        let Some(parent) = self.nodes[run.0].parent.filter(|_| !matches!(result, StepOutcome::NotRun(_))) else {
            return;
        };
        self.tasks.push(Task::Advance(parent));
        if !result.is_ok() {
            self.fail(run, parent);
        }
    }

    /// Does what the failure of a run leads to.
    fn fail(&mut self, run: StepRun, parent: StepRun) {
        let on_failure = self.nodes[run.0].on_failure;
        let block = &mut self.nodes[parent.0];
        block.failed |= on_failure != OnFailure::Ignore;
        let stops = match block.kind {
            StepKind::Sequence => on_failure == OnFailure::Stop,
            StepKind::Parallel { fail_fast } => on_failure == OnFailure::Stop && fail_fast,
            StepKind::Iterate { stop_on_failure } => stop_on_failure,
            StepKind::Single => unreachable!("a step that is no block has no steps"),
        };
        if stops && block.closed.is_none() {
            self.close(parent, Some(StopCause::Failure(run)));
        }
    }
}

impl Node {
    fn new(of: RunOf, parent: Option<StepRun>, kind: StepKind, background: bool, on_failure: OnFailure) -> Self {
        Self {
            of,
            parent,
            kind,
            background,
            on_failure,
            state: State::Waiting,
            children: Vec::new(),
            next: 0,
            open: 0,
            open_in_foreground: 0,
            busy: 0,
            deadline: None,
            is_timed_out: false,
            failed: false,
            closed: None,
        }
    }

    fn is_busy(&self) -> bool {
        match self.state {
            State::Running | State::Stopping(_) => true,
            State::Ready => !self.background,
            State::Waiting | State::Finished(_) => false,
        }
    }

    /// Returns what becomes of it when it was asked to stop.
    fn result_of_stopped(&self, cause: Option<StopCause>) -> StepOutcome {
        match cause {
            Some(StopCause::Timeout(_)) if self.failed => StepOutcome::Failed,
            Some(StopCause::Cancelled) => StepOutcome::Stopped(StopCause::Cancelled),
            None | Some(StopCause::BlockEnded) => StepOutcome::Ok,
            _ if self.background => StepOutcome::Ok,
            Some(cause) => StepOutcome::Stopped(cause),
        }
    }
}

#[cfg(test)]
mod tests;
