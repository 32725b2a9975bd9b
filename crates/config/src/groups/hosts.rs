//! Host lists as options give them: a node set, a file, or a command.
//!
//! | given | means |
//! | --- | --- |
//! | `node[1-9]!node3` | a node set, groups included |
//! | `^PATH` | the node sets in a file, `#` starting a comment; `^-` is stdin |
//! | `\|COMMAND` | the node sets that a command writes, run by `/bin/sh` |
//! | nothing at all | the nodes of the Slurm or OAR job this runs in |

use super::upcall::RunUpcall;
use super::{GroupResolver, job};
use phalanx_nodeset::{Error, InputOrder, NodeSet, Parser, words};
use std::fs;
use std::io::{self, Read};
use std::path::Path;

/// Why a host list is none.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HostListError {
    /// The file cannot be read.
    #[error("cannot read the host list {path}: {error}")]
    File {
        /// As given.
        path: String,
        /// Why not.
        error: io::Error,
    },
    /// The command gave no answer.
    #[error("no host list from the command: {command}{}", because(why))]
    Command {
        /// As given.
        command: String,
        /// Why not, where that is more than its exit status.
        why: Option<String>,
    },
    /// What is in it is no node set.
    #[error("{origin}{error}")]
    NodeSet {
        /// The file and line, or nothing for what was given directly.
        origin: String,
        /// What is wrong.
        error: Error,
    },
    /// Slurm or OAR could not say the job's nodes.
    #[error(transparent)]
    Job(#[from] phalanx_nodeset::GroupError),
}

fn because(why: &Option<String>) -> String {
    why.as_ref().map(|why| format!(": {why}")).unwrap_or_default()
}

/// One host list, read: the node sets in it, each with where it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeList {
    /// Each with where it was found, as the start of an error message.
    lines: Vec<(String, String)>,
}

impl NodeList {
    /// Reads what an option like `-w` was given: a node set, `^file` or `|command`.
    ///
    /// # Errors
    /// When a file cannot be read or a command fails. Whether it is a node set is seen by [`set`](Self::set).
    pub fn from_option(given: &str, resolver: &GroupResolver) -> Result<Self, HostListError> {
        match given.split_at_checked(1) {
            Some(("^", path)) => NodeList::from_file(path),
            Some(("|", command)) => NodeList::from_command(command, resolver),
            _ => Ok(NodeList { lines: vec![(String::new(), given.to_owned())] }),
        }
    }

    /// Reads a file of node sets, `-` being stdin.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn from_file(path: &str) -> Result<Self, HostListError> {
        let text = if path == "-" {
            let mut text = String::new();
            io::stdin().read_to_string(&mut text).map(|_| text)
        } else {
            fs::read_to_string(path)
        };
        let text = text.map_err(|error| HostListError::File { path: path.to_owned(), error })?;
        Ok(NodeList::from_text(&text, if path == "-" { "stdin" } else { path }))
    }

    /// Runs a command that writes node sets.
    ///
    /// # Errors
    /// When it fails or takes too long.
    pub fn from_command(command: &str, resolver: &GroupResolver) -> Result<Self, HostListError> {
        let upcalls: &dyn RunUpcall = &*resolver.upcalls;
        let failed = |why| HostListError::Command { command: command.to_owned(), why };
        Ok(NodeList::from_text(&upcalls.run(command, Path::new(".")).map_err(failed)?, command))
    }

    /// The nodes of the Slurm or OAR job this runs in, `None` outside of one.
    ///
    /// # Errors
    /// When the job's file cannot be read.
    pub fn of_job() -> Result<Option<Self>, HostListError> {
        job::nodes()
            .transpose()
            .map(|text| text.map(|text| NodeList::from_text(&text, "the job's nodes")))
            .map_err(Into::into)
    }

    /// Node sets between blanks and line ends; `#` starts a comment.
    #[must_use]
    pub fn from_text(text: &str, name: &str) -> Self {
        let lines = text.lines().enumerate().map(|(number, line)| {
            let said = line.split('#').next().unwrap_or_default();
            (format!("{name}, line {}: ", number + 1), said.to_owned())
        });
        NodeList { lines: lines.collect() }
    }

    /// The union of all its node sets.
    ///
    /// # Errors
    /// When one is no node set, or its groups cannot be resolved.
    pub fn set(&self, parser: &Parser<'_>) -> Result<NodeSet, HostListError> {
        let whole: Vec<&str> = self.lines.iter().map(|(_, text)| text.as_str()).collect();
        parser.parse_words(&whole.join("\n")).map_err(|error| {
            // Which line it was is looked for only now, so that a list without mistakes is read in one go.
            let wrong =
                self.lines.iter().find_map(|(origin, text)| Some((origin.clone(), parser.parse_words(text).err()?)));
            let (origin, error) = wrong.unwrap_or((String::new(), error));
            HostListError::NodeSet { origin, error }
        })
    }

    /// The names in the order of the list, each once.
    ///
    /// # Errors
    /// As for [`set`](Self::set).
    pub fn in_input_order(&self, parser: &Parser<'_>) -> Result<impl Iterator<Item = String> + use<>, HostListError> {
        let mut parts: Vec<InputOrder> = Vec::with_capacity(self.lines.len());
        for (origin, text) in &self.lines {
            for word in words(text) {
                let names = parser.parse_in_input_order(word);
                parts.push(names.map_err(|error| HostListError::NodeSet { origin: origin.clone(), error })?);
            }
        }
        let mut seen = std::collections::HashSet::new();
        Ok(parts.into_iter().flatten().filter(move |name| seen.insert(name.clone())))
    }

    /// Appends another list.
    pub fn extend(&mut self, other: NodeList) {
        self.lines.extend(other.lines);
    }

    /// Whether nothing is in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lines.iter().all(|(_, text)| text.trim().is_empty())
    }
}

/// With `.out` behind it, still the name of a file; longer than any name of the domain name system.
const LONGEST_NAME: usize = 250;

/// A host's name becomes an argument of ssh, a part of shell commands (`%h`) and a file name (`--output-dir`): what
/// could be an option, a piece of shell syntax or a path is refused. Says what is wrong, to follow "it".
#[must_use]
pub fn wrong_with_name(host: &str) -> Option<&'static str> {
    let allowed = |char: char| char.is_alphanumeric() || "._-:@%+=,[]".contains(char);
    if host.starts_with('-') {
        return Some("begins with a dash, which programs take for an option");
    }
    if host.len() > LONGEST_NAME {
        return Some("is longer than 250 bytes");
    }
    if host.chars().all(|char| char == '.') {
        return Some("consists of dots");
    }
    (!host.chars().all(allowed)).then_some("has a character that is not a letter, a digit or one of ._-:@%+=,[]")
}
