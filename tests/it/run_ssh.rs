//! `phalanx run` through a real OpenSSH server.

use phalanx_tests::shared_fleet;

use crate::phalanx::{Phalanx, kill};

#[test]
fn a_hundred_hosts_speak_at_once_and_no_line_is_lost() {
    let Some(fleet) = shared_fleet() else { return };
    let script = "i=0; while [ $i -lt 1000 ]; do echo {{{host}}} out $i; echo {{{host}}} err $i >&2; i=$((i+1)); done";
    let ran = Phalanx::ssh(fleet, &["-w", "node[1-100]", "-f", "64", script]).output();
    assert_eq!(ran.status(), Some(0), "{}", ran.stderr());
    for (text, stream) in [(ran.stdout(), "out"), (ran.stderr(), "err")] {
        let mut next = [0; 101];
        for line in text.lines() {
            let (label, rest) = line.split_once(": ").expect("every line has a label");
            let host: usize = label["node".len()..].parse().expect("a number");
            assert_eq!(rest, format!("{label} {stream} {}", next[host]));
            next[host] += 1;
        }
        assert!(next[1..].iter().all(|count| *count == 1000), "{stream}: {next:?}");
    }
    ran.assert_nothing_left();
}

#[test]
fn each_host_in_trouble_is_told_apart_and_the_others_are_unaffected() {
    let Some(fleet) = shared_fleet() else { return };
    let script = "case {{{host}}} in node2) exit 3;; node3) kill -KILL $$;; node4) sleep 1000;; node5) exit 255;; esac; echo fine";
    let nodes = "node[1-6],refused1,unresolved1,denied1,changed1,silent1";
    let ran = Phalanx::ssh(fleet, &["--json", "-t", "2", "-u", "20", "-w", nodes, script]).output();
    let expected = [
        ("changed1", "unreachable"),
        ("denied1", "unreachable"),
        ("node1", "ok"),
        ("node2", "exit"),
        ("node3", "signal"),
        ("node4", "timeout"),
        ("node5", "exit"),
        ("node6", "ok"),
        ("refused1", "unreachable"),
        ("silent1", "unreachable"),
        ("unresolved1", "unreachable"),
    ];
    let results: Vec<_> = ran.results().into_iter().collect();
    assert_eq!(results, expected.map(|(node, result)| (node.to_owned(), result.to_owned())), "{}", ran.stdout());
    assert_eq!((ran.status(), &ran.summary()["exit_status"]), (Some(1), &1.into()));
    let message = |node: &str| {
        let events = ran.events();
        let ended = events.iter().find(|event| event["event"] == "ended" && event["node"] == node);
        ended.expect("it ended")["message"].as_str().expect("a sentence").to_owned()
    };
    for (node, said) in [
        ("refused1", "check that sshd runs"),
        ("unresolved1", "check the name"),
        ("denied1", "check the user (-l) and the key (-i)"),
        ("changed1", "update your known hosts"),
        ("silent1", "check that it is up"),
        ("node2", "exit code 3"),
        ("node5", "exit code 255"),
        ("node3", "killed by a signal"),
        ("node4", "command timeout"),
    ] {
        assert!(message(node).contains(said), "{node}: {}", message(node));
    }
    ran.assert_nothing_left();
}

#[test]
fn an_ssh_killed_in_the_middle_is_a_lost_connection() {
    let Some(fleet) = shared_fleet() else { return };
    let script = "case {{{host}}} in node1) echo begun; exec sleep 1000;; *) echo fine;; esac";
    let mut running = Phalanx::ssh(fleet, &["--json", "-w", "node[1-3]", script]).start();
    let pid = loop {
        let event = running.event("started");
        if event["node"] == "node1" {
            break u32::try_from(event["pid"].as_u64().expect("a number")).expect("a pid");
        }
    };
    while running.event("output")["node"] != "node1" {}
    kill("KILL", pid);
    let ran = running.end();
    let summary = ran.summary();
    assert_eq!(summary["results"]["lost"]["nodes"], "node1");
    assert_eq!(summary["results"]["ok"]["count"], 2);
    assert_eq!(ran.status(), Some(1));
}

#[test]
fn what_ssh_says_itself_is_not_mixed_with_what_the_command_says() {
    let Some(fleet) = shared_fleet() else { return };
    let ran = Phalanx::ssh(fleet, &["-w", "node1", "echo err >&2"]).output();
    assert_eq!((ran.stdout(), ran.stderr()), (String::new(), "node1: err\n".to_owned()));
}

#[test]
fn a_host_may_say_its_own_user_and_port() {
    let Some(fleet) = shared_fleet() else { return };
    let me = std::process::Command::new("id").arg("-un").output().expect("id(1) is there").stdout;
    let node = format!("{}@node1", String::from_utf8(me).expect("UTF-8").trim());
    let ran = Phalanx::ssh(fleet, &["-l", "nobody-of-that-name", "-f", "1", "-w", &node, "echo fine"]).output();
    assert_eq!(ran.stdout(), format!("{node}: fine\n"), "{}", ran.stderr());
    let ran = Phalanx::ssh(fleet, &["--json", "-w", "node1:1", "true"]).output();
    assert_eq!(ran.results()["node1:1"], "unreachable");
    let ran = Phalanx::ssh(fleet, &["-w", "node1:0", "true"]).output();
    assert_eq!(ran.status(), Some(2), "{}", ran.stderr());
    let ran = Phalanx::run(&["--dry-run", "-w", "root@[2001:db8::1]:22", "true"]).output();
    assert!(ran.stdout().contains("2001:db8::1"), "{}{}", ran.stdout(), ran.stderr());
}

#[test]
fn a_connector_of_ones_own_gets_the_host_and_the_command_last() {
    let directory = tempfile::tempdir().expect("a directory can be made");
    let stub = directory.path().join("connector");
    let script = "#!/bin/sh\nwhile [ $# -gt 2 ]; do shift; done\necho \"to $1\"; exec sh -c \"$2\"\n";
    std::fs::write(&stub, script).expect("it is ours");
    std::fs::set_permissions(&stub, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("it is ours");
    let stub = stub.to_str().expect("UTF-8");
    let ran = Phalanx::run(&["--ssh", stub, "-f", "1", "-w", "a,b", "echo {{{host}}}; exit 255"]).output();
    assert_eq!(ran.stdout(), "a: to a\na: a\nb: to b\nb: b\n");
    assert!(ran.stderr().contains("a: exited with exit code 255"), "{}", ran.stderr());
}
