//! Stopping `phalanx run`: politely, twice, and with SIGKILL. Nothing may outlive it.

use std::fs;
use std::time::{Duration, Instant};

use phalanx_tests::{shared_fleet, wait_until};

use crate::phalanx::Phalanx;

/// Children and grandchildren; those that would not go when asked politely say so first.
const STUBBORN: &str = "trap '' TERM INT; echo up; sleep 1000 & sleep 1000 & wait; wait";

#[test]
fn the_first_signal_says_who_is_running_and_ends_them_politely() {
    for (signal, status) in [("INT", 130), ("TERM", 143), ("HUP", 129)] {
        let script = "trap 'echo tidied; exit 0' TERM; echo up; while :; do sleep 0.05; done";
        let mut running = Phalanx::exec(&["-w", "n[1-4]", "-f", "2", script]).start();
        assert!(running.line().is_some() && running.line().is_some());
        running.signal(signal);
        let ran = running.end();
        assert_eq!(ran.status(), Some(status));
        assert_eq!(ran.stdout().matches("tidied").count(), 2, "{}", ran.stdout());
        let said = ran.stderr();
        assert!(said.contains(&format!("SIG{signal}: ending n[1-2] (2); not starting n[3-4] (2)")), "{said}");
        assert!(said.contains("n[3-4] (2): not started, since the run was stopped"), "{said}");
        ran.assert_nothing_left();
    }
}

#[test]
fn a_signal_that_was_ignored_at_the_start_stays_ignored() {
    for signal in ["HUP", "INT", "TERM"] {
        let directory = tempfile::tempdir().expect("a directory");
        let go = directory.path().join("go");
        let command = format!("echo up; until [ -e {} ]; do sleep 0.05; done; echo survived", go.display());
        let line = format!("trap '' {signal}; exec \"$PHALANX\" run -R exec -w n1 -- '{command}'");
        let mut running = Phalanx::shell(&line).start();
        assert_eq!(running.line().as_deref(), Some("n1: up"));
        running.signal(signal);
        fs::write(&go, "").expect("a file");
        let ran = running.end();
        assert_eq!((ran.status(), ran.stdout().as_str()), (Some(0), "n1: survived\n"), "{signal}: {}", ran.stderr());
    }
}

#[test]
fn the_second_signal_kills_at_once_and_json_agrees() {
    let mut running = Phalanx::exec(&["--json", "-f", "2", "-w", "n[1-3]", STUBBORN]).start();
    for _ in 0..2 {
        running.event("output");
    }
    running.signal("INT");
    // The first must have been taken note of, or the two would be one.
    let mut stderr = String::new();
    let mut reader = std::io::BufReader::new(running.child.stderr.take().expect("it is piped"));
    std::io::BufRead::read_line(&mut reader, &mut stderr).expect("text");
    assert!(stderr.contains("once more to kill at once"), "{stderr}");
    running.signal("INT");
    let ran = running.end();
    assert_eq!(ran.status(), Some(130));
    let summary = ran.summary();
    assert_eq!((&summary["exit_status"], &summary["results"]["interrupted"]["count"]), (&130.into(), &2.into()));
    assert_eq!(summary["results"]["not-started"]["nodes"], "n3");
    ran.assert_nothing_left();
}

#[test]
fn nothing_outlives_a_controller_killed_with_sigkill() {
    let mut running = Phalanx::exec(&["-w", "n[1-20]", STUBBORN]).start();
    for _ in 0..20 {
        running.line();
    }
    running.signal("KILL");
    let ran = running.end();
    assert_eq!(ran.status(), None);
    ran.assert_nothing_left();
}

/// The hardest moment: a child between its birth and its registration.
#[test]
fn nothing_outlives_a_controller_killed_while_it_starts_children_at_full_speed() {
    for _ in 0..20 {
        let arguments = ["--json", "-f", "2000", "-w", "n[1-2000]", "sleep 1000 & sleep 1000"];
        let mut running = Phalanx::exec(&arguments).start();
        for _ in 0..10 {
            running.event("started");
        }
        running.signal("KILL");
        running.end().assert_nothing_left();
    }
}

/// The moment between a start and its telling.
#[test]
fn nobody_is_forgotten_when_a_signal_comes_during_start_up() {
    for _ in 0..20 {
        let mut running = Phalanx::exec(&["--json", "-f", "1000", "-w", "n[1-200]", "sleep 1000"]).start();
        running.event("started");
        running.signal("TERM");
        let ran = running.end();
        let (summary, results) = (ran.summary(), ran.results());
        assert_eq!(results.values().filter(|result| *result == "ok").count(), 0);
        assert_eq!((summary["ok"].as_u64(), summary["failed"].as_u64(), results.len()), (Some(0), Some(200), 200));
        ran.assert_nothing_left();
    }
}

#[test]
fn a_reader_that_pauses_keeps_nobody_from_stopping_the_run() {
    for arguments in [&["-w", "n[1-3]", "yes"][..], &["--json", "-w", "n[1-3]", "yes"], &["-w", "n[1-3]", "yes >&2"]] {
        let mut running = Phalanx::exec(arguments).start();
        // On stderr nobody reads at all here, so there is nothing to wait for but the full pipe: a moment of work.
        if !arguments.contains(&"yes >&2") {
            running.line();
        }
        wait_until("the run writes no more", || running.is_blocked_in_a_write());
        running.signal("INT");
        wait_until("its children are gone", || running.has_no_children());
        running.signal("INT");
        let status = running.child.wait().expect("it can be waited for");
        assert_eq!(status.code(), Some(130), "{arguments:?}");
    }
}

#[test]
fn a_run_that_was_suspended_does_not_take_results_for_timeouts() {
    let mut running = Phalanx::exec(&["--json", "-u", "2", "-w", "n[1-5]", "sleep 1; echo hi"]).start();
    for _ in 0..5 {
        running.event("started");
    }
    running.signal("STOP");
    let began = Instant::now();
    wait_until("the time is over", || began.elapsed() > Duration::from_secs(3));
    running.signal("CONT");
    assert_eq!(running.end().summary()["ok"], 5);
}

#[test]
fn an_ssh_run_can_be_stopped_too() {
    let Some(fleet) = shared_fleet() else { return };
    let mut running = Phalanx::ssh(fleet, &["-w", "node[1-8]", "-f", "4", "echo up; exec sleep 30"]).start();
    for _ in 0..4 {
        running.line();
    }
    running.signal("INT");
    let ran = running.end();
    assert_eq!(ran.status(), Some(130), "{}", ran.stderr());
    ran.assert_nothing_left();
}

#[test]
fn a_stopped_child_is_killed_all_the_same() {
    let directory = tempfile::tempdir().expect("a directory can be made");
    let file = directory.path().join("pid");
    let script = format!("echo $$ > {}; kill -STOP $$; sleep 1000", file.display());
    let running = Phalanx::exec(&["-u", "1", "-w", "n1", &script]).start();
    wait_until("the child has said its pid", || fs::read_to_string(&file).is_ok_and(|text| text.ends_with('\n')));
    let ran = running.end();
    assert_eq!(ran.status(), Some(1));
    ran.assert_nothing_left();
}
