//! What an expectation ends with: a match, or the reason why there is none.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use super::program::Groups;

/// A match, with everything that was received before it. Bytes are given as received; the views as text replace what is
/// not UTF-8 by U+FFFD.
#[derive(Clone, PartialEq, Eq)]
pub struct Match {
    pub(super) pattern: usize,
    pub(super) position: Range<u64>,
    /// What was received from the end of the match before to the end of this one, as far as the window reaches.
    pub(super) text: Vec<u8>,
    /// Within `text`; group 0 is the match.
    pub(super) groups: Groups,
    pub(super) names: Option<Arc<[Option<String>]>>,
    pub(super) truncated_by: u64,
    pub(super) whole: bool,
}

impl Match {
    /// The number of the pattern in its list, from 0.
    #[must_use]
    pub fn pattern(&self) -> usize {
        self.pattern
    }

    /// What was received between the match before (or the beginning of the stream) and this one; see
    /// [`Match::truncated_by`].
    #[must_use]
    pub fn before(&self) -> &[u8] {
        &self.text[..self.whole_match().start]
    }

    /// The bytes that match. Empty for the end of the stream and for a timeout.
    #[must_use]
    pub fn matched(&self) -> &[u8] {
        &self.text[self.whole_match()]
    }

    /// The bytes of a group by its number: 0 is the whole match, then the groups of a regular expression in the order
    /// of their opening parentheses. `None` if there is no such group, or if it took no part in the match.
    #[must_use]
    pub fn group(&self, number: usize) -> Option<&[u8]> {
        self.groups.get(number)?.clone().map(|range| &self.text[range])
    }

    /// The bytes of a group by its name: `(?<name>…)`.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<&[u8]> {
        let number = self.names.as_ref()?.iter().position(|known| known.as_deref() == Some(name))?;
        self.group(number)
    }

    /// [`Match::before`] as text.
    #[must_use]
    pub fn before_text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(self.before())
    }

    /// [`Match::matched`] as text.
    #[must_use]
    pub fn matched_text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(self.matched())
    }

    /// [`Match::group`] as text.
    #[must_use]
    pub fn group_text(&self, number: usize) -> Option<Cow<'_, str>> {
        self.group(number).map(String::from_utf8_lossy)
    }

    /// [`Match::named`] as text.
    #[must_use]
    pub fn named_text(&self, name: &str) -> Option<Cow<'_, str>> {
        self.named(name).map(String::from_utf8_lossy)
    }

    /// How many groups there are, the whole match included.
    #[must_use]
    pub fn group_count(&self) -> usize {
        self.groups.len()
    }

    /// Where the match is, in bytes since the beginning of the stream. The next search begins at its end.
    #[must_use]
    pub fn position(&self) -> Range<u64> {
        self.position.clone()
    }

    /// How many bytes are missing at the beginning of [`Match::before`] because the window did not reach so far back.
    #[must_use]
    pub fn truncated_by(&self) -> u64 {
        self.truncated_by
    }

    /// Whether the match began within the window. If it did not, [`Match::matched`] is what the window holds of it, and
    /// there are no groups.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.whole
    }

    fn whole_match(&self) -> Range<usize> {
        self.groups[0].clone().expect("group 0 is the match, which exists")
    }
}

impl fmt::Debug for Match {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Match")
            .field("pattern", &self.pattern)
            .field("position", &self.position)
            .field("before", &format_args!("\"{}\"", self.before().escape_ascii()))
            .field("matched", &format_args!("\"{}\"", self.matched().escape_ascii()))
            .finish_non_exhaustive()
    }
}

/// Why nothing was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The stream ended.
    EndOfFile,
    /// The time was over.
    Timeout,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::EndOfFile => "the stream ended",
            Self::Timeout => "the time was over",
        })
    }
}

/// Nothing was found. The bytes received stay there for the next search.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotFound {
    /// Why.
    pub reason: Reason,
    /// What was expected, as text.
    pub expected: String,
    /// The last bytes of what was received and not consumed: at most [`NotFound::TAIL`] of them.
    pub tail: Vec<u8>,
    /// How many bytes were received and not consumed.
    pub unconsumed: u64,
}

impl NotFound {
    /// How many bytes of what was received an error keeps.
    pub const TAIL: usize = 256;
}

impl std::error::Error for NotFound {}

impl fmt::Display for NotFound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected {}, but {}", self.expected, self.reason)?;
        match self.unconsumed {
            0 => f.write_str(", and nothing was received"),
            unconsumed if unconsumed > self.tail.len() as u64 => {
                write!(f, " after {unconsumed} bytes, the last of which are \"{}\"", self.tail.escape_ascii())
            }
            _ => write!(f, " after \"{}\"", self.tail.escape_ascii()),
        }
    }
}

/// How an expectation ends.
pub type MatchResult = Result<Match, NotFound>;
