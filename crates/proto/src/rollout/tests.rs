//! The schedule against its rules: by hand, and in random orders of ends against a few lines that say the same.

use proptest::prelude::*;

use super::*;

/// Starts whoever may start at `now`: who, and what comes then.
fn starts(schedule: &mut Schedule, now: Instant) -> (Vec<usize>, Step) {
    let mut started = Vec::new();
    loop {
        match schedule.step(now) {
            Step::Start { member, .. } => started.push(member),
            step => return (started, step),
        }
    }
}

#[test]
fn starts_in_order_and_never_more_than_allowed() {
    let now = Instant::now();
    for (total, fanout) in [(0, 1), (1, 1), (5, 2), (5, 5), (5, 9), (5, 0)] {
        let mut schedule = Schedule::new(total, Rollout::with_fanout(fanout));
        let (mut started, _) = starts(&mut schedule, now);
        assert_eq!(started.len(), total.min(if fanout == 0 { total } else { fanout }));
        for member in 0..total {
            assert_eq!(schedule.ended(member, member % 2 == 0, now), None);
            started.extend(starts(&mut schedule, now).0);
        }
        assert_eq!(started, (0..total).collect::<Vec<_>>());
        assert!(schedule.is_over());
        assert_eq!(schedule.step(now), Step::Over);
    }
}

#[test]
fn called_off_means_nobody_more() {
    let now = Instant::now();
    let mut schedule = Schedule::new(5, Rollout::with_fanout(2));
    starts(&mut schedule, now);
    schedule.call_off();
    schedule.ended(0, true, now);
    assert_eq!(schedule.step(now), Step::Wait);
    schedule.ended(1, true, now);
    assert_eq!((schedule.step(now), schedule.is_settled(1), schedule.is_settled(2)), (Step::Over, true, false));
}

#[test]
fn a_batch_waits_for_the_one_before() {
    let now = Instant::now();
    let mut schedule = Schedule::new(8, Rollout { batches: vec![1, 3], ..Rollout::with_fanout(2) });
    assert_eq!(starts(&mut schedule, now), (vec![0], Step::Wait));
    schedule.ended(0, false, now);
    assert_eq!(starts(&mut schedule, now).0, [1, 2], "the fan-out holds within a batch");
    schedule.ended(2, true, now);
    assert_eq!(starts(&mut schedule, now).0, [3]);
    schedule.ended(1, true, now);
    assert_eq!(starts(&mut schedule, now), (vec![], Step::Wait));
    schedule.ended(3, true, now);
    assert_eq!(starts(&mut schedule, now).0, [4, 5], "the last size repeats");
    let mut all = Schedule::new(3, Rollout { batches: vec![1, 0], ..Rollout::with_fanout(0) });
    starts(&mut all, now);
    all.ended(0, true, now);
    assert_eq!(starts(&mut all, now).0, [1, 2], "zero is all the rest");
}

#[test]
fn who_fails_is_tried_again_after_pauses_that_double() {
    let now = Instant::now();
    let second = Duration::from_secs(1);
    let retries = Retries { count: 4, longest_pause: 5 * second, ..Retries::default() };
    let mut schedule = Schedule::new(2, Rollout { retries, ..Rollout::with_fanout(1) });
    assert_eq!(starts(&mut schedule, now).0, [0]);
    assert_eq!(schedule.ended(0, false, now), Some(Retry { failed: 1, attempts: 5, pause: second }));
    assert_eq!(starts(&mut schedule, now).0, [1], "a pause takes no place");
    schedule.ended(1, true, now);
    assert_eq!(schedule.step(now), Step::WaitUntil(now + second));
    let mut at = now;
    for (failed, pause) in [(2, 2), (3, 4), (4, 5)] {
        at += 60 * second;
        assert_eq!(schedule.step(at), Step::Start { member: 0, attempt: failed });
        let retry = schedule.ended(0, false, at);
        assert_eq!(retry, Some(Retry { failed, attempts: 5, pause: pause * second }));
        assert!(!schedule.is_settled(0));
    }
    at += 60 * second;
    assert_eq!(schedule.step(at), Step::Start { member: 0, attempt: 5 });
    assert_eq!(schedule.ended(0, false, at), None, "five times are enough");
    assert_eq!((schedule.step(at), schedule.failures()), (Step::Over, 1));
}

#[test]
fn hosts_that_failed_together_do_not_come_back_together() {
    let now = Instant::now();
    let second = Duration::from_secs(1);
    let rollout = Rollout { retries: Retries { count: 2, ..Retries::default() }, ..Rollout::with_fanout(0) };
    let pauses = |total: usize, seed| -> Vec<Duration> {
        let mut schedule = Schedule::new(total, rollout.clone()).with_jitter(seed);
        starts(&mut schedule, now);
        (0..total).map(|member| schedule.ended(member, false, now).expect("it is tried again").pause).collect()
    };
    let mut first = pauses(1000, 7);
    assert_eq!(first, pauses(1000, 7), "the same seed makes the same pauses");
    assert_ne!(first, pauses(1000, 8));
    first.sort_unstable();
    assert!(first[0] >= second / 2 && first[999] <= second, "{:?} to {:?}", first[0], first[999]);
    // Evenly: no tenth of the half second has more than twice its share.
    for tenth in 0..10 {
        let from = second / 2 + tenth * second / 20;
        let within = first.iter().filter(|pause| **pause >= from && **pause < from + second / 20).count();
        assert!((50..200).contains(&within), "{within} of 1000 from {from:?}");
    }
    assert_eq!(pauses(1, 7), [second], "one host alone meets no other");
}

#[test]
fn a_pause_ends_with_calling_off() {
    let now = Instant::now();
    let retries = Retries { count: 1, ..Retries::default() };
    let mut schedule = Schedule::new(1, Rollout { retries, ..Rollout::default() });
    starts(&mut schedule, now);
    schedule.ended(0, false, now);
    schedule.call_off();
    assert_eq!((schedule.step(now), schedule.is_settled(0), schedule.failures()), (Step::Over, true, 1));
}

#[test]
fn so_many_failures_are_enough() {
    let now = Instant::now();
    for kill in [false, true] {
        let halt = Some(Halt { failures: 2, kill });
        let mut schedule = Schedule::new(9, Rollout { halt, ..Rollout::with_fanout(3) });
        starts(&mut schedule, now);
        schedule.ended(0, false, now);
        assert_eq!((starts(&mut schedule, now).0, schedule.is_halted()), (vec![3], false));
        schedule.ended(2, false, now);
        assert_eq!((starts(&mut schedule, now), schedule.kills()), ((vec![], Step::Wait), kill));
        assert!(schedule.is_halted());
        schedule.ended(1, true, now);
        schedule.ended(3, true, now);
        assert_eq!(schedule.step(now), Step::Over);
    }
}

#[test]
fn the_longest_pause_is_kept_whatever_the_numbers() {
    let retries = Retries { count: u32::MAX, pause: Duration::MAX, longest_pause: Duration::MAX };
    for attempt in [1, 2, 31, 32, 33, u32::MAX] {
        assert_eq!(retries.pause_after(attempt), LONGEST_PAUSE);
    }
}

proptest! {
    /// Whatever ends when and how: nobody starts twice at once, bounds hold, and all comes to an end.
    #[test]
    fn every_rollout_comes_to_an_end_within_its_bounds(
        total in 0..40_usize,
        fanout in 0..6_usize,
        batches in prop::collection::vec(0..7_usize, 0..4),
        count in 0..3_u32,
        failures in prop::option::of(1..5_usize),
        dice in prop::collection::vec((0..1000_usize, any::<bool>()), 200),
    ) {
        let halt = failures.map(Halt::after);
        let retries = Retries { count, ..Retries::default() };
        let mut schedule = Schedule::new(total, Rollout { fanout, batches, retries, halt });
        let (mut now, mut running, mut attempts) = (Instant::now(), Vec::new(), vec![0; total]);
        let mut dice = dice.into_iter().cycle();
        loop {
            match schedule.step(now) {
                Step::Start { member, attempt } => {
                    prop_assert!(!running.contains(&member));
                    attempts[member] += 1;
                    prop_assert!(attempt == attempts[member] && attempt <= count + 1);
                    running.push(member);
                    prop_assert!(fanout == 0 || running.len() <= fanout);
                }
                Step::WaitUntil(until) if running.is_empty() => now = until,
                Step::Wait | Step::WaitUntil(_) => {
                    prop_assert!(!running.is_empty(), "it waits for nobody");
                    let (which, ok) = dice.next().expect("dice are cast for ever");
                    let member = running.swap_remove(which % running.len());
                    let retry = schedule.ended(member, ok, now);
                    prop_assert_eq!(retry.is_none(), schedule.is_settled(member));
                }
                Step::Over => break,
            }
        }
        prop_assert!(running.is_empty());
        if !schedule.is_halted() {
            prop_assert!((0..total).all(|member| schedule.is_settled(member)));
        }
    }
}

#[test]
fn the_largest_numbers_are_numbers_too() {
    let now = Instant::now();
    let longest = Retries { count: u32::MAX, pause: Duration::MAX, longest_pause: Duration::MAX };
    let mut schedule =
        Schedule::new(3, Rollout { batches: vec![1, usize::MAX], retries: longest, ..Rollout::default() });
    assert_eq!(starts(&mut schedule, now).0, [0]);
    let retry = schedule.ended(0, false, now).unwrap();
    assert_eq!((retry.attempts, retry.pause), (u32::MAX, LONGEST_PAUSE));
    assert_eq!(starts(&mut schedule, now), (vec![], Step::WaitUntil(now + LONGEST_PAUSE)));
    assert_eq!(starts(&mut schedule, now + LONGEST_PAUSE).0, [0]);
    assert_eq!(schedule.ended(0, true, now), None);
    assert_eq!(starts(&mut schedule, now).0, [1, 2]);
}
