//! A logger that panics ends the engine that calls it, and everything that waits hears so. Apart from the other tests, since
//! the logger is that of the whole program.
#![expect(clippy::unwrap_used, reason = "a test says what went wrong by failing there")]

use std::future::IntoFuture as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use phalanx_process::engine::{Engine, EngineHandle, EngineOptions};
use phalanx_process::event::Stream;
use phalanx_process::expect::Reason;
use phalanx_process::spec::Stdin;
use phalanx_process::watch::{ExpectFailed, Timeout};
use phalanx_process::{ExitStatus, Process, Spec};

mod waits;

use waits::{SAFETY_NET, background, block_on, sleeper};

/// Everything that can wait for a process of an engine, each on a thread of its own; the value is how it ended.
fn every_kind_of_wait(engine: &EngineHandle) -> Vec<(&'static str, JoinHandle<Result<(), String>>)> {
    let lost = |process: &Process| {
        let outcome = process.outcome().ok_or("it has no outcome")?;
        let said = outcome.to_string();
        let is_lost = outcome.status == Some(ExitStatus::Lost) && !process.ok();
        if is_lost && said.contains("engine has ended") { Ok(()) } else { Err(said) }
    };
    let process = || sleeper(engine).stdin(Stdin::Pipe).start().wait_started();
    let [waited, limited, awaited, expected, full, looked] = [(); 6].map(|()| process());
    let chunk = vec![b'x'; 1 << 20];
    while full.try_write(&chunk).is_ok() {}
    let spawn = std::thread::spawn::<Box<dyn FnOnce() -> Result<(), String> + Send>, Result<(), String>>;
    vec![
        ("wait", spawn(Box::new(move || lost(&waited.wait())))),
        ("wait_for", spawn(Box::new(move || lost(&limited.wait_for(SAFETY_NET))))),
        (
            "await",
            spawn(Box::new(move || {
                let process = awaited.clone();
                block_on(awaited.into_future());
                lost(&process)
            })),
        ),
        (
            "expect",
            spawn(Box::new(move || {
                let missed = expected.expect_on(Stream::Stdout, Timeout::Never, "never").unwrap_err();
                if matches!(&missed, ExpectFailed::NotFound(it) if it.reason == Reason::EndOfFile) {
                    Ok(())
                } else {
                    Err(missed.to_string())
                }
            })),
        ),
        (
            "write",
            spawn(Box::new(move || {
                full.write(&chunk);
                lost(&full.wait())
            })),
        ),
        (
            "stdout",
            spawn(Box::new(move || {
                while !looked.ended() {
                    let _ = looked.stdout();
                }
                lost(&looked)
            })),
        ),
    ]
}

/// Ends an engine in some way, and checks that everything that waits for it, or asks it for something later, hears so soon.
fn everything_hears_of_the_end(engine: &EngineHandle, end: impl FnOnce()) {
    let mut events = engine.subscribe();
    let waits = every_kind_of_wait(engine);
    let pid = sleeper(engine).start().pid().unwrap();
    let began = Instant::now();
    end();
    for (what, wait) in waits {
        assert_eq!(wait.join().unwrap(), Ok(()), "{what}");
    }
    let taken = began.elapsed();
    assert!(taken < Duration::from_secs(10), "the waits took {taken:?}");
    assert!(engine.ended().unwrap().contains("engine has ended"), "{:?}", engine.ended());
    let late = sleeper(engine).run();
    assert!(late.error().unwrap().reason.contains("engine has ended"), "{late:?}");
    assert!(!late.ok() && !block_on(sleeper(engine).into_future()).ok);
    while events.next_within(SAFETY_NET).is_some() {}
    let deadline = Instant::now() + SAFETY_NET;
    while std::path::Path::new(&format!("/proc/{pid}")).exists() {
        assert!(Instant::now() < deadline, "its children are killed");
        std::thread::yield_now();
    }
}

/// Makes the engine's own code panic: a logger that panics is called by the engine when a handler has been slow.
static LOGGER_PANICS: AtomicBool = AtomicBool::new(false);

struct Logger;

impl log::Log for Logger {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, _: &log::Record<'_>) {
        assert!(!LOGGER_PANICS.load(Ordering::SeqCst), "the reader of the log has gone");
    }

    fn flush(&self) {}
}

fn panicking_logger() {
    // Another test of this program may have set it.
    let _ = log::set_logger(&Logger);
    log::set_max_level(log::LevelFilter::Warn);
}

/// One test, since the logger is the program's.
#[test]
fn a_logger_that_panics_ends_the_engine_and_everything_hears_of_it() {
    panicking_logger();
    let engine = background();
    everything_hears_of_the_end(&engine, || {
        LOGGER_PANICS.store(true, Ordering::SeqCst);
        // Its end is a warning.
        drop(Process::from_spec(Spec::new(["false"]), &engine).start());
        while engine.ended().is_none() {
            std::thread::yield_now();
        }
        LOGGER_PANICS.store(false, Ordering::SeqCst);
    });
    assert!(engine.ended().unwrap().contains("the reader of the log has gone"));

    let mut engine = Engine::current_thread(EngineOptions::default()).unwrap();
    let waiting = sleeper(&engine.handle()).start().wait_started();
    LOGGER_PANICS.store(true, Ordering::SeqCst);
    let failing = Process::from_spec(Spec::new(["false"]), &engine.handle()).run();
    LOGGER_PANICS.store(false, Ordering::SeqCst);
    assert!(failing.ended() && waiting.wait().status() == Some(ExitStatus::Lost));
    assert!(engine.next_event(None).unwrap_err().to_string().contains("the reader of the log has gone"));
}
