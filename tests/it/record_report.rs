//! `phalanx report` and `phalanx run --failed-from`: what can be done with a record.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use phalanx_tests::require_program;
use serde_json::Value;
use tempfile::TempDir;

use crate::phalanx::{Phalanx, Ran};

/// A private directory with a record of a run in it, in which some hosts failed.
struct Recorded(TempDir);

impl Recorded {
    fn new() -> Self {
        let recorded = Self(tempfile::tempdir().expect("a directory can be made"));
        let script = "echo \"<out> of %h\"; case %h in n2|n4) echo \"]]> err\" >&2; exit 3;; n5) kill -KILL $$;; esac";
        let run = Phalanx::exec(&["-q", "-w", "n[1-6]", "--record"]).args([recorded.path("record")]).args([script]);
        assert_eq!(run.output().status(), Some(1));
        recorded
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn report(&self, arguments: &[&str]) -> Ran {
        Phalanx::report(arguments).args([self.path("record")]).output()
    }

    /// The hosts that run again, in order.
    fn again(&self, arguments: &[&str]) -> Ran {
        Phalanx::exec(&["-f", "1", "-N", "--failed-from"]).args([self.path("record")]).args(arguments).output()
    }
}

#[test]
fn the_text_is_a_table_and_who_failed_why() {
    let recorded = Recorded::new();
    let ran = recorded.report(&[]);
    assert_eq!((ran.status(), ran.stderr().as_str()), (Some(0), ""));
    let text = ran.stdout();
    assert_eq!(text.lines().filter(|line| line.starts_with("Report ")).count(), 1, "{text}");
    assert!(text.contains("6      6      0      0      0      0      0      3      3 "), "{text}");
    assert!(text.contains("6 hosts: 3 ok, 3 failed, 0 unfinished; exit status 1"), "{text}");
    assert!(text.contains("  n[2,4] (2): exited with exit code 3\n  n5: killed by SIGKILL\n"), "{text}");
}

#[test]
fn the_table_is_the_one_that_the_run_itself_shows() {
    let recorded = Recorded::new();
    let script = "trap '' TERM; case %n in 0) sleep 100;; *) exit %n;; esac";
    let run = Phalanx::exec(&["--report", "-q", "-u", "1", "-w", "n[1-3]", "--record"]).args([recorded.path("other")]);
    let shown = run.args([script]).output().stdout();
    let reported = Phalanx::report(&[]).args([recorded.path("other")]).output().stdout();
    // The lengths may differ by rounding; the counts may not.
    let counts = |text: &str| {
        let lines = text.lines().take(8).filter(|line| line.starts_with(' ')).map(|line| line[16..].to_owned());
        lines.collect::<Vec<_>>()
    };
    assert_eq!(counts(&reported), counts(&shown), "{reported}\n{shown}");
}

#[test]
fn json_says_what_became_of_every_host() {
    let report: Value = serde_json::from_str(&Recorded::new().report(&["--format", "json"]).stdout()).expect("JSON");
    let [step] = &report["steps"].as_array().expect("steps")[..] else { panic!("one step: {report}") };
    assert_eq!((&step["finished"], &step["exit_status"], &step["failed"]), (&true.into(), &1.into(), &3.into()));
    let results: Vec<_> = step["hosts"].as_array().expect("hosts").iter().map(|host| &host["result"]).collect();
    assert_eq!(results, ["ok", "exit", "ok", "exit", "signal", "ok"]);
    let n2 = &step["hosts"][1];
    assert_eq!((&n2["node"], &n2["exit_code"], &n2["ok"]), (&"n2".into(), &3.into(), &false.into()));
    assert_eq!(n2["output_bytes"], "<out> of n2\n]]> err\n".len());
}

#[test]
fn junit_is_read_by_an_xml_parser() {
    let Some(python) = require_program("python3", "python3") else { return };
    let recorded = Recorded::new();
    let file = recorded.path("report.xml");
    let ran = recorded.report(&["-o", &file.display().to_string()]);
    assert_eq!((ran.status(), ran.stdout().as_str()), (Some(0), ""));
    let script = "import sys, xml.etree.ElementTree as tree
suite = tree.parse(sys.argv[1]).getroot()[0]
print(suite.get('tests'), suite.get('failures'), suite.get('errors'), suite.get('skipped'))
for case in suite: print(case.get('name'), [(child.tag, child.get('message') or child.text) for child in case])";
    let output = Command::new(python).args(["-c", script]).arg(&file).output().expect("python3 can be started");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let n2 =
        "n2 [('failure', 'exited with exit code 3'), ('system-out', '<out> of n2\\n'), ('system-err', ']]> err\\n')]";
    assert!(said.starts_with("6 3 0 0\n") && said.contains(n2), "{said}");
}

#[test]
fn a_report_replaces_another_whole_or_not_at_all() {
    let recorded = Recorded::new();
    let page = recorded.path("page.html");
    fs::write(&page, "before").expect("it is ours");
    let line = |limit: &str| {
        let (page, record) = (page.display(), recorded.path("record").display().to_string());
        Phalanx::shell(&format!("trap '' XFSZ; ulimit -f {limit}; exec $PHALANX report -o {page} {record}")).output()
    };
    let ran = line("1");
    assert_eq!(ran.status(), Some(3));
    assert!(
        ran.stderr().contains("cannot write the report to") && ran.stderr().contains("page.html"),
        "{}",
        ran.stderr()
    );
    assert_eq!(fs::read_to_string(&page).expect("it is there"), "before");
    assert_eq!(fs::read_dir(recorded.0.path()).expect("ours").count(), 2, "nothing else is left behind");
    assert_eq!(line("unlimited").status(), Some(0));
    assert!(fs::read_to_string(&page).expect("it is there").starts_with("<!doctype html>"));
    let link = recorded.path("link.html");
    std::os::unix::fs::symlink(&page, &link).expect("it is ours");
    fs::write(&page, "before").expect("it is ours");
    assert_eq!(recorded.report(&["-o", &link.display().to_string()]).status(), Some(0));
    assert!(fs::symlink_metadata(&link).expect("it is there").is_symlink(), "a link is followed");
    assert!(fs::read_to_string(&page).expect("it is there").starts_with("<!doctype html>"));
    let direct = recorded.report(&["--format", "text", "-o", "/dev/stdout"]);
    assert!(direct.stdout().starts_with("Name "), "what is no file is written to, not replaced");
}

#[test]
fn lines_that_are_no_events_are_skipped_with_one_warning() {
    let recorded = Recorded::new();
    let mut text = fs::read(recorded.path("record")).expect("it was written");
    let second = text.iter().position(|byte| *byte == b'\n').expect("there are lines") + 1;
    text.splice(second..second, *b"garbage\n\xff\n");
    text.extend(b"{\"version\":1,\"ti");
    fs::write(recorded.path("record"), text).expect("it is ours");
    let ran = recorded.report(&["--format", "json"]);
    assert_eq!(ran.status(), Some(0));
    let (said, path) = (ran.stderr(), recorded.path("record"));
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.contains(&format!("{}: line 2 is skipped", path.display())) && said.contains("1 more"), "{said}");
    let report: Value = serde_json::from_str(&ran.stdout()).expect("JSON");
    assert_eq!((&report["ok"], &report["failed"], &report["unfinished"]), (&3.into(), &3.into(), &0.into()));
}

#[test]
fn what_is_no_record_is_refused_and_an_empty_one_is_said_to_be_empty() {
    let recorded = Recorded::new();
    fs::write(recorded.path("list"), "n1\nn2\n").expect("it is ours");
    for (path, reason) in [("list", "line 1"), ("missing", "No such file"), (".", "directory")] {
        let ran = Phalanx::report(&[]).args([recorded.path(path)]).output();
        assert_eq!((ran.status(), ran.stdout().as_str()), (Some(2), ""), "{path}");
        assert!(ran.stderr().contains(reason) && ran.stderr().contains("cannot read the record"), "{}", ran.stderr());
    }
    fs::write(recorded.path("list"), "").expect("it is ours");
    let ran = Phalanx::report(&[]).args([recorded.path("list")]).output();
    assert_eq!(ran.status(), Some(0));
    assert!(ran.stderr().contains("nothing is recorded in it"), "{}", ran.stderr());
}

#[test]
fn many_records_make_one_report_and_json_through_a_pipe_is_a_record() {
    let recorded = Recorded::new();
    let ran = Phalanx::report(&["--format", "json"]).args([recorded.path("record"), recorded.path("record")]).output();
    let report: Value = serde_json::from_str(&ran.stdout()).expect("JSON");
    assert_eq!((&report["total"], report["steps"].as_array().map(Vec::len)), (&12.into(), Some(2)));
    let line = "$PHALANX run -R exec --json -w 'n[1-3]' 'exit %n' | $PHALANX report --format json -";
    let report: Value = serde_json::from_str(&Phalanx::shell(line).output().stdout()).expect("JSON");
    assert_eq!((&report["total"], &report["failed"]), (&3.into(), &2.into()));
    assert_eq!(report["steps"][0]["command"], Value::Null);
}

#[test]
fn hosts_that_failed_run_again_with_the_command_given_or_recorded() {
    let recorded = Recorded::new();
    assert_eq!(recorded.again(&["echo %h"]).stdout(), "n2\nn4\nn5\n");
    assert_eq!(recorded.again(&["-x", "n4", "echo %h"]).stdout(), "n2\nn5\n");
    assert_eq!(recorded.again(&["-w", "n[1-4]", "echo %h"]).stdout(), "n2\nn4\n");
    let ran = recorded.again(&[]);
    assert_eq!((ran.status(), ran.stdout().as_str()), (Some(1), "<out> of n2\n<out> of n4\n<out> of n5\n"));
    let ran = Phalanx::run(&["--failed-from"]).args([recorded.path("record")]).output();
    assert_eq!(ran.status(), Some(2));
    assert!(ran.stderr().contains("was run with -R exec"), "{}", ran.stderr());
}

#[test]
fn with_no_failed_host_nothing_is_started_and_all_is_well() {
    let recorded = Recorded::new();
    for arguments in [&["-w", "n[1,3]", "touch started"][..], &["-x", "n[1-9]", "touch started"]] {
        let ran = recorded.again(arguments);
        assert_eq!((ran.status(), ran.stdout().as_str()), (Some(0), ""));
        assert!(ran.stderr().contains("nothing is run again"), "{}", ran.stderr());
    }
    assert!(!Path::new("started").exists());
}

#[test]
fn who_did_not_end_runs_again_and_who_did_in_the_end_does_not() {
    let recorded = Recorded::new();
    let whole = fs::read_to_string(recorded.path("record")).expect("it was written");
    let cut: String = whole.lines().take(1).map(|line| format!("{line}\n")).collect();
    fs::write(recorded.path("record"), cut).expect("it is ours");
    assert_eq!(recorded.again(&["echo %h"]).stdout(), "n1\nn2\nn3\nn4\nn5\nn6\n");
    let better = recorded.path("better");
    let run = Phalanx::exec(&["-q", "-w", "n[1-4]", "--record"]).args([&better]).args(["true"]).output();
    assert_eq!(run.status(), Some(0));
    let both = whole + &fs::read_to_string(better).expect("it was written");
    fs::write(recorded.path("record"), both).expect("it is ours");
    assert_eq!(recorded.again(&["echo %h"]).stdout(), "n5\n");
}

#[test]
fn a_name_from_a_record_is_looked_at_like_a_typed_one() {
    let recorded = Recorded::new();
    for name in ["-oProxyCommand=touch${IFS}started", "n1;touch started", "../n1"] {
        let run = serde_json::json!({"version": 1, "time": 1, "event": "run", "command": "echo %h", "hosts": [name]});
        fs::write(recorded.path("record"), format!("{run}\n")).expect("it is ours");
        let ran = recorded.again(&["echo %h"]);
        assert_eq!((ran.status(), ran.stdout().as_str()), (Some(2), ""), "{name}");
        assert!(ran.stderr().contains("is not a host"), "{}", ran.stderr());
    }
}
