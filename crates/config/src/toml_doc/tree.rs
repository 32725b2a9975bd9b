//! The tree of a document: every value with its position and the path of its key, every table with the keys it was
//! asked for.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A value with its position.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) value: NodeValue,
    /// Its key with its tables; empty for the document itself.
    pub(super) path: String,
    /// Its position, in bytes.
    pub(super) span: Range<usize>,
}

#[derive(Debug)]
pub(super) enum NodeValue {
    String(String),
    /// An integer as its digits, so that one that is too large can be shown as it was written.
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

/// The fields of a table.
#[derive(Debug, Default)]
pub(super) struct Fields {
    /// The fields, in the order of the document.
    pub(super) list: Vec<Field>,
    /// The keys that were asked for, and whether each may be suggested in place of an unknown one.
    pub(super) asked: RefCell<BTreeMap<String, bool>>,
    /// Whether it was read as a table: only then a key that was not asked for is unknown.
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
        Self { value: NodeValue::Table(fields(table, "")), path: String::new(), span: 0..0 }
    }

    fn new(value: Spanned<DeValue<'_>>, path: String) -> Self {
        let span = value.span();
        let value = match value.into_inner() {
            DeValue::String(text) => NodeValue::String(text.into_owned()),
            DeValue::Integer(integer) => {
                NodeValue::Integer { digits: integer.as_str().to_owned(), radix: integer.radix() }
            }
            // What is too large for a float is infinite, which is refused where a number is wanted.
            DeValue::Float(float) => NodeValue::Float(float.as_str().parse().unwrap_or(f64::INFINITY)),
            DeValue::Boolean(boolean) => NodeValue::Boolean(boolean),
            DeValue::Datetime(date) => NodeValue::Date(date.to_string()),
            DeValue::Array(items) => {
                let items = items.into_iter().zip(1..);
                NodeValue::Array(items.map(|(item, rank)| Self::new(item, format!("{path}[{rank}]"))).collect())
            }
            DeValue::Table(table) => NodeValue::Table(fields(table, &path)),
        };
        Self { value, path, span }
    }

    /// Describes it for messages: `the string "ssh"`, `an array`.
    pub(super) fn describe(&self) -> String {
        match &self.value {
            NodeValue::String(text) => format!("the string {}", quoted(text)),
            NodeValue::Integer { digits, radix: 10 } => format!("the integer {}", shortened(digits)),
            NodeValue::Integer { .. } => "an integer".into(),
            NodeValue::Float(float) => format!("the float {float:?}"),
            NodeValue::Boolean(boolean) => format!("the boolean {boolean}"),
            NodeValue::Date(date) => format!("the date or time {date}"),
            NodeValue::Array(_) => "an array".into(),
            NodeValue::Table(_) => "a table".into(),
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

/// Quotes a key as TOML needs it: bare where that is possible.
pub(super) fn word(key: &str) -> String {
    let bare = |char: char| char.is_ascii_alphanumeric() || char == '_' || char == '-';
    if !key.is_empty() && key.chars().all(bare) { shortened(key) } else { quoted(key) }
}

/// Quotes a text, with control characters escaped, and shortened to fit a line.
pub(super) fn quoted(text: &str) -> String {
    format!("{:?}", shortened(text))
}

/// Texts longer than this are cut in messages.
const LONGEST: usize = 60;

fn shortened(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
