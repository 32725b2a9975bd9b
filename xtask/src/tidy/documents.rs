//! Rules about prose: what the documents say exists. That their commands run is for the tests
//! (`tests/it/documents.rs`).

use std::path::{Path, PathBuf};

use super::{Complaint, Workspace};
use crate::verbs::VERBS;

/// The version of the workspace has a heading in the changelog.
pub(super) fn changelog(workspace: &Workspace) -> Vec<Complaint> {
    let Some(manifest) = workspace.root_manifest() else {
        return Vec::new();
    };
    let package = manifest.table.get("workspace").and_then(|workspace| workspace.get("package"));
    let version = package.and_then(|package| package.get("version")).and_then(toml::Value::as_str).unwrap_or_default();
    let path = PathBuf::from("CHANGELOG.md");
    let text = workspace.documents.iter().find(|(found, _)| *found == path).map_or("", |(_, text)| text.as_str());
    let heading = |line: &str| line.starts_with("## ") && line.split([' ', '[', ']']).any(|word| word == version);
    if text.lines().any(heading) {
        return Vec::new();
    }
    vec![Complaint {
        path, line: 0, sentence: format!("needs a heading «## {version}» and what that version brings")
    }]
}

/// Every `cargo xtask VERB` of a document is a verb.
pub(super) fn verbs_exist(workspace: &Workspace) -> Vec<Complaint> {
    let all = workspace.documents.iter().flat_map(|(path, text)| commands(path, text));
    let wrong = all.filter(|command| {
        let verb = command.text.strip_prefix("cargo xtask").and_then(|rest| rest.split_whitespace().next());
        verb.is_some_and(|verb| VERBS.iter().all(|known| known.name != verb))
    });
    wrong.map(|command| command.complaint("there is no such verb of cargo xtask".into())).collect()
}

/// Every relative link of a document leads somewhere.
pub(super) fn links_exist(workspace: &Workspace) -> Vec<Complaint> {
    workspace.documents.iter().flat_map(|(path, text)| broken_links(workspace, path, text)).collect()
}

fn broken_links(workspace: &Workspace, document: &Path, text: &str) -> Vec<Complaint> {
    let directory = document.parent().unwrap_or(Path::new(""));
    let mut complaints = Vec::new();
    for (line, row) in (1..).zip(text.lines()) {
        let targets = row.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next());
        let relative = targets.filter(|target| !target.is_empty() && !target.contains("://"));
        for target in relative.filter(|target| !workspace.paths.contains(&resolved(directory, target))) {
            let sentence = format!("links to {target}, which does not exist");
            complaints.push(Complaint { path: document.to_path_buf(), line, sentence });
        }
    }
    complaints
}

/// `directory/target` with its dots done away with.
fn resolved(directory: &Path, target: &str) -> PathBuf {
    let mut path = directory.to_path_buf();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(path.pop()),
            name => path.push(name),
        }
    }
    path
}

/// A command of a document: one line of a fenced block marked `sh`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocumentCommand {
    /// The document.
    pub path: PathBuf,
    /// Its line, counted from one.
    pub line: usize,
    /// What a reader would type. Lines that end in a backslash are joined with the next.
    pub text: String,
}

impl DocumentCommand {
    fn complaint(self, sentence: String) -> Complaint {
        Complaint { path: self.path, line: self.line, sentence: format!("«{}»: {sentence}", self.text) }
    }
}

/// The commands in the fenced `sh` blocks of a document, in order. Comments and empty lines are left out.
///
/// A block of another kind (`console`, `text`) is for showing what is not run.
pub fn commands(path: &Path, text: &str) -> Vec<DocumentCommand> {
    let mut commands = Vec::new();
    let mut inside = false;
    let mut begun: Option<DocumentCommand> = None;
    for (line, row) in (1..).zip(text.lines()) {
        if let Some(kind) = row.trim_start().strip_prefix("```") {
            inside = !inside && kind.trim() == "sh";
            continue;
        }
        let words = row.trim();
        if !inside || words.is_empty() || words.starts_with('#') {
            continue;
        }
        let (part, continues) = words.strip_suffix('\\').map_or((words, false), |part| (part, true));
        let command =
            begun.get_or_insert_with(|| DocumentCommand { path: path.to_path_buf(), line, text: String::new() });
        command.text.push_str(part);
        if !continues {
            commands.extend(begun.take());
        }
    }
    commands
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_the_lines_of_sh_blocks() {
        let text = "a\n```sh\n# why\nls -l \\\n  /tmp\n\ntrue\n```\n```text\nfalse\n```\n```\nplain\n```\n";
        let found: Vec<_> =
            commands(Path::new("x.md"), text).into_iter().map(|command| (command.line, command.text)).collect();
        assert_eq!(found, [(4, "ls -l /tmp".to_owned()), (7, "true".to_owned())]);
    }

    #[test]
    fn a_link_into_the_void_is_found() {
        let text = "[a](b.md#part) [c](../d/) [e](https://f.org)\n[g](gone.md), [h](#here)".to_owned();
        let paths = ["docs/b.md", "d"].map(PathBuf::from).into();
        let workspace = Workspace { documents: vec![("docs/x.md".into(), text)], paths, ..Workspace::default() };
        assert_eq!(links_exist(&workspace).iter().map(|complaint| complaint.line).collect::<Vec<_>>(), [2]);
    }

    #[test]
    fn an_unknown_verb_is_found() {
        let text = "```sh\ncargo xtask test\ncargo xtask fly\n```\n".to_owned();
        let workspace = Workspace { documents: vec![("README.md".into(), text)], ..Workspace::default() };
        assert_eq!(verbs_exist(&workspace).iter().map(|complaint| complaint.line).collect::<Vec<_>>(), [3]);
    }
}
