//! Adds the processes of a step up: how many, and who, by what became of them.

use std::collections::BTreeMap;

use phalanx_nodeset::fold_names;
use phalanx_process::result::ResultKind;
use phalanx_process::stats::Stats;

use super::model::{Process, Step, date};

/// How many processes, by what became of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    /// All of them.
    pub total: usize,
    /// Those that are known to have ended well.
    pub ok: usize,
    /// Those that are known to have ended otherwise.
    pub failed: usize,
    /// Those whose end is not known.
    pub unfinished: usize,
}

impl Totals {
    /// Of some processes.
    #[must_use]
    pub fn of<'a>(processes: impl IntoIterator<Item = &'a Process>) -> Self {
        processes.into_iter().fold(Self::default(), |sum, process| {
            let (ok, unfinished) = (process.is_ok(), process.end.is_none());
            Self {
                total: sum.total + 1,
                ok: sum.ok + usize::from(ok),
                failed: sum.failed + usize::from(!ok && !unfinished),
                unfinished: sum.unfinished + usize::from(unfinished),
            }
        })
    }
}

/// Folded hosts and their number, by a key of theirs.
pub(super) fn hosts_by<'a, K: Ord>(
    step: &'a Step,
    key: impl Fn(&'a Process) -> Option<K>,
) -> BTreeMap<K, (usize, String)> {
    let mut groups: BTreeMap<K, Vec<&str>> = BTreeMap::new();
    for process in &step.processes {
        if let Some(key) = key(process) {
            groups.entry(key).or_default().push(&process.node);
        }
    }
    groups.into_iter().map(|(key, nodes)| (key, (nodes.len(), fold_names(nodes)))).collect()
}

/// The figures of a step, for execo's tables.
pub(super) fn stats(step: &Step) -> Stats {
    let mut sum = Stats::default();
    for process in &step.processes {
        sum.absorb(&stats_of(process));
    }
    step.name().clone_into(&mut sum.name);
    sum
}

fn stats_of(process: &Process) -> Stats {
    let Some(end) = &process.end else {
        return Stats::of_unfinished("", process.begin().map(date));
    };
    let kind = end.kind();
    let error = kind == Some(ResultKind::NotStartable);
    let started = error || process.begin().is_some();
    let count = usize::from;
    Stats {
        start_date: process.begin().map(date),
        end_date: started.then(|| date(end.time)),
        processes: 1,
        started: count(started),
        ended: count(started),
        errors: count(error),
        timeouts: count(kind == Some(ResultKind::Timeout)),
        forced_kills: count(end.forced_kill),
        non_zero_exit_codes: count(started && kind != Some(ResultKind::OutputLost) && end.exit_code != Some(0)),
        ok: count(end.ok || !started),
        finished_ok: count(end.ok && started),
        ..Stats::default()
    }
}
