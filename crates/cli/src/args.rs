//! What was typed, before anything is asked of the world. What it means is found out in `run/plan.rs`.

pub(crate) mod values;

use std::ffi::OsString;

use clap::{Parser, Subcommand};

use crate::config::ConfigArgs;
use crate::forward::ForwardArgs;
use crate::manual::{CompletionsArgs, ManArgs};
use crate::play::PlayArgs;
use crate::report::ReportArgs;
use crate::run::RunArgs;
use crate::serial::SerialArgs;
use crate::transfer::{GetArgs, PutArgs};

/// Launches and controls many processes at once, local and remote.
#[derive(Debug, Parser)]
#[command(name = "phalanx", version, max_term_width = 110, subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Run a command on many hosts
    Run(Box<RunArgs>),
    /// Copy files and directories to many hosts
    Put(Box<PutArgs>),
    /// Copy files and directories from many hosts
    Get(Box<GetArgs>),
    /// Play a plan: steps on many hosts, one after the other and at once
    Play(Box<PlayArgs>),
    /// Show what runs recorded: as tables, JSON, JUnit XML, or a page with a timeline
    Report(ReportArgs),
    /// Make a port here lead to a port behind a host
    Forward(Box<ForwardArgs>),
    /// Talk to a serial line, here or on other hosts
    Serial(Box<SerialArgs>),
    /// Show the configuration that is in force, and where each of its values comes from
    Config(ConfigArgs),
    /// Print what a shell needs to complete our options
    Completions(CompletionsArgs),
    /// Print a manual page
    Man(ManArgs),
    /// Fold, expand and compute with sets of hosts, as ClusterShell's nodeset does
    #[command(disable_help_flag = true)]
    Nodeset {
        /// The arguments of nodeset; --help tells
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
}

impl Args {
    /// How much is to be said: -1 for `-q`, 0, 1 for `-v`…
    pub(crate) fn verbosity(&self) -> i16 {
        match &self.verb {
            Verb::Run(run) => run.work.verbosity(),
            Verb::Put(put) => put.transfer.work.verbosity(),
            Verb::Get(get) => get.transfer.work.verbosity(),
            Verb::Play(play) => i16::from(play.verbose) - i16::from(play.quiet),
            Verb::Forward(forward) => i16::from(forward.verbose) - i16::from(forward.quiet),
            Verb::Serial(serial) => i16::from(serial.verbose) - i16::from(serial.quiet),
            Verb::Report(_) | Verb::Config(_) | Verb::Completions(_) | Verb::Man(_) | Verb::Nodeset { .. } => 0,
        }
    }

    /// Whether the configuration matters to it, and the preset of it that is asked for.
    pub(crate) fn preset(&self) -> Option<Option<&str>> {
        let connect = match &self.verb {
            Verb::Run(run) => &run.connect,
            Verb::Put(put) => &put.transfer.connect,
            Verb::Get(get) => &get.transfer.connect,
            Verb::Play(play) => &play.connect,
            Verb::Forward(forward) => &forward.connect,
            Verb::Serial(serial) => &serial.connect,
            // phalanx config looks at it in a way of its own.
            Verb::Report(_) | Verb::Config(_) | Verb::Completions(_) | Verb::Man(_) | Verb::Nodeset { .. } => {
                return None;
            }
        };
        Some(connect.preset.as_deref())
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::Args;
    use crate::manual::{name, pages, rendered};

    #[test]
    fn the_definition_of_the_command_line_is_sound() {
        Args::command().debug_assert();
    }

    #[test]
    fn every_verb_has_a_page_with_all_its_options() {
        for page in pages(Args::command()) {
            let options: Vec<String> = page
                .get_arguments()
                .filter_map(|argument| argument.get_long())
                .map(|long| format!("--{long}"))
                .collect();
            let name = name(&page).to_owned();
            // roff writes a dash that is one as `\-`.
            let text = String::from_utf8(rendered(page)).expect("text").replace("\\-", "-");
            assert!(text.contains(&format!(".TH {name} 1")), "{text}");
            options.iter().for_each(|option| assert!(text.contains(option.as_str()), "{option} is not in {name}"));
        }
    }
}
