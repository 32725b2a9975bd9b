//! Converts values of a document to types that the document itself does not know: paths, words for ssh, ranges of ports.

use std::ffi::OsString;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use log::LevelFilter;
use phalanx_action::chain::MaxSkips;
use phalanx_process::ssh::HostKeyChecking;
use regex::Regex;

use super::rewrite::Rewrite;
use crate::style::When;
use crate::toml_doc::Item;

/// A value, and the directory at which relative paths start: that of the file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Given<'a, 'd> {
    pub(super) item: Item<'d>,
    pub(super) directory: &'a Path,
    pub(super) home: Option<&'a Path>,
}

/// The words for host key checking, log levels and colours.
pub(super) const CHECK_HOST_KEYS: [(&str, HostKeyChecking); 3] =
    [("enforce", HostKeyChecking::Strict), ("accept", HostKeyChecking::AcceptNew), ("ignore", HostKeyChecking::Off)];
pub(super) const LEVELS: [(&str, LevelFilter); 6] = [
    ("off", LevelFilter::Off),
    ("error", LevelFilter::Error),
    ("warn", LevelFilter::Warn),
    ("info", LevelFilter::Info),
    ("debug", LevelFilter::Debug),
    ("trace", LevelFilter::Trace),
];
pub(super) const COLOURS: [(&str, When); 3] = [("auto", When::Auto), ("always", When::Always), ("never", When::Never)];

/// Sets `to` to a value that could be read.
pub(super) fn set<T>(to: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *to = value;
    }
}

/// Prepends values that could be read to those of lower layers.
pub(super) fn join<T>(to: &mut Vec<T>, values: Option<Vec<T>>) {
    to.splice(0..0, values.unwrap_or_default());
}

impl Given<'_, '_> {
    /// Returns a string that becomes a word of a command line: not empty, and on one line.
    pub(super) fn word(self) -> Option<String> {
        let text = self.item.string()?;
        match wrong_with_word(text) {
            Some(wrong) => {
                self.item.error(wrong, "write it without");
                None
            }
            None if text.is_empty() => {
                self.item.error("it is empty", "leave the key out to leave the choice to your ssh");
                None
            }
            None => Some(text.to_owned()),
        }
    }

    /// Returns strings that become words of a command line.
    pub(super) fn words(self) -> Option<Vec<String>> {
        let words = self.item.strings()?;
        if let Some(wrong) = words.iter().find_map(|word| wrong_with_word(word)) {
            self.item.error(wrong, "write it without");
            return None;
        }
        Some(words)
    }

    pub(super) fn os_words(self) -> Option<Vec<OsString>> {
        Some(self.words()?.into_iter().map(OsString::from).collect())
    }

    /// Returns a path: `~/` is the home directory, and a relative one starts at the directory of the file.
    pub(super) fn path(self) -> Option<PathBuf> {
        let text = self.word()?;
        match (text.strip_prefix("~/"), self.home) {
            (Some(rest), Some(home)) => Some(home.join(rest)),
            (Some(_), None) => {
                self.item.error("`~` has no meaning without a home", "set $HOME, or write the whole path");
                None
            }
            (None, _) => Some(self.directory.join(text)),
        }
    }

    /// Returns a program: a path if there is a slash in it, else a name to be looked up.
    pub(super) fn program(self) -> Option<OsString> {
        let name = self.word()?;
        if name.contains('/') { self.path().map(PathBuf::into_os_string) } else { Some(name.into()) }
    }

    /// Returns the configuration for ssh; `none` is ssh's own word for none at all.
    pub(super) fn ssh_config(self) -> Option<PathBuf> {
        if self.item.is_string() && self.item.string() == Some("none") { Some("none".into()) } else { self.path() }
    }

    /// Returns a value with a name, such as a tool.
    pub(super) fn named<T: FromStr<Err: std::fmt::Display>>(self) -> Option<T> {
        self.item.parse(str::parse)
    }

    /// Returns `[first, end]`, where the end is excluded, as in execo.
    pub(super) fn ports(self) -> Option<Range<u16>> {
        let instead = "write the first port and the one after the last, as in [25500, 26700]";
        let ports: Vec<Option<u16>> = self.item.items()?.into_iter().map(|item| item.integer(1..=u16::MAX)).collect();
        match ports[..] {
            [Some(first), Some(end)] if first < end => Some(first..end),
            // Its own error has been recorded.
            [Some(_), None] | [None, Some(_) | None] => None,
            [Some(_), Some(_)] => {
                self.item.error("there is no port in it", instead);
                None
            }
            _ => {
                self.item.error("it must be two numbers", instead);
                None
            }
        }
    }

    /// Returns how many hosts of a chain may be skipped: an integer counts hosts, a float is a fraction of them.
    pub(super) fn skips(self) -> Option<MaxSkips> {
        if self.item.is_integer() {
            return self.item.integer(0..=u32::MAX).map(|number| MaxSkips::Hosts(number as usize));
        }
        let ratio = self.item.number()?;
        if !(0.0..=1.0).contains(&ratio) {
            self.item.error(
                format!("{ratio:?} is no part of all hosts"),
                "write a number of hosts (10), or a part (0.0 to 1.0)",
            );
            return None;
        }
        Some(MaxSkips::Ratio(ratio))
    }

    /// Returns a template, or a table of a pattern and a replacement.
    pub(super) fn rewrite(self) -> Option<Rewrite> {
        if self.item.is_string() {
            return self.item.parse(Rewrite::template);
        }
        let instead = "write \"{{{host}}}.example.org\", or { find = \"^node(.*)\", replace = \"n$1\" }";
        if !self.item.is_table() {
            self.item.error("it must be a string or a table", instead);
            return None;
        }
        let table = self.item.table()?;
        let find =
            table.require("find", instead).and_then(|item| item.parse(|text| Regex::new(text).map_err(last_line)));
        let replace = table.require("replace", instead).and_then(Item::string);
        Some(Rewrite::Pattern { find: find?, replace: replace?.to_owned() })
    }
}

fn wrong_with_word(text: &str) -> Option<&'static str> {
    text.chars().any(char::is_control).then_some("there is a control character or the end of a line in it")
}

/// Returns the last line of an error of the regex crate, which draws several; it says it all.
fn last_line(error: regex::Error) -> String {
    let text = error.to_string();
    format!("it is no regular expression ({})", text.lines().last().unwrap_or_default().trim_start_matches("error: "))
}
