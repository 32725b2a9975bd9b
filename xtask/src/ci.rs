//! Everything that must hold before a change is done. All steps run, whatever failed before, and all failures are told
//! at once.

use std::process::ExitCode;

use crate::step::{Steps, cargo};
use crate::{test, tidy};

/// A step, and the name under which it can be excepted.
type Step = (&'static str, fn(&mut Steps));

/// The steps, cheapest first. Tests come last, so that the test runner's closing lines are near the end of the output.
const STEPS: &[Step] = &[
    ("fmt", |steps| steps.command("fmt", &mut cargo(["fmt", "--all", "--check"]))),
    ("tidy", |steps| steps.record("tidy", tidy::report())),
    ("clippy", |steps| {
        steps.command("clippy", &mut cargo(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]));
    }),
    ("doc", |steps| {
        let mut doc = cargo(["doc", "--no-deps", "--workspace"]);
        steps.command("doc", doc.env("RUSTDOCFLAGS", "-D warnings"));
    }),
    ("test", |steps| test::add_to(steps, &[])),
];

/// `cargo xtask ci [--except STEP]…`.
pub fn run(arguments: &[String]) -> ExitCode {
    let excepted = match excepted(arguments) {
        Ok(excepted) => excepted,
        Err(sentence) => {
            eprintln!("xtask ci: {sentence}");
            return ExitCode::from(2);
        }
    };
    let mut steps = Steps::default();
    for (name, add) in STEPS {
        if !excepted.contains(name) {
            add(&mut steps);
        }
    }
    steps.verdict("ci")
}

fn excepted(arguments: &[String]) -> Result<Vec<&'static str>, String> {
    let known = || STEPS.iter().map(|(name, _)| *name);
    let mut excepted = Vec::new();
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        let step = words.next().filter(|_| word == "--except").ok_or("usage: cargo xtask ci [--except STEP]…")?;
        let names = || known().collect::<Vec<_>>().join(", ");
        excepted
            .push(known().find(|name| name == step).ok_or_else(|| format!("no step is called «{step}»: {}", names()))?);
    }
    Ok(excepted)
}
