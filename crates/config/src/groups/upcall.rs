//! Groups from commands. An upcall is a template for `/bin/sh`, in which `$GROUP`, `$NODE`, `$SOURCE` and `$CFGDIR` are replaced as text,
//! also inside of single quotes, because that is what the configurations out there rely on:
//!
//! ```text
//! [genders]
//! map: nodeattr -n $GROUP
//! [local]
//! map: sed -n 's/^$GROUP:\(.*\)/\1/p' $CFGDIR/groups
//! ```
//!
//! A name that is typed by a user, or said by another upcall, must not become a command that way. So a name with a character that means
//! anything to a shell, quoted or not, is not handed to one: the question fails and says why. The roads not taken: environment variables,
//! which single quotes would not expand, and quoting, which depends on the quotes around the place.

use super::GroupSource;
use phalanx_nodeset::GroupError;
use phalanx_process::engine::{Engine, EngineOptions};
use phalanx_process::spec::Output;
use phalanx_process::{Process, Spec};
use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long an upcall may take unless told otherwise.
pub const DEFAULT_TIME_LIMIT: Duration = Duration::from_secs(60);

/// Runs the command of an upcall. Something else than a shell may do it in tests.
pub trait RunUpcall: fmt::Debug + Send + Sync {
    /// What the command, run by `/bin/sh` in this directory without input, writes to its stdout.
    ///
    /// # Errors
    /// A sentence that says why there is no answer; `None` when the command itself said no by its exit status.
    fn run(&self, command: &str, directory: &Path) -> Result<String, Option<String>>;
}

/// The real shell, with a time limit.
#[derive(Debug)]
pub(super) struct Shell {
    pub(super) time_limit: Duration,
}

impl RunUpcall for Shell {
    fn run(&self, command: &str, directory: &Path) -> Result<String, Option<String>> {
        // An engine of this thread, for as long as it waits: hosts are looked up before there is any other.
        let options = EngineOptions { no_watchdog: true, ..EngineOptions::default() };
        let engine = Engine::current_thread(options).map_err(|error| Some(format!("cannot be started: {error}")))?;
        let process = Process::from_spec(Spec::shell(command), &engine.handle())
            .directory(directory)
            .stderr_to(Output::Inherit)
            .timeout(self.time_limit)
            .with(|spec| spec.policy.nolog = phalanx_process::spec::Faults::ALL)
            .run();
        let Some(finished) = process.finished() else { return Err(Some("it was never run".to_owned())) };
        let outcome = &finished.outcome;
        if let Some(error) = &outcome.error {
            return Err(Some(format!("cannot be started: {error}")));
        }
        if outcome.timed_out {
            return Err(Some(format!("killed after {} s without an answer", self.time_limit.as_secs_f64())));
        }
        if !finished.ok {
            return Err(None);
        }
        Ok(finished.stdout.text().trim().to_owned())
    }
}

/// The commands of a source.
#[derive(Debug, Default)]
pub(super) struct Commands {
    pub(super) map: Option<String>,
    pub(super) mapall: Option<String>,
    pub(super) all: Option<String>,
    pub(super) list: Option<String>,
    pub(super) reverse: Option<String>,
}

/// A question and what it is about: the key of the cache.
type Question = (&'static str, String);

/// A source that asks commands, and remembers the answers for a while.
#[derive(Debug)]
pub(super) struct UpcallSource {
    name: String,
    commands: Commands,
    directory: PathBuf,
    cache_time: Duration,
    upcalls: Arc<dyn RunUpcall>,
    cache: Mutex<HashMap<Question, (Instant, String)>>,
}

impl UpcallSource {
    pub(super) fn new(
        name: &str,
        commands: Commands,
        directory: &Path,
        cache_time: Duration,
        upcalls: Arc<dyn RunUpcall>,
    ) -> Self {
        let (name, directory) = (name.to_owned(), directory.to_owned());
        UpcallSource { name, commands, directory, cache_time, upcalls, cache: Mutex::default() }
    }

    fn ask(
        &self,
        upcall: &'static str,
        template: Option<&str>,
        variable: &str,
        value: &str,
    ) -> Result<String, GroupError> {
        let Some(template) = template else {
            return Err(GroupError::NoUpcall { upcall, source_name: self.name.clone() });
        };
        let question = (upcall, value.to_owned());
        if let Some((asked, answer)) = self.cache.lock().unwrap_or_else(PoisonError::into_inner).get(&question)
            && asked.elapsed() < self.cache_time
        {
            return Ok(answer.clone());
        }
        let answer = self.run(template, variable, value)?;
        self.cache.lock().unwrap_or_else(PoisonError::into_inner).insert(question, (Instant::now(), answer.clone()));
        Ok(answer)
    }

    fn run(&self, template: &str, variable: &str, value: &str) -> Result<String, GroupError> {
        if let Some(character) = dangerous(value) {
            let why = format!("{value:?} is not handed to a shell, to which {character:?} means something");
            return Err(GroupError::QueryFailed(format!("{template}: {why}")));
        }
        let directory = self.directory.to_string_lossy();
        let command = substitute(template, &[(variable, value), ("SOURCE", &self.name), ("CFGDIR", &directory)]);
        log::debug!("group source {}: {command}", self.name);
        self.upcalls.run(&command, &self.directory).map_err(|why| {
            // ClusterShell's message is the command and nothing else.
            GroupError::QueryFailed(why.map_or_else(|| command.clone(), |why| format!("{command}: {why}")))
        })
    }

    /// The answer of `mapall`: a group and its nodes on each line, several lines of one group being meant together.
    fn map_of_all(&self) -> Result<Option<Vec<(String, String)>>, GroupError> {
        let Some(template) = self.commands.mapall.as_deref() else { return Ok(None) };
        let answer = self.ask("mapall", Some(template), "GROUP", "")?;
        let mut groups: Vec<(String, String)> = Vec::new();
        for line in answer.lines().filter(|line| !line.trim().is_empty()) {
            let entry = line.split_once(':').map(|(group, nodes)| (group.trim(), nodes.trim()));
            let Some((group, nodes)) =
                entry.filter(|(group, _)| !group.is_empty() && !group.contains(char::is_whitespace))
            else {
                let what = format!("mapall: invalid line '{line}' (expected 'group: nodes')");
                return Err(GroupError::QueryFailed(what));
            };
            match groups.iter_mut().find(|(known, _)| known == group) {
                Some((_, known)) => {
                    known.push('\n');
                    known.push_str(nodes);
                }
                None => groups.push((group.to_owned(), nodes.to_owned())),
            }
        }
        Ok(Some(groups))
    }
}

/// Replaces `$NAME` and `${NAME}`; `$$` is a dollar sign, and what is no name that is known stays.
pub(super) fn substitute(template: &str, values: &[(&str, &str)]) -> String {
    let mut out = String::with_capacity(template.len());
    let mut rest = template;
    while let Some(dollar) = rest.find('$') {
        out.push_str(&rest[..dollar]);
        rest = &rest[dollar + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            out.push('$');
            rest = after;
            continue;
        }
        let (name, after) = variable_name(rest);
        match values.iter().find(|(known, _)| Some(*known) == name) {
            Some((_, value)) => {
                out.push_str(value);
                rest = after;
            }
            None => out.push('$'),
        }
    }
    out.push_str(rest);
    out
}

/// The name at the start, in braces or not, and what follows it.
fn variable_name(text: &str) -> (Option<&str>, &str) {
    if let Some((name, after)) = text.strip_prefix('{').and_then(|text| text.split_once('}')) {
        return (Some(name), after);
    }
    let end = text.find(|character: char| character != '_' && !character.is_ascii_alphanumeric()).unwrap_or(text.len());
    ((end > 0).then(|| &text[..end]), &text[end..])
}

/// A character of a name that is not the same to a shell wherever it stands: bare, in either kind of quotes, in backquotes. An option's
/// hyphen is not the shell's business, but would still be the command's.
fn dangerous(name: &str) -> Option<char> {
    let harmless = |character: char| {
        character.is_alphanumeric()
            || !character.is_ascii()
            || matches!(character, '_' | '-' | '.' | ':' | '/' | '@' | '%' | '+' | ',' | '=')
    };
    match name.chars().next() {
        Some('-') => Some('-'),
        _ => name.chars().find(|&character| !harmless(character)),
    }
}

impl GroupSource for UpcallSource {
    fn name(&self) -> &str {
        &self.name
    }

    fn nodes(&self, group: &str) -> Result<Option<String>, GroupError> {
        if let Some(groups) = self.map_of_all()? {
            return Ok(groups.into_iter().find(|(name, _)| name == group).map(|(_, nodes)| nodes));
        }
        self.ask("map", self.commands.map.as_deref(), "GROUP", group).map(Some)
    }

    fn groups(&self) -> Result<Vec<String>, GroupError> {
        if let Some(groups) = self.map_of_all()? {
            return Ok(groups.into_iter().map(|(name, _)| name).collect());
        }
        let answer = self.ask("list", self.commands.list.as_deref(), "GROUP", "")?;
        Ok(answer.split_whitespace().map(str::to_owned).collect())
    }

    fn all(&self) -> Result<Option<String>, GroupError> {
        match self.commands.all.as_deref() {
            Some(template) => self.ask("all", Some(template), "GROUP", "").map(Some),
            None => Ok(None),
        }
    }

    fn knows_reverse(&self) -> bool {
        self.commands.reverse.is_some()
    }

    fn groups_of(&self, node: &str) -> Result<Option<Vec<String>>, GroupError> {
        let Some(template) = self.commands.reverse.as_deref() else { return Ok(None) };
        let answer = self.ask("reverse", Some(template), "NODE", node)?;
        Ok(Some(answer.split_whitespace().map(str::to_owned).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_variables_are_replaced() {
        let values = [("GROUP", "g"), ("CFGDIR", "/d")];
        assert_eq!(substitute("$GROUP ${GROUP} $$GROUP $GROUPS $1 %N $", &values), "g g $GROUP $GROUPS $1 %N $");
        assert_eq!(substitute("sed 's/^$GROUP:\\(.*\\)$/x/p' $CFGDIR/f", &values), "sed 's/^g:\\(.*\\)$/x/p' /d/f");
        assert_eq!(substitute("${unclosed ${NODE}", &values), "${unclosed ${NODE}");
    }

    #[test]
    fn names_that_a_shell_would_read_are_dangerous() {
        for name in [
            "a;b", "$(x)", "`x`", "a b", "a'b", "a\"b", "a|b", "a&b", "a>b", "a\nb", "a\\b", "a*", "-rf", "a#b", "~a",
            "{a}",
        ] {
            assert!(dangerous(name).is_some(), "{name}");
        }
        for name in ["", "compute", "K-10", "fe80::1", "rack1.site", "noeud-é", "a@b", "10%"] {
            assert!(dangerous(name).is_none(), "{name}");
        }
    }
}
