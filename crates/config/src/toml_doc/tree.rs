//! A document as it was written: every value with its place and the path of its key, every table with what was asked of it.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// One value.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) value: Value,
    /// The key with the tables in which it is; empty for the document itself.
    pub(super) path: String,
    /// Where it stands, in bytes.
    pub(super) span: Range<usize>,
}

#[derive(Debug)]
pub(super) enum Value {
    String(String),
    /// As digits, so that what is too large for us can be shown as it was written.
    Integer {
        digits: String,
        radix: u32,
    },
    Float(f64),
    Boolean(bool),
    /// A date or a time, as it was written.
    Date(String),
    Array(Vec<Node>),
    Table(Fields),
}

/// What is in a table.
#[derive(Debug, Default)]
pub(super) struct Fields {
    /// In the order in which they were written.
    pub(super) list: Vec<Field>,
    /// What was asked for, and whether it may be suggested to somebody who writes something else.
    pub(super) asked: RefCell<BTreeMap<String, bool>>,
    /// Whether somebody read it as a table: only then it means something that nobody asked for a key.
    pub(super) opened: Cell<bool>,
}

#[derive(Debug)]
pub(super) struct Field {
    pub(super) key: String,
    pub(super) key_span: Range<usize>,
    pub(super) node: Node,
}

impl Node {
    pub(super) fn root(table: DeTable<'_>) -> Self {
        Self { value: Value::Table(fields(table, "")), path: String::new(), span: 0..0 }
    }

    fn new(value: Spanned<DeValue<'_>>, path: String) -> Self {
        let span = value.span();
        let value = match value.into_inner() {
            DeValue::String(text) => Value::String(text.into_owned()),
            DeValue::Integer(integer) => Value::Integer { digits: integer.as_str().to_owned(), radix: integer.radix() },
            // What is too large for a float is infinite, which whoever wants a number refuses.
            DeValue::Float(float) => Value::Float(float.as_str().parse().unwrap_or(f64::INFINITY)),
            DeValue::Boolean(boolean) => Value::Boolean(boolean),
            DeValue::Datetime(date) => Value::Date(date.to_string()),
            DeValue::Array(items) => {
                let items = items.into_iter().zip(1..);
                Value::Array(items.map(|(item, rank)| Self::new(item, format!("{path}[{rank}]"))).collect())
            }
            DeValue::Table(table) => Value::Table(fields(table, &path)),
        };
        Self { value, path, span }
    }

    /// What it is, for messages: `the string "ssh"`, `an array`.
    pub(super) fn describe(&self) -> String {
        match &self.value {
            Value::String(text) => format!("the string {}", quoted(text)),
            Value::Integer { digits, radix: 10 } => format!("the integer {}", shortened(digits)),
            Value::Integer { .. } => "an integer".into(),
            Value::Float(float) => format!("the float {float:?}"),
            Value::Boolean(boolean) => format!("the boolean {boolean}"),
            Value::Date(date) => format!("the date or time {date}"),
            Value::Array(_) => "an array".into(),
            Value::Table(_) => "a table".into(),
        }
    }
}

fn fields(table: DeTable<'_>, path: &str) -> Fields {
    let mut list: Vec<Field> = table
        .into_iter()
        .map(|(key, value)| {
            let path = if path.is_empty() { word(key.get_ref()) } else { format!("{path}.{}", word(key.get_ref())) };
            Field { key_span: key.span(), key: key.into_inner().into_owned(), node: Node::new(value, path) }
        })
        .collect();
    list.sort_by_key(|field| field.key_span.start);
    Fields { list, ..Fields::default() }
}

/// A key as it is written in TOML: bare where that is possible.
pub(super) fn word(key: &str) -> String {
    let bare = |char: char| char.is_ascii_alphanumeric() || char == '_' || char == '-';
    if !key.is_empty() && key.chars().all(bare) { shortened(key) } else { quoted(key) }
}

/// A text in quotes, control characters escaped, and not longer than a line can bear.
pub(super) fn quoted(text: &str) -> String {
    format!("{:?}", shortened(text))
}

/// Longer texts are cut in messages.
const LONGEST: usize = 60;

fn shortened(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
