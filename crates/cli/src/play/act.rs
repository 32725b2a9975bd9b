//! What is known of one turn of a step: its processes, and what became of them. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use phalanx_nodeset::fold_names;
use phalanx_plan::course::Verdict as Course;
use phalanx_process::outcome::Finished;
use phalanx_process::result::{HostResult, ResultKind};
use phalanx_process::stats::{Calendar, Stats};

/// One turn of a step.
#[derive(Debug)]
pub(super) struct Act {
    /// With the blocks it is in: `measurement / traffic`.
    pub(super) path: String,
    /// What its processes are called.
    pub(super) members: Arc<[String]>,
    /// What they do.
    pub(super) command: String,
    pub(super) remote: bool,
    /// It is in the background.
    pub(super) background: bool,
    /// Where the numbers of its processes begin, among all of the plan.
    pub(super) first: usize,
    pub(super) verdicts: Vec<Option<HostResult>>,
    /// The figures of the last attempt of each process.
    pub(super) last: BTreeMap<usize, Stats>,
    pub(super) verdict: Option<Course>,
    pub(super) reason: Option<String>,
}

impl Act {
    /// Takes note of an end, perhaps of an attempt that others follow.
    pub(super) fn ended(&mut self, member: usize, verdict: HostResult, finished: &Finished, calendar: &Calendar) {
        let ok = usize::from(verdict.is_ok());
        let start = finished.outcome.started_at.map(|at| calendar.date(at));
        let own = Stats::of_finished("", finished, start, Some(calendar.date(finished.outcome.ended_at)));
        let finished_ok = ok.min(own.started);
        let expect_failed = usize::from(verdict.kind() == ResultKind::ExpectFailed);
        self.last.insert(member, Stats { ok, finished_ok, expect_failed, ..own });
        self.verdicts[member] = Some(verdict);
    }

    pub(super) fn not_started(&mut self, member: usize) {
        self.last.insert(member, Stats { ok: 0, ..Stats::of_unfinished("", None) });
        self.verdicts[member] = Some(HostResult::NotStarted);
    }

    /// Its figures.
    pub(super) fn stats(&self) -> Stats {
        let mut sum = Stats::default();
        self.last.values().for_each(|stats| sum.absorb(stats));
        sum
    }

    /// How many of its processes ended well.
    pub(super) fn ok_count(&self) -> usize {
        self.verdicts.iter().flatten().filter(|verdict| verdict.is_ok()).count()
    }

    /// Who did not end well, folded, by what became of them.
    pub(super) fn troubles(&self) -> Vec<String> {
        let mut troubles: Vec<(&HostResult, Vec<&String>)> = Vec::new();
        for (member, verdict) in self.members.iter().zip(&self.verdicts) {
            let Some(verdict) = verdict.as_ref().filter(|verdict| !verdict.is_ok()) else { continue };
            match troubles.iter_mut().find(|(other, _)| *other == verdict) {
                Some((_, members)) => members.push(member),
                None => troubles.push((verdict, vec![member])),
            }
        }
        let text = |(verdict, members): (&HostResult, Vec<&String>)| {
            let count = if members.len() > 1 { format!(" ({})", members.len()) } else { String::new() };
            format!("{}{count}: {}", fold_names(members), verdict.sentence())
        };
        troubles.into_iter().map(text).collect()
    }
}
