//! The rules of the house that no compiler checks. Each rule is a pure function from the workspace as read to a list of
//! complaints.
//!
//! Called by `cargo xtask tidy`, by `cargo xtask ci`, and by a test, so that nobody has to remember it.

mod documents;
mod execo;
mod language;
mod manifests;
mod source;
mod sources;
mod workspace;

use std::fmt;
use std::path::PathBuf;
use std::process::ExitCode;

pub use self::documents::{DocumentCommand, commands};
pub use self::workspace::Workspace;

/// A broken rule: where, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Complaint {
    /// Relative to the root of the workspace.
    pub path: PathBuf,
    /// Counted from one; zero means the whole file.
    pub line: usize,
    /// One sentence.
    pub sentence: String,
}

impl fmt::Display for Complaint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Complaint { path, line, sentence } = self;
        match line {
            0 => write!(formatter, "{}: {sentence}", path.display()),
            _ => write!(formatter, "{}:{line}: {sentence}", path.display()),
        }
    }
}

/// A rule, and the name under which it is known.
pub type Rule = (&'static str, fn(&Workspace) -> Vec<Complaint>);

/// All rules.
pub const RULES: &[Rule] = &[
    ("one line runs user handlers", sources::one_call_of_on_event),
    ("unsafe lives in crates/core", sources::unsafe_only_in_core),
    ("pure crates are pure", sources::pure_crates_are_pure),
    ("modules say what they are for", sources::module_headers),
    ("nothing is left unfinished", sources::nothing_unfinished),
    ("no catch-all names", sources::no_catch_all_names),
    ("no words of the old private language", language::refused_words),
    ("docs of functions begin with a verb", language::function_docs_begin_with_a_verb),
    ("no docs of one word", language::docs_of_one_word),
    ("one name, one type", language::type_names_are_unique),
    ("arrows between crates", manifests::arrows),
    ("one version of everything", manifests::versions_in_one_place),
    ("every dependency has a reason", manifests::reasons),
    ("the changelog names the version", documents::changelog),
    ("documents link to what exists", documents::links_exist),
    ("documents name commands that exist", documents::verbs_exist),
    ("every item of execo is accounted for", execo::every_item_of_execo),
];

/// All complaints about `workspace`, in order of place.
pub fn check(workspace: &Workspace) -> Vec<Complaint> {
    let mut complaints: Vec<_> = RULES.iter().flat_map(|(_, rule)| rule(workspace)).collect();
    complaints.sort();
    complaints
}

/// `cargo xtask tidy`.
pub fn run(_: &[String]) -> ExitCode {
    match report() {
        Ok(()) => {
            println!("tidy: nothing to complain about, by {} rules", RULES.len());
            ExitCode::SUCCESS
        }
        Err(sentence) => {
            eprintln!("tidy: {sentence}");
            ExitCode::FAILURE
        }
    }
}

/// Says every complaint; an error when there is one.
pub fn report() -> Result<(), String> {
    let workspace = Workspace::read(crate::step::root()).map_err(|error| error.to_string())?;
    let complaints = check(&workspace);
    for complaint in &complaints {
        println!("{complaint}");
    }
    match complaints.len() {
        0 => Ok(()),
        count => Err(format!("{count} complaints")),
    }
}
