//! What was typed, before anything is asked of the world. What it means is found out in `run/plan.rs`.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand, ValueEnum};
use phalanx_process::duration;

use crate::config::ConfigArgs;
use crate::connect::ConnectArgs;
use crate::forward::ForwardArgs;
use crate::hosts::HostArgs;
use crate::manual::{CompletionsArgs, ManArgs};
use crate::play::PlayArgs;
use crate::serial::SerialArgs;
use crate::transfer::{GetArgs, PutArgs};
use crate::work::WorkArgs;

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
    Report(crate::report::ReportArgs),
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

/// How a command gets to its hosts: on each host, through ssh; or here, once for each host name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Worker {
    Ssh,
    Exec,
}

/// What `phalanx run --help` says below the options.
const RUN_HELP: &str = "\
Every line is shown with its host as it comes: stdout on stdout, stderr on stderr. The words after the options are \
joined by blanks and interpreted by each host's shell, as ssh does. In them, {{{host}}} is the address of the host. With -R exec they \
are run here, once for each host name: %h is the name too, %n its rank from 0.

Exit status: 0 all ok; 1 some process not ok, or not recorded; 2 wrong usage, nothing started; 3 internal error; 130, 143 stopped by \
SIGINT, SIGTERM; with -S the largest remote status, where timeouts and hosts that cannot be reached count 255.

The first Ctrl-C ends what runs politely and says who that is; the second kills at once.";

/// What `phalanx run` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = RUN_HELP)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) hosts: HostArgs,

    #[command(flatten)]
    pub(crate) connect: ConnectArgs,

    #[command(flatten)]
    pub(crate) work: WorkArgs,

    /// Run it on each host through ssh, or here (exec)
    #[arg(short = 'R', long, value_enum, default_value_t = Worker::Ssh)]
    pub(crate) worker: Worker,

    /// Show lines without their host
    #[arg(short = 'N', long)]
    pub(crate) no_label: bool,

    /// Gather: show identical output once, under the hosts it came from, at the end
    #[arg(short = 'b', long, conflicts_with = "json")]
    pub(crate) gather: bool,

    /// Write what each host says into NODE.out and NODE.err in this directory too
    #[arg(long, value_name = "DIR")]
    pub(crate) output_dir: Option<PathBuf>,

    /// Record what happens in this file, while it happens, for phalanx report and --failed-from; see docs/json.md
    #[arg(long, value_name = "FILE")]
    pub(crate) record: Option<PathBuf>,

    /// Run again on the hosts that failed in this record, or did not end; with -w on those of them only
    #[arg(long, value_name = "RECORD")]
    pub(crate) failed_from: Option<PathBuf>,

    /// The command; with --failed-from that of the record, if none is given
    #[arg(value_name = "COMMAND", required_unless_present = "failed_from", trailing_var_arg = true)]
    pub(crate) command: Vec<String>,
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

pub(crate) fn time(text: &str) -> Result<Duration, String> {
    duration::parse(text).map_err(|error| error.to_string())
}
