//! Reads the steps that are processes: commands, files, serial lines; and what goes with them.

use phalanx_process::host::Host;
use std::collections::HashMap;

use phalanx_action::files::Get;
use phalanx_action::rollout::{FailureBudget, Retries, Rollout};
use phalanx_config::toml_doc::{Item, Table};
use phalanx_process::Signal;
use phalanx_process::serial::{DataBits, FlowControl, Parity, Settings, StopBits};

use super::Reader;
use super::dialogue::pattern;
use super::names::Scope;
use super::step::complain_about;
use crate::model::{Kind, PATIENCE, Processes, Ready};

/// How many processes of one step there may be here: more is a typing error.
const MOST_COPIES: usize = 100_000;

impl<'d> Reader<'d> {
    pub(super) fn processes(&self, table: Table<'d>, kind: &str, background: bool, scope: &Scope) -> Option<Processes> {
        let hosts = self.hosts_of(table, kind, scope);
        let made = match kind {
            "run" => self.run(table, scope),
            "local" => self.local(table, scope),
            "serial" => self.serial(table, background, scope),
            _ => self.files(table, kind, hosts.as_deref(), scope),
        };
        if kind == "serial" && table.get("on").is_some() {
            self.needs_ssh(table, kind);
        }
        let input = table.get("input").and_then(|item| self.unseen(item, scope));
        let output = self.file(table, "output", hosts.as_deref(), scope);
        let errors = self.file(table, "errors", hosts.as_deref(), scope);
        if let (Some(output), true) = (&output, output == errors)
            && let Some(item) = table.get("errors")
        {
            item.error(format!("`{output}` is the file of `output` too"), "name another file");
        }
        let ready = self.ready(table, background, scope);
        let dialogue = self.dialogue(table, scope);
        self.look_for_contradictions(table, background);
        let writes = output.is_some() || errors.is_some();
        self.makes_files.set(self.makes_files.get() || writes || ["local", "get"].contains(&kind));
        // All keys are asked for, whatever is missing: so every mistake is found at once.
        let (user, rollout, fanout) = (self.user(table, scope), self.rollout(table), self.fanout(table, kind));
        let (timeout, exit_codes) = (self.limit(table, "timeout"), self.exit_codes(table, kind));
        let (show, stop_signal) = (table.boolean("show"), table.parse("stop_signal", signal).unwrap_or(Signal::TERM));
        Some(Processes {
            kind: made?,
            hosts: hosts?,
            user,
            rollout,
            fanout,
            timeout,
            exit_codes,
            input,
            output,
            errors,
            show,
            ready,
            dialogue,
            stop_signal,
        })
    }

    /// On which hosts; none for what runs here without any.
    fn hosts_of(&self, table: Table<'d>, kind: &str, scope: &Scope) -> Option<Vec<String>> {
        let own = table.get("on");
        // What runs here is not meant to run for each of the hosts that others work on.
        let default = self.defaults.get("on").filter(|_| !["local", "serial"].contains(&kind));
        match own.or(default) {
            Some(item) => self.hosts.on(item, scope),
            None if ["local", "serial"].contains(&kind) => Some(Vec::new()),
            None => {
                let here = if kind == "run" { "; for a command here, write `local` instead of `run`" } else { "" };
                table.error(
                    "it does not say on which hosts",
                    format!("write on = \"node[1-9]\", or a default for all steps: [defaults] on = \"…\"{here}"),
                );
                None
            }
        }
    }

    fn run(&self, table: Table<'d>, scope: &Scope) -> Option<Kind> {
        let terminal = table.boolean("terminal").unwrap_or(false);
        if self.overrides.exec {
            return self.local_like(table, "run", terminal, scope);
        }
        Some(Kind::Run { command: self.text(table.get("run")?, scope)?, terminal })
    }

    fn local_like(&self, table: Table<'d>, key: &str, terminal: bool, scope: &Scope) -> Option<Kind> {
        let command = self.text(table.get(key)?, scope)?;
        Some(Kind::Local { command, terminal, directory: None, count: None })
    }

    fn local(&self, table: Table<'d>, scope: &Scope) -> Option<Kind> {
        let terminal = table.boolean("terminal").unwrap_or(false);
        let directory = table.get("directory").and_then(|item| self.text(item, scope));
        let count = table.get("count").and_then(|item| self.copies(item, scope));
        if table.get("count").is_some() {
            complain_if_both(table, "count", "on", "the hosts say already how many there are");
        }
        let command = self.text(table.get("local")?, scope)?;
        Some(Kind::Local { command, terminal, directory, count })
    }

    /// How many copies: a number, or a text that becomes one.
    fn copies(&self, item: Item<'d>, scope: &Scope) -> Option<String> {
        const INSTEAD: &str = "write a number from 1 to 100000, or a factor that is one: \"{{clients}}\"";
        if !item.is_string() {
            return Some(item.integer(1..=MOST_COPIES as u64)?.to_string());
        }
        let text = self.text(item, scope)?;
        let example = scope.lists.substitute(&text, &Host::new(""), 0).ok()?;
        if copies(&example).is_none() {
            item.error(format!("`{example}` is no number of processes"), INSTEAD);
            return None;
        }
        Some(text)
    }

    fn files(&self, table: Table<'d>, kind: &str, hosts: Option<&[String]>, scope: &Scope) -> Option<Kind> {
        self.needs_ssh(table, kind);
        let item = table.get(kind)?;
        let sources = item.strings().and_then(|sources| {
            if sources.is_empty() || sources.iter().any(String::is_empty) {
                item.error("it names no file", "write one or several: [\"a\", \"b\"]");
            }
            let sources: Vec<_> = sources.iter().map(|source| self.substitutable(item, source, scope)).collect();
            sources.into_iter().collect::<Option<Vec<_>>>()
        });
        let verify = table.boolean("verify").unwrap_or(false);
        let to = table
            .require("to", "write where to: a directory ends with a slash")
            .and_then(|item| self.text(item, scope));
        let (sources, to) = (sources?, to?);
        if kind != "get" {
            self.look_for_files(item, &sources);
            let address = table.get("address").and_then(|item| self.text(item, scope));
            return Some(match kind {
                "chain" => Kind::Chain { sources, to, address },
                _ => Kind::Put { sources, to, verify },
            });
        }
        if let Some(hosts) = hosts.filter(|_| scope.later.is_empty())
            && let Err(error) = Get::new(&sources, &to, hosts.to_vec()).lists(scope.lists.clone()).transfers()
        {
            table.get("to")?.error(error.to_string(), "");
        }
        Some(Kind::Get { sources, to, verify })
    }

    /// A file may be made by whatever runs here meanwhile: so what is missing is only worth a warning, and not even that if
    /// an earlier step may make it.
    fn look_for_files(&self, item: Item<'d>, sources: &[String]) {
        let plain = |source: &&String| !source.contains("{{") && !source.contains(['*', '?', '[', '~']);
        if self.makes_files.get() {
            return;
        }
        for source in sources.iter().filter(plain) {
            if !std::path::Path::new(source).exists() {
                self.warn(item.place(), item.path().to_owned(), &format!("there is no file `{source}` here now"));
            }
        }
    }

    fn serial(&self, table: Table<'d>, background: bool, scope: &Scope) -> Option<Kind> {
        let device = self.text(table.get("serial")?, scope);
        let speed = table.require("speed", "write bits per second: speed = 115200");
        let speed = speed.and_then(|item| item.integer(1..=u32::MAX));
        let data = [(5, DataBits::Five), (6, DataBits::Six), (7, DataBits::Seven), (8, DataBits::Eight)];
        let data_bits = table.integer("data_bits", 5..=8_u8).and_then(|bits| data.iter().find(|(own, _)| *own == bits));
        let parity = [("none", Parity::None), ("even", Parity::Even), ("odd", Parity::Odd)];
        let flow =
            [("none", FlowControl::None), ("software", FlowControl::Software), ("hardware", FlowControl::Hardware)];
        let stop_bits = table.integer("stop_bits", 1..=2_u8);
        let parity = table.choice("parity", &parity).unwrap_or_default();
        let flow_control = table.choice("flow_control", &flow).unwrap_or_default();
        if !background && table.get("dialogue").is_none() && table.get("timeout").is_none() {
            table.error(
                "a serial line has no end of its own, so the step would never end",
                "write `dialogue`, `timeout`, or background = true",
            );
        }
        let settings = Settings {
            data_bits: data_bits.map_or_else(DataBits::default, |(_, bits)| *bits),
            parity,
            stop_bits: if stop_bits == Some(2) { StopBits::Two } else { StopBits::One },
            flow_control,
            ..Settings::at(speed?)
        };
        Some(Kind::Serial { device: device?, settings })
    }

    fn fanout(&self, table: Table<'d>, kind: &str) -> Option<usize> {
        if kind == "serial" {
            return Some(0);
        }
        let item = table.get("fanout").or_else(|| self.defaults.get("fanout"))?;
        item.integer(1..=1_000_000_u64).map(|fanout| fanout as usize)
    }

    fn rollout(&self, table: Table<'d>) -> Rollout {
        let key = |key| table.get(key).or_else(|| self.defaults.get(key));
        let count = key("retries").and_then(|item| item.integer(0..=1_000_000_u32)).unwrap_or(0);
        let pause = key("retry_pause").and_then(Item::duration);
        if count == 0 && table.get("retries").is_none() {
            complain_about(table, "retry_pause", "there is nothing to pause for without `retries`");
        }
        let batches = table.get("batches").and_then(|item| batches(item)).unwrap_or_default();
        let failure_budget =
            table.integer("max_failures", 1..=u64::from(u32::MAX)).map(|failures| FailureBudget::of(failures as usize));
        let retries = Retries { count, backoff: pause.unwrap_or(Retries::default().backoff), ..Retries::default() };
        Rollout { batches, retries, failure_budget, ..Rollout::default() }
    }

    fn exit_codes(&self, table: Table<'d>, kind: &str) -> Vec<i32> {
        let item = table.get("exit_codes").or_else(|| self.defaults.get("exit_codes"));
        let Some(item) = item.filter(|_| ["run", "local"].contains(&kind)) else { return vec![0] };
        if !item.is_array() {
            return item.integer(0..=255_u8).map_or_else(|| vec![0], |code| vec![code.into()]);
        }
        let items = item.items().unwrap_or_default();
        if items.is_empty() {
            item.error("no exit code at all would be fine", "write those that are fine: [0, 1]");
        }
        items.into_iter().filter_map(|item| item.integer(0..=255_u8)).map(i32::from).collect()
    }

    /// A file for what each process says: one for each.
    fn file(&self, table: Table<'d>, key: &str, hosts: Option<&[String]>, scope: &Scope) -> Option<String> {
        let item = table.get(key)?;
        let text = self.text(item, scope)?;
        let mut taken = HashMap::new();
        for (index, host) in hosts.unwrap_or_default().iter().enumerate() {
            let path = scope.lists.substitute(&text, &Host::from(host), index).ok()?;
            if let Some(first) = taken.insert(path.clone(), host) {
                item.error(format!("`{first}` and `{host}` would both write `{path}`"), "put {{{host}}} into it");
                return None;
            }
        }
        if table.get("count").is_some() && !text.contains("{{{host}}}") && !text.contains("{{rank}}") {
            item.error("all copies would write the same file", "put {{{host}}} into it");
        }
        let differs = || {
            let mut names = scope.later.iter().map(String::as_str).chain(["combination"]);
            names.any(|name| text.contains(&format!("{{{{{name}}}}}")))
        };
        if scope.in_sweep && !text.starts_with("/dev/") && !differs() {
            let wrong =
                "each combination of the sweep overwrites what the one before it wrote: put {{combination}} into it";
            self.warn(item.place(), item.path().to_owned(), wrong);
        }
        if text.ends_with('/') {
            item.error(format!("`{text}` is a directory"), "name a file in it: \"results/{{{host}}}.out\"");
        }
        Some(text)
    }

    fn ready(&self, table: Table<'d>, background: bool, scope: &Scope) -> Option<Ready> {
        let _ = scope;
        let limit = self.limit(table, "ready_timeout");
        let Some(item) = table.get("ready") else {
            complain_about(table, "ready_timeout", "there is no `ready` to wait for");
            return None;
        };
        let pattern = pattern(item)?;
        if !background {
            item.error(
                "only a step in the background is waited for until it is ready",
                "write background = true, or `dialogue` to talk to a command",
            );
        }
        Some(Ready { pattern, limit: limit.unwrap_or(PATIENCE) })
    }

    fn look_for_contradictions(&self, table: Table<'d>, background: bool) {
        complain_if_both(table, "input", "dialogue", "what is said to it is what it reads");
        complain_if_both(table, "ready", "dialogue", "it is ready when the dialogue is over");
        if table.get("dialogue").is_none() {
            complain_about(table, "reply_timeout", "there is no `dialogue` whose replies it would wait for");
        }
        if background {
            complain_about(table, "retries", "a step in the background is not tried again");
            complain_about(table, "batches", "a step in the background runs on all hosts at once");
        } else {
            complain_about(table, "stop_signal", "only a step in the background is ended by a signal");
        }
    }
}

/// A number of processes.
pub(crate) fn copies(text: &str) -> Option<usize> {
    text.trim().parse().ok().filter(|count| (1..=MOST_COPIES).contains(count))
}

fn complain_if_both(table: Table<'_>, first: &str, second: &str, why: &str) {
    if let (Some(_), Some(item)) = (table.get(first), table.get(second)) {
        item.error(format!("there is `{first}` too, and {why}"), "leave one of them out");
    }
}

/// The sizes of batches: one for all, or one for each.
fn batches(item: Item<'_>) -> Option<Vec<usize>> {
    let size = |item: Item<'_>| item.integer(1..=1_000_000_u64).map(|size| size as usize);
    if !item.is_array() {
        return Some(vec![size(item)?]);
    }
    let items = item.items()?;
    if items.is_empty() {
        item.error("it has no sizes", "write those of the batches: [1, 10]; the last is that of all further ones");
    }
    let sizes: Vec<_> = items.into_iter().map(size).collect();
    sizes.into_iter().collect()
}

fn signal(name: &str) -> Result<Signal, String> {
    let wrong = || format!("`{name}` is no signal to end something by; write \"TERM\", \"INT\", \"HUP\" or \"QUIT\"");
    let name = name.strip_prefix("SIG").unwrap_or(name);
    [("TERM", Signal::TERM), ("INT", Signal::INT), ("HUP", Signal::HUP), ("QUIT", Signal::QUIT)]
        .into_iter()
        .find(|(known, _)| *known == name)
        .map(|(_, signal)| signal)
        .ok_or_else(wrong)
}
