//! `phalanx run --record`: what happens is in a file, whatever happens.

use std::fs;
use std::path::Path;

use phalanx_process::result::ResultKind;
use phalanx_tests::{require_program, skip, wait_until};
use serde_json::Value;

use crate::phalanx::Phalanx;

/// The events of a record.
fn events(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).expect("there is a record");
    text.lines().map(|line| serde_json::from_str(line).expect("every line is an object")).collect()
}

/// The summary of a record, as `phalanx report` says it; nothing is to be warned of.
fn summary(path: &Path) -> Value {
    let ran = Phalanx::report(&["--format", "json"]).args([path]).output();
    assert_eq!((ran.status(), ran.stderr().as_str()), (Some(0), ""));
    serde_json::from_str(&ran.stdout()).expect("a report is JSON")
}

#[test]
fn a_record_is_what_json_shows_below_a_line_about_the_run() {
    let directory = tempfile::tempdir().expect("a directory can be made");
    let path = directory.path().join("record");
    let script = "printf 'out\\ntail'; printf '\\377' >&2; exit %n";
    let ran = Phalanx::exec(&["--json", "-w", "n[0-2]", "--record"]).args([&path]).args([script]).output();
    assert_eq!(ran.status(), Some(1), "{}", ran.stderr());
    let timeless = |mut event: Value| {
        event.as_object_mut().expect("an event is an object").remove("time").expect("it has a time");
        event
    };
    let recorded = events(&path);
    let shown: Vec<Value> = ran.events().into_iter().map(timeless).collect();
    assert_eq!(recorded[1..].iter().cloned().map(timeless).collect::<Vec<_>>(), shown);
    let first = &recorded[0];
    assert_eq!((&first["event"], &first["command"], &first["worker"]), (&"run".into(), &script.into(), &"exec".into()));
    assert_eq!(first["hosts"], serde_json::json!(["n0", "n1", "n2"]));
    assert!(first["phalanx"].is_string() && first["time"].as_f64() > Some(1e9), "{first}");
}

#[test]
fn what_was_recorded_before_a_sigkill_is_readable() {
    let directory = tempfile::tempdir().expect("a directory can be made");
    let path = directory.path().join("record");
    let script = "echo up; case %n in ?) ;; *) sleep 1000;; esac";
    let running = Phalanx::exec(&["-q", "-f", "5", "-w", "n[0-29]", "--record"]).args([&path]).args([script]).start();
    let count = |kind: &str| {
        let text = fs::read_to_string(&path).unwrap_or_default();
        text.matches(&format!("\"event\":\"{kind}\"")).count()
    };
    wait_until("ten have ended and five others have spoken", || count("ended") == 10 && count("output") == 15);
    running.signal("KILL");
    running.end().assert_nothing_left();
    let summary = summary(&path);
    assert_eq!((&summary["total"], &summary["ok"], &summary["unfinished"]), (&30.into(), &10.into(), &20.into()));
    assert_eq!(summary["steps"][0]["finished"], false);
    assert_eq!(summary["steps"][0]["results"]["unfinished"]["nodes"], "n[10-29]");
    let text = Phalanx::report(&[]).args([&path]).output().stdout();
    assert!(text.contains("n[10-14] (5): unfinished: started, but the record does not tell its end"), "{text}");
    assert!(text.contains("n[15-29] (15): unfinished: not started when the record ends"), "{text}");
    assert!(text.contains("the record ends before the run"), "{text}");
}

#[test]
fn whoever_was_stopped_is_recorded_too() {
    let directory = tempfile::tempdir().expect("a directory can be made");
    let path = directory.path().join("record");
    let script = "echo up; exec sleep 1000";
    let mut running = Phalanx::exec(&["-f", "1", "-w", "n[1-2]", "--record"]).args([&path]).args([script]).start();
    assert_eq!(running.line().as_deref(), Some("n1: up"));
    running.signal("TERM");
    assert_eq!(running.end().status(), Some(143));
    let step = &summary(&path)["steps"][0];
    assert_eq!((&step["exit_status"], &step["results"]["interrupted"]["nodes"]), (&143.into(), &"n1".into()));
    assert_eq!(step["results"]["not-started"]["nodes"], "n2");
}

#[test]
fn an_existing_record_is_never_touched_and_an_empty_file_is_none() {
    let directory = tempfile::tempdir().expect("a directory can be made");
    let path = directory.path().join("record");
    let run = || Phalanx::exec(&["-w", "n1", "--record"]).args([&path]).args(["echo"]).output();
    fs::write(&path, "").expect("it is ours");
    assert_eq!(run().status(), Some(0));
    let before = fs::read(&path).expect("it was written");
    let ran = run();
    assert_eq!((ran.status(), ran.stdout().as_str()), (Some(2), ""));
    assert!(ran.stderr().contains("record` (--record) is not empty"), "{}", ran.stderr());
    assert_eq!(fs::read(&path).expect("it is there"), before);
}

#[test]
fn nothing_is_started_when_it_cannot_be_recorded() {
    let directory = tempfile::tempdir().expect("a directory can be made");
    let full = directory.path().join("full");
    std::os::unix::fs::symlink("/dev/full", &full).expect("it is ours");
    let read_only = directory.path().join("read-only");
    fs::create_dir(&read_only).expect("it is ours");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o555);
    fs::set_permissions(&read_only, mode).expect("it is ours");
    // Root may write into any directory of ours; into this one nobody may.
    let read_only = if nix::unistd::geteuid().is_root() { Path::new("/sys/kernel") } else { &read_only };
    let (missing, mark) = (directory.path().join("missing/record"), directory.path().join("started"));
    let touch = format!("touch {}", mark.display());
    for (path, reason) in [
        (full.as_path(), "No space left on device"),
        (&read_only.join("record"), ""),
        (&missing, "No such file or directory"),
        (directory.path(), "Is a directory"),
    ] {
        let ran = Phalanx::exec(&["-w", "n1", "--record"]).args([path]).args([&touch]).output();
        assert_eq!(ran.status(), Some(2), "{}", path.display());
        let said = ran.stderr();
        assert!(said.contains(&format!("cannot record into `{}`", path.display())) && said.contains(reason), "{said}");
    }
    assert!(!mark.exists(), "nothing was to be started");
}

/// What all hosts say is more than the record may hold.
const TALK: &str = "-f 1 -w 'n[1-20]' 'i=0; while [ $i -lt 100 ]; do echo one of many lines; i=$((i+1)); done'";

/// The run went on, said once that its record has gaps, and failed; what is in the record can be read.
fn assert_goes_on(ran: &crate::phalanx::Ran, path: &Path, reason: &str) {
    let (said, shown) = (ran.stderr(), ran.stdout());
    assert_eq!(shown.matches("one of many lines").count(), 20 * 100, "the run goes on: {said}");
    assert_eq!(said.matches("cannot record into").count(), 1, "{said}");
    assert!(said.contains(reason), "{said}");
    assert!(shown.ends_with("status 1\n"), "{shown}");
    let report = Phalanx::report(&["--format", "json"]).args([path]).output();
    assert_eq!(report.status(), Some(0), "{}", report.stderr());
    let report: Value = serde_json::from_str(&report.stdout()).expect("a report is JSON");
    assert_eq!(report["total"], 20);
    assert!(report["ok"].as_u64() > Some(0) && report["unfinished"].as_u64() > Some(0), "{report}");
}

#[test]
fn a_run_goes_on_when_its_record_may_not_grow_and_fails_for_it() {
    let directory = tempfile::tempdir().expect("a directory can be made");
    let path = directory.path().join("record");
    let line =
        format!("trap '' XFSZ; ulimit -f 64; $PHALANX run -R exec --record {} {TALK}; echo status $?", path.display());
    assert_goes_on(&Phalanx::shell(&line).output(), &path, "File too large");
}

#[test]
fn a_run_goes_on_when_the_disk_is_full_and_fails_for_it() {
    if !nix::unistd::geteuid().is_root() {
        return skip("only root may mount a small disk");
    }
    if require_program("unshare", "util-linux").is_none() {
        return;
    }
    let directory = tempfile::tempdir().expect("a directory can be made");
    let (disk, copy) = (directory.path().join("disk"), directory.path().join("copy"));
    fs::create_dir(&disk).expect("it is ours");
    let line = format!(
        "unshare --mount bash -c \"mount -t tmpfs -o size=64k tmpfs {disk} || exit 99; \
         $PHALANX run -R exec --record {disk}/record {}; echo status \\$?; cp {disk}/record {copy}\"",
        TALK.replace('$', "\\$"),
        disk = disk.display(),
        copy = copy.display(),
    );
    let ran = Phalanx::shell(&line).output();
    if ran.status() == Some(99) {
        return skip("this machine does not let root mount a small disk");
    }
    assert_goes_on(&ran, &copy, "No space left on device");
}

/// The words are a part of the schema: none is missing from its description.
#[test]
fn every_word_for_a_result_is_documented() {
    let document = include_str!("../../docs/json.md");
    for kind in ResultKind::ALL {
        assert!(document.contains(&format!("| `{kind}` |")), "docs/json.md does not have `{kind}`");
    }
}
