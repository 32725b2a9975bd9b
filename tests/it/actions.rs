//! Actions on hosts behind a real OpenSSH: the checks R of the inventory of execo, and `RemoteSerial`.

use std::fs;
use std::time::Duration;

use phalanx_action::action::{AfterFailure, Parallel, Sequential, filter_bad_hosts};
use phalanx_action::files::{Get, Put};
use phalanx_action::local::Local;
use phalanx_action::remote::{Remote, RemoteSerial};
use phalanx_action::substitute::Lists;
use phalanx_process::event::{Kill, Stream};
use phalanx_process::result::ResultKind;
use phalanx_process::serial::Serial;
use phalanx_process::spec::Stdin;
use phalanx_process::ssh::SshOptions;
use phalanx_tests::{shared_fleet, wait_until};

use crate::cable::Cable;
use crate::ssh::params;

/// Long enough for anything that comes at all.
const LONG: Duration = Duration::from_secs(120);

fn said(process: &phalanx_process::Process) -> String {
    String::from_utf8_lossy(&process.stdout()).into_owned()
}

/// R1, R7, R8: the host, lists that wrap around, a host named twice, and no host at all.
#[test]
fn hosts_and_lists_are_substituted_and_a_host_may_come_twice() {
    let Some(fleet) = shared_fleet() else { return };
    let mut lists = Lists::default();
    lists.insert("port", ["7", "8"].map(str::to_owned).to_vec()).expect("a list");
    let hosts = ["node1", "node2", "node3", "node2", "node5"];
    let remote = Remote::new("echo {{{host}}} {{port}}", hosts).params(params(fleet)).lists(lists);
    let action = remote.build().expect("it can be").run();
    let said: Vec<_> = action.processes().iter().map(said).collect();
    assert_eq!(said, ["node1 7\n", "node2 8\n", "node3 7\n", "node2 8\n", "node5 7\n"]);
    assert!(Remote::new("true", [""; 0]).build().expect("it can be").run().finished_ok());
}

/// R2, item 136: one that fails and one that cannot be reached.
#[test]
fn bad_hosts_are_found_and_left_out() {
    let Some(fleet) = shared_fleet() else { return };
    let hosts = ["node1", "node2", "refused1"];
    let action = Remote::new("test {{{host}}} != node2", hosts).params(params(fleet)).build().expect("it can be").run();
    assert_eq!(filter_bad_hosts(&action, &hosts), ["node1"]);
}

/// R3: with a terminal there, whose hangup tells the command. Without one it goes on until it writes, as with any ssh.
#[test]
fn killing_an_action_ends_its_remote_processes() {
    let Some(fleet) = shared_fleet() else { return };
    let params = SshOptions { remote_tty: Some(true), ..params(fleet) };
    let remote = Remote::new("sleep 1042 & echo runs; sleep 1042", ["node1", "node2", "node3"]).params(params);
    let action = remote.build().expect("it can be").start();
    let verdicts = action.expect_on(Stream::Stdout, LONG, "runs").expect("a pattern");
    assert!(verdicts.iter().all(Result::is_ok), "{verdicts:?}");
    let sleeping = || {
        let runs =
            |pid: &u32| fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.ends_with(b"sleep\x001042\0"));
        fleet.survivors().iter().filter(|pid| runs(pid)).count()
    };
    assert!(sleeping() > 0);
    action.kill();
    assert!(action.wait().ended());
    wait_until("nobody sleeps over there", || sleeping() == 0);
}

/// R9, item 117.
#[test]
fn what_is_written_reaches_every_host() {
    let Some(fleet) = shared_fleet() else { return };
    let remote = Remote::new("cat", ["node1", "node2", "node3"]).params(params(fleet)).stdin(Stdin::Pipe).fanout(2);
    let action = remote.build().expect("it can be").start();
    action.write("one\n");
    action.write(b"two\xff\n");
    action.close_stdin();
    let action = action.wait();
    assert!(action.finished_ok());
    assert!(action.processes().iter().all(|process| process.stdout() == b"one\ntwo\xff\n"));
}

/// R10: a thousand hosts, a few at once. The connector is a shell script.
#[test]
fn a_thousand_hosts_go_through_a_window() {
    let directory = tempfile::tempdir().expect("a directory can be made");
    let running = directory.path().join("running");
    fs::create_dir(&running).expect("it is ours");
    // Everyone counts who is there, itself included.
    let count = format!("cd {}; : > $$; set -- *; echo $#; rm $$", running.display());
    let stub = crate::ssh::program(directory.path(), "stub", &count);
    let params = SshOptions { ssh: Some(stub.into()), ..SshOptions::default() };
    let hosts = (1..=1000).map(|number| format!("n{number}"));
    let action = Remote::new("true", hosts).params(params).fanout(16).build().expect("it can be").run();
    assert!(action.finished_ok());
    let most = action.processes().iter().map(|process| said(process).trim().parse::<usize>().expect("a number")).max();
    assert!(most.is_some_and(|most| most <= 16), "{most:?}");
}

/// Items 122, 125 and 127 to 129 together: what a user composes of them.
#[test]
fn files_and_commands_compose() {
    let Some(fleet) = shared_fleet() else { return };
    let place = tempfile::tempdir().expect("a directory can be made");
    let (near, far, back) = (place.path().join("near"), place.path().join("far"), place.path().join("back"));
    fs::write(&near, "content\n").expect("it is ours");
    let hosts = ["node1", "node2"];
    let far = format!("{}/{{{{{{host}}}}}}", far.display());
    let put = Put::new([&near], format!("{far}/"), hosts).params(params(fleet)).build().expect("it is there");
    let work = Remote::new(format!("tr a-z A-Z < {far}/near > {far}/made"), hosts).params(params(fleet));
    let get = Get::new([format!("{far}/made")], &back, hosts).params(params(fleet)).build().expect("it can be");
    // The files have their names here when the next step begins.
    let check = Local::new(["sh", "-c", "cat \"$0\"/*/made", back.to_str().expect("UTF-8")]).build();
    let steps = [put, work.build().expect("it can be"), get, check.clone()];
    let all = Sequential::new(steps).after_failure(AfterFailure::Stop).build().run();
    assert!(all.finished_ok(), "{:?}", all.check());
    assert_eq!(said(&check.processes()[0]), "CONTENT\nCONTENT\n");
}

/// A fault that the process itself does not know is told by the action, however deep it is.
#[test]
fn what_was_wrong_here_with_a_transfer_is_told() {
    let Some(fleet) = shared_fleet() else { return };
    let place = tempfile::tempdir().expect("a directory can be made");
    let file = place.path().join("file");
    fs::write(&file, "content\n").expect("it is ours");
    let get = Get::new([&file], file.join("{{{host}}}").join("x"), ["node1"]).params(params(fleet));
    let get = get.build().expect("it can be");
    let all = Parallel::new([Local::new("true").build(), get]).build().run();
    assert!(!all.ok());
    assert_eq!(all.fault(0), None);
    let fault = all.fault(1).expect("it went wrong here");
    assert!(fault.contains("there is no directory") && fault.contains("file/node1"), "{fault}");
    let failed = all.check().expect_err("it failed");
    assert_eq!(failed.to_string(), format!("1 of 2 failed:\n  node1: not transferred: {fault}"));
}

/// What a program that returns the error from `main` shows: the host, why, what to do, and the last words.
#[test]
fn a_failed_action_says_why_every_host_failed() {
    let Some(fleet) = shared_fleet() else { return };
    let command = "case {{{host}}} in node3) echo disk is full >&2; exit 3;; esac";
    let hosts = ["node1", "unresolved1", "node3"];
    let action = Remote::new(command, hosts).params(params(fleet)).build().expect("it can be").run();
    let failed = action.check().expect_err("two hosts failed");
    let [unresolved, full] = failed.failures() else { panic!("two failures: {failed}") };
    assert_eq!((unresolved.host().as_deref(), unresolved.kind()), (Some("unresolved1"), ResultKind::Unreachable));
    assert!(unresolved.sentence().starts_with("not reached: ssh: Could not resolve hostname"), "{unresolved}");
    assert!(unresolved.advice().is_some_and(|advice| advice.starts_with("check the name")), "{unresolved}");
    assert_eq!((full.host().as_deref(), full.kind()), (Some("node3"), ResultKind::Exit));
    assert_eq!(full.to_string(), "node3: exited with exit code 3: disk is full");
    assert_eq!(failed.to_string(), format!("2 of 3 failed:\n  {unresolved}\n  {full}"));
    assert_eq!(format!("{failed:?}"), failed.to_string());
}

/// Item 121.
#[test]
fn the_serial_lines_of_many_hosts_are_an_action() {
    let Some(fleet) = shared_fleet() else { return };
    let cables: Option<Vec<_>> = (0..2).map(|_| Cable::new()).collect();
    let Some(cables) = cables else { return };
    let machines: Vec<_> = cables.iter().map(|cable| Serial::new(&cable.ends[1], 9_600).process().start()).collect();
    let mut lists = Lists::default();
    lists.insert("device", cables.iter().map(|cable| cable.ends[0].clone()).collect()).expect("a list");
    let lines = RemoteSerial::new(["node1", "node2"], "{{device}}", 9_600).params(params(fleet)).lists(lists);
    let lines = lines.build().expect("it can be").start();
    assert_eq!(&*lines.name(), "RemoteSerial to 2 hosts");
    lines.write("hello\n");
    for machine in &machines {
        assert!(machine.expect_within(LONG, "hello\n").is_ok());
        machine.write("login: ");
    }
    assert!(lines.expect_on(Stream::Stdout, LONG, "login: ").expect("a pattern").iter().all(Result::is_ok));
    lines.kill_with(Kill::default());
    assert!(lines.wait().ok());
    for machine in machines {
        machine.kill();
        assert!(machine.wait().ended());
    }
}
