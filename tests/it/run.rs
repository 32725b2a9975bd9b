//! `phalanx run -R exec`: output, ends, wrong usage; everything that needs no server.

use std::fs;

use phalanx_tests::child;
use serde_json::Value;

use crate::phalanx::Phalanx;

/// The command line of one of our children.
fn command(name: &str, arguments: &str) -> String {
    format!("{} {arguments}", child(name).display())
}

#[test]
fn every_line_has_its_host_and_its_stream() {
    let ran = Phalanx::exec(&["-w", "n[1-3]", "-f", "1", "echo out %h; echo err %n >&2"]).output();
    assert_eq!(ran.stdout(), "n1: out n1\nn2: out n2\nn3: out n3\n");
    assert_eq!(ran.stderr(), "n1: err 0\nn2: err 1\nn3: err 2\n");
    assert_eq!(ran.status(), Some(0));
    let plain = Phalanx::exec(&["-N", "-w", "n[1-2]", "-f", "1", "echo", "%h"]).output();
    assert_eq!(plain.stdout(), "n1\nn2\n");
}

#[test]
fn the_words_after_the_options_are_joined_and_a_shell_reads_them() {
    for arguments in
        [&["-w", "n", "--", "echo", "$((1+1))", ";", "echo", "-v"][..], &["-w", "n", "echo $((1+1)); echo -v"]]
    {
        assert_eq!(Phalanx::exec(arguments).output().stdout(), "n: 2\nn: -v\n");
    }
}

#[test]
fn every_host_has_its_value_of_a_list() {
    let ran = Phalanx::exec(&[
        "-w",
        "n[1-4]",
        "-f",
        "1",
        "--set",
        "a=1,2",
        "--set",
        "b=x",
        "--set",
        "b=y,z",
        "echo {{a}}{{b}}",
    ]);
    assert_eq!(ran.output().stdout(), "n1: 1x\nn2: 2y\nn3: 1z\nn4: 2x\n");
    for (set, expected) in [
        ("a", "expected NAME=A,B,C"),
        ("1a=b", "`1a` cannot be a name"),
        ("host=b", "`host` cannot be a name"),
        ("b=c", "`{{a}}` names no list; known are b"),
    ] {
        let ran = Phalanx::exec(&["-w", "n", "--set", set, "echo {{a}}"]).output();
        assert!(ran.stderr().contains(expected), "{}", ran.stderr());
        assert_eq!(ran.status(), Some(2));
    }
}

#[test]
fn hosts_are_worked_on_in_the_order_given_less_the_excluded() {
    let ran = Phalanx::exec(&["-w", "b[2-4],a1", "-w", "c", "-x", "b3,zz", "-f", "1", "echo"]).output();
    assert_eq!(ran.stdout(), "b2: \nb4: \na1: \nc: \n");
}

#[test]
fn no_line_is_lost_mixed_or_attributed_to_another_host() {
    let script = "i=0; while [ $i -lt 1000 ]; do echo %h out $i; echo %h err $i >&2; i=$((i+1)); done";
    let ran = Phalanx::exec(&["-w", "n[1-100]", "-f", "64", script]).output();
    for (text, stream) in [(ran.stdout(), "out"), (ran.stderr(), "err")] {
        let mut next = [0; 101];
        for line in text.lines() {
            let (label, rest) = line.split_once(": ").expect("every line has a label");
            let host: usize = label[1..].parse().expect("a number");
            assert_eq!(rest, format!("{label} {stream} {}", next[host]));
            next[host] += 1;
        }
        assert!(next[1..].iter().all(|count| *count == 1000), "{stream}: {next:?}");
    }
}

#[test]
fn every_byte_survives_in_json_and_in_files() {
    let directory = tempfile::tempdir().expect("a directory can be made");
    let (all, out) = (directory.path().join("all"), directory.path().join("out"));
    let bytes: Vec<u8> = (0..=255).chain(0..=255).chain(*b"tail").collect();
    fs::write(&all, &bytes).expect("it is ours");
    let cat = format!("cat {0}; cat {0} >&2", all.display());
    let ran = Phalanx::exec(&["--json", "--output-dir"]).args([&out]).args(["-w", "n[1-2]", &cat]).output();
    assert_eq!(ran.status(), Some(0), "{}", ran.stderr());
    for node in ["n1", "n2"] {
        for (stream, ending) in [("stdout", "out"), ("stderr", "err")] {
            assert_eq!(said(&ran.events(), node, stream), bytes);
            assert_eq!(fs::read(out.join(format!("{node}.{ending}"))).expect("it was written"), bytes);
        }
    }
}

/// What a node said on a stream, put together from the events.
fn said(events: &[Value], node: &str, stream: &str) -> Vec<u8> {
    let outputs = events.iter().filter(|event| event["event"] == "output" && event["node"] == node);
    let bytes = |event: &Value| match (event["text"].as_str(), event["base64"].as_str()) {
        (Some(text), None) => text.as_bytes().to_vec(),
        (None, Some(coded)) => decode(coded),
        _ => panic!("either text or base64: {event}"),
    };
    outputs.filter(|event| event["stream"] == stream).flat_map(bytes).collect()
}

/// base64(1), so that the test does not use the coder it tests.
fn decode(coded: &str) -> Vec<u8> {
    let line = format!("printf %s '{coded}' | base64 -d");
    std::process::Command::new("sh").args(["-c", &line]).output().expect("base64(1) is there").stdout
}

#[test]
fn each_end_is_reported_as_what_it_is() {
    let script = "case %h in bad) exit 3;; killed) kill -KILL $$;; slow) sleep 1000;; stubborn) trap '' TERM; sleep 1000;; *) :;; esac";
    let arguments = ["-u", "1", "--json", "-w", "fine,bad,killed,slow,stubborn", script];
    let ran = Phalanx::exec(&arguments).output();
    let expected =
        [("bad", "exit"), ("fine", "ok"), ("killed", "signal"), ("slow", "timeout"), ("stubborn", "timeout")];
    let results: Vec<_> = ran.results().into_iter().collect();
    assert_eq!(results, expected.map(|(node, result)| (node.to_owned(), result.to_owned())));
    let summary = ran.summary();
    assert_eq!((&summary["total"], &summary["failed"], &summary["exit_status"]), (&5.into(), &4.into(), &1.into()));
    assert_eq!(summary["results"]["timeout"]["nodes"], "slow,stubborn");
    assert_eq!(ran.status(), Some(1));
    ran.assert_nothing_left();
}

#[test]
fn the_largest_status_counts_on_demand() {
    for (script, status) in
        [("exit %n", 3), ("true", 0), ("kill -TERM $$", 143), ("case %n in 0) sleep 100;; *) exit 7;; esac", 255)]
    {
        assert_eq!(
            Phalanx::exec(&["-S", "-u", "1", "-w", "n[0-3]", script]).output().status(),
            Some(status),
            "{script}"
        );
    }
}

#[test]
fn a_program_that_cannot_be_executed_is_no_crash() {
    for (program, status) in [("/no/such/program", 127), ("/etc/passwd", 126), ("no-such-command", 127)] {
        let ran = Phalanx::exec(&["-S", "-w", "n", program]).output();
        assert_eq!(ran.status(), Some(status), "{program}: {}", ran.stderr());
    }
}

#[test]
fn identical_output_is_gathered_as_clush_does() {
    let script = "case %h in n5) echo other; exit 2;; n4) ;; *) echo same; echo two; echo err >&2;; esac";
    let ran = Phalanx::exec(&["-b", "-w", "n[1-5]", script]).output();
    let rule = "---------------\n";
    assert_eq!(ran.stdout(), format!("{rule}n[1-3] (3)\n{rule}same\ntwo\n{rule}n5\n{rule}other\n"));
    assert_eq!(ran.stderr(), format!("{rule}n[1-3] (3)\n{rule}err\nphalanx: n5: exited with exit code 2\n"));
    assert_eq!(ran.status(), Some(1));
}

#[test]
fn what_a_host_said_before_its_timeout_is_gathered_too() {
    let ran = Phalanx::exec(&["-b", "-u", "1", "-w", "n1", "echo begun; sleep 1000"]).output();
    assert!(ran.stdout().contains("begun"), "{}", ran.stdout());
}

#[test]
fn a_child_that_closes_its_streams_and_goes_on_is_waited_for() {
    let ran = Phalanx::exec(&["--json", "-w", "n1", &command("closer", "exit-on-term")]).args(["-u", "1"]).output();
    // The words after the command belong to it, so the timeout must come before: see the next run.
    assert!(ran.status().is_some());
    let ran = Phalanx::exec(&["--json", "-u", "1", "-w", "n1", "exec >&- 2>&-; sleep 1000"]).output();
    assert_eq!(ran.results()["n1"], "timeout");
    ran.assert_nothing_left();
}

#[test]
fn a_grandchild_that_keeps_the_pipe_neither_holds_the_run_up_nor_survives_it() {
    let ran = Phalanx::exec(&["-w", "n[1-3]", "sleep 1000 & echo done"]).output();
    assert_eq!(ran.status(), Some(0));
    assert_eq!(ran.stdout().lines().filter(|line| line.ends_with(": done")).count(), 3);
    ran.assert_nothing_left();
}

#[test]
fn a_gigabyte_without_a_newline_passes_through() {
    let ran =
        Phalanx::shell("$PHALANX run -R exec -N -w n1 'head -c 1073741824 /dev/zero' | tr -d '\\n' | wc -c").output();
    assert_eq!(ran.stdout().trim(), "1073741824");
}

#[test]
fn a_host_that_says_nothing_and_reads_nothing_ends_all_the_same() {
    let ran = Phalanx::exec(&["-f", "1", "-w", "n[1-2]", "cat; wc -c"]).output();
    assert_eq!(ran.stdout(), "n1: 0\nn2: 0\n".to_owned());
}

#[test]
fn wrong_usage_is_one_sentence_and_starts_nothing() {
    let directory = tempfile::tempdir().expect("a directory can be made");
    let started = directory.path().join("started");
    let touch = format!("touch {}", started.display());
    let key = directory.path().to_str().expect("UTF-8");
    let cases: &[&[&str]] = &[
        &["-w", "n[1-", "X"],
        &["-w", "", "X"],
        &["-w", "n1", "-x", "n1", "X"],
        &["-w", "n1", "-x", "n[", "X"],
        &["-w", "n1", "-f", "0", "X"],
        &["-w", "n1", "-f", "many", "X"],
        &["-w", "n1", "-u", "soon", "X"],
        &["-w", "n1", "-p", "0", "X"],
        &["-w", "n1", "-p", "70000", "X"],
        &["-w", "n1", "-R", "rsh", "X"],
        &["-w", "n1", "-R", "ssh", "-i", key, "X"],
        &["-w", "n1", "-R", "ssh", "-i", "/no/such/key", "X"],
        &["-w", "n1", "-R", "ssh", "-F", "/no/such/config", "X"],
        &["-w", "n1", "-R", "ssh", "--ssh", "/no/such/ssh", "X"],
        &["-w", "n1", "--output-dir", "/proc/no/such", "X"],
        &["-w", "n1", "--no-such-flag", "X"],
        &["-w", "n1", "{{unknown}} X"],
        &["-w", "n1"],
        &["-w", "n1", ""],
        &["-w", "n1", "-b", "--json", "X"],
        &["-w", "-n1", "X"],
        &["-w", "a;b", "X"],
        &["-w", "..", "X"],
        &["X"],
    ];
    for case in cases {
        let arguments: Vec<_> = case.iter().map(|word| word.replace('X', &touch)).collect();
        let default: &[&str] = if case.contains(&"-R") { &[] } else { &["-R", "exec"] };
        let ran = Phalanx::run(default).args(&arguments).output();
        assert_eq!(ran.status(), Some(2), "{case:?}: {}", ran.stderr());
        assert!(ran.stderr().lines().count() == 1 && ran.stdout().is_empty(), "{case:?}: {}", ran.stderr());
        assert!(!started.exists(), "{case:?} started something");
    }
}

#[test]
fn a_dry_run_shows_every_command_and_starts_nothing() {
    let ran = Phalanx::exec(&["--dry-run", "-w", "n[1-100000]", "echo %h"]).output();
    assert_eq!(ran.stdout().lines().count(), 100_000);
    assert!(ran.stdout().ends_with("n100000: /bin/sh -c 'echo n100000'\n"));
    let ran = Phalanx::run(&["--dry-run", "-l", "me", "-p", "22", "-w", "n1", "a 'b'"]).output();
    assert!(ran.stdout().starts_with("n1: ssh ") && ran.stdout().contains("-l me -p 22"), "{}", ran.stdout());
}

#[test]
fn a_report_is_execos_table() {
    let ran = Phalanx::exec(&["--report", "-w", "n[1-4]", "exit %n"]).output();
    let lines: Vec<_> = ran.stdout().lines().map(str::to_owned).collect();
    assert_eq!(lines.len(), 8);
    assert!(lines.iter().all(|line| line.len() == 79), "{lines:#?}");
    let counts: Vec<_> = lines[7].split_whitespace().collect();
    assert_eq!(counts[counts.len() - 9..], ["4", "4", "0", "0", "0", "0", "0", "3", "1"]);
}

#[test]
fn nobody_reading_stdout_ends_the_run() {
    let line = "$PHALANX run -R exec -w 'n[1-4]' 'yes' | head -n 3; echo ${PIPESTATUS[0]}";
    let ran = Phalanx::shell(line).output();
    let lines: Vec<_> = ran.stdout().lines().map(str::to_owned).collect();
    assert_eq!((lines.len(), lines[3].as_str()), (4, "141"), "{lines:?} {}", ran.stderr());
    ran.assert_nothing_left();
}

#[test]
fn a_full_disk_loses_no_output_in_silence() {
    let ran = Phalanx::exec(&["--json", "--output-dir", "/dev/shm/phalanx-test-full", "-w", "n1", "echo x"]);
    let directory = "/dev/shm/phalanx-test-full";
    fs::create_dir_all(directory).expect("shared memory is there");
    // A device that is always full, where the file of n1 would be.
    let link = format!("{directory}/n1.out");
    let _ = fs::remove_file(&link);
    std::os::unix::fs::symlink("/dev/full", &link).expect("it is ours");
    let ran = ran.output();
    fs::remove_dir_all(directory).expect("it is ours");
    assert_eq!((ran.status(), ran.results()["n1"].as_str()), (Some(1), "output-lost"), "{}", ran.stdout());
}

#[test]
fn a_full_disk_on_stdout_is_our_failure_and_is_said() {
    let ran = Phalanx::shell("$PHALANX run -R exec -w 'n[1-2]' 'echo x; sleep 1000' > /dev/full").output();
    assert_eq!(ran.status(), Some(3));
    assert!(ran.stderr().contains("No space left"), "{}", ran.stderr());
    ran.assert_nothing_left();
}

#[test]
fn a_named_pipe_where_a_file_should_be_does_not_hold_the_run_up() {
    let directory = tempfile::tempdir().expect("a directory can be made");
    let pipe = directory.path().join("n1.out");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().expect("mkfifo(1) is there").success());
    let ran = Phalanx::exec(&["--json", "--output-dir"]).args([directory.path()]).args(["-w", "n[1-2]", "echo x"]);
    let ran = ran.output();
    assert_eq!((ran.results()["n1"].as_str(), ran.results()["n2"].as_str()), ("output-lost", "ok"));
}

#[test]
fn a_line_without_end_stays_one_line() {
    let ran = Phalanx::shell("$PHALANX run -R exec -w n1 'head -c 3000000 /dev/zero; echo' | wc -lc").output();
    assert_eq!(ran.stdout().split_whitespace().collect::<Vec<_>>(), ["1", "3000005"]);
}

#[test]
fn a_command_that_begins_with_a_dash_is_no_option_of_the_shell() {
    let ran = Phalanx::exec(&["-S", "-w", "n1", "--", "-x"]).output();
    assert_eq!(ran.status(), Some(127), "{}", ran.stderr());
}

#[test]
fn what_a_command_leaves_running_is_told_and_may_have_a_last_word() {
    let ran = Phalanx::exec(&["-w", "n1", "(sleep 0.3; echo late; exec sleep 1000) & echo early"]).output();
    assert_eq!((ran.stdout().as_str(), ran.status()), ("n1: early\nn1: late\n", Some(0)));
    assert!(ran.stderr().contains("it left something running"), "{}", ran.stderr());
    ran.assert_nothing_left();
}

#[test]
fn five_thousand_processes_run_at_once() {
    let mut running = Phalanx::exec(&["--json", "-f", "5000", "-w", "n[1-5000]", "exec sleep 1000"]).start();
    for _ in 0..5000 {
        running.event("started");
    }
    running.signal("TERM");
    let ran = running.end();
    assert_eq!(ran.status(), Some(143));
    ran.assert_nothing_left();
}

#[test]
fn a_shortage_of_descriptors_slows_the_run_and_fails_nobody() {
    let line = "ulimit -n 256; exec $PHALANX run -R exec --json -f 5000 -w 'n[1-5000]' 'echo x; echo y >&2'";
    let ran = Phalanx::shell(line).output();
    assert_eq!(ran.status(), Some(0), "{}", ran.stderr());
    assert_eq!(ran.summary()["ok"], 5000);
}

#[test]
fn a_status_line_comes_and_goes_on_a_terminal() {
    let line = "script -qec \"$PHALANX run -R exec -f 1 -w 'n[1-3]' 'sleep 0.5; echo done'\" /dev/null";
    let text = Phalanx::shell(line).env("NO_COLOR", "1").output().stdout();
    assert!(text.contains("1/3 done, 0 failed, 1 running"), "{text:?}");
    assert!(text.contains("\r\u{1b}[Kn2: done") && !text.contains("\u{1b}[94m"), "{text:?}");
    let coloured = Phalanx::shell(line).output().stdout();
    assert!(coloured.contains("\u{1b}[94mn1: \u{1b}[0mdone"), "{coloured:?}");
}
