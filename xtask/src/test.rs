//! All tests: with nextest where it is installed, with cargo's own runner elsewhere. Either's closing lines come
//! through as they are.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use phalanx_tests::find_program;

use crate::install;
use crate::step::{Steps, binaries, cargo, target};

/// `cargo xtask test [FILTER…]`.
pub fn run(filters: &[String]) -> ExitCode {
    let mut steps = Steps::default();
    add_to(&mut steps, filters);
    steps.verdict("test")
}

/// The steps of testing, as a part of a longer job.
pub fn add_to(steps: &mut Steps, filters: &[String]) {
    install::provide(install::TESTS);
    // Tests run the programs as users do, and cargo builds no other package's programs for a test.
    steps.command("build", &mut cargo(["build", "--workspace", "--bins"]));
    let skipped = Skipped::begin();
    // nextest runs no examples in documentation; before it, so that the closing lines are the runner's.
    if find_program("cargo-nextest").is_some() {
        skipped.run(steps, "examples in the documentation", &["test", "--workspace", "--doc"], filters);
        skipped.run(steps, "tests", &["nextest", "run", "--workspace", "--no-fail-fast", "--no-tests=pass"], filters);
    } else {
        skipped.run(steps, "tests", &["test", "--workspace", "--no-fail-fast"], filters);
    }
    skipped.report();
}

/// The list of skipped tests, written by the tests themselves: `phalanx_tests::skip` says how.
struct Skipped(PathBuf);

impl Skipped {
    fn begin() -> Skipped {
        let list = target().join("skipped-tests.txt");
        // It is absent as a rule.
        let _ = fs::remove_file(&list);
        Skipped(list)
    }

    fn run(&self, steps: &mut Steps, name: &str, arguments: &[&str], filters: &[String]) {
        let mut command = cargo(arguments);
        if !filters.is_empty() {
            command.arg("--").args(filters);
        }
        command.env("PHALANX_SKIPPED", &self.0).env("PHALANX_BINARIES", binaries());
        steps.command(name, &mut command);
    }

    fn report(&self) {
        let list = fs::read_to_string(&self.0).unwrap_or_default();
        if !list.is_empty() {
            eprint!(
                "\n{} tests were skipped:\n{list}",
                list.lines().filter(|line| line.starts_with("skipped ")).count()
            );
        }
    }
}
