//! Groups from a YAML file: `{source: {group: "node set" | [node sets] | null}}`.
//!
//! The file is read again when what was read is older than the cache time. Sources cannot appear later, only change.

use super::config::{DEFAULT_CACHE_TIME, read_if_there};
use super::{Sources, yaml};
use phalanx_nodeset::{GroupError, GroupSource};
use saphyr::{Scalar, Yaml};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// The groups of one source, in the order of the file.
type GroupList = Vec<(String, String)>;

/// Adds all sources of a file. One that may not be read is skipped.
pub(super) fn add_sources(sources: &mut Sources, path: &Path) -> Result<(), GroupError> {
    let Some(text) = read_if_there(path)? else { return Ok(()) };
    let content = parse(path, &text)?;
    let names: Vec<String> = content.iter().map(|(name, _)| name.clone()).collect();
    let file = Arc::new(File { path: path.to_owned(), state: Mutex::new((Instant::now(), content)) });
    names.into_iter().try_for_each(|name| sources.add(Box::new(FileSource { name, file: Arc::clone(&file) })))
}

fn wrong(path: &Path, what: &impl std::fmt::Display) -> GroupError {
    GroupError::Configuration(format!("{}: {what}", path.display()))
}

fn parse(path: &Path, text: &str) -> Result<Vec<(String, GroupList)>, GroupError> {
    let document = yaml::load(text)
        .map_err(|error| wrong(path, &format!("line {} column {}: {}", error.line, error.column, error.what)))?;
    let Some(Yaml::Mapping(sources)) = &document else {
        return Err(wrong(path, &"invalid content (base is not a dict)"));
    };
    let source = |(name, groups): (&Yaml<'_>, &Yaml<'_>)| {
        let shown = shown(name);
        let Some(name) = name.as_str() else {
            return Err(wrong(path, &format!("group source {shown} not a string (add quotes?)")));
        };
        let Yaml::Mapping(groups) = groups else {
            return Err(wrong(path, &format!("invalid content (group source '{name}' is not a dict)")));
        };
        let groups: Result<GroupList, GroupError> =
            groups.iter().map(|(group, nodes)| entry(path, name, group, nodes)).collect();
        Ok((name.to_owned(), groups?))
    };
    sources.iter().map(source).collect()
}

fn entry(path: &Path, source: &str, group: &Yaml<'_>, nodes: &Yaml<'_>) -> Result<(String, String), GroupError> {
    let Some(name) = group.as_str() else {
        let group = shown(group);
        return Err(wrong(path, &format!("{source}: group name {group} not a string (add quotes?)")));
    };
    let bad = || wrong(path, &format!("{source}: group '{name}' is neither a node set nor a list of node sets"));
    let nodes = match nodes {
        Yaml::Sequence(list) => {
            let parts: Option<Vec<String>> = list.iter().map(scalar).collect();
            parts.ok_or_else(bad)?.into_iter().filter(|part| !part.trim().is_empty()).collect::<Vec<_>>().join(",")
        }
        other => scalar(other).ok_or_else(bad)?,
    };
    Ok((name.to_owned(), nodes))
}

/// A number without quotes is the name of a host, too.
fn scalar(yaml: &Yaml<'_>) -> Option<String> {
    match yaml {
        Yaml::Value(Scalar::Null) => Some(String::new()),
        Yaml::Value(Scalar::String(text)) => Some(text.to_string()),
        Yaml::Value(Scalar::Integer(number)) => Some(number.to_string()),
        _ => None,
    }
}

fn shown(yaml: &Yaml<'_>) -> String {
    match yaml {
        Yaml::Value(Scalar::Integer(number)) => number.to_string(),
        Yaml::Value(Scalar::Boolean(value)) => value.to_string(),
        Yaml::Value(Scalar::Null) => "null".to_owned(),
        Yaml::Value(Scalar::FloatingPoint(number)) => number.to_string(),
        other => format!("{other:?}"),
    }
}

/// A file and what it said when it was last read.
#[derive(Debug)]
struct File {
    path: PathBuf,
    state: Mutex<(Instant, Vec<(String, GroupList)>)>,
}

impl File {
    fn groups_of<R>(&self, source: &str, look: impl FnOnce(&GroupList) -> R) -> Result<R, GroupError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.0.elapsed() > DEFAULT_CACHE_TIME {
            let text = fs::read_to_string(&self.path).map_err(|error| wrong(&self.path, &error))?;
            *state = (Instant::now(), parse(&self.path, &text)?);
        }
        let groups = state.1.iter().find(|(name, _)| name == source);
        let none = Vec::new();
        Ok(look(groups.map_or(&none, |(_, groups)| groups)))
    }
}

#[derive(Debug)]
struct FileSource {
    name: String,
    file: Arc<File>,
}

impl GroupSource for FileSource {
    fn name(&self) -> &str {
        &self.name
    }

    fn nodes(&self, group: &str) -> Result<Option<String>, GroupError> {
        let find = |groups: &GroupList| groups.iter().find(|(name, _)| name == group).map(|(_, nodes)| nodes.clone());
        self.file.groups_of(&self.name, find)
    }

    fn groups(&self) -> Result<Vec<String>, GroupError> {
        self.file.groups_of(&self.name, |groups| groups.iter().map(|(name, _)| name.clone()).collect())
    }

    /// A group named `all` says what all nodes are.
    fn all(&self) -> Result<Option<String>, GroupError> {
        self.nodes("all")
    }
}
