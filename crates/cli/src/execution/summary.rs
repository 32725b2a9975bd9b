//! What is shown of a plan when all is over: how it went, what was not ok or not run, and the report.

use std::time::Duration;

use phalanx_plan::Player;
use phalanx_plan::model::OnFailure;
use phalanx_plan::workflow::{StepOutcome, StepRun, StopCause};
use phalanx_process::duration::{self, Fraction};
use phalanx_process::stats::Stats;
use phalanx_record::report::Report;

use super::Shape;
use super::events::{is_block, not_run, path, step_id, why};
use crate::output::{Conclusion, Reporter, StepState};

/// What became of a part of the plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum StepResult {
    Ok,
    NotOk,
    NotRun,
    /// A block that was not ok as such; it is not counted.
    Block,
}

/// A plan that is over, and what is known of its steps.
struct Summary<'a> {
    player: &'a Player,
    reporter: &'a Reporter<'a>,
}

/// Returns what is to be shown of a plan that is over, and took so long.
pub(super) fn conclusion(player: &Player, reporter: &Reporter<'_>, exit_status: u8, took: Duration) -> Conclusion {
    let summary = Summary { player, reporter };
    let mut results = Vec::new();
    summary.collect(StepRun::ROOT, &mut results);
    let count = |wanted: StepResult| results.iter().filter(|(result, _)| *result == wanted).count();
    let [ok, not_ok, not_run] = [StepResult::Ok, StepResult::NotOk, StepResult::NotRun].map(count);
    let mut lines = vec![summary.headline([ok, not_ok, not_run], took)];
    lines.extend(results.into_iter().filter_map(|(_, text)| Some(format!("  {}", text?))));
    let report = reporter.wants_report().then(|| summary.report());
    Conclusion { exit_status, steps: Some((ok, not_ok + not_run)), lines, report }
}

impl Summary<'_> {
    fn state(&self, turn: StepRun) -> Option<&StepState> {
        self.reporter.step(step_id(Shape::Plan, turn))
    }

    /// Collects what became of every part of a block, and what to say of it if that is worth a line.
    fn collect(&self, block: StepRun, results: &mut Vec<(StepResult, Option<String>)>) {
        for turn in self.player.workflow().children(block) {
            let verdict = self.player.workflow().result(*turn);
            let text = |what: &str| {
                let step = self.player.step(*turn);
                let place = step.map(|step| format!(" (line {})", step.place.line)).unwrap_or_default();
                Some(format!("{}{place}: {what}", path(self.player, *turn)))
            };
            match (verdict, self.state(*turn)) {
                // What is in the background is ended at some time: that is no news.
                (Some(StepOutcome::NotRun(StopCause::BlockEnded)), _) => results.push((StepResult::Ok, None)),
                (Some(StepOutcome::NotRun(cause)), _) => {
                    results.push((StepResult::NotRun, text(&not_run(self.player, cause))));
                }
                (_, None) => {}
                (_, Some(state)) if is_block(self.player, *turn) => {
                    self.collect(*turn, results);
                    results.extend(state.reason().map(|reason| (StepResult::Block, text(reason))));
                }
                (Some(verdict), Some(_)) if verdict.is_ok() => results.push((StepResult::Ok, None)),
                (_, Some(state)) => results.push((StepResult::NotOk, text(&self.failure(*turn, state)))),
            }
        }
    }

    /// Returns what was not ok with a step.
    fn failure(&self, turn: StepRun, state: &StepState) -> String {
        let mut what = match self.player.workflow().result(turn) {
            Some(StepOutcome::Stopped(cause)) => vec![format!("ended, {}", why(self.player, cause))],
            _ => state.failures(),
        };
        what.extend(state.reason().map(str::to_owned));
        let ignored = self.player.step(turn).is_some_and(|step| step.on_failure == OnFailure::Ignore);
        what.join("; ") + if ignored { " (ignored)" } else { "" }
    }

    fn headline(&self, [ok, not_ok, not_run]: [usize; 3], took: Duration) -> String {
        let verdict = match self.player.workflow().result(StepRun::ROOT) {
            Some(StepOutcome::Ok) => "done",
            Some(StepOutcome::Stopped(_)) => "stopped",
            _ => "failed",
        };
        let (name, time) = (&self.player.plan().name, duration::format(took, Fraction::None));
        let mut text = format!("{name}: {verdict} in {time}: {ok} of {} steps ok", ok + not_ok + not_run);
        if not_ok > 0 {
            text += &format!(", {not_ok} not ok");
        }
        if not_run > 0 {
            text += &format!(", {not_run} not run");
        }
        text
    }

    fn report(&self) -> Report {
        let mut report = Report::new(&self.player.plan().name);
        self.player.workflow().children(StepRun::ROOT).iter().for_each(|turn| report.add(self.stats(*turn)));
        report
    }

    fn stats(&self, turn: StepRun) -> Stats {
        let name = self.player.title(turn);
        let parts = self.player.workflow().children(turn);
        if parts.is_empty() {
            let own = self.state(turn).map(StepState::stats).unwrap_or_default();
            return Stats { name, ..own };
        }
        Stats::sum(&name, parts.iter().map(|part| self.stats(*part)).collect())
    }
}
