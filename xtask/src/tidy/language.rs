//! The language of the house (DESIGN, section 1): words that no native engineer of the field would write, documentation
//! that says nothing, and one name for two types. Looks at text only; what a sentence means, a reader must judge.

use std::collections::BTreeMap;
use std::path::Path;

use super::source::{Source, words};
use super::{Complaint, Workspace};

/// What has been brought into this language so far; the rest follows, crate by crate.
const SWEPT: &[&str] = &[
    "crates/config/src/toml_doc.rs",
    "crates/config/src/configuration.rs",
    "crates/config/src/style.rs",
    "crates/config/src/toml_doc",
    "crates/config/src/configuration",
    "crates/config/src/style",
    "crates/core",
    "crates/nodeset",
    "crates/sweep",
];

/// Words of the private language that this house once had. The user account `nobody` may be named in quotes or backticks.
const REFUSED: &[(&str, &str)] = &[
    ("nobody", "name the subject: no process, no host, no caller"),
    ("somebody", "name the subject: another process, the caller"),
    ("anybody", "name the subject: any process, any user"),
    ("everybody", "name the subjects: all processes, every waiter"),
    ("whoever", "name the subject: the process that, the caller that"),
    ("so-manieth", "give the number a name: attempt `n`"),
    ("how-manieth", "give the number a name: attempt `n`"),
];

/// Words that end in s and are no verbs: a function's doc that begins with one does not say what the function does.
const NO_VERBS: &[&str] = &["This", "Its", "As", "Is", "Was", "Has", "Always", "Perhaps", "Sometimes", "Us", "Others"];

fn is_swept(path: &Path) -> bool {
    SWEPT.iter().any(|place| path.starts_with(place))
}

fn complaint(path: &Path, line: usize, sentence: impl Into<String>) -> Complaint {
    Complaint { path: path.to_owned(), line, sentence: sentence.into() }
}

/// No word of [`REFUSED`] in code, comments or documents.
pub(super) fn refused_words(workspace: &Workspace) -> Vec<Complaint> {
    let sources = workspace.sources.iter().map(|source| (source.path.as_path(), &source.text));
    let documents = workspace.documents.iter().map(|(path, text)| (path.as_path(), text));
    sources
        .chain(documents)
        .filter(|(path, _)| is_swept(path))
        .flat_map(|(path, text)| refused_in(path, text))
        .collect()
}

fn refused_in(path: &Path, text: &str) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let lower = line.to_lowercase();
        for (word, instead) in REFUSED {
            let quoted = |at: usize| {
                lower[..at].ends_with(['"', '`', '\'']) && lower[at + word.len()..].starts_with(['"', '`', '\''])
            };
            if words(&lower, word).any(|at| !quoted(at)) {
                complaints.push(complaint(path, number, format!("`{word}`: {instead}")));
            }
        }
    }
    complaints
}

/// A doc comment and the item below it.
struct Documented<'a> {
    line: usize,
    doc: Vec<&'a str>,
    item: &'a str,
}

/// The items of a file that have a doc comment.
fn documented(source: &Source) -> Vec<Documented<'_>> {
    let lines: Vec<&str> = source.text.lines().map(str::trim).collect();
    let mut found = Vec::new();
    let mut at = 0;
    while at < lines.len() {
        let begin = at;
        while at < lines.len() && lines[at].starts_with("///") {
            at += 1;
        }
        if at == begin {
            at += 1;
            continue;
        }
        let doc = lines[begin..at].iter().map(|line| line.trim_start_matches('/').trim()).collect();
        let mut below = at;
        while below < lines.len() && lines[below].starts_with("#[") {
            let closed = |line: &str| line.matches('[').count() <= line.matches(']').count();
            while below + 1 < lines.len() && !closed(lines[below]) && !lines[below].ends_with(']') {
                below += 1;
            }
            below += 1;
        }
        let item = lines.get(below).copied().unwrap_or_default();
        found.push(Documented { line: begin + 1, doc, item });
    }
    found
}

fn is_function(item: &str) -> bool {
    let mut rest = item;
    if let Some(after) = rest.strip_prefix("pub") {
        rest = after.trim_start();
        if rest.starts_with('(') {
            rest = rest.split_once(')').map_or("", |(_, after)| after.trim_start());
        }
    }
    for word in ["const ", "async ", "unsafe "] {
        rest = rest.strip_prefix(word).unwrap_or(rest);
    }
    rest.starts_with("fn ")
}

/// `Returns`, `Starts`: capital, letters, an s at the end.
fn is_verb(word: &str) -> bool {
    word.starts_with(|letter: char| letter.is_ascii_uppercase())
        && word.ends_with('s')
        && word.chars().all(char::is_alphabetic)
        && !NO_VERBS.contains(&word)
}

/// A function's doc begins with a verb.
pub(super) fn function_docs_begin_with_a_verb(workspace: &Workspace) -> Vec<Complaint> {
    let swept = workspace.sources.iter().filter(|source| is_swept(&source.path) && source.is_production());
    let wrong = |source: &Source| {
        let functions = documented(source).into_iter().filter(|found| is_function(found.item));
        let wrong = functions.filter(|found| {
            let first = found.doc.iter().find(|line| !line.is_empty()).copied().unwrap_or_default();
            !is_verb(first.split_whitespace().next().unwrap_or_default())
        });
        let sentence = "begin the doc of a function with what it does: Returns, Starts, Reports whether …";
        wrong.map(|found| complaint(&source.path, found.line, sentence)).collect::<Vec<_>>()
    };
    swept.flat_map(wrong).collect()
}

/// A doc of one word says nothing that the name does not.
pub(super) fn docs_of_one_word(workspace: &Workspace) -> Vec<Complaint> {
    let swept = workspace.sources.iter().filter(|source| is_swept(&source.path));
    let wrong = |source: &Source| {
        let short = documented(source).into_iter().filter(|found| found.doc.join(" ").split_whitespace().count() == 1);
        let sentence = "say what it holds: a doc of one word is a riddle";
        short.map(|found| complaint(&source.path, found.line, sentence)).collect::<Vec<_>>()
    };
    swept.flat_map(wrong).collect()
}

/// Type names that may stand for several types, and why.
const SHARED_NAMES: &[(&str, &str)] = &[
    ("State", "private: the state of the machine that its module is about"),
    ("Inner", "private: what the handles of its module share"),
    ("Error", "the error of a derive or of a crate, always named with its path"),
];

/// A type name stands for one type in the workspace, or is on the short list with a reason.
pub(super) fn type_names_are_unique(workspace: &Workspace) -> Vec<Complaint> {
    let mut places: BTreeMap<String, Vec<(&Path, usize)>> = BTreeMap::new();
    for source in workspace.sources.iter().filter(|source| source.is_production() && is_swept(&source.path)) {
        for (number, line) in (1..).zip(source.production_code().lines()) {
            if let Some(name) = type_name(line) {
                places.entry(name).or_default().push((&source.path, number));
            }
        }
    }
    let listed = |name: &str| SHARED_NAMES.iter().any(|(known, _)| *known == name);
    let twice = places.iter().filter(|(name, places)| places.len() > 1 && !listed(name));
    twice
        .map(|(name, places)| {
            let (path, line) = places[1];
            let first = places[0].0.display();
            complaint(path, line, format!("`{name}` is a type of {first} too: one name means one thing"))
        })
        .collect()
}

/// The name of the type that a line of code defines.
fn type_name(line: &str) -> Option<String> {
    let mut rest = line.trim();
    if let Some(after) = rest.strip_prefix("pub") {
        rest = after.trim_start();
        if rest.starts_with('(') {
            rest = rest.split_once(')')?.1.trim_start();
        }
    }
    let rest = ["struct ", "enum ", "trait ", "union "].iter().find_map(|kind| rest.strip_prefix(kind))?;
    let name: String = rest.chars().take_while(|letter| letter.is_alphanumeric() || *letter == '_').collect();
    (!name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn swept(text: &str) -> Workspace {
        Workspace {
            sources: vec![Source::new("crates/sweep/src/queue.rs".into(), text.to_owned())],
            ..Workspace::default()
        }
    }

    fn lines(complaints: &[Complaint]) -> Vec<usize> {
        complaints.iter().map(|complaint| complaint.line).collect()
    }

    #[test]
    fn words_of_the_private_language_are_found_and_the_user_is_not() {
        let text = "//! Somebody.\nfn f() { \"nobody waits\" }\n// the user `nobody`\nlet user = \"nobody\";\n";
        assert_eq!(lines(&refused_words(&swept(text))), [1, 2]);
    }

    #[test]
    fn a_doc_without_a_verb_and_a_doc_of_one_word_are_found() {
        let text = "/// The end.\npub fn end() {}\n/// Returns it.\n#[must_use]\npub(crate) const fn it() {}\n/// Which.\nfield: u8,\n";
        assert_eq!(lines(&function_docs_begin_with_a_verb(&swept(text))), [1]);
        assert_eq!(lines(&docs_of_one_word(&swept(text))), [6]);
    }

    #[test]
    fn a_type_name_defined_twice_is_found() {
        let text = "pub struct A;\nenum A {}\npub(crate) trait B {}\nstruct Inner;\nstruct Inner;\n#[cfg(test)]\nmod tests { struct B; }\n";
        assert_eq!(lines(&type_names_are_unique(&swept(text))), [2]);
    }
}
