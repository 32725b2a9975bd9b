//! Errors in a document: where, what is wrong, and what to write instead.

use std::fmt;

use phalanx_process::visible::visible;

/// A position in a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Location {
    /// The line, counted from 1.
    pub line: usize,
    /// The column in characters, counted from 1.
    pub column: usize,
}

/// The beginnings of the lines of a text, to convert an offset in bytes into a location.
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

    /// Returns the location of a byte; within a character, that of the character.
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

/// An error in a document. Shown as `FILE:LINE:COLUMN: key `x.y`: what is wrong; what to write instead`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// Its location; `None` if it concerns the file as a whole.
    pub place: Option<Location>,
    /// The key with its tables: `connection.user`, `step[2].hosts`. The second table of an array is `[2]`.
    pub key: Option<String>,
    /// What is wrong.
    pub wrong: String,
    /// What to do about it; may be empty.
    pub instead: String,
}

impl fmt::Display for Diagnostic {
    /// Writes it on one line, without the file, whatever the document contains.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(Location { line, column }) = self.place {
            write!(f, "{line}:{column}: ")?;
        }
        if let Some(key) = &self.key {
            write!(f, "key `{}`: ", visible(key))?;
        }
        f.write_str(&visible(&self.wrong))?;
        if !self.instead.is_empty() {
            write!(f, "; {}", visible(&self.instead))?;
        }
        Ok(())
    }
}

/// The errors in a document: at least one, in the order of the lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostics {
    file: String,
    list: Vec<Diagnostic>,
}

/// Longer lists are cut when they are shown.
const SHOWN: usize = 20;

impl Diagnostics {
    pub(super) fn new(file: String, mut list: Vec<Diagnostic>) -> Self {
        list.sort_by_key(|diagnostic| diagnostic.place);
        list.dedup();
        Self { file, list }
    }

    /// Returns the name of the file.
    #[must_use]
    pub fn file(&self) -> &str {
        &self.file
    }

    /// Returns all of them.
    #[must_use]
    pub fn list(&self) -> &[Diagnostic] {
        &self.list
    }
}

impl fmt::Display for Diagnostics {
    /// Writes one per line, each with the file; at most twenty.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, diagnostic) in self.list.iter().take(SHOWN).enumerate() {
            let line_end = if index == 0 { "" } else { "\n" };
            let after_file = if diagnostic.place.is_some() { ":" } else { ": " };
            write!(f, "{line_end}{}{after_file}{diagnostic}", self.file)?;
        }
        match self.list.len().saturating_sub(SHOWN) {
            0 => Ok(()),
            more => write!(f, "\n{}: and {more} more", self.file),
        }
    }
}

impl std::error::Error for Diagnostics {}
