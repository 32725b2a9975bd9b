//! A table of a document, and the keys it was asked for.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::Document;
use super::diagnostic::{Diagnostic, Location};
use super::item::Item;
use super::suggest::{list, suggest};
use super::tree::{Field, Fields, Node, NodeValue, word};

/// A table of a document. Asking it for a key makes that key a known one, whether it is there or not.
///
/// Conversions return `None` both for a missing value and for a wrong one, whose error is then recorded.
#[derive(Debug, Clone, Copy)]
pub struct Table<'d> {
    document: &'d Document,
    node: &'d Node,
}

/// A key of a table that the user chose: the name of a preset, of a list.
#[derive(Debug, Clone, Copy)]
pub struct TableKey<'d> {
    document: &'d Document,
    field: &'d Field,
}

/// If more keys are known, the message about an unknown one does not list them.
const LISTED: usize = 12;

impl<'d> Table<'d> {
    /// Wraps `node`, which must be a table.
    pub(super) fn new(document: &'d Document, node: &'d Node) -> Self {
        let table = Self { document, node };
        table.fields().opened.set(true);
        table
    }

    fn fields(self) -> &'d Fields {
        match &self.node.value {
            NodeValue::Table(fields) => fields,
            _ => unreachable!("a Table is only made of a node that is one"),
        }
    }

    fn ask(self, key: &str, to_be_suggested: bool) -> Option<&'d Field> {
        let fields = self.fields();
        fields.asked.borrow_mut().insert(key.to_owned(), to_be_suggested);
        fields.list.iter().find(|field| field.key == key)
    }

    /// Returns the value of a key, whatever its type.
    #[must_use]
    pub fn get(self, key: &str) -> Option<Item<'d>> {
        self.ask(key, true).map(|field| Item::new(self.document, &field.node))
    }

    /// Returns the value of a key that must be there. A missing one is an error, with `instead` as its advice.
    #[must_use]
    pub fn require(self, key: &str, instead: &str) -> Option<Item<'d>> {
        let item = self.get(key);
        if item.is_none() {
            self.error(format!("`{key}` is missing"), instead);
        }
        item
    }

    /// Records why a key that is known elsewhere is not allowed here, if it is there.
    pub fn refuse(self, key: &str, wrong: &str, instead: &str) {
        if let Some(field) = self.ask(key, false) {
            TableKey { document: self.document, field }.error(wrong, instead);
        }
    }

    /// Returns the value of a key, as [`Item::string`].
    #[must_use]
    pub fn string(self, key: &str) -> Option<&'d str> {
        self.get(key)?.string()
    }

    /// Returns the value of a key, as [`Item::parse`].
    pub fn parse<T, E: Display>(self, key: &str, parse: impl FnOnce(&'d str) -> Result<T, E>) -> Option<T> {
        self.get(key)?.parse(parse)
    }

    /// Returns the value of a key, as [`Item::boolean`].
    #[must_use]
    pub fn boolean(self, key: &str) -> Option<bool> {
        self.get(key)?.boolean()
    }

    /// Returns the value of a key, as [`Item::integer`].
    #[must_use]
    pub fn integer<N: TryFrom<i128> + TryInto<i128> + Copy>(self, key: &str, range: RangeInclusive<N>) -> Option<N> {
        self.get(key)?.integer(range)
    }

    /// Returns the value of a key, as [`Item::number`].
    #[must_use]
    pub fn number(self, key: &str) -> Option<f64> {
        self.get(key)?.number()
    }

    /// Returns the value of a key, as [`Item::duration`].
    #[must_use]
    pub fn duration(self, key: &str) -> Option<Duration> {
        self.get(key)?.duration()
    }

    /// Returns the value of a key, as [`Item::size`].
    #[must_use]
    pub fn size(self, key: &str) -> Option<u64> {
        self.get(key)?.size()
    }

    /// Returns the value of a key, as [`Item::choice`].
    #[must_use]
    pub fn choice<T: Clone>(self, key: &str, choices: &[(&str, T)]) -> Option<T> {
        self.get(key)?.choice(choices)
    }

    /// Returns the value of a key, as [`Item::strings`].
    #[must_use]
    pub fn strings(self, key: &str) -> Option<Vec<String>> {
        self.get(key)?.strings()
    }

    /// Returns the value of a key, as [`Item::table`].
    #[must_use]
    pub fn table(self, key: &str) -> Option<Table<'d>> {
        self.get(key)?.table()
    }

    /// Returns the tables of an array of tables, in order; none if it is missing. A member of another type is an error.
    #[must_use]
    pub fn tables(self, key: &str) -> Vec<Table<'d>> {
        let Some(item) = self.get(key) else { return Vec::new() };
        if !item.is_array() {
            item.error("it must be an array of tables", format!("write [[{}]] above each", item.path()));
            return Vec::new();
        }
        item.items().into_iter().flatten().filter_map(Item::table).collect()
    }

    /// Returns all keys and values in the order of the document, where the user chooses the keys. All become known.
    pub fn entries(self) -> impl Iterator<Item = (TableKey<'d>, Item<'d>)> {
        let document = self.document;
        let fields = self.fields();
        fields.list.iter().map(move |field| {
            fields.asked.borrow_mut().insert(field.key.clone(), true);
            (TableKey { document, field }, Item::new(document, &field.node))
        })
    }

    /// Returns the keys in the order of the document. They do not become known by that.
    pub fn keys(self) -> impl Iterator<Item = &'d str> {
        self.fields().list.iter().map(|field| field.key.as_str())
    }

    /// Returns its location: that of its header, or of its opening brace.
    #[must_use]
    pub fn place(self) -> Location {
        Item::new(self.document, self.node).place()
    }

    /// Returns its key with its tables; empty for the document itself.
    #[must_use]
    pub fn path(self) -> &'d str {
        &self.node.path
    }

    /// Records that something is wrong with the table as a whole.
    pub fn error(self, wrong: impl Into<String>, instead: impl Into<String>) {
        Item::new(self.document, self.node).error(wrong, instead);
    }

    /// Reports every key in this table and the tables within it that was never asked for. What is inside an unknown key
    /// is not looked at.
    pub(super) fn report_unknown_keys(self) {
        let asked = self.fields().asked.borrow();
        let known = || asked.iter().filter(|(_, suggested)| **suggested).map(|(key, _)| key.as_str());
        for field in &self.fields().list {
            if asked.contains_key(&field.key) {
                report_within(self.document, &field.node);
                continue;
            }
            let instead = match suggest(&field.key, known()) {
                Some(near) => format!("did you mean `{}`?", word(near)),
                None if (1..=LISTED).contains(&known().count()) => format!("known are {}", list(known())),
                None => String::new(),
            };
            TableKey { document: self.document, field }.error("it is not known", instead);
        }
    }
}

fn report_within(document: &Document, node: &Node) {
    match &node.value {
        NodeValue::Table(fields) if fields.opened.get() => Table::new(document, node).report_unknown_keys(),
        NodeValue::Array(items) => items.iter().for_each(|item| report_within(document, item)),
        // Also a table that was not opened: it was refused as a whole.
        _ => {}
    }
}

impl<'d> TableKey<'d> {
    /// Returns the key.
    #[must_use]
    pub fn name(self) -> &'d str {
        &self.field.key
    }

    /// Returns its location.
    #[must_use]
    pub fn place(self) -> Location {
        self.document.lines.place(self.field.key_span.start)
    }

    /// Records that the key is wrong, rather than its value.
    pub fn error(self, wrong: impl Into<String>, instead: impl Into<String>) {
        self.document.error(Diagnostic {
            place: Some(self.place()),
            key: Some(self.field.node.path.clone()),
            wrong: wrong.into(),
            instead: instead.into(),
        });
    }
}
