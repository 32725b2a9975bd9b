//! Writes values as TOML: the configuration in force, and a template with every key.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use phalanx_action::chain::MaxSkips;

use super::keys::{KEYS, Key};
use super::loader::{Loaded, Origin};
use super::rewrite::Rewrite;

/// Quotes a text as TOML.
pub(super) fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for char in text.chars() {
        match char {
            '"' | '\\' => quoted.extend(['\\', char]),
            // Writing to a string cannot fail.
            _ if char.is_control() => drop(write!(quoted, "\\u{:04x}", u32::from(char))),
            _ => quoted.push(char),
        }
    }
    quoted + "\""
}

pub(super) fn os(text: &OsStr) -> String {
    quoted(&text.to_string_lossy())
}

pub(super) fn path(path: &Path) -> String {
    os(path.as_os_str())
}

pub(super) fn flag(flag: bool) -> Option<String> {
    Some(flag.to_string())
}

pub(super) fn seconds(duration: Duration) -> String {
    if duration.subsec_nanos() == 0 { duration.as_secs().to_string() } else { format!("{:?}", duration.as_secs_f64()) }
}

pub(super) fn skips(skips: MaxSkips) -> String {
    match skips {
        MaxSkips::Hosts(number) => number.to_string(),
        MaxSkips::Ratio(ratio) => format!("{ratio:?}"),
    }
}

pub(super) fn list(words: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    let words: Vec<String> = words.into_iter().map(|word| quoted(word.as_ref())).collect();
    format!("[{}]", words.join(", "))
}

/// Returns the word for a value.
pub(super) fn word<T: PartialEq>(words: &[(&str, T)], value: T) -> Option<String> {
    words.iter().find(|(_, known)| *known == value).map(|(word, _)| quoted(word))
}

pub(super) fn rewrite(rule: &Rewrite) -> String {
    match rule {
        Rewrite::Template(text) => quoted(text),
        Rewrite::Pattern { find, replace } => {
            format!("{{ find = {}, replace = {} }}", quoted(find.as_str()), quoted(replace))
        }
    }
}

impl Loaded {
    /// Returns the configuration in force as a file that would say the same, with the origin of every value.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let lines = KEYS.iter().map(|key| (key, self.line(key)));
        in_sections(lines)
    }

    fn line(&self, key: &Key) -> String {
        let (_, name) = key.parts();
        let origins = self.origins.get(key.name).map(Vec::as_slice).unwrap_or_default();
        let Some(value) = (key.show)(&self.configuration) else {
            return format!("# {name} is not set: {}", key.unset);
        };
        let origins: Vec<String> = origins.iter().rev().map(Origin::to_string).collect();
        let origins = if origins.is_empty() { "default".to_owned() } else { origins.join("; ") };
        // A comment ends with its line, and nothing else could end it.
        format!("{name} = {value}  # {}", origins.replace(char::is_control, "?"))
    }
}

/// Returns a file with every key in comments, each with its meaning, and its default or else an example.
#[must_use]
pub fn template() -> String {
    let entry = |key: &Key| {
        let (_, name) = key.parts();
        let mut entry = format!("# {}", key.effect);
        let _ = write!(entry, "\n#   {}", key.kind.describe());
        for (what, text) in [("flag", key.flag), ("environment", key.variable)] {
            let _ = text.map(|text| write!(entry, "; {what}: {text}"));
        }
        match key.default() {
            Some(value) => write!(entry, "\n#{name} = {value}\n"),
            None => write!(entry, "\n#   not set: {}; for example:\n#{name} = {}\n", key.unset, key.example),
        }
        .map(|()| entry)
        .unwrap_or_default()
    };
    in_sections(KEYS.iter().map(|key| (key, entry(key))))
}

fn in_sections<'a>(entries: impl Iterator<Item = (&'a Key, String)>) -> String {
    let mut text = String::new();
    let mut current = "";
    for (key, entry) in entries {
        let (section, _) = key.parts();
        if section != current {
            current = section;
            let _ = write!(text, "\n[{section}]\n");
        }
        text += &entry;
        text.push('\n');
    }
    text
}
