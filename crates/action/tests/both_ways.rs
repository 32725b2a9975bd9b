//! The same actions on an engine of its own thread and on one that the waiting thread turns.
#![expect(clippy::unwrap_used, reason = "a test says what went wrong by failing there")]

use std::future::IntoFuture as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use phalanx_action::Action;
use phalanx_action::action::{Parallel, Sequential, wait_all, wait_any};
use phalanx_action::local::Local;
use phalanx_action::rollout::Rollout;
use phalanx_action::taktuk::TaktukRemote;
use phalanx_process::engine::{Engine, EngineHandle, EngineOptions};
use phalanx_process::event::Event;
use phalanx_process::spec::Stdin;
use phalanx_process::ssh::SshOptions;
use phalanx_process::{Process, Spec};
use phalanx_tests::{require_program, shared_fleet};

/// Long enough for anything that comes at all.
const LONG: Duration = Duration::from_secs(120);

/// Runs a scenario on both kinds of engine.
fn both_ways(scenario: impl Fn(&EngineHandle)) {
    scenario(&Engine::background(EngineOptions::default()).unwrap());
    let engine = Engine::current_thread(EngineOptions::default()).unwrap();
    scenario(&engine.handle());
}

fn shell(script: &str, engine: &EngineHandle) -> Action {
    Local::new(["sh", "-c", script]).build_on(engine)
}

fn row(scripts: &[&str], fanout: usize, engine: &EngineHandle) -> Action {
    let process = |script: &&str| Process::from_spec(Spec::shell(*script), engine).stdin(Stdin::Pipe);
    Action::new("row", scripts.iter().map(process).collect(), Rollout::with_fanout(fanout), engine)
}

#[test]
fn a_row_is_run_within_its_fanout_and_judged() {
    both_ways(|engine| {
        let scripts: Vec<_> = (0..30).map(|n| format!("echo {n}; exit {}", u8::from(n == 7))).collect();
        let scripts: Vec<_> = scripts.iter().map(String::as_str).collect();
        let action = row(&scripts, 4, engine).run();
        assert!(action.ended() && !action.ok());
        for (n, process) in action.processes().iter().enumerate() {
            assert_eq!((process.stdout(), process.ok()), (format!("{n}\n").into_bytes(), n != 7));
        }
        assert!(action.check().is_err());
    });
}

#[test]
fn actions_are_composed_and_their_handlers_hear() {
    both_ways(|engine| {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let step = |name: &'static str, script: &str| {
            let [begun, ended] = [Arc::clone(&heard), Arc::clone(&heard)];
            shell(script, engine)
                .on_start(move |_, _| begun.lock().unwrap().push(format!("{name} begins")))
                .on_end(move |_, action| ended.lock().unwrap().push(format!("{name} ends {}", action.ok())))
        };
        let both = Parallel::new([shell("true", engine), shell("true", engine)]).on(engine).build();
        let all = Sequential::new([step("a", "true"), step("b", "exit 1"), both]).on(engine).build().run();
        assert_eq!((all.processes().len(), all.ok()), (4, false));
        assert_eq!(*heard.lock().unwrap(), ["a begins", "a ends true", "b begins", "b ends false"]);
        assert!(!all.reset().run().ok());
    });
}

#[test]
fn all_of_an_action_are_written_to_expected_of_and_killed() {
    both_ways(|engine| {
        let action = row(&["read x; echo got $x; exec sleep 1000"; 3], 2, engine).start();
        action.write("it\n");
        // The third starts when one has ended, and is waited for too.
        action.processes()[0].expect_within(LONG, "got it").unwrap();
        action.processes()[0].kill();
        let verdicts = action.expect_on(phalanx_process::event::Stream::Stdout, LONG, "\n").unwrap();
        assert_eq!(verdicts.iter().filter(|verdict| verdict.is_ok()).count(), 3);
        action.kill();
        let action = action.wait();
        assert!(action.processes().iter().all(Process::killed));
    });
}

#[test]
fn some_or_all_of_several_actions_are_waited_for() {
    both_ways(|engine| {
        let [quick, slow] = ["true", "exec sleep 1000"].map(|script| shell(script, engine).start());
        let ended = wait_any(&[slow.clone(), quick], Some(LONG));
        assert_eq!(ended.len(), 1);
        assert!(wait_all(std::slice::from_ref(&slow), Some(Duration::from_millis(10))).is_empty());
        slow.kill();
        assert_eq!(wait_all(std::slice::from_ref(&slow), None).len(), 1);
    });
}

#[test]
fn what_happens_to_an_action_is_iterated() {
    both_ways(|engine| {
        let mut ends = 0;
        for (place, event) in row(&["echo 0", "echo 1", "echo 2"], 1, engine).events() {
            match event {
                Event::Output { bytes, .. } => assert_eq!(bytes, format!("{place}\n").into_bytes()),
                Event::Ended { .. } => ends += 1,
                _ => {}
            }
        }
        assert_eq!(ends, 3);
    });
}

#[test]
fn an_action_is_a_future_that_an_engine_can_be_turned_for() {
    let mut engine = Engine::current_thread(EngineOptions::default()).unwrap();
    let action = row(&["true", "exit 1"], 1, &engine.handle());
    let action = engine.block_on(action.into_future()).unwrap();
    assert!(action.ended() && !action.ok());
}

/// Whatever ends the engine ends the action, and says why, for each process: those that ran, and those whose turn never came.
#[test]
fn the_end_of_the_engine_is_the_end_of_its_actions() {
    let engine = Engine::current_thread(EngineOptions::default()).unwrap();
    let handle = engine.handle();
    let action = row(&["exec sleep 1000"; 3], 1, &handle).start();
    let all = Sequential::new([action.clone(), shell("true", &handle)]).on(&handle).build().start();
    drop(action.processes()[0].clone().wait_started());
    let there = {
        let all = all.clone();
        std::thread::spawn(move || all.wait().ended())
    };
    drop(engine);
    assert!(there.join().unwrap() && action.wait().ended());
    assert!(!all.ok() && all.processes().iter().all(|process| !process.finished_ok()));
    let reasons: Vec<_> = all.processes().iter().map(|process| process.outcome().unwrap().to_string()).collect();
    assert!(reasons.iter().all(|reason| reason.contains("engine has ended")), "{reasons:?}");
    let late = shell("true", &handle).run();
    assert!(late.ended() && late.processes()[0].error().unwrap().reason.contains("engine has ended"));
}

#[test]
fn taktuk_runs_on_an_engine_of_this_thread() {
    let Some(()) = require_program("taktuk", "taktuk").map(drop) else { return };
    let Some(fleet) = shared_fleet() else { return };
    let engine = Engine::current_thread(EngineOptions::default()).unwrap();
    let params = SshOptions { ssh_config: Some(fleet.ssh_config()), ..SshOptions::default() };
    let remote = TaktukRemote::new("echo {{{host}}}; exit 3", ["node1", "node2"]).params(params);
    let action = remote.build_on(&engine.handle()).unwrap().run();
    for (process, host) in action.processes().iter().zip(["node1", "node2"]) {
        assert_eq!((process.exit_code(), process.stdout()), (Some(3), format!("{host}\n").into_bytes()));
    }
}
