//! Reads what is said to a process: `dialogue = [{ expect = "login: ", send = "root" }, …]`.

use phalanx_config::toml_doc::{Item, Table};
use phalanx_process::expect::{Expect, Pattern};

use super::Reader;
use super::names::Scope;
use crate::model::{Dialogue, Line, PATIENCE, Send, Turn};

impl<'d> Reader<'d> {
    pub(super) fn dialogue(&self, table: Table<'d>, scope: &Scope) -> Option<Dialogue> {
        let item = table.get("dialogue")?;
        if !item.is_array() {
            item.error("it must be a list", "write [{ expect = \"login: \", send = \"root\" }, …]");
            return None;
        }
        let items = item.items()?;
        if items.is_empty() {
            item.error("it says nothing", "write [{ expect = \"login: \", send = \"root\" }, …]");
        }
        let lines: Vec<_> = items.into_iter().filter_map(|item| self.line(item, scope)).collect();
        for (index, line) in lines.iter().enumerate() {
            if line.expect.is_none() && lines[..index].iter().any(|before| before.expect.is_some()) {
                item.error(
                    "a line without `expect` is said at once, so it must come first",
                    "say what to wait for before it: { expect = \"…\", send = \"…\" }",
                );
                break;
            }
        }
        let limit = self.limit(table, "reply_timeout").unwrap_or(PATIENCE);
        Some(Dialogue { lines, limit })
    }

    fn line(&self, item: Item<'d>, scope: &Scope) -> Option<Line> {
        let line = item.table()?;
        let refuse = line.get("refuse").and_then(|item| pattern(item).map(|_| item.string()));
        let expect = line.get("expect").and_then(|item| pattern(item).map(|_| item.string()));
        let (send, raw) = (line.get("send"), line.get("send_raw"));
        let (optional, whenever) = (line.boolean("optional") == Some(true), line.boolean("whenever") == Some(true));
        if let (Some(_), Some(raw)) = (send, raw) {
            raw.error("there is `send` too", "write one of them: `send` presses Enter, `send_raw` does not");
        }
        let alone = expect.is_none() && send.is_none() && raw.is_none() && line.get("delay").is_none();
        if let (Some(item), false) = (line.get("refuse"), alone) {
            item.error("nothing else can be in this line", "give the failure a line of its own: { refuse = \"…\" }");
            return None;
        }
        if optional && whenever {
            super::step::complain_about(line, "optional", "there is `whenever` too, which is optional by itself");
        }
        let sent = send
            .and_then(|item| self.unseen(item, scope))
            .map(Send::Line)
            .or_else(|| raw.and_then(|item| self.unseen(item, scope)).map(Send::Raw));
        let delay = line.get("delay").and_then(Item::duration).unwrap_or_default();
        if let Some(refuse) = refuse {
            return Some(Line { expect: refuse.map(str::to_owned), send: None, delay, turn: Turn::Refused });
        }
        if line.keys().next().is_none() || (line.get("expect").is_none() && send.is_none() && raw.is_none()) {
            line.error("it neither expects nor sends anything", "write { expect = \"login: \", send = \"root\" }");
            return None;
        }
        if let (Some(delay), None) = (line.get("delay"), send.or(raw)) {
            delay.error("nothing is sent in this line", "leave it out, or write `send`");
        }
        if line.get("expect").is_none() && (optional || whenever) {
            line.error("it is said at once, since it expects nothing", "write `expect`: what to wait for");
            return None;
        }
        if (optional || whenever) && send.is_none() && raw.is_none() {
            line.error("it may come or not, and nothing is answered", "write `send`, or leave the line out");
            return None;
        }
        let turn = if whenever {
            Turn::Whenever
        } else if optional {
            Turn::Optional
        } else {
            Turn::Next
        };
        Some(Line { expect: expect.flatten().map(str::to_owned), send: sent, delay, turn })
    }
}

/// A regular expression.
pub(super) fn pattern(item: Item<'_>) -> Option<Expect> {
    let pattern = item.string()?;
    if pattern.is_empty() {
        item.error("it is empty, and would be found at once", "write what to wait for");
        return None;
    }
    match Expect::one(Pattern::regex(pattern)) {
        Ok(pattern) => Some(pattern),
        Err(error) => {
            let text = error.to_string();
            let reason = text.rsplit("error: ").next().unwrap_or(&text).trim();
            item.error(
                format!("it is no regular expression: {reason}"),
                "put a backslash before ( ) [ ] { } . * + ? | ^ $ that are meant as such",
            );
            None
        }
    }
}
