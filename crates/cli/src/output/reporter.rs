//! Tells everything that shows a job what happens in it.

use std::collections::BTreeMap;
use std::time::Duration;

use phalanx_action::job::Retry;
use phalanx_nodeset::fold_names;
use phalanx_process::Signal;
use phalanx_process::event::Stream;
use phalanx_process::outcome::Finished;
use phalanx_process::result::{HostResult, ResultClass};
use phalanx_process::stats::Calendar;
use phalanx_record::date::Zone;
use phalanx_record::event::Event;
use phalanx_record::report::{Layout, Report};

use super::console::Console;
use super::event::{JobEvent, StepDescription, StepId};
use super::files::Files;
use super::gather::Gather;
use super::json::Json;
use super::lines::Lines;
use super::progress::{FileProgress, ProgressWatch};
use super::record::Record;
use super::status::StatusLine;
use super::step_state::{Counts, StepState, folded};
use super::{OpenError, OutputError, OutputOptions};
use crate::exit;

/// Everything that shows a job, and what is known of the job.
pub(crate) struct Reporter<'a> {
    console: Console,
    events: EventWriter,
    /// Lines as they come; not beside JSON, and not if everything is gathered.
    lines: Option<Lines>,
    gather: Option<Gather>,
    files: Option<Files>,
    status: Option<StatusLine>,
    progress: Option<ProgressWatch<'a>>,
    quiet: bool,
    verbose: bool,
    report: bool,
    calendar: Calendar,
    steps: BTreeMap<StepId, StepState>,
    /// How many members the steps have that have begun.
    members: usize,
    max_status: u8,
}

/// Where events go.
struct EventWriter {
    record: Option<Record>,
    json: Option<Json>,
}

impl EventWriter {
    fn write(&mut self, console: &mut Console, write: impl Fn(&mut Json, &mut Vec<u8>)) -> Result<(), OutputError> {
        if let Some(record) = &mut self.record {
            record.append(&write);
        }
        match &mut self.json {
            Some(json) => console.write_stdout(|to| write(json, to)),
            None => Ok(()),
        }
    }
}

/// What is shown when a job is over.
pub(crate) struct Conclusion {
    pub(crate) exit_status: u8,
    /// Of a plan: how many steps are ok, and how many are not. Of a run, its members are counted.
    pub(crate) steps: Option<(usize, usize)>,
    /// For people, unless gathered output says it already.
    pub(crate) lines: Vec<String>,
    pub(crate) report: Option<Report>,
}

impl<'a> Reporter<'a> {
    /// Opens what was asked for. A record begins with `first`; `files` are those that travel, if any do.
    ///
    /// # Errors
    /// When the output directory or the record cannot be written.
    pub(crate) fn open(
        options: &OutputOptions<'_>,
        first: Option<&Event<'_>>,
        files: Option<&'a dyn FileProgress>,
    ) -> Result<Self, OpenError> {
        let console = Console::new(options.configuration).map_err(OpenError::Thread)?;
        let directory = options.output_dir.map(Files::new).transpose();
        let directory = directory.map_err(|(directory, error)| OpenError::OutputDir { directory, error })?;
        // Last, so that what else is refused leaves no record behind.
        let record = options.record.map(|path| Record::begin(path, first)).transpose()?;
        let all_at_the_end = options.gather && !options.verbose;
        let lines = (!options.json && !all_at_the_end).then(|| Lines::new(options.label, console.styles().clone()));
        let status = (options.status_line && !options.quiet && console.has_terminal()).then(StatusLine::new);
        Ok(Self {
            console,
            events: EventWriter { record, json: options.json.then(Json::default) },
            lines,
            gather: options.gather.then(Gather::default),
            files: directory,
            status,
            progress: files.map(ProgressWatch::new),
            quiet: options.quiet,
            verbose: options.verbose,
            report: options.report,
            calendar: Calendar::now(),
            steps: BTreeMap::new(),
            members: 0,
            max_status: exit::OK,
        })
    }

    fn is_json(&self) -> bool {
        self.events.json.is_some()
    }

    /// Returns whether the clock matters to it although nothing happens.
    pub(crate) fn needs_ticks(&self) -> bool {
        self.status.is_some() || self.progress.is_some() && self.is_json()
    }

    /// Returns whether a report is to be shown at the end.
    pub(crate) fn wants_report(&self) -> bool {
        self.report
    }

    /// Returns whether something could not be recorded.
    pub(crate) fn record_is_incomplete(&self) -> bool {
        self.events.record.as_ref().is_some_and(Record::is_incomplete)
    }

    /// Returns the largest exit status of a member whose failure counts.
    pub(crate) fn max_status(&self) -> u8 {
        self.max_status
    }

    /// Returns whether a member has failed for good.
    pub(crate) fn has_failures(&self) -> bool {
        self.counts().failed > 0
    }

    fn counts(&self) -> Counts {
        self.steps.values().map(StepState::counts).fold(Counts::default(), |sum, step| Counts {
            total: sum.total + step.total,
            running: sum.running + step.running,
            ended: sum.ended + step.ended,
            failed: sum.failed + step.failed,
        })
    }

    /// Returns what is known of a step; nothing before it has begun.
    pub(crate) fn step(&self, step: StepId) -> Option<&StepState> {
        self.steps.get(&step)
    }

    /// Writes what has been shown so far.
    pub(crate) fn flush(&mut self) -> Result<(), OutputError> {
        self.events.record.iter_mut().for_each(Record::flush);
        self.console.flush()
    }

    /// Calls `wake` when the writing has caught up, or cannot go on.
    pub(crate) fn on_progress(&self, wake: impl Fn() + Send + 'static) {
        self.console.writer().on_progress(wake);
    }

    /// Returns whether the processes should not be read now, since what they have written is still to be shown.
    pub(crate) fn is_congested(&self) -> bool {
        self.console.writer().is_congested()
    }

    /// Returns whether everything shown has been written, or cannot be.
    pub(crate) fn is_drained(&self) -> bool {
        self.console.writer().is_drained()
    }

    /// Updates what changes with time: the status line, events of progress.
    pub(crate) fn tick(&mut self) {
        let counts = self.counts();
        if let Some(status) = &mut self.status {
            let progress = || self.progress.as_mut().map(ProgressWatch::text);
            status.update(counts, progress, &mut self.console);
        }
        if self.is_json()
            && let Some((progress, total)) = self.progress.as_mut().and_then(ProgressWatch::due)
            && let Err(error) = self.console.write_stdout(|to| Json::progress(progress, total, to))
        {
            // The next event finds the same, and ends the job.
            log::debug!("{error}");
        }
    }

    /// Shows what has happened.
    ///
    /// # Errors
    /// When nothing can be shown any more.
    pub(crate) fn handle(&mut self, event: JobEvent<'_>) -> Result<(), OutputError> {
        match event {
            JobEvent::StepBegun { step, description } => self.step_begun(step, description),
            JobEvent::Started { step, member, attempt, pid } => self.started(step, member, attempt, pid),
            JobEvent::Output { step, member, stream, bytes, shown } => self.output(step, member, stream, bytes, shown),
            JobEvent::Ended { step, member, result, finished, retry: None } => {
                self.ended(step, member, result, finished)
            }
            JobEvent::Ended { step, member, result, retry: Some(retry), .. } => {
                self.retry(step, member, &result, retry)
            }
            JobEvent::NotStarted { step, member } => self.not_started(step, member),
            JobEvent::StepReady { step } => self.say(self.verbose, step, "is ready"),
            JobEvent::Note { step, text } => self.say(!self.quiet, step, text),
            JobEvent::StepEnded { step, ok, reason } => self.step_ended(step, ok, reason),
            JobEvent::StepSkipped { step, path, message } => {
                self.events.write(&mut self.console, |_, to| Json::step_skipped(step, &path, &message, to))
            }
        }
    }

    fn step_begun(&mut self, step: StepId, description: StepDescription) -> Result<(), OutputError> {
        let state = StepState::new(description, self.members);
        self.members += state.members().len();
        let StepDescription { path, block, background, .. } = &state.description;
        let mut text = path.clone();
        if !state.members().is_empty() {
            text += &format!(" ({})", fold_names(state.members()));
        }
        if *background {
            text += ", in the background";
        }
        // The only step of a run needs no announcement.
        let announced = step != StepId::RUN;
        if announced && !block {
            self.events.write(&mut self.console, |_, to| Json::step_begun(step, &state, to))?;
        }
        self.steps.insert(step, state);
        if announced && !self.quiet && !self.is_json() { self.message(&text) } else { Ok(()) }
    }

    fn started(&mut self, step: StepId, member: usize, attempt: u32, pid: u32) -> Result<(), OutputError> {
        let state = state_mut(&mut self.steps, step);
        state.started(member);
        let (_, name) = state.member(member);
        self.events.write(&mut self.console, |_, to| Json::started(step, name, pid, to))?;
        if !self.verbose {
            return Ok(());
        }
        let again = if attempt > 1 { format!(", attempt {attempt}") } else { String::new() };
        let text = format!("{name}: started, pid {pid}{again}");
        self.say(true, step, &text)
    }

    fn output(
        &mut self,
        step: StepId,
        member: usize,
        stream: Stream,
        bytes: &[u8],
        shown: bool,
    ) -> Result<(), OutputError> {
        let (key, name) = state(&self.steps, step).member(member);
        if let Some(files) = &mut self.files {
            files.append(name, stream, bytes);
        }
        if let Some(gather) = &mut self.gather {
            gather.append(member, stream, bytes);
        }
        self.events.write(&mut self.console, |json, to| json.output(step, (key, name), stream, bytes, to))?;
        match &mut self.lines {
            Some(lines) if shown => lines.output(key, name, stream, bytes, &mut self.console),
            _ => Ok(()),
        }
    }

    /// Shows that an attempt has failed, and that there will be another. What it wrote stays, but for what is gathered.
    fn retry(&mut self, step: StepId, member: usize, result: &HostResult, retry: Retry) -> Result<(), OutputError> {
        let state = state_mut(&mut self.steps, step);
        state.failed_for_now(member);
        let (key, name) = state.member(member);
        if let Some(gather) = &mut self.gather {
            gather.forget(member);
        }
        self.events.write(&mut self.console, |json, to| json.retry(step, (key, name), result, retry, to))?;
        if let Some(lines) = &mut self.lines {
            lines.end(key, name, &mut self.console)?;
        }
        let Retry { failed, attempts, delay } = retry;
        let pause = seconds(delay);
        let text = format!("{name}: {result}; that was attempt {failed} of {attempts}, the next is in {pause}");
        self.say(!self.quiet, step, &text)
    }

    fn ended(
        &mut self,
        step: StepId,
        member: usize,
        result: HostResult,
        finished: &Finished,
    ) -> Result<(), OutputError> {
        let state = state_mut(&mut self.steps, step);
        let (key, name) = state.member(member);
        let name = name.to_owned();
        let lost = self.files.as_mut().and_then(|files| files.close(&name).err());
        if let Some(lost) = lost.as_ref().filter(|_| !result.is_ok()) {
            log::error!("{name}: {lost}");
        }
        let result = result.unless_output_lost(lost);
        state.ended(member, result.clone(), finished, &self.calendar);
        let failure_counts = !state.description.failures_ignored;
        if failure_counts {
            self.max_status = self.max_status.max(exit::of_result(&result));
        }
        if let Some(gather) = &mut self.gather {
            gather.end(member, &result);
        }
        let outcome = &finished.outcome;
        self.events.write(&mut self.console, |json, to| json.ended(step, (key, &name), &result, Some(outcome), to))?;
        if let Some(lines) = &mut self.lines {
            lines.end(key, &name, &mut self.console)?;
        }
        if outcome.leaked && !outcome.killed && !self.quiet {
            let text = "it left something running that kept its output open; what that says later is lost";
            self.say(true, step, &format!("{name}: {text}"))?;
        }
        // Those that were stopped with all the others are in one line with all the others.
        let worth_a_line = match result.kind().class() {
            ResultClass::Ok => self.verbose,
            ResultClass::Stopped => false,
            ResultClass::Failed | ResultClass::Infrastructure => self.verbose || failure_counts,
        };
        self.say(worth_a_line && !self.quiet && self.gather.is_none(), step, &format!("{name}: {result}"))
    }

    fn not_started(&mut self, step: StepId, member: usize) -> Result<(), OutputError> {
        let state = state_mut(&mut self.steps, step);
        state.not_started(member);
        if !state.description.failures_ignored {
            self.max_status = self.max_status.max(exit::of_result(&HostResult::NotStarted));
        }
        let member = state.member(member);
        self.events.write(&mut self.console, |json, to| json.ended(step, member, &HostResult::NotStarted, None, to))
    }

    fn step_ended(&mut self, step: StepId, ok: bool, reason: Option<String>) -> Result<(), OutputError> {
        let Some(state) = self.steps.get_mut(&step) else { return Ok(()) };
        state.reason.clone_from(&reason);
        if !state.description.block {
            let (state, exit_status) = (&*state, u8::from(!ok));
            self.events.write(&mut self.console, |_, to| Json::summary_of_members(step, state, exit_status, to))?;
        }
        match reason {
            Some(reason) => self.say(!self.quiet, step, &reason),
            None => Ok(()),
        }
    }

    /// Writes a line about a step on stderr, if it is wanted and not in the way of JSON.
    fn say(&mut self, wanted: bool, step: StepId, text: &str) -> Result<(), OutputError> {
        if !wanted || self.is_json() {
            return Ok(());
        }
        match self.steps.get(&step).map(|state| state.description.path.as_str()) {
            None | Some("") => self.message(text),
            Some(path) => {
                let text = format!("{path}: {text}");
                self.message(&text)
            }
        }
    }

    /// Writes a line of ours on stderr.
    fn message(&mut self, text: &str) -> Result<(), OutputError> {
        if let Some(lines) = &mut self.lines {
            lines.close_line(Stream::Stderr, &mut self.console)?;
        }
        self.console.message(text)
    }

    /// Says that the job is being stopped: what is still running, and what is not started any more.
    pub(crate) fn stopping(&mut self, signal: Signal, running: &[(StepId, usize)], waiting: &[(StepId, usize)]) {
        let mut text = format!("{signal}: ending {}", self.members_in_words(running));
        if !waiting.is_empty() {
            text += &format!("; not starting {}", self.members_in_words(waiting));
        }
        self.warn(&(text + "; once more to kill at once"));
    }

    /// Says that the job is being stopped the hard way.
    pub(crate) fn killing(&mut self, running: &[(StepId, usize)]) {
        let text = format!("killing {}", self.members_in_words(running));
        self.warn(&text);
    }

    fn warn(&mut self, text: &str) {
        // The job is being stopped anyway.
        if let Err(error) = self.message(text) {
            log::debug!("{error}");
        }
    }

    /// Returns the folded names of members by their steps.
    fn members_in_words(&self, members: &[(StepId, usize)]) -> String {
        let mut steps: BTreeMap<StepId, Vec<usize>> = BTreeMap::new();
        for (step, member) in members {
            steps.entry(*step).or_default().push(*member);
        }
        let words = |(step, members): (StepId, Vec<usize>)| {
            let state = self.steps.get(&step)?;
            let path = &state.description.path;
            let names = folded(state.members(), members.into_iter(), path.is_empty());
            Some(if path.is_empty() { names } else { format!("{path} ({names})") })
        };
        let words: Vec<String> = steps.into_iter().filter_map(words).collect();
        match (words.is_empty(), self.steps.contains_key(&StepId::RUN)) {
            (false, _) => words.join(", "),
            (true, true) => "nothing".to_owned(),
            // What runs may be a pause or a forwarded port.
            (true, false) => "the plan".to_owned(),
        }
    }

    /// Shows all that is shown when everything is over.
    ///
    /// # Errors
    /// When nothing can be shown any more.
    pub(crate) fn conclude(&mut self, conclusion: Conclusion) -> Result<(), OutputError> {
        let Conclusion { exit_status, steps, lines, report } = conclusion;
        let run = self.steps.get(&StepId::RUN);
        self.events.write(&mut self.console, |_, to| match (steps, run) {
            (Some((ok, failed)), _) => Json::summary_of_steps(ok, failed, exit_status, to),
            (None, Some(state)) => Json::summary_of_members(StepId::RUN, state, exit_status, to),
            (None, None) => {}
        })?;
        self.events.record.iter_mut().for_each(Record::flush);
        self.status = None;
        self.console.set_status("");
        match (self.gather.take(), run) {
            (Some(gather), Some(state)) => gather.show(state, self.quiet, &mut self.console)?,
            _ if self.quiet || self.is_json() => {}
            _ => lines.iter().try_for_each(|line| self.message(line))?,
        }
        if let Some(progress) = self.progress.as_mut().filter(|_| self.verbose) {
            let text = progress.text();
            self.console.message(&text)?;
        }
        if let Some(report) = report {
            self.show_report(&report)?;
        }
        self.console.flush()
    }

    /// Shows a table on stdout, except beside JSON, which programs read.
    fn show_report(&mut self, report: &Report) -> Result<(), OutputError> {
        let layout = Layout::for_columns(self.console.columns());
        let text = report.to_text(layout, false, &Zone::system());
        if self.is_json() { self.console.stderr(text.as_bytes()) } else { self.console.stdout(text.as_bytes()) }
    }
}

fn state(steps: &BTreeMap<StepId, StepState>, step: StepId) -> &StepState {
    steps.get(&step).expect("a step begins before anything else of it")
}

fn state_mut(steps: &mut BTreeMap<StepId, StepState>, step: StepId) -> &mut StepState {
    steps.get_mut(&step).expect("a step begins before anything else of it")
}

/// Writes a pause as people say it: whole seconds if it is some, else with a fraction.
fn seconds(pause: Duration) -> String {
    if pause.subsec_nanos() == 0 { format!("{pause:.0?}") } else { format!("{pause:.1?}") }
}
