//! Reads sweeps: the factors, their levels, and the steps that run for each combination.

use phalanx_process::host::Host;
use std::collections::BTreeSet;
use std::path::PathBuf;

use phalanx_config::toml_doc::{Item, Table};
use phalanx_sweep::{Factors, Level, Value};

use super::Reader;
use super::names::Scope;
use super::step::{Order, header};
use crate::model::{Failed, Sweep};

const FAILED: [(&str, Failed); 3] = [("again", Failed::Again), ("skip", Failed::Skip), ("stop", Failed::Stop)];

impl<'d> Reader<'d> {
    pub(super) fn sweep(&self, table: Table<'d>, scope: &Scope) -> Option<Sweep> {
        let item = table.get("sweep")?;
        let mut scope = scope.clone();
        let mut names = BTreeSet::new();
        scope.in_sweep = true;
        let factors = item.table().and_then(|factors| self.factors(factors, &mut scope, &mut names));
        let steps = match table.get("steps") {
            Some(steps) => self.steps(steps, &mut scope, Order::Sequence),
            None => {
                let instead = format!("write [[{}.steps]] above each of them", header(table.path()));
                table.error("the sweep has no steps", instead);
                Vec::new()
            }
        };
        let queue = table.get("queue").and_then(|item| {
            let text = self.text(item, &scope)?;
            if scope.later.iter().any(|name| text.contains(&format!("{{{{{name}}}}}"))) {
                item.error("the directory of a sweep cannot depend on its factors", "name one for all of them");
                return None;
            }
            scope.lists.substitute(&text, &Host::new(""), 0).ok().map(PathBuf::from)
        });
        let failed = table.choice("failed", &FAILED).unwrap_or_default();
        let combinations = match factors?.combinations() {
            Ok(combinations) => combinations,
            Err(error) => {
                item.error(error.to_string(), "");
                return None;
            }
        };
        Some(Sweep { combinations, factors: names.into_iter().collect(), queue, failed, steps })
    }

    fn factors(&self, table: Table<'d>, scope: &mut Scope, names: &mut BTreeSet<String>) -> Option<Factors> {
        let mut factors = Factors::new();
        let mut right = true;
        for (key, item) in table.entries() {
            let taken = scope.lists.names().any(|name| name == key.name()) && !names.contains(key.name());
            if taken {
                key.error(format!("there is something called `{}` already", key.name()), "choose another name");
            }
            let levels = self.levels(item, scope, names);
            let example = levels
                .as_ref()
                .and_then(|levels| levels.first())
                .map_or_else(|| "0".to_owned(), |(text, _)| text.clone());
            if !taken && let Err(error) = scope.promise(key.name(), example) {
                key.error(error.to_string(), "");
                right = false;
            }
            names.insert(key.name().to_owned());
            match levels {
                Some(levels) if !taken => {
                    factors = factors.factor(key.name(), levels.into_iter().map(|(_, level)| level))
                }
                _ => right = false,
            }
        }
        if table.keys().next().is_none() {
            table.error("it has no factors", "write their values: sweep = { size = [1, 10, 100] }");
            right = false;
        }
        right.then_some(factors)
    }

    /// The levels of a factor, each with its text.
    fn levels(&self, item: Item<'d>, scope: &mut Scope, names: &mut BTreeSet<String>) -> Option<Vec<(String, Level)>> {
        if !item.is_array() {
            item.error("a factor must be a list of values", "write them between [ and ]: [1, 10, 100]");
            return None;
        }
        let items = item.items()?;
        if items.is_empty() {
            item.error("the factor has no values", "write at least one, or leave the factor out");
            return None;
        }
        let levels: Vec<_> = items.into_iter().map(|item| self.level(item, scope, names)).collect();
        levels.into_iter().collect()
    }

    fn level(&self, item: Item<'d>, scope: &mut Scope, names: &mut BTreeSet<String>) -> Option<(String, Level)> {
        if !item.is_table() {
            let value = value(item)?;
            return Some((value.to_string(), Level::from(value)));
        }
        let table = item.table()?;
        let value = table.require("value", "write { value = 4, with = { … } }").and_then(value);
        let with = table.require("with", "write the factors that exist only for this value, or the value alone");
        let below = with.and_then(Item::table).and_then(|with| self.factors(with, scope, names));
        let value = value?;
        Some((value.to_string(), Level::from(value).with(below?)))
    }
}

fn value(item: Item<'_>) -> Option<Value> {
    if item.is_string() {
        return item.string().map(Value::from);
    }
    if item.is_boolean() {
        return item.boolean().map(Value::from);
    }
    if item.is_integer() {
        return item.integer(i64::MIN..=i64::MAX).map(Value::from);
    }
    if item.is_float() {
        return item.number().and_then(|number| Value::try_from(number).ok());
    }
    item.error("a value can be a text, a number or a boolean", "or write { value = 4, with = { … } }");
    None
}
