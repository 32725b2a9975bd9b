//! The inventory of execo's interface, 211 items (`reference/execo.md`, Appendix A): `docs/execo.md` has a row for each, and
//! a test names each, so that nothing of it is forgotten and nothing is said that nobody checks.
//!
//! A row begins with its items: `| 134, 135 |`, `| 1–9 |`. A test names items in a comment: `item 5`, `items 3, 7 and 9`,
//! `items 1 to 4`; or as the first words of one: `/// 128, G1: …`. A row whose last cell is a dash needs no test.

use std::collections::BTreeSet;
use std::path::Path;

use super::{Complaint, Workspace};

const ITEMS: u32 = 211;

pub(super) fn every_item_of_execo(workspace: &Workspace) -> Vec<Complaint> {
    let path = Path::new("docs/execo.md");
    let Some((_, text)) = workspace.documents.iter().find(|(document, _)| document == path) else { return Vec::new() };
    let (mut rows, mut untested) = (BTreeSet::<u32>::new(), BTreeSet::<u32>::new());
    for row in text.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix('|')) {
        let items = numbers(row.split('|').next().unwrap_or_default()).0;
        if matches!(row.rsplit('|').next().map(str::trim), Some("—")) {
            untested.extend(items.iter().copied());
        }
        rows.extend(items);
    }
    let tests = workspace.sources.iter().filter(|source| source.code.contains("#[test]"));
    let named: BTreeSet<u32> = tests.flat_map(|source| source.comments.lines()).flat_map(named).collect();
    let complain = |items: Vec<u32>, what: &str| {
        let list: Vec<_> = items.iter().map(u32::to_string).collect();
        let sentence = format!("{what}: {}", list.join(", "));
        (!items.is_empty()).then(|| Complaint { path: path.to_owned(), line: 0, sentence })
    };
    let missing = |known: &BTreeSet<u32>| (1..=ITEMS).filter(|item| !known.contains(item)).collect::<Vec<_>>();
    let unnamed = missing(&named).into_iter().filter(|item| !untested.contains(item)).collect();
    [complain(missing(&rows), "no row has the items"), complain(unnamed, "no test names the items")]
        .into_iter()
        .flatten()
        .collect()
}

/// The items that a line of a comment names.
fn named(line: &str) -> Vec<u32> {
    let text = line.trim().trim_start_matches(['/', '!']).trim_start();
    let (mut items, mut rest) = (Vec::new(), text);
    let (first, after) = numbers(text);
    if !first.is_empty() && after.starts_with([':', ',', ' ']) && !after.starts_with(" s") {
        items.extend(first);
    }
    let lower = text.to_lowercase();
    if lower.len() == text.len() {
        while let Some(at) = rest.to_lowercase().find("item") {
            rest = rest[at + "item".len()..].trim_start_matches('s').trim_start();
            items.extend(numbers(rest).0);
        }
    }
    items
}

/// The numbers with which a text begins, with all that is between the ends of a range; and what follows them.
fn numbers(text: &str) -> (Vec<u32>, &str) {
    let (mut items, mut rest, mut ranges) = (Vec::new(), text.trim_start(), false);
    loop {
        let end = rest.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(rest.len());
        let Ok(number) = rest[..end].parse::<u32>() else { return (items, rest) };
        let from = if ranges { items.last().map_or(number, |last| last + 1) } else { number };
        items.extend(from..=number.min(ITEMS));
        rest = &rest[end..];
        let joints = [(", and ", false), (", ", false), (" and ", false), (" to ", true), ("–", true), ("-", true)];
        let next = joints.iter().find_map(|(joint, range)| {
            let after = rest.strip_prefix(joint)?;
            after.starts_with(|letter: char| letter.is_ascii_digit()).then_some((after, *range))
        });
        let Some((after, range)) = next else { return (items, rest) };
        (rest, ranges) = (after, range);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_are_found_wherever_they_are_named() {
        let table: [(&str, &[u32]); 9] = [
            ("/// Item 85.", &[85]),
            ("/// R5 and R6, items 35 and 207: stdout", &[35, 207]),
            ("//! items 100–103, 107 and 128 to 130 of the inventory", &[100, 101, 102, 103, 107, 128, 129, 130]),
            ("/// 128, G1: they run", &[128]),
            ("    /// 100, 131–133: start", &[100, 131, 132, 133]),
            ("/// 105: at any moment", &[105]),
            ("/// Nothing of that kind, 7 times.", &[]),
            ("// itemised bills", &[]),
            ("/// Items 80 to 82 and 191.", &[80, 81, 82, 191]),
        ];
        for (line, expected) in table {
            assert_eq!(named(line), expected, "{line}");
        }
    }
}
