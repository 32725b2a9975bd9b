//! `phalanx run` with `--retries`, `--batch` and `--fail-fast`: who is started when, and what failures lead to.

use std::fs;

use phalanx_tests::shared_fleet;
use serde_json::Value;

use crate::phalanx::Phalanx;

/// Fails until it has been tried so often on that host.
fn fails_until(attempt: u32, directory: &tempfile::TempDir) -> String {
    format!("cd {}; echo x >> %h; echo try $(wc -l < %h); test $(wc -l < %h) -ge {attempt}", directory.path().display())
}

fn place() -> tempfile::TempDir {
    tempfile::tempdir().expect("a directory can be made")
}

#[test]
fn who_fails_is_tried_again_and_the_last_attempt_decides() {
    let directory = place();
    let ran = Phalanx::exec(&["-w", "n[1-2]", "--retries", "2", &fails_until(2, &directory)]).output();
    assert_eq!(ran.status(), Some(0));
    assert!(ran.stdout().contains("n1: try 1\n") && ran.stdout().contains("n1: try 2\n"), "{}", ran.stdout());
    let said = "n1: exited with exit code 1; that was attempt 1 of 3, the next is in ";
    assert!(ran.stderr().contains(said), "{}", ran.stderr());
    // Two hosts are not to come back at the same moment.
    let pauses: Vec<_> =
        ran.stderr().lines().map(|line| line.rsplit_once(" in ").map(|(_, pause)| pause.to_owned())).collect();
    assert!(pauses.len() == 2 && pauses[0] != pauses[1], "{}", ran.stderr());
    let alone = Phalanx::exec(&["-w", "n4", "--retries", "1", "false"]).output();
    assert!(alone.stderr().contains("that was attempt 1 of 2, the next is in 1s"), "{}", alone.stderr());
    let gathered = Phalanx::exec(&["-b", "-w", "n3", "--retries", "2", &fails_until(2, &directory)]).output();
    assert_eq!(gathered.stdout(), "---------------\nn3\n---------------\ntry 2\n", "the attempt that counts");
}

#[test]
fn attempts_are_events_and_a_record_of_them_can_be_run_again() {
    let directory = place();
    let record = directory.path().join("record");
    let record = record.to_str().expect("UTF-8");
    let command = "case %h in n1) echo well;; *) exit 4;; esac";
    let ran = Phalanx::exec(&["--json", "--record", record, "-w", "n[1-2]", "--retries", "1", command]).output();
    let events = ran.events();
    let of = |name: &str| events.iter().filter(|event| event["event"] == name).collect::<Vec<_>>();
    let retry = of("retry");
    assert_eq!(retry.len(), 1);
    let expected: [(&str, Value); 4] =
        [("node", "n2".into()), ("attempt", 1.into()), ("attempts", 2.into()), ("result", "exit".into())];
    for (field, value) in expected {
        assert_eq!(retry[0][field], value, "{field}");
    }
    assert_eq!((of("started").len(), of("ended").len()), (3, 2), "an end for every node, a start for every attempt");
    let again = Phalanx::exec(&["--failed-from", record, "echo again"]).output();
    assert_eq!(again.stdout(), "n2: again\n");
}

#[test]
fn a_host_that_cannot_be_reached_is_tried_again() {
    let Some(fleet) = shared_fleet() else { return };
    let ran = Phalanx::ssh(fleet, &["-w", "refused1", "--retries", "1", "true"]).output();
    assert_eq!(ran.status(), Some(1));
    assert!(ran.stderr().contains("that was attempt 1 of 2"), "{}", ran.stderr());
}

#[test]
fn a_failure_in_a_batch_keeps_the_next_from_starting() {
    let directory = place();
    let command = format!("touch {}/%h; test %h != n2", directory.path().display());
    let ran = Phalanx::exec(&["-w", "n[1-6]", "--batch", "2", "--fail-fast", &command]).output();
    assert_eq!(ran.status(), Some(1));
    let mut touched: Vec<_> = fs::read_dir(directory.path()).expect("a directory").flatten().collect();
    touched.sort_by_key(fs::DirEntry::file_name);
    let touched: Vec<_> = touched.iter().map(|entry| entry.file_name()).collect();
    assert_eq!(touched, ["n1", "n2"]);
    assert!(ran.stderr().contains("n[3-6] (4): not started"), "{}", ran.stderr());
}

#[test]
fn a_budget_of_failures_is_spent_before_the_run_stops() {
    let ran = Phalanx::exec(&["-f", "1", "-w", "n[1-9]", "--fail-fast=3", "test %n -gt 100"]).output();
    assert!(ran.stderr().contains("n[4-9] (6): not started"), "{}", ran.stderr());
}

/// What went wrong the last time is what is told, not that it was called off.
#[test]
fn a_signal_ends_the_pause_before_an_attempt() {
    let mut running = Phalanx::exec(&["--json", "--retries", "60", "-w", "n1", "exit 3"]).start();
    running.event("retry");
    running.event("retry");
    running.signal("INT");
    let ran = running.end();
    assert_eq!(ran.status(), Some(130));
    assert_eq!(ran.summary()["results"]["exit"]["nodes"], "n1");
    ran.assert_nothing_left();
}

#[test]
fn numbers_that_make_no_sense_are_refused() {
    for arguments in [&["--batch", "0"][..], &["--batch", "2,x"], &["--fail-fast=0"], &["--retries", "-1"]] {
        let ran = Phalanx::exec(&[arguments, &["-w", "n1", "true"]].concat()).output();
        assert_eq!(ran.status(), Some(2), "{arguments:?}");
    }
}

#[test]
fn who_was_not_started_is_told_of_once() {
    for gather in [&[][..], &["-b"]] {
        let ran = Phalanx::exec(&[gather, &["-w", "n[1-3]", "-f", "1", "--fail-fast", "false"]].concat()).output();
        assert_eq!(ran.status(), Some(1));
        assert_eq!(ran.stderr().matches("not started").count(), 1, "{gather:?}: {}", ran.stderr());
    }
}

#[test]
fn batches_may_be_of_any_size() {
    let ran = Phalanx::exec(&["-w", "n[1-3]", "--batch", "1,18446744073709551615", "echo hi"]).output();
    assert_eq!((ran.status(), ran.stdout().lines().count()), (Some(0), 3));
}

#[test]
fn a_number_of_failures_is_not_taken_for_a_command() {
    let ran = Phalanx::exec(&["-w", "n1", "--fail-fast", "2", "true"]).output();
    assert_eq!(ran.status(), Some(2));
    assert!(ran.stderr().contains("write --fail-fast=2"), "{}", ran.stderr());
}
