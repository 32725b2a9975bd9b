//! Whatever ends an engine, every wait, future and later start learns of it, with the reason; and what must not wait is
//! refused with a sentence.
#![expect(clippy::unwrap_used, reason = "a test says what went wrong by failing there")]

use std::future::IntoFuture as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::task::{Context as TaskContext, Wake, Waker};
use std::time::{Duration, Instant};

use phalanx_process::engine::{Engine, EngineOptions};
use phalanx_process::event::Event;
use phalanx_process::handler::Context;
use phalanx_process::spec::Stdin;
use phalanx_process::{ExitStatus, Process, Spec};

mod waits;

use waits::{SAFETY_NET, background, block_on, sleeper};

fn refusal<T>(act: impl FnOnce() -> T) -> String {
    let panic = catch_unwind(AssertUnwindSafe(|| drop(act()))).unwrap_err();
    panic.downcast_ref::<String>().cloned().unwrap_or_default()
}

#[test]
fn descriptors_that_are_closed_under_an_engine_end_it() {
    const INSIDE: &str = "PHALANX_TEST_CLOSES_DESCRIPTORS";
    if std::env::var_os(INSIDE).is_some() {
        return close_all_descriptors();
    }
    // In a program of its own: closing descriptors concerns every test of this one.
    let mut program = std::process::Command::new(std::env::current_exe().unwrap());
    let test = "descriptors_that_are_closed_under_an_engine_end_it";
    program.args(["--exact", test, "--nocapture"]).env(INSIDE, "1");
    loop {
        let run = program.output().unwrap();
        let said = String::from_utf8_lossy(&run.stderr);
        // In a debug build, Rust's library aborts a program that closes a descriptor twice, which is what the engine's
        // thread does if it was busy with a child at that moment.
        if run.status.code().is_some() || !said.contains("IO Safety violation") {
            return assert_eq!(run.status.code(), Some(SURVIVED), "{said}");
        }
    }
}

/// The exit code that says that every wait has ended.
const SURVIVED: i32 = 42;

fn close_all_descriptors() {
    let engine = background();
    let running = sleeper(&engine).start().wait_started();
    let idle = background();
    let number = |entry: std::fs::DirEntry| entry.file_name().to_str().unwrap().parse::<i32>().unwrap();
    let mut open: Vec<_> = std::fs::read_dir("/proc/self/fd").unwrap().flatten().map(number).collect();
    // The youngest first: those of the child, so that its end is not noticed between the others.
    open.sort_unstable_by(|one, other| other.cmp(one));
    for fd in open.into_iter().filter(|fd| *fd > 2) {
        let _ = nix::unistd::close(fd);
    }
    let began = Instant::now();
    let running = running.wait();
    assert_eq!(running.status(), Some(ExitStatus::Lost), "{running:?}");
    assert!(began.elapsed() < Duration::from_secs(5));
    for engine in [&engine, &idle] {
        let late = sleeper(engine).run();
        assert!(late.error().is_some(), "{late:?}");
    }
    drop(idle);
    // What still has descriptors to close would close those of others.
    std::process::exit(SURVIVED);
}

#[test]
fn the_last_handle_of_a_background_engine_ends_it_and_handlers_go_with_it() {
    let engine = background();
    let weak = engine.downgrade();
    let held = Arc::new(());
    let theirs = Arc::clone(&held);
    engine.attach(move |_: &mut Context<'_>, _: &Event| {
        let _ = &theirs;
    });
    let mut events = engine.subscribe();
    drop(engine);
    assert!(weak.upgrade().is_none());
    assert!(events.next_within(SAFETY_NET).is_none());
    assert_eq!(Arc::strong_count(&held), 1);
}

#[test]
fn an_engine_that_is_dropped_ends_everything_that_waits_for_it() {
    let engine = Engine::current_thread(EngineOptions::default()).unwrap();
    let handle = engine.handle();
    let process = sleeper(&handle).start().wait_started();
    let there = {
        let process = process.clone();
        std::thread::spawn(move || process.wait().status())
    };
    let never_started = sleeper(&handle).start();
    drop(engine);
    assert_eq!(there.join().unwrap(), Some(ExitStatus::Lost));
    assert!(process.wait().outcome().unwrap().to_string().contains("engine has ended"));
    assert!(never_started.wait().error().unwrap().reason.contains("engine has ended"));
    assert!(sleeper(&handle).run().error().unwrap().reason.contains("engine has ended"));
    assert!(handle.ended().is_some() && !handle.turns_here());
}

/// A request may come before the end or after it, but this engine never reads one.
#[test]
fn what_is_expected_of_an_engine_that_ends_before_it_has_read_the_request_has_a_result() {
    for _ in 0..50 {
        let engine = Engine::current_thread(EngineOptions::default()).unwrap();
        let process = sleeper(&engine.handle()).start();
        let (asks, asked) = mpsc::channel();
        let (answers, answer) = mpsc::channel();
        std::thread::spawn(move || {
            asks.send(()).unwrap();
            answers.send(process.expect("never").is_err()).unwrap();
        });
        asked.recv().unwrap();
        std::thread::yield_now();
        drop(engine);
        assert!(answer.recv_timeout(SAFETY_NET).expect("the wait has an end"));
    }
}

/// What a handler holds, a waker and a callback are code of others: a panic there harms nothing else.
#[test]
fn panics_in_drops_and_wakers_harm_no_other_process() {
    struct Bomb(Arc<AtomicUsize>);
    impl Drop for Bomb {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
            panic!("dropping panics on purpose");
        }
    }
    struct BadWaker;
    impl Wake for BadWaker {
        fn wake(self: Arc<Self>) {
            panic!("a waker panics on purpose");
        }
    }
    let current = Engine::current_thread(EngineOptions::default()).unwrap();
    for engine in [background(), current.handle()] {
        let dropped = Arc::new(AtomicUsize::new(0));
        let bomb = Bomb(Arc::clone(&dropped));
        let process = Process::from_spec(Spec::new(["true"]), &engine).on_end(move |_, _| {
            let _ = &bomb;
        });
        drop(process.run());
        let deadline = Instant::now() + SAFETY_NET;
        while dropped.load(Ordering::SeqCst) == 0 {
            assert!(Instant::now() < deadline, "the handler goes with its process");
            // Turns the engine, if that is this thread's to do.
            assert!(Process::from_spec(Spec::new(["true"]), &engine).run().ok());
        }
        let slow = Process::from_spec(Spec::shell("read go"), &engine).stdin(Stdin::Pipe).start();
        let mut future = slow.clone().into_future();
        let bad = Waker::from(Arc::new(BadWaker));
        assert!(future.as_mut().poll(&mut TaskContext::from_waker(&bad)).is_pending());
        slow.write("go\n");
        assert!(slow.wait().ok());
        assert!(Process::from_spec(Spec::new(["true"]), &engine).run().ok());
        assert!(engine.ended().is_none());
    }
}

/// Every way to wait inside a handler, on either kind of engine, also for a process of another engine.
#[test]
fn waiting_inside_a_handler_is_refused_with_a_sentence() {
    let current = Engine::current_thread(EngineOptions::default()).unwrap();
    let (own, other) = (background(), background());
    for engine in [&own, &current.handle()] {
        for target in [engine, &other] {
            let (sender, refusals) = mpsc::channel();
            let target = target.clone();
            let process = Process::from_spec(Spec::new(["true"]), engine).on_end(move |_, _| {
                let process = sleeper(&target).start();
                sender.send(refusal(|| process.clone().wait())).unwrap();
                sender.send(refusal(|| process.clone().wait_for(SAFETY_NET))).unwrap();
                sender.send(refusal(|| process.clone().wait_started())).unwrap();
                sender.send(refusal(|| process.expect("x"))).unwrap();
                sender.send(refusal(|| process.stdout())).unwrap();
                sender.send(refusal(|| process.write("x"))).unwrap();
                sender.send(refusal(|| block_on(process.clone().into_future()))).unwrap();
                sender.send(refusal(|| target.subscribe().next())).unwrap();
                process.kill();
            });
            assert!(process.run().ok());
            let refusals: Vec<_> = refusals.iter().take(8).collect();
            assert!(refusals.iter().all(|said| said.contains("would wait for itself")), "{refusals:?}");
        }
    }
}

/// An await that is not ready inside a handler fails the process of the handler, and nothing stands still.
#[test]
fn an_await_inside_a_handler_fails_only_its_process() {
    let engine = background();
    let inner = engine.clone();
    let process = Process::from_spec(Spec::new(["true"]), &engine).on_end(move |_, _| {
        block_on(async { Process::from_spec(Spec::new(["true"]), &inner).await });
    });
    let process = process.run();
    assert!(process.outcome().unwrap().handler_failed.unwrap().contains("would wait for itself"));
    assert!(Process::from_spec(Spec::new(["true"]), &engine).run().ok());
}

/// The future is the last that keeps the engine.
#[test]
fn a_future_keeps_its_engine() {
    let future = Process::from_spec(Spec::shell("sleep 0.05; exit 3"), &background()).into_future();
    assert_eq!(block_on(future).outcome.exit_code(), Some(3));
}

#[test]
fn a_weak_handle_in_its_own_handler_keeps_nothing() {
    let engine = background();
    let held = Arc::new(());
    let process = sleeper(&engine);
    let (theirs, weak) = (Arc::clone(&held), process.downgrade());
    let process = process.on_start(move |_, _| {
        let _ = &theirs;
        weak.upgrade().unwrap().kill();
    });
    let gone = process.downgrade();
    assert!(process.run().killed());
    assert!(gone.upgrade().is_none());
    let deadline = Instant::now() + SAFETY_NET;
    while Arc::strong_count(&held) > 1 {
        assert!(Instant::now() < deadline, "the handler is freed");
        std::thread::yield_now();
    }
}

#[test]
fn names_of_another_engine_are_refused() {
    let (one, other) = (background(), background());
    let handler = other.attach(|_: &mut Context<'_>, _: &Event| {});
    let process = Process::from_spec(Spec::new(["true"]), &one).heard_by(handler).run();
    assert!(process.error().unwrap().reason.contains("another engine"), "{process:?}");
    let stranger = Process::from_spec(Spec::new(["true"]), &other);
    let process = Process::from_spec(Spec::new(["true"]), &one).on_start(move |context, _| {
        let _ = stranger.start_within(context);
    });
    let process = process.run();
    assert!(process.outcome().unwrap().handler_failed.unwrap().contains("one engine"), "{process:?}");
}
