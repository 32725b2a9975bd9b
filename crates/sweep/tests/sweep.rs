//! A queue on a real disk, shared by real threads and processes, some of which die.
#![expect(clippy::unwrap_used, reason = "a test says what went wrong by failing there")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use phalanx_process::event::{Grace, Kill};
use phalanx_process::{Process, Signal};
use phalanx_sweep::{Combination, Factors, Queue, QueueError, State};
use phalanx_tests::{require_program, skip, wait_until};

fn sweep(count: i32) -> Vec<Combination> {
    Factors::new().factor("n", 0..count).combinations().unwrap()
}

fn journal(directory: &Path) -> PathBuf {
    directory.join("journal.jsonl")
}

fn stats(directory: &Path) -> String {
    Queue::open(directory).unwrap().named("s").stats().unwrap().to_string()
}

/// Returns the helper in `crates/action/examples`. Cargo builds it before it runs all tests of a package, but not for
/// one test.
fn worker() -> &'static Path {
    static WORKER: OnceLock<PathBuf> = OnceLock::new();
    WORKER.get_or_init(|| {
        let own = std::env::current_exe().unwrap();
        let path = own.parent().and_then(Path::parent).unwrap().join("examples/sweep_worker");
        // `cargo xtask test` has just built everything, and says so.
        if std::env::var_os("PHALANX_BINARIES").is_none() || !path.is_file() {
            let release: &[&str] = if cfg!(debug_assertions) { &[] } else { &["--release"] };
            let build = ["build", "--quiet", "--package", "phalanx-sweep", "--example", "sweep_worker"];
            let status = std::process::Command::new(env!("CARGO")).args(build).args(release).status().unwrap();
            assert!(status.success() && path.is_file(), "the worker does not compile");
        }
        path
    })
}

fn start_worker(directory: &Path, count: i32) -> Process {
    let arguments = [worker().display().to_string(), directory.display().to_string(), count.to_string()];
    Process::new(arguments.map(std::ffi::OsString::from).to_vec()).start()
}

/// Returns the numbers after `word` in what a worker said.
fn said(worker: &Process, word: &str) -> Vec<i32> {
    let said = String::from_utf8(worker.stdout()).unwrap();
    // The last line of a killed worker may be torn.
    let lines = said.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n'));
    lines.filter_map(|line| line.strip_prefix(word)?.trim().parse().ok()).collect()
}

#[test]
fn w2_a_sweep_is_resumed_where_it_was_left() {
    let directory = tempfile::tempdir().unwrap();
    let first = Queue::open(directory.path()).unwrap().named("s");
    let change = first.set(sweep(6)).unwrap();
    assert_eq!((change.added, change.removed), (6, 0));
    let taken = first.next_batch(4).unwrap();
    assert!(first.done(&taken[0]).unwrap() && !first.done(&taken[0]).unwrap());
    assert!(first.skip(&taken[1]).unwrap() && first.cancel(&taken[2]).unwrap());
    assert_eq!(first.stats().unwrap().to_string(), "s <6 total, 1 done, 1 skipped, 1 in progress, 3 remaining>");
    drop(first);
    // This process lives, so what it has taken stays taken.
    let second = Queue::open(directory.path()).unwrap();
    assert_eq!(second.set(sweep(6)).unwrap(), phalanx_sweep::queue::Change::default());
    assert_eq!(second.next().unwrap().as_ref(), Some(&taken[2]));
    assert_eq!(second.list(State::InProgress).unwrap(), [taken[2].clone(), taken[3].clone()]);
    assert_eq!(second.owners().unwrap()[0].1.as_ref().unwrap().pid, std::process::id());
    assert_eq!((second.reset(State::InProgress).unwrap(), second.reset(State::Skipped).unwrap()), (2, 1));
    assert_eq!(stats(directory.path()), "s <6 total, 1 done, 0 skipped, 0 in progress, 5 remaining>");
}

#[test]
fn w2_four_processes_drain_a_thousand_and_the_death_of_one_loses_and_repeats_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let workers: Vec<_> = (0..4).map(|_| start_worker(directory.path(), 1000)).collect();
    let mut victim = None;
    wait_until("a worker is in the middle of its work", || {
        victim = workers.iter().position(|worker| said(worker, "done").len() >= 20);
        victim.is_some()
    });
    let victim = victim.unwrap();
    workers[victim].kill_with(Kill { signal: Signal::KILL, grace: Grace::Default, group: false });
    let workers: Vec<_> = workers.into_iter().map(Process::wait).collect();
    for (index, worker) in workers.iter().enumerate() {
        let ended = String::from_utf8_lossy(&worker.stdout()).ends_with("end\n");
        assert_eq!(ended, index != victim, "{}", String::from_utf8_lossy(&worker.stderr()));
    }
    // What it had taken may have come back when the others had ended already.
    let rest = start_worker(directory.path(), 1000).run().check().unwrap();
    assert_eq!(stats(directory.path()), "s <1000 total, 1000 done, 0 skipped, 0 in progress, 0 remaining>");
    let lines = lines_by_state(directory.path());
    assert!(lines["done"].values().all(|times| *times == 1), "something is done twice");
    assert_eq!(lines["done"].len(), 1000);
    // Taken twice: only what the dead one had, which is one.
    let freed: Vec<_> = lines.get("todo").into_iter().flatten().collect();
    assert!(freed.len() <= 1, "{freed:?}");
    let twice = lines["in progress"].values().filter(|times| **times > 1).count();
    assert_eq!(twice, freed.len());
    // What was confirmed to one was confirmed to no other.
    let confirmed: Vec<_> = workers.iter().chain([&rest]).flat_map(|worker| said(worker, "done")).collect();
    assert_eq!(confirmed.iter().collect::<BTreeSet<_>>().len(), confirmed.len());
    assert!((999..=1000).contains(&confirmed.len()), "{}", confirmed.len());
}

/// Returns how often each combination is said to be in each state, by the bytes of the journal.
fn lines_by_state(directory: &Path) -> BTreeMap<String, BTreeMap<String, usize>> {
    let mut lines: BTreeMap<_, BTreeMap<_, usize>> = BTreeMap::new();
    for line in fs::read_to_string(journal(directory)).unwrap().lines() {
        let json: serde_json::Value = serde_json::from_str(line).unwrap();
        if let Some(state) = json["state"].as_str() {
            *lines.entry(state.to_owned()).or_default().entry(json["combination"].to_string()).or_default() += 1;
        }
    }
    lines
}

#[test]
fn threads_share_a_queue_and_so_do_queues_in_one_process() {
    let directory = tempfile::tempdir().unwrap();
    let shared = Queue::open(directory.path()).unwrap();
    shared.set(sweep(200)).unwrap();
    let own = Queue::open(directory.path()).unwrap();
    let drain = |queue: &Queue| {
        let mut done = Vec::new();
        while let Some(combination) = queue.next().unwrap() {
            assert!(queue.done(&combination).unwrap(), "{combination} was done before");
            done.push(combination);
        }
        done
    };
    let done = std::thread::scope(|scope| {
        let threads = [&shared, &shared, &own].map(|queue| scope.spawn(move || drain(queue)));
        threads.map(|thread| thread.join().unwrap()).concat()
    });
    assert_eq!(done.len(), 200);
    assert_eq!(done.into_iter().collect::<BTreeSet<_>>(), sweep(200).into_iter().collect());
}

#[test]
fn a_torn_last_line_is_cut_wherever_it_was_torn() {
    let directory = tempfile::tempdir().unwrap();
    let queue = Queue::open(directory.path()).unwrap();
    queue.set(sweep(3)).unwrap();
    let first = queue.next().unwrap().unwrap();
    let confirmed = fs::read(journal(directory.path())).unwrap();
    queue.done(&first).unwrap();
    let whole = fs::read(journal(directory.path())).unwrap();
    for length in confirmed.len()..=whole.len() {
        fs::write(journal(directory.path()), &whole[..length]).unwrap();
        let expected = if length == whole.len() { (1, 0, &whole) } else { (0, 1, &confirmed) };
        let stats = Queue::open(directory.path()).unwrap().stats().unwrap();
        assert_eq!((stats.done, stats.in_progress), (expected.0, expected.1), "torn after {length} bytes");
        assert_eq!(&fs::read(journal(directory.path())).unwrap(), expected.2);
    }
}

#[test]
fn a_line_that_is_torn_while_others_have_the_queue_open_is_cut_by_them() {
    let directory = tempfile::tempdir().unwrap();
    let queue = Queue::open(directory.path()).unwrap();
    queue.set(sweep(3)).unwrap();
    let mut file = fs::OpenOptions::new().append(true).open(journal(directory.path())).unwrap();
    std::io::Write::write_all(&mut file, b"{\"state\":\"done\",\"combi").unwrap();
    let first = queue.next().unwrap().unwrap();
    queue.done(&first).unwrap();
    assert_eq!(stats(directory.path()), "s <3 total, 1 done, 0 skipped, 0 in progress, 2 remaining>");
}

#[test]
fn a_first_line_that_is_torn_is_written_again_but_a_foreign_file_is_not_touched() {
    let directory = tempfile::tempdir().unwrap();
    Queue::open(directory.path()).unwrap();
    let header = fs::read(journal(directory.path())).unwrap();
    for length in 0..header.len() {
        fs::write(journal(directory.path()), &header[..length]).unwrap();
        Queue::open(directory.path()).unwrap();
        assert_eq!(fs::read(journal(directory.path())).unwrap(), header);
    }
    for foreign in ["my notes", "my notes\n", "{}", "{\"format\":\"phalanx-sweep\",\"version\":2}\n"] {
        fs::write(journal(directory.path()), foreign).unwrap();
        let error = Queue::open(directory.path()).unwrap_err();
        assert!(matches!(error, QueueError::Damaged { line: 1, .. }), "{error}");
        assert_eq!(fs::read_to_string(journal(directory.path())).unwrap(), foreign);
    }
}

#[test]
fn damage_in_the_middle_is_an_error_that_names_the_line() {
    let directory = tempfile::tempdir().unwrap();
    Queue::open(directory.path()).unwrap().set(sweep(3)).unwrap();
    let text = fs::read_to_string(journal(directory.path())).unwrap() + "{\"state\":\"dome\"}\n";
    fs::write(journal(directory.path()), &text).unwrap();
    let error = Queue::open(directory.path()).unwrap_err();
    assert!(error.to_string().contains("journal.jsonl, line 3: there is no state `dome`"), "{error}");
    assert_eq!(fs::read_to_string(journal(directory.path())).unwrap(), text);
}

#[test]
fn lines_that_other_programs_write_are_understood() {
    let directory = tempfile::tempdir().unwrap();
    let queue = Queue::open(directory.path()).unwrap();
    let lines = "\n{ \"sweep\": [{\"b\": true, \"a\": 1.0}, {\"a\": 2e0}, {\"a\": 0.1}], \"by\": \"hand\" }\n\
                 {\"combination\":{\"a\":1,\"b\":true},\"state\":\"done\"}\r\n\
                 {\"combination\":{\"a\":2},\"state\":\"in progress\"}\n";
    let mut file = fs::OpenOptions::new().append(true).open(journal(directory.path())).unwrap();
    std::io::Write::write_all(&mut file, lines.as_bytes()).unwrap();
    assert_eq!(queue.next().unwrap().unwrap().slug(), "a=0.1");
    assert_eq!(stats(directory.path()), "s <3 total, 1 done, 0 skipped, 2 in progress, 0 remaining>");
}

#[test]
fn the_worker_in_python_of_the_document_shares_a_sweep_with_us() {
    let Some(python) = require_program("python3", "python3") else { return };
    let document = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/sweeps.md")).unwrap();
    let (_, program) = document.split_once("```python\n").unwrap();
    let (program, _) = program.split_once("```").unwrap();
    let directory = tempfile::tempdir().unwrap();
    Queue::open(directory.path()).unwrap().set(sweep(100)).unwrap();
    // Unbuffered, so that what it says comes while it works.
    let arguments = [python.as_os_str(), "-u".as_ref(), "-c".as_ref(), program.as_ref(), directory.path().as_os_str()];
    let theirs = Process::new(arguments.map(std::ffi::OsStr::to_owned)).start();
    wait_until("Python has done something", || !said(&theirs, "done").is_empty());
    let ours = start_worker(directory.path(), 100).wait();
    let theirs = theirs.wait().check().unwrap();
    assert_eq!(stats(directory.path()), "s <100 total, 100 done, 0 skipped, 0 in progress, 0 remaining>");
    let done: Vec<_> = [theirs, ours].iter().flat_map(|worker| said(worker, "done")).collect();
    assert_eq!((done.len(), done.iter().collect::<BTreeSet<_>>().len()), (100, 100));
}

#[test]
fn a_journal_that_is_removed_or_replaced_is_noticed() {
    let directory = tempfile::tempdir().unwrap();
    let queue = Queue::open(directory.path()).unwrap();
    queue.set(sweep(3)).unwrap();
    fs::copy(journal(directory.path()), directory.path().join("copy")).unwrap();
    fs::remove_file(journal(directory.path())).unwrap();
    assert!(matches!(queue.next(), Err(QueueError::Replaced { .. })));
    fs::rename(directory.path().join("copy"), journal(directory.path())).unwrap();
    assert!(matches!(queue.next(), Err(QueueError::Replaced { .. })));
    assert_eq!(stats(directory.path()), "s <3 total, 0 done, 0 skipped, 0 in progress, 3 remaining>");
}

#[test]
fn the_sweep_may_change_between_runs_and_while_it_runs() {
    let directory = tempfile::tempdir().unwrap();
    let queue = Queue::open(directory.path()).unwrap();
    queue.set(sweep(4)).unwrap();
    let first = queue.next().unwrap().unwrap();
    queue.done(&first).unwrap();
    let other = Queue::open(directory.path()).unwrap();
    let change = other.set(sweep(6).split_off(3)).unwrap();
    assert_eq!((change.added, change.removed), (2, 3));
    assert_eq!(queue.list(State::Todo).unwrap(), sweep(6).split_off(3));
    queue.set(sweep(2)).unwrap();
    assert_eq!(stats(directory.path()), "s <2 total, 1 done, 0 skipped, 0 in progress, 1 remaining>");
    let unknown = queue.done(&sweep(9)[8]).unwrap_err();
    assert_eq!(unknown.to_string(), "{\"n\":8} was never part of this sweep; nothing was changed");
}

#[test]
fn filters_priorities_and_a_filter_that_panics() {
    let directory = tempfile::tempdir().unwrap();
    let queue = Queue::open(directory.path()).unwrap();
    queue.set(sweep(9)).unwrap();
    let number = |combination: &Combination| combination.get("n")?.as_integer();
    assert_eq!(queue.next_where(|combination| number(combination) > Some(4)).unwrap(), Some(sweep(9)[5].clone()));
    let last = queue.next_batch_by_key(2, |combination| number(combination).map(std::cmp::Reverse)).unwrap();
    assert_eq!(last, [sweep(9)[8].clone(), sweep(9)[7].clone()]);
    assert_eq!(queue.next_where(|_| false).unwrap(), None);
    let call = std::panic::AssertUnwindSafe(|| queue.next_where(|_| panic!("a filter fails")));
    assert!(std::panic::catch_unwind(call).is_err());
    assert_eq!(queue.stats().unwrap().remaining, 6);
}

/// Runs a script in a mount namespace of its own, in which it may mount on the directory that is its `$1`; `$2` is the
/// worker. Nothing when this machine forbids it.
fn with_mounts(directory: &Path, script: &str) -> Option<Process> {
    let flags = if nix::unistd::geteuid().is_root() { "-m" } else { "-rm" };
    if !Process::new(["unshare", flags, "mount", "-t", "tmpfs", "none", "/mnt"]).run().ok() {
        skip("unshare and mount are not permitted here, so no disk can be made that is full");
        return None;
    }
    let (directory, worker) = (directory.display().to_string(), worker().display().to_string());
    Some(Process::new(["unshare", flags, "sh", "-euc", script, "sh", &directory, &worker]).run())
}

#[test]
fn a_full_disk_is_a_clear_error_and_loses_nothing_confirmed() {
    let directory = tempfile::tempdir().unwrap();
    let mount = directory.path().join("small");
    fs::create_dir(&mount).unwrap();
    let script =
        "mount -t tmpfs -o size=64k none \"$1\"; \"$2\" \"$1\" 1000 || cp \"$1/journal.jsonl\" \"$1/..\"; false";
    let Some(run) = with_mounts(&mount, script) else { return };
    let error = String::from_utf8(run.stderr()).unwrap();
    assert!(error.contains("No space left on device") && error.contains("make room and go on"), "{error}");
    // With room again, all that was confirmed is there, and no more than the one in progress besides.
    let bytes = fs::read(journal(directory.path())).unwrap();
    assert!(bytes.ends_with(b"\n"), "an unfinished line was left");
    let stats = Queue::open(directory.path()).unwrap().stats().unwrap();
    assert_eq!(stats.done, said(&run, "done").len());
    assert!(stats.done > 10 && stats.remaining + stats.done == 1000, "{stats}");
}

#[test]
fn a_directory_that_cannot_be_written_is_a_clear_error() {
    let directory = tempfile::tempdir().unwrap();
    Queue::open(directory.path()).unwrap().set(sweep(3)).unwrap();
    let script = "mount --bind \"$1\" \"$1\"; mount -o remount,ro,bind \"$1\"; \"$2\" \"$1\" 3";
    let Some(run) = with_mounts(directory.path(), script) else { return };
    let error = String::from_utf8(run.stderr()).unwrap();
    assert!(error.contains("cannot open the journal") && error.contains("must be writable"), "{error}");
    assert_eq!(stats(directory.path()), "s <3 total, 0 done, 0 skipped, 0 in progress, 3 remaining>");
    fs::write(directory.path().join("file"), "").unwrap();
    let error = Queue::open(directory.path().join("file/below")).unwrap_err();
    assert!(error.to_string().starts_with("cannot make the directory"), "{error}");
}
