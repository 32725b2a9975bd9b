//! A value of a document, converted to a type.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::time::Duration;

use phalanx_process::duration::{IntoDuration, InvalidDuration};

use super::diagnostic::{Diagnostic, Location};
use super::suggest::{list, suggest};
use super::table::Table;
use super::tree::{Node, NodeValue, quoted};
use super::{Document, size};

/// A value of a document. Conversions return `None` when it is wrong, and record the error in the document.
#[derive(Debug, Clone, Copy)]
pub struct Item<'d> {
    document: &'d Document,
    node: &'d Node,
}

impl<'d> Item<'d> {
    pub(super) fn new(document: &'d Document, node: &'d Node) -> Self {
        Self { document, node }
    }

    /// Returns its location.
    #[must_use]
    pub fn place(self) -> Location {
        self.document.lines.place(self.node.span.start)
    }

    /// Returns its key with its tables: `connection.user`, `step[2].hosts`.
    #[must_use]
    pub fn path(self) -> &'d str {
        &self.node.path
    }

    /// Records that it is wrong: what is, and what to write instead, which may be empty.
    pub fn error(self, wrong: impl Into<String>, instead: impl Into<String>) {
        let key = Some(self.node.path.clone()).filter(|path| !path.is_empty());
        let place = Some(self.place());
        self.document.error(Diagnostic { place, key, wrong: wrong.into(), instead: instead.into() });
    }

    fn must_be<T>(self, what: &str, instead: impl Into<String>) -> Option<T> {
        self.error(format!("it must be {what}, not {}", self.node.describe()), instead);
        None
    }

    /// Returns it as a string.
    #[must_use]
    pub fn string(self) -> Option<&'d str> {
        match &self.node.value {
            NodeValue::String(text) => Some(text),
            _ => self.must_be("a string", "write a text in quotes"),
        }
    }

    /// Returns what `parse` makes of its string; its error is recorded.
    pub fn parse<T, E: Display>(self, parse: impl FnOnce(&'d str) -> Result<T, E>) -> Option<T> {
        parse(self.string()?).map_err(|error| self.error(error.to_string(), "")).ok()
    }

    /// Returns it as a boolean.
    #[must_use]
    pub fn boolean(self) -> Option<bool> {
        match &self.node.value {
            NodeValue::Boolean(boolean) => Some(*boolean),
            _ => self.must_be("a boolean", "write true or false"),
        }
    }

    /// Returns it as an integer within `range`.
    #[must_use]
    pub fn integer<N: TryFrom<i128> + TryInto<i128> + Copy>(self, range: RangeInclusive<N>) -> Option<N> {
        let first: i128 = (*range.start()).try_into().unwrap_or(i128::MIN);
        let last: i128 = (*range.end()).try_into().unwrap_or(i128::MAX);
        let instead = format!("write a number from {first} to {last}");
        let NodeValue::Integer { digits, radix } = &self.node.value else {
            return self.must_be("an integer", instead);
        };
        let number = i128::from_str_radix(digits, *radix).ok().filter(|number| (first..=last).contains(number));
        let number = number.and_then(|number| N::try_from(number).ok());
        if number.is_none() {
            let wrong = self.node.describe();
            self.error(format!("{} is out of range", wrong.strip_prefix("the integer ").unwrap_or("it")), instead);
        }
        number
    }

    /// Returns it as a finite number, whole or not.
    #[must_use]
    pub fn number(self) -> Option<f64> {
        let number = match &self.node.value {
            NodeValue::Integer { digits, radix } => {
                i128::from_str_radix(digits, *radix).ok().map(|number| number as f64)
            }
            NodeValue::Float(float) => Some(*float).filter(|float| float.is_finite()),
            _ => None,
        };
        number.or_else(|| self.must_be("a number", "write a number such as 2 or 0.5"))
    }

    /// Returns it as a duration: seconds, or a text in one of [the formats](phalanx_process::duration).
    #[must_use]
    pub fn duration(self) -> Option<Duration> {
        const INSTEAD: &str = "write seconds (90, 1.5) or hours, minutes and seconds (\"0:01:30\")";
        let read = match &self.node.value {
            NodeValue::Integer { digits, radix } => {
                let seconds = u64::from_str_radix(digits, *radix).ok();
                seconds.map(Duration::from_secs).ok_or(InvalidDuration { given: digits.clone() })
            }
            NodeValue::Float(seconds) => seconds.into_duration(),
            NodeValue::String(text) => text.as_str().into_duration(),
            _ => return self.must_be("a duration", INSTEAD),
        };
        let wrong = |_| self.error(format!("{} is no duration", self.node.describe()), INSTEAD);
        read.map_err(wrong).ok()
    }

    /// Returns it as a number of bytes: an integer, or a text such as `"64K"`, `"10MiB"`, `"2GB"`.
    #[must_use]
    pub fn size(self) -> Option<u64> {
        let read = match &self.node.value {
            NodeValue::Integer { digits, radix } => u64::from_str_radix(digits, *radix).ok(),
            NodeValue::String(text) => size::parse(text),
            _ => return self.must_be("a size", size::EXPECTED),
        };
        if read.is_none() {
            self.error(format!("{} is no size", self.node.describe()), size::EXPECTED);
        }
        read
    }

    /// Returns what it stands for, if it is one of these words.
    #[must_use]
    pub fn choice<T: Clone>(self, choices: &[(&str, T)]) -> Option<T> {
        let words = || choices.iter().map(|(word, _)| *word);
        let known = format!("write one of {}", list(words()));
        let NodeValue::String(given) = &self.node.value else { return self.must_be("a string", known) };
        let found = choices.iter().find(|(word, _)| word == given).map(|(_, value)| value.clone());
        if found.is_none() {
            let meant = suggest(given, words()).map(|word| format!("; did you mean `{word}`?")).unwrap_or_default();
            self.error(format!("{} is not known", quoted(given)), known + &meant);
        }
        found
    }

    /// Returns it as a list of strings, for which a single string may stand.
    #[must_use]
    pub fn strings(self) -> Option<Vec<String>> {
        const INSTEAD: &str = "write a text in quotes, or several: [\"a\", \"b\"]";
        match &self.node.value {
            NodeValue::String(text) => Some(vec![text.clone()]),
            // All of them are looked at, so that each that is wrong is on the list.
            NodeValue::Array(_) => {
                let texts: Vec<_> = self.items()?.into_iter().map(|item| item.string().map(str::to_owned)).collect();
                texts.into_iter().collect()
            }
            _ => self.must_be("a list of strings", INSTEAD),
        }
    }

    /// Returns the members of it as an array.
    #[must_use]
    pub fn items(self) -> Option<Vec<Item<'d>>> {
        match &self.node.value {
            NodeValue::Array(items) => Some(items.iter().map(|node| Item::new(self.document, node)).collect()),
            _ => self.must_be("an array", "write values between [ and ], with commas"),
        }
    }

    /// Returns it as a table.
    #[must_use]
    pub fn table(self) -> Option<Table<'d>> {
        match &self.node.value {
            NodeValue::Table(_) => Some(Table::new(self.document, self.node)),
            _ => self.must_be("a table", format!("write [{}] above its keys", self.node.path)),
        }
    }

    /// Reports whether it is a string.
    #[must_use]
    pub fn is_string(self) -> bool {
        matches!(self.node.value, NodeValue::String(_))
    }

    /// Reports whether it is a boolean.
    #[must_use]
    pub fn is_boolean(self) -> bool {
        matches!(self.node.value, NodeValue::Boolean(_))
    }

    /// Reports whether it is an integer.
    #[must_use]
    pub fn is_integer(self) -> bool {
        matches!(self.node.value, NodeValue::Integer { .. })
    }

    /// Reports whether it is a float.
    #[must_use]
    pub fn is_float(self) -> bool {
        matches!(self.node.value, NodeValue::Float(_))
    }

    /// Reports whether it is an array.
    #[must_use]
    pub fn is_array(self) -> bool {
        matches!(self.node.value, NodeValue::Array(_))
    }

    /// Reports whether it is a table.
    #[must_use]
    pub fn is_table(self) -> bool {
        matches!(self.node.value, NodeValue::Table(_))
    }
}
