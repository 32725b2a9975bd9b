//! What was typed, before anything is asked of the world. What it means is found out in [`crate::run::plan`].

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand, ValueEnum};
use log::LevelFilter;
use phalanx_process::duration;

use crate::connect::ConnectArgs;
use crate::forward::ForwardArgs;
use crate::hosts::HostArgs;

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
    /// Make a port here lead to a port behind a host
    Forward(ForwardArgs),
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
joined by blanks and interpreted by each host's shell, as ssh does. In them, {{{host}}} is the host. With -R exec they \
are run here, once for each host name: %h is the name too, %n its rank from 0.

Exit status: 0 all ok; 1 some process not ok; 2 wrong usage, nothing started; 3 internal error; 130, 143 stopped by \
SIGINT, SIGTERM; with -S the largest remote status, where timeouts and hosts that cannot be reached count 255.

The first Ctrl-C ends what runs politely and says who that is; the second kills at once.";

/// What `phalanx run` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = RUN_HELP)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) hosts: HostArgs,

    /// How many hosts work at once
    #[arg(short, long, value_name = "N", default_value_t = 64, value_parser = at_least_one)]
    pub(crate) fanout: usize,

    /// How long the command may take on each host, in seconds or H:M:S; 0 for ever
    #[arg(short = 'u', long, value_name = "TIME", value_parser = time)]
    pub(crate) command_timeout: Option<Duration>,

    #[command(flatten)]
    pub(crate) connect: ConnectArgs,

    /// Run it on each host through ssh, or here (exec)
    #[arg(short = 'R', long, value_enum, default_value_t = Worker::Ssh)]
    pub(crate) worker: Worker,

    /// Show lines without their host
    #[arg(short = 'N', long)]
    pub(crate) no_label: bool,

    /// Say nothing but what the hosts say
    #[arg(short, long, conflicts_with = "verbose")]
    pub(crate) quiet: bool,

    /// Say more: starts, ends, settings; twice for debugging
    #[arg(short, long, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,

    /// Exit with the largest remote status
    #[arg(short = 'S', long)]
    pub(crate) max_status: bool,

    /// Gather: show identical output once, under the hosts it came from, at the end
    #[arg(short = 'b', long, conflicts_with = "json")]
    pub(crate) gather: bool,

    /// Show one JSON object per event and line; see docs/json.md
    #[arg(long)]
    pub(crate) json: bool,

    /// Show a table of figures at the end
    #[arg(long)]
    pub(crate) report: bool,

    /// Show what would be run on each host, and run nothing
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// Write what each host says into NODE.out and NODE.err in this directory too
    #[arg(long, value_name = "DIR")]
    pub(crate) output_dir: Option<PathBuf>,

    /// The command
    #[arg(value_name = "COMMAND", required = true, trailing_var_arg = true)]
    pub(crate) command: Vec<String>,
}

impl Args {
    /// How much is to be said: -1 for `-q`, 0, 1 for `-v`…
    pub(crate) fn verbosity(&self) -> i16 {
        match &self.verb {
            Verb::Run(run) => i16::from(run.verbose) - i16::from(run.quiet),
            Verb::Forward(forward) => i16::from(forward.verbose) - i16::from(forward.quiet),
            Verb::Nodeset { .. } => 0,
        }
    }
}

/// Logs go to stderr, warnings by default; `RUST_LOG` has the last word.
pub(crate) fn start_logging(verbosity: i16) {
    let level = match verbosity {
        ..=-1 => LevelFilter::Error,
        0 => LevelFilter::Warn,
        1 => LevelFilter::Info,
        _ => LevelFilter::Debug,
    };
    let mut builder = env_logger::Builder::new();
    // The only handlers in this program are its own: a slow turn is a busy machine's, and no news for a user.
    builder.filter_level(level).filter_module("phalanx_process::engine", quieter(level));
    builder.parse_default_env().format_target(false).init();
}

fn quieter(level: LevelFilter) -> LevelFilter {
    if level <= LevelFilter::Warn { LevelFilter::Error } else { level }
}

fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("at least one host must be allowed to work".to_owned()),
        Ok(number) => Ok(number),
        Err(_) => Err("expected a number".to_owned()),
    }
}

pub(crate) fn time(text: &str) -> Result<Duration, String> {
    duration::parse(text).map_err(|error| error.to_string())
}
