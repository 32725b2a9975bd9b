//! The syntax of `groups.conf`: what Python's ConfigParser reads, as far as ClusterShell uses it.
//!
//! ```text
//! [section]            ; sections and options are unique in a file, and a later file overrides an earlier one option by option
//! option: value        # a comment has a line of its own
//! option = value
//!    that goes on      an indented line continues the value
//! ```
//!
//! Option names are case-insensitive, section names are not. Options of a section `[DEFAULT]` are options of every section.

use std::fmt;

/// The sections of one or more files, in the order of their first appearance.
#[derive(Debug, Default, Clone)]
pub(super) struct Ini {
    sections: Vec<Section>,
    defaults: Section,
}

/// One section.
#[derive(Debug, Default, Clone)]
pub(super) struct Section {
    pub(super) name: String,
    options: Vec<(String, String)>,
}

/// What is wrong with a file, and on which line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct IniError {
    line: usize,
    what: String,
}

impl fmt::Display for IniError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "line {}: {}", self.line, self.what)
    }
}

impl Ini {
    /// Takes over all options of another file.
    pub(super) fn merge(&mut self, text: &str) -> Result<(), IniError> {
        let file = read(text)?;
        file.defaults.options.into_iter().for_each(|(name, value)| self.defaults.set(name, value));
        for section in file.sections {
            if !self.sections.iter().any(|known| known.name == section.name) {
                self.sections.push(Section { name: section.name.clone(), options: Vec::new() });
            }
            if let Some(known) = self.sections.iter_mut().find(|known| known.name == section.name) {
                section.options.into_iter().for_each(|(name, value)| known.set(name, value));
            }
        }
        Ok(())
    }

    pub(super) fn sections(&self) -> &[Section] {
        &self.sections
    }

    pub(super) fn get(&self, section: &str, option: &str) -> Option<&str> {
        let section = self.sections.iter().find(|known| known.name == section)?;
        section.get(option).or_else(|| self.defaults.get(option))
    }
}

impl Section {
    fn get(&self, option: &str) -> Option<&str> {
        self.options.iter().find(|(name, _)| name == option).map(|(_, value)| value.as_str())
    }

    fn set(&mut self, option: String, value: String) {
        match self.options.iter_mut().find(|(name, _)| *name == option) {
            Some((_, old)) => *old = value,
            None => self.options.push((option, value)),
        }
    }
}

fn read(text: &str) -> Result<Ini, IniError> {
    let mut ini = Ini::default();
    // The section that options go to: none before the first header.
    let mut current: Option<Section> = None;
    let mut indent_of_option = 0;
    for (number, raw) in text.strip_prefix('\u{feff}').unwrap_or(text).lines().enumerate() {
        let error = |what: String| IniError { line: number + 1, what };
        let line = raw.trim();
        if line.starts_with(['#', ';']) {
            continue;
        }
        let indent = raw.len() - raw.trim_start().len();
        let continues = current.as_mut().and_then(|section| section.options.last_mut());
        if line.is_empty() {
            // Python keeps an empty line inside of a value; at the end of one it is cut off.
            if let Some((_, value)) = continues {
                value.push('\n');
            }
        } else if let Some((_, value)) = continues.filter(|_| indent > indent_of_option) {
            value.push('\n');
            value.push_str(line);
        } else if line.starts_with('[') {
            let name = section_name(line).ok_or_else(|| error(format!("no section header: '{line}'")))?;
            if ini.sections.iter().chain(&current).any(|known| known.name == name) {
                return Err(error(format!("section '{name}' already exists")));
            }
            ini.finish(current.replace(Section { name: name.to_owned(), options: Vec::new() }));
            indent_of_option = indent;
        } else {
            let section = current.as_mut().ok_or_else(|| error(format!("no section header before: '{line}'")))?;
            let (name, value) =
                option(line).ok_or_else(|| error(format!("neither a section nor an option: '{line}'")))?;
            if section.get(&name).is_some() {
                return Err(error(format!("option '{name}' in section '{}' already exists", section.name)));
            }
            section.options.push((name, value));
            indent_of_option = indent;
        }
    }
    ini.finish(current);
    Ok(ini)
}

impl Ini {
    fn finish(&mut self, section: Option<Section>) {
        let Some(mut section) = section else { return };
        for (_, value) in &mut section.options {
            value.truncate(value.trim_end().len());
        }
        if section.name == "DEFAULT" {
            self.defaults = section;
        } else {
            self.sections.push(section);
        }
    }
}

fn section_name(line: &str) -> Option<&str> {
    let inside = line.strip_prefix('[')?;
    let end = inside.find(']')?;
    (end > 0).then(|| &inside[..end])
}

fn option(line: &str) -> Option<(String, String)> {
    let at = line.find([':', '='])?;
    let name = line[..at].trim_end().to_lowercase();
    (!name.is_empty()).then(|| (name, line[at + 1..].trim_start().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_options_comments_and_continuations_are_read() {
        let mut ini = Ini::default();
        let text = "# c\n[Main]\nDefault: a b\n; c\n\n[x,y]\nmap = echo\n  one: two\n\n  three\nlist: l # kept\n";
        ini.merge(text).unwrap();
        assert_eq!(ini.sections().iter().map(|section| section.name.as_str()).collect::<Vec<_>>(), ["Main", "x,y"]);
        assert_eq!(ini.get("Main", "default"), Some("a b"));
        assert_eq!(ini.get("x,y", "map"), Some("echo\none: two\n\nthree"));
        assert_eq!(ini.get("x,y", "list"), Some("l # kept"));
        assert_eq!(ini.get("x", "list"), None);
    }

    #[test]
    fn a_later_file_overrides_option_by_option() {
        let mut ini = Ini::default();
        ini.merge("[DEFAULT]\ncache_time: 5\n[s]\nmap: a\nlist: b\n").unwrap();
        ini.merge("[s]\nmap: c\n").unwrap();
        assert_eq!((ini.get("s", "map"), ini.get("s", "list")), (Some("c"), Some("b")));
        assert_eq!(ini.get("s", "cache_time"), Some("5"));
    }

    #[test]
    fn errors_name_the_line() {
        let message = |text: &str| Ini::default().merge(text).unwrap_err().to_string();
        assert_eq!(message("[Main"), "line 1: no section header: '[Main'");
        assert_eq!(message("a: b\n"), "line 1: no section header before: 'a: b'");
        assert_eq!(message("[x]\na: 1\n[x]\n"), "line 3: section 'x' already exists");
        assert_eq!(message("[x]\na: 1\nA = 2\n"), "line 3: option 'a' in section 'x' already exists");
        assert_eq!(message("[x]\nnonsense\n"), "line 2: neither a section nor an option: 'nonsense'");
    }
}
