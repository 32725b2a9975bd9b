//! What must hold for any bytes at all that are read as a document, shared by the fuzz target and by the tests of
//! `phalanx-config`.

use phalanx_config::configuration::Configuration;
use phalanx_config::toml_doc::{Diagnostics, Document, Item, Table};

/// Bytes read as TOML, and as a configuration: no panic, and every mistake has a place within them.
pub(crate) fn any_bytes(bytes: &[u8]) {
    let lines = bytes.iter().filter(|byte| **byte == b'\n').count() + 1;
    let check = |mistakes: &Diagnostics| {
        assert!(
            !mistakes.list().is_empty() && mistakes.to_string().chars().all(|char| char == '\n' || !char.is_control())
        );
        for place in mistakes.list().iter().filter_map(|mistake| mistake.place) {
            assert!((1..=lines).contains(&place.line) && (1..=bytes.len() + 1).contains(&place.column), "{mistakes}");
        }
    };
    if let Ok(text) = std::str::from_utf8(bytes)
        && let Err(mistakes) = Configuration::parse("f", text)
    {
        check(&mistakes);
    }
    let document = match Document::from_bytes("f", bytes) {
        Ok(document) => document,
        Err(mistakes) => return check(&mistakes),
    };
    visit_table(document.root());
    if let Err(mistakes) = document.finish(()) {
        check(&mistakes);
    }
}

fn visit_table(table: Table<'_>) {
    let _ = (table.string("a"), table.integer("b", 0..=9), table.tables("c"), table.place(), table.path());
    table.refuse("d", "it is refused", "leave it out");
    table.entries().for_each(|(_, item)| visit(item));
}

fn visit(item: Item<'_>) {
    let _ = (item.string(), item.boolean(), item.integer(0..=u64::MAX), item.integer(0..=usize::MAX), item.number());
    let _ = (item.duration(), item.size(), item.strings(), item.choice(&[("ssh", ())]), item.path(), item.place());
    if item.is_table() {
        item.table().into_iter().for_each(visit_table);
    } else {
        item.items().into_iter().flatten().for_each(visit);
    }
}
