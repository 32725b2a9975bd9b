//! Rules about Rust files.

use std::path::PathBuf;

use super::source::{Source, has_stem, line_of, words};
use super::{Complaint, Workspace};

fn complaint(source: &Source, position: usize, sentence: impl Into<String>) -> Complaint {
    Complaint { path: source.path.clone(), line: line_of(&source.text, position), sentence: sentence.into() }
}

/// The engine contains the one line that runs user handlers: whoever adds another has to argue with re-entrancy first.
pub(super) fn one_call_of_on_event(workspace: &Workspace) -> Vec<Complaint> {
    let production = workspace.sources.iter().filter(|source| source.is_production());
    let calls: Vec<Complaint> = production.flat_map(calls_of_on_event).collect();
    match calls.as_slice() {
        [call] if call.path.starts_with("crates/process") => Vec::new(),
        [] => vec![Complaint {
            path: PathBuf::from("crates/process"),
            line: 0,
            sentence: "nothing calls on_event: no user handler ever runs".into(),
        }],
        _ => calls,
    }
}

fn calls_of_on_event(source: &Source) -> Vec<Complaint> {
    let code = source.production_code();
    let is_call = |at: &usize| {
        let behind = code[at + "on_event".len()..].trim_start_matches([')', ' ']);
        behind.starts_with('(') && !code[..*at].trim_end().ends_with("fn")
    };
    let sentence = "on_event is called in one place in crates/process only, so that handlers are never re-entered";
    words(&code, "on_event").filter(is_call).map(|at| complaint(source, at, sentence)).collect()
}

/// The `unsafe_code` lint says the same; this one also finds who switches the lint off.
pub(super) fn unsafe_only_in_core(workspace: &Workspace) -> Vec<Complaint> {
    let others = workspace.sources.iter().filter(|source| source.crate_name() != Some("core"));
    let places = |source: &Source| {
        let forbidden = |at: &usize| source.code[..*at].ends_with("forbid(");
        let found = words(&source.code, "unsafe").chain(words(&source.code, "unsafe_code"));
        found
            .filter(|at| !forbidden(at))
            .map(|at| complaint(source, at, "unsafe belongs into crates/core, behind a safe function"))
            .collect::<Vec<_>>()
    };
    others.flat_map(places).collect()
}

/// What a pure crate may not name: the clock, threads, descriptors, files, the log.
const IMPURE: &[&str] =
    &["Instant::now", "SystemTime", "thread::", "OwnedFd", "RawFd", "File::", "fs::", "log::", "std::env"];

/// The crates whose machines are fed with the time and whatever they need to know.
const PURE_CRATES: &[&str] = &["proto", "nodeset"];

/// Cargo keeps dependencies out of the pure crates; this keeps out what the standard library offers.
pub(super) fn pure_crates_are_pure(workspace: &Workspace) -> Vec<Complaint> {
    let pure =
        workspace.sources.iter().filter(|source| source.crate_name().is_some_and(|name| PURE_CRATES.contains(&name)));
    let places = |source: &Source| {
        let code = source.production_code();
        let found = IMPURE.iter().flat_map(|name| code.match_indices(name)).map(|(at, name)| {
            complaint(source, at, format!("{name} has no place in a pure crate: take it as an argument"))
        });
        found.collect::<Vec<_>>()
    };
    pure.filter(|source| source.is_production()).flat_map(places).collect()
}

/// A module opens with what it is for and what it deliberately does not know.
pub(super) fn module_headers(workspace: &Workspace) -> Vec<Complaint> {
    let without = workspace.sources.iter().filter(|source| !source.text.trim_start().starts_with("//!"));
    without
        .map(|source| complaint(source, 0, "open the module with //!: what it is for, and what it does not know"))
        .collect()
}

/// Nothing is promised in a comment, nothing switched off.
pub(super) fn nothing_unfinished(workspace: &Workspace) -> Vec<Complaint> {
    let places = |source: &Source| {
        let macros = ["todo!", "unimplemented!"].iter().flat_map(|name| source.code.match_indices(name));
        let code: String = source.code.split_whitespace().collect();
        let ignored = ["#[ignore]", "#[ignore="].iter().any(|attribute| code.contains(attribute));
        let notes = ["FIXME", "TODO", "XXX"].iter().flat_map(|note| words(&source.comments, note));
        let mut found: Vec<_> = macros.map(|(at, name)| complaint(source, at, format!("{name} is no code"))).collect();
        found.extend(notes.map(|at| complaint(source, at, "do it, or say what cannot be done")));
        if ignored {
            found.push(complaint(source, 0, "an ignored test tests nothing: report it as skipped, by name"));
        }
        found
    };
    workspace.sources.iter().flat_map(places).collect()
}

/// A name that could hold anything will.
pub(super) fn no_catch_all_names(workspace: &Workspace) -> Vec<Complaint> {
    let forbidden = ["utils", "util", "misc", "common", "helpers", "helper"];
    let named = workspace.sources.iter().filter(|source| has_stem(&source.path, &forbidden));
    named.map(|source| complaint(source, 0, "name the file after what it does")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A workspace of one file of crates/process.
    fn process(text: &str) -> Workspace {
        file("crates/process/src/engine.rs", text)
    }

    fn file(path: &str, text: &str) -> Workspace {
        Workspace { sources: vec![Source::new(path.into(), text.to_owned())], ..Workspace::default() }
    }

    fn lines(complaints: &[Complaint]) -> Vec<usize> {
        complaints.iter().map(|complaint| complaint.line).collect()
    }

    #[test]
    fn exactly_one_call_of_on_event_is_right() {
        let declared = "trait Handler { fn on_event(&mut self); }\n";
        let call = "fn f() { handler.on_event(1) }\n";
        assert_eq!(one_call_of_on_event(&process(&[declared, call].concat())), []);
        assert_eq!(lines(&one_call_of_on_event(&process(declared))), [0]);
        assert_eq!(lines(&one_call_of_on_event(&process(&[call, declared, call].concat()))), [1, 3]);
        assert_eq!(
            lines(&one_call_of_on_event(&process("fn f() { (self.on_event)(1); handler.on_event(2) }"))),
            [1, 1]
        );
        assert_eq!(lines(&one_call_of_on_event(&file("crates/action/src/lib.rs", call))), [1]);
        let tested = [call, "#[cfg(test)]\nmod tests { fn g() { handler.on_event(2) } } // on_event()"].concat();
        assert_eq!(one_call_of_on_event(&process(&tested)), []);
    }

    #[test]
    fn unsafe_is_found_outside_core_only_and_in_code_only() {
        let text = "//! unsafe\nfn f() { \"unsafe\"; unsafe {} }\n#![expect(unsafe_code)]";
        assert_eq!(lines(&unsafe_only_in_core(&process(text))), [2, 3]);
        assert_eq!(unsafe_only_in_core(&file("crates/core/src/lib.rs", text)), []);
        assert_eq!(unsafe_only_in_core(&process("#![forbid(unsafe_code)]")), []);
    }

    #[test]
    fn a_clock_a_descriptor_and_a_thread_are_found_in_the_pure_crates() {
        let text = "fn f() { Instant::now(); thread::spawn(g); File::open(p); log::warn!(x); } // SystemTime::now()";
        assert_eq!(lines(&pure_crates_are_pure(&file("crates/proto/src/table.rs", text))), [1, 1, 1, 1]);
        assert_eq!(pure_crates_are_pure(&process(text)), []);
        let tested = "#[cfg(test)]\nmod tests { fn f() { Instant::now(); } }";
        assert_eq!(pure_crates_are_pure(&file("crates/proto/src/table.rs", tested)), []);
    }

    #[test]
    fn what_is_unfinished_is_found() {
        let text = "//! Fine.\nfn f() { todo!() } // TODO: this\n#[ignore = \"slow\"]\nfn g() { \"FIXME\"; }";
        assert_eq!(lines(&nothing_unfinished(&process(text))), [2, 2, 1]);
        assert_eq!(nothing_unfinished(&process("//! Done.\nfn f() {}")), []);
    }

    #[test]
    fn headers_and_names_are_looked_at() {
        assert_eq!(lines(&module_headers(&process("\nfn f() {}"))), [1]);
        assert_eq!(module_headers(&process("//! What it is for.")), []);
        assert_eq!(lines(&no_catch_all_names(&file("crates/core/src/utils/mod.rs", ""))), [1]);
        assert_eq!(no_catch_all_names(&file("crates/core/src/helpers_of_nobody.rs", "")), []);
    }
}
