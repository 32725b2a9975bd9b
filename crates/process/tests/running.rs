//! Real processes, driven in both ways.
#![expect(clippy::unwrap_used, reason = "a test says what went wrong by failing there")]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use phalanx_process::engine::{Engine, EngineOptions};
use phalanx_process::event::{Event, Grace, Kill, Request, Stream};
use phalanx_process::expect::{Expect, MatchResult, Reason};
use phalanx_process::handler::Context;
use phalanx_process::id::ProcessId;
use phalanx_process::outcome::Finished;
use phalanx_process::output::Capture;
use phalanx_process::spec::{Leftovers, Mode, Output, Policy, Stdin, Terminal};
use phalanx_process::watch::Timeout;
use phalanx_process::{ExitStatus, Process, Signal, Spec};

/// Far longer than anything here takes: it only keeps a defect from hanging the tests.
const SAFETY_NET: Duration = Duration::from_secs(120);

/// Drives one process to its end.
fn drive(spec: Spec) -> Arc<Finished> {
    finish(&mut Engine::current_thread(EngineOptions::default()).unwrap(), spec)
}

fn finish(drive: &mut Engine, spec: Spec) -> Arc<Finished> {
    let id = drive.start(spec);
    wait(drive, id)
}

fn wait(drive: &mut Engine, wanted: ProcessId) -> Arc<Finished> {
    let deadline = Instant::now() + SAFETY_NET;
    while let Some(event) = drive.next_event(Some(deadline)).unwrap() {
        if let Event::Ended { id, finished } = event
            && id == wanted
        {
            return finished;
        }
    }
    panic!("it did not end")
}

/// Waits until a process with this id is gone or a zombie of somebody else's.
fn wait_until_dead(pid: &str) {
    let deadline = Instant::now() + SAFETY_NET;
    let alive = || {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
        stat.is_ok_and(|stat| !stat.contains(") Z "))
    };
    while alive() {
        assert!(Instant::now() < deadline, "pid {pid} is still alive");
        std::thread::yield_now();
    }
}

#[test]
fn both_streams_stay_apart_and_every_byte_survives() {
    let script = r#"i=0; while [ $i -lt 256 ]; do printf "\\$(printf %03o $i)"; i=$((i+1)); done; echo oops >&2"#;
    let finished = drive(Spec::shell(script));
    assert_eq!(finished.stdout.bytes(), (0..=255).collect::<Vec<u8>>());
    assert_eq!(finished.stderr.text(), "oops\n");
    assert!(finished.ok);
}

#[test]
fn exit_codes_signals_and_start_errors_are_told_apart() {
    assert_eq!(drive(Spec::shell("exit 3")).outcome.status, Some(ExitStatus::Exited(3)));
    let killed = drive(Spec::shell("kill -KILL $$"));
    assert_eq!(killed.outcome.to_string(), "killed by SIGKILL");
    let missing = drive(Spec::new(["/no/such/program"]));
    let error = missing.outcome.error.as_ref().unwrap();
    assert_eq!((error.errno, missing.outcome.status), (Some(2), None));
    let denied = drive(Spec::new(["/etc/passwd"]));
    assert_eq!(denied.outcome.error.as_ref().unwrap().errno, Some(13));
    for spec in [Spec::new(["no-such-program-in-path"]), Spec::new([""]), Spec::new(["a\0b"])] {
        let finished = drive(spec);
        assert!(finished.outcome.error.is_some() && !finished.ok, "{finished:?}");
    }
    let mut unsplit = Spec::new(["x"]);
    unsplit.launch.command = "echo 'open".into();
    assert!(drive(unsplit).outcome.error.is_some());
}

#[test]
fn a_child_that_closes_its_streams_and_goes_on_is_waited_for_without_blocking_others() {
    let mut driver = Engine::current_thread(EngineOptions::default()).unwrap();
    let closer = driver.start(Spec::shell("exec >&- 2>&-; read x < /dev/null; exec sleep 1000"));
    let quick = driver.start(Spec::new(["echo", "quick"]));
    assert_eq!(wait(&mut driver, quick).stdout.text(), "quick\n");
    assert!(driver.processes().contains(&closer));
    driver.request(closer, Request::Kill(Kill::NOW));
    assert!(wait(&mut driver, closer).outcome.killed);
}

#[test]
fn a_grandchild_that_keeps_the_pipe_is_a_leak_and_what_was_said_before_is_kept() {
    let finished = drive(Spec::shell("sleep 1000 & echo $!"));
    assert!(finished.outcome.leaked && finished.ok);
    let pid = finished.stdout.text().trim().to_owned();
    // It was left alone, as a daemon would want it; this test must clean up.
    assert!(drive(Spec::new(["kill", "-KILL", &pid])).ok);
}

#[test]
fn unwanted_leftovers_are_killed() {
    let mut spec = Spec::shell("sleep 1000 & echo $!");
    spec.policy.leftovers = Leftovers::Kill;
    let finished = drive(spec);
    assert!(finished.outcome.leaked, "it had to be killed");
    wait_until_dead(finished.stdout.text().trim());
}

#[test]
fn a_timeout_ends_the_whole_group() {
    let mut spec = Spec::shell("trap '' TERM; sleep 1000 & echo $!; wait; wait");
    spec.policy.timeout = Some(Duration::from_millis(300));
    spec.policy.grace = Some(Duration::from_millis(300));
    let finished = drive(spec);
    let outcome = &finished.outcome;
    assert!(outcome.timed_out && outcome.killed && !finished.ok, "{outcome:?}");
    wait_until_dead(finished.stdout.text().trim());
}

#[test]
fn who_ignores_a_polite_signal_is_killed_after_the_grace() {
    let mut driver = Engine::current_thread(EngineOptions::default()).unwrap();
    let spec = Spec::shell("trap '' TERM; echo ready; while :; do sleep 1; done");
    let id = driver.start(spec);
    driver.request(id, Request::EmitOutput);
    let kill = Kill { grace: Grace::After(Duration::from_millis(200)), ..Kill::default() };
    loop {
        match driver.next_event(Some(Instant::now() + SAFETY_NET)).unwrap().unwrap() {
            Event::Output { .. } => driver.request(id, Request::Kill(kill)),
            Event::Ended { finished, .. } => {
                assert!(finished.outcome.forced_kill);
                assert!(finished.ok, "we ended it");
                return;
            }
            _ => {}
        }
    }
}

#[test]
fn stdin_is_fed_and_closed() {
    let mut spec = Spec::new(["wc", "-c"]);
    spec.launch.stdin = Stdin::Data(vec![b'x'; 3_000_000].into());
    assert_eq!(drive(spec).stdout.text().trim(), "3000000");
    // Nothing is written unless asked for.
    assert_eq!(drive(Spec::new(["cat"])).stdout.bytes(), b"");
}

#[test]
fn a_child_that_never_reads_its_stdin_ends_and_says_so() {
    let mut spec = Spec::new(["true"]);
    spec.launch.stdin = Stdin::Data(vec![b'x'; 3_000_000].into());
    let finished = drive(spec);
    assert!(finished.outcome.write_error && !finished.ok && finished.outcome.exit_code() == Some(0));
}

#[test]
fn stdin_may_be_written_live() {
    let mut driver = Engine::current_thread(EngineOptions::default()).unwrap();
    let mut spec = Spec::new(["cat"]);
    spec.launch.stdin = Stdin::Pipe;
    let id = driver.start(spec);
    driver.request(id, Request::EmitOutput);
    driver.request(id, Request::Write(Arc::from(&b"one\n"[..])));
    let mut echoed = Vec::new();
    loop {
        match driver.next_event(Some(Instant::now() + SAFETY_NET)).unwrap().unwrap() {
            Event::Output { bytes, .. } => {
                echoed.extend(bytes);
                if echoed == b"one\n" {
                    driver.request(id, Request::Write(Arc::from(&b"two\n"[..])));
                    driver.request(id, Request::CloseStdin);
                }
            }
            Event::Ended { finished, .. } => {
                assert!(finished.ok);
                return assert_eq!(finished.stdout.bytes(), b"one\ntwo\n");
            }
            _ => {}
        }
    }
}

#[test]
fn files_and_merged_streams_get_the_output() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("out");
    for (append, expected) in [(false, "a\nb\n"), (true, "a\nb\na\nb\n"), (false, "a\nb\n")] {
        let mut spec = Spec::shell("echo a; echo b >&2");
        spec.launch.stdout = Output::File { path: path.clone(), append };
        spec.launch.stderr = Output::WithStdout;
        assert!(drive(spec).ok);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), expected);
    }
    let mut spec = Spec::new(["true"]);
    spec.launch.stdout = Output::File { path: directory.path().join("no/such/place"), append: false };
    let finished = drive(spec);
    assert!(finished.outcome.error.as_ref().unwrap().reason.contains("no/such/place"));
}

#[test]
fn a_gigabyte_without_a_newline_is_counted_and_its_end_kept() {
    let mut spec = Spec::shell("head -c 1073741824 /dev/zero");
    spec.policy.capture_stdout = Capture::Last(10);
    let finished = drive(spec);
    assert_eq!((finished.stdout.total(), finished.stdout.bytes().len()), (1 << 30, 10));
}

#[test]
fn thousands_of_exits_are_all_noticed_with_pidfds_and_with_sigchld() {
    for sigchld in [false, true] {
        let mut driver = Engine::current_thread(EngineOptions { sigchld, ..EngineOptions::default() }).unwrap();
        let started: Vec<_> = (0..500).map(|_| driver.start(Spec::new(["true"]))).collect();
        let mut ended = 0;
        while ended < started.len() {
            let event = driver.next_event(Some(Instant::now() + SAFETY_NET)).unwrap();
            if let Event::Ended { finished, .. } = event.expect("all of them end") {
                assert!(finished.ok, "{finished:?}");
                ended += 1;
            }
        }
    }
}

#[test]
fn dropping_the_drive_leaves_nobody_behind() {
    let mut driver = Engine::current_thread(EngineOptions::default()).unwrap();
    let spec = Spec::shell("sleep 1000 & echo $!; wait");
    let id = driver.start(spec);
    driver.request(id, Request::EmitOutput);
    let mut pids = Vec::new();
    while pids.len() < 2 {
        match driver.next_event(Some(Instant::now() + SAFETY_NET)).unwrap().unwrap() {
            Event::Started { pid, .. } => pids.push(pid.to_string()),
            Event::Output { bytes, .. } => pids.push(String::from_utf8(bytes).unwrap().trim().to_owned()),
            other => panic!("{other:?}"),
        }
    }
    drop(driver);
    pids.iter().for_each(|pid| wait_until_dead(pid));
}

#[test]
fn a_handler_starts_the_next_process_and_sets_a_timer() {
    let mut driver = Engine::current_thread(EngineOptions::default()).unwrap();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&heard);
    driver.attach(move |context: &mut Context<'_>, event: &Event| {
        let mut log = log.lock().unwrap();
        match event {
            Event::Attached => {
                log.push("attached");
                context.start(ProcessId::new(), Spec::new(["true"]));
            }
            Event::Ended { .. } if log.len() < 4 => {
                log.push("ended");
                context.timer(Duration::from_millis(1));
            }
            Event::Ended { .. } => log.push("ended again"),
            Event::Timer { .. } => {
                log.push("timer");
                context.start(ProcessId::new(), Spec::new(["true"]));
            }
            Event::Started { .. } => log.push("started"),
            _ => {}
        }
    });
    let mut ended = 0;
    while ended < 2 {
        let event = driver.next_event(Some(Instant::now() + SAFETY_NET)).unwrap().unwrap();
        ended += usize::from(matches!(event, Event::Ended { .. }));
    }
    let expected = ["attached", "started", "ended", "timer", "started", "ended again"];
    assert_eq!(*heard.lock().unwrap(), expected);
}

#[test]
fn a_signal_to_us_is_an_event() {
    let mut driver = Engine::current_thread(EngineOptions::default()).unwrap();
    driver.watch_signals(&[Signal::USR1]).unwrap();
    let kill = driver.start(Spec::new(["kill", "-USR1", &std::process::id().to_string()]));
    let mut came = false;
    while !came {
        let event = driver.next_event(Some(Instant::now() + SAFETY_NET)).unwrap().unwrap();
        came = matches!(event, Event::Signal(Signal::USR1));
    }
    let _ = kill;
}

#[test]
fn a_process_is_a_handle_that_can_be_waited_for_from_anywhere() {
    let process = Process::shell("echo out; echo err >&2; exit 3").start();
    let others: Vec<_> = (0..4)
        .map(|_| {
            let process = process.clone();
            std::thread::spawn(move || process.wait().finished().unwrap().outcome.exit_code())
        })
        .collect();
    for other in others {
        assert_eq!(other.join().unwrap(), Some(3));
    }
    assert_eq!((process.stdout(), process.stderr()), (b"out\n".to_vec(), b"err\n".to_vec()));
    assert!(process.ended() && !process.ok() && !process.running() && process.pid().is_some());
    assert!(process.check().unwrap_err().to_string().contains("exit code 3"));
}

#[test]
fn waiting_with_a_limit_leaves_the_process_running() {
    let process = Process::new("sleep 1000").start().wait_for(Duration::from_millis(50));
    assert!(!process.ended() && process.ok());
    process.kill();
    let process = process.wait();
    assert!(process.finished().unwrap().outcome.killed && process.ok());
}

#[test]
fn a_process_can_be_reset_and_keeps_its_handlers() {
    let ends = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&ends);
    let process = Process::new("sleep 1000").on(move |_: &mut Context<'_>, event: &Event| {
        if matches!(event, Event::Ended { .. }) {
            count.fetch_add(1, Ordering::SeqCst);
        }
    });
    let process = process.start().reset();
    assert!(!process.started());
    let process = process.with(|spec| spec.launch.command = "true".into()).run();
    assert!(process.finished_ok());
    assert_eq!(ends.load(Ordering::SeqCst), 2);
}

#[test]
fn a_panic_in_a_handler_fails_its_process_only() {
    let engine = Engine::background(EngineOptions::default()).unwrap();
    let spec = || Spec::new(["echo", "x"]);
    let bad = Process::from_spec(spec(), &engine).on(|_: &mut Context<'_>, _: &Event| panic!("on purpose"));
    let good = Process::from_spec(spec(), &engine);
    let (bad, good) = (bad.start(), good.start());
    assert!(good.wait().ok());
    let bad = bad.wait();
    assert!(!bad.ok() && bad.finished().unwrap().outcome.handler_failed.is_some());
}

#[test]
fn blocking_inside_a_handler_is_refused_with_a_sentence() {
    let (told, heard) = mpsc::channel();
    let other = Process::new("true").run();
    let process = Process::new("true").on(move |_: &mut Context<'_>, event: &Event| {
        if matches!(event, Event::Ended { .. }) {
            let refused = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(other.clone().wait())));
            let text = refused.unwrap_err().downcast_ref::<String>().cloned();
            told.send(text).unwrap();
        }
    });
    let _ = process.run();
    assert!(heard.recv().unwrap().unwrap().contains("would wait for itself"));
}

#[test]
fn an_iterator_of_events_sees_everything_in_order() {
    let engine = Engine::background(EngineOptions::default()).unwrap();
    let mut events = engine.subscribe();
    let _process = Process::from_spec(Spec::shell("echo a"), &engine).emit_output().start();
    let kinds: Vec<_> = std::iter::from_fn(|| events.next_within(SAFETY_NET))
        .map(|event| match event {
            Event::Started { .. } => "started",
            Event::Output { stream: Stream::Stdout, .. } => "output",
            Event::Ended { .. } => "ended",
            _ => "other",
        })
        .take(3)
        .collect();
    assert_eq!(kinds, ["started", "output", "ended"]);
}

#[test]
fn a_subscriber_that_lags_slows_the_child_instead_of_filling_memory() {
    let engine = Engine::background(EngineOptions::default()).unwrap();
    let mut events = engine.subscribe();
    let mut spec = Spec::shell("head -c 100000000 /dev/zero");
    spec.policy = Policy { capture_stdout: Capture::None, ..Policy::default() };
    let process = Process::from_spec(spec, &engine).emit_output().start();
    let mut total = 0;
    loop {
        match events.next_within(SAFETY_NET).expect("it ends") {
            Event::Output { bytes, .. } => total += bytes.len(),
            Event::Ended { .. } => break,
            _ => assert!(process.running()),
        }
    }
    assert_eq!(total, 100_000_000);
}

#[test]
fn a_process_can_be_awaited_by_any_executor() {
    use std::future::IntoFuture as _;
    use std::task::{Context as TaskContext, Poll, Wake, Waker};

    struct Unpark(std::thread::Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut future = Process::new("true").into_future();
    let finished = loop {
        match future.as_mut().poll(&mut TaskContext::from_waker(&waker)) {
            Poll::Ready(finished) => break finished,
            Poll::Pending => std::thread::park_timeout(SAFETY_NET),
        }
    };
    assert!(finished.ok);
}

fn cat() -> Spec {
    let mut cat = Spec::new(["cat"]);
    cat.launch.stdin = Stdin::Pipe;
    cat
}

fn expect(drive: &mut Engine, id: ProcessId, needle: &str) -> MatchResult {
    drive.expect(id, Stream::Stdout, SAFETY_NET, &Expect::one(needle).unwrap()).unwrap()
}

/// Item 63, in place.
#[test]
fn a_drive_expects_and_keeps_the_events_of_the_others() {
    let mut drive = Engine::current_thread(EngineOptions::default()).unwrap();
    let other = drive.start(Spec::new(["true"]));
    let cat = drive.start(cat());
    for round in 0..1000 {
        drive.request(cat, Request::Write(format!("noise {round}\nprompt> ").into_bytes().into()));
        assert_eq!(expect(&mut drive, cat, "prompt> ").unwrap().before(), format!("noise {round}\n").as_bytes());
    }
    // The end of the other is known, and waits to be taken, before this one may end.
    while drive.processes().contains(&other) {
        drive.turn().unwrap();
    }
    drive.request(cat, Request::Write(b"last words"[..].into()));
    drive.request(cat, Request::CloseStdin);
    let mut ended = Vec::new();
    while ended.len() < 2 {
        match drive.next_event(Some(Instant::now() + SAFETY_NET)).unwrap().expect("in time") {
            Event::Ended { id, finished } => {
                assert!(finished.ok);
                ended.push(id);
            }
            Event::Started { .. } => {}
            event => panic!("nobody asked for {event:?}"),
        }
        // What was said is found after the end too, until the end was taken.
        if ended == [other] {
            assert_eq!(expect(&mut drive, cat, "words").unwrap().before(), b"last ");
        }
    }
    assert_eq!(ended, [other, cat]);
    assert_eq!(expect(&mut drive, cat, "anything").unwrap_err().reason, Reason::EndOfFile);
}

/// Items 10, 63, in place: a miss is the process's fault, the end is told at once, a look costs nothing.
#[test]
fn a_drive_misses_in_time_and_says_so() {
    let mut drive = Engine::current_thread(EngineOptions::default()).unwrap();
    let silent = drive.start(cat());
    let never = Expect::one("never").unwrap();
    let look = drive.expect(silent, Stream::Stdout, Duration::ZERO, &never).unwrap();
    assert_eq!(look.unwrap_err().reason, Reason::Timeout);
    let missed = drive.expect(silent, Stream::Stdout, Duration::from_millis(20), &never).unwrap();
    assert_eq!(missed.unwrap_err().reason, Reason::Timeout);
    drive.request(silent, Request::CloseStdin);
    let missed = drive.expect(silent, Stream::Stdout, Timeout::Never, &never).unwrap();
    assert_eq!(missed.unwrap_err().reason, Reason::EndOfFile);
    assert!(wait(&mut drive, silent).outcome.expect_failed);
}

/// What is known already is found, also where the end waits to be told.
#[test]
fn a_drive_finds_what_was_said_before_it_was_asked() {
    let mut drive = Engine::current_thread(EngineOptions::default()).unwrap();
    let echo = drive.start(Spec::new(["echo", "one two"]));
    while !drive.processes().is_empty() {
        drive.turn().unwrap();
    }
    assert_eq!(expect(&mut drive, echo, "two").unwrap().before(), b"one ");
    let unknown = drive.start(Spec::new(["/nowhere/at/all"]));
    assert_eq!(expect(&mut drive, unknown, "two").unwrap_err().reason, Reason::EndOfFile);
}

/// A terminal is watched for writing only while it takes no more: what did not fit goes on, and so does reading.
#[test]
fn a_terminal_that_was_full_takes_the_rest_and_goes_on() {
    let mut drive = Engine::current_thread(EngineOptions::default()).unwrap();
    let mut cat = cat();
    cat.launch.terminal = Some(Terminal { mode: Mode::Raw, echo: false, ..Terminal::default() });
    cat.policy.capture_stdout = Capture::None;
    let cat = drive.start(cat);
    for _ in 0..3 {
        let mut much = vec![b'x'; 1 << 19];
        much.extend_from_slice(b"end");
        drive.request(cat, Request::Write(much.into()));
        assert_eq!(expect(&mut drive, cat, "end").unwrap().before().len(), 1 << 19);
        drive.request(cat, Request::Write(b"short"[..].into()));
        assert!(expect(&mut drive, cat, "short").is_ok());
    }
}
