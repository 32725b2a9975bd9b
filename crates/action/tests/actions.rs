//! Actions over real processes. The connector is a shell script, so no server is needed.
#![expect(clippy::unwrap_used, reason = "a test says what went wrong by failing there")]

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use phalanx_action::local::Local;
use phalanx_action::remote::Remote;
use phalanx_process::ssh::SshOptions;
use phalanx_record::date::Zone;
use phalanx_record::report::{Layout, Report};

/// A program that stands for ssh: the last two arguments are the host and the command.
fn connector(directory: &Path) -> SshOptions {
    let path = directory.join("connector");
    std::fs::write(&path, "#!/bin/sh\nwhile [ $# -gt 2 ]; do shift; done\nHOST=$1 exec sh -c \"$2\"\n").unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    SshOptions { ssh: Some(path.into()), ..SshOptions::default() }
}

fn hosts(count: usize) -> Vec<String> {
    (1..=count).map(|number| format!("n{number}")).collect()
}

#[test]
fn a_command_runs_on_every_host_and_results_come_in_their_order() {
    let directory = tempfile::tempdir().unwrap();
    let action = Remote::new("echo {{{host}}} $HOST", hosts(20)).params(connector(directory.path())).fanout(3);
    let action = action.build().unwrap().run().check().unwrap();
    assert!(action.ended() && action.finished_ok());
    for (process, host) in action.processes().iter().zip(hosts(20)) {
        assert_eq!(process.stdout(), format!("{host} {host}\n").into_bytes());
        assert_eq!(process.host().as_deref(), Some(&host[..]));
    }
}

#[test]
fn no_more_than_the_fanout_run_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let running = directory.path().join("running");
    std::fs::create_dir(&running).unwrap();
    // Everyone counts who is there, itself included.
    let command = format!("touch {0}/$HOST; ls {0} | wc -l; sleep 0.01; rm {0}/$HOST", running.display());
    let action = Remote::new(command, hosts(30)).params(connector(directory.path())).fanout(4).build().unwrap().run();
    let counts = action.processes().iter().map(|process| String::from_utf8(process.stdout()).unwrap());
    let most = counts.map(|count| count.trim().parse::<usize>().unwrap()).max();
    assert!(most.is_some_and(|most| (1..=4).contains(&most)), "{most:?}");
}

#[test]
fn a_failed_process_is_data_until_it_is_checked() {
    let directory = tempfile::tempdir().unwrap();
    let action = Remote::new("test $HOST != n2", hosts(3)).params(connector(directory.path())).build().unwrap().run();
    assert!(!action.ok() && action.ended() && !action.finished_ok());
    let stats = action.stats();
    assert_eq!((stats.processes, stats.ok, stats.non_zero_exit_codes), (3, 2, 1));
    let failed = action.check().unwrap_err();
    assert_eq!((failed.failures().len(), failed.total()), (1, 3));
    assert_eq!(failed.failures()[0].host().as_deref(), Some("n2"));
}

#[test]
fn killing_an_action_ends_who_runs_and_starts_nobody_more() {
    let directory = tempfile::tempdir().unwrap();
    let action = Remote::new("exec sleep 1000", hosts(10)).params(connector(directory.path())).fanout(2);
    let action = action.build().unwrap().start();
    let action = action.wait_for(Duration::from_millis(200));
    assert!(action.started() && !action.ended());
    action.kill();
    let action = action.wait();
    let ended = action.processes().iter().filter(|process| process.ended()).count();
    assert!(ended <= 2, "{ended} were started");
    assert!(!action.finished_ok(), "most were never started");
}

#[test]
fn no_hosts_are_done_at_once() {
    let action = Remote::new("true", hosts(0)).build().unwrap().run();
    assert!(action.ended() && action.ok() && action.finished_ok());
}

#[test]
fn a_list_that_is_not_there_is_an_error_before_anything_starts() {
    assert!(Remote::new("ping {{target}}", hosts(2)).build().is_err());
}

#[test]
fn a_local_action_has_one_process_and_a_place_in_the_report() {
    let action = Local::new("sh -c 'exit 4'").build().run();
    let mut report = Report::new("Night run");
    report.add(action.stats());
    let text = report.to_text(Layout::Narrow, false, &Zone::utc());
    assert!(text.contains("sh -c 'exit 4'") && text.contains("Night run"), "{text}");
    assert_eq!(action.processes()[0].finished().unwrap().outcome.exit_code(), Some(4));
}

#[test]
fn many_hosts_at_once_end_together() {
    let directory = tempfile::tempdir().unwrap();
    let action = Remote::new(":", hosts(500)).params(connector(directory.path())).fanout(0).build().unwrap().run();
    assert!(action.finished_ok(), "{:?}", action.check());
}
