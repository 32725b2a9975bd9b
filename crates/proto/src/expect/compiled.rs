//! A list of patterns made ready for searching, once, for any number of streams.

use std::fmt;
use std::sync::Arc;

use memchr::memmem::Finder;

use super::pattern::Pattern;
use super::program::Program;

/// A pattern made ready.
#[derive(Clone, Debug)]
pub(super) enum Compiled {
    Text(Arc<Finder<'static>>),
    Regex(Arc<Program>),
    Bytes(usize),
    EndOfFile,
    Timeout,
}

impl Compiled {
    fn new(pattern: &Pattern) -> Result<Self, InvalidPattern> {
        Ok(match pattern {
            Pattern::Text(text) => Self::Text(Arc::new(Finder::new(text).into_owned())),
            Pattern::Regex(pattern) => {
                let program = Program::of(pattern);
                Self::Regex(program.map_err(|reason| InvalidPattern { pattern: pattern.clone(), reason })?)
            }
            Pattern::Bytes(count) => Self::Bytes(*count),
            Pattern::EndOfFile => Self::EndOfFile,
            Pattern::Timeout => Self::Timeout,
        })
    }

    pub(super) fn names(&self) -> Option<&Arc<[Option<String>]>> {
        match self {
            Self::Regex(program) => Some(program.names()),
            _ => None,
        }
    }

    /// The least window in which this pattern can be seen whole.
    pub(super) fn least_window(&self) -> usize {
        match self {
            Self::Text(finder) => finder.needle().len(),
            Self::Bytes(count) => *count,
            Self::Regex(_) | Self::EndOfFile | Self::Timeout => 1,
        }
    }
}

/// A regular expression that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot expect /{pattern}/: {reason}")]
pub struct InvalidPattern {
    /// The pattern as given.
    pub pattern: String,
    /// What is wrong with it, and where.
    pub reason: String,
}

/// How far the match of a regular expression extends. Texts and counts of bytes have one extent only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Extent {
    /// The match that a search of the whole text prefers: the leftmost one, as long as its repetitions are greedy. It
    /// is reported as soon as no further byte could change it; `a+` waits for a byte that is no `a`, or for silence.
    #[default]
    Preferred,
    /// The match that ends first, and of those the leftmost: `a+` takes one `a`. Never waits, except for assertions
    /// like `$` that ask about the next byte.
    Shortest,
}

/// Which pattern is reported when several match.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precedence {
    /// The one that is decided by the fewest bytes; among equals, the one that comes first in the list. Does not depend
    /// on how the bytes arrive.
    #[default]
    Stream,
    /// The one that comes first in the list among all that are decided by the bytes at hand, as in execo, pexpect and
    /// Tcl's expect. Depends on how the bytes arrive: use it where text is known to be complete, for instance when
    /// polling.
    List,
}

/// Patterns to look for together, compiled. Cheap to clone; one can serve any number of streams, and automata that one
/// search has built serve the next. The programs of the last 64 patterns are remembered, so that asking again for the
/// same prompt compiles nothing.
///
/// ```
/// use phalanx_proto::expect::{Expect, Pattern};
///
/// let prompt = Expect::new([Pattern::regex(r"[$#] "), "password: ".into(), Pattern::EndOfFile])?;
/// assert_eq!(prompt.to_string(), "/[$#] /, \"password: \" or the end of the stream");
/// # Ok::<(), phalanx_proto::expect::InvalidPattern>(())
/// ```
#[derive(Clone, Debug)]
pub struct Expect {
    pub(super) patterns: Arc<[(Pattern, Compiled)]>,
    pub(super) extent: Extent,
    pub(super) precedence: Precedence,
}

impl Expect {
    /// Compiles a list of patterns.
    ///
    /// # Errors
    ///
    /// When a regular expression is malformed, or would need more than 10 MiB.
    pub fn new<N: Into<Pattern>>(patterns: impl IntoIterator<Item = N>) -> Result<Self, InvalidPattern> {
        let compile = |pattern: N| {
            let pattern = pattern.into();
            let compiled = Compiled::new(&pattern)?;
            Ok((pattern, compiled))
        };
        let patterns = patterns.into_iter().map(compile).collect::<Result<_, _>>()?;
        Ok(Self { patterns, extent: Extent::default(), precedence: Precedence::default() })
    }

    /// Compiles a single pattern.
    ///
    /// # Errors
    ///
    /// As [`Expect::new`].
    pub fn one(pattern: impl Into<Pattern>) -> Result<Self, InvalidPattern> {
        Self::new([pattern.into()])
    }

    /// Says how far the matches of regular expressions extend.
    #[must_use]
    pub fn extent(mut self, extent: Extent) -> Self {
        self.extent = extent;
        self
    }

    /// Says which pattern is reported when several match.
    #[must_use]
    pub fn precedence(mut self, precedence: Precedence) -> Self {
        self.precedence = precedence;
        self
    }

    /// The patterns, in the order of their numbers.
    pub fn patterns(&self) -> impl ExactSizeIterator<Item = &Pattern> {
        self.patterns.iter().map(|(pattern, _)| pattern)
    }

    /// Some of these patterns, in the given order, without compiling them again.
    pub(super) fn select(&self, numbers: &[usize]) -> Self {
        Self { patterns: numbers.iter().map(|&number| self.patterns[number].clone()).collect(), ..*self }
    }

    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.patterns, &other.patterns)
            && self.extent == other.extent
            && self.precedence == other.precedence
    }
}

impl fmt::Display for Expect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.patterns.is_empty() {
            return f.write_str("something, though no pattern was given");
        }
        let last = self.patterns.len() - 1;
        for (number, pattern) in self.patterns().enumerate() {
            let separator = match number {
                0 => "",
                _ if number == last => " or ",
                _ => ", ",
            };
            write!(f, "{separator}{pattern}")?;
        }
        Ok(())
    }
}
