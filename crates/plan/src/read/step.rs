//! Reads steps: what kind of step it is, which keys belong to it, and what blocks are made of.

use phalanx_action::substitute::Lists;
use phalanx_config::toml_doc::{Item, Table, list};
use phalanx_process::host::Host;

use super::Reader;
use super::names::Scope;
use crate::model::{Forward, OnFailure, Step, Work};

/// What a step can do, by the key that says so.
const KINDS: [&str; 12] =
    ["run", "local", "put", "get", "chain", "serial", "forward", "pause", "parallel", "sequence", "sweep", "block"];

/// The keys that belong to some kinds of steps only, and to which.
pub(super) const KEYS: [(&str, &[&str]); 39] = [
    ("on", &["run", "local", "put", "get", "chain", "serial", "forward"]),
    ("user", &["run", "put", "get", "chain", "serial", "forward"]),
    (
        "timeout",
        &["run", "local", "put", "get", "chain", "serial", "forward", "parallel", "sequence", "sweep", "block"],
    ),
    ("background", &["run", "local", "serial", "parallel", "sequence", "block"]),
    ("fanout", &["run", "local", "put", "get", "chain"]),
    ("batches", &["run", "local", "put", "get"]),
    ("retries", &["run", "local", "put", "get"]),
    ("retry_pause", &["run", "local", "put", "get"]),
    ("max_failures", &["run", "local", "put", "get"]),
    ("exit_codes", &["run", "local"]),
    ("input", &["run", "local"]),
    ("output", &["run", "local", "serial"]),
    ("errors", &["run", "local"]),
    ("show", &["run", "local", "serial"]),
    ("ready", &["run", "local", "serial"]),
    ("ready_timeout", &["run", "local", "serial"]),
    ("stop_signal", &["run", "local"]),
    ("dialogue", &["run", "local", "serial"]),
    ("reply_timeout", &["run", "local", "serial"]),
    ("terminal", &["run", "local"]),
    ("directory", &["local"]),
    ("count", &["local"]),
    ("to", &["put", "get", "chain"]),
    ("verify", &["put", "get"]),
    ("address", &["chain"]),
    ("speed", &["serial"]),
    ("data_bits", &["serial"]),
    ("parity", &["serial"]),
    ("stop_bits", &["serial"]),
    ("flow_control", &["serial"]),
    ("local_port", &["forward"]),
    ("bind", &["forward"]),
    ("as", &["forward"]),
    ("fail_fast", &["parallel"]),
    ("steps", &["sweep"]),
    ("queue", &["sweep"]),
    ("failed", &["sweep"]),
    ("name", &KINDS),
    ("on_failure", &KINDS),
];

/// All keys that a step may have: those that say what it does, and those that go with them.
pub fn keys() -> impl Iterator<Item = &'static str> {
    KINDS.into_iter().chain(KEYS.iter().map(|(key, _)| *key))
}

pub(super) const ON_FAILURE: [(&str, OnFailure); 3] =
    [("stop", OnFailure::Stop), ("continue", OnFailure::Continue), ("ignore", OnFailure::Ignore)];

/// How the steps of a block follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Sequence,
    Parallel,
}

impl<'d> Reader<'d> {
    /// The steps of a block.
    pub(super) fn steps(&self, item: Item<'d>, scope: &mut Scope, order: Order) -> Vec<Step> {
        if !item.is_array() {
            item.error("it must be a list of steps", format!("write [[{}]] above each of them", header(item.path())));
            return Vec::new();
        }
        let items = item.items().unwrap_or_default();
        if items.is_empty() {
            item.error("it has no steps", "write at least one, or leave the block out");
        }
        let last = items.len().saturating_sub(1);
        let mut in_background = 0;
        let mut steps = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            if !item.is_table() {
                item.error("a step must be a table", "write { run = \"uptime\", on = \"node1\" }");
                continue;
            }
            let Some(table) = item.table() else { continue };
            let Some(step) = self.step(table, scope, order) else { continue };
            in_background += usize::from(step.background);
            if step.background && order == Order::Sequence && index == last {
                let key = if table.keys().any(|key| key == "background") { "background" } else { "forward" };
                complain_about(table, key, "no step follows it in its block, so it would be ended at once");
            }
            steps.push(step);
        }
        if order == Order::Parallel && in_background > 0 && in_background == items.len() {
            item.error(
                "all of its steps are in the background, so it would be over at once",
                "leave `background` out in the step that the others are there for",
            );
        }
        steps
    }

    fn step(&self, table: Table<'d>, scope: &mut Scope, order: Order) -> Option<Step> {
        let kind = kind(table)?;
        refuse_keys_of_others(table, kind);
        let number = self.count.get();
        self.count.set(number + 1);
        let name = self.title(table, kind, scope);
        let on_failure = table.choice("on_failure", &ON_FAILURE).or(self.defaults.on_failure).unwrap_or_default();
        let background = kind == "forward" || table.boolean("background") == Some(true);
        let work = self.work(table, kind, background, scope, order);
        let limit = match kind {
            // Of each process, which has its own.
            "run" | "local" | "put" | "get" | "chain" | "serial" | "pause" => None,
            _ => self.limit(table, "timeout"),
        };
        Some(Step { number, name, place: table.place(), on_failure, background, limit, work: work? })
    }

    fn work(&self, table: Table<'d>, kind: &str, background: bool, scope: &mut Scope, order: Order) -> Option<Work> {
        let within = |key, order| table.get(key).map(|item| self.steps(item, &mut scope.clone(), order));
        match kind {
            "sequence" => Some(Work::Sequence(within(kind, Order::Sequence)?)),
            "parallel" => {
                let fail_fast = table.boolean("fail_fast").unwrap_or(false);
                Some(Work::Parallel { steps: within(kind, Order::Parallel)?, fail_fast })
            }
            "block" => self.block(table.get(kind)?, scope).map(Work::Sequence),
            "sweep" => self.sweep(table, scope).map(|sweep| Work::Sweep(Box::new(sweep))),
            "pause" => Some(Work::Pause(table.duration(kind)?)),
            "forward" => self.forward(table, scope, order).map(|forward| Work::Forward(Box::new(forward))),
            _ => self
                .processes(table, kind, background, scope)
                .map(|processes| Work::Processes(std::sync::Arc::new(processes))),
        }
    }

    /// The steps of a block that has a name.
    fn block(&self, item: Item<'d>, scope: &Scope) -> Option<Vec<Step>> {
        let name = item.string()?;
        let Some((&name, (_, block))) = self.blocks.get_key_value(name) else {
            let known = self.blocks.keys().copied();
            let instead = match phalanx_config::toml_doc::suggest(name, known.clone()) {
                Some(near) => format!("did you mean `{near}`?"),
                None if self.blocks.is_empty() => format!("write [[blocks.{name}]] above each of its steps"),
                None => format!("known are {}", list(known)),
            };
            item.error(format!("there is no block `{name}`"), instead);
            return None;
        };
        self.used_blocks.borrow_mut().insert(name);
        if self.open_blocks.borrow().contains(&name) {
            let open: Vec<String> =
                self.open_blocks.borrow().iter().chain([&name]).map(|name| format!("`{name}`")).collect();
            item.error(format!("the block is made of itself: {}", open.join(" → ")), "it would never end");
            return None;
        }
        self.open_blocks.borrow_mut().push(name);
        let steps = self.steps(*block, &mut scope.clone(), Order::Sequence);
        self.open_blocks.borrow_mut().pop();
        Some(steps)
    }

    fn forward(&self, table: Table<'d>, scope: &mut Scope, order: Order) -> Option<Forward> {
        if table.get("background").is_some() {
            complain_about(table, "background", "a forwarded port is always in the background");
        }
        let item = table.get("forward")?;
        let target = self.text(item, scope);
        if let Some(target) = &target
            && !is_host_and_port(target)
            && !target.contains("{{")
        {
            item.error(
                format!("`{target}` is not HOST:PORT"),
                "write the target as the host sees it, such as \"localhost:80\"",
            );
        }
        let hosts = table.require("on", "write through which host: on = \"gate\"").and_then(|item| {
            let hosts = self.hosts.on(item, scope)?;
            if hosts.len() > 1 {
                item.error(format!("a port is forwarded through one host, not {}", hosts.len()), "name one");
            }
            Some(hosts)
        });
        let local_port = table.integer("local_port", 1..=u16::MAX);
        let bind = table.string("bind").map(str::to_owned);
        let variable = table.get("as").and_then(|item| {
            let name = item.string()?;
            if order == Order::Parallel {
                item.error("in a parallel block no step comes after it, to know the port", "put it before the block");
                return None;
            }
            if scope.lists.names().any(|other| other == name) {
                item.error(format!("there is something called `{name}` already"), "choose another name");
                return None;
            }
            let promised = scope.promise(name, "0".to_owned());
            promised.map_err(|error| item.error(error.to_string(), "")).ok()?;
            Some(name.to_owned())
        });
        if table.get("local_port").is_none() && table.get("as").is_none() {
            item.error(
                "nobody would know the port here",
                "write as = \"port\", and {{port}} in later steps; or choose one: local_port = 8080",
            );
        }
        self.needs_ssh(table, "forward");
        let host = hosts?.into_iter().next()?;
        Some(Forward { host, user: self.user(table, scope), target: target?, local_port, bind, variable })
    }

    /// Says that a step cannot be played with `-R exec`.
    pub(super) fn needs_ssh(&self, table: Table<'d>, kind: &str) {
        if self.overrides.exec
            && let Some(item) = table.get(kind)
        {
            item.error("it needs ssh, which -R exec does without", "play the plan without -R exec");
        }
    }

    /// What a step is called.
    fn title(&self, table: Table<'d>, kind: &str, scope: &Scope) -> String {
        let Some(item) = table.get("name") else { return self.made_up_title(table, kind) };
        let Some(name) = item.string() else { return kind.to_owned() };
        if name.trim().is_empty() || name.chars().any(char::is_control) {
            item.error("it is empty, or no single line", "write a few words, or leave it out");
            return kind.to_owned();
        }
        let place = item.place();
        let before = self.titles.borrow_mut().insert(name.to_owned(), place);
        if let Some(before) = before
            && before != place
        {
            let wrong = format!("another step is called so, in line {}", before.line);
            item.error(wrong, "give each its own name, or reports cannot tell them apart");
        }
        // Of a sweep, the same for all combinations: so no substitution is made, and none is refused.
        let _ = scope;
        name.to_owned()
    }

    fn made_up_title(&self, table: Table<'d>, kind: &str) -> String {
        /// A command as a name is cut here.
        const LONGEST: usize = 39;
        let said = match table.get(kind) {
            Some(item) if item.is_string() => item.string().unwrap_or_default(),
            _ => "",
        };
        let line = said.split_whitespace().collect::<Vec<_>>().join(" ");
        let line = match line.char_indices().nth(LONGEST) {
            Some((end, _)) => format!("{}…", &line[..end]),
            None => line,
        };
        if line.is_empty() || kind == "block" && line.is_empty() { kind.to_owned() } else { line }
    }

    /// A span of time that must not be nothing.
    pub(super) fn limit(&self, table: Table<'d>, key: &str) -> Option<std::time::Duration> {
        let item = table.get(key).or_else(|| self.defaults.get(key).filter(|_| key != "timeout" || takes(table)))?;
        let limit = item.duration()?;
        if limit.is_zero() {
            item.error("no time at all is too short", "leave it out for as long as it takes");
            return None;
        }
        Some(limit)
    }

    /// A text with substitutions, as it is written; they are tried.
    pub(super) fn text(&self, item: Item<'d>, scope: &Scope) -> Option<String> {
        let text = item.string()?;
        if text.trim().is_empty() {
            item.error("it is empty", "write something into it");
            return None;
        }
        self.substitutable(item, text, scope)
    }

    /// A text for a process alone, by its stdin or its line: nobody else sees it, so it may have what nobody is to see.
    pub(super) fn unseen(&self, item: Item<'d>, scope: &Scope) -> Option<String> {
        self.with_names_of(item, item.string()?, scope, &scope.lists)
    }

    /// As [`Reader::text`], and it may be empty.
    pub(super) fn substitutable(&self, item: Item<'d>, text: &str, scope: &Scope) -> Option<String> {
        self.with_names_of(item, text, scope, &scope.shown())
    }

    fn with_names_of(&self, item: Item<'d>, text: &str, scope: &Scope, lists: &Lists) -> Option<String> {
        self.hosts.use_names(text);
        if text.contains('\0') {
            item.error("it has a NUL byte, which no command and no file name can have", "");
            return None;
        }
        let Err(error) = lists.substitute(text, &Host::new("host"), 0) else { return Some(text.to_owned()) };
        let name = error.name().to_owned();
        if scope.secrets.contains(&name) {
            item.error(
                format!("`{{{{{name}}}}}` comes from the environment, and here others could see it"),
                "write it into `send`, `send_raw` or `input`",
            );
            return None;
        }
        let known: Vec<&str> = scope.lists.names().collect();
        let instead = match phalanx_config::toml_doc::suggest(&name, known) {
            Some(near) => format!("did you mean `{{{{{near}}}}}`?"),
            None => format!("name it: write `{name} = …` below [vars], or `{{{{{{{{` for a literal `{{{{`"),
        };
        item.error(format!("`{{{{{name}}}}}` is no variable, list of hosts or factor that is known here"), instead);
        None
    }

    pub(super) fn user(&self, table: Table<'d>, scope: &Scope) -> Option<String> {
        let item = table.get("user").or_else(|| self.defaults.get("user"))?;
        let user = self.text(item, scope)?;
        if user.starts_with('-') {
            item.error(format!("`{user}` cannot be a user: it begins with a dash"), "");
            return None;
        }
        Some(user)
    }
}

/// The path of a key as it is written in the head of a table: without the numbers of the members of arrays.
pub(super) fn header(path: &str) -> String {
    let parts = path.split('[').map(|part| part.split_once(']').map_or(part, |(_, rest)| rest));
    parts.collect()
}

/// Whether a step takes the default of `timeout`: blocks do not, since it is for each process.
fn takes(table: Table<'_>) -> bool {
    ["run", "local", "put", "get", "chain"].iter().any(|kind| table.keys().any(|key| key == *kind))
}

/// Complains about a key that is there.
pub(super) fn complain_about(table: Table<'_>, key: &str, wrong: &str) {
    if let Some(item) = table.get(key) {
        item.error(wrong, format!("leave `{key}` out"));
    }
}

/// The one key that says what a step does.
fn kind(table: Table<'_>) -> Option<&'static str> {
    let there: Vec<&'static str> = KINDS.into_iter().filter(|kind| table.keys().any(|key| key == *kind)).collect();
    match there[..] {
        [kind] => {
            let _ = table.get(kind);
            Some(kind)
        }
        [] => {
            know_all_keys(table);
            table.error("it does not say what to do", format!("write one of {}", list(KINDS)));
            None
        }
        [..] => {
            know_all_keys(table);
            let [first, second, ..] = there[..] else { unreachable!("there are at least two") };
            let wrong = format!("it does two things, `{first}` and `{second}`");
            if let Some(item) = table.get(second) {
                item.error(wrong, "make two steps of it: write [[step]] above the second");
            }
            None
        }
    }
}

/// So that only typing errors in keys are complained about, when it is unknown which keys belong here.
fn know_all_keys(table: Table<'_>) {
    for key in KEYS.iter().map(|(key, _)| *key).chain(KINDS) {
        let _ = table.get(key);
    }
}

fn refuse_keys_of_others(table: Table<'_>, kind: &str) {
    for (key, kinds) in KEYS {
        if !kinds.contains(&kind) {
            // What is in the background anyway is told so by the one who reads it.
            if (kind, key) == ("forward", "background") {
                continue;
            }
            table.refuse(
                key,
                &format!("it means nothing for `{kind}`"),
                &format!("it is for {}", list(kinds.iter().copied())),
            );
        }
    }
}

fn is_host_and_port(target: &str) -> bool {
    let Some((host, port)) = target.rsplit_once(':') else { return false };
    !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0)
}
