//! Any interleaving of requests, inputs and time leaves the table in order. The invariants:
//!
//! 1. Whoever was asked to start, or killed, ends exactly once, and nobody else does; nothing is told of it afterwards.
//! 2. `Started` is told exactly once of each that was spawned, before anything else about it.
//! 3. A spawn is asked for at most once at a time, never again after it succeeded, and its answer may take any time.
//! 4. Nothing but a spawn is asked for before the process runs, and nothing at all after its release.
//! 5. A release is asked for exactly once of each that was spawned, when it ends, and of each whose driver did not answer
//!    that it was called off.
//! 6. The count of those alive is that of those spawned and not ended.
//! 7. Spawns wait behind everything else.
//! 8. Output is told in order and is what is kept.
//! 9. When the driver has answered everything and time has passed, everybody who was asked to start has ended.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use phalanx_proto::event::{Effect, Event, Grace, Input, Kill, Request, Stream};
use phalanx_proto::id::ProcessId;
use phalanx_proto::outcome::StartError;
use phalanx_proto::policy::{Leftovers, Policy};
use phalanx_proto::table::ProcessTable;
use phalanx_proto::{ExitStatus, Signal};
use proptest::prelude::*;

const PROCESSES: usize = 4;

#[derive(Debug, Clone)]
enum Step {
    Ask(usize, Request),
    /// The driver takes so many effects.
    Perform(usize),
    /// The driver answers a spawn it has taken: 0 it runs, 1 it cannot, 2 not now, 3 it was called off, if it was.
    Answer(usize, u8),
    Say(usize, Stream, u8),
    Close(usize, Stream),
    StdinDrained(usize),
    WriteFailed(usize),
    Exit(usize, i32),
    Pass(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let who = 0..PROCESSES;
    let stream = prop_oneof![Just(Stream::Stdout), Just(Stream::Stderr)];
    let kill = (prop_oneof![Just(Signal::TERM), Just(Signal::KILL), Just(Signal::HUP)], 0..3_u64, any::<bool>())
        .prop_map(|(signal, grace, group)| {
            let grace = [Grace::Default, Grace::Never, Grace::After(Duration::from_secs(grace))][grace as usize];
            Request::Kill(Kill { signal, grace, group })
        });
    let request = prop_oneof![
        4 => Just(Request::Start),
        2 => kill,
        1 => Just(Request::Signal(Signal::USR1)),
        1 => Just(Request::Write(Arc::from(&b"x"[..]))),
        1 => Just(Request::CloseStdin),
        1 => Just(Request::ExpectFailed),
        1 => Just(Request::EmitOutput),
    ];
    prop_oneof![
        6 => (who.clone(), request).prop_map(|(who, request)| Step::Ask(who, request)),
        4 => (1..5_usize).prop_map(Step::Perform),
        4 => (who.clone(), 0..4_u8).prop_map(|(who, how)| Step::Answer(who, how)),
        3 => (who.clone(), stream.clone(), any::<u8>()).prop_map(|(who, stream, byte)| Step::Say(who, stream, byte)),
        2 => (who.clone(), stream).prop_map(|(who, stream)| Step::Close(who, stream)),
        1 => who.clone().prop_map(Step::StdinDrained),
        1 => who.clone().prop_map(Step::WriteFailed),
        2 => (who, 0..3).prop_map(|(who, code)| Step::Exit(who, code)),
        3 => (0..100_u64).prop_map(Step::Pass),
    ]
}

/// What a driver knows of one process.
#[derive(Debug, Default)]
struct Known {
    asked: bool,
    spawn_taken: bool,
    called_off: bool,
    given_up: bool,
    /// It is not waited for for ever.
    mortal: bool,
    running: bool,
    exited: bool,
    closed: [bool; 2],
    released: usize,
    started: usize,
    ended: usize,
    listened: bool,
    said: [Vec<u8>; 2],
    told: [Vec<u8>; 2],
}

struct World {
    table: ProcessTable,
    now: Instant,
    ids: Vec<ProcessId>,
    known: HashMap<ProcessId, Known>,
}

impl World {
    fn new() -> Self {
        let mut table = ProcessTable::default();
        let ids: Vec<_> = (0..PROCESSES).map(|_| ProcessId::new()).collect();
        for (number, id) in ids.iter().enumerate() {
            let policy = Policy {
                timeout: (number % 2 == 1).then_some(Duration::from_secs(5)),
                grace: Some(Duration::from_secs(2)),
                abandon: (number == 3).then_some(Duration::from_secs(3)),
                leftovers: if number < 2 { Leftovers::Leave } else { Leftovers::Kill },
                ..Policy::default()
            };
            table.insert(*id, policy);
        }
        let known = ids.iter().map(|id| (*id, Known::default())).collect::<HashMap<_, _>>();
        let mut world = Self { table, now: Instant::now(), ids, known };
        world.known.get_mut(&world.ids[0]).expect("known").listened = true;
        world.table.handle_request(world.ids[0], world.now, Request::EmitOutput);
        world.known.get_mut(&world.ids[3]).expect("known").mortal = true;
        world
    }

    fn input(&mut self, id: ProcessId, input: Input<'_>) {
        self.table.handle_input(id, self.now, input);
    }

    fn apply(&mut self, step: Step) {
        match step {
            Step::Ask(who, request) => {
                let id = self.ids[who];
                let known = self.known.get_mut(&id).expect("known");
                known.asked |= matches!(request, Request::Start | Request::Kill(_));
                known.listened |= request == Request::EmitOutput && self.table.contains(id);
                self.table.handle_request(id, self.now, request);
            }
            Step::Perform(count) => (0..count).for_each(|_| drop(self.perform())),
            Step::Answer(who, how) => self.answer(self.ids[who], how),
            Step::Say(who, stream, byte) => {
                let id = self.ids[who];
                let known = self.known.get_mut(&id).expect("known");
                if known.running && known.released == 0 && !known.closed[stream as usize] {
                    if self.table.contains(id) {
                        known.said[stream as usize].push(byte);
                    }
                    self.input(id, Input::Bytes(stream, &[byte]));
                }
            }
            Step::Close(who, stream) => self.close(self.ids[who], stream),
            Step::StdinDrained(who) if self.known[&self.ids[who]].running => {
                self.input(self.ids[who], Input::StdinDrained);
            }
            Step::WriteFailed(who) if self.known[&self.ids[who]].running => {
                self.input(self.ids[who], Input::WriteFailed);
            }
            Step::Exit(who, code) => self.exit(self.ids[who], code),
            Step::Pass(tenths) => {
                self.now += Duration::from_millis(100 * tenths);
                self.table.handle_timeout(self.now);
            }
            Step::StdinDrained(_) | Step::WriteFailed(_) => {}
        }
        self.listen();
        let alive = self.known.values().filter(|known| known.started > 0 && known.ended == 0).count();
        assert_eq!(self.table.alive(), alive, "invariant 6");
    }

    fn close(&mut self, id: ProcessId, stream: Stream) {
        let known = self.known.get_mut(&id).expect("known");
        if known.running && !std::mem::replace(&mut known.closed[stream as usize], true) {
            self.input(id, Input::Eof(stream));
        }
    }

    fn exit(&mut self, id: ProcessId, code: i32) {
        let known = self.known.get_mut(&id).expect("known");
        if known.running && !std::mem::replace(&mut known.exited, true) {
            self.input(id, Input::Exited(ExitStatus::Exited(code)));
        }
    }

    fn answer(&mut self, id: ProcessId, how: u8) {
        let known = self.known.get_mut(&id).expect("known");
        if !self.table.contains(id) || (how == 3 && !known.called_off) || !std::mem::take(&mut known.spawn_taken) {
            return;
        }
        known.called_off = false;
        let reason = StartError { program: "x".into(), reason: "y".into(), errno: None };
        match how {
            0 => {
                known.running = true;
                self.input(id, Input::Spawned { pid: 7 });
            }
            1 => self.input(id, Input::SpawnFailed(reason)),
            3 => self.input(id, Input::Cancelled),
            _ => self.input(id, Input::ResourceExhausted { retry_at: self.now + Duration::from_secs(1), reason }),
        }
    }

    fn perform(&mut self) -> Option<Effect> {
        let effect = self.table.poll_effect()?;
        let id = effect.process();
        let known = self.known.get_mut(&id).expect("only what was entered");
        assert_eq!(known.released, 0, "invariant 4: {effect:?} after the release");
        match &effect {
            Effect::Spawn(_) => {
                assert!(!known.spawn_taken && !known.running && known.ended == 0, "invariant 3: {known:?}");
                known.spawn_taken = true;
            }
            Effect::Release(_) => {
                assert!(known.running || (known.mortal && known.ended == 1), "invariant 5");
                known.given_up = !known.running;
                known.released += 1;
            }
            // It may come late: the answer to the start has overtaken it.
            Effect::Cancel(_) => known.called_off = known.spawn_taken,
            _ => assert!(known.running, "invariant 4: {effect:?} before it runs"),
        }
        Some(effect)
    }

    fn listen(&mut self) {
        while let Some(event) = self.table.poll_event() {
            let id = event.process().expect("the table knows processes only");
            let known = self.known.get_mut(&id).expect("only what was entered");
            assert_eq!(known.ended, 0, "invariant 1: {event:?} after the end");
            match event {
                Event::Started { .. } => known.started += 1,
                Event::Output { stream, bytes, .. } => {
                    assert!(known.started == 1 && known.listened, "invariant 2");
                    known.told[stream as usize].extend(bytes);
                }
                Event::Ended { finished, .. } => {
                    known.ended += 1;
                    assert!(known.asked, "invariant 1: nobody asked for it");
                    assert_eq!(known.started, usize::from(known.running), "invariant 2");
                    assert_eq!(finished.outcome.pid.is_some(), known.running);
                    let kept = [finished.stdout.bytes(), finished.stderr.bytes()];
                    assert_eq!(kept, [&known.said[0][..], &known.said[1][..]], "invariant 8");
                }
                _ => assert_eq!(known.started, 1, "invariant 2"),
            }
            assert!(known.started <= 1, "invariant 2");
            for stream in 0..2 {
                assert!(known.said[stream].ends_with(&known.told[stream]), "invariant 8");
            }
        }
        while self.table.poll_stream_end().is_some() {}
    }

    /// Answers everything that is open, until nothing is.
    fn finish(&mut self) {
        for _ in 0..200 {
            let mut spawned = false;
            while let Some(effect) = self.perform() {
                let is_spawn = matches!(effect, Effect::Spawn(_));
                assert!(is_spawn || !spawned, "invariant 7: {effect:?} after a spawn");
                spawned |= is_spawn;
            }
            for id in self.ids.clone() {
                self.answer(id, 0);
                self.exit(id, 0);
            }
            self.apply(Step::Pass(10));
        }
        for (id, known) in &self.known {
            let expected = usize::from(known.asked);
            assert_eq!(
                (known.ended, known.released),
                (expected, usize::from(known.running || known.given_up)),
                "invariants 5, 9: {known:?}"
            );
            assert_eq!(self.table.contains(*id), !known.asked, "invariant 9");
        }
        assert_eq!(self.table.poll_timeout().filter(|_| self.known.values().all(|known| known.asked)), None);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_interleaving_keeps_the_invariants(steps in proptest::collection::vec(step(), 0..80)) {
        let mut world = World::new();
        steps.into_iter().for_each(|step| world.apply(step));
        world.finish();
    }
}
