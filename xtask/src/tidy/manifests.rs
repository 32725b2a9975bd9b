//! Rules about `Cargo.toml` files: the direction of the house and the reason of every dependency.

use super::workspace::Manifest;
use super::{Complaint, Workspace};

/// What each crate of ours may use of ours. Data goes down as requests and comes back up as events; nothing below calls
/// anything above.
const ARROWS: &[(&str, &[&str])] = &[
    ("proto", &[]),
    ("nodeset", &[]),
    ("core", &["proto"]),
    ("process", &["core", "proto"]),
    ("action", &["process"]),
    ("sweep", &[]),
    ("record", &["process", "nodeset"]),
    ("config", &["action", "process", "nodeset"]),
    ("plan", &["action", "config", "sweep", "process", "nodeset"]),
    ("phalanx", &["plan", "config", "record", "sweep", "action", "process", "nodeset"]),
    ("cli", &["plan", "config", "record", "action", "process", "nodeset"]),
];

fn complaint(manifest: &Manifest, line: usize, sentence: String) -> Complaint {
    Complaint { path: manifest.path.clone(), line, sentence }
}

/// The name of the directory below `crates`, or nothing for other packages.
fn crate_name(manifest: &Manifest) -> Option<&str> {
    let mut parts = manifest.path.iter().map(|part| part.to_str().unwrap_or_default());
    (parts.next() == Some("crates")).then(|| parts.next()).flatten()
}

/// Dependencies of what is shipped, for every target; those of tests may point anywhere.
fn shipped_dependencies(table: &toml::Table) -> Vec<(&String, &toml::Value)> {
    let targets = table.get("target").and_then(toml::Value::as_table);
    let targets = targets.into_iter().flat_map(toml::Table::values).filter_map(toml::Value::as_table);
    let kinds = |table| {
        ["dependencies", "build-dependencies"].into_iter().filter_map(move |kind| toml::Table::get(table, kind))
    };
    let tables = std::iter::once(table).chain(targets).flat_map(kinds);
    tables.filter_map(toml::Value::as_table).flatten().collect()
}

/// No arrow between our crates but those of [`ARROWS`].
pub(super) fn arrows(workspace: &Workspace) -> Vec<Complaint> {
    workspace.manifests.iter().flat_map(arrows_of).collect()
}

fn arrows_of(manifest: &Manifest) -> Vec<Complaint> {
    let Some(name) = crate_name(manifest) else {
        return Vec::new();
    };
    let Some((_, allowed)) = ARROWS.iter().find(|(from, _)| *from == name) else {
        let sentence =
            format!("crates/{name} has no place in the house yet: give it its arrows in xtask/src/tidy/manifests.rs");
        return vec![complaint(manifest, 0, sentence)];
    };
    let ours = shipped_dependencies(&manifest.table);
    let ours = ours.iter().filter_map(|(dependency, _)| dependency.strip_prefix("phalanx-"));
    let wrong = ours.filter(|to| !allowed.contains(to));
    wrong.map(|to| complaint(manifest, 0, format!("{name} must not use {to}: its arrows are {allowed:?}"))).collect()
}

/// Crates say `name.workspace = true`; versions stand in the root manifest.
pub(super) fn versions_in_one_place(workspace: &Workspace) -> Vec<Complaint> {
    let members = workspace.manifests.iter().filter(|manifest| crate_name(manifest).is_some());
    let own = |value: &toml::Value| value.get("workspace").and_then(toml::Value::as_bool) != Some(true);
    let wrong = |manifest: &Manifest| {
        let all = shipped_dependencies(&manifest.table);
        let wrong = all.into_iter().filter(|(_, value)| own(value));
        wrong
            .map(|(name, _)| complaint(manifest, 0, format!("{name}: say {name}.workspace = true")))
            .collect::<Vec<_>>()
    };
    members.flat_map(wrong).collect()
}

/// Every foreign dependency of the workspace has its reason: a comment on the line above it, or behind it.
pub(super) fn reasons(workspace: &Workspace) -> Vec<Complaint> {
    let Some(manifest) = workspace.root_manifest() else {
        return Vec::new();
    };
    let mut complaints = Vec::new();
    let mut section = "";
    let mut above = "";
    for (number, line) in (1..).zip(manifest.text.lines()) {
        let trimmed = line.trim();
        if trimmed.starts_with('[') {
            section = trimmed;
        }
        let name = trimmed.split_once('=').map(|(name, _)| name.trim());
        let foreign =
            section == "[workspace.dependencies]" && !trimmed.starts_with('#') && !trimmed.contains("path = ");
        if let Some(name) = name.filter(|_| foreign && !above.starts_with('#') && !trimmed.contains(" # ")) {
            complaints.push(complaint(manifest, number, format!("{name}: say in a comment above why we depend on it")));
        }
        above = trimmed;
    }
    complaints
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(path: &str, text: &str) -> Workspace {
        let table = text.parse().expect("the test writes TOML");
        let manifest = Manifest { path: path.into(), text: text.to_owned(), table };
        Workspace { manifests: vec![manifest], ..Workspace::default() }
    }

    #[test]
    fn an_arrow_upwards_is_found_for_every_target_and_kind() {
        let arrows_of = |name: &str, text: &str| arrows(&manifest(&format!("crates/{name}/Cargo.toml"), text)).len();
        assert_eq!(arrows_of("process", "[dependencies]\nphalanx-core.workspace = true\nlog.workspace = true"), 0);
        assert_eq!(arrows_of("process", "[dependencies]\nphalanx-action.workspace = true"), 1);
        assert_eq!(arrows_of("cli", "[dependencies]\nphalanx-core.workspace = true"), 1);
        assert_eq!(arrows_of("core", "[target.'cfg(unix)'.build-dependencies]\nphalanx-nodeset.workspace = true"), 1);
        assert_eq!(arrows_of("core", "[dev-dependencies]\nphalanx-tests.workspace = true"), 0);
        assert_eq!(arrows_of("newcomer", ""), 1);
    }

    #[test]
    fn a_version_in_a_crate_is_found() {
        let count = |text| versions_in_one_place(&manifest("crates/core/Cargo.toml", text)).len();
        assert_eq!(count("[dependencies]\nmio = \"1\""), 1);
        assert_eq!(count("[dependencies]\nmio.workspace = true"), 0);
    }

    #[test]
    fn a_dependency_without_a_reason_is_found() {
        let text =
            "[workspace.dependencies]\nours = { path = \"x\" }\n# Because.\na = \"1\"\nb = \"1\"\nc = \"1\" # Why not.";
        let found: Vec<_> = reasons(&manifest("Cargo.toml", text)).iter().map(|complaint| complaint.line).collect();
        assert_eq!(found, [5]);
    }
}
