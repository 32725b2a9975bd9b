//! What is known of one step: its members, and what became of them. Pure.

use std::collections::{BTreeMap, HashMap};

use phalanx_nodeset::fold_names;
use phalanx_process::outcome::Finished;
use phalanx_process::result::{HostResult, ResultKind};
use phalanx_process::stats::{Calendar, Stats};

use super::event::StepDescription;

/// One step that has begun.
#[derive(Debug)]
pub(crate) struct StepState {
    pub(super) description: StepDescription,
    /// The number of its first member among all members of the job.
    pub(super) first: usize,
    results: Vec<Option<HostResult>>,
    /// The figures of the last attempt of each member.
    stats: BTreeMap<usize, Stats>,
    running: Vec<bool>,
    counts: Counts,
    /// What was wrong with it as a whole.
    pub(super) reason: Option<String>,
}

/// How many members of a job have come how far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Counts {
    pub(super) total: usize,
    pub(super) running: usize,
    pub(super) ended: usize,
    pub(super) failed: usize,
}

impl StepState {
    pub(super) fn new(description: StepDescription, first: usize) -> Self {
        let total = description.members.len();
        Self {
            description,
            first,
            results: vec![None; total],
            stats: BTreeMap::new(),
            running: vec![false; total],
            counts: Counts { total, ..Counts::default() },
            reason: None,
        }
    }

    pub(super) fn members(&self) -> &[String] {
        &self.description.members
    }

    /// Returns the number of a member among all of the job, and its name.
    pub(super) fn member(&self, member: usize) -> (usize, &str) {
        (self.first + member, &self.description.members[member])
    }

    pub(super) fn started(&mut self, member: usize) {
        if !std::mem::replace(&mut self.running[member], true) {
            self.counts.running += 1;
        }
    }

    /// Takes note of the end of an attempt that others follow. A process may end without having started.
    pub(super) fn failed_for_now(&mut self, member: usize) {
        if std::mem::take(&mut self.running[member]) {
            self.counts.running -= 1;
        }
    }

    /// Takes note of an end that is final.
    pub(super) fn ended(&mut self, member: usize, result: HostResult, finished: &Finished, calendar: &Calendar) {
        self.failed_for_now(member);
        let ok = usize::from(result.is_ok());
        let start = finished.outcome.started_at.map(|at| calendar.date(at));
        let own = Stats::of_finished("", finished, start, Some(calendar.date(finished.outcome.ended_at)));
        let finished_ok = ok.min(own.started);
        let expect_failed = usize::from(result.kind() == ResultKind::ExpectFailed);
        self.conclude(member, result, Stats { ok, finished_ok, expect_failed, ..own });
    }

    pub(super) fn not_started(&mut self, member: usize) {
        // To execo what never started is ok; to a user who asked for it to be run it is not.
        self.conclude(member, HostResult::NotStarted, Stats { ok: 0, ..Stats::of_unfinished("", None) });
    }

    fn conclude(&mut self, member: usize, result: HostResult, stats: Stats) {
        if let Some(before) = &self.results[member] {
            self.counts.ended -= 1;
            self.counts.failed -= usize::from(!before.is_ok());
        }
        self.counts.ended += 1;
        self.counts.failed += usize::from(!result.is_ok());
        self.stats.insert(member, stats);
        self.results[member] = Some(result);
    }

    pub(super) fn counts(&self) -> Counts {
        self.counts
    }

    /// Returns the final results, in the order of the members.
    pub(super) fn results(&self) -> impl Iterator<Item = (usize, &HostResult)> {
        self.results.iter().enumerate().filter_map(|(member, result)| Some((member, result.as_ref()?)))
    }

    /// Returns its figures.
    pub(crate) fn stats(&self) -> Stats {
        let mut sum = Stats::default();
        self.stats.values().for_each(|stats| sum.absorb(stats));
        sum
    }

    /// Returns what was wrong with it as a whole.
    pub(crate) fn reason(&self) -> Option<&str> {
        self.reason.as_deref()
    }

    /// Returns a line for the members with the same result that is not ok, for each such result.
    pub(crate) fn failures(&self) -> Vec<String> {
        self.lines_of(|result| !result.is_ok())
    }

    /// Returns a line for those that were ended, and one for those that were not started, since the job was stopped.
    pub(crate) fn stopped(&self) -> Vec<String> {
        [HostResult::Interrupted, HostResult::NotStarted]
            .iter()
            .flat_map(|stopped| self.lines_of(|result| result == stopped))
            .collect()
    }

    /// Returns the folded names of the members with the same result, and that result, in the order of the members.
    fn lines_of(&self, wanted: impl Fn(&HostResult) -> bool) -> Vec<String> {
        let mut groups: Vec<(&HostResult, Vec<usize>)> = Vec::new();
        let mut positions: HashMap<&HostResult, usize> = HashMap::new();
        for (member, result) in self.results().filter(|(_, result)| wanted(result)) {
            let position = *positions.entry(result).or_insert(groups.len());
            match groups.get_mut(position) {
                Some((_, members)) => members.push(member),
                None => groups.push((result, vec![member])),
            }
        }
        let line = |(result, members): (&HostResult, Vec<usize>)| {
            format!("{}: {result}", folded(self.members(), members.into_iter(), true))
        };
        groups.into_iter().map(line).collect()
    }
}

/// Returns the folded names of these of the members, and how many they are if there are more than one and that is wanted.
pub(super) fn folded(members: &[String], those: impl ExactSizeIterator<Item = usize>, count: bool) -> String {
    let number = those.len();
    let names = fold_names(those.map(|member| &members[member]));
    if count && number > 1 { format!("{names} ({number})") } else { names }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use phalanx_process::ExitStatus;
    use phalanx_process::outcome::Outcome;
    use phalanx_process::policy::Faults;

    use super::*;

    fn step(members: usize) -> StepState {
        let members: Vec<String> = (1..=members).map(|number| format!("n{number}")).collect();
        StepState::new(StepDescription { members: members.into(), ..StepDescription::default() }, 10)
    }

    fn exited(code: i32, began: Instant) -> Finished {
        let status = Some(ExitStatus::Exited(code));
        Finished::new(Outcome::new(status, Some(began), began + Duration::from_secs(1)), Faults::default())
    }

    #[test]
    fn every_member_is_counted_once_however_often_it_is_tried() {
        let (mut step, calendar, now) = (step(3), Calendar::now(), Instant::now());
        step.started(0);
        step.started(1);
        assert_eq!(step.counts(), Counts { total: 3, running: 2, ended: 0, failed: 0 });
        step.failed_for_now(0);
        assert_eq!(step.counts(), Counts { total: 3, running: 1, ended: 0, failed: 0 });
        step.started(0);
        step.ended(0, HostResult::Ok, &exited(0, now), &calendar);
        step.ended(1, HostResult::Exited(3), &exited(3, now), &calendar);
        step.not_started(2);
        assert_eq!(step.counts(), Counts { total: 3, running: 0, ended: 3, failed: 2 });
        let stats = step.stats();
        assert_eq!((stats.processes, stats.started, stats.ok, stats.finished_ok), (3, 2, 1, 1));
        assert_eq!(step.member(2), (12, "n3"));
    }

    #[test]
    fn a_process_that_ends_without_having_started_is_never_counted_as_running() {
        let (mut step, calendar) = (step(1), Calendar::now());
        step.ended(0, HostResult::NotStartable("no such program".to_owned()), &exited(1, Instant::now()), &calendar);
        assert_eq!(step.counts(), Counts { total: 1, running: 0, ended: 1, failed: 1 });
    }

    #[test]
    fn members_with_the_same_result_share_a_line() {
        let (mut step, calendar, now) = (step(5), Calendar::now(), Instant::now());
        for (member, code) in [(0, 3), (1, 4), (2, 3), (4, 0)] {
            let result = if code == 0 { HostResult::Ok } else { HostResult::Exited(code) };
            step.ended(member, result, &exited(code, now), &calendar);
        }
        step.not_started(3);
        assert_eq!(
            step.failures(),
            [
                "n[1,3] (2): exited with exit code 3",
                "n2: exited with exit code 4",
                "n4: not started, since the run was stopped"
            ]
        );
        assert_eq!(step.stopped(), ["n4: not started, since the run was stopped"]);
    }
}
