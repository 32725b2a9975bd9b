//! Where groups of hosts come from, as seen from the algebra: two traits to ask, and the errors that asking may bring.
//!
//! This crate never reads a file or runs a command. `phalanx-action` implements the traits with ClusterShell's own configuration; tests
//! implement them with a map.

use crate::error::ParseError;

/// Some sources of groups, one of them the default.
pub trait Groups {
    /// Returns the source of that name, or the default one.
    ///
    /// # Errors
    /// [`GroupError::UnknownSource`] when there is none; [`GroupError::Configuration`] when the sources cannot be read at all.
    fn source(&self, name: Option<&str>) -> Result<&dyn GroupSource, GroupError>;

    /// Returns the names of all sources, the default one first.
    ///
    /// # Errors
    /// [`GroupError::Configuration`] when the sources cannot be read.
    fn source_names(&self) -> Result<Vec<String>, GroupError>;

    /// Returns the default source's name as configured, which needs no prefix where groups are shown.
    ///
    /// # Errors
    /// [`GroupError::Configuration`] when the sources cannot be read.
    fn default_source(&self) -> Result<Option<String>, GroupError>;
}

/// One source of groups. What it returns is text to be read as node sets, or as group names.
pub trait GroupSource {
    /// Returns the name it is known by.
    fn name(&self) -> &str;

    /// Returns the node set of a group, `None` when the source knows that there is no such group.
    ///
    /// # Errors
    /// When asking failed, which is not the same as an unknown group.
    fn nodes(&self, group: &str) -> Result<Option<String>, GroupError>;

    /// Returns the names of all groups.
    ///
    /// # Errors
    /// [`GroupError::NoUpcall`] when the source cannot list; otherwise when asking failed.
    fn groups(&self) -> Result<Vec<String>, GroupError>;

    /// Returns the node set of all nodes, where the source has a way of its own to say so; `None` means that it is the
    /// union of all groups.
    ///
    /// # Errors
    /// When asking failed.
    fn all(&self) -> Result<Option<String>, GroupError>;

    /// Reports whether [`groups_of`](Self::groups_of) has a way of its own that is better than looking into every
    /// group.
    fn knows_reverse(&self) -> bool {
        false
    }

    /// Returns the groups a node is in, where the source has a way of its own to say so.
    ///
    /// # Errors
    /// When asking failed.
    fn groups_of(&self, _node: &str) -> Result<Option<Vec<String>>, GroupError> {
        Ok(None)
    }
}

/// Why groups could not be asked. The words are ClusterShell's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GroupError {
    /// No source of that name; `<default>` when there is no default.
    #[error("Unknown group source: \"{0}\"")]
    UnknownSource(String),
    /// The source is not configured for this question.
    #[error("No {upcall} upcall defined for group source \"{source_name}\"")]
    NoUpcall {
        /// `map`, `all`, `list` or `reverse`.
        upcall: &'static str,
        /// The source.
        source_name: String,
    },
    /// A group has a name that could never be written in a node set.
    #[error("Illegal group character: \"{0}\"")]
    IllegalCharacter(char),
    /// An upcall failed; says which command, and what became of it where that helps.
    #[error("{0}")]
    QueryFailed(String),
    /// The configuration of the sources is wrong.
    #[error("{0}")]
    Configuration(String),
}

impl GroupError {
    /// Reports whether groups were asked for where no source of groups is the default, most likely because none is
    /// configured.
    #[must_use]
    pub fn is_without_sources(&self) -> bool {
        matches!(self, GroupError::UnknownSource(source) if source == "<default>")
    }
}

/// Characters that a group name cannot have, because they mean something in a node set.
#[must_use]
pub fn illegal_in_group_name(name: &str) -> Option<char> {
    name.chars().find(|&character| matches!(character, '@' | ',' | '!' | '&' | '^' | '*'))
}

/// Why a text with groups in it is no node set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NodeSetError {
    /// The text is wrong.
    #[error(transparent)]
    Parse(#[from] ParseError),
    /// A group that the text names could not be asked for.
    #[error("{error}: \"{operand}\"")]
    Group {
        /// What went wrong.
        error: GroupError,
        /// The operand as typed.
        operand: String,
    },
    /// There is no such group. ClusterShell takes it for an empty one, and the mistyped name of a group for no hosts.
    #[error("unknown group \"@{source_name}:{group}\"")]
    UnknownGroup {
        /// The source that was asked.
        source_name: String,
        /// The group it does not have.
        group: String,
    },
    /// All nodes were asked for, and the source could not say.
    #[error("{0}")]
    AllNodes(GroupError),
    /// A source can neither say all nodes nor list its groups.
    #[error("Not enough working methods (all or map + list) to get all nodes")]
    NoWayToAllNodes,
    /// The groups that a node is in were asked for, and the source could not say.
    #[error("{0}")]
    Reverse(GroupError),
    /// Any other question could not be answered.
    #[error(transparent)]
    Source(#[from] GroupError),
}
