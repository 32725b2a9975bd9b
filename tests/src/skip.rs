//! Tests that need what this machine lacks: reported by name, never silently, and a failure under CI.
//!
//! A test that cannot run says so and returns. The sentence goes past the test runner's capture to the real standard
//! error, and into the file named by `PHALANX_SKIPPED` when that is set: `cargo xtask test` sets it and repeats the
//! list at the end, because nextest shows nothing a passing test says.

use std::fmt::Display;
use std::io::Write;
use std::path::PathBuf;

use crate::programs::find_program;

/// True under `CI=true`, where a missing tool fails the test instead of skipping it.
pub fn nothing_is_skipped_here() -> bool {
    std::env::var_os("CI").is_some_and(|value| !value.is_empty() && value != "false" && value != "0")
}

/// Reports the current test as skipped, with the reason; the test then returns.
///
/// # Panics
/// Under `CI=true`.
pub fn skip(reason: impl Display) {
    assert!(!nothing_is_skipped_here(), "CI skips nothing, and this test cannot run: {reason}");
    let thread = std::thread::current();
    let sentence = format!("skipped {}: {reason}\n", thread.name().unwrap_or("(unnamed test)"));
    // Not eprint!, which the test runner captures. Nothing is lost but the notice if this fails.
    let _ = std::io::stderr().write_all(sentence.as_bytes());
    let Some(list) = std::env::var_os("PHALANX_SKIPPED") else {
        return;
    };
    let opened = std::fs::OpenOptions::new().create(true).append(true).open(list);
    let _ = opened.and_then(|mut file| file.write_all(sentence.as_bytes()));
}

/// The path of `program`, or a skipped test: `let Some(taktuk) = require_program("taktuk", "taktuk") else { return };`.
///
/// `package` is the Debian package that holds it. `/usr/sbin` and `/sbin` are searched after `$PATH`, because an
/// ordinary user's `PATH` lacks them.
///
/// # Panics
/// Under `CI=true` when the program is missing.
pub fn require_program(program: &str, package: &str) -> Option<PathBuf> {
    let found = find_program(program);
    if found.is_none() {
        skip(format_args!("{program} is not installed (apt-get install {package})"));
    }
    found
}
