//! Who waits, who runs, and what became of the others. Pure.

use std::sync::Arc;

use phalanx_process::outcome::Finished;
use phalanx_process::result::HostResult;
use phalanx_process::stats::{Calendar, Stats};

use crate::exit;

/// The state of every host of a run.
#[derive(Debug)]
pub(crate) struct Tally {
    hosts: Vec<State>,
    running: usize,
    ended: usize,
    failed: usize,
    stats: Stats,
}

#[derive(Debug, Clone)]
enum State {
    Waiting,
    Running,
    /// Until it is tried again.
    Pausing(HostResult, Arc<Finished>),
    Ended(HostResult),
}

impl Tally {
    /// All waiting.
    pub(crate) fn new(hosts: usize) -> Self {
        Self { hosts: vec![State::Waiting; hosts], running: 0, ended: 0, failed: 0, stats: Stats::default() }
    }

    pub(crate) fn started(&mut self, host: usize) {
        self.hosts[host] = State::Running;
        self.running += 1;
    }

    /// A process may end without having started.
    pub(crate) fn ended(&mut self, host: usize, verdict: HostResult, finished: &Finished, calendar: &Calendar) {
        self.running -= usize::from(matches!(self.hosts[host], State::Running));
        let start = finished.outcome.started_at.map(|at| calendar.date(at));
        let end = Some(calendar.date(finished.outcome.ended_at));
        self.stats.absorb(&Stats::of_finished("", finished, start, end));
        self.end(host, verdict);
    }

    /// An attempt has failed, and there will be another, unless the run is stopped before.
    pub(crate) fn pauses(&mut self, host: usize, verdict: HostResult, finished: Arc<Finished>) {
        self.running -= usize::from(matches!(self.hosts[host], State::Running));
        self.hosts[host] = State::Pausing(verdict, finished);
    }

    /// Those for whom there will be no other attempt after all.
    pub(crate) fn take_pausing(&mut self) -> Vec<(usize, HostResult, Arc<Finished>)> {
        let mut pausing = Vec::new();
        for (host, state) in self.hosts.iter_mut().enumerate() {
            if let State::Pausing(..) = state
                && let State::Pausing(verdict, finished) = std::mem::replace(state, State::Waiting)
            {
                pausing.push((host, verdict, finished));
            }
        }
        pausing
    }

    fn end(&mut self, host: usize, verdict: HostResult) {
        self.ended += 1;
        self.failed += usize::from(!verdict.is_ok());
        self.hosts[host] = State::Ended(verdict);
    }

    /// Who has not ended by now will not be started any more.
    pub(crate) fn call_off_the_rest(&mut self) {
        let rest: Vec<_> = self.unended().collect();
        for host in rest {
            // To execo what never started is ok; to somebody who asked for it to be run it is not.
            self.stats.absorb(&Stats { ok: 0, ..Stats::of_unfinished("", None) });
            self.end(host, HostResult::NotStarted);
        }
    }

    pub(crate) fn total(&self) -> usize {
        self.hosts.len()
    }

    pub(crate) fn ended_count(&self) -> usize {
        self.ended
    }

    pub(crate) fn running_count(&self) -> usize {
        self.running
    }

    pub(crate) fn failed(&self) -> usize {
        self.failed
    }

    /// Who has not ended, in order.
    pub(crate) fn unended(&self) -> impl Iterator<Item = usize> {
        (0..self.hosts.len()).filter(|host| !matches!(self.hosts[*host], State::Ended(_)))
    }

    /// What became of a host, once it has ended.
    pub(crate) fn verdict(&self, host: usize) -> Option<&HostResult> {
        match &self.hosts[host] {
            State::Ended(verdict) => Some(verdict),
            State::Waiting | State::Running | State::Pausing(..) => None,
        }
    }

    /// All verdicts, in the order of the hosts.
    pub(crate) fn verdicts(&self) -> impl Iterator<Item = (usize, &HostResult)> {
        (0..self.hosts.len()).filter_map(|host| Some((host, self.verdict(host)?)))
    }

    /// The largest remote status.
    pub(crate) fn max_status(&self) -> u8 {
        self.verdicts().map(|(_, verdict)| exit::of_result(verdict)).max().unwrap_or_default()
    }

    /// The figures for the report.
    pub(crate) fn stats(&self) -> &Stats {
        &self.stats
    }
}
