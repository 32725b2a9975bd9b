//! ChainPut as an action: item 124 of the inventory of execo. The hosts are this machine, through a connector that runs
//! the command here; `tests/it/chain.rs` has hosts with addresses of their own.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use phalanx_action::Action;
use phalanx_action::chain::{ChainParams, MaxSkips};
use phalanx_action::files::{ChainPut, CopyError};
use phalanx_process::Process;
use phalanx_process::ssh::SshOptions;
use phalanx_tests::{require_program, wait_until};
use tempfile::TempDir;

/// A directory with a file `a`, and a connector to hosts that are all here. One called `dead` cannot be reached, and one
/// called `false` has no shell.
fn place() -> Option<(TempDir, SshOptions)> {
    require_program("nc", "netcat-traditional")?;
    let place = tempfile::tempdir().expect("a directory can be made");
    let connector = place.path().join("connector");
    let script = "#!/bin/sh\nwhile [ $# -gt 2 ]; do shift; done\ncase $1 in\ndead) exit 255 ;;\nfalse) exit 0 ;;\nesac\nexec sh -c \"$2\"\n";
    fs::write(&connector, script).expect("it is ours");
    fs::set_permissions(&connector, fs::Permissions::from_mode(0o755)).expect("it is ours");
    fs::write(place.path().join("a"), "content").expect("it is ours");
    let params = SshOptions { ssh: Some(connector.into()), ..SshOptions::default() };
    Some((place, params))
}

fn chain(place: &TempDir, params: &SshOptions, source: &str, hosts: &[&str]) -> Action {
    let there = place.path().join("there/{{{host}}}/");
    let chain = ChainParams { address: Some("127.0.0.1".to_owned()), ..ChainParams::default() };
    let put = ChainPut::new([place.path().join(source)], there, hosts.iter().copied());
    put.params(params.clone()).via(chain).build().expect("the file is there")
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

/// C2: each process tells of its own host. C6.
#[test]
fn every_host_has_a_process_that_tells_how_it_went() {
    let Some((place, params)) = place() else { return };
    let action = chain(&place, &params, "a", &["n1", "dead", "n2", "n1", "false", "n3"]);
    assert_eq!(action.processes().len(), 5, "a host named twice gets it once");
    let action = action.run();
    let ok: Vec<_> = action.processes().iter().map(Process::ok).collect();
    assert_eq!(ok, [true, false, true, false, true], "{:?}", action.processes());
    assert!(!action.finished_ok());
    assert_eq!((action.stats().processes, action.stats().finished_ok), (5, 3));
    for host in ["n1", "n2", "n3"] {
        let there = place.path().join("there").join(host);
        assert_eq!(fs::read_to_string(there.join("a")).expect("it has come"), "content");
        assert_eq!(names(&there), ["a"]);
    }
}

#[test]
fn it_can_be_reset_and_run_again() {
    let Some((place, params)) = place() else { return };
    let action = chain(&place, &params, "a", &["n1", "n2"]).run();
    assert!(action.finished_ok());
    fs::remove_dir_all(place.path().join("there")).expect("it is ours");
    let action = action.reset().run();
    assert!(action.finished_ok(), "{:?}", action.processes());
    assert_eq!(names(&place.path().join("there/n2")), ["a"]);
}

/// C6: killed as an action.
#[test]
fn one_that_is_killed_ends_and_puts_nothing_into_place() {
    let Some((place, params)) = place() else { return };
    fs::File::create(place.path().join("large")).and_then(|file| file.set_len(16 << 30)).expect("files may have holes");
    let action = chain(&place, &params, "large", &["n1", "n2"]).start();
    let there = place.path().join("there/n2");
    wait_until("it has begun", || names(&there).iter().any(|name| name.starts_with(".phalanx-chain-")));
    action.kill();
    let action = action.wait();
    assert!(action.processes().iter().all(|process| process.finished().expect("it has ended").outcome.killed));
    wait_until("the private directory is gone", || names(&there).is_empty());
    // One that is killed as it begins has nothing in place either.
    let action = chain(&place, &params, "a", &["n3"]).start();
    action.kill();
    drop(action.wait());
    assert!(!place.path().join("there/n3/a").exists());
}

/// A host that claims more than there is: no other host is affected.
#[test]
fn a_host_that_lies_about_what_it_has_fails_alone() {
    let Some((place, params)) = place() else { return };
    let lie = "case $* in *n2*)\n\
               for command; do :; done\n\
               count=${command#*count=}\n\
               text=$(dd bs=1 count=\"${count%% *}\" 2>/dev/null)\n\
               text=$(printf '%s\\n' \"$text\" | sed 's/^have=.*/have=99999999999/')\n\
               exec sh -c \"$text\" ;;\n\
               esac\n";
    let connector = place.path().join("connector");
    let honest = fs::read_to_string(&connector).expect("it is ours");
    fs::write(&connector, honest.replacen('\n', &format!("\n{lie}"), 1)).expect("it is ours");
    let action = chain(&place, &params, "a", &["n1", "n2", "n3"]).run();
    let ok: Vec<_> = action.processes().iter().map(Process::ok).collect();
    assert_eq!(ok, [true, false, true], "{:?}", (0..3).map(|index| action.fault(index)).collect::<Vec<_>>());
    let fault = action.fault(1).expect("it is known");
    assert!(fault.contains("it says that it has 99999999999 bytes"), "{fault}");
    assert_eq!(
        (names(&place.path().join("there/n1")), names(&place.path().join("there/n3"))),
        (vec!["a".to_owned()], vec!["a".to_owned()])
    );
}

/// What cannot be read here is the fault of no host, and is said for each.
#[test]
fn a_source_that_cannot_be_read_fails_all_with_the_reason() {
    let Some((place, params)) = place() else { return };
    fs::create_dir(place.path().join("d")).expect("it is ours");
    let socket = std::os::unix::net::UnixListener::bind(place.path().join("d/socket")).expect("it is ours");
    let action = chain(&place, &params, "d", &["n1", "n2"]).run();
    drop(socket);
    for index in [0, 1] {
        assert!(!action.processes()[index].ok());
        let fault = action.fault(index).expect("it is known");
        assert!(fault.contains("is neither a file nor a directory"), "{fault}");
    }
    assert_eq!(names(&place.path().join("there/n1")), [""; 0]);
}

/// P2 and its like.
#[test]
fn nothing_and_nobody_is_done_at_once() {
    let Some((place, params)) = place() else { return };
    let nothing: [&str; 0] = [];
    let put = ChainPut::new(nothing, "x", ["n1"]).params(params.clone()).build().expect("it can be made").run();
    assert_eq!((put.finished_ok(), put.processes().len()), (true, 0));
    assert!(chain(&place, &params, "a", &[]).run().finished_ok());
    let put = ChainPut::new([place.path().join("absent")], "x", ["n1"]).params(params).build();
    assert!(matches!(put, Err(CopyError::Source(_))));
    assert_eq!(MaxSkips::Ratio(0.5).of(7), 3);
}
