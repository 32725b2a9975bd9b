//! What is wrong with a document, and where.

use std::fmt;

/// A place in a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Location {
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
}

/// Where the lines of a text begin, so that a position in bytes can be told as people count.
#[derive(Debug)]
pub(super) struct Lines {
    text: String,
    begins: Vec<usize>,
}

impl Lines {
    pub(super) fn new(text: &str) -> Self {
        let begins = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Self { text: text.to_owned(), begins }
    }

    /// The place of a byte; of one in the midst of a character, that of the character.
    pub(super) fn place(&self, byte: usize) -> Location {
        let byte = byte.min(self.text.len());
        let line = self.begins.partition_point(|&begin| begin <= byte);
        let begin = self.begins[line - 1];
        let before = self.text[begin..].char_indices().take_while(|(at, _)| begin + at < byte);
        let column = before.count() + 1;
        let inside = !self.text.is_char_boundary(byte);
        Location { line, column: column - usize::from(inside) }
    }
}

/// One thing that is wrong, as it is shown: `FILE:LINE:COLUMN: key `x.y`: what is wrong; what to write instead`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// Where; nowhere if it is the file as a whole.
    pub place: Option<Location>,
    /// The key with the tables in which it is: `connection.user`, `step[2].hosts`. The second table of an array is `[2]`.
    pub key: Option<String>,
    /// What is wrong.
    pub wrong: String,
    /// What to do about it; may be empty.
    pub instead: String,
}

impl fmt::Display for Diagnostic {
    /// Without the file. On one line, whatever the document had in it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(Location { line, column }) = self.place {
            write!(f, "{line}:{column}: ")?;
        }
        if let Some(key) = &self.key {
            write!(f, "key `{}`: ", one_line(key))?;
        }
        f.write_str(&one_line(&self.wrong))?;
        if !self.instead.is_empty() {
            write!(f, "; {}", one_line(&self.instead))?;
        }
        Ok(())
    }
}

/// With control characters as escapes: no terminal and no line shall suffer from what a document holds.
fn one_line(text: &str) -> String {
    let escaped = |char: char| if char.is_control() { char.escape_default().to_string() } else { char.to_string() };
    text.chars().map(escaped).collect()
}

/// All that is wrong with a document: at least one thing, in the order of the lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostics {
    file: String,
    list: Vec<Diagnostic>,
}

/// Longer lists are cut when they are shown.
const SHOWN: usize = 20;

impl Diagnostics {
    pub(super) fn new(file: String, mut list: Vec<Diagnostic>) -> Self {
        list.sort_by_key(|mistake| mistake.place);
        list.dedup();
        Self { file, list }
    }

    /// The file in which they are.
    #[must_use]
    pub fn file(&self) -> &str {
        &self.file
    }

    /// Every one of them.
    #[must_use]
    pub fn list(&self) -> &[Diagnostic] {
        &self.list
    }
}

impl fmt::Display for Diagnostics {
    /// One a line, each with the file; at most twenty.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, mistake) in self.list.iter().take(SHOWN).enumerate() {
            let line_end = if index == 0 { "" } else { "\n" };
            let after_file = if mistake.place.is_some() { ":" } else { ": " };
            write!(f, "{line_end}{}{after_file}{mistake}", self.file)?;
        }
        match self.list.len().saturating_sub(SHOWN) {
            0 => Ok(()),
            more => write!(f, "\n{}: and {more} more", self.file),
        }
    }
}

impl std::error::Error for Diagnostics {}
