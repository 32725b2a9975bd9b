//! Host lists as options give them: a node set, a file, or a command.
//!
//! | given | means |
//! | --- | --- |
//! | `node[1-9]!node3` | a node set, groups included; several are separated by commas or line ends, not by blanks |
//! | `^PATH` | the node sets in a file, `#` starting a comment; `^-` is stdin |
//! | `\|COMMAND` | the node sets that a command writes, run by `/bin/sh` |
//! | nothing at all | the nodes of the Slurm or OAR job this runs in |
//!
//! Whatever way a name of a host comes, [`NodeList::hosts`] reads it, and [`Host`]'s parser decides whether it is one: so the same text
//! means the same in every option, file, group and plan, and is refused in the same words.

use super::host_file;
use super::upcall::RunUpcall;
use super::{GroupResolver, job};
use phalanx_nodeset::{NodeSet, NodeSetError, Parser, words};
use phalanx_process::host::{Host, InvalidHost};
use phalanx_process::visible::visible;
use std::collections::HashSet;
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// Where something stands in a text: file, line and column, both from 1. Shown as `FILE:LINE:COLUMN`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub(super) file: Arc<str>,
    pub(super) line: usize,
    pub(super) column: usize,
}

impl Place {
    /// The line, from 1.
    #[must_use]
    pub fn line(&self) -> usize {
        self.line
    }

    /// The column, from 1, in characters.
    #[must_use]
    pub fn column(&self) -> usize {
        self.column
    }

    /// So many characters further.
    fn after(&self, text: &str) -> Self {
        Self { column: self.column + text.chars().count(), ..self.clone() }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}:{}", self.file, self.line, self.column)
    }
}

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
    /// What is in the file is no list of hosts.
    #[error("{place}: {}", fit_to_show(what))]
    Text {
        /// Where.
        place: Place,
        /// What is wrong, and what to write instead.
        what: String,
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
    #[error("{}{}", at(place.as_ref()), fit_to_show(error))]
    NodeSet {
        /// Where, unless it was given directly.
        place: Option<Place>,
        /// What is wrong.
        error: NodeSetError,
    },
    /// What it names is no host.
    #[error("{}{error}", at(place.as_ref()))]
    Host {
        /// Where, unless it was given directly.
        place: Option<Place>,
        /// What is wrong.
        error: InvalidHost,
    },
    /// What was given directly has a blank between hosts, or in one.
    #[error("it has a blank in it; write commas between hosts: {instead}")]
    Blank {
        /// The same with commas.
        instead: String,
    },
    /// Slurm or OAR could not say the job's nodes.
    #[error(transparent)]
    Job(#[from] phalanx_nodeset::GroupError),
}

fn because(why: &Option<String>) -> String {
    why.as_ref().map(|why| format!(": {why}")).unwrap_or_default()
}

/// Returns a message that quotes what it was given, with what would control a terminal made visible.
fn fit_to_show(message: &impl fmt::Display) -> String {
    visible(&message.to_string()).into_owned()
}

fn at(place: Option<&Place>) -> String {
    place.map(|place| format!("{place}: ")).unwrap_or_default()
}

/// One host list, read: the node sets in it, each with where it was found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NodeList {
    entries: Vec<Entry>,
}

/// One node set of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    place: Option<Place>,
    text: String,
}

impl Entry {
    fn wrong(&self, error: NodeSetError) -> HostListError {
        let place = self.place.as_ref().map(|place| match &error {
            NodeSetError::Parse(inside) if inside.text() == self.text => place.after(&self.text[..inside.offset()]),
            _ => place.clone(),
        });
        HostListError::NodeSet { place, error }
    }
}

impl NodeList {
    /// Reads what an option like `-w` was given: a node set, `^file` or `|command`.
    ///
    /// # Errors
    /// When a file cannot be read, a command fails, or there are blanks between hosts. Whether it is a node set is seen by
    /// [`set`](Self::set) and [`hosts`](Self::hosts).
    pub fn from_option(given: &str, resolver: &GroupResolver) -> Result<Self, HostListError> {
        match given.split_at_checked(1) {
            Some(("^", path)) => NodeList::from_file(path),
            Some(("|", command)) => NodeList::from_command(command, resolver),
            _ => NodeList::from_typed(given),
        }
    }

    /// A node set as it was typed, one on each line. A blank is no separator here: `node 1` is more likely to be a slip than two hosts.
    fn from_typed(given: &str) -> Result<Self, HostListError> {
        let entry = |line: &str| {
            if words(line).count() > 1 {
                return Err(HostListError::Blank { instead: words(line).collect::<Vec<_>>().join(",") });
            }
            Ok(Entry { place: None, text: line.trim().to_owned() })
        };
        let lines = given.lines().filter(|line| !line.trim().is_empty());
        Ok(NodeList { entries: lines.map(entry).collect::<Result<_, _>>()? })
    }

    /// Reads a file of node sets, `-` being stdin.
    ///
    /// # Errors
    /// When it cannot be read, or is no such file.
    pub fn from_file(path: &str) -> Result<Self, HostListError> {
        let bytes = host_file::read(path)?;
        if path == "-" {
            // What a program writes is hosts: two of them would not be a host and its user.
            return Ok(NodeList::from_text(&host_file::decode(bytes, "stdin")?, "stdin"));
        }
        NodeList::from_bytes(bytes, path)
    }

    /// Reads the content of a host file. Mistakes are said to be in the file of that name.
    ///
    /// # Errors
    /// When it is no text, or has what only other programs take for a host file.
    pub fn from_bytes(bytes: Vec<u8>, name: &str) -> Result<Self, HostListError> {
        let text = host_file::decode(bytes, name)?;
        host_file::refuse_inventories(&text, name)?;
        host_file::refuse_user_columns(&text, name)?;
        Ok(NodeList::from_text(&text, name))
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

    /// The nodes of groups, by their names without `@`: `web`, `web,db`, `slurm:debug!down`; `*` is all nodes.
    ///
    /// # Errors
    /// When there are blanks between them.
    pub fn from_groups(given: &str) -> Result<Self, HostListError> {
        let mut references = String::with_capacity(given.len() + 1);
        let (mut in_bracket, mut begins) = (false, true);
        for char in given.chars() {
            let is_operator = !in_bracket && ",!&^".contains(char);
            if begins && !is_operator && !char.is_whitespace() {
                // That it was written with its @ does not make it the names of groups, which are written @@.
                if char != '@' {
                    references.push('@');
                }
                begins = false;
            }
            in_bracket = (in_bracket || char == '[') && char != ']';
            begins |= is_operator;
            references.push(char);
        }
        // Mistakes are shown as they were typed.
        NodeList::from_typed(given).and_then(|_| NodeList::from_typed(&references))
    }

    /// Node sets between blanks and line ends; `#` starts a comment. Mistakes are said to be in the file of that name.
    #[must_use]
    pub fn from_text(text: &str, name: &str) -> Self {
        let file: Arc<str> = name.into();
        let entries = host_file::lines(text).flat_map(|(line, said)| {
            // Columns are counted on from the word before: all hosts may stand on one line.
            let mut before = (0, Place { file: Arc::clone(&file), line, column: 1 });
            words(said).map(move |word| {
                let at = word.as_ptr() as usize - said.as_ptr() as usize;
                let place = before.1.after(&said[before.0..at]);
                before = (at, place.clone());
                Entry { place: Some(place), text: word.to_owned() }
            })
        });
        NodeList { entries: entries.collect() }
    }

    /// The union of all its node sets.
    ///
    /// # Errors
    /// When one is no node set, or its groups cannot be resolved.
    pub fn set(&self, parser: &Parser<'_>) -> Result<NodeSet, HostListError> {
        let is_operator = |char: char| ",!&^".contains(char);
        // Joined to others, an operator at the edge of one would work on its neighbour.
        for entry in
            self.entries.iter().filter(|entry| entry.text.starts_with(is_operator) || entry.text.ends_with(is_operator))
        {
            parser.parse(&entry.text).map_err(|error| entry.wrong(error))?;
        }
        let whole: Vec<&str> = self.entries.iter().map(|entry| entry.text.as_str()).collect();
        parser.parse_words(&whole.join("\n")).map_err(|error| {
            // Which one it was is looked for only now, so that a list without mistakes is read in one go.
            let wrong = self.entries.iter().find_map(|entry| Some(entry.wrong(parser.parse(&entry.text).err()?)));
            wrong.unwrap_or(HostListError::NodeSet { place: None, error })
        })
    }

    /// The hosts in the order of the list, each once, as `user@host:port` or less.
    ///
    /// # Errors
    /// As for [`set`](Self::set), and when one of the names cannot be that of a host.
    pub fn hosts(&self, parser: &Parser<'_>) -> Result<Vec<String>, HostListError> {
        let (mut hosts, mut seen) = (Vec::new(), HashSet::new());
        for entry in &self.entries {
            for name in parser.parse_in_input_order(&entry.text).map_err(|error| entry.wrong(error))? {
                let host = name.parse::<Host>();
                let host = host.map_err(|error| HostListError::Host { place: entry.place.clone(), error })?;
                // One spelling for one host: `[::1]` and `::1`, or what pdsh writes before it, are no two hosts.
                let name = host.to_string();
                if seen.insert(name.clone()) {
                    hosts.push(name);
                }
            }
        }
        Ok(hosts)
    }

    /// Appends another list.
    pub fn extend(&mut self, other: NodeList) {
        self.entries.extend(other.entries);
    }

    /// Whether nothing is in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}
