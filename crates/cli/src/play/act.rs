//! What is known of one turn of a step: its processes, and what became of them. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use phalanx_nodeset::fold_names;
use phalanx_plan::Fault;
use phalanx_plan::course::Verdict as Course;
use phalanx_process::outcome::Finished;
use phalanx_process::stats::{Calendar, Stats};

use crate::run::Verdict;

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
    /// It is a chain, which has ends of its own.
    pub(super) chain: bool,
    /// It is in the background.
    pub(super) background: bool,
    /// Where the numbers of its processes begin, among all of the plan.
    pub(super) first: usize,
    pub(super) verdicts: Vec<Option<Verdict>>,
    /// The figures of the last attempt of each process.
    pub(super) last: BTreeMap<usize, Stats>,
    pub(super) verdict: Option<Course>,
    pub(super) reason: Option<String>,
}

impl Act {
    /// What became of a process that has ended so.
    pub(super) fn judge(&self, finished: &Finished, ok: bool, fault: Option<Fault>, asked: bool) -> Verdict {
        let verdict = Verdict::of(finished, self.remote);
        if asked && self.background && finished.outcome.error.is_none() {
            return Verdict::Ok;
        }
        if asked {
            return Verdict::Interrupted;
        }
        if let (true, Some(Fault::Files(_)) | None) = (self.chain, &fault) {
            let reason = fault.map(|fault| match fault {
                Fault::Files(reason) | Fault::Unmet(reason) | Fault::OutputLost(reason) => reason,
            });
            return verdict.of_chain(reason, finished);
        }
        match (verdict, fault) {
            (verdict @ (Verdict::Timeout { .. } | Verdict::NotStartable(_) | Verdict::Unreachable { .. }), _) => {
                verdict
            }
            (verdict, Some(Fault::Files(reason))) => verdict.of_transfer(Some(reason)),
            (_, Some(Fault::Unmet(reason))) => Verdict::NotAsExpected(reason),
            (_, Some(Fault::OutputLost(reason))) => Verdict::OutputLost(reason),
            (Verdict::Exit(code), None) if ok => Verdict::Accepted(code),
            (_, None) if ok => Verdict::Ok,
            (verdict, None) => verdict,
        }
    }

    /// Takes note of an end, perhaps of an attempt that others follow.
    pub(super) fn ended(&mut self, member: usize, verdict: Verdict, finished: &Finished, calendar: &Calendar) {
        let ok = usize::from(verdict.is_ok());
        let start = finished.outcome.started_at.map(|at| calendar.date(at));
        let own = Stats::of_finished("", finished, start, Some(calendar.date(finished.outcome.ended_at)));
        let finished_ok = ok.min(own.started);
        let expect_failed = usize::from(matches!(verdict, Verdict::NotAsExpected(_)));
        self.last.insert(member, Stats { ok, finished_ok, expect_failed, ..own });
        self.verdicts[member] = Some(verdict);
    }

    pub(super) fn not_started(&mut self, member: usize) {
        self.last.insert(member, Stats { ok: 0, ..Stats::of_unfinished("", None) });
        self.verdicts[member] = Some(Verdict::NotStarted);
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
        let mut troubles: Vec<(&Verdict, Vec<&String>)> = Vec::new();
        for (member, verdict) in self.members.iter().zip(&self.verdicts) {
            let Some(verdict) = verdict.as_ref().filter(|verdict| !verdict.is_ok()) else { continue };
            match troubles.iter_mut().find(|(other, _)| *other == verdict) {
                Some((_, members)) => members.push(member),
                None => troubles.push((verdict, vec![member])),
            }
        }
        let text = |(verdict, members): (&Verdict, Vec<&String>)| {
            let count = if members.len() > 1 { format!(" ({})", members.len()) } else { String::new() };
            format!("{}{count}: {}", fold_names(members), verdict.sentence())
        };
        troubles.into_iter().map(text).collect()
    }
}
