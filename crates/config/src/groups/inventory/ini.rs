//! Ansible's INI inventories: hosts with variables behind them, in sections `[group]`, `[group:children]` and `[group:vars]`.

use super::super::hosts::{HostListError, Place};
use super::{ALL, UNGROUPED, Variables, Written, ranges};

/// What the lines of a section are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lines {
    Hosts,
    Children,
    Variables,
}

/// The text within the brackets of a section's header. Brackets around numbers and addresses are none: `[1-3]` is a node set, and
/// `[::1]` a host.
pub(super) fn header(line: &str) -> Option<&str> {
    let inside = line.strip_prefix('[')?.strip_suffix(']')?;
    let named = inside.starts_with(|first: char| first.is_alphabetic() || first == '_');
    let name = inside.split(':').next().unwrap_or_default();
    let is_name = |char: char| char.is_alphanumeric() || "_-.".contains(char);
    (named && inside.matches(':').count() <= 1 && name.chars().all(is_name)).then_some(inside)
}

pub(super) fn read(text: &str, name: &str) -> Result<Written, HostListError> {
    let mut written = Written::default();
    let mut section = (UNGROUPED.to_owned(), Lines::Hosts);
    for (index, line) in text.lines().enumerate() {
        let said = line.trim();
        let place = Place { file: name.into(), line: index + 1, column: line.len() - line.trim_start().len() + 1 };
        let wrong = |what: String| HostListError::Text { place: place.clone(), what };
        if said.is_empty() || said.starts_with([';', '#']) {
            continue;
        }
        let uncommented = said.split(" #").next().unwrap_or_default().trim_end();
        if let Some(inside) = header(uncommented) {
            section = open(inside, &mut written).map_err(wrong)?;
            continue;
        }
        let words = split(said).map_err(wrong)?;
        match section.1 {
            Lines::Hosts => hosts(&section.0, &words, &place, &mut written).map_err(wrong)?,
            Lines::Children => match words.as_slice() {
                [child] => written.group(&section.0).children.push(child.clone()),
                _ => return Err(wrong("one group on each line is what a section of children has".to_owned())),
            },
            Lines::Variables => {
                let (variable, value) =
                    said.split_once('=').ok_or_else(|| wrong("this is not NAME=VALUE".to_owned()))?;
                let value = split(value.trim()).map_err(wrong)?.join(" ");
                written.group(&section.0).variables.set(variable.trim(), &value, Some(place.clone()));
            }
        }
    }
    // A group that is only named as a child has no hosts, and is most likely a slip.
    let unknown = written.groups.iter().find_map(|(group, inside)| {
        let child = inside.children.iter().find(|child| !written.groups.contains_key(*child))?;
        Some(format!("the group `{child}`, a child of `{group}`, is not in the inventory"))
    });
    match unknown {
        Some(what) => Err(HostListError::Text { place: Place { file: name.into(), line: 1, column: 1 }, what }),
        None => Ok(written),
    }
}

fn open(inside: &str, written: &mut Written) -> Result<(String, Lines), String> {
    let (group, lines) = match inside.split_once(':') {
        None => (inside, Lines::Hosts),
        Some((group, "children")) => (group, Lines::Children),
        Some((group, "vars")) => (group, Lines::Variables),
        Some((_, other)) => return Err(format!("`:{other}` is no kind of section; those are :children and :vars")),
    };
    if group != ALL || lines != Lines::Hosts {
        written.group(group);
    }
    Ok((group.to_owned(), lines))
}

fn hosts(group: &str, words: &[String], place: &Place, written: &mut Written) -> Result<(), String> {
    let Some((pattern, assignments)) = words.split_first() else { return Ok(()) };
    let mut variables = Variables::default();
    for word in assignments {
        let (variable, value) = word.split_once('=').ok_or_else(|| {
            format!("`{word}` behind the host `{pattern}` is not NAME=VALUE; each host has a line of its own")
        })?;
        variables.set(variable, value, Some(place.clone()));
    }
    for host in ranges::expand(pattern)? {
        written.host(group, host, &variables, Some(place.clone()));
    }
    Ok(())
}

/// The words of a line, up to a comment. Quotes keep blanks together and are left out, as a shell has it.
fn split(line: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for char in line.chars() {
        match quote {
            Some(open) if open == char => quote = None,
            None if char == '"' || char == '\'' => {
                quote = Some(char);
                word.get_or_insert_default();
            }
            None if char.is_whitespace() => words.extend(word.take()),
            None if char == '#' && word.is_none() => break,
            _ => word.get_or_insert_default().push(char),
        }
    }
    words.extend(word);
    if quote.is_some() { Err("a quote is not closed".to_owned()) } else { Ok(words) }
}
