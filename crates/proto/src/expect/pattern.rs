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

    /// A regular expression over bytes, in the syntax of the [`regex`](https://docs.rs/regex) crate, with rules that suit
    /// streams:
    ///
    /// 1. `.` matches any byte but LF, CR and bytes that are not text included; `[^x]` matches any byte but `x`, LF
    ///    included. `\w`, `\d`, `\s`, `(?i)` and classes are those of ASCII; a byte is written `\xff`.
    /// 2. `^` and `$` match at the lines within the text (the flag `m`, as in execo).
    /// 3. For `^` and `$`, a line ends with LF, CR LF or a lone CR (the flag `R`): `$` matches before the CR LF that
    ///    terminals send, never between its two bytes. All else sees the bytes as they are: `\n` is LF alone, so that
    ///    what `.*\n` matches ends with CR LF where the line does, while `.*$` leaves the CR out.
    /// 4. Text that is not ASCII matches its UTF-8 bytes, which are one unit for `+` and its like; in a class it needs
    ///    the flag `u`.
    ///
    /// ```
    /// use phalanx_proto::expect::{Expect, Matcher, Pattern};
    ///
    /// let mut console = Matcher::default();
    /// assert!(console.feed(b"\xfe\xff load average: 0.01\r\n# ").is_none());
    /// let found = console.expect(&Expect::one(Pattern::regex(r"load average: (.*)$"))?).expect("decided").expect("found");
    /// assert_eq!(found.group(1), Some(&b"0.01"[..]));
    /// let found = console.expect(&Expect::one(Pattern::regex(r".*\n"))?).expect("decided").expect("found");
    /// assert_eq!(found.matched(), b"\r\n");
    /// # Ok::<(), phalanx_proto::expect::InvalidPattern>(())
    /// ```
    ///
    /// Flags in the pattern change that: `(?-m)`, `(?-R)` (lines end with LF), `(?i)`, `(?s)` (`.` matches LF too), `(?u)`
    /// (characters of Unicode instead of bytes). Word boundaries (`\b`, `\B`, `\<`, `\>`) are always those of ASCII:
    /// whether a byte belongs to a word is a fact about that byte, and can be carried from one chunk to the next.
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
