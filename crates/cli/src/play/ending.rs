//! What is shown of a plan when all is over: how it went, what was not ok or not run, and the report.

use phalanx_plan::Player;
use phalanx_plan::course::{Cause, Turn, Verdict as Course};
use phalanx_plan::model::OnFailure;
use phalanx_process::duration::{self, Fraction};
use phalanx_process::stats::Stats;
use phalanx_record::date::Zone;
use phalanx_record::report::{Layout, Report};

use super::act::Act;
use super::events::Events;
use super::stage::{Stage, Style, is_block, path};
use crate::show::ShowError;

/// What became of a part of the plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Ok,
    NotOk,
    NotRun,
    /// A block that was not ok as such; it is not counted.
    Block,
}

impl Stage {
    /// All that is shown when everything is over.
    pub(super) fn conclude(&mut self, player: &Player, status: u8) -> Result<(), ShowError> {
        let mut fates = Vec::new();
        self.collect(player, Turn::PLAN, &mut fates);
        let count = |wanted: Fate| fates.iter().filter(|(fate, _)| *fate == wanted).count();
        let [ok, not_ok, not_run] = [Fate::Ok, Fate::NotOk, Fate::NotRun].map(count);
        if let Some((record, _)) = &mut self.record {
            record.append(|to| Events::summary(ok, not_ok + not_run, status, to));
            record.flush();
        }
        match self.style {
            Style::Json(_) => self.screen.write_stdout(|to| Events::summary(ok, not_ok + not_run, status, to))?,
            Style::Labels(_) if self.quiet => {}
            Style::Labels(_) => {
                self.message(&self.verdict(player, [ok, not_ok, not_run]))?;
                let lines = fates.into_iter().filter_map(|(_, text)| text);
                lines.into_iter().try_for_each(|line| self.message(&format!("  {line}")))?;
            }
        }
        if self.report {
            self.show_report(player)?;
        }
        self.screen.flush()
    }

    /// What became of every part of a block, and what to say of it if that is worth a line.
    fn collect(&self, player: &Player, block: Turn, fates: &mut Vec<(Fate, Option<String>)>) {
        for turn in player.course().parts(block) {
            let text = |what: &str| {
                let place = player.step(*turn).map(|step| format!(" (line {})", step.place.line)).unwrap_or_default();
                Some(format!("{}{place}: {what}", path(player, *turn)))
            };
            if let Some(message) = self.not_run.get(turn) {
                // What is in the background is ended at some time: that is no news.
                let expected = player.course().verdict(*turn) == Some(Course::NotRun(Cause::End));
                fates.push(if expected { (Fate::Ok, None) } else { (Fate::NotRun, text(message)) });
                continue;
            }
            let Some(act) = self.acts.get(turn) else { continue };
            if is_block(player, *turn) {
                self.collect(player, *turn, fates);
                fates.extend(act.reason.as_ref().map(|reason| (Fate::Block, text(reason))));
            } else if act.verdict.is_some_and(Course::is_ok) {
                fates.push((Fate::Ok, None));
            } else {
                fates.push((Fate::NotOk, text(&self.trouble(player, *turn, act))));
            }
        }
    }

    /// What was not ok with a step.
    fn trouble(&self, player: &Player, turn: Turn, act: &Act) -> String {
        let mut what = match act.verdict {
            Some(Course::Stopped(cause)) => vec![format!("ended, {}", self.why(player, cause))],
            _ => act.troubles(),
        };
        what.extend(act.reason.clone());
        let ignored = player.step(turn).is_some_and(|step| step.on_failure == OnFailure::Ignore);
        what.join("; ") + if ignored { " (ignored)" } else { "" }
    }

    fn verdict(&self, player: &Player, [ok, not_ok, not_run]: [usize; 3]) -> String {
        let verdict = match player.course().verdict(Turn::PLAN) {
            Some(Course::Ok) => "done",
            Some(Course::Stopped(_)) => "stopped",
            _ => "failed",
        };
        let time = duration::format(self.began.elapsed(), Fraction::None);
        let mut text =
            format!("{}: {verdict} in {time}: {ok} of {} steps ok", player.plan().name, ok + not_ok + not_run);
        if not_ok > 0 {
            text += &format!(", {not_ok} not ok");
        }
        if not_run > 0 {
            text += &format!(", {not_run} not run");
        }
        text
    }

    /// On stdout, except beside JSON, which others read.
    fn show_report(&mut self, player: &Player) -> Result<(), ShowError> {
        let mut report = Report::new(&player.plan().name);
        for turn in player.course().parts(Turn::PLAN) {
            report.add(self.stats(player, *turn));
        }
        let layout = if self.screen.columns() >= 157 { Layout::Wide } else { Layout::Narrow };
        let text = report.to_text(layout, false, &Zone::system());
        match self.style {
            Style::Json(_) => self.screen.stderr(text.as_bytes()),
            Style::Labels(_) => self.screen.stdout(text.as_bytes()),
        }
    }

    fn stats(&self, player: &Player, turn: Turn) -> Stats {
        let name = player.title(turn);
        let parts = player.course().parts(turn);
        if parts.is_empty() {
            let own = self.acts.get(&turn).map(Act::stats).unwrap_or_default();
            return Stats { name, ..own };
        }
        Stats::sum(&name, parts.iter().map(|part| self.stats(player, *part)).collect())
    }
}
