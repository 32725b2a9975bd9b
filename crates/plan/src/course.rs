//! Decides which step is next, and what the end of one leads to. Pure: it knows no process and no clock; whoever plays a
//! plan does what [`Course::poll`] says, and tells what came of it.
//!
//! What is counted here are *turns*: a step that is begun, perhaps several times (once for each combination of a sweep
//! around it).
//!
//! ```text
//!            begun                 [background] ready                its end
//!  waiting ────────▶ running ──────────────────────────▶ ready ───────────────▶ over: ok, failed,
//!     │                 │ └─────────────── its end ─────────┼─────────────────▶       stopped
//!     │                 │                                   │                        ▲
//!     │                 └──── its block is over, or was ────┴──▶ ending ─────────────┘
//!     │                       stopped, or its time is over          its end
//!     └─ its block stops before its turn ─────────────────────────────────────▶ over: not run
//! ```
//!
//! # What the end of a step leads to
//! 1. It went well, or its failure is to be ignored: the next begins.
//! 2. It failed, and its block is to go on: the same, and the block has failed.
//! 3. It failed, and its block is to stop: in a sequence nothing more is begun, and what still runs in it is ended. In a
//!    parallel block the others go on to their end, unless it is to fail fast: then they are ended.
//!
//! A block is over when all its steps are that are not in the background, and those that are have been ended. What was
//! ended because it was in the background is ok, whatever its exit status. A step in the background that ends by itself
//! is judged as any other, and 3. ends the step that needed it too.

use std::collections::VecDeque;

use super::model::{Failed, OnFailure, Plan, Step, Work};

/// A turn of a step, by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Turn(usize);

impl Turn {
    /// The plan as a whole.
    pub const PLAN: Self = Self(0);

    /// Its number: turns are counted as they come.
    #[must_use]
    pub fn number(self) -> usize {
        self.0
    }
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Begin a step that is no block. Answered by [`Course::ended`].
    Start(Turn),
    /// A block has begun. Needs no answer.
    Begun(Turn),
    /// End a step that was started, politely. Answered by [`Course::ended`].
    End(Turn),
    /// Say whether there is another combination. Answered by [`Course::pass`].
    Next(Turn),
    /// It is over. Needs no answer. Comes once for every turn, and for a block after those in it.
    Over(Turn, Verdict),
}

/// What became of a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// All went well.
    Ok,
    /// It has failed, or something in it.
    Failed,
    /// It was ended before its end.
    Stopped(Cause),
    /// It was not begun.
    NotRun(Cause),
}

/// Why something was ended, or not begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// That one failed.
    Failure(Turn),
    /// The time of that one was over.
    Limit(Turn),
    /// The block in the background that it is in was ended, with the one around that.
    End,
    /// The plan was stopped from outside.
    Stop,
}

impl Verdict {
    /// Whether all went well.
    #[must_use]
    pub fn is_ok(self) -> bool {
        self == Self::Ok
    }
}

/// What a turn is a turn of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The plan as a whole.
    Plan,
    /// A step, by its number.
    Step(usize),
    /// One combination of a sweep, by the number of the step that is the sweep.
    Pass(usize),
}

/// What the course needs to know of a step.
#[derive(Debug, Clone)]
struct Shape {
    kind: Kind,
    steps: Vec<usize>,
    background: bool,
    on_failure: OnFailure,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Single,
    Sequence,
    Parallel { fail_fast: bool },
    Sweep { stops: bool },
}

#[derive(Debug)]
struct Node {
    part: Part,
    parent: Option<Turn>,
    kind: Kind,
    background: bool,
    on_failure: OnFailure,
    state: State,
    /// Turns in it.
    parts: Vec<Turn>,
    /// Something in it has failed.
    failed: bool,
    /// Nothing more is begun in it. Why, if that is not just its end.
    closed: Option<Option<Cause>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Waiting,
    Running,
    Ready,
    /// Asked to end; why, if not just because its block is over.
    Ending(Option<Cause>),
    Over(Verdict),
}

/// How far a plan is.
#[derive(Debug)]
pub struct Course {
    shapes: Vec<Shape>,
    nodes: Vec<Node>,
    effects: VecDeque<Effect>,
}

impl Course {
    /// The course of a plan, not begun.
    #[must_use]
    pub fn new(plan: &Plan) -> Self {
        let mut shapes = vec![None; plan.count];
        plan.steps.iter().for_each(|step| shape(step, &mut shapes));
        let shapes = shapes.into_iter().map(|shape| shape.expect("every number is that of a step")).collect();
        let steps: Vec<usize> = plan.steps.iter().map(|step| step.number).collect();
        let root = Node::new(Part::Plan, None, Kind::Sequence, false, OnFailure::Stop);
        let mut course = Self { shapes, nodes: vec![root], effects: VecDeque::new() };
        course.add_steps(Turn::PLAN, &steps);
        course
    }

    /// Begins it.
    pub fn begin(&mut self) {
        self.begin_turn(Turn::PLAN);
    }

    /// What is to be done next.
    pub fn poll(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// What a turn is one of.
    #[must_use]
    pub fn part(&self, turn: Turn) -> Part {
        self.nodes[turn.0].part
    }

    /// The block it is in.
    #[must_use]
    pub fn parent(&self, turn: Turn) -> Option<Turn> {
        self.nodes[turn.0].parent
    }

    /// The turns in it, in the order of the plan.
    #[must_use]
    pub fn parts(&self, turn: Turn) -> &[Turn] {
        &self.nodes[turn.0].parts
    }

    /// What became of it, once it is over.
    #[must_use]
    pub fn verdict(&self, turn: Turn) -> Option<Verdict> {
        match self.nodes[turn.0].state {
            State::Over(verdict) => Some(verdict),
            _ => None,
        }
    }

    /// Whether it was asked to end.
    #[must_use]
    pub fn is_ending(&self, turn: Turn) -> bool {
        matches!(self.nodes[turn.0].state, State::Ending(_))
    }

    /// Whether all is over.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.verdict(Turn::PLAN).is_some()
    }

    /// A step in the background is ready: those that need it may begin.
    pub fn ready(&mut self, turn: Turn) {
        let node = &mut self.nodes[turn.0];
        if node.state == State::Running && node.background {
            node.state = State::Ready;
            self.go_on_above(turn);
        }
    }

    /// A step that was started has ended; whether it went well by itself.
    ///
    /// # Panics
    /// When it was not running: an end was told twice.
    pub fn ended(&mut self, turn: Turn, ok: bool) {
        let node = &self.nodes[turn.0];
        assert!(node.kind == Kind::Single, "only what was started ends: {turn:?} is a block");
        let verdict = match node.state {
            State::Running | State::Ready if ok => Verdict::Ok,
            State::Running | State::Ready => Verdict::Failed,
            State::Ending(cause) => node.verdict_of_ended(cause),
            State::Waiting | State::Over(_) => unreachable!("only who runs can end: {turn:?} does not"),
        };
        self.over(turn, verdict);
    }

    /// The answer to [`Effect::Next`]: begins another combination, if there is one.
    pub fn pass(&mut self, sweep: Turn, another: bool) -> Option<Turn> {
        let Node { part: Part::Step(number), closed: None, .. } = self.nodes[sweep.0] else { return None };
        if !another {
            self.close(sweep, None);
            return None;
        }
        let pass = Turn(self.nodes.len());
        let node = Node::new(Part::Pass(number), Some(sweep), Kind::Sequence, false, OnFailure::Continue);
        self.nodes.push(node);
        self.nodes[sweep.0].parts.push(pass);
        let steps = self.shapes[number].steps.clone();
        self.add_steps(pass, &steps);
        self.begin_turn(pass);
        Some(pass)
    }

    /// The time of a turn is over: it has failed, and whatever runs in it is ended.
    pub fn time_is_over(&mut self, turn: Turn) {
        match self.nodes[turn.0].state {
            State::Running | State::Ready => {
                self.nodes[turn.0].failed = true;
                self.end(turn, Some(Cause::Limit(turn)));
            }
            State::Waiting | State::Ending(_) | State::Over(_) => {}
        }
    }

    /// A sweep cannot go on: it has failed, and what runs in it is ended.
    pub fn give_up(&mut self, sweep: Turn) {
        if self.nodes[sweep.0].closed.is_none() && self.verdict(sweep).is_none() {
            self.nodes[sweep.0].failed = true;
            self.close(sweep, None);
        }
    }

    /// Ends everything.
    pub fn stop(&mut self) {
        self.end(Turn::PLAN, Some(Cause::Stop));
    }

    fn add_steps(&mut self, parent: Turn, steps: &[usize]) {
        for number in steps {
            let Shape { kind, background, on_failure, .. } = self.shapes[*number];
            let turn = Turn(self.nodes.len());
            self.nodes.push(Node::new(Part::Step(*number), Some(parent), kind, background, on_failure));
            self.nodes[parent.0].parts.push(turn);
        }
    }

    fn begin_turn(&mut self, turn: Turn) {
        let node = &mut self.nodes[turn.0];
        node.state = State::Running;
        let (kind, part, background) = (node.kind, node.part, node.background);
        if kind == Kind::Single {
            self.effects.push_back(Effect::Start(turn));
            return;
        }
        self.effects.push_back(Effect::Begun(turn));
        if let (Part::Step(number), false) = (part, matches!(kind, Kind::Sweep { .. })) {
            let steps = self.shapes[number].steps.clone();
            self.add_steps(turn, &steps);
        }
        if background {
            // Nobody can tell when a block is ready, other than that it has begun.
            self.nodes[turn.0].state = State::Ready;
        }
        match kind {
            Kind::Parallel { .. } => {
                for part in self.nodes[turn.0].parts.clone() {
                    if self.nodes[turn.0].closed.is_none() {
                        self.begin_turn(part);
                    }
                }
                self.go_on(turn);
            }
            Kind::Sweep { .. } => self.effects.push_back(Effect::Next(turn)),
            Kind::Sequence | Kind::Single => self.go_on(turn),
        }
    }

    fn go_on_above(&mut self, turn: Turn) {
        if let Some(parent) = self.nodes[turn.0].parent {
            self.go_on(parent);
        }
    }

    /// Begins what is next in a block, or ends it.
    fn go_on(&mut self, block: Turn) {
        if let Some(cause) = self.nodes[block.0].closed {
            self.conclude(block, cause);
            return;
        }
        let parts = &self.nodes[block.0].parts;
        let state = |turn: &Turn| self.nodes[turn.0].state;
        let busy = |turn: &&Turn| match self.nodes[turn.0].state {
            State::Running | State::Ending(_) => true,
            State::Ready => !self.nodes[turn.0].background,
            State::Waiting | State::Over(_) => false,
        };
        match self.nodes[block.0].kind {
            Kind::Sequence if parts.iter().any(|turn| busy(&turn)) => {}
            Kind::Sequence => match parts.iter().find(|turn| state(turn) == State::Waiting).copied() {
                Some(next) => {
                    self.begin_turn(next);
                    if self.nodes[next.0].state == State::Ready {
                        self.go_on(block);
                    }
                }
                None => self.close(block, None),
            },
            Kind::Parallel { .. } => {
                let foreground = parts.iter().filter(|turn| !self.nodes[turn.0].background);
                if foreground.clone().all(|turn| matches!(state(turn), State::Over(_))) {
                    self.close(block, None);
                }
            }
            Kind::Sweep { .. } => {
                // One after the other, and there may be a hundred thousand of them.
                if parts.last().is_none_or(|turn| matches!(state(turn), State::Over(_))) {
                    self.effects.push_back(Effect::Next(block));
                }
            }
            Kind::Single => unreachable!("it is no block"),
        }
    }

    /// Begins nothing more in a block, and ends what runs in it.
    fn close(&mut self, block: Turn, cause: Option<Cause>) {
        if self.nodes[block.0].closed.is_none() {
            self.nodes[block.0].closed = Some(cause);
            for part in self.nodes[block.0].parts.clone() {
                self.end(part, cause);
            }
        }
        if let Some(cause) = self.nodes[block.0].closed {
            self.conclude(block, cause);
        }
    }

    /// Ends a turn, whatever its state.
    fn end(&mut self, turn: Turn, cause: Option<Cause>) {
        let node = &mut self.nodes[turn.0];
        match (node.state, node.kind) {
            (State::Over(_) | State::Ending(_), _) => {}
            (State::Waiting, _) => {
                self.over(turn, Verdict::NotRun(cause.unwrap_or(Cause::End)));
            }
            (State::Running | State::Ready, Kind::Single) => {
                node.state = State::Ending(cause);
                self.effects.push_back(Effect::End(turn));
            }
            (State::Running | State::Ready, _) => {
                node.state = State::Ending(cause);
                self.close(turn, Some(cause.unwrap_or(Cause::End)));
            }
        }
    }

    /// A closed block is over when all in it is.
    fn conclude(&mut self, block: Turn, cause: Option<Cause>) {
        let node = &self.nodes[block.0];
        let all_over = node.parts.iter().all(|turn| matches!(self.nodes[turn.0].state, State::Over(_)));
        if !all_over || matches!(node.state, State::Over(_)) {
            return;
        }
        let verdict = match (node.state, cause) {
            (State::Ending(cause), _) => node.verdict_of_ended(cause),
            (_, Some(Cause::Stop)) => Verdict::Stopped(Cause::Stop),
            _ if node.failed => Verdict::Failed,
            _ => Verdict::Ok,
        };
        self.over(block, verdict);
    }

    fn over(&mut self, turn: Turn, verdict: Verdict) {
        self.nodes[turn.0].state = State::Over(verdict);
        self.effects.push_back(Effect::Over(turn, verdict));
        let Some(parent) = self.nodes[turn.0].parent else { return };
        if matches!(verdict, Verdict::NotRun(_)) {
            // The block that says so concludes when it has said so of all.
            return;
        }
        if !verdict.is_ok() {
            self.failed(turn, parent);
        }
        self.go_on(parent);
    }

    /// What a failure leads to.
    fn failed(&mut self, turn: Turn, parent: Turn) {
        let on_failure = self.nodes[turn.0].on_failure;
        let block = &mut self.nodes[parent.0];
        block.failed |= on_failure != OnFailure::Ignore;
        if block.closed.is_some() {
            return;
        }
        let stops = match block.kind {
            Kind::Sequence => on_failure == OnFailure::Stop,
            Kind::Parallel { fail_fast } => on_failure == OnFailure::Stop && fail_fast,
            Kind::Sweep { stops } => stops,
            Kind::Single => unreachable!("it is no block"),
        };
        if stops {
            self.close(parent, Some(Cause::Failure(turn)));
        }
    }
}

impl Node {
    fn new(part: Part, parent: Option<Turn>, kind: Kind, background: bool, on_failure: OnFailure) -> Self {
        let state = State::Waiting;
        Self { part, parent, kind, background, on_failure, state, parts: Vec::new(), failed: false, closed: None }
    }

    /// What becomes of it when it was asked to end.
    fn verdict_of_ended(&self, cause: Option<Cause>) -> Verdict {
        match cause {
            Some(Cause::Limit(_)) if self.failed => Verdict::Failed,
            Some(Cause::Stop) => Verdict::Stopped(Cause::Stop),
            None | Some(Cause::End) => Verdict::Ok,
            _ if self.background => Verdict::Ok,
            Some(cause) => Verdict::Stopped(cause),
        }
    }
}

fn shape(step: &Step, shapes: &mut [Option<Shape>]) {
    let kind = match &step.work {
        Work::Processes(_) | Work::Forward(_) | Work::Pause(_) => Kind::Single,
        Work::Sequence(_) => Kind::Sequence,
        Work::Parallel { fail_fast, .. } => Kind::Parallel { fail_fast: *fail_fast },
        Work::Sweep(sweep) => Kind::Sweep { stops: sweep.failed == Failed::Stop },
    };
    let steps = step.steps().iter().map(|step| step.number).collect();
    shapes[step.number] = Some(Shape { kind, steps, background: step.background, on_failure: step.on_failure });
    step.steps().iter().for_each(|step| shape(step, shapes));
}

#[cfg(test)]
mod tests;
