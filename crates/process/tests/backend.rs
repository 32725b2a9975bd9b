//! Processes that a backend runs: to whoever holds the handle they are like any other (item 83), and whatever the
//! backend does or fails to do, nobody waits for ever.
#![expect(clippy::unwrap_used, reason = "a test says what went wrong by failing there")]

use std::collections::HashMap;
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::Duration;

use phalanx_process::backend::Backend;
use phalanx_process::engine::{Engine, EngineHandle, EngineOptions};
use phalanx_process::event::{Effect, Grace, Input, Kill, NO_PROCESS, Notification, Stream};
use phalanx_process::handler::{Context, Handler};

use phalanx_process::id::ProcessId;
use phalanx_process::outcome::StartError;
use phalanx_process::spec::{Command, Output, Policy, Stdin};
use phalanx_process::{ExitStatus, Process, Signal, Spec};

/// An order to the backend: what to say of which member.
type Order = (usize, Say);

#[derive(Debug, Clone)]
enum Say {
    Runs,
    Fails,
    CalledOff,
    Out(&'static str),
    Err(&'static str),
    Ends(Stream),
    Exits(i32),
    Dies,
    Drained,
    Farewell,
}

/// Does nothing by itself: says what it is ordered to, and tells what it is asked to do.
struct Puppet {
    orders: Receiver<Order>,
    told: Sender<(usize, Effect)>,
    ids: HashMap<usize, ProcessId>,
    members: HashMap<ProcessId, usize>,
}

impl Handler for Puppet {
    fn on_event(&mut self, _: &mut Context<'_>, _: &phalanx_process::event::Event) {}

    fn on_notification(&mut self, context: &mut Context<'_>, notice: &Notification) {
        if *notice != Notification::Woken {
            return;
        }
        while let Ok((member, say)) = self.orders.try_recv() {
            let Some(id) = self.ids.get(&member).copied() else { continue };
            match say {
                Say::Runs => context.answer(id, Input::Spawned { pid: NO_PROCESS }),
                Say::Fails => {
                    let error = StartError { program: "far".into(), reason: "no road".into(), errno: None };
                    context.answer(id, Input::SpawnFailed(error));
                }
                Say::CalledOff => context.answer(id, Input::Cancelled),
                Say::Out(text) => context.answer(id, Input::Bytes(Stream::Stdout, text.as_bytes())),
                Say::Err(text) => context.answer(id, Input::Bytes(Stream::Stderr, text.as_bytes())),
                Say::Ends(stream) => context.answer(id, Input::Eof(stream)),
                Say::Exits(code) => {
                    context.answer(id, Input::Eof(Stream::Stdout));
                    context.answer(id, Input::Eof(Stream::Stderr));
                    context.answer(id, Input::Exited(ExitStatus::Exited(code)));
                }
                Say::Dies => {
                    let status = ExitStatus::Signaled { signal: Signal::TERM, core_dumped: false };
                    context.answer(id, Input::Exited(status));
                    context.answer(id, Input::Eof(Stream::Stdout));
                    context.answer(id, Input::Eof(Stream::Stderr));
                }
                Say::Drained => context.answer(id, Input::StdinDrained),
                Say::Farewell => context.detach(),
            }
        }
    }

    fn on_effect(&mut self, context: &mut Context<'_>, effect: &Effect) {
        let id = effect.process();
        if let Effect::Spawn(_) = effect {
            let member = context.launch(id).unwrap().hosted.unwrap().member;
            self.members.insert(id, member);
            self.ids.insert(member, id);
        }
        self.told.send((self.members[&id], effect.clone())).unwrap();
        assert!(self.members[&id] != PANICS, "ordered to");
    }
}

/// The member whose every effect makes the backend panic.
const PANICS: usize = 99;

struct Stage {
    engine: EngineHandle,
    backend: Backend,
    orders: Sender<Order>,
    told: Receiver<(usize, Effect)>,
}

impl Stage {
    fn new() -> Self {
        let engine = Engine::background(EngineOptions::default()).unwrap();
        let (orders, receiver) = mpsc::channel();
        let (sender, told) = mpsc::channel();
        let puppet = Puppet { orders: receiver, told: sender, ids: HashMap::new(), members: HashMap::new() };
        let backend = Backend::attach(puppet, &engine);
        Self { engine, backend, orders, told }
    }

    fn process(&self, member: usize) -> Process {
        let mut spec = Spec::from(Command::from("far away"));
        spec.policy.abandon = Some(Duration::from_millis(50));
        Process::from_spec(spec, &self.engine).hosted_by(&self.backend, member)
    }

    fn order(&self, member: usize, says: &[Say]) {
        for say in says {
            self.orders.send((member, say.clone())).unwrap();
        }
        self.engine.wake_handler(self.backend.handler());
    }

    /// The next thing that the backend is asked to do.
    fn asked(&self) -> (usize, Effect) {
        self.told.recv_timeout(Duration::from_secs(60)).expect("the backend is asked")
    }

    fn started(&self, member: usize) -> Process {
        let process = self.process(member).start();
        assert!(matches!(self.asked(), (asked, Effect::Spawn(_)) if asked == member));
        process
    }
}

#[test]
fn a_hosted_process_has_streams_a_status_and_a_name() {
    let stage = Stage::new();
    let process = stage.started(0);
    assert!(!process.started());
    stage.order(0, &[Say::Runs, Say::Out("one\n"), Say::Err("oops"), Say::Out("two"), Say::Exits(3)]);
    let process = process.wait();
    assert_eq!((process.stdout(), process.stderr()), (b"one\ntwo".to_vec(), b"oops".to_vec()));
    assert_eq!((process.exit_code(), process.ok(), process.name()), (Some(3), false, "far away".to_owned()));
    assert_eq!((process.pid(), process.stats().non_zero_exit_codes), (None, 1));
    assert!(matches!(stage.asked(), (0, Effect::Release(_))));
}

#[test]
fn it_can_be_expected_things_of_and_listened_to() {
    let stage = Stage::new();
    let (lines, heard) = mpsc::channel();
    let process = stage.process(0).on_line(move |_, _, line| lines.send(line.bytes.to_vec()).unwrap()).start();
    stage.asked();
    stage.order(0, &[Say::Runs, Say::Out("login: "), Say::Out("\nla"), Say::Out("st")]);
    assert!(process.expect("login:").is_ok());
    stage.order(0, &[Say::Exits(0)]);
    assert!(process.wait().ok());
    assert_eq!(heard.iter().take(2).collect::<Vec<_>>(), [b"login: ".to_vec(), b"last".to_vec()]);
}

#[test]
fn a_start_that_fails_is_a_start_error_with_its_reason() {
    let stage = Stage::new();
    let process = stage.started(0);
    stage.order(0, &[Say::Fails]);
    let process = process.wait();
    assert_eq!(process.error().unwrap().to_string(), "cannot start `far`: no road");
    assert!(!process.ok() && process.stats().errors == 1);
}

#[test]
fn a_kill_is_a_signal_and_what_follows_is_its_end() {
    let stage = Stage::new();
    let process = stage.started(0);
    stage.order(0, &[Say::Runs]);
    let process = process.wait_started();
    process.kill();
    assert!(matches!(stage.asked(), (0, Effect::Signal { signal: Signal::TERM, .. })));
    stage.order(0, &[Say::Dies]);
    let process = process.wait();
    assert!(process.ok() && process.killed());
}

/// A timeout and a backend that does not answer: SIGTERM, SIGKILL, and then it is given up.
#[test]
fn a_backend_that_never_answers_hangs_nobody_after_a_kill() {
    let stage = Stage::new();
    let process =
        stage.process(0).timeout(0.01).with(|spec| spec.policy.grace = Some(Duration::from_millis(10))).start();
    stage.order(0, &[]);
    stage.asked();
    stage.order(0, &[Say::Runs]);
    let process = process.wait();
    assert!(process.timed_out() && process.forced_kill());
    assert_eq!(process.status(), Some(ExitStatus::Lost));
    let signals: Vec<_> = std::iter::from_fn(|| match stage.asked().1 {
        Effect::Signal { signal, .. } => Some(signal),
        _ => None,
    })
    .collect();
    assert_eq!(signals[..2], [Signal::TERM, Signal::KILL]);
    // And one that does not even answer the start.
    let process = stage.started(1);
    process.kill();
    assert!(process.wait().killed());
    assert!(matches!([stage.asked().1, stage.asked().1], [Effect::Cancel(_), Effect::Release(_)]));
}

#[test]
fn a_start_is_called_off_while_it_takes_its_time() {
    let stage = Stage::new();
    let process = stage.process(0).policy(Policy { abandon: None, ..Policy::default() }).start();
    stage.asked();
    process.kill_with(Kill { signal: Signal::KILL, grace: Grace::Never, group: true });
    assert!(matches!(stage.asked(), (0, Effect::Cancel(_))));
    stage.order(0, &[Say::CalledOff]);
    let process = process.wait();
    assert!(process.killed() && process.pid().is_none() && process.error().is_none());
}

#[test]
fn a_backend_that_panics_or_goes_fails_its_processes() {
    let stage = Stage::new();
    let process = stage.process(PANICS).run();
    assert!(process.error().unwrap().reason.contains("is gone"), "{process:?}");
    stage.asked();
    let runs = stage.started(1);
    let starts = stage.process(2).start();
    stage.order(1, &[Say::Runs, Say::Out("half"), Say::Farewell]);
    let runs = runs.wait();
    assert_eq!((runs.status(), runs.stdout()), (Some(ExitStatus::Lost), b"half".to_vec()));
    assert!(starts.wait().error().is_some());
    let late = stage.process(3).run();
    assert!(late.error().unwrap().reason.contains("is gone"));
}

/// What cannot be is kept from the table: twice the same, too early, too late, of another's process.
#[test]
fn answers_that_cannot_be_are_ignored() {
    let stage = Stage::new();
    let process = stage.started(0);
    stage.order(
        0,
        &[Say::Out("early"), Say::Exits(9), Say::CalledOff, Say::Runs, Say::Runs, Say::Fails, Say::CalledOff],
    );
    stage
        .order(0, &[Say::Out("a"), Say::Ends(Stream::Stdout), Say::Out("b"), Say::Ends(Stream::Stdout), Say::Exits(0)]);
    stage.order(0, &[Say::Exits(1), Say::Out("late"), Say::Drained]);
    let process = process.wait();
    // The first "exits" closed the streams of nothing: it did not run yet.
    assert_eq!((process.stdout(), process.exit_code()), (b"a".to_vec(), Some(0)));
}

#[test]
fn what_is_written_to_it_is_an_effect_too() {
    let stage = Stage::new();
    let process = stage.process(0).stdin(Stdin::Data(b"data".to_vec().into())).start();
    stage.asked();
    stage.order(0, &[Say::Runs]);
    assert!(matches!(stage.asked(), (0, Effect::Write(_, bytes)) if *bytes == *b"data"));
    assert!(matches!(stage.asked(), (0, Effect::CloseStdin(_))));
    stage.order(0, &[Say::Drained, Say::Exits(0)]);
    assert!(process.wait().ok());
}

#[test]
fn its_streams_can_be_merged_or_dropped_and_nothing_else() {
    let stage = Stage::new();
    let merged = stage.process(0).stderr_to(Output::WithStdout).start();
    stage.asked();
    stage.order(0, &[Say::Runs, Say::Out("1"), Say::Err("2"), Say::Ends(Stream::Stdout), Say::Err("3"), Say::Exits(0)]);
    assert_eq!(merged.wait().stdout(), b"123");
    stage.asked();
    let dropped = stage.process(1).stdout_to(Output::Null).start();
    stage.asked();
    stage.order(1, &[Say::Runs, Say::Out("1"), Say::Err("2"), Say::Exits(0)]);
    let dropped = dropped.wait();
    assert_eq!((dropped.stdout(), dropped.stderr()), (b"".to_vec(), b"2".to_vec()));
    stage.asked();
    let file = stage.process(2).stdout_to(Output::File { path: "/tmp/x".into(), append: false }).run();
    assert!(file.error().unwrap().reason.contains("a handler can copy it"));
}

#[test]
fn a_hosted_process_can_be_reset_and_started_again() {
    let stage = Stage::new();
    let mut process = stage.process(0);
    for code in [0, 1] {
        process = process.start();
        assert!(matches!(stage.asked(), (0, Effect::Spawn(_))));
        stage.order(0, &[Say::Runs, Say::Exits(code)]);
        process = process.wait();
        assert_eq!(process.exit_code(), Some(code));
        assert!(matches!(stage.asked(), (0, Effect::Release(_))));
        process = process.reset();
    }
}

/// The backend lives as long as somebody can start one of its processes, and no longer.
#[test]
fn a_backend_goes_with_the_last_description_of_its_processes() {
    let Stage { engine, backend, orders, told } = Stage::new();
    let stage = Stage { engine: engine.clone(), backend, orders, told };
    let process = stage.started(0);
    let Stage { backend, orders, told, .. } = stage;
    let handler = backend.handler();
    drop(backend);
    for say in [Say::Runs, Say::Out("still here"), Say::Exits(0)] {
        orders.send((0, say)).unwrap();
    }
    engine.wake_handler(handler);
    let process = process.wait();
    assert_eq!(process.stdout(), b"still here");
    drop(process);
    // Its sender is dropped with it.
    assert!(told.iter().all(|(_, effect)| matches!(effect, Effect::Release(_))));
}
