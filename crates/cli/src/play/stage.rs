//! Shows a plan while it is played: a line for every step, the lines of its processes behind their hosts, and at the end
//! what did not go well or was not run. Or all of it as JSON, and into a record.

use std::collections::{BTreeMap, HashMap};
use std::time::Instant;

use phalanx_action::rollout::Retry;
use phalanx_nodeset::fold_names;
use phalanx_plan::course::{Cause, Part, Turn, Verdict as Course};
use phalanx_plan::model::{OnFailure, Step};
use phalanx_plan::{Happening, Player};
use phalanx_process::Signal;
use phalanx_process::event::Stream;
use phalanx_process::outcome::Outcome;
use phalanx_process::result::HostResult;
use phalanx_process::stats::Calendar;

use super::Wanted;
use super::act::Act;
use super::events::Events;
use crate::exit;
use crate::show::labels::Labels;
use crate::show::record::{RecordError, RecordFile};
use crate::show::screen::Screen;
use crate::show::{BeginError, ShowError};

/// How what comes is shown.
pub(super) enum Style {
    Labels(Labels),
    Json(Events),
}

/// Everything that is shown of a plan, and where.
pub(super) struct Stage {
    pub(super) screen: Screen,
    pub(super) style: Style,
    pub(super) record: Option<(RecordFile, Events)>,
    pub(super) quiet: bool,
    verbose: bool,
    pub(super) report: bool,
    calendar: Calendar,
    pub(super) began: Instant,
    pub(super) acts: BTreeMap<Turn, Act>,
    /// How many processes there were so far.
    processes: usize,
    /// Names of what was not begun.
    pub(super) not_run: HashMap<Turn, String>,
    max_status: u8,
}

impl Stage {
    pub(super) fn new(wanted: &Wanted<'_>) -> Result<Self, BeginError> {
        let screen = Screen::new(wanted.configuration).map_err(BeginError::Thread)?;
        let begin = |path| RecordFile::begin(path, Vec::new());
        let record = wanted.record.map(begin).transpose().map_err(|error: RecordError| BeginError::from(error))?;
        let style = match wanted.json {
            true => Style::Json(Events::default()),
            false => Style::Labels(Labels::new(wanted.label, screen.styles().clone())),
        };
        Ok(Self {
            screen,
            style,
            record: record.map(|file| (file, Events::default())),
            quiet: wanted.quiet,
            verbose: wanted.verbose,
            report: wanted.report,
            calendar: Calendar::now(),
            began: Instant::now(),
            acts: BTreeMap::new(),
            processes: 0,
            not_run: HashMap::new(),
            max_status: exit::OK,
        })
    }

    pub(super) fn flush(&mut self) -> Result<(), ShowError> {
        if let Some((record, _)) = &mut self.record {
            record.flush();
        }
        self.screen.flush()
    }

    pub(super) fn on_progress(&self, wake: impl Fn() + Send + 'static) {
        self.screen.writer().on_progress(wake);
    }

    pub(super) fn is_congested(&self) -> bool {
        self.screen.writer().is_congested()
    }

    pub(super) fn is_drained(&self) -> bool {
        self.screen.writer().is_drained()
    }

    /// The largest status of a process whose failure is not ignored.
    pub(super) fn max_status(&self) -> u8 {
        self.max_status
    }

    /// Whether all went well, and what was to be recorded was.
    pub(super) fn is_ok(&self, player: &Player) -> bool {
        let recorded = self.record.as_ref().is_none_or(|(record, _)| !record.is_incomplete());
        recorded && player.course().verdict(Turn::PLAN) == Some(Course::Ok)
    }

    pub(super) fn show(&mut self, player: &Player, happening: Happening) -> Result<(), ShowError> {
        match happening {
            Happening::Begun { turn, members, command, remote } => {
                let act = self.act(player, turn, (members, command, remote));
                self.begun(turn, act, player)
            }
            Happening::Started { turn, member, attempt, pid } => self.started(turn, member, attempt, pid),
            Happening::Output { turn, member, stream, bytes, shown } => {
                self.output(turn, member, stream, &bytes, shown)
            }
            Happening::Ended { turn, member, finished, result: verdict, retry } => {
                let act = self.acts.get_mut(&turn).expect("it has begun");
                act.ended(member, verdict.clone(), &finished, &self.calendar);
                let counts = player.step(turn).is_none_or(|step| step.on_failure != OnFailure::Ignore);
                if counts && retry.is_none() {
                    self.max_status = self.max_status.max(exit::of_result(&verdict));
                }
                match retry {
                    Some(retry) => self.retry(turn, member, &verdict, retry),
                    None => self.ended(turn, member, &verdict, &finished.outcome, counts),
                }
            }
            Happening::NotStarted { turn, member } => {
                let act = self.acts.get_mut(&turn).expect("it has begun");
                act.not_started(member);
                self.event(turn, member, |events, key, act, to| {
                    events.ended(turn, (key, &act.members[member]), &HostResult::NotStarted, None, to);
                })
            }
            Happening::Ready { turn } => self.say(self.verbose, turn, "is ready"),
            Happening::Note { turn, text } => self.say(!self.quiet, turn, &text),
            Happening::Over { turn, verdict, reason } => self.over(player, turn, verdict, reason),
            Happening::Signal(_) | Happening::Woken => Ok(()),
        }
    }

    fn act(
        &mut self,
        player: &Player,
        turn: Turn,
        (members, command, remote): (std::sync::Arc<[String]>, String, bool),
    ) -> Act {
        let first = self.processes;
        self.processes += members.len();
        Act {
            path: path(player, turn),
            verdicts: vec![None; members.len()],
            members,
            command,
            remote,
            background: around(player, turn).any(|turn| player.step(turn).is_some_and(|step| step.background)),
            first,
            last: BTreeMap::new(),
            verdict: None,
            reason: None,
        }
    }

    fn begun(&mut self, turn: Turn, act: Act, player: &Player) -> Result<(), ShowError> {
        if !is_block(player, turn) {
            if let Some((record, _)) = &mut self.record {
                record.append(|to| Events::step(turn, &act, to));
            }
            if let Style::Json(_) = self.style {
                self.screen.write_stdout(|to| Events::step(turn, &act, to))?;
            }
        }
        let mut text = act.path.clone();
        if !act.members.is_empty() {
            text += &format!(" ({})", fold_names(act.members.iter()));
        }
        if act.background {
            text += ", in the background";
        }
        self.acts.insert(turn, act);
        let shown = !self.quiet && matches!(self.style, Style::Labels(_));
        if shown { self.message(&text) } else { Ok(()) }
    }

    fn started(&mut self, turn: Turn, member: usize, attempt: u32, pid: u32) -> Result<(), ShowError> {
        self.event(turn, member, |_, _, act, to| Events::started(turn, &act.members[member], pid, to))?;
        let name = self.acts[&turn].members[member].clone();
        let again = if attempt > 1 { format!(", for the {attempt}. time") } else { String::new() };
        self.say(self.verbose, turn, &format!("{name}: started, pid {pid}{again}"))
    }

    fn output(
        &mut self,
        turn: Turn,
        member: usize,
        stream: Stream,
        bytes: &[u8],
        shown: bool,
    ) -> Result<(), ShowError> {
        self.event(turn, member, |events, key, act, to| {
            events.output(turn, (key, &act.members[member]), stream, bytes, to);
        })?;
        let act = &self.acts[&turn];
        match &mut self.style {
            Style::Labels(labels) if shown => {
                labels.output(act.first + member, &act.members[member], stream, bytes, &mut self.screen)
            }
            Style::Labels(_) | Style::Json(_) => Ok(()),
        }
    }

    /// An attempt has failed, and there will be another.
    fn retry(&mut self, turn: Turn, member: usize, verdict: &HostResult, retry: Retry) -> Result<(), ShowError> {
        self.event(turn, member, |events, key, act, to| {
            events.retry(turn, (key, &act.members[member]), verdict, retry, to);
        })?;
        self.last_line(turn, member)?;
        let name = &self.acts[&turn].members[member];
        let Retry { failed, attempts, pause } = retry;
        let sentence = verdict.sentence();
        let text = format!("{name}: {sentence}; that was attempt {failed} of {attempts}, the next is in {pause:.1?}");
        self.say(!self.quiet, turn, &text)
    }

    fn ended(
        &mut self,
        turn: Turn,
        member: usize,
        verdict: &HostResult,
        outcome: &Outcome,
        counts: bool,
    ) -> Result<(), ShowError> {
        self.event(turn, member, |events, key, act, to| {
            events.ended(turn, (key, &act.members[member]), verdict, Some(outcome), to);
        })?;
        self.last_line(turn, member)?;
        // Who was stopped with all the others is told of with all the others.
        let told = !verdict.is_ok() && *verdict != HostResult::Interrupted && counts && !self.quiet;
        let text = format!("{}: {}", self.acts[&turn].members[member], verdict.sentence());
        self.say(told || self.verbose, turn, &text)
    }

    /// Ends the line that a process has left open.
    fn last_line(&mut self, turn: Turn, member: usize) -> Result<(), ShowError> {
        let act = &self.acts[&turn];
        match &mut self.style {
            Style::Labels(labels) => labels.end(act.first + member, &act.members[member], &mut self.screen),
            Style::Json(_) => Ok(()),
        }
    }

    fn over(&mut self, player: &Player, turn: Turn, verdict: Course, reason: Option<String>) -> Result<(), ShowError> {
        if turn == Turn::PLAN {
            return Ok(());
        }
        if let Course::NotRun(cause) = verdict {
            let (path, why) = (path(player, turn), self.why(player, cause));
            let message = format!("not run, {why}");
            if let Some((record, _)) = &mut self.record {
                record.append(|to| Events::skipped(turn, &path, &message, to));
            }
            if let Style::Json(_) = self.style {
                self.screen.write_stdout(|to| Events::skipped(turn, &path, &message, to))?;
            }
            self.not_run.insert(turn, message);
            return Ok(());
        }
        let text = reason.clone();
        let Some(act) = self.acts.get_mut(&turn) else { return Ok(()) };
        (act.verdict, act.reason) = (Some(verdict), reason);
        let act = &self.acts[&turn];
        if !is_block(player, turn) {
            let ok = verdict.is_ok();
            if let Some((record, _)) = &mut self.record {
                record.append(|to| Events::over(turn, act, ok, to));
            }
            if let Style::Json(_) = self.style {
                self.screen.write_stdout(|to| Events::over(turn, act, ok, to))?;
            }
        }
        match text {
            Some(text) => self.say(!self.quiet, turn, &text),
            None => Ok(()),
        }
    }

    /// An event of a process, for those who want events.
    fn event(
        &mut self,
        turn: Turn,
        member: usize,
        write: impl Fn(&mut Events, usize, &Act, &mut Vec<u8>),
    ) -> Result<(), ShowError> {
        let act = &self.acts[&turn];
        let key = act.first + member;
        if let Some((record, events)) = &mut self.record {
            record.append(|to| write(events, key, act, to));
        }
        match &mut self.style {
            Style::Json(events) => self.screen.write_stdout(|to| write(events, key, act, to)),
            Style::Labels(_) => Ok(()),
        }
    }

    /// A line about a step, on stderr.
    fn say(&mut self, wanted: bool, turn: Turn, text: &str) -> Result<(), ShowError> {
        if !wanted || matches!(self.style, Style::Json(_)) {
            return Ok(());
        }
        let path = self.acts.get(&turn).map(|act| act.path.clone()).unwrap_or_default();
        self.message(&format!("{path}: {text}"))
    }

    pub(super) fn message(&mut self, text: &str) -> Result<(), ShowError> {
        if let Style::Labels(labels) = &mut self.style {
            labels.close_line(Stream::Stderr, &mut self.screen)?;
        }
        self.screen.message(text)
    }

    /// The plan is being stopped: says who is still running.
    pub(super) fn stopping(&mut self, signal: Signal, player: &Player) {
        let text = format!("{signal}: ending {}; once more to kill at once", self.who_runs(player));
        self.warn(&text);
    }

    /// The plan is being stopped the hard way.
    pub(super) fn killing(&mut self, player: &Player) {
        let text = format!("killing {}", self.who_runs(player));
        self.warn(&text);
    }

    fn warn(&mut self, text: &str) {
        // The plan is being stopped anyway; there is nobody else to tell.
        if let Err(error) = self.message(text) {
            log::debug!("{error}");
        }
    }

    fn who_runs(&self, player: &Player) -> String {
        let mut steps: BTreeMap<Turn, Vec<&String>> = BTreeMap::new();
        for (turn, member) in player.running() {
            if let Some(act) = self.acts.get(&turn) {
                steps.entry(turn).or_default().push(&act.members[member]);
            }
        }
        let text =
            |(turn, members): (Turn, Vec<&String>)| format!("{} ({})", self.acts[&turn].path, fold_names(members));
        let steps: Vec<String> = steps.into_iter().map(text).collect();
        if steps.is_empty() { "the plan".to_owned() } else { steps.join(", ") }
    }

    pub(super) fn why(&self, player: &Player, cause: Cause) -> String {
        match cause {
            Cause::Failure(turn) => format!("since `{}` failed", path(player, turn)),
            Cause::Limit(turn) => format!("since the time of `{}` was over", path(player, turn)),
            Cause::End => "since its block in the background was ended".to_owned(),
            Cause::Stop => "since the plan was stopped".to_owned(),
        }
    }
}

/// What a turn is called, with the blocks it is in.
pub(super) fn path(player: &Player, turn: Turn) -> String {
    let turns = around(player, turn).filter(|turn| *turn != Turn::PLAN);
    let mut titles: Vec<String> = turns.map(|turn| player.title(turn)).collect();
    titles.reverse();
    titles.join(" / ")
}

/// A turn, and the blocks it is in.
fn around(player: &Player, turn: Turn) -> impl Iterator<Item = Turn> {
    std::iter::successors(Some(turn), |turn| player.course().parent(*turn))
}

pub(super) fn is_block(player: &Player, turn: Turn) -> bool {
    match player.course().part(turn) {
        Part::Plan | Part::Pass(_) => true,
        Part::Step(_) => player.step(turn).is_some_and(Step::is_block),
    }
}
