//! `phalanx play`: reads a plan, and plays it on this thread. Signals are as for `phalanx run`: once politely, then at
//! once.

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use phalanx_config::configuration::Configuration;
use phalanx_plan::player::{Line, Manner, outline};
use phalanx_plan::{Overrides, Plan, ReadError};
use phalanx_process::visible::visible;

use crate::args::values::Worker;
use crate::connect::ConnectArgs;
use crate::execution::{Shape, execute};
use crate::exit;
use crate::output::{OutputOptions, Reporter};
use crate::work::policy;

/// What `phalanx play --help` says below the options.
const HELP: &str = "\
A plan is a file in TOML: steps with commands, files, dialogues and blocks of steps; docs/plans.md describes it. Its steps \
are played one after the other, unless they are in a parallel block; by default the first that fails ends the block it is \
in. What is in the background is ended with its block. Every line is shown with its host; paths here begin at the \
directory in which phalanx runs.

Exit status: 0 all ok; 1 some step failed or was not run, or not recorded; 2 the plan is wrong, nothing started; 3 \
internal error; 130, 143 stopped by SIGINT, SIGTERM; with -S the largest remote status.

The first Ctrl-C ends what runs politely and begins nothing more; the second kills at once.";

/// What `phalanx play` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(crate) struct PlayArgs {
    /// Say what is wrong with the plan, if anything, and do nothing
    #[arg(long, conflicts_with = "dry_run")]
    check: bool,

    /// Show every step and what would be done on each host, and do nothing
    #[arg(long)]
    dry_run: bool,

    /// Another value for a variable of the plan, or other hosts for a list; may be repeated
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = name_and_value)]
    values: Vec<(String, String)>,

    /// Run what is for hosts on each of them through ssh, or here (exec)
    #[arg(short = 'R', long, value_enum, default_value_t = Worker::Ssh)]
    worker: Worker,

    #[command(flatten)]
    pub(crate) connect: ConnectArgs,

    /// Say nothing but what the processes say
    #[arg(short, long, conflicts_with = "verbose")]
    pub(crate) quiet: bool,

    /// Say more: starts, ends, settings; twice for debugging
    #[arg(short, long, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,

    /// Show lines without their host
    #[arg(short = 'N', long)]
    no_label: bool,

    /// Exit with the largest remote status
    #[arg(short = 'S', long)]
    max_status: bool,

    /// Show one JSON object per event and line; see docs/json.md
    #[arg(long, conflicts_with_all = ["check", "dry_run"])]
    json: bool,

    /// Show a table of figures at the end, step by step
    #[arg(long)]
    report: bool,

    /// Record what happens in this file, while it happens, for phalanx report; see docs/json.md
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,

    /// The plan
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

fn name_and_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("expected NAME=VALUE".to_owned()),
    }
}

/// `phalanx play`, from what was typed to the exit status.
pub(crate) fn run(args: &PlayArgs, configuration: &Configuration) -> ExitCode {
    let values: BTreeMap<String, String> = args.values.iter().cloned().collect();
    let overrides = Overrides { values, exec: args.worker == Worker::Exec, nothing_starts: args.check || args.dry_run };
    let plan = match Plan::read(&args.file, &overrides) {
        Ok(plan) => plan,
        Err(ReadError::Diagnostics(mistakes)) => {
            mistakes.to_string().lines().for_each(|line| exit::eprint(&line));
            return ExitCode::from(exit::USAGE);
        }
        Err(error) => return exit::usage(&error),
    };
    for warning in &plan.warnings {
        exit::eprint(&format_args!("{}:{warning} (a warning)", plan.file));
    }
    if args.check {
        return check(&plan);
    }
    let params = match args.connect.params() {
        Ok(params) => params,
        Err(error) => return exit::usage(&error),
    };
    let manner = Manner {
        params,
        policy: policy(None, configuration),
        fanout: configuration.fanout,
        chain: configuration.chain.clone(),
    };
    if args.dry_run {
        return dry_run(&plan, &manner);
    }
    let reporter = match Reporter::open(&args.output(configuration), None, None) {
        Ok(reporter) => reporter,
        Err(error) => return exit::usage(&error),
    };
    execute(Shape::Plan, (plan, manner), reporter, args.max_status)
}

impl PlayArgs {
    fn output<'a>(&'a self, configuration: &'a Configuration) -> OutputOptions<'a> {
        OutputOptions {
            configuration,
            label: !self.no_label,
            quiet: self.quiet,
            verbose: self.verbose > 0,
            gather: false,
            json: self.json,
            report: self.report,
            // There are lines for the steps instead.
            status_line: false,
            output_dir: None,
            record: self.record.as_deref(),
        }
    }
}

fn check(plan: &Plan) -> ExitCode {
    let steps = match plan.count {
        1 => "1 step".to_owned(),
        count => format!("{count} steps"),
    };
    exit::after_writing(writeln!(io::stdout(), "{}: {steps}, nothing wrong", plan.file))
}

fn dry_run(plan: &Plan, manner: &Manner) -> ExitCode {
    let mut out = io::BufWriter::with_capacity(64 * 1024, io::stdout().lock());
    let shown = outline(plan, manner, |line| {
        let Line { depth, host, text } = line;
        let (indent, text) = (2 * depth, visible(&text));
        match host {
            Some(host) => writeln!(out, "{:indent$}{host}: {text}", ""),
            None => writeln!(out, "{:indent$}{text}", ""),
        }
    });
    exit::after_writing(shown.and_then(|()| out.flush()))
}
