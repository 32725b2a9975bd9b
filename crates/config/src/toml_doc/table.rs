//! A table of a document, and what was asked of it.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::Document;
use super::diagnostic::{Diagnostic, Location};
use super::item::Item;
use super::suggest::{list, suggest};
use super::tree::{Field, Fields, Node, Value, word};

/// A table of a document. Asking it for a key makes that key a known one, whether it is there or not.
///
/// What asks for a type gives `None` both for what is not there and for what is wrong, which is then on the list of the
/// document's mistakes.
#[derive(Debug, Clone, Copy)]
pub struct Table<'d> {
    document: &'d Document,
    node: &'d Node,
}

/// A key of a table that the user chose: the name of a preset, of a list.
#[derive(Debug, Clone, Copy)]
pub struct Key<'d> {
    document: &'d Document,
    field: &'d Field,
}

/// If more keys are known, an unknown one is answered without all of them.
const LISTED: usize = 12;

impl<'d> Table<'d> {
    /// `node` must be a table.
    pub(super) fn new(document: &'d Document, node: &'d Node) -> Self {
        let table = Self { document, node };
        table.fields().opened.set(true);
        table
    }

    fn fields(self) -> &'d Fields {
        match &self.node.value {
            Value::Table(fields) => fields,
            _ => unreachable!("a Table is only made of a node that is one"),
        }
    }

    fn ask(self, key: &str, to_be_suggested: bool) -> Option<&'d Field> {
        let fields = self.fields();
        fields.asked.borrow_mut().insert(key.to_owned(), to_be_suggested);
        fields.list.iter().find(|field| field.key == key)
    }

    /// The value of a key, whatever its type.
    #[must_use]
    pub fn get(self, key: &str) -> Option<Item<'d>> {
        self.ask(key, true).map(|field| Item::new(self.document, &field.node))
    }

    /// The value of a key without which nothing goes. What is missing is a mistake, and `instead` what to do about it.
    #[must_use]
    pub fn require(self, key: &str, instead: &str) -> Option<Item<'d>> {
        let item = self.get(key);
        if item.is_none() {
            self.error(format!("`{key}` is missing"), instead);
        }
        item
    }

    /// Says why a key that others know is not known here, if it is there.
    pub fn refuse(self, key: &str, wrong: &str, instead: &str) {
        if let Some(field) = self.ask(key, false) {
            Key { document: self.document, field }.error(wrong, instead);
        }
    }

    /// See [`Item::string`].
    #[must_use]
    pub fn string(self, key: &str) -> Option<&'d str> {
        self.get(key)?.string()
    }

    /// See [`Item::parse`].
    pub fn parse<T, E: Display>(self, key: &str, parse: impl FnOnce(&'d str) -> Result<T, E>) -> Option<T> {
        self.get(key)?.parse(parse)
    }

    /// See [`Item::boolean`].
    #[must_use]
    pub fn boolean(self, key: &str) -> Option<bool> {
        self.get(key)?.boolean()
    }

    /// See [`Item::integer`].
    #[must_use]
    pub fn integer<N: TryFrom<i128> + TryInto<i128> + Copy>(self, key: &str, range: RangeInclusive<N>) -> Option<N> {
        self.get(key)?.integer(range)
    }

    /// See [`Item::number`].
    #[must_use]
    pub fn number(self, key: &str) -> Option<f64> {
        self.get(key)?.number()
    }

    /// See [`Item::duration`].
    #[must_use]
    pub fn duration(self, key: &str) -> Option<Duration> {
        self.get(key)?.duration()
    }

    /// See [`Item::size`].
    #[must_use]
    pub fn size(self, key: &str) -> Option<u64> {
        self.get(key)?.size()
    }

    /// See [`Item::choice`].
    #[must_use]
    pub fn choice<T: Clone>(self, key: &str, choices: &[(&str, T)]) -> Option<T> {
        self.get(key)?.choice(choices)
    }

    /// See [`Item::strings`].
    #[must_use]
    pub fn strings(self, key: &str) -> Option<Vec<String>> {
        self.get(key)?.strings()
    }

    /// See [`Item::table`].
    #[must_use]
    pub fn table(self, key: &str) -> Option<Table<'d>> {
        self.get(key)?.table()
    }

    /// The tables of an array of tables, in order; none if it is not there. What is no table is a mistake.
    #[must_use]
    pub fn tables(self, key: &str) -> Vec<Table<'d>> {
        let Some(item) = self.get(key) else { return Vec::new() };
        if !item.is_array() {
            item.error("it must be an array of tables", format!("write [[{}]] above each", item.path()));
            return Vec::new();
        }
        item.items().into_iter().flatten().filter_map(Item::table).collect()
    }

    /// All keys and values in the order in which they were written, where the user chooses the keys. All are known
    /// thereby.
    pub fn entries(self) -> impl Iterator<Item = (Key<'d>, Item<'d>)> {
        let document = self.document;
        let fields = self.fields();
        fields.list.iter().map(move |field| {
            fields.asked.borrow_mut().insert(field.key.clone(), true);
            (Key { document, field }, Item::new(document, &field.node))
        })
    }

    /// The keys there are, in the order in which they were written. They do not become known by that.
    pub fn keys(self) -> impl Iterator<Item = &'d str> {
        self.fields().list.iter().map(|field| field.key.as_str())
    }

    /// Where it stands: its head, or its opening brace.
    #[must_use]
    pub fn place(self) -> Location {
        Item::new(self.document, self.node).place()
    }

    /// Its key with the tables in which it is; empty for the document itself.
    #[must_use]
    pub fn path(self) -> &'d str {
        &self.node.path
    }

    /// Says that something is wrong with the table as a whole.
    pub fn error(self, wrong: impl Into<String>, instead: impl Into<String>) {
        Item::new(self.document, self.node).error(wrong, instead);
    }

    /// Says of every key in this table and those within that nobody asked for it. What is inside such a key is not
    /// looked at: nobody could ask.
    pub(super) fn complain_about_unknown_keys(self) {
        let asked = self.fields().asked.borrow();
        let known = || asked.iter().filter(|(_, suggested)| **suggested).map(|(key, _)| key.as_str());
        for field in &self.fields().list {
            if asked.contains_key(&field.key) {
                complain_within(self.document, &field.node);
                continue;
            }
            let instead = match suggest(&field.key, known()) {
                Some(near) => format!("did you mean `{}`?", word(near)),
                None if (1..=LISTED).contains(&known().count()) => format!("known are {}", list(known())),
                None => String::new(),
            };
            Key { document: self.document, field }.error("it is not known", instead);
        }
    }
}

fn complain_within(document: &Document, node: &Node) {
    match &node.value {
        Value::Table(fields) if fields.opened.get() => Table::new(document, node).complain_about_unknown_keys(),
        Value::Array(items) => items.iter().for_each(|item| complain_within(document, item)),
        // Also a table that was not opened: it was refused as a whole.
        _ => {}
    }
}

impl<'d> Key<'d> {
    /// The key.
    #[must_use]
    pub fn name(self) -> &'d str {
        &self.field.key
    }

    /// Where it stands.
    #[must_use]
    pub fn place(self) -> Location {
        self.document.lines.place(self.field.key_span.start)
    }

    /// Says that the key is wrong, rather than its value.
    pub fn error(self, wrong: impl Into<String>, instead: impl Into<String>) {
        self.document.error(Diagnostic {
            place: Some(self.place()),
            key: Some(self.field.node.path.clone()),
            wrong: wrong.into(),
            instead: instead.into(),
        });
    }
}
