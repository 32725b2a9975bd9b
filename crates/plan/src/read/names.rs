//! Names in a plan: lists of hosts, variables, and what a text may therefore substitute.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::env::VarError;
use std::path::Path;

use phalanx_action::substitute::{Lists, SubstituteError};
use phalanx_config::groups::{GroupResolver, NodeList};
use phalanx_config::toml_doc::{Item, Table, TableKey, suggest};
use phalanx_nodeset::Parser;

use super::{Overrides, ReadError};

/// Names that every plan has.
const OWN: [&str; 3] = ["plan_dir", "rank", "combination"];

/// What a text at some place of the plan may substitute.
#[derive(Debug, Clone, Default)]
pub(super) struct Scope {
    /// Every name with its values; those that are known only later, with values that stand for them.
    pub(super) lists: Lists,
    /// The names among them that are known only later: factors, forwarded ports.
    pub(super) later: BTreeSet<String>,
    /// The names among them whose values nobody is to see: those that come from the environment.
    pub(super) secrets: BTreeSet<String>,
    /// It is in a sweep, so it is played several times.
    pub(super) in_sweep: bool,
}

impl Scope {
    /// What a text may substitute that can be seen: in a command, by everybody on the machine.
    pub(super) fn shown(&self) -> Cow<'_, Lists> {
        match self.secrets.is_empty() {
            true => Cow::Borrowed(&self.lists),
            false => Cow::Owned(self.lists.without(&self.secrets)),
        }
    }

    /// One more name, whose value is known only later.
    pub(super) fn promise(&mut self, name: &str, example: String) -> Result<(), SubstituteError> {
        self.lists.insert(name, vec![example])?;
        self.later.insert(name.to_owned());
        Ok(())
    }
}

/// The lists of hosts of a plan, and what else is known of its names.
pub(super) struct HostLists<'d> {
    resolver: &'d GroupResolver,
    overrides: &'d Overrides,
    lists: BTreeMap<String, Vec<String>>,
    keys: BTreeMap<String, TableKey<'d>>,
    used: RefCell<BTreeSet<String>>,
}

impl<'d> HostLists<'d> {
    pub(super) fn new(resolver: &'d GroupResolver, overrides: &'d Overrides) -> Self {
        Self { resolver, overrides, lists: BTreeMap::new(), keys: BTreeMap::new(), used: RefCell::default() }
    }

    /// Reads `[vars]` and `[hosts]`.
    pub(super) fn read(&mut self, root: Table<'d>, directory: &Path) -> Result<Scope, ReadError> {
        let mut scope = Scope::default();
        let own = [directory.display().to_string(), "0".to_owned(), String::new()];
        for (name, value) in OWN.into_iter().zip(own) {
            scope.lists.insert(name, vec![value]).expect("it is a name");
        }
        for (key, item) in root.table("vars").into_iter().flat_map(Table::entries) {
            if item.is_table() {
                self.read_secret(key, item, &mut scope)?;
            } else if let Some(values) = values(item)
                && is_free(key, &scope)
            {
                let given = self.overrides.values.get(key.name());
                let values = match given {
                    Some(given) if item.is_array() => given.split(',').map(str::to_owned).collect(),
                    Some(given) => vec![given.clone()],
                    None => values,
                };
                self.name(key, values, &mut scope);
            }
        }
        self.read_hosts(root, &mut scope)?;
        self.look_for_unknown_overrides()?;
        Ok(scope)
    }

    /// Reads a variable whose value is in the environment: `password = { env = "CONSOLE_PASSWORD" }`.
    fn read_secret(&mut self, key: TableKey<'d>, item: Item<'d>, scope: &mut Scope) -> Result<(), ReadError> {
        let Some(table) = item.table() else { return Ok(()) };
        let Some(source) = table.require("env", "write where its value is: { env = \"CONSOLE_PASSWORD\" }") else {
            return Ok(());
        };
        let Some(variable) = source.string() else { return Ok(()) };
        if variable.is_empty() || variable.contains(['=', '\0']) {
            source.error("no variable of the environment can be called so", "write a name: \"CONSOLE_PASSWORD\"");
            return Ok(());
        }
        let name = key.name().to_owned();
        if self.overrides.values.contains_key(&name) {
            return Err(ReadError::Secret { name, variable: variable.to_owned() });
        }
        if !is_free(key, scope) {
            return Ok(());
        }
        let value = std::env::var(variable);
        if !self.overrides.nothing_starts
            && let Err(error) = &value
        {
            let wrong = match error {
                VarError::NotPresent => format!("the environment has no `{variable}`"),
                VarError::NotUnicode(_) => format!("`{variable}` of the environment is no UTF-8 text"),
            };
            source.error(wrong, format!("give it a value first: read -r -s {variable}; export {variable}"));
        }
        self.name(key, vec![value.unwrap_or_default()], scope);
        scope.secrets.insert(name);
        Ok(())
    }

    fn name(&mut self, key: TableKey<'d>, values: Vec<String>, scope: &mut Scope) {
        match scope.lists.insert(key.name(), values) {
            Ok(()) => drop(self.keys.insert(key.name().to_owned(), key)),
            Err(error) => key.error(error.to_string(), ""),
        }
    }

    fn read_hosts(&mut self, root: Table<'d>, scope: &mut Scope) -> Result<(), ReadError> {
        let entries: Vec<_> = root.table("hosts").into_iter().flat_map(Table::entries).collect();
        let items: BTreeMap<&str, (TableKey<'d>, Item<'d>)> =
            entries.iter().map(|(key, item)| (key.name(), (*key, *item))).collect();
        for (key, _) in &entries {
            self.resolve_list(key.name(), &items, scope, &mut Vec::new())?;
        }
        Ok(())
    }

    /// Finds the hosts of the list called `name`; lists that it is made of come first.
    fn resolve_list(
        &mut self,
        name: &'d str,
        items: &BTreeMap<&'d str, (TableKey<'d>, Item<'d>)>,
        scope: &mut Scope,
        open: &mut Vec<&'d str>,
    ) -> Result<(), ReadError> {
        if self.lists.contains_key(name) {
            return Ok(());
        }
        let (key, item) = items[name];
        if open.contains(&name) {
            let circle: Vec<String> = open.iter().chain([&name]).map(|name| format!("`{name}`")).collect();
            key.error(format!("it is made of itself: {}", circle.join(" → ")), "name the hosts in one of them");
            self.lists.insert(name.to_owned(), Vec::new());
            return Ok(());
        }
        if !is_free(key, scope) {
            self.lists.insert(name.to_owned(), Vec::new());
            return Ok(());
        }
        let given = self.overrides.values.get(name);
        let words = match given {
            Some(given) => Some(vec![given.clone()]),
            None => item.strings(),
        };
        // What is no list of texts has its complaint.
        let readable = words.is_some();
        let words = words.unwrap_or_default();
        open.push(name);
        for word in &words {
            if let Some((known, _)) = items.get_key_value(word.as_str()) {
                self.resolve_list(known, items, scope, open)?;
            }
        }
        open.pop();
        let hosts = match (self.resolve(&words, scope), given) {
            (Ok(hosts), _) => hosts,
            (Err(reason), Some(given)) => {
                return Err(ReadError::Value { name: name.to_owned(), value: given.clone(), reason });
            }
            (Err(reason), None) => {
                item.error(reason, "write host names with ranges, such as \"node[1-9],gate\"");
                Vec::new()
            }
        };
        if readable && !self.lists.contains_key(name) && item_is_right(&hosts, &words) {
            if let Some(given) = given {
                let (name, value, reason) = (name.to_owned(), given.clone(), "it has no hosts".to_owned());
                return Err(ReadError::Value { name, value, reason });
            }
            item.error("it has no hosts", "name at least one");
        }
        if !hosts.is_empty() {
            self.name(key, hosts.clone(), scope);
        }
        self.lists.insert(name.to_owned(), hosts);
        Ok(())
    }

    /// The hosts that some words mean: each is the name of a list, or a node set.
    fn resolve(&self, words: &[String], scope: &Scope) -> Result<Vec<String>, String> {
        let (mut hosts, mut seen) = (Vec::new(), HashSet::new());
        for word in words {
            let names = match self.lists.get(word) {
                Some(list) => {
                    self.used.borrow_mut().insert(word.clone());
                    list.clone()
                }
                None => self.node_set(&self.spelled_out(word, scope)?)?,
            };
            hosts.extend(names.into_iter().filter(|host| seen.insert(host.clone())));
        }
        Ok(hosts)
    }

    /// A node set, its variables replaced by all their values.
    fn spelled_out(&self, word: &str, scope: &Scope) -> Result<String, String> {
        if let Some(name) = scope.later.iter().find(|name| word.contains(&format!("{{{{{name}}}}}"))) {
            return Err(format!("`{{{{{name}}}}}` is known only when the step begins, hosts must be known before"));
        }
        self.use_names(word);
        if let Err(error) = scope.shown().substitute_all(word)
            && scope.secrets.contains(error.name())
        {
            return Err(format!("`{}` comes from the environment, and hosts are shown to everybody", error.name()));
        }
        scope.lists.substitute_all(word).map_err(|error| error.to_string())
    }

    fn node_set(&self, word: &str) -> Result<Vec<String>, String> {
        let list = NodeList::from_option(word, self.resolver).map_err(|error| error.to_string())?;
        let parser = Parser::new().groups(self.resolver);
        list.hosts(&parser).map_err(|error| error.to_string())
    }

    /// The hosts that `on` names.
    pub(super) fn on(&self, item: Item<'_>, scope: &Scope) -> Option<Vec<String>> {
        const INSTEAD: &str = "write the name of a list of [hosts], or host names such as \"node[1-9]\"";
        let words = item.strings()?;
        for word in &words {
            let is_word = word.chars().all(|char| char.is_ascii_alphabetic() || "_-".contains(char));
            if is_word
                && !self.lists.contains_key(word)
                && let Some(near) = suggest(word, self.lists.keys().map(String::as_str))
            {
                let instead = format!("did you mean `{near}`? For a host of that name, name it in [hosts]");
                item.error(format!("`{word}` is no list of [hosts]"), instead);
                return None;
            }
        }
        match self.resolve(&words, scope) {
            // That the list is empty was said of the list.
            Ok(hosts) if hosts.is_empty() => {
                if !words.iter().any(|word| self.lists.contains_key(word)) {
                    item.error("it has no hosts", INSTEAD);
                }
                None
            }
            Ok(hosts) => Some(hosts),
            Err(reason) => {
                item.error(reason, INSTEAD);
                None
            }
        }
    }

    /// Takes note of the names that a text substitutes.
    pub(super) fn use_names(&self, text: &str) {
        let used = self.keys.keys().filter(|name| text.contains(&format!("{{{{{name}}}}}")));
        self.used.borrow_mut().extend(used.cloned());
    }

    /// The names that nothing uses.
    pub(super) fn unused(&self) -> Vec<(String, TableKey<'d>)> {
        let used = self.used.borrow();
        let path = |name: &str| if self.lists.contains_key(name) { "hosts" } else { "vars" };
        let unused = self.keys.iter().filter(|(name, _)| !used.contains(*name));
        unused.map(|(name, key)| (format!("{}.{name}", path(name)), *key)).collect()
    }

    fn look_for_unknown_overrides(&self) -> Result<(), ReadError> {
        let known = || self.keys.keys().chain(self.lists.keys()).map(String::as_str);
        let Some(name) = self.overrides.values.keys().find(|name| known().all(|known| known != name.as_str())) else {
            return Ok(());
        };
        let known = match suggest(name, known()) {
            Some(near) => format!("; did you mean `{near}`?"),
            None if self.keys.is_empty() => "; it has none at all".to_owned(),
            None => format!("; it has {}", self.keys.keys().cloned().collect::<Vec<_>>().join(", ")),
        };
        Err(ReadError::Unknown { name: name.clone(), known })
    }
}

/// Whether an empty list is worth a complaint of its own: what cannot be understood has one already.
fn item_is_right(hosts: &[String], words: &[String]) -> bool {
    hosts.is_empty() && words.iter().all(|word| word.trim().is_empty())
}

/// Complains about a name that is taken.
fn is_free(key: TableKey<'_>, scope: &Scope) -> bool {
    let name = key.name();
    if OWN.contains(&name) || name == "host" {
        key.error(format!("`{name}` has a meaning of its own in every plan"), "choose another name");
    } else if scope.lists.names().any(|other| other == name) {
        key.error(format!("there is a variable `{name}` too"), "give one of them another name");
    } else {
        return true;
    }
    false
}

/// The values of a variable: one, or several.
pub(super) fn values(item: Item<'_>) -> Option<Vec<String>> {
    const INSTEAD: &str = "write a text, a number or a boolean, or a list of them: [1, 2]";
    if !item.is_array() {
        return scalar(item, INSTEAD).map(|value| vec![value]);
    }
    let items = item.items()?;
    if items.is_empty() {
        item.error("it has no values", "write at least one");
        return None;
    }
    let values: Vec<_> = items.into_iter().map(|item| scalar(item, INSTEAD)).collect();
    values.into_iter().collect()
}

/// A text, a number or a boolean, as it is put into commands.
fn scalar(item: Item<'_>, instead: &str) -> Option<String> {
    if item.is_boolean() {
        return Some(item.boolean()?.to_string());
    }
    if item.is_integer() {
        return Some(item.integer(i64::MIN..=i64::MAX)?.to_string());
    }
    if item.is_float() {
        return Some(item.number()?.to_string());
    }
    if item.is_string() {
        return item.string().map(str::to_owned);
    }
    item.error("it can be neither a table nor a date nor a list in a list", instead);
    None
}
