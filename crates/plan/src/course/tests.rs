//! The course by hand, and under random orders of whatever can happen.

use super::super::read::Overrides;
use super::*;

fn plan(text: &str) -> Plan {
    Plan::parse("test.toml", text, &Overrides::default()).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// Plays a plan: what happens is written down, names in the place of turns.
struct Play {
    plan: Plan,
    course: Course,
    said: Vec<String>,
    /// How many combinations are left.
    passes: usize,
}

impl Play {
    fn new(text: &str) -> Self {
        let plan = plan(text);
        let course = Course::new(&plan);
        let mut play = Self { plan, course, said: Vec::new(), passes: 2 };
        play.course.begin();
        play.settle();
        play
    }

    fn name(&self, turn: Turn) -> String {
        match self.course.part(turn) {
            Part::Plan => "plan".to_owned(),
            Part::Step(number) => step(&self.plan.steps, number).expect("it is there").name.clone(),
            Part::Pass(number) => format!("{} pass", step(&self.plan.steps, number).expect("it is there").name),
        }
    }

    fn settle(&mut self) {
        while let Some(effect) = self.course.poll() {
            match effect {
                Effect::Start(turn) => self.said.push(format!("start {}", self.name(turn))),
                Effect::End(turn) => self.said.push(format!("end {}", self.name(turn))),
                Effect::Over(turn, verdict) => {
                    let cause = |cause| match cause {
                        Cause::Failure(other) => format!("since {} failed", self.name(other)),
                        Cause::Limit(other) => format!("since the time of {} was over", self.name(other)),
                        Cause::End => "since its block was ended".to_owned(),
                        Cause::Stop => "since all was stopped".to_owned(),
                    };
                    let verdict = match verdict {
                        Verdict::Ok => "ok".to_owned(),
                        Verdict::Failed => "failed".to_owned(),
                        Verdict::Stopped(why) => format!("stopped {}", cause(why)),
                        Verdict::NotRun(why) => format!("not run {}", cause(why)),
                    };
                    self.said.push(format!("{}: {verdict}", self.name(turn)));
                }
                Effect::Begun(_) => {}
                Effect::Next(turn) => {
                    let another = self.passes > 0;
                    self.passes = self.passes.saturating_sub(1);
                    self.course.pass(turn, another);
                }
            }
        }
    }

    fn turn(&self, name: &str) -> Turn {
        let turns = (0..self.course.nodes.len()).map(Turn).rev();
        turns.into_iter().find(|turn| self.name(*turn) == name).expect("it is there")
    }

    fn ended(&mut self, name: &str, ok: bool) {
        let turn = self.turn(name);
        self.course.ended(turn, ok);
        self.settle();
    }

    fn take(&mut self) -> Vec<String> {
        std::mem::take(&mut self.said)
    }
}

fn step(steps: &[Step], number: usize) -> Option<&Step> {
    steps.iter().find_map(|one| if one.number == number { Some(one) } else { step(one.steps(), number) })
}

const TWO: &str = "[[step]]\nname = 'a'\nlocal = 'a'\n[[step]]\nname = 'b'\nlocal = 'b'\n";

#[test]
fn a_sequence_goes_on_or_stops() {
    let mut play = Play::new(TWO);
    assert_eq!(play.take(), ["start a"]);
    play.ended("a", true);
    assert_eq!(play.take(), ["a: ok", "start b"]);
    play.ended("b", false);
    assert_eq!(play.take(), ["b: failed", "plan: failed"]);
    let mut play = Play::new(TWO);
    play.ended("a", false);
    assert_eq!(play.take(), ["start a", "a: failed", "b: not run since a failed", "plan: failed"]);
    assert!(play.course.is_over());
}

/// The policies of a failure: stop is above.
#[test]
fn a_failure_can_be_gone_on_from_or_ignored() {
    for (policy, end) in [("continue", "plan: failed"), ("ignore", "plan: ok")] {
        let mut play = Play::new(&TWO.replace("local = 'a'", &format!("local = 'a'\non_failure = '{policy}'")));
        play.ended("a", false);
        play.ended("b", true);
        assert_eq!(play.take(), ["start a", "a: failed", "start b", "b: ok", end]);
    }
}

/// G1: a parallel block is as long as its longest step; the others go on after a failure.
#[test]
fn a_parallel_block_waits_for_all_or_fails_fast() {
    let text = |extra: &str| {
        format!(
            "[[step]]\nname = 'p'\nparallel = [{{ name = 'a', local = 'a' }}, {{ name = 'b', local = 'b' }}]\n{extra}"
        )
    };
    let mut play = Play::new(&text(""));
    assert_eq!(play.take(), ["start a", "start b"]);
    play.ended("a", false);
    play.ended("b", true);
    assert_eq!(play.take(), ["a: failed", "b: ok", "p: failed", "plan: failed"]);
    let mut play = Play::new(&text("fail_fast = true"));
    play.ended("a", false);
    assert_eq!(play.take()[2..], ["a: failed", "end b"]);
    play.ended("b", false);
    assert_eq!(play.take(), ["b: stopped since a failed", "p: failed", "plan: failed"]);
}

#[test]
fn a_step_in_the_background_is_waited_for_until_it_is_ready_and_ended_with_its_block() {
    let text = format!("[[step]]\nname = 'server'\nlocal = 's'\nbackground = true\n{TWO}");
    let mut play = Play::new(&text);
    assert_eq!(play.take(), ["start server"]);
    play.course.ready(play.turn("server"));
    play.settle();
    assert_eq!(play.take(), ["start a"]);
    play.ended("a", true);
    play.ended("b", true);
    assert_eq!(play.take(), ["a: ok", "start b", "b: ok", "end server"]);
    play.ended("server", false);
    assert_eq!(play.take(), ["server: ok", "plan: ok"]);
    // It dies while somebody needs it.
    let mut play = Play::new(&text);
    play.course.ready(play.turn("server"));
    play.settle();
    play.ended("server", false);
    play.ended("a", true);
    let said = ["server: failed", "b: not run since server failed", "a: stopped since server failed", "plan: failed"];
    let mut came = play.take();
    came.retain(|line| !line.starts_with("start") && !line.starts_with("end"));
    assert_eq!(came, said);
    // It dies before it is ready.
    let mut play = Play::new(&text);
    play.ended("server", false);
    let said = ["start server", "server: failed", "a: not run since server failed", "b: not run since server failed"];
    assert_eq!(play.take()[..4], said);
}

/// G2: killing a sequence ends it.
#[test]
fn stopping_ends_what_runs_and_begins_nothing() {
    let mut play = Play::new(TWO);
    play.course.stop();
    play.settle();
    assert_eq!(play.take(), ["start a", "end a", "b: not run since all was stopped"]);
    play.ended("a", false);
    assert_eq!(play.take(), ["a: stopped since all was stopped", "plan: stopped since all was stopped"]);
}

#[test]
fn the_time_of_a_block_ends_what_is_in_it() {
    let mut play =
        Play::new("[[step]]\nname = 'p'\nsequence = [{ name = 'a', local = 'a' }, { name = 'b', local = 'b' }]\n");
    play.course.time_is_over(play.turn("p"));
    play.settle();
    play.ended("a", true);
    let over = "since the time of p was over";
    let said = ["start a".into(), "end a".into(), format!("b: not run {over}"), format!("a: stopped {over}")];
    assert_eq!(play.said[..4], said);
    assert_eq!(play.said[4..], ["p: failed", "plan: failed"]);
}

#[test]
fn a_sweep_passes_once_for_each_combination() {
    let text = "[[step]]\nname = 's'\nsweep = { x = [1, 2] }\nsteps = [{ name = 'a', local = 'a {{x}}' }]\n";
    let mut play = Play::new(text);
    play.ended("a", false);
    play.ended("a", true);
    let said =
        ["start a", "a: failed", "s pass: failed", "start a", "a: ok", "s pass: ok", "s: failed", "plan: failed"];
    assert_eq!(play.take(), said);
    let mut play = Play::new(&format!("{text}failed = 'stop'\n"));
    play.ended("a", false);
    assert_eq!(play.take(), ["start a", "a: failed", "s pass: failed", "s: failed", "plan: failed"]);
}

/// A small generator of numbers: no order that it makes is special.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % sides
    }

    /// Steps of a block, as inline tables.
    fn steps(&mut self, depth: usize, names: &mut usize, parallel: bool) -> String {
        let count = 1 + self.roll(4);
        let steps: Vec<String> =
            (0..count).map(|index| self.step(depth, names, parallel || index + 1 == count)).collect();
        format!("[{}]", steps.join(", "))
    }

    fn step(&mut self, depth: usize, names: &mut usize, last: bool) -> String {
        *names += 1;
        let number = *names;
        let name = format!("name = 's{names}'");
        let policy = ["stop", "continue", "ignore"][self.roll(3)];
        let background = if !last && self.roll(3) == 0 { ", background = true" } else { "" };
        let what = match if depth == 0 { 0 } else { self.roll(4) } {
            0 => "local = 'x'".to_owned(),
            1 => format!("sequence = {}", self.steps(depth - 1, names, false)),
            2 => {
                let fast = if self.roll(2) == 0 { ", fail_fast = true" } else { "" };
                format!("parallel = {}{fast}", self.steps(depth - 1, names, true))
            }
            _ => {
                let failed = ["again", "skip", "stop"][self.roll(3)];
                let steps = self.steps(depth - 1, names, false);
                return format!(
                    "{{ {name}, on_failure = '{policy}', sweep = {{ f{number} = [1, 2] }}, failed = '{failed}', steps = {steps} }}"
                );
            }
        };
        format!("{{ {name}, on_failure = '{policy}', {what}{background} }}")
    }
}

/// Whatever happens in whatever order, these hold:
///
/// 1. every turn is over exactly once, those of a block before the block
/// 2. nothing is started or ended that should not be, and nothing after the end
/// 3. in a sequence nothing is begun while a step that is not in the background runs
/// 4. what was started is over only when it has ended
#[test]
fn no_order_of_events_breaks_the_course() {
    for seed in 0..200 {
        let mut dice = Dice(seed);
        let text = format!("step = {}\n", dice.steps(3, &mut 0, false));
        let plan = plan(&text);
        let mut course = Course::new(&plan);
        course.begin();
        let (mut running, mut over, mut passes) = (Vec::new(), Vec::new(), 3);
        for _ in 0..10_000 {
            while let Some(effect) = course.poll() {
                match effect {
                    Effect::Start(turn) => {
                        assert!(!over.contains(&turn) && !running.contains(&turn), "{seed}: {text}");
                        let parent = course.parent(turn).expect("only the plan has none");
                        assert!(!over.contains(&parent));
                        if course.nodes[parent.0].kind == Kind::Sequence {
                            let beside = course.parts(parent).iter().filter(|other| **other != turn);
                            let busy = |other: &&Turn| running.contains(*other) && !course.nodes[other.0].background;
                            assert_eq!(beside.filter(busy).count(), 0, "{seed}: {text}");
                        }
                        running.push(turn);
                    }
                    Effect::End(turn) => assert!(running.contains(&turn) && course.is_ending(turn), "{seed}: {text}"),
                    Effect::Begun(turn) => assert!(!over.contains(&turn)),
                    Effect::Next(turn) => {
                        let another = passes > 0 && dice.roll(3) > 0;
                        passes -= usize::from(another);
                        course.pass(turn, another);
                    }
                    Effect::Over(turn, _) => {
                        assert!(!over.contains(&turn) && !running.contains(&turn), "{seed}: {text}");
                        assert!(course.parts(turn).iter().all(|part| over.contains(part)), "{seed}: {text}");
                        over.push(turn);
                    }
                }
            }
            if running.is_empty() {
                break;
            }
            let turn = running[dice.roll(running.len())];
            match dice.roll(20) {
                0 => course.stop(),
                1 => course.time_is_over(turn),
                2 => course.time_is_over(course.parent(turn).expect("only the plan has none")),
                3..8 => course.ready(turn),
                roll => {
                    running.retain(|other| *other != turn);
                    course.ended(turn, roll % 3 > 0);
                }
            }
        }
        assert!(course.is_over() && running.is_empty(), "{seed}: {text}");
        assert_eq!(over.len(), course.nodes.len(), "{seed}: {text}");
    }
}
