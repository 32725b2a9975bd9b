//! A list of needles made ready for searching, once, for any number of streams.

use std::fmt;
use std::sync::Arc;

use memchr::memmem::Finder;

use super::needle::Needle;
use super::program::Program;

/// A needle made ready.
#[derive(Clone, Debug)]
pub(super) enum Compiled {
    Text(Arc<Finder<'static>>),
    Regex(Arc<Program>),
    Bytes(usize),
    EndOfFile,
    Timeout,
}

impl Compiled {
    fn new(needle: &Needle) -> Result<Self, InvalidNeedle> {
        Ok(match needle {
            Needle::Text(text) => Self::Text(Arc::new(Finder::new(text).into_owned())),
            Needle::Regex(pattern) => {
                let program = Program::of(pattern);
                Self::Regex(program.map_err(|reason| InvalidNeedle { pattern: pattern.clone(), reason })?)
            }
            Needle::Bytes(count) => Self::Bytes(*count),
            Needle::EndOfFile => Self::EndOfFile,
            Needle::Timeout => Self::Timeout,
        })
    }

    pub(super) fn names(&self) -> Option<&Arc<[Option<String>]>> {
        match self {
            Self::Regex(program) => Some(program.names()),
            _ => None,
        }
    }

    /// The least window in which this needle can be seen whole.
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
pub struct InvalidNeedle {
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

/// Which needle is reported when several match.
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

/// Needles to look for together, compiled. Cheap to clone; one can serve any number of streams, and automata that one
/// search has built serve the next. The programs of the last 64 patterns are remembered, so that asking again for the
/// same prompt compiles nothing.
///
/// ```
/// use phalanx_proto::expect::{Expect, Needle};
///
/// let prompt = Expect::new([Needle::regex(r"[$#] "), "password: ".into(), Needle::EndOfFile])?;
/// assert_eq!(prompt.to_string(), "/[$#] /, \"password: \" or the end of the stream");
/// # Ok::<(), phalanx_proto::expect::InvalidNeedle>(())
/// ```
#[derive(Clone, Debug)]
pub struct Expect {
    pub(super) needles: Arc<[(Needle, Compiled)]>,
    pub(super) extent: Extent,
    pub(super) precedence: Precedence,
}

impl Expect {
    /// Compiles a list of needles.
    ///
    /// # Errors
    ///
    /// When a regular expression is malformed, or would need more than 10 MiB.
    pub fn new<N: Into<Needle>>(needles: impl IntoIterator<Item = N>) -> Result<Self, InvalidNeedle> {
        let compile = |needle: N| {
            let needle = needle.into();
            let compiled = Compiled::new(&needle)?;
            Ok((needle, compiled))
        };
        let needles = needles.into_iter().map(compile).collect::<Result<_, _>>()?;
        Ok(Self { needles, extent: Extent::default(), precedence: Precedence::default() })
    }

    /// Compiles a single needle.
    ///
    /// # Errors
    ///
    /// As [`Expect::new`].
    pub fn one(needle: impl Into<Needle>) -> Result<Self, InvalidNeedle> {
        Self::new([needle.into()])
    }

    /// Says how far the matches of regular expressions extend.
    #[must_use]
    pub fn extent(mut self, extent: Extent) -> Self {
        self.extent = extent;
        self
    }

    /// Says which needle is reported when several match.
    #[must_use]
    pub fn precedence(mut self, precedence: Precedence) -> Self {
        self.precedence = precedence;
        self
    }

    /// The needles, in the order of their numbers.
    pub fn needles(&self) -> impl ExactSizeIterator<Item = &Needle> {
        self.needles.iter().map(|(needle, _)| needle)
    }

    /// Some of these needles, in the given order, without compiling them again.
    pub(super) fn select(&self, numbers: &[usize]) -> Self {
        Self { needles: numbers.iter().map(|&number| self.needles[number].clone()).collect(), ..*self }
    }

    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.needles, &other.needles) && self.extent == other.extent && self.precedence == other.precedence
    }
}

impl fmt::Display for Expect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.needles.is_empty() {
            return f.write_str("something, though no needle was given");
        }
        let last = self.needles.len() - 1;
        for (number, needle) in self.needles().enumerate() {
            let separator = match number {
                0 => "",
                _ if number == last => " or ",
                _ => ", ",
            };
            write!(f, "{separator}{needle}")?;
        }
        Ok(())
    }
}
