//! `phalanx play`: reads a plan, and plays it on this thread. Signals are as for `phalanx run`: once politely, then at
//! once.

mod act;
mod ending;
mod events;
mod stage;

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use phalanx_config::configuration::Configuration;
use phalanx_plan::player::{Line, Manner, outline};
use phalanx_plan::{Happening, Overrides, Plan, Player, ReadError};
use phalanx_process::Signal;
use phalanx_process::visible::visible;

use self::stage::Stage;
use crate::args::Worker;
use crate::connect::ConnectArgs;
use crate::exit;
use crate::show::ShowError;
use crate::stop::{SIGNALS, Stop};
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

/// How often the output is looked at while it cannot be written.
const TICK: Duration = Duration::from_millis(200);

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
            mistakes.to_string().lines().for_each(|line| exit::say(&line));
            return ExitCode::from(exit::USAGE);
        }
        Err(error) => return exit::usage(&error),
    };
    for warning in &plan.warnings {
        exit::say(&format_args!("{}:{warning} (a warning)", plan.file));
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
    let (plan, wanted) = (Arc::new(plan), Wanted::new(args, configuration));
    let stage = match Stage::new(&wanted) {
        Ok(stage) => stage,
        Err(error) => return exit::usage(&error),
    };
    match Play::new(plan, manner, stage, args.max_status).and_then(Play::play_to_the_end) {
        Ok(status) => ExitCode::from(status),
        Err(error) => exit::internal(&format!("cannot go on: {error}")),
    }
}

/// What is to be shown.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted<'a> {
    pub(crate) label: bool,
    pub(crate) quiet: bool,
    pub(crate) verbose: bool,
    pub(crate) json: bool,
    pub(crate) report: bool,
    pub(crate) record: Option<&'a std::path::Path>,
    pub(crate) configuration: &'a Configuration,
}

impl<'a> Wanted<'a> {
    fn new(args: &'a PlayArgs, configuration: &'a Configuration) -> Self {
        Self {
            label: !args.no_label,
            quiet: args.quiet,
            verbose: args.verbose > 0,
            json: args.json,
            report: args.report,
            record: args.record.as_deref(),
            configuration,
        }
    }
}

fn check(plan: &Plan) -> ExitCode {
    let steps = match plan.count {
        1 => "1 step".to_owned(),
        count => format!("{count} steps"),
    };
    written(writeln!(io::stdout(), "{}: {steps}, nothing wrong", plan.file))
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
    written(shown.and_then(|()| out.flush()))
}

fn written(result: io::Result<()>) -> ExitCode {
    match result {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            exit::internal(&format!("cannot write to stdout: {error}"))
        }
        _ => ExitCode::from(exit::OK),
    }
}

/// A plan under way.
struct Play {
    player: Player,
    stage: Stage,
    stop: Stop,
    max_status: bool,
}

impl Play {
    fn new(plan: Arc<Plan>, manner: Manner, stage: Stage, max_status: bool) -> io::Result<Self> {
        let mut player = Player::new(plan, manner)?;
        player.watch_signals(&SIGNALS)?;
        stage.on_progress(player.waker());
        Ok(Self { player, stage, stop: Stop::No, max_status })
    }

    fn play_to_the_end(mut self) -> io::Result<u8> {
        while !self.player.is_over() {
            let happening = match self.player.take_happening() {
                Some(happening) => Some(happening),
                None if self.player.is_over() => break,
                None => {
                    // Nothing more at hand: let it be seen what has come so far, before waiting for more.
                    let flushed = self.stage.flush();
                    self.note_output(flushed);
                    self.player.set_reading(!self.stage.is_congested());
                    let deadline = self.stage.is_congested().then(|| Instant::now() + TICK);
                    self.player.next_happening(deadline)?
                }
            };
            self.handle(happening);
        }
        self.conclude()
    }

    fn handle(&mut self, happening: Option<Happening>) {
        match happening {
            None | Some(Happening::Woken | Happening::Signal(Signal::XFSZ)) => {}
            Some(Happening::Signal(signal)) => self.stop_by(signal),
            Some(happening) => {
                let shown = self.stage.show(&self.player, happening);
                self.note_output(shown);
            }
        }
    }

    /// Once politely, then at once.
    fn stop_by(&mut self, signal: Signal) {
        match self.stop {
            Stop::No => {
                self.stage.stopping(signal, &self.player);
                self.player.stop();
                self.stop = Stop::Asked(signal);
            }
            Stop::Asked(first) | Stop::Killed(first) => {
                self.stage.killing(&self.player);
                self.player.kill();
                self.stop = Stop::Killed(first);
            }
            Stop::OutputClosed | Stop::OutputFailed => {}
        }
    }

    fn note_output(&mut self, shown: Result<(), ShowError>) {
        if self.stop.is_forced_by(shown, "plan") {
            self.player.kill();
        }
    }

    fn conclude(mut self) -> io::Result<u8> {
        let flushed = self.stage.flush();
        self.note_output(flushed);
        let shown = self.stage.conclude(&self.player, self.status());
        self.note_output(shown);
        self.drain()?;
        self.player.join();
        Ok(self.status())
    }

    /// Waits until everything has been written. While somebody does not read it, a signal ends that too.
    fn drain(&mut self) -> io::Result<()> {
        let moment = self.stop.last_moment();
        while !self.stage.is_drained() && moment.is_none_or(|end| Instant::now() < end) {
            if let Some(Happening::Signal(signal)) = self.player.next_happening(moment)?
                && self.stop.ends_waiting(signal)
            {
                return Ok(());
            }
        }
        let flushed = self.stage.flush();
        self.note_output(flushed);
        Ok(())
    }

    /// The first that applies: how it was stopped, the largest remote status if that is wanted, whether all went well.
    fn status(&self) -> u8 {
        if let Some(status) = self.stop.status() {
            return status;
        }
        match self.stage.max_status() {
            status if self.max_status && status > 0 => status,
            _ if !self.stage.is_ok(&self.player) => exit::FAILED,
            _ => exit::OK,
        }
    }
}
