//! Jobs in virtual time: rule by rule, and in random orders of everything that can happen against a few lines that say the
//! same.

use proptest::prelude::*;

use super::*;
use crate::rollout::{FailureBudget, MAX_BACKOFF, Retries};

/// Starts every member that may start now.
fn starts(job: &mut JobState) -> Vec<usize> {
    let start = |effect| match effect {
        JobEffect::Start { member, .. } => member,
        JobEffect::Kill { .. } => panic!("nothing is to be killed: {effect:?}"),
    };
    std::iter::from_fn(|| job.poll_effect()).map(start).collect()
}

fn kills(job: &mut JobState) -> Vec<usize> {
    let kill = |effect| match effect {
        JobEffect::Kill { member, .. } => member,
        JobEffect::Start { .. } => panic!("nothing is to be started: {effect:?}"),
    };
    std::iter::from_fn(|| job.poll_effect()).map(kill).collect()
}

fn events(job: &mut JobState) -> Vec<MemberEvent> {
    std::iter::from_fn(|| job.poll_event()).collect()
}

#[test]
fn members_start_in_order_and_never_more_than_the_fanout() {
    let now = Instant::now();
    for (total, fanout) in [(0, 1), (1, 1), (5, 2), (5, 5), (5, 9), (5, 0)] {
        let mut job = JobState::new(total, Rollout::with_fanout(fanout));
        let mut started = starts(&mut job);
        assert_eq!(started.len(), total.min(if fanout == 0 { total } else { fanout }));
        for member in 0..total {
            job.handle_ended(member, member % 2 == 0, now);
            started.extend(starts(&mut job));
        }
        assert_eq!(started, (0..total).collect::<Vec<_>>());
        let mut expected: Vec<_> =
            (0..total).map(|member| MemberEvent::Finished { member, ok: member % 2 == 0 }).collect();
        expected.push(MemberEvent::Done);
        assert_eq!((events(&mut job), job.is_over()), (expected, true));
    }
}

#[test]
fn a_cancelled_job_starts_no_further_member_and_waits_for_those_that_run() {
    let now = Instant::now();
    let mut job = JobState::new(5, Rollout::with_fanout(2));
    starts(&mut job);
    job.handle_cancel();
    job.handle_ended(0, true, now);
    assert_eq!((starts(&mut job), events(&mut job)), (vec![], vec![MemberEvent::Finished { member: 0, ok: true }]));
    job.handle_ended(1, false, now);
    let cancelled = (2..5).map(|member| MemberEvent::Cancelled { member });
    let expected: Vec<_> = [MemberEvent::Finished { member: 1, ok: false }]
        .into_iter()
        .chain(cancelled)
        .chain([MemberEvent::Done])
        .collect();
    assert_eq!(events(&mut job), expected);
    assert_eq!((job.result(0), job.result(1), job.result(2)), (Some(true), Some(false), None));
}

#[test]
fn a_kill_before_the_first_start_cancels_all() {
    let mut job = JobState::new(2, Rollout::default());
    job.handle_kill(Kill::NOW);
    assert_eq!(kills(&mut job), [0; 0]);
    let expected = [MemberEvent::Cancelled { member: 0 }, MemberEvent::Cancelled { member: 1 }, MemberEvent::Done];
    assert_eq!(events(&mut job), expected);
}

#[test]
fn a_kill_reaches_every_running_member_once_for_each_time_it_is_asked_for() {
    let now = Instant::now();
    let mut job = JobState::new(5, Rollout::with_fanout(3));
    starts(&mut job);
    job.handle_ended(1, true, now);
    job.handle_kill(Kill::default());
    assert_eq!(kills(&mut job), [0, 2], "member 3 was not started: a kill comes before starts");
    job.handle_kill(Kill::NOW);
    assert_eq!(job.poll_effect(), Some(JobEffect::Kill { member: 0, kill: Kill::NOW }));
    job.handle_ended(2, true, now);
    assert_eq!(job.poll_effect(), None, "what has ended in the meantime is not killed");
    job.handle_ended(0, true, now);
    assert_eq!(events(&mut job).last(), Some(&MemberEvent::Done));
}

#[test]
fn a_member_cancelled_before_its_turn_is_not_started_and_holds_up_no_batch() {
    let now = Instant::now();
    let mut job = JobState::new(4, Rollout { batches: vec![2], ..Rollout::with_fanout(1) });
    assert_eq!(starts(&mut job), [0]);
    job.handle_cancel_member(1);
    job.handle_cancel_member(0);
    assert_eq!(events(&mut job), [MemberEvent::Cancelled { member: 1 }], "the one that runs is left alone");
    job.handle_cancel_member(2);
    job.handle_ended(0, true, now);
    assert_eq!(starts(&mut job), [3], "the next batch begins, and has lost a member already");
    job.handle_not_started(3);
    let cancelled = |member| MemberEvent::Cancelled { member };
    assert_eq!(
        events(&mut job),
        [cancelled(2), MemberEvent::Finished { member: 0, ok: true }, cancelled(3), MemberEvent::Done]
    );
    assert_eq!((job.failures(), job.result(1)), (0, None));
}

#[test]
fn a_member_cancelled_while_it_backs_off_has_failed() {
    let now = Instant::now();
    let retries = Retries { count: 1, ..Retries::default() };
    for is_due in [false, true] {
        let mut job = JobState::new(1, Rollout { retries, ..Rollout::default() });
        starts(&mut job);
        job.handle_ended(0, false, now);
        if is_due {
            job.handle_timeout(now + MAX_BACKOFF);
        }
        job.handle_cancel_member(0);
        assert_eq!((starts(&mut job), job.poll_timeout(), job.failures()), (vec![], None, 1));
        assert_eq!(events(&mut job)[1..], [MemberEvent::Finished { member: 0, ok: false }, MemberEvent::Done]);
    }
    let mut job = JobState::new(1, Rollout { retries, ..Rollout::default() });
    starts(&mut job);
    job.handle_ended(0, false, now);
    job.handle_timeout(now + MAX_BACKOFF);
    assert_eq!(starts(&mut job), [0]);
    job.handle_not_started(0);
    assert_eq!(events(&mut job)[1..], [MemberEvent::Finished { member: 0, ok: false }, MemberEvent::Done]);
}

#[test]
fn a_batch_waits_for_the_one_before() {
    let now = Instant::now();
    let mut job = JobState::new(8, Rollout { batches: vec![1, 3], ..Rollout::with_fanout(2) });
    assert_eq!(starts(&mut job), [0]);
    job.handle_ended(0, false, now);
    assert_eq!(starts(&mut job), [1, 2], "the fan-out holds within a batch");
    job.handle_ended(2, true, now);
    assert_eq!(starts(&mut job), [3]);
    job.handle_ended(1, true, now);
    assert_eq!(starts(&mut job), [0; 0]);
    job.handle_ended(3, true, now);
    assert_eq!(starts(&mut job), [4, 5], "the last size repeats");
    let mut all = JobState::new(3, Rollout { batches: vec![1, 0], ..Rollout::with_fanout(0) });
    starts(&mut all);
    all.handle_ended(0, true, now);
    assert_eq!(starts(&mut all), [1, 2], "zero is all the rest");
}

#[test]
fn a_member_that_fails_is_tried_again_after_delays_that_double() {
    let now = Instant::now();
    let second = Duration::from_secs(1);
    let retries = Retries { count: 4, max_backoff: 5 * second, ..Retries::default() };
    let mut job = JobState::new(2, Rollout { retries, ..Rollout::with_fanout(1) });
    let retrying = |failed, delay| MemberEvent::Retrying { member: 0, retry: Retry { failed, attempts: 5, delay } };
    assert_eq!(starts(&mut job), [0]);
    job.handle_ended(0, false, now);
    assert_eq!(job.poll_event(), Some(retrying(1, second)));
    assert_eq!(starts(&mut job), [1], "a member that backs off takes no place");
    job.handle_ended(1, true, now);
    assert_eq!(job.poll_event(), Some(MemberEvent::Finished { member: 1, ok: true }));
    assert_eq!((job.poll_effect(), job.poll_timeout()), (None, Some(now + second)));
    job.handle_timeout(now + second - Duration::from_nanos(1));
    assert_eq!(job.poll_effect(), None, "not before its time");
    let mut at = now;
    for (attempt, delay) in [(2, 2), (3, 4), (4, 5)] {
        at += 60 * second;
        job.handle_timeout(at);
        assert_eq!(job.poll_effect(), Some(JobEffect::Start { member: 0, attempt }));
        job.handle_ended(0, false, at);
        assert_eq!((job.poll_event(), job.result(0)), (Some(retrying(attempt, delay * second)), None));
    }
    job.handle_timeout(at + 60 * second);
    assert_eq!(job.poll_effect(), Some(JobEffect::Start { member: 0, attempt: 5 }));
    job.handle_ended(0, false, at);
    assert_eq!(events(&mut job), [MemberEvent::Finished { member: 0, ok: false }, MemberEvent::Done]);
    assert_eq!(job.failures(), 1);
}

#[test]
fn members_that_failed_together_do_not_come_back_together() {
    let now = Instant::now();
    let second = Duration::from_secs(1);
    let rollout = Rollout { retries: Retries { count: 2, ..Retries::default() }, ..Rollout::with_fanout(0) };
    let delays = |total: usize, seed| -> Vec<Duration> {
        let mut job = JobState::new(total, rollout.clone()).with_jitter(seed);
        starts(&mut job);
        (0..total).for_each(|member| job.handle_ended(member, false, now));
        let delay = |event| match event {
            MemberEvent::Retrying { retry, .. } => retry.delay,
            other => panic!("it is tried again: {other:?}"),
        };
        events(&mut job).into_iter().map(delay).collect()
    };
    let mut first = delays(1000, 7);
    assert_eq!(first, delays(1000, 7), "the same seed makes the same delays");
    assert_ne!(first, delays(1000, 8));
    first.sort_unstable();
    assert!(first[0] >= second / 2 && first[999] <= second, "{:?} to {:?}", first[0], first[999]);
    // Evenly: no tenth of the half second has more than twice its share.
    for tenth in 0..10 {
        let from = second / 2 + tenth * second / 20;
        let within = first.iter().filter(|delay| **delay >= from && **delay < from + second / 20).count();
        assert!((50..200).contains(&within), "{within} of 1000 from {from:?}");
    }
    assert_eq!(delays(1, 7), [second], "one member alone meets no other");
}

#[test]
fn a_delay_ends_with_the_job() {
    let now = Instant::now();
    let retries = Retries { count: 1, ..Retries::default() };
    for is_due in [false, true] {
        let mut job = JobState::new(1, Rollout { retries, ..Rollout::default() });
        starts(&mut job);
        job.handle_ended(0, false, now);
        if is_due {
            job.handle_timeout(now + MAX_BACKOFF);
        }
        job.handle_cancel();
        assert_eq!((starts(&mut job), job.poll_timeout(), job.is_over()), (vec![], None, true));
        assert_eq!((job.result(0), job.failures()), (Some(false), 1));
    }
}

#[test]
fn a_spent_budget_starts_no_further_member_and_kills_those_that_run_if_asked_to() {
    let now = Instant::now();
    for kill in [false, true] {
        let failure_budget = Some(FailureBudget { failures: 2, kill });
        let mut job = JobState::new(9, Rollout { failure_budget, ..Rollout::with_fanout(3) });
        starts(&mut job);
        job.handle_ended(0, false, now);
        assert_eq!((starts(&mut job), job.is_budget_spent()), (vec![3], false));
        job.handle_ended(2, false, now);
        assert_eq!((kills(&mut job), job.is_budget_spent()), (if kill { vec![1, 3] } else { vec![] }, true));
        job.handle_ended(1, true, now);
        job.handle_ended(3, true, now);
        assert_eq!(events(&mut job).last(), Some(&MemberEvent::Done));
    }
}

#[test]
fn a_budget_of_no_failure_is_spent_by_the_first() {
    let mut job = JobState::new(2, Rollout { failure_budget: Some(FailureBudget::of(0)), ..Rollout::with_fanout(1) });
    starts(&mut job);
    job.handle_ended(0, true, Instant::now());
    assert_eq!(starts(&mut job), [1]);
}

#[test]
fn the_longest_delay_is_kept_whatever_the_numbers() {
    let now = Instant::now();
    let retries = Retries { count: u32::MAX, backoff: Duration::MAX, max_backoff: Duration::MAX };
    for attempt in [1, 2, 31, 32, 33, u32::MAX] {
        assert_eq!(retries.delay_after(attempt), MAX_BACKOFF);
    }
    let mut job = JobState::new(3, Rollout { batches: vec![1, usize::MAX], retries, ..Rollout::default() });
    assert_eq!(starts(&mut job), [0]);
    job.handle_ended(0, false, now);
    let retry = Retry { failed: 1, attempts: u32::MAX, delay: MAX_BACKOFF };
    assert_eq!(job.poll_event(), Some(MemberEvent::Retrying { member: 0, retry }));
    assert_eq!((starts(&mut job), job.poll_timeout()), (vec![], Some(now + MAX_BACKOFF)));
    job.handle_timeout(now + MAX_BACKOFF);
    assert_eq!(starts(&mut job), [0]);
    job.handle_ended(0, true, now);
    assert_eq!(starts(&mut job), [1, 2]);
}

#[test]
#[should_panic(expected = "reported twice")]
fn an_end_that_is_reported_twice_is_a_bug_of_the_driver() {
    let now = Instant::now();
    let mut job = JobState::new(1, Rollout::default());
    starts(&mut job);
    job.handle_ended(0, true, now);
    job.handle_ended(0, true, now);
}

/// What a driver sees of a job, and the rules it checks at every step.
struct Model {
    job: JobState,
    now: Instant,
    fanout: usize,
    attempts: Vec<u32>,
    running: Vec<usize>,
    ends: Vec<u32>,
    stopped: bool,
}

impl Model {
    fn perform_effects(&mut self, limit: u32) -> Result<(), TestCaseError> {
        while let Some(effect) = self.job.poll_effect() {
            match effect {
                JobEffect::Start { member, attempt } => {
                    prop_assert!(!self.stopped && !self.running.contains(&member));
                    self.attempts[member] += 1;
                    prop_assert!(attempt == self.attempts[member] && attempt <= limit);
                    self.running.push(member);
                    prop_assert!(self.fanout == 0 || self.running.len() <= self.fanout);
                }
                JobEffect::Kill { member, .. } => prop_assert!(self.stopped && self.running.contains(&member)),
            }
        }
        prop_assert_eq!(self.job.running(), self.running.len());
        Ok(())
    }

    /// Counts the ends that are told. Returns whether the job is done.
    fn read_events(&mut self) -> Result<bool, TestCaseError> {
        while let Some(event) = self.job.poll_event() {
            match event {
                MemberEvent::Retrying { member, .. } => prop_assert!(self.attempts[member] > 0),
                MemberEvent::Finished { member, ok } => {
                    prop_assert_eq!(self.job.result(member), Some(ok));
                    self.ends[member] += 1;
                }
                MemberEvent::Cancelled { member } => {
                    prop_assert!(self.job.result(member).is_none());
                    self.ends[member] += 1;
                }
                MemberEvent::Done => {
                    prop_assert!(self.running.is_empty() && self.job.poll_event().is_none());
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    fn happen(&mut self, (kind, which, ok): (u8, usize, bool)) {
        let total = self.attempts.len();
        match kind {
            0 if total > 0 => self.job.handle_cancel_member(which % total),
            1 if which.is_multiple_of(20) => {
                self.stopped = true;
                if ok { self.job.handle_cancel() } else { self.job.handle_kill(Kill::NOW) }
            }
            _ if self.running.is_empty() => {
                self.now = self.job.poll_timeout().unwrap_or(self.now);
                self.job.handle_timeout(self.now);
            }
            2 => {
                let member = self.running.swap_remove(which % self.running.len());
                self.job.handle_not_started(member);
            }
            _ => {
                let member = self.running.swap_remove(which % self.running.len());
                self.job.handle_ended(member, ok, self.now);
            }
        }
        self.stopped |= self.job.is_budget_spent();
    }
}

proptest! {
    /// Whatever happens in whichever order: no member runs twice at once, bounds hold, every member is reported to end
    /// exactly once, and the job comes to its end.
    #[test]
    fn every_job_comes_to_an_end_within_its_bounds(
        total in 0..40_usize,
        fanout in 0..6_usize,
        batches in prop::collection::vec(0..7_usize, 0..4),
        count in 0..3_u32,
        failures in prop::option::of(1..5_usize),
        dice in prop::collection::vec((0..9_u8, 0..1000_usize, any::<bool>()), 200),
    ) {
        let retries = Retries { count, ..Retries::default() };
        let rollout = Rollout { fanout, batches, retries, failure_budget: failures.map(FailureBudget::of) };
        let (job, now) = (JobState::new(total, rollout), Instant::now());
        let (attempts, ends, running) = (vec![0; total], vec![0; total], Vec::new());
        let mut model = Model { job, now, fanout, attempts, running, ends, stopped: false };
        let mut is_done = false;
        for throw in dice.into_iter().cycle().take(2000) {
            model.perform_effects(count + 1)?;
            is_done = model.read_events()?;
            if is_done {
                break;
            }
            model.happen(throw);
        }
        prop_assert!(is_done, "the job never ends: {:?}", model.job);
        prop_assert!(model.ends.iter().all(|ends| *ends == 1), "{:?}", model.ends);
    }
}
