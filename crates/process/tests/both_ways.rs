//! The same scenarios on an engine of its own thread and on one that the waiting thread turns: what runs, runs on either.
#![expect(clippy::unwrap_used, reason = "a test says what went wrong by failing there")]

use std::future::IntoFuture as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context as TaskContext, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use phalanx_process::backend::Backend;
use phalanx_process::completion::Completion;
use phalanx_process::engine::{Engine, EngineHandle, EngineOptions};
use phalanx_process::event::{Effect, Event, Input, NO_PROCESS, Notification, Request, Stream};
use phalanx_process::expect::Reason;
use phalanx_process::handler::{Context, Handler};
use phalanx_process::id::ProcessId;
use phalanx_process::process::expect_all;
use phalanx_process::spec::{Output, Stdin};
use phalanx_process::watch::Timeout;
use phalanx_process::{ExitStatus, Process, Spec};

/// Far longer than anything here takes: it only keeps a defect from hanging the tests.
const SAFETY_NET: Duration = Duration::from_secs(120);

/// Runs a scenario on both kinds of engine.
fn both_ways(scenario: impl Fn(&EngineHandle)) {
    scenario(&Engine::background(EngineOptions::default()).unwrap());
    let engine = Engine::current_thread(EngineOptions::default()).unwrap();
    assert!(engine.handle().turns_here());
    scenario(&engine.handle());
}

fn shell(script: &str, engine: &EngineHandle) -> Process {
    Process::from_spec(Spec::shell(script), engine)
}

#[test]
fn a_process_is_run_waited_for_and_judged() {
    both_ways(|engine| {
        let process = shell("echo out; echo err >&2; exit 3", engine).run();
        assert_eq!((process.stdout(), process.stderr()), (b"out\n".to_vec(), b"err\n".to_vec()));
        assert_eq!((process.exit_code(), process.ok()), (Some(3), false));
        let again = process.reset().with(|spec| spec.launch.command = "true".into()).run();
        assert!(again.finished_ok());
    });
}

#[test]
fn many_run_at_once_and_are_waited_for_in_any_order() {
    both_ways(|engine| {
        let processes: Vec<_> = (0..100).map(|n| shell(&format!("exit {}", n % 7), engine).start()).collect();
        for (n, process) in processes.into_iter().enumerate().rev() {
            assert_eq!(process.wait().exit_code(), i32::try_from(n % 7).ok());
        }
    });
}

#[test]
fn a_wait_with_a_limit_and_a_timeout_end_in_time() {
    both_ways(|engine| {
        let process = shell("exec sleep 1000", engine).start().wait_started().wait_for(Duration::from_millis(20));
        assert!(process.running() && process.pid().is_some());
        process.kill();
        assert!(process.wait().killed());
        assert!(shell("exec sleep 1000", engine).timeout(0.05).run().timed_out());
    });
}

#[test]
fn what_is_kept_is_seen_while_it_runs() {
    both_ways(|engine| {
        let process = shell("echo here; read go; echo there", engine).stdin(Stdin::Pipe).start();
        let deadline = Instant::now() + SAFETY_NET;
        while process.stdout() != b"here\n" {
            assert!(Instant::now() < deadline, "its output is kept");
        }
        process.write("go\n");
        assert_eq!(process.wait().stdout(), b"here\nthere\n");
    });
}

#[test]
fn a_dialogue_on_a_terminal_goes_back_and_forth() {
    both_ways(|engine| {
        let shell = Process::from_spec(Spec::new(["sh"]), engine).pty();
        let shell = shell.stderr_to(Output::WithStdout).env("PS1", "ready> ").start();
        for round in 0..20 {
            shell.expect_within(SAFETY_NET, "ready> ").unwrap();
            shell.write(format!("echo $(({round} * 7))\n"));
            shell.expect_within(SAFETY_NET, format!("\n{}\r\n", round * 7).as_str()).unwrap();
        }
        let missed = shell.expect_within(Duration::from_millis(10), "never").unwrap_err();
        assert!(missed.to_string().contains("never"), "{missed}");
        shell.close_stdin();
        assert!(shell.wait().expect_failed());
    });
}

#[test]
fn several_are_expected_at_once_and_matches_are_iterated() {
    both_ways(|engine| {
        let servers: Vec<_> = (0..5).map(|n| shell(&format!("echo {n} up; exec sleep 1000"), engine).start()).collect();
        let verdicts = expect_all(&servers, Stream::Stdout, SAFETY_NET, "up").unwrap();
        assert!(verdicts.iter().all(Result::is_ok));
        servers.iter().for_each(Process::kill);
        let letters = shell("echo a=1 b=2 c=3", engine).start();
        assert_eq!(letters.matches(Stream::Stdout, Timeout::Never, "=").unwrap().count(), 3);
        let ended = expect_all(&servers, Stream::Stdout, Timeout::Never, "up").unwrap();
        assert!(ended.iter().all(|verdict| verdict.as_ref().is_err_and(|missed| missed.reason == Reason::EndOfFile)));
    });
}

#[test]
fn a_writer_waits_for_room_and_everything_arrives() {
    both_ways(|engine| {
        let counted = Process::from_spec(Spec::new(["wc", "-c"]), engine).stdin(Stdin::Pipe).start();
        let chunk = vec![b'x'; 256 * 1024];
        (0..40).for_each(|_| counted.write(&chunk));
        counted.close_stdin();
        assert_eq!(String::from_utf8(counted.wait().stdout()).unwrap().trim(), (40 * chunk.len()).to_string());
    });
}

#[test]
fn handlers_hear_lines_and_ends_before_the_wait_is_over() {
    both_ways(|engine| {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let [lines, ends] = [Arc::clone(&heard), Arc::clone(&heard)];
        let process = shell("echo one; echo two", engine)
            .on_line(move |_, _, line| lines.lock().unwrap().push(String::from_utf8(line.bytes.to_vec()).unwrap()))
            .on_end(move |_, finished| ends.lock().unwrap().push(format!("ended {}", finished.ok)));
        assert!(process.run().ok());
        assert_eq!(*heard.lock().unwrap(), ["one", "two", "ended true"]);
    });
}

#[test]
fn a_subscription_is_iterated_and_ends_with_its_release() {
    both_ways(|engine| {
        let (handler, events) = engine.subscribe_filtered();
        let process = shell("echo a", engine).heard_by(handler).start();
        engine.release(handler);
        let mut kinds = Vec::new();
        for event in events {
            kinds.push(match event {
                Event::Started { .. } => "started",
                Event::Output { .. } => "output",
                Event::Ended { .. } => "ended",
                _ => "other",
            });
        }
        assert_eq!(kinds, ["started", "output", "ended"]);
        assert!(process.wait().ok());
        let mut all = engine.subscribe();
        drop(shell("true", engine).start());
        assert!(matches!(all.next_within(SAFETY_NET), Some(Event::Started { .. })));
        assert!(matches!(all.next_within(SAFETY_NET), Some(Event::Ended { .. })));
        assert!(all.next_within(Duration::from_millis(5)).is_none());
    });
}

#[test]
fn a_handler_of_many_starts_the_next_and_completes_a_wait() {
    both_ways(|engine| {
        let (completer, all_done) = Completion::pair();
        let (mut completer, mut left) = (Some(completer), 5);
        engine.attach(move |context: &mut Context<'_>, event: &Event| {
            if matches!(event, Event::Attached | Event::Ended { .. }) {
                if left == 0 {
                    completer.take().unwrap().complete("five");
                    return context.detach();
                }
                left -= 1;
                context.start(ProcessId::new(), Spec::new(["true"]));
            }
        });
        assert_eq!(engine.wait_for("wait for five processes", &all_done, None), Ok("five"));
    });
}

/// Says that it runs, echoes what it is written, and ends when its stdin is closed.
#[derive(Default)]
struct Echo;

impl Handler for Echo {
    fn on_event(&mut self, _: &mut Context<'_>, _: &Event) {}

    fn on_effect(&mut self, context: &mut Context<'_>, effect: &Effect) {
        let id = effect.process();
        match effect {
            Effect::Spawn(_) => context.answer(id, Input::Spawned { pid: NO_PROCESS }),
            Effect::Write(_, bytes) => {
                context.answer(id, Input::Bytes(Stream::Stdout, bytes));
                context.answer(id, Input::StdinDrained);
            }
            Effect::CloseStdin(_) | Effect::Signal { .. } => {
                context.answer(id, Input::Eof(Stream::Stdout));
                context.answer(id, Input::Eof(Stream::Stderr));
                context.answer(id, Input::Exited(ExitStatus::Exited(0)));
            }
            Effect::Cancel(_) | Effect::Release(_) => {}
        }
    }
}

#[test]
fn a_backend_runs_processes_on_either() {
    both_ways(|engine| {
        let backend = Backend::attach(Echo, engine);
        let process = Process::from_spec(Spec::new(["far"]), engine).hosted_by(&backend, 0).stdin(Stdin::Pipe).start();
        process.write("login: ");
        process.expect_within(SAFETY_NET, "login: ").unwrap();
        process.close_stdin();
        let process = process.wait();
        assert_eq!((process.ok(), process.stdout()), (true, b"login: ".to_vec()));
    });
}

#[test]
fn a_handler_is_woken_after_all_that_has_happened() {
    struct Sleeper(mpsc::Sender<&'static str>);
    impl Handler for Sleeper {
        fn on_event(&mut self, _: &mut Context<'_>, event: &Event) {
            if matches!(event, Event::Ended { .. }) {
                self.0.send("ended").unwrap();
            }
        }
        fn on_notification(&mut self, _: &mut Context<'_>, notification: &Notification) {
            if *notification == Notification::Woken {
                self.0.send("woken").unwrap();
            }
        }
    }
    both_ways(|engine| {
        let (sender, heard) = mpsc::channel();
        let handler = engine.attach(Sleeper(sender));
        let process = shell("true", engine).heard_by(handler).run();
        engine.wake_handler(handler);
        // Another round, behind the waking.
        assert!(process.ok() && shell("true", engine).run().ok());
        assert_eq!(heard.try_iter().collect::<Vec<_>>(), ["ended", "woken"]);
    });
}

/// Tens of thousands of requests from another thread, one at a time, with nothing else to wake the engine.
#[test]
fn no_wake_up_is_lost() {
    struct Pong(mpsc::Receiver<phalanx_process::completion::Completer<()>>);
    impl Handler for Pong {
        fn on_event(&mut self, _: &mut Context<'_>, _: &Event) {}
        fn on_notification(&mut self, _: &mut Context<'_>, _: &Notification) {
            for completer in self.0.try_iter() {
                completer.complete(());
            }
        }
    }
    both_ways(|engine| {
        let (sender, pings) = mpsc::channel();
        let handler = engine.attach(Pong(pings));
        let deadline = Instant::now() + SAFETY_NET;
        for _ in 0..30_000 {
            let (completer, answered) = Completion::pair();
            sender.send(completer).unwrap();
            // Several in a row: the engine, awake for the first, may take the next before its sender has come to wake it.
            (0..3).for_each(|_| engine.wake_handler(handler));
            assert_eq!(engine.wait_for("wait for an answer", &answered, Some(deadline)), Ok(()));
        }
    });
}

#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Futures are woken once however often they were polled, and leave nothing behind.
#[test]
fn a_future_of_a_process_is_woken_by_its_end() {
    both_ways(|engine| {
        let count = Arc::new(Count::default());
        let waker = Waker::from(Arc::clone(&count));
        let process = shell("read go", engine).stdin(Stdin::Pipe).start();
        for _ in 0..100 {
            let mut dropped = process.clone().into_future();
            assert!(dropped.as_mut().poll(&mut TaskContext::from_waker(&waker)).is_pending());
        }
        assert_eq!(Arc::strong_count(&count), 2, "no waker is kept of a future that is gone");
        let mut future = process.clone().into_future();
        for _ in 0..100 {
            assert!(future.as_mut().poll(&mut TaskContext::from_waker(&waker)).is_pending());
        }
        process.write("go\n");
        let process = process.wait();
        let deadline = Instant::now() + SAFETY_NET;
        while count.0.load(Ordering::SeqCst) == 0 {
            assert!(Instant::now() < deadline, "it is woken");
        }
        let Poll::Ready(finished) = future.as_mut().poll(&mut TaskContext::from_waker(&waker)) else {
            panic!("it has ended")
        };
        assert!(finished.ok && process.ok());
        assert_eq!(count.0.load(Ordering::SeqCst), 1);
    });
}

/// Waiting on another thread blocks until the owner turns the engine.
#[test]
fn another_thread_waits_until_the_owner_turns_the_engine() {
    let engine = Engine::current_thread(EngineOptions::default()).unwrap();
    let handle = engine.handle();
    let first = shell("echo from here", &handle).start();
    let (sender, started_there) = mpsc::channel();
    let there = std::thread::spawn(move || {
        assert!(!handle.turns_here());
        let process = shell("echo from there; read go", &handle).stdin(Stdin::Pipe).start();
        sender.send(process.clone()).unwrap();
        process.expect_within(SAFETY_NET, "from there").unwrap();
        process.write("go\n");
        process.wait().stdout()
    });
    let process = started_there.recv().unwrap();
    assert!(process.wait().ok(), "turned here, written to there");
    assert_eq!(there.join().unwrap(), b"from there\n");
    assert_eq!(first.wait().stdout(), b"from here\n");
}

/// What is started by name is heard of by events, what has a handle is not: the handle is how one hears of it.
#[test]
fn events_of_processes_with_a_handle_are_not_kept_for_the_loop() {
    let mut engine = Engine::current_thread(EngineOptions::default()).unwrap();
    let handle = engine.handle();
    let named = engine.start(Spec::new(["echo", "by name"]));
    engine.request(named, Request::EmitOutput);
    for _ in 0..100 {
        let process = shell("echo by handle", &handle).on_line(|_, _, _| {}).run();
        assert_eq!(process.stdout(), b"by handle\n");
    }
    let mut heard = Vec::new();
    while let Some(event) = engine.next_event(Some(Instant::now() + SAFETY_NET)).unwrap() {
        assert_eq!(event.process(), Some(named));
        if let Event::Ended { finished, .. } = event {
            assert_eq!(finished.stdout.text(), "by name\n");
            break;
        }
        heard.push(event);
    }
    assert_eq!(heard.len(), 2);
}

/// Two engines of one thread, each turned by the waits for its own.
#[test]
fn a_thread_may_own_several_engines() {
    let [one, other] = [(), ()].map(|()| Engine::current_thread(EngineOptions::default()).unwrap());
    let slow = shell("read go", &one.handle()).stdin(Stdin::Pipe).start();
    assert!(shell("true", &other.handle()).run().ok());
    slow.write("go\n");
    assert!(slow.wait().ok());
    drop(one);
    assert!(shell("true", &other.handle()).run().ok());
}

/// A future is driven by the engine of this thread.
#[test]
fn a_future_can_be_blocked_on() {
    let mut engine = Engine::current_thread(EngineOptions::default()).unwrap();
    let handle = engine.handle();
    let codes = engine
        .block_on(async {
            let first = shell("exit 1", &handle).start();
            let second = shell("exit 2", &handle).await;
            [first.await.outcome.exit_code(), second.outcome.exit_code()]
        })
        .unwrap();
    assert_eq!(codes, [Some(1), Some(2)]);
    // One that another thread completes.
    let (completer, completion) = Completion::pair();
    let there = std::thread::spawn(move || completer.complete(7));
    assert_eq!(engine.block_on(completion.future()).unwrap(), Ok(7));
    assert!(there.join().unwrap());
}
