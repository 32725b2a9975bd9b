//! Shows a run: lines with labels, gathered, as JSON, into files; a status line, a report.
//!
//! A show is made of parts that do not know each other: the [`labels`](labels::Labels) or [`events`](events::Events) write
//! stdout and stderr through one [`screen`](screen::Screen); [`gather`](gather::Gather) keeps for the end;
//! [`files`](files::Files) write a directory, and the [`record`](record::Record) a file of events.

pub(crate) mod events;
mod files;
mod gather;
pub(crate) mod labels;
pub(crate) mod partial;
mod progress;
pub(crate) mod record;
pub(crate) mod screen;
mod status;
mod writer;

use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;

use phalanx_action::rollout::Retry;
use phalanx_config::configuration::Configuration;
use phalanx_nodeset::fold_names;
use phalanx_process::Signal;
use phalanx_process::event::Stream;
use phalanx_process::outcome::Outcome;
use phalanx_process::result::HostResult;
use phalanx_process::visible::visible;
use phalanx_record::date::Zone;
use phalanx_record::report::{Layout, Report};

use self::events::Events;
use self::files::Files;
use self::gather::Gather;
use self::labels::Labels;
use self::progress::ProgressWatch;
use self::record::{Record, RecordError};
use self::screen::Screen;
use self::status::StatusLine;
use crate::args::RunArgs;
use crate::exit;
use crate::run::{Plan, Tally};
use crate::work::WorkArgs;

/// Nothing can be shown any more.
#[derive(Debug, thiserror::Error)]
#[error("cannot write to {to}: {error}")]
pub(crate) struct ShowError {
    to: &'static str,
    error: io::Error,
}

impl ShowError {
    pub(crate) fn is_broken_pipe(&self) -> bool {
        self.error.kind() == io::ErrorKind::BrokenPipe
    }
}

/// A run cannot be shown as was asked for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BeginError {
    #[error("cannot write into `{}` (--output-dir): {error}", .directory.display())]
    OutputDir { directory: std::path::PathBuf, error: io::Error },
    #[error("cannot start a thread for the output: {0}")]
    Thread(io::Error),
    #[error(transparent)]
    Record(#[from] RecordError),
}

/// How what comes is shown.
enum Style {
    Labels(Labels),
    Json(Events),
    /// Nothing now, everything at the end.
    Gathered,
}

/// What a verb wants to be shown.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted<'a> {
    pub(crate) configuration: &'a Configuration,
    pub(crate) label: bool,
    pub(crate) quiet: bool,
    pub(crate) verbose: bool,
    pub(crate) gather: bool,
    pub(crate) json: bool,
    pub(crate) report: bool,
    pub(crate) output_dir: Option<&'a Path>,
    pub(crate) record: Option<&'a Path>,
}

impl<'a> Wanted<'a> {
    /// What these options ask for.
    pub(crate) fn of_work(work: &WorkArgs, configuration: &'a Configuration) -> Self {
        let (quiet, verbose) = (work.quiet, work.verbose > 0);
        Self {
            configuration,
            label: true,
            quiet,
            verbose,
            gather: false,
            json: work.json,
            report: work.report,
            output_dir: None,
            record: None,
        }
    }

    /// What the options of `phalanx run` ask for.
    pub(crate) fn of_run(run: &'a RunArgs, configuration: &'a Configuration) -> Self {
        let output_dir = run.output_dir.as_deref();
        let record = run.record.as_deref();
        Self { label: !run.no_label, gather: run.gather, output_dir, record, ..Self::of_work(&run.work, configuration) }
    }
}

/// Everything a run shows, and where.
pub(crate) struct Show<'a> {
    plan: &'a Plan,
    screen: Screen,
    style: Style,
    gather: Option<Gather>,
    files: Option<Files>,
    record: Option<Record>,
    status: Option<StatusLine>,
    progress: Option<ProgressWatch<'a>>,
    quiet: bool,
    verbose: bool,
    report: bool,
}

impl<'a> Show<'a> {
    /// What was asked for.
    ///
    /// # Errors
    /// When the output directory or the record cannot be written.
    pub(crate) fn new(args: &Wanted<'_>, plan: &'a Plan) -> Result<Self, BeginError> {
        let screen = Screen::new(args.configuration).map_err(BeginError::Thread)?;
        let files = args.output_dir.map(Files::new).transpose();
        let files = files.map_err(|(directory, error)| BeginError::OutputDir { directory, error })?;
        // Last, so that what else is refused leaves no record behind.
        let record = args.record.map(|path| Record::begin(path, plan)).transpose()?;
        let verbose = args.verbose;
        let style = match (args.json, args.gather) {
            (true, _) => Style::Json(Events::default()),
            (false, true) if !verbose => Style::Gathered,
            (false, _) => Style::Labels(Labels::new(args.label, screen.styles().clone())),
        };
        let status = (!args.quiet && screen.has_terminal()).then(StatusLine::new);
        let gather = args.gather.then(Gather::default);
        let progress = plan.is_files().then(|| ProgressWatch::new(plan));
        Ok(Self {
            plan,
            screen,
            style,
            progress,
            gather,
            files,
            record,
            status,
            quiet: args.quiet,
            verbose,
            report: args.report,
        })
    }

    /// Whether it wants to look at the time although nothing happens.
    pub(crate) fn needs_ticks(&self) -> bool {
        self.status.is_some() || self.progress.is_some() && matches!(self.style, Style::Json(_))
    }

    /// Whether something could not be recorded.
    pub(crate) fn record_is_incomplete(&self) -> bool {
        self.record.as_ref().is_some_and(Record::is_incomplete)
    }

    /// Writes what has been shown so far.
    pub(crate) fn flush(&mut self) -> Result<(), ShowError> {
        self.record.iter_mut().for_each(Record::flush);
        self.screen.flush()
    }

    /// Calls `wake` when the writing has caught up, or cannot go on.
    pub(crate) fn on_progress(&self, wake: impl Fn() + Send + 'static) {
        self.screen.writer().on_progress(wake);
    }

    /// Whether the hosts should not be read now, since what they said already is still being written.
    pub(crate) fn is_congested(&self) -> bool {
        self.screen.writer().is_congested()
    }

    /// Whether everything shown has been written, or cannot be.
    pub(crate) fn is_drained(&self) -> bool {
        self.screen.writer().is_drained()
    }

    /// Looks at the status line.
    pub(crate) fn tick(&mut self, tally: &Tally) {
        if let Some(status) = &mut self.status {
            let progress = || self.progress.as_mut().map(ProgressWatch::text);
            status.update(tally, progress, &mut self.screen);
        }
        if let Style::Json(_) = &self.style
            && let Some((progress, total)) = self.progress.as_mut().and_then(ProgressWatch::due)
            && let Err(error) = self.screen.write_stdout(|out| Events::progress(progress, total, out))
        {
            // The next event finds the same, and ends the run.
            log::debug!("{error}");
        }
    }

    pub(crate) fn started(&mut self, host: usize, pid: u32) -> Result<(), ShowError> {
        let name = &self.plan.hosts[host];
        if let Some(record) = &mut self.record {
            record.started(name, pid);
        }
        match &mut self.style {
            Style::Json(_) => self.screen.write_stdout(|out| Events::started(name, pid, out)),
            _ if self.verbose => {
                let text = format!("{name}: started, pid {pid}");
                self.message(&text)
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn output(&mut self, host: usize, stream: Stream, bytes: &[u8]) -> Result<(), ShowError> {
        let name = &self.plan.hosts[host];
        if let Some(files) = &mut self.files {
            files.append(name, stream, bytes);
        }
        if let Some(record) = &mut self.record {
            record.output(host, name, stream, bytes);
        }
        if let Some(gather) = &mut self.gather {
            gather.append(host, stream, bytes);
        }
        match &mut self.style {
            Style::Labels(labels) => labels.output(host, name, stream, bytes, &mut self.screen),
            Style::Json(events) => self.screen.write_stdout(|out| events.output(host, name, stream, bytes, out)),
            Style::Gathered => Ok(()),
        }
    }

    /// A host will say no more: its files are complete.
    ///
    /// # Errors
    /// What could not be written into them.
    pub(crate) fn close(&mut self, host: usize) -> Result<(), String> {
        self.files.as_mut().map_or(Ok(()), |files| files.close(&self.plan.hosts[host]))
    }

    /// An attempt has failed, and there will be another. What was said stays, but for what is gathered.
    pub(crate) fn retry(&mut self, host: usize, verdict: &HostResult, retry: Retry) -> Result<(), ShowError> {
        let name = &self.plan.hosts[host];
        if let Some(gather) = &mut self.gather {
            gather.forget(host);
        }
        if let Some(record) = &mut self.record {
            record.retry(host, name, verdict, retry);
        }
        match &mut self.style {
            Style::Json(events) => {
                return self.screen.write_stdout(|out| events.retry(host, name, verdict, retry, out));
            }
            Style::Labels(labels) => labels.end(host, name, &mut self.screen)?,
            Style::Gathered => {}
        }
        if self.quiet {
            return Ok(());
        }
        let Retry { failed, attempts, pause } = retry;
        let sentence = verdict.sentence();
        self.message(&format!(
            "{name}: {sentence}; that was attempt {failed} of {attempts}, the next is in {pause:.0?}"
        ))
    }

    pub(crate) fn ended(&mut self, host: usize, tally: &Tally, outcome: &Outcome) -> Result<(), ShowError> {
        let name = &self.plan.hosts[host];
        let verdict = tally.verdict(host).expect("it has just ended");
        if let Some(gather) = &mut self.gather {
            gather.end(host, verdict);
        }
        if let Some(record) = &mut self.record {
            record.ended(host, name, verdict, outcome);
        }
        match &mut self.style {
            Style::Json(events) => {
                self.screen.write_stdout(|out| events.ended(host, name, verdict, Some(outcome), out))?;
            }
            Style::Labels(labels) => labels.end(host, name, &mut self.screen)?,
            Style::Gathered => {}
        }
        let live = matches!(self.style, Style::Labels(_)) && self.gather.is_none() && !self.quiet;
        // Who was stopped with all the others is told of with all the others.
        let stopped = matches!(verdict, HostResult::Interrupted | HostResult::NotStarted);
        if outcome.leaked && !outcome.killed && !self.quiet && !matches!(self.style, Style::Json(_)) {
            self.message(&format!(
                "{name}: it left something running that kept its output open; what that says later is lost"
            ))?;
        }
        if live && !stopped && (!verdict.is_ok() || self.verbose) {
            return self.message(&format!("{name}: {}", verdict.sentence()));
        }
        Ok(())
    }

    /// The run is being stopped: says who is still running.
    pub(crate) fn stopping(&mut self, signal: Signal, running: &[usize], waiting: &[usize]) {
        let mut text = format!("{signal}: ending {}", self.fold(running));
        if !waiting.is_empty() {
            text += &format!("; not starting {}", self.fold(waiting));
        }
        self.warn(&(text + "; once more to kill at once"));
    }

    /// The run is being stopped the hard way.
    pub(crate) fn killing(&mut self, running: &[usize]) {
        let text = format!("killing {}", self.fold(running));
        self.warn(&text);
    }

    /// A line of our own, on stderr.
    fn message(&mut self, text: &str) -> Result<(), ShowError> {
        if let Style::Labels(labels) = &mut self.style {
            labels.close_line(Stream::Stderr, &mut self.screen)?;
        }
        self.screen.message(text)
    }

    fn warn(&mut self, text: &str) {
        // The run is being stopped anyway; there is nobody else to tell.
        if let Err(error) = self.message(text) {
            log::debug!("{error}");
        }
    }

    fn fold(&self, hosts: &[usize]) -> String {
        folded(self.plan, hosts.iter().copied(), true)
    }

    /// All that is shown when everybody has ended.
    pub(crate) fn conclude(&mut self, tally: &Tally, status: u8) -> Result<(), ShowError> {
        if let Some(record) = &mut self.record {
            record.summary(self.plan, tally, status);
        }
        self.status = None;
        self.screen.set_status("");
        let gather = self.gather.take();
        let told = self.quiet || gather.is_some();
        if let Some(gather) = gather {
            gather.show(self.plan, tally, self.quiet, &mut self.screen)?;
        }
        match &mut self.style {
            Style::Json(events) => self.screen.write_stdout(|out| events.summary(self.plan, tally, status, out))?,
            Style::Labels(_) | Style::Gathered if !told => self.tell_the_stopped(tally)?,
            Style::Labels(_) | Style::Gathered => {}
        }
        if let Some(progress) = &mut self.progress
            && self.verbose
        {
            let text = progress.text();
            self.screen.message(&text)?;
        }
        if self.report {
            self.show_report(tally)?;
        }
        self.screen.flush()
    }

    fn tell_the_stopped(&mut self, tally: &Tally) -> Result<(), ShowError> {
        for verdict in [HostResult::Interrupted, HostResult::NotStarted] {
            let those: Vec<_> =
                tally.verdicts().filter(|(_, other)| **other == verdict).map(|(host, _)| host).collect();
            if !those.is_empty() {
                let text = format!("{}: {}", self.fold(&those), verdict.sentence());
                self.message(&text)?;
            }
        }
        Ok(())
    }

    /// On stdout, except beside JSON, which others read.
    fn show_report(&mut self, tally: &Tally) -> Result<(), ShowError> {
        let mut stats = tally.stats().clone();
        stats.name.clone_from(&self.plan.command);
        let mut report = Report::default();
        report.add(stats);
        let layout = if self.screen.columns() >= 157 { Layout::Wide } else { Layout::Narrow };
        let text = report.to_text(layout, false, &Zone::system());
        if matches!(self.style, Style::Json(_)) {
            self.screen.stderr(text.as_bytes())
        } else {
            self.screen.stdout(text.as_bytes())
        }
    }
}

/// Folded names of hosts, and how many they are.
fn folded(plan: &Plan, hosts: impl ExactSizeIterator<Item = usize>, count: bool) -> String {
    let number = hosts.len();
    let folded = fold_names(hosts.map(|host| &plan.hosts[host]));
    match number {
        0 => "nobody".to_owned(),
        1 => folded,
        _ if count => format!("{folded} ({number})"),
        _ => folded,
    }
}

/// Shows what would be run on each host.
pub(crate) fn dry_run(plan: &Plan) -> ExitCode {
    let recipe = plan.recipe();
    let mut out = io::BufWriter::with_capacity(64 * 1024, io::stdout().lock());
    let written = plan
        .hosts
        .iter()
        .enumerate()
        .try_for_each(|(rank, host)| writeln!(out, "{host}: {}", visible(&recipe.describe(host, rank))));
    match written.and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            exit::internal(&format!("cannot write to stdout: {error}"))
        }
        _ => ExitCode::from(exit::OK),
    }
}
