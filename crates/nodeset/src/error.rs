//! What can be wrong with the text of a node set, and where.

use std::fmt;

/// Why a text is not a node set or range set, pointing at the character.
///
/// `Display` gives one line in ClusterShell's words; [`ParseError::caret`] shows the text with a mark under the place.
///
/// ```
/// use phalanx_nodeset::NodeSet;
/// let error = "node[1-3],node[5-x]".parse::<NodeSet>().unwrap_err();
/// assert_eq!(error.to_string(), "bad range: \"cannot convert string to integer : \"5-x\"\"");
/// assert_eq!(error.offset(), 15);
/// assert_eq!(error.caret(), "node[1-3],node[5-x]\n               ^");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseError {
    kind: ParseErrorKind,
    text: String,
    offset: usize,
}

/// The kinds of [`ParseError`]. The words are ClusterShell's where it has some, so that scripts that match them go on working.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseErrorKind {
    /// A `[` without its `]`.
    #[error("missing bracket: \"{0}\"")]
    MissingBracket(String),
    /// A `]` without its `[`.
    #[error("illegal closing bracket: \"{0}\"")]
    ClosingBracket(String),
    /// A second bracket that belongs to the same number as the first, which ClusterShell refuses.
    #[error("illegal reopening bracket: \"{0}\"")]
    ReopeningBracket(String),
    /// Digits after a bracket that holds a step.
    #[error("illegal trailing digits after range with steps: \"{0}\"")]
    DigitsAfterStep(String),
    /// The content of a bracket is not a range set.
    #[error("bad range: \"{0}\"")]
    Range(RangeErrorKind),
    /// A range set on its own is not one.
    #[error("{0}")]
    RangeSet(RangeErrorKind),
    /// An operator with nothing on one side.
    #[error("missing nodeset operand with '{operator}' operator{}", near(operand))]
    MissingOperand {
        /// The operator: one of `,` `!` `&` `^`.
        operator: char,
        /// The operand it does have, when there is one.
        operand: Option<String>,
    },
    /// More than [`crate::MAX_AXES`] brackets in one name.
    #[error("more than {max} ranges in one name: \"{0}\"", max = crate::MAX_AXES)]
    TooManyAxes(String),
    /// The set would need more than [`crate::MAX_PIECES`] separate pieces of memory.
    #[error("set too fragmented: it needs more than {} pieces", crate::MAX_PIECES)]
    TooFragmented,
    /// A group or wildcard where groups are not available.
    #[error("no groups are available here: \"{0}\"")]
    NoGroups(String),
    /// Groups that contain each other, or that nest deeper than anyone writes by hand.
    #[error("groups nest in a circle or too deeply: \"{0}\"")]
    GroupCycle(String),
}

/// What is wrong with a range set such as `1-10/2`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RangeErrorKind {
    /// Nothing between two commas.
    #[error("empty range")]
    Empty,
    /// Something that is not a number.
    #[error("cannot convert string to integer : \"{0}\"")]
    NotANumber(String),
    /// A step without a range.
    #[error("invalid step usage : \"{0}\"")]
    StepWithoutRange(String),
    /// A range that runs backwards, or a step below one.
    #[error("invalid values in range : \"{0}\"")]
    InvalidValues(String),
    /// Padded bounds of different lengths.
    #[error("padding length mismatch : \"{0}\"")]
    PaddingMismatch(String),
    /// A negative number with leading zeros.
    #[error("padding not supported in negative ranges : \"{0}\"")]
    NegativePadding(String),
    /// A range of 10⁹ numbers or more; or a step that leaves more single numbers than [`crate::MAX_PIECES`].
    #[error("range too large")]
    TooLarge,
    /// A number of more than [`crate::MAX_DIGITS`] digits.
    #[error("number of more than {max} digits : \"{0}\"", max = crate::MAX_DIGITS)]
    TooManyDigits(String),
    /// A negative number beside other digits, which would mean nothing.
    #[error("negative number beside other digits : \"{0}\"")]
    NegativeBesideDigits(String),
}

fn near(operand: &Option<String>) -> String {
    operand.as_ref().map(|operand| format!(": \"{operand}\"")).unwrap_or_default()
}

impl ParseError {
    pub(crate) fn new(kind: ParseErrorKind, text: &str, offset: usize) -> Self {
        let offset = (0..=offset.min(text.len())).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
        ParseError { kind, text: text.to_owned(), offset }
    }

    /// Returns what is wrong.
    #[must_use]
    pub fn kind(&self) -> &ParseErrorKind {
        &self.kind
    }

    /// Returns the text that was being read.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns where in [`text`](Self::text) it is wrong, in bytes from the start; always a character's first byte, or
    /// the end.
    #[must_use]
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// Returns the line of the text that is wrong, and under it a `^` below the character.
    #[must_use]
    pub fn caret(&self) -> String {
        let start = self.text[..self.offset].rfind('\n').map_or(0, |newline| newline + 1);
        let end = self.text[self.offset..].find('\n').map_or(self.text.len(), |newline| self.offset + newline);
        let column = self.text[start..self.offset].chars().count();
        format!("{}\n{}^", &self.text[start..end], " ".repeat(column))
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kind.fmt(out)
    }
}

impl std::error::Error for ParseError {}
