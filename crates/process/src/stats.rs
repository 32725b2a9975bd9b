//! What reports count, of one process or of many. Plain data, and sums of it.

use std::time::{Duration, Instant, SystemTime};

use crate::outcome::Finished;

/// The figures of a process, an action, or many. Of one process every count is 0 or 1.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Stats {
    /// What they are of.
    pub name: String,
    /// When the first started.
    pub start_date: Option<SystemTime>,
    /// When the last ended; `None` while one has not.
    pub end_date: Option<SystemTime>,
    /// How many processes.
    pub processes: usize,
    /// How many were started, successfully or not.
    pub started: usize,
    /// How many have ended.
    pub ended: usize,
    /// How many could not be started.
    pub errors: usize,
    /// How many ran out of time.
    pub timeouts: usize,
    /// How many had to be sent SIGKILL.
    pub forced_kills: usize,
    /// How many were started and did not end with exit code zero: those that could not start and those that a signal
    /// ended count too, as in execo.
    pub non_zero_exit_codes: usize,
    /// How many did not say what was expected.
    pub expect_failed: usize,
    /// How many did not read what was written to them.
    pub write_errors: usize,
    /// How many are not known to be wrong.
    pub ok: usize,
    /// How many have ended and are ok.
    pub finished_ok: usize,
    /// The figures of the parts.
    pub parts: Vec<Stats>,
}

/// Turns monotonic instants into dates, by one look at both clocks. A jump of the system's clock during a run does not
/// tear it apart.
#[derive(Debug, Clone, Copy)]
pub struct Calendar {
    instant: Instant,
    date: SystemTime,
}

impl Calendar {
    /// Looks at both clocks.
    #[must_use]
    pub fn now() -> Self {
        Self { instant: Instant::now(), date: SystemTime::now() }
    }

    /// When `instant` was, or will be.
    #[must_use]
    pub fn date(&self, instant: Instant) -> SystemTime {
        match instant.checked_duration_since(self.instant) {
            Some(later) => self.date + later,
            None => self.date - self.instant.saturating_duration_since(instant),
        }
    }
}

impl Stats {
    /// The figures of one ended process.
    #[must_use]
    pub fn of_finished(
        name: &str,
        finished: &Finished,
        start_date: Option<SystemTime>,
        end_date: Option<SystemTime>,
    ) -> Self {
        let outcome = &finished.outcome;
        // One that was called off before its start has an outcome too.
        let started = outcome.started_at.is_some() || outcome.error.is_some();
        let count = usize::from;
        Self {
            name: name.to_owned(),
            start_date,
            end_date,
            processes: 1,
            started: count(started),
            ended: count(started),
            errors: count(outcome.error.is_some()),
            timeouts: count(outcome.timed_out),
            forced_kills: count(outcome.forced_kill),
            non_zero_exit_codes: count(started && outcome.exit_code() != Some(0)),
            expect_failed: count(outcome.expect_failed),
            write_errors: count(outcome.write_error),
            ok: count(finished.ok),
            finished_ok: count(finished.ok && started),
            parts: Vec::new(),
        }
    }

    /// The figures of one process that has not ended.
    #[must_use]
    pub fn of_unfinished(name: &str, start_date: Option<SystemTime>) -> Self {
        let started = usize::from(start_date.is_some());
        Self { name: name.to_owned(), start_date, processes: 1, started, ok: 1, ..Self::default() }
    }

    /// The sum of some figures, which become its parts. It has an end only if all parts have.
    #[must_use]
    pub fn sum(name: &str, parts: Vec<Stats>) -> Self {
        let mut sum = Self { name: name.to_owned(), ..Self::default() };
        for part in &parts {
            sum.absorb(part);
        }
        sum.parts = parts;
        sum
    }

    /// Adds the figures of one more part, without keeping the part. As in [`Stats::sum`], there is an end only while
    /// all parts have one: a part that never started takes it away. A part without processes changes nothing.
    pub fn absorb(&mut self, part: &Stats) {
        if part.processes == 0 {
            return;
        }
        let first = self.processes == 0;
        self.add_counts(part);
        self.start_date = [self.start_date, part.start_date].into_iter().flatten().min();
        self.end_date = match (first, self.end_date, part.end_date) {
            (true, _, end) => end,
            (false, Some(one), Some(other)) => Some(one.max(other)),
            (false, ..) => None,
        };
    }

    fn add_counts(&mut self, part: &Stats) {
        self.processes += part.processes;
        self.started += part.started;
        self.ended += part.ended;
        self.errors += part.errors;
        self.timeouts += part.timeouts;
        self.forced_kills += part.forced_kills;
        self.non_zero_exit_codes += part.non_zero_exit_codes;
        self.expect_failed += part.expect_failed;
        self.write_errors += part.write_errors;
        self.ok += part.ok;
        self.finished_ok += part.finished_ok;
    }

    /// How long it took, if it is over.
    #[must_use]
    pub fn length(&self) -> Option<Duration> {
        self.end_date?.duration_since(self.start_date?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::UNIX_EPOCH;

    fn at(seconds: u64) -> Option<SystemTime> {
        Some(UNIX_EPOCH + Duration::from_secs(seconds))
    }

    #[test]
    fn a_sum_has_an_end_only_if_all_its_parts_have() {
        let part = |end: Option<u64>| Stats {
            start_date: at(0),
            end_date: end.and_then(at),
            processes: 1,
            ..Stats::default()
        };
        let sum = |ends: &[Option<u64>]| Stats::sum("s", ends.iter().copied().map(part).collect()).end_date;
        assert_eq!(sum(&[Some(1), Some(5), Some(3)]), at(5));
        assert_eq!(sum(&[Some(1), None]), None);
        assert_eq!(sum(&[None, Some(1)]), None);
        assert_eq!(sum(&[]), None);
    }

    #[test]
    fn the_calendar_goes_both_ways() {
        let calendar = Calendar::now();
        let hour = Duration::from_secs(3600);
        assert_eq!(calendar.date(calendar.instant + hour), calendar.date + hour);
        assert_eq!(calendar.date(calendar.instant - hour), calendar.date - hour);
    }
}
