//! Puts a host, and values that go with it, into a command, a path or a file name. Pure text; nothing is evaluated.
//!
//! 1. `{{{{` stands for `{{`
//! 2. `{{{host}}}` is the host's address, without a user or a port, wherever it is written
//! 3. `{{name}}` is the value at the host's index, modulo its length, of the list called `name`
//!
//! Anything else is left alone: `{{`, `{x}` and the templates of other tools too, so that
//! `docker ps --format '{{.Names}}'` means what it says. A name is made of letters, digits, `_` and `-`, and begins
//! with a letter; an unknown one is an error, since it is far more likely a typing error than a template.

use std::collections::{BTreeMap, BTreeSet};

use phalanx_process::host::Host;

/// Named lists of values for `{{name}}`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lists {
    lists: BTreeMap<String, Vec<String>>,
}

/// A substitution that cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SubstituteError {
    /// No list has that name.
    #[error("`{{{{{name}}}}}` names no list; known are {known}; write `{{{{{{{{` for a literal `{{{{`")]
    UnknownList {
        /// The name.
        name: String,
        /// The names there are.
        known: String,
    },
    /// The list has no values.
    #[error("the list `{0}` is empty, so it has no value for any host")]
    EmptyList(String),
    /// It cannot be the name of a list, a variable or a factor.
    #[error("`{0}` cannot be a name: use letters, digits, `_` and `-`, beginning with a letter; `host` is taken")]
    BadName(String),
}

impl SubstituteError {
    /// The name it is about.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::UnknownList { name, .. } | Self::EmptyList(name) | Self::BadName(name) => name,
        }
    }
}

impl Lists {
    /// The names of all lists, in their order.
    pub fn names(&self) -> impl Iterator<Item = &str> + Clone {
        self.lists.keys().map(String::as_str)
    }

    /// `text` with all values of a list, joined by commas, where it names one: what a list of hosts needs.
    ///
    /// # Errors
    /// When it names a list that is not there.
    pub fn substitute_all(&self, text: &str) -> Result<String, SubstituteError> {
        let joined = self.lists.iter().map(|(name, values)| (name.clone(), vec![values.join(",")])).collect();
        Self { lists: joined }.substitute(text, &Host::new("{{{host}}}"), 0)
    }

    /// Returns the lists without those of these names.
    #[must_use]
    pub fn without(&self, names: &BTreeSet<String>) -> Self {
        let mut lists = self.lists.clone();
        lists.retain(|name, _| !names.contains(name));
        Self { lists }
    }

    /// Adds a list, or replaces the one of that name.
    ///
    /// # Errors
    /// When the name cannot be one, or there are no values.
    pub fn insert(&mut self, name: &str, values: Vec<String>) -> Result<(), SubstituteError> {
        if !is_name(name) || name == "host" {
            return Err(SubstituteError::BadName(name.to_owned()));
        }
        if values.is_empty() {
            return Err(SubstituteError::EmptyList(name.to_owned()));
        }
        self.lists.insert(name.to_owned(), values);
        Ok(())
    }

    /// `text` for the host at `index`.
    ///
    /// # Errors
    /// When it names a list that is not there.
    pub fn substitute(&self, text: &str, host: &Host, index: usize) -> Result<String, SubstituteError> {
        // The parameter is a host and not a text, so that no caller can mean the name with its user and port.
        let host = host.address();
        let mut result = String::with_capacity(text.len() + host.len());
        let mut rest = text;
        while let Some(at) = rest.find("{{") {
            result.push_str(&rest[..at]);
            rest = self.substitute_one(&rest[at..], host, index, &mut result)?;
        }
        result.push_str(rest);
        Ok(result)
    }

    /// `rest` begins with two braces; returns what follows the thing they begin.
    fn substitute_one<'a>(
        &self,
        rest: &'a str,
        host: &str,
        index: usize,
        result: &mut String,
    ) -> Result<&'a str, SubstituteError> {
        if let Some(rest) = rest.strip_prefix("{{{{") {
            result.push_str("{{");
            return Ok(rest);
        }
        if let Some(rest) = rest.strip_prefix("{{{host}}}") {
            result.push_str(host);
            return Ok(rest);
        }
        if let Some((name, rest)) = rest["{{".len()..].split_once("}}")
            && is_name(name)
        {
            result.push_str(self.value(name, index)?);
            return Ok(rest);
        }
        result.push_str("{{");
        Ok(&rest["{{".len()..])
    }

    fn value(&self, name: &str, index: usize) -> Result<&str, SubstituteError> {
        let Some(values) = self.lists.get(name) else {
            let known: Vec<_> = self.lists.keys().map(String::as_str).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            return Err(SubstituteError::UnknownList { name: name.to_owned(), known });
        };
        Ok(&values[index % values.len()])
    }
}

fn is_name(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.chars().all(|char| char.is_ascii_alphanumeric() || char == '_' || char == '-')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lists() -> Lists {
        let mut lists = Lists::default();
        lists.insert("l", ["1", "2", "3"].map(str::to_owned).to_vec()).unwrap();
        lists.insert("target-list", vec!["x".into()]).unwrap();
        lists
    }

    /// Items 145 to 147.
    #[test]
    fn hosts_and_lists_are_put_in() {
        let table = [
            ("ping {{{host}}}", 0, "ping n0"),
            ("{{{host}}}{{{host}}}", 3, "n3n3"),
            ("{{l}} {{target-list}} {{l}}", 4, "2 x 2"),
            ("{{{{{{{host}}}", 1, "{{n1"),
            ("{{{{l}}", 1, "{{l}}"),
        ];
        for (text, index, expected) in table {
            let host = Host::new(format!("n{index}")).with_user("root").with_port(2222);
            assert_eq!(lists().substitute(text, &host, index).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_substitution_is_left_alone() {
        for text in ["", "{l}", "{{", "{{ l }}", "{{.Names}}", "{{l\n}}", "}}", "awk '{print}'", "{{}}", "{{{", "{{1}}"]
        {
            assert_eq!(lists().substitute(text, &"n".into(), 0).unwrap(), text);
        }
    }

    #[test]
    fn mistakes_are_named() {
        let error = lists().substitute("echo {{lst}}", &"n".into(), 0).unwrap_err();
        assert_eq!(
            error.to_string(),
            "`{{lst}}` names no list; known are l, target-list; write `{{{{` for a literal `{{`"
        );
        assert!(Lists::default().insert("empty", vec![]).is_err());
        assert!(Lists::default().insert("two words", vec!["x".into()]).is_err());
        assert!(Lists::default().insert("host", vec!["x".into()]).is_err());
    }
}
