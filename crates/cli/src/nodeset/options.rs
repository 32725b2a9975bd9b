//! The options of `nodeset`, read as ClusterShell's do: words after the first operand are operands, long options can be shortened, and one
//! command is chosen. A general parser of command lines would have to be fought on every one of these points.

use phalanx_nodeset::{Autostep, Dialect};
use std::fmt;

/// What was typed.
#[derive(Debug, Default)]
pub(super) struct Options {
    pub(super) command: Option<Command>,
    pub(super) source: Option<String>,
    pub(super) groups_file: Option<String>,
    pub(super) all: bool,
    pub(super) autostep: Option<AutostepChoice>,
    pub(super) quiet: bool,
    pub(super) ranges: bool,
    pub(super) hide_source: bool,
    pub(super) separator: Option<String>,
    pub(super) format: Option<String>,
    pub(super) slice: Option<String>,
    pub(super) split: Option<i64>,
    pub(super) contiguous: bool,
    pub(super) axis: Option<String>,
    pub(super) pick: Option<i64>,
    pub(super) excluded: Vec<String>,
    pub(super) intersected: Vec<String>,
    pub(super) xored: Vec<String>,
    pub(super) input_order: bool,
    pub(super) dialect: Dialect,
    /// The words from the first operand on.
    pub(super) operands: Vec<String>,
}

/// What to do with the set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Command {
    Count,
    Expand,
    Fold,
    Regroup,
    /// Groups of one source, or of all; how much of each.
    List {
        all_sources: bool,
        detail: u8,
    },
    ListSources,
    Index(String),
    Equal(String),
    Completion,
}

/// `--autostep`, which may depend on the size of the set.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum AutostepChoice {
    Count(i64),
    Percent(f64),
    /// Only where it folds the whole set.
    Auto,
}

impl AutostepChoice {
    /// For a set of so many elements.
    pub(super) fn resolve(self, count: u128) -> Autostep {
        let least = match self {
            AutostepChoice::Count(count) => u64::try_from(count).unwrap_or(0),
            AutostepChoice::Percent(percent) => (percent / 100.0 * count as f64).ceil() as u64,
            AutostepChoice::Auto => u64::try_from(count.max(3)).unwrap_or(u64::MAX),
        };
        Autostep::AtLeast(least)
    }
}

/// Why the options do not make a request: told on stderr after the usage line, with exit status 2. Or what was asked for instead of one.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NoRequest {
    Usage(String),
    Help,
    Version,
}

impl fmt::Display for NoRequest {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NoRequest::Usage(what) => out.write_str(what),
            NoRequest::Help => out.write_str("help"),
            NoRequest::Version => out.write_str("version"),
        }
    }
}

/// One option: its short letters, its long names, whether it takes a value, and its help.
struct Definition {
    short: Option<char>,
    long: &'static [&'static str],
    value: Option<&'static str>,
    help: &'static str,
}

const fn flag(short: Option<char>, long: &'static [&'static str], help: &'static str) -> Definition {
    Definition { short, long, value: None, help }
}

const fn valued(
    short: Option<char>,
    long: &'static [&'static str],
    value: &'static str,
    help: &'static str,
) -> Definition {
    Definition { short, long, value: Some(value), help }
}

/// In the order of the help. An empty help hides an option.
const DEFINITIONS: &[Definition] = &[
    flag(Some('c'), &["--count"], "show the number of nodes"),
    flag(Some('e'), &["--expand"], "show the nodes one by one"),
    flag(Some('f'), &["--fold"], "show the nodes folded"),
    flag(Some('r'), &["--regroup"], "show the nodes folded with groups (see -s)"),
    flag(
        Some('l'),
        &["--list"],
        "list the groups of one source (-ll: with nodes, -lll: with counts), or those of the given nodes",
    ),
    flag(Some('L'), &["--list-all"], "list the groups of all sources (-LL, -LLL: as -ll, -lll)"),
    flag(None, &["--list-sources", "--groupsources"], "list the group sources, the default first"),
    valued(None, &["--index"], "NODE", "show the position of a node, from 0"),
    valued(
        None,
        &["--equal"],
        "NODES",
        "exit with 0 when the nodes are the same set, with 1 when not, with 2 on errors",
    ),
    flag(None, &["--completion"], ""),
    valued(Some('x'), &["--exclude"], "NODES", "exclude nodes"),
    valued(Some('i'), &["--intersection"], "NODES", "keep only nodes that are also among these"),
    valued(Some('X'), &["--xor"], "NODES", "keep nodes that are in exactly one of the sets"),
    flag(Some('a'), &["--all"], "all nodes of the group source"),
    valued(Some('s'), &["--groupsource"], "SOURCE", "take groups from this source unless they say another"),
    valued(None, &["--groupsconf"], "FILE", "use this groups.conf"),
    flag(Some('G'), &["--groupbase"], "hide the source of groups: always \"@group\""),
    valued(None, &["--autostep"], "N", "fold with a-b/step from so many nodes on: a number, a percentage or \"auto\""),
    valued(None, &["--axis"], "RANGES", "fold along these axes only (1 is the first, -1 the last)"),
    flag(Some('R'), &["--rangeset"], "numbers such as 1,5,18-31 and not nodes"),
    valued(Some('S'), &["--separator"], "TEXT", "between the nodes that -e shows (default: a blank)"),
    valued(Some('O'), &["--output-format"], "FORMAT", "show each node in this format (default: \"%s\")"),
    valued(Some('I'), &["--slice"], "RANGES", "only the nodes at these positions, from 0"),
    valued(None, &["--split"], "N", "so many parts, one on a line"),
    flag(None, &["--contiguous"], "contiguous parts, one on a line"),
    valued(None, &["--pick"], "N", "so many nodes at random"),
    flag(None, &["--input-order"], "with -e: in the order in which they were typed, each once"),
    flag(
        None,
        &["--extended"],
        "Phalanx's own rules: a[1-2][3-4] and [fe80::1] can be read, an unknown group is an error",
    ),
    flag(Some('q'), &["--quiet"], "only what is needed"),
    flag(Some('d'), &["--debug"], "tell more on stderr"),
    flag(Some('h'), &["--help"], "show this help"),
    flag(None, &["--version"], "show the version"),
];

pub(super) const USAGE: &str = "Usage: nodeset [COMMAND] [OPTIONS] [ns1 [-ixX] ns2|...]";

/// The help.
pub(super) fn help() -> String {
    let shown = DEFINITIONS.iter().filter(|definition| !definition.help.is_empty());
    let lines = shown.map(|definition| {
        let short = definition.short.map(|letter| format!("-{letter}"));
        let long = definition.long.iter().map(|long| match definition.value {
            Some(value) => format!("{long}={value}"),
            None => (*long).to_owned(),
        });
        let names: Vec<String> = short.into_iter().chain(long).collect();
        format!("  {:<40}{}", names.join(", "), definition.help)
    });
    format!("{USAGE}\n\n{}\n", lines.collect::<Vec<_>>().join("\n"))
}

fn usage(what: impl Into<String>) -> NoRequest {
    NoRequest::Usage(what.into())
}

impl Options {
    /// Whether the set is on stdin although no operand `-` says so: there is no operand, and the command needs one.
    pub(super) fn reads_stdin(&self) -> bool {
        let needs_none = matches!(self.command, Some(Command::List { .. } | Command::Completion));
        self.operands.is_empty() && !self.all && !needs_none
    }

    /// Whether the set is not what the operands say but what an option makes of it.
    pub(super) fn are_applied_to_nodes(&self) -> bool {
        self.all || [&self.excluded, &self.intersected, &self.xored].iter().any(|given| !given.is_empty())
    }

    /// Reads the words up to the first operand, and keeps the rest.
    pub(super) fn read(words: &[String]) -> Result<Options, NoRequest> {
        let mut options = Options { dialect: Dialect::ClusterShell, ..Options::default() };
        let mut at = 0;
        while let Some(word) = words.get(at) {
            at += 1;
            if word == "--" {
                break;
            } else if let Some(long) = word.strip_prefix("--") {
                options.long(long, words, &mut at)?;
            } else if word.len() > 1 && word.starts_with('-') {
                options.cluster(&word[1..], words, &mut at)?;
            } else {
                at -= 1;
                break;
            }
        }
        options.operands = words[at..].to_vec();
        options.check()?;
        Ok(options)
    }

    fn long(&mut self, text: &str, words: &[String], at: &mut usize) -> Result<(), NoRequest> {
        let (name, given) = match text.split_once('=') {
            Some((name, value)) => (format!("--{name}"), Some(value.to_owned())),
            None => (format!("--{text}"), None),
        };
        let (definition, full) = find_long(&name)?;
        if definition.value.is_none() {
            if given.is_some() {
                return Err(usage(format!("{full} option does not take a value")));
            }
            return self.apply(definition, full, "");
        }
        let value = match given {
            Some(value) => value,
            None => next_word(full, words, at)?,
        };
        self.apply(definition, full, &value)
    }

    fn cluster(&mut self, letters: &str, words: &[String], at: &mut usize) -> Result<(), NoRequest> {
        for (position, letter) in letters.char_indices() {
            let definition = DEFINITIONS.iter().find(|definition| definition.short == Some(letter));
            let Some(definition) = definition else { return Err(usage(format!("no such option: -{letter}"))) };
            let name = format!("-{letter}");
            if definition.value.is_none() {
                self.apply(definition, &name, "")?;
                continue;
            }
            let attached = &letters[position + letter.len_utf8()..];
            let value = if attached.is_empty() { next_word(&name, words, at)? } else { attached.to_owned() };
            return self.apply(definition, &name, &value);
        }
        Ok(())
    }

    fn apply(&mut self, definition: &Definition, name: &str, value: &str) -> Result<(), NoRequest> {
        let text = || value.to_owned();
        match definition.long[0] {
            "--count" => self.choose(Command::Count)?,
            "--expand" => self.choose(Command::Expand)?,
            "--fold" => self.choose(Command::Fold)?,
            "--regroup" => self.choose(Command::Regroup)?,
            "--list" => self.list(false)?,
            "--list-all" => self.list(true)?,
            "--list-sources" => self.choose(Command::ListSources)?,
            "--index" => self.choose(Command::Index(text()))?,
            "--equal" => self.choose(Command::Equal(text()))?,
            "--completion" => self.choose(Command::Completion)?,
            "--exclude" => self.excluded.push(text()),
            "--intersection" => self.intersected.push(text()),
            "--xor" => self.xored.push(text()),
            "--all" => self.all = true,
            "--groupsource" => self.source = Some(safe_value(name, value)?),
            "--groupsconf" => self.groups_file = Some(safe_value(name, value)?),
            "--groupbase" => self.hide_source = true,
            "--autostep" => self.autostep = Some(autostep(value)?),
            // As in ClusterShell, an empty value is none: scripts pass on variables that may be empty.
            "--axis" => self.axis = Some(text()).filter(|axes| !axes.is_empty()),
            "--rangeset" => self.ranges = true,
            "--separator" => self.separator = Some(text()),
            "--output-format" => self.format = Some(text()),
            "--slice" => self.slice = Some(text()).filter(|positions| !positions.is_empty()),
            "--split" => self.split = Some(integer(name, value)?),
            "--contiguous" => self.contiguous = true,
            "--pick" => self.pick = Some(integer(name, value)?),
            "--input-order" => self.input_order = true,
            "--extended" => self.dialect = Dialect::Phalanx,
            "--quiet" => self.quiet = true,
            "--debug" => {}
            "--help" => return Err(NoRequest::Help),
            "--version" => return Err(NoRequest::Version),
            other => unreachable!("{other} is defined and not applied"),
        }
        Ok(())
    }

    fn choose(&mut self, command: Command) -> Result<(), NoRequest> {
        match self.command {
            Some(ref chosen) if *chosen != command => Err(usage("Multiple commands not allowed.")),
            _ => {
                self.command = Some(command);
                Ok(())
            }
        }
    }

    fn list(&mut self, all: bool) -> Result<(), NoRequest> {
        match &mut self.command {
            Some(Command::List { all_sources, detail }) if *all_sources == all => {
                *detail += 1;
                Ok(())
            }
            Some(_) => Err(usage("Multiple commands not allowed.")),
            None => self.choose(Command::List { all_sources: all, detail: 1 }),
        }
    }

    fn check(&self) -> Result<(), NoRequest> {
        let Some(command) = &self.command else { return Err(usage("No command specified.")) };
        if self.ranges && (self.all || *command == Command::Regroup) {
            return Err(usage("-a/-r only supported in NodeSet mode"));
        }
        if self.ranges && matches!(command, Command::List { .. }) && !self.operands.is_empty() {
            return Err(usage("-l/-L of numbers is nothing: they have no groups"));
        }
        if self.split.is_some() && self.contiguous {
            return Err(usage("incompatible splitting options (split, contiguous)"));
        }
        if self.axis.is_some() && (self.ranges || *command != Command::Fold) {
            return Err(usage("--axis option is only supported when folding nodeset"));
        }
        if matches!(command, Command::Index(_)) && self.pick.is_some_and(|count| count != 0) {
            return Err(usage("--index cannot be combined with --pick"));
        }
        if self.input_order && (self.split.is_some() || self.contiguous) {
            return Err(usage("--input-order cannot be combined with --split or --contiguous"));
        }
        Ok(())
    }
}

/// Exactly that option, or the only one that starts so.
fn find_long(name: &str) -> Result<(&'static Definition, &'static str), NoRequest> {
    let all = || DEFINITIONS.iter().flat_map(|definition| definition.long.iter().map(move |long| (definition, *long)));
    if let Some(exact) = all().find(|(_, long)| *long == name) {
        return Ok(exact);
    }
    let mut matching: Vec<_> = all().filter(|(_, long)| long.starts_with(name)).collect();
    match matching.len() {
        1 => Ok(matching.remove(0)),
        0 => Err(usage(format!("no such option: {name}"))),
        _ => {
            matching.sort_unstable_by_key(|(_, long)| *long);
            let names: Vec<&str> = matching.iter().map(|(_, long)| *long).collect();
            Err(usage(format!("ambiguous option: {name} ({}?)", names.join(", "))))
        }
    }
}

fn next_word(name: &str, words: &[String], at: &mut usize) -> Result<String, NoRequest> {
    let value = words.get(*at).cloned().ok_or_else(|| usage(format!("{name} option requires 1 argument")))?;
    *at += 1;
    Ok(value)
}

/// A value that is empty or looks like an option is most likely a forgotten value.
fn safe_value(name: &str, value: &str) -> Result<String, NoRequest> {
    if value.is_empty() || value.starts_with('-') {
        return Err(usage(format!("option {name}: invalid value: '{value}'")));
    }
    Ok(value.to_owned())
}

fn integer(name: &str, value: &str) -> Result<i64, NoRequest> {
    value.trim().parse().map_err(|_| usage(format!("option {name}: invalid integer value: '{value}'")))
}

fn autostep(value: &str) -> Result<AutostepChoice, NoRequest> {
    let choice = match value.strip_suffix('%') {
        _ if value == "auto" => Some(AutostepChoice::Auto),
        Some(percent) => {
            percent.trim().parse().ok().filter(|percent: &f64| percent.is_finite()).map(AutostepChoice::Percent)
        }
        None => value.trim().parse().ok().map(AutostepChoice::Count),
    };
    choice.ok_or_else(|| {
        let wanted = "should be node count, node percentage or 'auto'";
        usage(format!("option --autostep: invalid value: '{value}', {wanted}"))
    })
}
