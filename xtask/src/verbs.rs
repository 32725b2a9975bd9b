//! The list of what can be asked, and nothing else.

use std::process::ExitCode;

use crate::{bench, ci, demo, help, test, tidy};

/// One verb of `cargo xtask`.
pub struct Verb {
    /// The word after `cargo xtask`.
    pub name: &'static str,
    arguments: &'static str,
    purpose: &'static str,
    run: fn(&[String]) -> ExitCode,
}

impl std::fmt::Debug for Verb {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "cargo xtask {} {}", self.name, self.arguments)
    }
}

/// Every verb, in the order in which a newcomer needs them.
pub const VERBS: &[Verb] = &[
    Verb {
        name: "demo",
        arguments: "",
        purpose: "bring up a private fleet of ssh hosts and show the main job on it",
        run: demo::run,
    },
    Verb {
        name: "test",
        arguments: "[FILTER…]",
        purpose: "all tests, or those whose name contains a FILTER; installs or names what they need",
        run: test::run,
    },
    Verb {
        name: "ci",
        arguments: "[--except STEP]…",
        purpose: "fmt, clippy, tidy, doc and test; runs them all and reports all failures at once",
        run: ci::run,
    },
    Verb {
        name: "tidy",
        arguments: "",
        purpose: "the rules of the house: arrows between crates, module headers, where unsafe may be, …",
        run: tidy::run,
    },
    Verb { name: "bless", arguments: "", purpose: "write the help texts of phalanx into docs/cli.md", run: help::run },
    Verb {
        name: "bench",
        arguments: "[ROW…]",
        purpose: "speed and memory as ratios to a limit measured in the same run; without ROW all of them",
        run: bench::run,
    },
];

/// Does what the command line says; without a known verb, lists them.
pub fn run(arguments: Vec<String>) -> ExitCode {
    let Some((name, rest)) = arguments.split_first() else {
        print!("{}", usage());
        return ExitCode::SUCCESS;
    };
    if let Some(verb) = VERBS.iter().find(|verb| verb.name == name) {
        return (verb.run)(rest);
    }
    if matches!(name.as_str(), "help" | "-h" | "--help") {
        print!("{}", usage());
        return ExitCode::SUCCESS;
    }
    eprint!("xtask: there is no verb «{name}»\n\n{}", usage());
    ExitCode::from(2)
}

fn usage() -> String {
    let call = |verb: &Verb| format!("{} {}", verb.name, verb.arguments);
    let width = VERBS.iter().map(|verb| call(verb).chars().count()).max().unwrap_or(0);
    let lines = VERBS.iter().map(|verb| format!("  cargo xtask {:width$}  {}\n", call(verb), verb.purpose));
    String::from("usage:\n") + &lines.collect::<String>()
}
