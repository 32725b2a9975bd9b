//! Workflows by hand, and under random orders of whatever can happen.

use super::*;

/// A step with its name, and the steps in it.
#[derive(Debug, Clone)]
struct Described {
    name: String,
    spec: StepSpec,
    steps: Vec<Described>,
}

fn step(name: &str) -> Described {
    block(name, StepKind::Single, [])
}

fn block(name: &str, kind: StepKind, steps: impl IntoIterator<Item = Described>) -> Described {
    let spec = StepSpec { kind, ..StepSpec::single(OnFailure::Stop) };
    Described { name: name.to_owned(), spec, steps: steps.into_iter().collect() }
}

impl Described {
    fn on_failure(mut self, on_failure: OnFailure) -> Self {
        self.spec.on_failure = on_failure;
        self
    }

    fn in_background(mut self) -> Self {
        self.spec.background = true;
        self
    }

    fn timeout(mut self, seconds: u64) -> Self {
        self.spec.timeout = Some(Duration::from_secs(seconds));
        self
    }
}

const PARALLEL: StepKind = StepKind::Parallel { fail_fast: false };
const FAIL_FAST: StepKind = StepKind::Parallel { fail_fast: true };
const ITERATE: StepKind = StepKind::Iterate { stop_on_failure: false };

/// Adds a step and those in it; returns its index.
fn add(step: &Described, specs: &mut Vec<StepSpec>, names: &mut Vec<String>) -> usize {
    let index = specs.len();
    specs.push(step.spec.clone());
    names.push(step.name.clone());
    let steps = step.steps.iter().map(|step| add(step, specs, names)).collect();
    specs[index].steps = steps;
    index
}

fn workflow(steps: &[Described]) -> (Workflow, Vec<String>) {
    let (mut specs, mut names) = (Vec::new(), Vec::new());
    let top: Vec<_> = steps.iter().map(|step| add(step, &mut specs, &mut names)).collect();
    (Workflow::new(StepKind::Sequence, specs, &top), names)
}

/// Drives a workflow: what happens is written down, names in the place of runs.
struct Play {
    workflow: Workflow,
    names: Vec<String>,
    now: Instant,
    said: Vec<String>,
    iterations_left: usize,
}

impl Play {
    fn new(steps: &[Described]) -> Self {
        let (workflow, names) = workflow(steps);
        let mut play = Self { workflow, names, now: Instant::now(), said: Vec::new(), iterations_left: 2 };
        play.workflow.handle_begin(play.now);
        play.settle();
        play
    }

    fn name(&self, run: StepRun) -> String {
        match self.workflow.run_of(run) {
            RunOf::Root => "root".to_owned(),
            RunOf::Step(step) => self.names[step].clone(),
            RunOf::Iteration(step) => format!("{} iteration", self.names[step]),
        }
    }

    fn cause(&self, cause: StopCause) -> String {
        match cause {
            StopCause::Failure(other) => format!("since {} failed", self.name(other)),
            StopCause::Timeout(other) => format!("since the time of {} was over", self.name(other)),
            StopCause::BlockEnded => "since its block was stopped".to_owned(),
            StopCause::Cancelled => "since all was cancelled".to_owned(),
        }
    }

    fn settle(&mut self) {
        while let Some(effect) = self.workflow.poll_effect() {
            match effect {
                WorkflowEffect::Start(run) => self.said.push(format!("start {}", self.name(run))),
                WorkflowEffect::Stop(run) => self.said.push(format!("stop {}", self.name(run))),
                WorkflowEffect::Finished(run, result) => {
                    let result = match result {
                        StepOutcome::Ok => "ok".to_owned(),
                        StepOutcome::Failed => "failed".to_owned(),
                        StepOutcome::Stopped(why) => format!("stopped {}", self.cause(why)),
                        StepOutcome::NotRun(why) => format!("not run {}", self.cause(why)),
                    };
                    self.said.push(format!("{}: {result}", self.name(run)));
                }
                WorkflowEffect::Begun(_) => {}
                WorkflowEffect::Iterate(run) => {
                    let another = self.iterations_left > 0;
                    self.iterations_left = self.iterations_left.saturating_sub(1);
                    self.workflow.handle_iteration(run, another, self.now);
                }
            }
        }
    }

    /// The last run of this name.
    fn run(&self, name: &str) -> StepRun {
        let runs = (0..self.workflow.nodes.len()).map(StepRun).rev();
        runs.into_iter().find(|run| self.name(*run) == name).expect("it is there")
    }

    fn ended(&mut self, name: &str, ok: bool) {
        self.workflow.handle_ended(self.run(name), ok, self.now);
        self.settle();
    }

    fn ready(&mut self, name: &str) {
        self.workflow.handle_ready(self.run(name), self.now);
        self.settle();
    }

    fn cancel(&mut self) {
        self.workflow.handle_cancel(self.now);
        self.settle();
    }

    fn take(&mut self) -> Vec<String> {
        std::mem::take(&mut self.said)
    }
}

fn two() -> [Described; 2] {
    [step("a"), step("b")]
}

#[test]
fn a_sequence_goes_on_or_stops() {
    let mut play = Play::new(&two());
    assert_eq!(play.take(), ["start a"]);
    play.ended("a", true);
    assert_eq!(play.take(), ["a: ok", "start b"]);
    play.ended("b", false);
    assert_eq!(play.take(), ["b: failed", "root: failed"]);
    let mut play = Play::new(&two());
    play.ended("a", false);
    assert_eq!(play.take(), ["start a", "a: failed", "b: not run since a failed", "root: failed"]);
    assert!(play.workflow.is_over());
}

#[test]
fn a_workflow_without_steps_is_over_at_once() {
    for kind in [StepKind::Sequence, PARALLEL, FAIL_FAST] {
        let mut empty = Workflow::new(kind, Vec::new(), &[]);
        assert!(!empty.is_over());
        empty.handle_begin(Instant::now());
        assert_eq!(empty.result(StepRun::ROOT), Some(StepOutcome::Ok));
    }
}

#[test]
fn a_failure_can_be_gone_on_from_or_ignored() {
    for (policy, end) in [(OnFailure::Continue, "root: failed"), (OnFailure::Ignore, "root: ok")] {
        let mut play = Play::new(&two().map(|step| step.on_failure(policy)));
        play.ended("a", false);
        play.ended("b", true);
        assert_eq!(play.take(), ["start a", "a: failed", "start b", "b: ok", end]);
    }
}

#[test]
fn a_parallel_block_waits_for_all_or_fails_fast() {
    let mut play = Play::new(&[block("p", PARALLEL, two())]);
    assert_eq!(play.take(), ["start a", "start b"]);
    play.ended("a", false);
    play.ended("b", true);
    assert_eq!(play.take(), ["a: failed", "b: ok", "p: failed", "root: failed"]);
    let mut play = Play::new(&[block("p", FAIL_FAST, two())]);
    play.ended("a", false);
    assert_eq!(play.take()[2..], ["a: failed", "stop b"]);
    play.ended("b", false);
    assert_eq!(play.take(), ["b: stopped since a failed", "p: failed", "root: failed"]);
}

#[test]
fn a_step_in_the_background_is_waited_for_until_it_is_ready_and_stopped_with_its_block() {
    let steps = [step("server").in_background(), step("a"), step("b")];
    let mut play = Play::new(&steps);
    assert_eq!(play.take(), ["start server"]);
    play.ready("server");
    assert_eq!(play.take(), ["start a"]);
    play.ended("a", true);
    play.ended("b", true);
    assert_eq!(play.take(), ["a: ok", "start b", "b: ok", "stop server"]);
    play.ended("server", false);
    assert_eq!(play.take(), ["server: ok", "root: ok"]);
    // It dies while another step needs it.
    let mut play = Play::new(&steps);
    play.ready("server");
    play.ended("server", false);
    play.ended("a", true);
    let said = ["server: failed", "b: not run since server failed", "a: stopped since server failed", "root: failed"];
    let mut came = play.take();
    came.retain(|line| !line.starts_with("start") && !line.starts_with("stop"));
    assert_eq!(came, said);
    // It dies before it is ready.
    let mut play = Play::new(&steps);
    play.ended("server", false);
    let said = ["start server", "server: failed", "a: not run since server failed", "b: not run since server failed"];
    assert_eq!(play.take()[..4], said);
}

#[test]
fn a_block_in_the_background_is_ready_when_it_has_begun() {
    let servers = block("servers", StepKind::Sequence, [step("x"), step("y")]).in_background();
    let mut play = Play::new(&[servers, step("a")]);
    assert_eq!(play.take(), ["start x", "start a"]);
    play.ended("a", true);
    assert_eq!(play.take(), ["a: ok", "stop x", "y: not run since its block was stopped"]);
    play.ended("x", false);
    assert_eq!(play.take(), ["x: ok", "servers: ok", "root: ok"]);
}

#[test]
fn cancelling_stops_what_runs_and_begins_nothing() {
    let mut play = Play::new(&two());
    play.cancel();
    assert_eq!(play.take(), ["start a", "stop a", "b: not run since all was cancelled"]);
    play.cancel();
    play.ended("a", false);
    assert_eq!(play.take(), ["a: stopped since all was cancelled", "root: stopped since all was cancelled"]);
    let (mut unbegun, _) = workflow(&two());
    unbegun.handle_cancel(Instant::now());
    assert_eq!(unbegun.result(StepRun::ROOT), Some(StepOutcome::NotRun(StopCause::Cancelled)));
}

#[test]
fn the_time_of_a_block_stops_what_is_in_it() {
    let mut play = Play::new(&[block("p", StepKind::Sequence, two()).timeout(5)]);
    let end = play.now + Duration::from_secs(5);
    assert_eq!(play.workflow.poll_timeout(), Some(end));
    play.workflow.handle_timeout(end - Duration::from_nanos(1));
    play.settle();
    assert_eq!(play.take(), ["start a"]);
    play.workflow.handle_timeout(end);
    play.settle();
    play.ended("a", true);
    let over = "since the time of p was over";
    assert_eq!(play.said[..3], ["stop a".into(), format!("b: not run {over}"), format!("a: stopped {over}")]);
    assert_eq!(play.said[3..], ["p: failed", "root: failed"]);
    assert!(play.workflow.is_timed_out(play.run("p")) && !play.workflow.is_timed_out(play.run("a")));
}

#[test]
fn a_single_step_has_its_time_too_and_one_that_ends_before_leaves_no_deadline() {
    let mut play = Play::new(&[step("a").timeout(1), step("b").timeout(2)]);
    play.ended("a", true);
    let end = play.now + Duration::from_secs(2);
    assert_eq!(play.workflow.poll_timeout(), Some(end));
    play.workflow.handle_timeout(end);
    play.settle();
    assert_eq!((play.take().last().map(String::as_str), play.workflow.poll_timeout()), (Some("stop b"), None));
    play.ended("b", true);
    assert_eq!(play.take(), ["b: failed", "root: failed"]);
}

#[test]
fn iterations_follow_each_other_and_may_stop_at_the_first_failure() {
    let mut play = Play::new(&[block("s", ITERATE, [step("a")])]);
    play.ended("a", false);
    play.ended("a", true);
    let said = [
        "start a",
        "a: failed",
        "s iteration: failed",
        "start a",
        "a: ok",
        "s iteration: ok",
        "s: failed",
        "root: failed",
    ];
    assert_eq!(play.take(), said);
    let mut play = Play::new(&[block("s", StepKind::Iterate { stop_on_failure: true }, [step("a")])]);
    play.ended("a", false);
    assert_eq!(play.take(), ["start a", "a: failed", "s iteration: failed", "s: failed", "root: failed"]);
}

#[test]
fn iterations_that_cannot_be_told_fail_the_block() {
    let (mut workflow, _) = workflow(&[block("s", ITERATE, [step("a")])]);
    let now = Instant::now();
    workflow.handle_begin(now);
    let effects: Vec<_> = std::iter::from_fn(|| workflow.poll_effect()).collect();
    let Some(WorkflowEffect::Iterate(block)) = effects.last().copied() else { panic!("{effects:?}") };
    workflow.handle_iteration_failed(block, now);
    workflow.handle_iteration_failed(block, now);
    assert_eq!((workflow.result(block), workflow.is_over()), (Some(StepOutcome::Failed), true));
    assert_eq!(workflow.handle_iteration(block, true, now), None, "an answer that comes too late begins nothing");
}

#[test]
fn nesting_is_not_bounded_by_the_stack() {
    const DEPTH: usize = 100_000;
    for kind in [StepKind::Sequence, PARALLEL, FAIL_FAST] {
        let spec = |index| match index {
            DEPTH => StepSpec::single(OnFailure::Stop),
            _ => StepSpec { kind, steps: vec![index + 1], ..StepSpec::single(OnFailure::Stop) },
        };
        for cancelled in [false, true] {
            let (mut workflow, now) = (Workflow::new(kind, (0..=DEPTH).map(spec).collect(), &[0]), Instant::now());
            workflow.handle_begin(now);
            let mut finished = 0;
            while let Some(effect) = workflow.poll_effect() {
                match effect {
                    WorkflowEffect::Start(_) if cancelled => workflow.handle_cancel(now),
                    WorkflowEffect::Start(run) | WorkflowEffect::Stop(run) => workflow.handle_ended(run, false, now),
                    WorkflowEffect::Finished(..) => finished += 1,
                    WorkflowEffect::Begun(_) | WorkflowEffect::Iterate(_) => {}
                }
            }
            assert_eq!((finished, workflow.is_over()), (DEPTH + 2, true));
        }
    }
}

#[test]
fn a_parallel_block_of_very_many_steps_costs_each_of_them_only_its_share() {
    const WIDTH: usize = 100_000;
    let steps = vec![StepSpec::single(OnFailure::Continue); WIDTH];
    let top: Vec<_> = (0..WIDTH).collect();
    for kind in [StepKind::Sequence, PARALLEL] {
        let (mut workflow, now) = (Workflow::new(kind, steps.clone(), &top), Instant::now());
        workflow.handle_begin(now);
        while let Some(effect) = workflow.poll_effect() {
            if let WorkflowEffect::Start(run) = effect {
                workflow.handle_ended(run, true, now);
            }
        }
        assert_eq!(workflow.result(StepRun::ROOT), Some(StepOutcome::Ok));
    }
}

/// A small generator of numbers: no order that it makes is special.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % sides
    }

    fn steps(&mut self, depth: usize) -> Vec<Described> {
        let count = self.roll(5);
        (0..count).map(|_| self.step(depth)).collect()
    }

    fn step(&mut self, depth: usize) -> Described {
        let kind = match if depth == 0 { 0 } else { self.roll(4) } {
            0 => StepKind::Single,
            1 => StepKind::Sequence,
            2 => StepKind::Parallel { fail_fast: self.roll(2) == 0 },
            _ => StepKind::Iterate { stop_on_failure: self.roll(3) == 0 },
        };
        let steps = if kind == StepKind::Single { Vec::new() } else { self.steps(depth - 1) };
        let mut step = block("s", kind, steps);
        step.spec.on_failure = [OnFailure::Stop, OnFailure::Continue, OnFailure::Ignore][self.roll(3)];
        step.spec.background = self.roll(4) == 0;
        step.spec.timeout = (self.roll(4) == 0).then(|| Duration::from_secs(1 + self.roll(20) as u64));
        step
    }
}

/// A workflow in which everything happens at random, and what its driver can see of it.
struct Chaos {
    workflow: Workflow,
    now: Instant,
    running: Vec<StepRun>,
    finished: Vec<StepRun>,
    iterations_left: usize,
}

impl Chaos {
    fn perform(&mut self, effect: WorkflowEffect, dice: &mut Dice) {
        let is_finished = |run: &StepRun| self.finished.contains(run);
        match effect {
            WorkflowEffect::Start(run) => {
                assert!(!is_finished(&run) && !self.running.contains(&run));
                let parent = self.workflow.parent(run).expect("only the root has none");
                assert!(!is_finished(&parent));
                let nodes = &self.workflow.nodes;
                if nodes[parent.0].kind == StepKind::Sequence {
                    let beside = self.workflow.children(parent).iter().filter(|other| **other != run);
                    let busy = |other: &&StepRun| self.running.contains(*other) && !nodes[other.0].background;
                    assert_eq!(beside.filter(busy).count(), 0);
                }
                self.running.push(run);
            }
            WorkflowEffect::Stop(run) => assert!(self.running.contains(&run) && self.workflow.is_stopping(run)),
            WorkflowEffect::Begun(run) => assert!(!is_finished(&run)),
            WorkflowEffect::Iterate(run) => {
                let another = self.iterations_left > 0 && dice.roll(3) > 0;
                self.iterations_left -= usize::from(another);
                self.workflow.handle_iteration(run, another, self.now);
            }
            WorkflowEffect::Finished(run, _) => {
                assert!(!is_finished(&run) && !self.running.contains(&run));
                assert!(self.workflow.children(run).iter().all(is_finished));
                self.finished.push(run);
            }
        }
    }

    fn happen(&mut self, dice: &mut Dice) {
        let index = dice.roll(self.running.len());
        let run = self.running[index];
        match dice.roll(20) {
            0 if dice.roll(5) == 0 => self.workflow.handle_cancel(self.now),
            0..3 => {
                self.now += Duration::from_secs(1);
                self.workflow.handle_timeout(self.now);
                assert!(self.workflow.poll_timeout().is_none_or(|at| at > self.now));
            }
            3..8 => self.workflow.handle_ready(run, self.now),
            roll => {
                self.running.swap_remove(index);
                self.workflow.handle_ended(run, roll % 3 > 0, self.now);
            }
        }
    }
}

/// Whatever happens in whatever order, these hold:
///
/// 1. every run is over exactly once, those of a block before the block
/// 2. nothing is started or stopped that should not be, and nothing after the end
/// 3. in a sequence nothing is begun while a step that is not in the background runs
/// 4. what was started is over only when it has ended
#[test]
fn no_order_of_events_breaks_a_workflow() {
    for seed in 0..500 {
        let mut dice = Dice(seed);
        let (workflow, _) = workflow(&dice.steps(3));
        let (running, finished) = (Vec::new(), Vec::new());
        let mut chaos = Chaos { workflow, now: Instant::now(), running, finished, iterations_left: 3 };
        chaos.workflow.handle_begin(chaos.now);
        for _ in 0..10_000 {
            while let Some(effect) = chaos.workflow.poll_effect() {
                chaos.perform(effect, &mut dice);
            }
            if chaos.running.is_empty() {
                break;
            }
            chaos.happen(&mut dice);
        }
        assert!(chaos.workflow.is_over() && chaos.running.is_empty(), "seed {seed}");
        assert_eq!(chaos.finished.len(), chaos.workflow.nodes.len(), "seed {seed}");
        assert_eq!(chaos.workflow.poll_timeout(), None, "seed {seed}");
    }
}
