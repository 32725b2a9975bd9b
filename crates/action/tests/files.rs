//! Put and Get as actions: items 122 and 125 of the inventory of execo. The hosts are this machine, through a connector
//! that runs the command here; `tests/it/put_get.rs` has them behind a real ssh.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use phalanx_action::files::sources::SourceError;
use phalanx_action::files::{CopyError, Get, Put};
use phalanx_action::substitute::Lists;
use phalanx_process::ssh::SshOptions;
use tempfile::TempDir;

/// A directory with a file `a` and a connector.
fn place() -> (TempDir, SshOptions) {
    let place = tempfile::tempdir().expect("a directory can be made");
    let connector = place.path().join("connector");
    fs::write(&connector, "#!/bin/sh\nwhile [ $# -gt 1 ]; do shift; done\nexec sh -c \"$1\"\n").expect("it is ours");
    fs::set_permissions(&connector, fs::Permissions::from_mode(0o755)).expect("it is ours");
    fs::write(place.path().join("a"), "content").expect("it is ours");
    let params = SshOptions { ssh: Some(connector.into()), ..SshOptions::default() };
    (place, params)
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn files_go_to_every_host_and_come_back() {
    let (place, params) = place();
    let there = place.path().join("there/{{{host}}}/{{part}}/");
    let mut lists = Lists::default();
    lists.insert("part", vec!["x".to_owned(), "y".to_owned()]).unwrap();
    let put = Put::new([place.path().join("a")], there, ["n1", "n2", "n3"]);
    let put = put.params(params.clone()).lists(lists).fanout(2).verify(true).build().unwrap().run();
    assert!(put.finished_ok(), "{put:?} {:?}", put.processes());
    for path in ["there/n1/x/a", "there/n2/y/a", "there/n3/x/a"] {
        assert_eq!(read(&place.path().join(path)), "content");
    }
    let back = place.path().join("back");
    let get = Get::new([place.path().join("there/{{{host}}}")], &back, ["n1", "n2"]).params(params);
    assert!(get.verify(true).build().unwrap().run().finished_ok());
    assert_eq!(read(&back.join("n2/n2/y/a")), "content");
}

/// P2, and the same of a get.
#[test]
fn nothing_and_nobody_is_done_at_once() {
    let (place, params) = place();
    let nothing: [&str; 0] = [];
    let actions = [
        Put::new(nothing, "x", ["n1"]).params(params.clone()).build().unwrap(),
        Put::new([place.path().join("a")], "x", nothing).params(params.clone()).build().unwrap(),
        Get::new(nothing, "x", ["n1"]).params(params).build().unwrap(),
    ];
    for action in actions {
        let action = action.run();
        assert_eq!((action.finished_ok(), action.processes().len()), (true, 0));
    }
}

#[test]
fn one_host_that_fails_is_one_process_that_is_not_ok() {
    let (place, params) = place();
    fs::create_dir(place.path().join("n1")).unwrap();
    let put = Put::new([place.path().join("a")], place.path().join("{{{host}}}/b"), ["n1", "n2"]);
    let put = put.params(params.clone()).build().unwrap().run();
    let ok: Vec<_> = put.processes().iter().map(phalanx_process::Process::ok).collect();
    assert_eq!(ok, [true, false]);
    assert!(String::from_utf8_lossy(&put.processes()[1].stdout()).contains("there is no directory"));
    // What fails here makes the process there fail.
    let get = Get::new([place.path().join("a")], "/proc/nowhere/{{{host}}}/", ["n1"]).params(params).build().unwrap();
    assert!(!get.run().ok());
}

#[test]
fn what_would_overwrite_is_refused_before_anything_starts() {
    let (place, params) = place();
    let mut lists = Lists::default();
    lists.insert("half", vec!["x".to_owned(), "y".to_owned()]).unwrap();
    let get = Get::new(["/etc/passwd"], place.path().join("{{half}}/"), ["n1", "n2", "n3"]);
    let refused = get.params(params.clone()).lists(lists).build().unwrap_err();
    assert!(matches!(&refused, CopyError::Clash { first, second, .. } if first == "n1" && second == "n3"), "{refused}");
    assert!(refused.to_string().contains("put `{{{host}}}` into the destination"), "{refused}");
    let twice = Get::new(["/etc/passwd"], place.path().join("out"), ["n1", "n1"]).params(params.clone()).build();
    assert!(twice.is_err());
    fs::create_dir(place.path().join("d")).unwrap();
    fs::write(place.path().join("d/a"), "other").unwrap();
    let put = Put::new([place.path().join("a"), place.path().join("d/a")], "x", ["n1"]).params(params.clone()).build();
    assert!(matches!(put, Err(CopyError::Source(SourceError::Clash { .. }))));
    let put = Put::new([place.path().join("absent")], "x", ["n1"]).params(params).build();
    assert!(matches!(put, Err(CopyError::Source(SourceError::Missing(_)))));
}

/// The process of a transfer holds no end of its pipes longer than it must, or a killed one would never be over.
#[test]
fn a_transfer_that_is_killed_leaves_nothing() {
    let (place, params) = place();
    let large = place.path().join("large");
    fs::File::create(&large).and_then(|file| file.set_len(16 << 30)).unwrap();
    let (there, back) = (place.path().join("there"), place.path().join("back"));
    fs::create_dir(&there).unwrap();
    let put = Put::new([&large], there.join("x"), ["n1"]).params(params.clone()).build().unwrap();
    let get = Get::new([&large], &back, ["n1"]).params(params).build().unwrap();
    let begun = |directory: &Path| {
        let entries = fs::read_dir(directory).into_iter().flatten().flatten();
        entries.into_iter().any(|entry| entry.file_name().to_string_lossy().starts_with(".phalanx-"))
    };
    for (action, directory) in [(put, there), (get, back.join("n1"))] {
        let action = action.start();
        phalanx_tests::wait_until("it has begun", || begun(&directory));
        action.kill();
        let action = action.wait();
        assert!(action.processes()[0].finished().unwrap().outcome.killed);
        assert!(!action.processes()[0].stdout().ends_with(b"ok\n"));
        // The far end of a put is killed with the connector here; behind a real ssh it goes on and tidies up.
        assert!(directory == back.join("n1") && !begun(&directory) || !directory.join("x").exists());
    }
}
