//! Names as a pattern and indices: `rack1-node07` is the pattern `rack%s-node%s` with the indices `1` and `07`.

use crate::index::{self, Key, MAX_DIGITS};
use std::fmt;

/// The most numbers of a name that are indices, and the most ranges in one name. Digits beyond are plain text, ranges beyond an error.
///
/// The algebra recurses once per axis; real names have up to six.
pub const MAX_AXES: usize = 64;

/// The text of a name with every index replaced by `%s` and every percent sign doubled.
///
/// Patterns sort as these bytes do, which is ClusterShell's order of a folded set.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Pattern(Box<str>);

impl Pattern {
    pub(crate) fn new(text: &str) -> Self {
        Pattern(text.into())
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Writes the name, asking `write_axis` for the text of each axis in turn.
    pub(crate) fn write<W: fmt::Write>(
        &self,
        out: &mut W,
        mut write_axis: impl FnMut(&mut W, usize) -> fmt::Result,
    ) -> fmt::Result {
        let mut axis = 0;
        let mut rest = &*self.0;
        while let Some(percent) = rest.find('%') {
            out.write_str(&rest[..percent])?;
            if rest.as_bytes().get(percent + 1) == Some(&b's') {
                write_axis(out, axis)?;
                axis += 1;
            } else {
                out.write_char('%')?;
            }
            rest = &rest[percent + 2..];
        }
        out.write_str(rest)
    }

    /// Returns the pattern without the hyphen directly before its only axis, when there is one: what a negative index
    /// would have been typed with.
    pub(crate) fn without_hyphen_before_its_axis(&self) -> Option<Pattern> {
        let at = self
            .0
            .find("%s")
            .filter(|&at| self.0[..at].ends_with('-') && self.0[..at].matches('%').count().is_multiple_of(2))?;
        Some(Pattern(format!("{}{}", &self.0[..at - 1], &self.0[at..]).into()))
    }
}

/// Appends literal text to a pattern.
pub(crate) fn push_text(pattern: &mut String, text: &str) {
    for (at, part) in text.split('%').enumerate() {
        if at > 0 {
            pattern.push_str("%%");
        }
        pattern.push_str(part);
    }
}

/// Splits a name without brackets. Appends to both arguments.
pub(crate) fn split_name(name: &str, pattern: &mut String, indices: &mut Vec<Key>) {
    let bytes = name.as_bytes();
    let axes_before = indices.len();
    let mut at = 0;
    while at < bytes.len() {
        let start = at;
        let digits = bytes[at].is_ascii_digit();
        while at < bytes.len() && bytes[at].is_ascii_digit() == digits {
            at += 1;
        }
        let room = indices.len() - axes_before < MAX_AXES && at - start <= MAX_DIGITS;
        match index::key_of_digits(&bytes[start..at]) {
            Some(key) if room => {
                pattern.push_str("%s");
                indices.push(key);
            }
            _ => push_text(pattern, &name[start..at]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(name: &str) -> (String, Vec<String>) {
        let (mut pattern, mut indices) = (String::new(), Vec::new());
        split_name(name, &mut pattern, &mut indices);
        (pattern, indices.into_iter().map(crate::rangeset::key_text).collect())
    }

    #[test]
    fn every_run_of_digits_is_an_axis() {
        assert_eq!(split("x1000c0s01").0, "x%sc%ss%s");
        assert_eq!(split("x1000c0s01").1, ["1000", "0", "01"]);
        assert_eq!(split("10.0.0.1").0, "%s.%s.%s.%s");
        assert_eq!(split("login").0, "login");
    }

    #[test]
    fn a_percent_sign_is_itself() {
        let (pattern, _) = split("a%s1%");
        assert_eq!(pattern, "a%%s%s%%");
        let mut name = String::new();
        Pattern::new(&pattern).write(&mut name, |out, _| fmt::Write::write_char(out, '1')).unwrap();
        assert_eq!(name, "a%s1%");
    }

    #[test]
    fn digits_beyond_every_bound_are_text() {
        let long = "7".repeat(MAX_DIGITS + 1);
        assert_eq!(split(&long), (long.clone(), vec![]));
        assert_eq!(split(&"a1".repeat(MAX_AXES + 5)).1.len(), MAX_AXES);
    }
}
