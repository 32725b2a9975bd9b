//! A warning in the log says why a process is not ok, whatever its exit status.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use log::{Level, LevelFilter, Log, Metadata, Record};
use phalanx_process::Process;
use phalanx_process::spec::Stdin;

/// Keeps the warnings.
struct Warnings(Mutex<Vec<String>>);

static WARNINGS: Warnings = Warnings(Mutex::new(Vec::new()));

impl Log for Warnings {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= Level::Warn
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).push(record.args().to_string());
        }
    }

    fn flush(&self) {}
}

/// Returns what the warning says that has `name` in it. Waits for it: it is written while those who wait are woken.
fn reason(name: &str) -> String {
    let give_up = Instant::now() + Duration::from_secs(60);
    loop {
        let warnings = WARNINGS.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((_, reason)) = warnings.iter().find_map(|line| line.split_once(name)) {
            return reason.to_owned();
        }
        assert!(Instant::now() < give_up, "no warning of {name}in {warnings:?}");
        std::thread::yield_now();
    }
}

#[test]
fn a_warning_states_the_reason() {
    log::set_logger(&WARNINGS).expect("there is no other");
    log::set_max_level(LevelFilter::Warn);
    let unread = || Process::new("true").stdin(Stdin::Data(vec![b'x'; 1 << 20].into()));
    let missed =
        Process::new("cat").stdin(Stdin::Pipe).named("missed").default_expect_timeout(Some(Duration::from_millis(50)));
    let missed = missed.start();
    assert!(missed.expect("goodbye").is_err());
    missed.close_stdin();
    drop(missed.wait());
    drop(unread().named("unread").run());
    drop(Process::shell("echo disk is full >&2; exit 3").named("full").run());
    drop(Process::shell("kill -9 $$").named("killed").run());
    drop(Process::new("sleep 60").named("slow").timeout(0.05).run());
    let said = |name: &str| reason(&format!("({name}) "));
    assert_eq!(said("missed"), "did not say what was expected of it");
    assert_eq!(said("unread"), "did not read what was written to its stdin");
    assert_eq!(said("full"), "exited with exit code 3: disk is full");
    assert_eq!(said("killed"), "killed by SIGKILL");
    assert!(said("slow").starts_with("timed out after 0."), "{}", said("slow"));
}
