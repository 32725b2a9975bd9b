//! Text from plans, records, hosts and arguments, shown to people: no terminal obeys it, and no order is faked.

use std::fs;

use crate::phalanx::Phalanx;

/// Resets the terminal, begins the line again, sets the title, and turns the rest around. (No bracket closes or opens: in
/// the name of a host those mean a range.)
const HOSTILE: &str = "x\u{1b}c\rfine\u{1b}P0;title\u{7}\u{202e}";

fn assert_harmless(shown: &str) {
    assert_shows(shown, "\\u{1b}c\\rfine");
}

fn assert_shows(shown: &str, escaped: &str) {
    let obeyed = |char: char| (char.is_control() && char != '\n') || ('\u{202a}'..='\u{202e}').contains(&char);
    assert!(!shown.chars().any(obeyed), "a terminal would obey {shown:?}");
    assert!(shown.contains(escaped), "the reader does not see it: {shown:?}");
}

#[test]
fn a_dry_run_of_a_plan_shows_what_would_really_run() {
    let directory = tempfile::tempdir().expect("a directory");
    let plan = directory.path().join("plan.toml");
    let command = HOSTILE.replace('\u{1b}', "\\u001b").replace('\r', "\\r").replace('\u{7}', "\\u0007");
    fs::write(&plan, format!("[[step]]\nlocal = \"echo {command}\"\n")).expect("a file");
    let ran = Phalanx::verb("play", &["--dry-run", plan.to_str().expect("text")]).output();
    assert_eq!(ran.status(), Some(0), "{}", ran.stderr());
    assert_harmless(&ran.stdout());
}

#[test]
fn a_dry_run_of_a_command_shows_what_would_really_run() {
    let ran = Phalanx::exec(&["-w", "n1", "--dry-run", "--", &format!("echo {HOSTILE}")]).output();
    assert_eq!(ran.status(), Some(0), "{}", ran.stderr());
    assert_harmless(&ran.stdout());
}

#[test]
fn what_a_usage_error_quotes_is_visible() {
    let directory = tempfile::tempdir().expect("a directory");
    let hosts = directory.path().join("hosts");
    fs::write(&hosts, format!("{HOSTILE}\n")).expect("a file");
    let ran = Phalanx::exec(&["--hostfile", hosts.to_str().expect("text"), "true"]).output();
    assert_eq!(ran.status(), Some(2), "{}", ran.stderr());
    // A carriage return ends the name.
    assert_shows(&ran.stderr(), "x\\u{1b}c");
}

#[test]
fn what_the_log_quotes_of_a_record_is_visible() {
    let directory = tempfile::tempdir().expect("a directory");
    let record = directory.path().join("record.jsonl");
    let run = ["-w", "n1", "--record", record.to_str().expect("text"), "echo hi"];
    assert_eq!(Phalanx::exec(&run).output().status(), Some(0));
    let text = fs::read_to_string(&record).expect("the record");
    let stream = HOSTILE.replace('\u{1b}', "\\u001b").replace('\r', "\\r").replace('\u{7}', "\\u0007");
    assert!(text.contains("\"stdout\""), "{text}");
    fs::write(&record, text.replace("\"stdout\"", &format!("\"{stream}\""))).expect("a file");
    let ran = Phalanx::report(&[record.to_str().expect("text")]).output();
    assert_harmless(&ran.stderr());
}
