//! What can go wrong, in ClusterShell's words and with its exit statuses.

use super::format::FormatError;
use super::options::USAGE;
use phalanx_nodeset::{GroupError, NodeSetError, ParseError, ParseErrorKind, RangeErrorKind};
use std::ffi::OsString;
use std::io;

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Complaint {
    /// The options make no request.
    Usage(String),
    /// The operands make no set, or its groups cannot be asked for.
    Set(NodeSetError),
    /// Listing groups failed.
    Listing(GroupError),
    /// The format is none.
    Format(FormatError),
    /// A mistake that ClusterShell prints without its name.
    Other(String),
    /// An argument is not text.
    NotUtf8(OsString),
    /// Nobody reads the answer any more, which is nobody's mistake.
    ReaderIsGone,
    /// The answer cannot be written, or stdin not read.
    Io(io::Error),
    /// During `--equal`, where status 1 means something else.
    WhileComparing(Box<Complaint>),
}

impl Complaint {
    pub(super) fn status(&self) -> u8 {
        match self {
            Complaint::Usage(_) | Complaint::WhileComparing(_) => 2,
            _ => 1,
        }
    }

    pub(super) fn message(&self, program: &str) -> String {
        match self {
            Complaint::Usage(what) => format!("{USAGE}\n\n{program}: error: {what}"),
            Complaint::Set(NodeSetError::Parse(error)) if too_large(error) => {
                format!("ERROR: {}", RangeErrorKind::TooLarge)
            }
            Complaint::Set(error) => format!("{program}: {}", set_message(error)),
            Complaint::Listing(GroupError::QueryFailed(what)) => format!("{program}: Group error: {what}"),
            Complaint::Listing(error) => format!("{program}: {}", group_message(error)),
            Complaint::Format(error) => format!("{program}: {error}"),
            Complaint::Other(what) => format!("ERROR: {what}"),
            Complaint::NotUtf8(word) => format!("{program}: not valid UTF-8: {}", word.to_string_lossy()),
            Complaint::ReaderIsGone => String::new(),
            Complaint::Io(error) => format!("{program}: {error}"),
            Complaint::WhileComparing(complaint) => complaint.message(program),
        }
    }
}

fn too_large(error: &ParseError) -> bool {
    matches!(
        error.kind(),
        ParseErrorKind::Range(RangeErrorKind::TooLarge) | ParseErrorKind::RangeSet(RangeErrorKind::TooLarge)
    )
}

fn set_message(error: &NodeSetError) -> String {
    match error {
        NodeSetError::Parse(_) | NodeSetError::Group { .. } | NodeSetError::UnknownGroup { .. } => {
            format!("Parse error: {error}")
        }
        NodeSetError::AllNodes(GroupError::QueryFailed(what)) => {
            format!("External error: Failed to get all nodes: {what}")
        }
        NodeSetError::AllNodes(GroupError::IllegalCharacter(character)) => {
            format!("External error: Group source error (GroupResolverIllegalCharError: {character})")
        }
        NodeSetError::Reverse(GroupError::QueryFailed(what)) => {
            format!("External error: Group source query failed: {what}")
        }
        NodeSetError::NoWayToAllNodes => format!("External error: {error}"),
        NodeSetError::AllNodes(error) | NodeSetError::Reverse(error) | NodeSetError::Source(error) => {
            group_message(error)
        }
        _ => error.to_string(),
    }
}

fn group_message(error: &GroupError) -> String {
    match error {
        GroupError::Configuration(what) => format!("Group resolver error: {what}"),
        GroupError::QueryFailed(what) => format!("External error: Group source query failed: {what}"),
        _ => error.to_string(),
    }
}

impl From<NodeSetError> for Complaint {
    fn from(error: NodeSetError) -> Self {
        Complaint::Set(error)
    }
}

impl From<ParseError> for Complaint {
    fn from(error: ParseError) -> Self {
        Complaint::Set(error.into())
    }
}

impl From<FormatError> for Complaint {
    fn from(error: FormatError) -> Self {
        Complaint::Format(error)
    }
}

impl From<io::Error> for Complaint {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe { Complaint::ReaderIsGone } else { Complaint::Io(error) }
    }
}
