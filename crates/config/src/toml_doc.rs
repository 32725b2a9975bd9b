//! Reads a TOML document so that every error in it is reported with file, line, column and key, what is wrong, and what
//! to write instead. For the configuration and for plans.
//!
//! ```
//! use phalanx_config::toml_doc::Document;
//!
//! let document = Document::parse("lab.toml", "[connection]\nusr = 'root'\nport = 'ssh'\n")?;
//! let connection = document.root().table("connection").expect("it is there");
//! let _user: Option<&str> = connection.string("user");
//! let _port: Option<u16> = connection.integer("port", 1..=u16::MAX);
//! let diagnostics = document.finish(()).expect_err("there are two");
//! assert_eq!(
//!     diagnostics.to_string(),
//!     "lab.toml:2:1: key `connection.usr`: it is not known; did you mean `user`?\n\
//!      lab.toml:3:8: key `connection.port`: it must be an integer, not the string \"ssh\"; write a number from 1 to 65535"
//! );
//! # Ok::<(), phalanx_config::toml_doc::Diagnostics>(())
//! ```
//!
//! The reader asks each [`Table`] for the keys that may be there. A key that was asked for is thereby known; in the end
//! [`Document::finish`] reports the keys that were never asked for, and suggests a known one. No error ends the reading,
//! so that a user sees all of them at once: a wrong value reads as if it were missing, and is on the list.
//!
//! The road not taken is serde, which would stop at the first error, and report it in terms of Rust. This module knows
//! no key: those belong to its callers.

mod diagnostic;
mod item;
mod size;
mod suggest;
mod table;
mod tree;

use std::cell::RefCell;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use toml::de::DeTable;

pub use diagnostic::{Diagnostic, Diagnostics, Location};
pub use item::Item;
pub use suggest::{list, suggest};
pub use table::{Table, TableKey};

use diagnostic::Lines;
use tree::Node;

/// The largest file that is read, in bytes. What is larger was not written by hand, and most likely is another file.
pub const LARGEST: u64 = 16 << 20;

/// Beyond this many errors of syntax the rest are their consequences.
const SYNTAX_ERRORS: usize = 5;

/// A TOML document, and the errors found in it so far.
#[derive(Debug)]
pub struct Document {
    name: String,
    lines: Lines,
    root: Node,
    diagnostics: RefCell<Vec<Diagnostic>>,
}

impl Document {
    /// Reads the file at `path`; its name in messages is that path.
    ///
    /// # Errors
    /// When it cannot be read, is larger than [`LARGEST`], is not UTF-8 or not TOML.
    pub fn read(path: &Path) -> Result<Self, Diagnostics> {
        let name = path.display().to_string();
        let wrong = |wrong: String, instead: &str| {
            Diagnostics::new(
                name.clone(),
                vec![Diagnostic { place: None, key: None, wrong, instead: instead.to_owned() }],
            )
        };
        let unreadable = |error: std::io::Error| wrong(format!("cannot read it: {error}"), "");
        let mut file = File::open(path).map_err(unreadable)?;
        if file.metadata().is_ok_and(|data| data.is_dir()) {
            return Err(wrong("it is a directory".into(), "give a file in TOML"));
        }
        let mut bytes = Vec::new();
        // One byte more than allowed tells that there are more.
        file.by_ref().take(LARGEST + 1).read_to_end(&mut bytes).map_err(unreadable)?;
        if bytes.len() as u64 > LARGEST {
            return Err(wrong(format!("it is larger than {} MiB", LARGEST >> 20), "is it the right file?"));
        }
        Self::from_bytes(name, &bytes)
    }

    /// Reads the contents of a file called `name`.
    ///
    /// # Errors
    /// When it is not UTF-8 or not TOML.
    pub fn from_bytes(name: impl Into<String>, bytes: &[u8]) -> Result<Self, Diagnostics> {
        let name = name.into();
        match std::str::from_utf8(bytes) {
            Ok(text) => Self::parse(name, text),
            Err(error) => {
                let before = String::from_utf8_lossy(&bytes[..error.valid_up_to()]);
                let before = before.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&before);
                let diagnostic = Diagnostic {
                    place: Some(Lines::new(before).place(before.len())),
                    key: None,
                    wrong: "this is not UTF-8, as TOML must be".into(),
                    instead: "save the file as UTF-8".into(),
                };
                Err(Diagnostics::new(name, vec![diagnostic]))
            }
        }
    }

    /// Reads a text; `name` is the name of its file in messages.
    ///
    /// # Errors
    /// When it is not TOML.
    pub fn parse(name: impl Into<String>, text: &str) -> Result<Self, Diagnostics> {
        let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
        let lines = Lines::new(text);
        let (table, errors) = DeTable::parse_recoverable(text);
        if errors.is_empty() {
            let root = Node::root(table.into_inner());
            return Ok(Self { name: name.into(), lines, root, diagnostics: RefCell::default() });
        }
        let diagnostics = errors.iter().take(SYNTAX_ERRORS).map(|error| syntax(error, text, &lines)).collect();
        Err(Diagnostics::new(name.into(), diagnostics))
    }

    /// Returns the name of the file in messages.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the document as a table.
    #[must_use]
    pub fn root(&self) -> Table<'_> {
        Table::new(self, &self.root)
    }

    /// Records an error.
    pub(crate) fn error(&self, diagnostic: Diagnostic) {
        self.diagnostics.borrow_mut().push(diagnostic);
    }

    /// Returns `value`, which was made of this document, if there was no error in it, and every key is known.
    ///
    /// # Errors
    /// All errors, in the order of the lines.
    pub fn finish<T>(self, value: T) -> Result<T, Diagnostics> {
        self.root().report_unknown_keys();
        let diagnostics = self.diagnostics.into_inner();
        if diagnostics.is_empty() { Ok(value) } else { Err(Diagnostics::new(self.name, diagnostics)) }
    }
}

/// The byte order mark that some editors put before a text in UTF-8.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// Converts an error of syntax.
fn syntax(error: &toml::de::Error, text: &str, lines: &Lines) -> Diagnostic {
    let span = error.span().unwrap_or(text.len()..text.len());
    let place = Some(lines.place(span.start));
    if error.message().starts_with("duplicate key") {
        let key = text.get(span).map(str::to_owned);
        return Diagnostic {
            place,
            key,
            wrong: "it is there a second time".into(),
            instead: "leave one of them".into(),
        };
    }
    let message =
        error.message().replace("string values must be quoted, expected literal string", "a text must be quoted");
    Diagnostic { place, key: None, wrong: format!("this is not TOML: {message}"), instead: String::new() }
}

#[cfg(test)]
mod tests;
