//! The life of a process without a process, a clock or a sleep.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use phalanx_proto::event::{Effect, Event, Grace, Input, Kill, NO_PROCESS, Request, SignalScope, Stream};
use phalanx_proto::id::ProcessId;
use phalanx_proto::outcome::{Finished, StartError};
use phalanx_proto::policy::{Leftovers, Policy};
use phalanx_proto::table::ProcessTable;
use phalanx_proto::{ExitStatus, Signal};

const SECOND: Duration = Duration::from_secs(1);

/// One process and the time, moved by hand.
struct World {
    table: ProcessTable,
    id: ProcessId,
    now: Instant,
}

impl World {
    fn new(policy: Policy) -> Self {
        let (mut table, id) = (ProcessTable::default(), ProcessId::new());
        table.insert(id, policy);
        Self { table, id, now: Instant::now() }
    }

    /// A process that runs, with the effects and events of its start behind it.
    fn running(policy: Policy) -> Self {
        let mut world = Self::new(policy);
        world.request(Request::Start);
        assert_eq!(world.effects(), [Effect::Spawn(world.id)]);
        world.input(Input::Spawned { pid: 7 });
        assert!(matches!(world.events()[..], [Event::Started { pid: 7, .. }]));
        world
    }

    fn request(&mut self, request: Request) {
        self.table.handle_request(self.id, self.now, request);
    }

    fn input(&mut self, input: Input<'_>) {
        self.table.handle_input(self.id, self.now, input);
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.table.handle_timeout(self.now);
    }

    fn close_streams(&mut self) {
        self.input(Input::Eof(Stream::Stdout));
        self.input(Input::Eof(Stream::Stderr));
    }

    fn exit(&mut self, code: i32) {
        self.input(Input::Exited(ExitStatus::Exited(code)));
    }

    fn effects(&mut self) -> Vec<Effect> {
        std::iter::from_fn(|| self.table.poll_effect()).collect()
    }

    fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.table.poll_event()).collect()
    }

    fn finished(&mut self) -> Arc<Finished> {
        match self.events().pop() {
            Some(Event::Ended { finished, .. }) => finished,
            other => panic!("it has not ended: {other:?}"),
        }
    }

    fn signal(&self, signal: Signal) -> Effect {
        self.signal_to(signal, SignalScope::Everything)
    }

    fn signal_to(&self, signal: Signal, scope: SignalScope) -> Effect {
        Effect::Signal { id: self.id, signal, scope }
    }
}

#[test]
fn the_happy_path_ends_with_everything_that_was_said() {
    let mut world = World::running(Policy::default());
    world.request(Request::EmitOutput);
    world.input(Input::Bytes(Stream::Stdout, b"out"));
    world.input(Input::Bytes(Stream::Stderr, b"err"));
    assert!(matches!(&world.events()[..], [
        Event::Output { stream: Stream::Stdout, bytes, .. },
        Event::Output { stream: Stream::Stderr, .. }
    ] if bytes == b"out"));
    world.close_streams();
    world.exit(0);
    assert_eq!(world.effects(), [Effect::Release(world.id)]);
    let finished = world.finished();
    assert_eq!((finished.ok, finished.stdout.bytes(), finished.stderr.bytes()), (true, &b"out"[..], &b"err"[..]));
    assert!(!world.table.contains(world.id));
}

#[test]
fn exit_and_end_of_output_come_in_any_order() {
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let mut world = World::running(Policy::default());
        for (step, what) in order.into_iter().enumerate() {
            assert!(world.events().is_empty(), "{order:?} ended after {step} of 3 facts");
            match what {
                0 => world.exit(0),
                1 => world.input(Input::Eof(Stream::Stdout)),
                _ => world.input(Input::Eof(Stream::Stderr)),
            }
        }
        let outcome = world.finished().outcome.clone();
        assert!(!outcome.leaked && outcome.exit_code() == Some(0), "{order:?}");
    }
}

#[test]
fn a_grandchild_that_keeps_the_pipe_delays_the_end_only_so_long() {
    let mut world = World::running(Policy::default());
    world.exit(0);
    assert_eq!(world.table.poll_timeout(), Some(world.now + Policy::default().leak_timeout));
    world.pass(Policy::default().leak_timeout);
    let finished = world.finished();
    assert!(finished.outcome.leaked && finished.ok);
    assert_eq!(world.effects(), [Effect::Release(world.id)], "and the grandchild lives on");
}

#[test]
fn leftovers_that_are_not_wanted_are_killed_and_may_say_their_last_words() {
    let mut world = World::running(Policy { leftovers: Leftovers::Kill, ..Policy::default() });
    world.exit(0);
    world.pass(Policy::default().leak_timeout);
    assert_eq!(world.effects(), [world.signal_to(Signal::KILL, SignalScope::Group)]);
    world.input(Input::Bytes(Stream::Stdout, b"last words"));
    world.close_streams();
    let finished = world.finished();
    assert_eq!((finished.outcome.leaked, finished.stdout.bytes()), (true, &b"last words"[..]));
    assert_eq!(world.effects(), [world.signal_to(Signal::KILL, SignalScope::Group), Effect::Release(world.id)]);
}

#[test]
fn a_timeout_asks_politely_then_kills() {
    let policy = Policy { timeout: Some(10 * SECOND), grace: Some(2 * SECOND), ..Policy::default() };
    let mut world = World::running(policy);
    world.pass(9 * SECOND);
    assert_eq!(world.effects(), []);
    world.pass(SECOND);
    assert_eq!(world.effects(), [world.signal(Signal::TERM)]);
    world.pass(2 * SECOND);
    assert_eq!(world.effects(), [world.signal(Signal::KILL)]);
    world.input(Input::Exited(ExitStatus::Signaled { signal: Signal::KILL, core_dumped: false }));
    world.close_streams();
    let finished = world.finished();
    let outcome = &finished.outcome;
    assert!(outcome.timed_out && outcome.killed && outcome.forced_kill && !finished.ok);
    assert_eq!(world.effects(), [world.signal(Signal::KILL), Effect::Release(world.id)]);
}

#[test]
fn a_process_that_ends_in_time_outlives_its_deadlines() {
    let mut world = World::running(Policy { timeout: Some(SECOND), ..Policy::default() });
    world.request(Request::Kill(Kill::default()));
    world.exit(7);
    world.close_streams();
    let finished = world.finished();
    assert!(finished.ok && !finished.outcome.timed_out && finished.outcome.exit_code() == Some(7));
    world.effects();
    world.pass(1000 * SECOND);
    assert_eq!((world.effects().len(), world.events().len(), world.table.poll_timeout()), (0, 0, None));
}

#[test]
fn only_polite_signals_arm_the_kill_unless_told_otherwise() {
    let cases = [
        (Signal::TERM, Grace::Default, true),
        (Signal::INT, Grace::Default, true),
        (Signal::HUP, Grace::Default, false),
        (Signal::KILL, Grace::Default, false),
        (Signal::TERM, Grace::Never, false),
        (Signal::HUP, Grace::After(60 * SECOND), true),
    ];
    for (signal, grace, armed) in cases {
        let mut world = World::running(Policy::default());
        world.request(Request::Kill(Kill { signal, grace, group: true }));
        assert_eq!(world.effects(), [world.signal(signal)]);
        world.pass(60 * SECOND);
        assert_eq!(world.effects().len(), usize::from(armed), "{signal} {grace:?}");
    }
}

/// Item 70: a kill of the process alone reaches nobody else, neither when its grace is over nor when it has ended.
#[test]
fn a_kill_of_the_process_alone_leaves_what_it_started() {
    let mut world = World::running(Policy::default());
    world.request(Request::Kill(Kill { grace: Grace::After(SECOND), group: false, ..Kill::default() }));
    world.pass(SECOND);
    let alone = |signal| world.signal_to(signal, SignalScope::Process);
    let (term, kill) = (alone(Signal::TERM), alone(Signal::KILL));
    assert_eq!(world.effects(), [term, kill]);
    world.close_streams();
    world.exit(0);
    assert_eq!(world.effects(), [Effect::Release(world.id)]);
}

#[test]
fn a_second_kill_may_hasten_the_end_but_never_delays_it() {
    let mut world = World::running(Policy::default());
    let after = |seconds| Kill { grace: Grace::After(seconds * SECOND), ..Kill::default() };
    world.request(Request::Kill(after(10)));
    world.request(Request::Kill(after(2)));
    world.request(Request::Kill(after(100)));
    world.effects();
    world.pass(2 * SECOND);
    assert_eq!(world.effects(), [world.signal(Signal::KILL)]);
}

#[test]
fn a_process_called_off_before_its_start_never_starts_and_ends_once() {
    let mut world = World::new(Policy::default());
    world.request(Request::Start);
    world.request(Request::Kill(Kill::default()));
    world.request(Request::Kill(Kill::default()));
    assert_eq!(world.effects(), []);
    let events = world.events();
    assert!(matches!(&events[..], [Event::Ended { finished, .. }]
        if finished.outcome.killed && finished.outcome.status.is_none() && finished.outcome.pid.is_none()));
}

#[test]
fn a_process_killed_while_starting_is_killed_when_it_runs() {
    let mut world = World::new(Policy::default());
    world.request(Request::Start);
    assert_eq!(world.effects(), [Effect::Spawn(world.id)]);
    world.request(Request::Kill(Kill::NOW));
    assert_eq!(world.effects(), []);
    world.input(Input::Spawned { pid: 7 });
    assert_eq!(world.effects(), [world.signal(Signal::KILL)]);
}

#[test]
fn a_start_error_is_an_end_without_a_release() {
    let mut world = World::new(Policy::default());
    world.request(Request::Start);
    world.effects();
    let error = StartError { program: "x".into(), reason: "no such file".into(), errno: Some(2) };
    world.input(Input::SpawnFailed(error.clone()));
    let finished = world.finished();
    assert_eq!((finished.outcome.error.as_ref(), finished.ok, world.effects()), (Some(&error), false, vec![]));
}

#[test]
fn writes_before_the_start_arrive_in_order_and_then_the_end() {
    let mut world = World::new(Policy::default());
    world.request(Request::Write(Arc::from(&b"one"[..])));
    world.request(Request::Start);
    world.request(Request::Write(Arc::from(&b"two"[..])));
    world.request(Request::CloseStdin);
    world.effects();
    world.input(Input::Spawned { pid: 7 });
    let id = world.id;
    let expected =
        [Effect::Write(id, Arc::from(&b"one"[..])), Effect::Write(id, Arc::from(&b"two"[..])), Effect::CloseStdin(id)];
    assert_eq!(world.effects(), expected);
    world.request(Request::CloseStdin);
    assert_eq!(world.effects(), [], "closing twice is closing once");
}

#[test]
fn what_cannot_be_written_is_a_write_error_not_a_silence() {
    for how in 0..4 {
        let mut world = World::running(Policy::default());
        match how {
            0 => world.input(Input::WriteFailed),
            // It ends before the driver has come to the writing.
            3 => world.request(Request::Write(Arc::from(&b"in time"[..]))),
            1 => {
                world.request(Request::CloseStdin);
                world.request(Request::Write(Arc::from(&b"late"[..])));
            }
            _ => {
                world.exit(0);
                world.request(Request::Write(Arc::from(&b"late"[..])));
            }
        }
        world.exit(0);
        world.close_streams();
        let finished = world.finished();
        assert!(finished.outcome.write_error && !finished.ok, "case {how}");
    }
}

#[test]
fn urgent_effects_overtake_spawns() {
    let mut world = World::running(Policy::default());
    for _ in 0..100 {
        let id = ProcessId::new();
        world.table.insert(id, Policy::default());
        world.table.handle_request(id, world.now, Request::Start);
    }
    world.request(Request::Kill(Kill::default()));
    assert_eq!(world.table.poll_effect(), Some(world.signal(Signal::TERM)));
}

fn shortage(world: &World) -> Input<'static> {
    let reason = StartError { program: "x".into(), reason: "too many open files".into(), errno: Some(24) };
    Input::ResourceExhausted { retry_at: world.now + SECOND, reason }
}

#[test]
fn a_shortage_holds_spawns_back_until_something_ends() {
    let mut world = World::running(Policy::default());
    let other = ProcessId::new();
    world.table.insert(other, Policy::default());
    world.table.handle_request(other, world.now, Request::Start);
    assert_eq!(world.effects(), [Effect::Spawn(other)]);
    let input = shortage(&world);
    world.table.handle_input(other, world.now, input);
    assert_eq!(world.effects(), []);
    world.close_streams();
    world.exit(0);
    assert_eq!(world.effects(), [Effect::Release(world.id), Effect::Spawn(other)]);
}

#[test]
fn a_shortage_is_tried_again_in_time_and_given_up_only_when_alone_for_long() {
    let mut world = World::new(Policy::default());
    world.request(Request::Start);
    let mut tries = 0;
    while world.table.contains(world.id) {
        assert_eq!(world.effects(), [Effect::Spawn(world.id)]);
        let input = shortage(&world);
        world.input(input);
        tries += 1;
        world.pass(SECOND);
    }
    assert_eq!(tries, 61);
    assert_eq!(world.finished().outcome.error.as_ref().unwrap().errno, Some(24));
}

#[test]
fn a_process_waiting_out_a_shortage_can_be_called_off() {
    let mut world = World::new(Policy::default());
    world.request(Request::Start);
    world.effects();
    let input = shortage(&world);
    world.input(input);
    world.request(Request::Kill(Kill::default()));
    assert!(world.finished().outcome.killed);
    world.pass(2 * SECOND);
    assert_eq!(world.effects(), []);
}

#[test]
fn late_and_early_facts_about_unknown_processes_are_ignored() {
    let mut world = World::running(Policy::default());
    world.close_streams();
    world.exit(0);
    world.effects();
    world.events();
    world.input(Input::Bytes(Stream::Stdout, b"x"));
    world.input(Input::Exited(ExitStatus::Exited(1)));
    world.request(Request::Start);
    world.request(Request::Kill(Kill::default()));
    assert_eq!((world.effects().len(), world.events().len()), (0, 0));
}

#[test]
fn expectations_and_failed_handlers_decide_about_ok() {
    let reasons = [Request::Fail("half of it came".into()), Request::HandlerFailed("the disk is full".into())];
    for request in [Request::ExpectFailed].into_iter().chain(reasons) {
        let mut world = World::running(Policy::default());
        world.request(request);
        world.close_streams();
        world.exit(0);
        assert!(!world.finished().ok);
    }
}

/// What is run by somebody who may fall silent.
fn far_away() -> Policy {
    Policy { abandon: Some(3 * SECOND), grace: Some(2 * SECOND), ..Policy::default() }
}

fn starting(policy: Policy) -> World {
    let mut world = World::new(policy);
    world.request(Request::Start);
    assert_eq!(world.effects(), [Effect::Spawn(world.id)]);
    world
}

#[test]
fn a_kill_before_the_answer_calls_the_start_off_once() {
    let mut world = starting(far_away());
    world.request(Request::Kill(Kill::default()));
    world.request(Request::Kill(Kill::NOW));
    assert_eq!(world.effects(), [Effect::Cancel(world.id)]);
    world.input(Input::Cancelled);
    let finished = world.finished();
    assert!(finished.ok && finished.outcome.killed && finished.outcome.status.is_none());
    assert_eq!(world.effects(), [], "what never ran is not released");
}

#[test]
fn a_start_that_was_called_off_too_late_is_a_kill() {
    let mut world = starting(far_away());
    world.request(Request::Kill(Kill::default()));
    world.input(Input::Spawned { pid: 7 });
    assert_eq!(world.effects(), [Effect::Cancel(world.id), world.signal(Signal::TERM)]);
    world.pass(2 * SECOND);
    assert_eq!(world.effects(), [world.signal(Signal::KILL)]);
    // The patience of the start was over after three seconds; that of the last word begins only now.
    world.pass(2 * SECOND);
    assert!(world.table.contains(world.id));
    world.pass(SECOND);
    let finished = world.finished();
    assert_eq!(finished.outcome.status, Some(ExitStatus::Lost));
    assert!(finished.outcome.forced_kill && finished.outcome.killed);
    assert_eq!(world.effects().last(), Some(&Effect::Release(world.id)));
    // The late answer harms nobody.
    world.close_streams();
    world.exit(0);
    assert_eq!(world.events().len(), 0);
}

#[test]
fn a_start_that_is_never_answered_is_given_up_after_a_kill_and_only_then() {
    let mut world = starting(far_away());
    world.pass(1000 * SECOND);
    assert!(world.table.contains(world.id));
    world.request(Request::Kill(Kill { signal: Signal::HUP, grace: Grace::Never, group: true }));
    assert_eq!(world.effects(), [Effect::Cancel(world.id)]);
    world.pass(3 * SECOND);
    let finished = world.finished();
    assert!(finished.outcome.killed && finished.outcome.status.is_none() && finished.outcome.error.is_none());
    assert_eq!(world.effects(), [Effect::Release(world.id)], "whoever was to start it may forget it");
    world.input(Input::Spawned { pid: 7 });
    assert_eq!(world.events().len(), 0);
}

#[test]
fn nothing_is_called_off_or_given_up_of_children_of_ours() {
    let mut world = starting(Policy::default());
    world.request(Request::Kill(Kill::NOW));
    assert_eq!(world.effects(), []);
    world.input(Input::Spawned { pid: 7 });
    world.pass(1000 * SECOND);
    assert!(world.table.contains(world.id));
}

/// What drives the table ends: every process ends with the reason, whatever it was doing, and nothing is left to do.
#[test]
fn an_engine_that_ends_ends_every_process_with_its_reason() {
    let reason: Arc<str> = "its engine has ended: the disk caught fire".into();
    let mut world = World::running(Policy::default());
    world.input(Input::Bytes(Stream::Stdout, b"half"));
    let [idle, queued] = [ProcessId::new(), ProcessId::new()];
    for id in [idle, queued] {
        world.table.insert(id, Policy::default());
    }
    world.table.handle_request(queued, world.now, Request::Start);
    world.table.abandon_all(world.now, &reason);
    let ends: HashMap<_, _> = world
        .events()
        .into_iter()
        .map(|event| match event {
            Event::Ended { id, finished } => (id, finished),
            other => panic!("{other:?}"),
        })
        .collect();
    let lost = &ends[&world.id];
    assert_eq!((lost.outcome.status, lost.ok, lost.stdout.bytes()), (Some(ExitStatus::Lost), false, &b"half"[..]));
    assert!(lost.outcome.to_string().contains("the disk caught fire"), "{}", lost.outcome);
    for id in [idle, queued] {
        let outcome = &ends[&id].outcome;
        assert!(outcome.status.is_none() && outcome.to_string().contains("the disk caught fire"), "{outcome}");
    }
    assert_eq!((world.effects().len(), world.table.alive(), world.table.ids().count()), (0, 0, 0));
}

/// A start that waits for a resource waits no longer than the process may run.
#[test]
fn a_start_without_resources_is_given_up_within_its_own_timeout() {
    for (timeout, expected) in [(None, 60), (Some(5), 5), (Some(1000), 60)] {
        let mut world = World::new(Policy { timeout: timeout.map(Duration::from_secs), ..Policy::default() });
        world.request(Request::Start);
        let began = world.now;
        let ended = loop {
            world.effects();
            let reason = StartError { program: "x".into(), reason: "no descriptor".into(), errno: Some(24) };
            let retry_at = world.now + Duration::from_millis(50);
            world.input(Input::ResourceExhausted { retry_at, reason });
            if let Some(Event::Ended { finished, .. }) = world.events().pop() {
                break finished.outcome.ended_at;
            }
            world.pass(Duration::from_millis(50));
        };
        assert_eq!(ended.duration_since(began).as_secs(), expected);
    }
}

#[test]
fn a_process_that_is_lost_ends_once_with_the_first_reason() {
    let mut world = starting(Policy::default());
    world.input(Input::Spawned { pid: NO_PROCESS });
    world.input(Input::Bytes(Stream::Stdout, b"half"));
    world.input(Input::Lost("the master has ended".into()));
    world.input(Input::Lost("something else".into()));
    world.exit(0);
    world.close_streams();
    let finished = world.finished();
    assert_eq!((finished.outcome.status, finished.ok), (Some(ExitStatus::Lost), false));
    assert_eq!(finished.outcome.lost_because.as_deref(), Some("the master has ended"));
    assert_eq!(
        (finished.stdout.bytes(), finished.outcome.to_string()),
        (&b"half"[..], "was lost: the master has ended".to_owned())
    );
}
