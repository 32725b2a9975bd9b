//! Decides who starts when: how many at once, in which batches, who is tried again after a failure, and when so many
//! have failed that nobody more is started. Pure: it counts members, and knows neither processes nor clocks.
//!
//! ```text
//!            start_next                 ended, ok
//!  waiting ─────────────▶ running ──────────────────────▶ settled
//!                          ▲   │ ended, not ok,             ▲
//!               start_next │   ▼ attempts are left          │ called off
//!                         pausing ──────────────────────────┘
//! ```

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// How many members run at once, unless told otherwise.
pub const DEFAULT_FANOUT: usize = 64;

/// No pause is shorter: everybody is to hear of the end of an attempt before the next one begins.
const SHORTEST_PAUSE: Duration = Duration::from_millis(1);

/// No pause is longer: a year is for ever, and clocks can count it.
const LONGEST_PAUSE: Duration = Duration::from_secs(365 * 24 * 3600);

/// How the members of an action are started, and what their failures lead to. Plain data.
///
/// ```
/// use phalanx_proto::rollout::{Halt, Retries, Rollout};
///
/// // One host first, then ten, then the rest by hundreds; no more once three have failed for the third time.
/// let rollout = Rollout {
///     batches: vec![1, 10, 100],
///     retries: Retries { count: 2, ..Retries::default() },
///     halt: Some(Halt::after(3)),
///     ..Rollout::default()
/// };
/// # assert_eq!(rollout.fanout, 64);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rollout {
    /// How many run at once; zero for all.
    pub fanout: usize,
    /// The sizes of batches: nobody of a batch starts before all of the one before have ended for good. The last size is
    /// that of all further batches; zero is all the rest. Without sizes there are no batches.
    pub batches: Vec<usize>,
    /// Who has failed is tried again.
    pub retries: Retries,
    /// When nobody more is started.
    pub halt: Option<Halt>,
}

impl Default for Rollout {
    fn default() -> Self {
        Self { fanout: DEFAULT_FANOUT, batches: Vec::new(), retries: Retries::default(), halt: None }
    }
}

impl Rollout {
    /// At most so many at once, and nothing else; zero for all.
    #[must_use]
    pub fn with_fanout(fanout: usize) -> Self {
        Self { fanout, ..Self::default() }
    }
}

/// How often, and after which pauses, a failed member is tried again. A pause takes no place in the fan-out, and is
/// shorter by a random part of its half in a schedule [with jitter](Schedule::with_jitter).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retries {
    /// How often at most, after the first time.
    pub count: u32,
    /// The pause before the first retry. Each further one is twice as long as the one before.
    pub pause: Duration,
    /// No pause is longer, nor longer than a year.
    pub longest_pause: Duration,
}

impl Default for Retries {
    /// None; a pause of a second, which doubles up to a minute, for those who set a count.
    fn default() -> Self {
        Self { count: 0, pause: Duration::from_secs(1), longest_pause: Duration::from_secs(60) }
    }
}

impl Retries {
    /// The pause before the retry that follows the attempt of this number, counted from 1.
    fn pause_after(&self, attempt: u32) -> Duration {
        let doubled = 1_u32.checked_shl(attempt.saturating_sub(1)).unwrap_or(u32::MAX);
        self.pause.saturating_mul(doubled).min(self.longest_pause).clamp(SHORTEST_PAUSE, LONGEST_PAUSE)
    }
}

/// After how many failures nobody more is started, and what becomes of those that run then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Halt {
    /// How many members may not have failed for good: at least one. Retries are not counted.
    pub failures: usize,
    /// Whether those that run are killed. Otherwise they go on to their end.
    pub kill: bool,
}

impl Halt {
    /// After so many failures nobody more is started, and who runs goes on.
    #[must_use]
    pub fn after(failures: usize) -> Self {
        Self { failures, kill: false }
    }
}

/// Where all members of a rollout stand.
#[derive(Debug, Clone)]
pub struct Schedule {
    rollout: Rollout,
    members: Vec<Member>,
    /// Who pauses, by the end of the pause.
    pausing: BTreeSet<(Instant, usize)>,
    /// The first that was never started.
    fresh: usize,
    /// Who is in the present batch or an earlier one: all before this.
    batch_end: usize,
    /// How many batches were begun.
    batches: usize,
    running: usize,
    settled: usize,
    failures: usize,
    called_off: bool,
    /// Where the random parts of pauses come from, if they have any.
    jitter: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Member {
    Waiting,
    /// For the so-manieth time, counted from 1.
    Running(u32),
    Pausing(u32),
    Settled,
}

/// What is to be done now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Start this member, for the so-manieth time, counted from 1. It runs until [`Schedule::ended`].
    Start {
        /// Which.
        member: usize,
        /// For the how-manieth time.
        attempt: u32,
    },
    /// Nothing before this time, unless a member ends.
    WaitUntil(Instant),
    /// Nothing before a member ends.
    Wait,
    /// Nothing ever more: nobody runs, and nobody will.
    Over,
}

/// A member will be tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// How often it has failed.
    pub failed: u32,
    /// How often it is tried at most.
    pub attempts: u32,
    /// The pause before the next time.
    pub pause: Duration,
}

impl Schedule {
    /// `total` members, none started.
    #[must_use]
    pub fn new(total: usize, rollout: Rollout) -> Self {
        let mut schedule = Self {
            rollout,
            members: vec![Member::Waiting; total],
            pausing: BTreeSet::new(),
            fresh: 0,
            batch_end: 0,
            batches: 0,
            running: 0,
            settled: 0,
            failures: 0,
            called_off: false,
            jitter: None,
        };
        schedule.begin_batch();
        schedule
    }

    /// Shortens each pause by a part of its half, at random, if there is more than one member: hosts that one server
    /// turned away at the same moment must not come back at the same moment. `seed` is a random number from outside;
    /// the same seed makes the same pauses.
    #[must_use]
    pub fn with_jitter(self, seed: u64) -> Self {
        Self { jitter: (self.members.len() > 1).then_some(seed), ..self }
    }

    fn begin_batch(&mut self) {
        let sizes = &self.rollout.batches;
        let size = sizes.get(self.batches).or(sizes.last()).copied().filter(|size| *size > 0);
        self.batch_end =
            size.map_or(self.members.len(), |size| self.members.len().min(self.batch_end.saturating_add(size)));
        self.batches += 1;
    }

    /// What is to be done at `now`. To be asked again after every `Start`.
    pub fn step(&mut self, now: Instant) -> Step {
        if self.is_over() {
            return Step::Over;
        }
        let has_room = self.rollout.fanout == 0 || self.running < self.rollout.fanout;
        if self.called_off || !has_room {
            return Step::Wait;
        }
        if let Some(&(until, member)) = self.pausing.first()
            && until <= now
        {
            self.pausing.pop_first();
            return self.start(member);
        }
        if self.settled == self.batch_end && self.batch_end < self.members.len() {
            self.begin_batch();
        }
        if self.fresh < self.batch_end {
            self.fresh += 1;
            return self.start(self.fresh - 1);
        }
        self.pausing.first().map_or(Step::Wait, |&(until, _)| Step::WaitUntil(until))
    }

    fn start(&mut self, member: usize) -> Step {
        let attempt = match self.members[member] {
            Member::Waiting => 1,
            Member::Pausing(failed) => failed + 1,
            Member::Running(_) | Member::Settled => unreachable!("only who waits or pauses is started"),
        };
        self.members[member] = Member::Running(attempt);
        self.running += 1;
        Step::Start { member, attempt }
    }

    /// A running member has ended. If it is tried again, says how.
    ///
    /// # Panics
    /// When it was not running: an end was counted twice.
    pub fn ended(&mut self, member: usize, ok: bool, now: Instant) -> Option<Retry> {
        let Member::Running(attempt) = self.members[member] else {
            unreachable!("only who runs can end: the end of member {member} was told twice")
        };
        self.running -= 1;
        if !ok && attempt <= self.rollout.retries.count && !self.called_off {
            let pause = self.pause_after(member, attempt);
            self.members[member] = Member::Pausing(attempt);
            self.pausing.insert((now + pause, member));
            let attempts = self.rollout.retries.count.saturating_add(1);
            return Some(Retry { failed: attempt, attempts, pause });
        }
        self.settle(member, ok);
        None
    }

    fn pause_after(&self, member: usize, attempt: u32) -> Duration {
        let pause = self.rollout.retries.pause_after(attempt);
        let Some(seed) = self.jitter else { return pause };
        let random = mixed(seed ^ mixed((member as u64) << 32 | u64::from(attempt)));
        // Half of all numbers of 32 bits, so that no more than half is taken away.
        pause.saturating_sub(pause.mul_f64((random >> 33) as f64 / f64::from(u32::MAX))).max(SHORTEST_PAUSE)
    }

    fn settle(&mut self, member: usize, ok: bool) {
        self.members[member] = Member::Settled;
        self.settled += 1;
        self.failures += usize::from(!ok);
        if self.rollout.halt.is_some_and(|halt| self.failures >= halt.failures.max(1)) {
            self.call_off();
        }
    }

    /// Starts nobody any more; who pauses has failed for good.
    pub fn call_off(&mut self) {
        self.called_off = true;
        for (_, member) in std::mem::take(&mut self.pausing) {
            self.members[member] = Member::Settled;
            self.settled += 1;
            self.failures += 1;
        }
    }

    /// Whether so many have failed that those that run are to be killed.
    #[must_use]
    pub fn kills(&self) -> bool {
        self.rollout.halt.is_some_and(|halt| halt.kill && self.failures >= halt.failures.max(1))
    }

    /// Whether so many have failed that nobody more is started.
    #[must_use]
    pub fn is_halted(&self) -> bool {
        self.rollout.halt.is_some_and(|halt| self.failures >= halt.failures.max(1))
    }

    /// Whether this member has ended for good: it runs no more and will not be tried again.
    #[must_use]
    pub fn is_settled(&self, member: usize) -> bool {
        self.members[member] == Member::Settled
    }

    /// How many run.
    #[must_use]
    pub fn running(&self) -> usize {
        self.running
    }

    /// How many have failed for good.
    #[must_use]
    pub fn failures(&self) -> usize {
        self.failures
    }

    /// Whether nobody runs and nobody will be started.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.running == 0 && (self.called_off || self.settled == self.members.len())
    }
}

/// The finalizer of SplitMix64: numbers that differ in one bit become numbers that differ in half of theirs.
fn mixed(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

#[cfg(test)]
mod tests;
