//! What `phalanx run` takes. What it means is found out in `run/plan.rs`.

use std::path::PathBuf;

use crate::args::values::Worker;
use crate::connect::ConnectArgs;
use crate::hosts::HostArgs;
use crate::work::WorkArgs;

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
