//! What can be looked for. A pattern is only a description: [`Expect`](super::Expect) compiles it.

use std::fmt;

/// One thing to look for in a stream of bytes.
///
/// Text and byte strings convert with `into()` and are taken literally; a regular expression is asked for by name, so
/// that a prompt such as `[root@n1 ~]# ` is never mistaken for one:
///
/// ```
/// use phalanx_proto::expect::Pattern;
///
/// let literal: Pattern = "login: ".into();
/// let pattern = Pattern::regex(r"^load: (?<load>\d+\.\d+)$");
/// assert_eq!(literal.to_string(), "\"login: \"");
/// assert_eq!(pattern.to_string(), r"/^load: (?<load>\d+\.\d+)$/");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Pattern {
    /// These bytes, literally. An empty text matches at once.
    Text(Vec<u8>),
    /// A regular expression in the syntax of the `regex` crate; see [`Pattern::regex`].
    Regex(String),
    /// So many bytes, whatever they are.
    Bytes(usize),
    /// The end of the stream. Everything received and not yet consumed is `before`.
    EndOfFile,
    /// The end of the caller's patience. Everything received and not yet consumed is `before`, and stays unconsumed.
    Timeout,
}

impl Pattern {
    /// These bytes, literally.
    pub fn text(text: impl AsRef<[u8]>) -> Self {
        Self::Text(text.as_ref().to_vec())
    }

    /// A regular expression over bytes, in the syntax of the [`regex`](https://docs.rs/regex) crate, with two flags set
    /// that suit streams:
    ///
    /// * `m`: `^` and `$` match at the lines within the text (as in execo);
    /// * `R`: a line ends with `\n` or with `\r\n`, since terminals send the latter; `.` matches neither `\r` nor `\n`.
    ///
    /// Flags in the pattern change that: `(?-m)`, `(?-R)`, `(?i)`, `(?s)`, `(?-u)`. Word boundaries (`\b`, `\B`, `\<`,
    /// `\>`) are always those of ASCII: whether a byte belongs to a word is a fact about that byte, and can be carried
    /// from one chunk to the next.
    ///
    /// An invalid pattern is reported by [`Expect::new`](super::Expect::new).
    pub fn regex(pattern: impl Into<String>) -> Self {
        Self::Regex(pattern.into())
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "\"{}\"", text.escape_ascii()),
            Self::Regex(pattern) => write!(f, "/{pattern}/"),
            Self::Bytes(count) => write!(f, "{count} bytes"),
            Self::EndOfFile => f.write_str("the end of the stream"),
            Self::Timeout => f.write_str("the timeout"),
        }
    }
}

impl From<&str> for Pattern {
    fn from(text: &str) -> Self {
        Self::text(text)
    }
}

impl From<String> for Pattern {
    fn from(text: String) -> Self {
        Self::Text(text.into_bytes())
    }
}

impl From<&[u8]> for Pattern {
    fn from(text: &[u8]) -> Self {
        Self::text(text)
    }
}

impl<const N: usize> From<&[u8; N]> for Pattern {
    fn from(text: &[u8; N]) -> Self {
        Self::text(text)
    }
}

impl From<Vec<u8>> for Pattern {
    fn from(text: Vec<u8>) -> Self {
        Self::Text(text)
    }
}

impl From<&Pattern> for Pattern {
    fn from(pattern: &Pattern) -> Self {
        pattern.clone()
    }
}
