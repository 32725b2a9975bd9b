//! Actions of actions, and what can be said to them: items 100–117 and 128–136 of the inventory of execo, and its checks G
//! and R. The hosts are this machine, through a connector.
#![expect(clippy::unwrap_used, reason = "a test says what went wrong by failing there")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use phalanx_action::Action;
use phalanx_action::action::{AfterFailure, Parallel, Sequential, filter_bad_hosts, wait_all, wait_any};
use phalanx_action::local::Local;
use phalanx_action::remote::Remote;
use phalanx_action::rollout::{FailureBudget, Retries, Rollout};
use phalanx_process::event::{Event, Kill, Stream};
use phalanx_process::expect::Pattern;
use phalanx_process::spec::Stdin;
use phalanx_process::ssh::SshOptions;
use phalanx_process::watch::Timeout;

/// Long enough for anything that comes at all.
const LONG: Duration = Duration::from_secs(120);

fn shell(command: &str) -> Action {
    Local::new(["sh", "-c", command]).build()
}

/// A program that stands for ssh: the last two arguments are the host and the command.
fn connector(directory: &Path) -> SshOptions {
    let path = directory.join("connector");
    fs::write(&path, "#!/bin/sh\nwhile [ $# -gt 2 ]; do shift; done\nHOST=$1 exec sh -c \"$2\"\n").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    SshOptions { ssh: Some(path.into()), ..SshOptions::default() }
}

/// 128, G1: they run at the same time. Each waits for what the other does.
#[test]
fn parallel_actions_run_side_by_side() {
    let place = tempfile::tempdir().unwrap();
    let meet = |mine: &str, theirs: &str| {
        let path = place.path().display();
        shell(&format!("touch {path}/{mine}; until [ -e {path}/{theirs} ]; do sleep 0.01; done"))
    };
    let action = Parallel::new([meet("a", "b"), meet("b", "a")]).build().run();
    assert!(action.finished_ok());
    assert_eq!(&*action.name(), "Parallel 2 actions");
}

/// 129, G1: one after the other, whatever becomes of each.
#[test]
fn sequential_actions_run_in_their_order_and_go_on_after_a_failure() {
    let place = tempfile::tempdir().unwrap();
    let log = place.path().join("log");
    let step = |name: &str| shell(&format!("echo {name} begins >> {0}; echo {name} ends >> {0}; false", log.display()));
    let action = Sequential::new([step("a"), step("b"), step("c")]).build().run();
    assert!(action.ended() && !action.ok());
    assert_eq!(fs::read_to_string(log).unwrap(), "a begins\na ends\nb begins\nb ends\nc begins\nc ends\n");
}

/// G3: or not, if that is what was said.
#[test]
fn a_sequence_that_stops_after_a_failure_starts_nothing_more() {
    let action = Sequential::new([shell("true"), shell("exit 3"), shell("true")]);
    let action = action.after_failure(AfterFailure::Stop).build().run();
    let started: Vec<_> = action.processes().iter().map(|process| process.started()).collect();
    assert_eq!((started, action.ended(), action.finished_ok()), (vec![true, true, false], true, false));
}

/// G2: execo goes on with the next action.
#[test]
fn killing_a_sequence_ends_it() {
    let first = shell("echo runs; exec sleep 1000");
    let action = Sequential::new([first.clone(), shell("sleep 1000"), shell("sleep 1000")]).build().start();
    assert!(first.processes()[0].expect_within(LONG, "runs").is_ok());
    action.kill();
    let action = action.wait();
    assert!(first.ended() && first.processes()[0].killed());
    assert!(!action.processes()[1].started() && !action.processes()[2].started());
    assert!(!action.finished_ok());
}

/// 105: at any moment, on any thread, and whatever it is made of.
#[test]
fn an_action_that_is_killed_as_it_starts_ends() {
    for _ in 0..20 {
        let inner = Sequential::new([shell("sleep 1000"), shell("sleep 1000")]).build();
        let action = Parallel::new([inner, shell("sleep 1000"), shell("sleep 1000")]).build().start();
        action.kill_with(Kill::NOW);
        let action = action.wait_for(LONG);
        assert!(action.ended() && !action.processes()[1].started());
    }
}

/// G4, 130: nested at will, and shown so.
#[test]
fn nested_actions_have_nested_figures_unless_they_are_hidden() {
    let build = |hidden: bool| {
        let inner = Sequential::new([shell("true"), shell("false")]);
        let inner = if hidden { inner.hide_subactions() } else { inner }.build().named("inner");
        Parallel::new([inner, shell("true")]).build().named("outer").run()
    };
    let stats = build(false).stats();
    assert_eq!((stats.processes, stats.ok, stats.parts.len(), stats.parts[0].parts.len()), (3, 2, 2, 2));
    assert_eq!((&*stats.name, &*stats.parts[0].name), ("outer", "inner"));
    let stats = build(true).stats();
    assert_eq!((stats.processes, stats.parts[0].processes, stats.parts[0].parts.len()), (3, 2, 0));
}

/// G8: one that still runs has no end, and neither has what it belongs to.
#[test]
fn a_sum_with_a_running_part_has_no_end() {
    let slow = shell("echo runs; exec sleep 1000");
    let action = Parallel::new([shell("true"), slow]).build().start();
    assert!(action.expect("runs").unwrap()[1].is_ok());
    assert_eq!((action.stats().end_date, action.stats().start_date.is_some()), (None, true));
    action.kill();
    assert!(action.wait().stats().end_date.is_some());
}

#[test]
fn an_empty_composition_is_over_at_once() {
    for action in [Parallel::new([]).build(), Sequential::new([]).build()] {
        assert!(action.run().finished_ok());
    }
}

/// An action that somebody else has started is waited for, whether it has ended or not.
#[test]
fn an_action_that_was_started_already_takes_its_part() {
    let ended = shell("true").run();
    let running = shell("exec sleep 1000").named("sleeper").start();
    let action = Sequential::new([ended, running.clone()]).build().start();
    assert!(!action.ended());
    running.kill();
    assert!(action.wait().ended() && running.ended());
}

/// 110, G6: to start it again it has to be reset.
#[test]
fn starting_twice_is_an_error_and_a_reset_allows_it() {
    let action = shell("true").run();
    let again = action.clone();
    assert!(std::panic::catch_unwind(AssertUnwindSafe(move || drop(again.start()))).is_err());
    let before = action.processes()[0].clone();
    let action = action.reset();
    assert!(!action.started() && !action.ended() && !before.started());
    assert!(action.run().finished_ok());
    assert!(before.finished_ok(), "the processes are the same ones");
}

/// 108: it is killed first if it runs.
#[test]
fn resetting_a_running_action_ends_it() {
    let action = Parallel::new([shell("sleep 1000"), shell("sleep 1000")]).build().start();
    let action = action.reset();
    assert!(!action.started());
    action.start().kill();
}

/// 100, 131–133: start before all processes, end after all of them, each once; then reset.
#[test]
fn handlers_hear_of_start_end_and_reset_in_order() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let tell = |what: &'static str| {
        let told = Arc::clone(&told);
        move |_: &mut phalanx_process::handler::Context<'_>, action: &Action| {
            let states = (action.started(), action.ended(), action.processes()[0].started());
            told.lock().unwrap().push((what, states));
        }
    };
    let action = shell("true").on_start(tell("start")).on_end(tell("end")).on_end(tell("end too"));
    let action = action.on_reset(tell("reset"));
    let _ = action.processes()[0].clone().on_end({
        let told = Arc::clone(&told);
        move |_, _| told.lock().unwrap().push(("process", (true, false, true)))
    });
    let action = action.run().reset().run();
    assert!(action.ended());
    let once = ["start", "process", "end", "end too"];
    let heard = told.lock().unwrap().clone();
    let names: Vec<_> = heard.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, [&once[..], &["reset"], &once].concat());
    assert_eq!(heard[0].1, (true, false, false), "started, and no process is");
    assert_eq!(heard[2].1, (true, false, true), "ended only when all have heard it");
}

#[test]
fn a_handler_that_panics_harms_nobody() {
    let action = Sequential::new([shell("true").on_start(|_, _| panic!("on start")), shell("true")]).build();
    assert!(action.on_end(|_, _| panic!("on end")).run().finished_ok());
}

/// A handler that waits would wait for itself: it is told so, and nothing hangs.
#[test]
fn a_handler_that_waits_for_its_action_is_refused() {
    let action = shell("true").on_end(|_, action| drop(action.clone().wait()));
    assert!(action.run().finished_ok());
}

/// 103, E11: in the order of the processes, by the deadline, and at once at the end of a stream. execo hangs here.
#[test]
fn expecting_of_all_processes_returns_in_order_and_by_the_deadline() {
    let place = tempfile::tempdir().unwrap();
    let command = "case $HOST in n1) echo ready 1; exec sleep 1000;; n2) exit 0;; n3) exec sleep 1000;; esac";
    let action = Remote::new(command, ["n1", "n2", "n3"]).params(connector(place.path())).build().unwrap().start();
    let verdicts = action.expect_on(Stream::Stdout, Duration::from_millis(300), Pattern::regex(r"ready (\d)")).unwrap();
    assert_eq!(verdicts[0].as_ref().unwrap().group_text(1).as_deref(), Some("1"));
    assert!(verdicts[1].is_err() && verdicts[2].is_err());
    action.kill();
    let action = action.wait();
    let failed: Vec<_> = action.processes().iter().map(|process| process.expect_failed()).collect();
    assert_eq!(failed, [false, true, true]);
    assert_eq!(action.stats().expect_failed, 2, "execo loses this count");
}

/// Who has not been started yet is waited for too; who never will be is not.
#[test]
fn expecting_reaches_those_whose_turn_has_not_come() {
    let place = tempfile::tempdir().unwrap();
    let remote = Remote::new("echo $HOST", ["n1", "n2", "n3", "n4"]).params(connector(place.path())).fanout(1);
    let action = remote.build().unwrap().start();
    let verdicts = action.expect_on(Stream::Stdout, LONG, Pattern::regex("n[0-9]")).unwrap();
    let found: Vec<_> = verdicts.iter().map(|verdict| verdict.as_ref().unwrap().matched().to_vec()).collect();
    assert_eq!(found, [b"n1", b"n2", b"n3", b"n4"]);
    assert!(action.wait().finished_ok());

    let stopped = Sequential::new([shell("false"), shell("echo never")]).after_failure(AfterFailure::Stop).build();
    let verdicts = stopped.start().expect_on(Stream::Stdout, Timeout::Never, "never").unwrap();
    assert!(verdicts[1].is_err());
}

/// 117, R9: to all, and a slow one holds up nobody else's.
#[test]
fn writing_reaches_every_process() {
    let place = tempfile::tempdir().unwrap();
    let remote = Remote::new("read line; echo $HOST $line; cat | wc -c", ["n1", "n2", "n3"]);
    let action = remote.params(connector(place.path())).stdin(Stdin::Pipe).fanout(2).build().unwrap().start();
    action.write("hello\n");
    let big = vec![b'x'; 3 << 20];
    action.write(&big);
    action.close_stdin();
    let action = action.wait();
    for (process, host) in action.processes().iter().zip(["n1", "n2", "n3"]) {
        let said = String::from_utf8(process.stdout()).unwrap();
        assert_eq!(said.split_whitespace().collect::<Vec<_>>(), [host, "hello", &big.len().to_string()]);
    }
}

/// The most natural recipe: a file for each host.
#[test]
fn output_goes_to_a_file_for_each_host() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().display();
    let remote = Remote::new("echo out $HOST; echo err $HOST >&2", ["n1", "n2"]).params(connector(place.path()));
    let remote = remote.stdout_file(format!("{path}/{{{{{{host}}}}}}.out"));
    let action = remote.stderr_file(format!("{path}/{{{{{{host}}}}}}.err")).build().unwrap().run();
    assert!(action.finished_ok());
    for host in ["n1", "n2"] {
        for kind in ["out", "err"] {
            let text = fs::read_to_string(place.path().join(format!("{host}.{kind}"))).unwrap();
            assert_eq!(text, format!("{kind} {host}\n"));
        }
    }
    let clash = Remote::new("true", ["n1", "n2"]).stdout_file(format!("{path}/same"));
    assert!(clash.build().is_err(), "two hosts would write over each other");
}

/// 134: one at least, in the order given.
#[test]
fn waiting_for_any_returns_those_that_have_ended() {
    let (slow, quick) = (shell("exec sleep 1000").start(), shell("true").start());
    let ended = wait_any(&[slow.clone(), quick], Some(LONG));
    assert_eq!(ended.len(), 1);
    assert!(ended[0].finished_ok());
    assert!(wait_any(std::slice::from_ref(&slow), Some(Duration::from_millis(20))).is_empty());
    assert!(wait_any(&[], None).is_empty());
    slow.kill();
    assert_eq!(wait_any(std::slice::from_ref(&slow), None).len(), 1);
    assert_eq!(wait_any(&[slow], None).len(), 1, "again, of one that had ended");
}

/// 135.
#[test]
fn waiting_for_all_returns_those_that_have_ended_in_time() {
    let (slow, quick) = (shell("exec sleep 1000").start(), shell("true").start());
    assert!(quick.clone().wait().ok());
    let both = [slow.clone(), quick];
    assert_eq!(wait_all(&both, Some(Duration::from_millis(20))).len(), 1);
    slow.kill();
    assert_eq!(wait_all(&both, None).len(), 2);
    assert!(wait_all(&[], None).is_empty());
}

/// 136, R2: in their order and of their kind.
#[test]
fn bad_hosts_are_filtered() {
    let place = tempfile::tempdir().unwrap();
    let hosts = ["n1", "root@n2:22", "n3"];
    let params = connector(place.path());
    let parsed: Vec<phalanx_process::host::Host> = hosts.iter().map(|host| host.parse().unwrap()).collect();
    let remote = Remote::new("test $HOST = n1", parsed.clone()).params(params).build().unwrap().run();
    assert_eq!(filter_bad_hosts(&remote, &hosts), ["n1"]);
    assert_eq!(filter_bad_hosts(&remote, &parsed), &parsed[..1]);
    assert_eq!(filter_bad_hosts(&remote, &["n2", "n4"]), ["n4"]);
}

/// 113: like a process.
#[test]
fn leaving_the_scope_kills() {
    let action = Parallel::new([shell("sleep 1000"), shell("sleep 1000")]).build();
    drop(action.clone().scoped());
    assert!(action.wait().ended());
}

/// An action is an iterator of what happens.
#[test]
fn events_come_in_order_and_end_with_the_action() {
    let place = tempfile::tempdir().unwrap();
    let remote = Remote::new("echo out $HOST; echo err >&2", (1..=30).map(|n| format!("n{n}")));
    let action = remote.params(connector(place.path())).fanout(5).build().unwrap();
    let mut heard = vec![String::new(); 30];
    let mut events = action.events();
    for (at, event) in events.by_ref() {
        match event {
            Event::Started { .. } => heard[at] += "started ",
            Event::Output { stream: Stream::Stdout, bytes, .. } => heard[at] += &String::from_utf8_lossy(&bytes),
            Event::Output { .. } => {}
            Event::Ended { .. } => heard[at] += "ended",
            other => panic!("{other:?}"),
        }
    }
    assert!(events.action().finished_ok());
    for (at, heard) in heard.iter().enumerate() {
        assert_eq!(*heard, format!("started out n{}\nended", at + 1));
    }
}

#[test]
fn events_of_nothing_end_at_once_and_dropping_them_early_is_no_harm() {
    assert_eq!(Parallel::new([]).build().events().count(), 0);
    let flood = shell("yes | head -c 60000000");
    drop(flood.clone().events());
    assert!(flood.wait().finished_ok(), "nobody holds it up");
}

/// R2 of today: a host that fails now and then is tried again.
#[test]
fn who_fails_is_tried_again_and_only_the_last_time_counts() {
    let place = tempfile::tempdir().unwrap();
    let command = format!("cd {}; echo x >> $HOST; test $(wc -l < $HOST) -ge 3", place.path().display());
    let pause = Duration::from_millis(5);
    let run = |count: u32| {
        let retries = Retries { count, backoff: pause, ..Retries::default() };
        let remote = Remote::new(&command, ["n1", "n2"]).params(connector(place.path()));
        let action = remote.rollout(Rollout { retries, ..Rollout::default() }).build().unwrap().run();
        let tries = fs::read_to_string(place.path().join("n1")).unwrap().lines().count();
        ["n1", "n2"].iter().for_each(|host| fs::remove_file(place.path().join(host)).unwrap());
        (action.finished_ok(), tries)
    };
    assert_eq!(run(1), (false, 2));
    assert_eq!(run(5), (true, 3));
}

/// Killing ends a pause too.
#[test]
fn killing_an_action_that_pauses_ends_it() {
    let retries = Retries { count: 5, backoff: LONG, max_backoff: LONG };
    let remote = Remote::new("exit 1", ["n1"]).params(SshOptions { ssh: Some("false".into()), ..Default::default() });
    let action = remote.rollout(Rollout { retries, ..Rollout::default() }).build().unwrap().start();
    let process = action.processes()[0].clone();
    phalanx_tests::wait_until("its first attempt fails", || process.ended());
    let began = Instant::now();
    action.kill();
    assert!(action.wait().ended() && began.elapsed() < LONG);
}

/// Nobody is started after so many failures, nor, with batches, before the batch before is over.
#[test]
fn a_failed_batch_keeps_the_rest_from_starting() {
    let place = tempfile::tempdir().unwrap();
    let remote = Remote::new("test $HOST != n2", (1..=6).map(|n| format!("n{n}"))).params(connector(place.path()));
    let rollout = Rollout { batches: vec![2], failure_budget: Some(FailureBudget::of(1)), ..Rollout::default() };
    let action = remote.rollout(rollout).build().unwrap().run();
    let started: Vec<_> = action.processes().iter().map(|process| process.started()).collect();
    assert_eq!(started, [true, true, false, false, false, false]);
    assert!(action.ended() && !action.ok());
}

#[test]
fn so_many_failures_kill_the_others_if_asked_to() {
    let place = tempfile::tempdir().unwrap();
    let remote =
        Remote::new("test $HOST = n1 && exit 1; exec sleep 1000", ["n1", "n2"]).params(connector(place.path()));
    let rollout = Rollout { failure_budget: Some(FailureBudget { failures: 1, kill: true }), ..Rollout::default() };
    let action = remote.rollout(rollout).build().unwrap().run();
    assert!(action.processes()[1].killed());
}

/// An action can be awaited on any executor; here on none but a waker.
#[test]
fn an_action_is_a_future() {
    struct Unpark(mpsc::Sender<()>);
    impl std::task::Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.send(()).unwrap();
        }
    }
    let (sender, wakes) = mpsc::channel();
    let waker = Arc::new(Unpark(sender)).into();
    let mut context = std::task::Context::from_waker(&waker);
    let mut future = IntoFuture::into_future(shell("true"));
    loop {
        match future.as_mut().poll(&mut context) {
            std::task::Poll::Ready(action) => return assert!(action.finished_ok()),
            std::task::Poll::Pending => wakes.recv().unwrap(),
        }
    }
}

/// Who waits is told of the end even if somebody resets the action before the waiter has looked.
#[test]
fn a_reset_right_after_the_end_leaves_nobody_waiting() {
    for _ in 0..50 {
        let action = shell("sleep 0.001").start();
        let (told, ends) = mpsc::channel();
        let reached = Arc::new(std::sync::Barrier::new(2));
        let (waiter, ready) = (action.clone(), Arc::clone(&reached));
        std::thread::spawn(move || {
            ready.wait();
            // A reset before it waits at all is wrong usage, and said by a panic.
            drop(std::panic::catch_unwind(AssertUnwindSafe(|| drop(waiter.wait()))));
            told.send(()).unwrap();
        });
        reached.wait();
        drop(action.reset());
        ends.recv_timeout(LONG).expect("the waiter hears of the end");
    }
}

/// A kill that comes late does not befall the next start.
#[test]
fn a_kill_at_any_moment_leaves_the_next_start_alone() {
    for _ in 0..50 {
        let action = shell("exit 0");
        let killer = action.clone();
        let killer = std::thread::spawn(move || (0..200).for_each(|_| killer.kill()));
        let action = action.run().reset();
        killer.join().unwrap();
        assert!(action.run().finished_ok());
    }
}

/// A sequence of actions that have ended already needs no stack for each.
#[test]
fn a_long_sequence_of_what_is_done_already_is_over() {
    let done = shell("exit 0").run();
    let action = Sequential::new(std::iter::repeat_n(done, 100_000)).build().run();
    assert!(action.ended() && action.ok());
}

/// A process that is two members of an action has one end, which counts for both; also when it is tried again.
#[test]
fn a_process_may_be_in_an_action_twice() {
    let retries = Retries { count: 2, backoff: Duration::ZERO, ..Retries::default() };
    for (command, ok) in [("true", true), ("false", false)] {
        let process = phalanx_process::Process::new(command);
        let rollout = Rollout { retries, ..Rollout::default() };
        let engine = phalanx_process::engine::EngineHandle::global();
        let action = Action::new("twice", vec![process.clone(), process.clone()], rollout.clone(), engine);
        let other = Action::new("once more", vec![process], rollout, engine);
        let both = Parallel::new([action, other]).build().start().wait_for(LONG);
        assert!(both.ended());
        assert_eq!(both.ok(), ok);
    }
}

/// Handlers of an iterator go with it: otherwise every further run would be slower than the one before.
#[test]
fn events_leave_no_handler_behind() {
    let mut action = shell("echo hello");
    for _ in 0..3 {
        let mut events = action.events();
        assert!(events.next().is_some());
        action = events.action().clone();
        drop(events);
        action = action.wait().reset();
        assert_eq!(action.processes()[0].handlers(), 0);
    }
}

/// Who holds a process may wait for it although its turn has not come, and need not if it never comes.
#[test]
fn a_process_of_an_action_can_be_waited_for_before_its_turn() {
    let place = tempfile::tempdir().unwrap();
    let remote = Remote::new("echo $HOST", (1..=20).map(|n| format!("n{n}"))).params(connector(place.path())).fanout(1);
    let action = remote.build().unwrap().start();
    let last = action.processes()[19].clone();
    assert!(last.pid().is_some() && last.clone().wait_started().wait().finished_ok());
    assert_eq!(last.stdout(), b"n20\n");

    let steps = Sequential::new([shell("sleep 1000"), shell("true"), shell("cat")]).build().start();
    let never = steps.processes()[2].clone();
    let waiting = std::thread::spawn({
        let never = never.clone();
        move || never.wait()
    });
    never.write("kept for nobody");
    steps.kill();
    assert!(!waiting.join().unwrap().ended() && steps.wait().ended());
    assert!(!never.clone().wait().started() && never.pid().is_none());
    let lonely = phalanx_process::Process::new("true");
    assert!(std::panic::catch_unwind(AssertUnwindSafe(|| drop(lonely.wait()))).is_err(), "nobody will start it");
}

/// A kill is heard although thousands still wait for their start: those are called off, not started first.
#[test]
fn a_kill_overtakes_the_starts_that_wait() {
    let processes = (0..3000).map(|_| phalanx_process::Process::new("sleep 1000")).collect();
    let engine = phalanx_process::engine::EngineHandle::global();
    let action = Action::new("many", processes, Rollout::with_fanout(0), engine).start();
    action.kill();
    let action = action.wait();
    assert!(action.processes().iter().any(|process| process.finished().is_none_or(|end| end.outcome.pid.is_none())));
}
