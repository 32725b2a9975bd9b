//! Every mistake that a plan can have gets a message that says where, what is wrong, and what to write.
//!
//! The cases are in `plans/mistakes.txt`: a heading, the plan, and behind `>` the messages. With `BLESS=1` the messages
//! are written there; read them before you keep them.

use std::fmt::Write as _;
use std::path::Path;

use phalanx_plan::{Overrides, Plan};

/// A plan with something wrong in it.
struct Case {
    heading: String,
    plan: String,
    messages: String,
}

fn path() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/plans/mistakes.txt")
}

fn cases() -> Vec<Case> {
    let text = std::fs::read_to_string(path()).expect("the cases can be read");
    let mut cases: Vec<Case> = Vec::new();
    for line in text.lines() {
        if let Some(heading) = line.strip_prefix("=== ") {
            cases.push(Case { heading: heading.to_owned(), plan: String::new(), messages: String::new() });
            continue;
        }
        let case = cases.last_mut().expect("the first line is a heading");
        let (to, line) = match line.strip_prefix("> ") {
            Some(message) => (&mut case.messages, message),
            None => (&mut case.plan, line),
        };
        writeln!(to, "{line}").expect("a String");
    }
    cases
}

fn messages(plan: &str) -> String {
    match Plan::parse("plan.toml", plan, &Overrides::default()) {
        Ok(_) => "nothing is wrong with it\n".to_owned(),
        Err(error) => format!("{error}\n"),
    }
}

#[test]
fn every_mistake_has_its_message() {
    let cases = cases();
    if std::env::var_os("BLESS").is_some() {
        let mut text = String::new();
        for Case { heading, plan, .. } in &cases {
            writeln!(text, "=== {heading}\n{}", plan.trim_end()).expect("a String");
            messages(plan).lines().for_each(|line| writeln!(text, "> {line}").expect("a String"));
        }
        std::fs::write(path(), text).expect("the cases can be written");
        return;
    }
    assert!(cases.len() >= 50, "{}", cases.len());
    for Case { heading, plan, messages: expected } in &cases {
        assert_eq!(&messages(plan), expected, "{heading}:\n{plan}");
        assert!(expected.lines().all(|line| line.starts_with("plan.toml:")), "{heading}: no place");
    }
}

/// Whatever is cut off or changed in a plan, reading it ends, with a plan or with messages.
#[test]
fn no_damage_makes_reading_panic() {
    for Case { plan, .. } in cases() {
        for at in 0..plan.len() {
            if !plan.is_char_boundary(at) {
                continue;
            }
            let _ = messages(&plan[..at]);
            let damaged = format!("{}\"{}", &plan[..at], &plan[at..]);
            let _ = messages(&damaged);
        }
    }
}

#[test]
fn deep_and_long_plans_are_read_or_refused() {
    let deep = |depth: usize| {
        format!("step = [{}{}]", "{ sequence = [".repeat(depth), "{ local = 'x' }".to_owned() + &"] }".repeat(depth))
    };
    assert!(Plan::parse("deep", &deep(20), &Overrides::default()).is_ok());
    // Deeper than the TOML parser goes: refused, not overflowed.
    assert!(Plan::parse("deep", &deep(2000), &Overrides::default()).is_err());
    let long: String = (0..5000).map(|number| format!("[[step]]\nname = 's{number}'\nlocal = 'true'\n")).collect();
    assert_eq!(Plan::parse("long", &long, &Overrides::default()).map(|plan| plan.count).ok(), Some(5000));
}
