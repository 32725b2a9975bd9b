//! How the members of a job are started, and what their failures lead to: plain data for a [`JobState`](crate::job::JobState).

use std::time::Duration;

/// How many members run at once, unless told otherwise.
pub const DEFAULT_FANOUT: usize = 64;

/// No delay is shorter, so that every observer has been told of the end of an attempt before the next one starts.
const MIN_BACKOFF: Duration = Duration::from_millis(1);

/// No delay is longer: a year is for ever in practice, and clocks can represent it.
pub(crate) const MAX_BACKOFF: Duration = Duration::from_secs(365 * 24 * 3600);

/// How the members of a job are started, and what their failures lead to.
///
/// ```
/// use phalanx_proto::rollout::{FailureBudget, Retries, Rollout};
///
/// // One host first, then ten, then the rest by hundreds; none is started after three have failed for the third time.
/// let rollout = Rollout {
///     batches: vec![1, 10, 100],
///     retries: Retries { count: 2, ..Retries::default() },
///     failure_budget: Some(FailureBudget::of(3)),
///     ..Rollout::default()
/// };
/// # assert_eq!(rollout.fanout, 64);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rollout {
    /// How many members run at once; zero for all.
    pub fanout: usize,
    /// The sizes of batches: a batch starts when all members of the one before have finished. The last size is that of
    /// all further batches; zero takes all the rest. Without sizes there are no batches.
    pub batches: Vec<usize>,
    /// How failed members are tried again.
    pub retries: Retries,
    /// How many failures end the job early; `None` for any number.
    pub failure_budget: Option<FailureBudget>,
}

impl Default for Rollout {
    fn default() -> Self {
        Self { fanout: DEFAULT_FANOUT, batches: Vec::new(), retries: Retries::default(), failure_budget: None }
    }
}

impl Rollout {
    /// Returns a rollout with this fan-out, zero for all at once, and nothing else.
    #[must_use]
    pub fn with_fanout(fanout: usize) -> Self {
        Self { fanout, ..Self::default() }
    }
}

/// How often, and after which delays, a failed member is tried again. A member that backs off takes no place in the
/// fan-out. A delay is shorter by a random part of its half in a job [with jitter](crate::job::JobState::with_jitter).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retries {
    /// How many retries follow the first attempt at most.
    pub count: u32,
    /// The delay before the first retry. Each further delay is twice as long as the one before.
    pub backoff: Duration,
    /// The longest delay; never more than a year.
    pub max_backoff: Duration,
}

impl Default for Retries {
    /// Returns no retries; a delay of a second, which doubles up to a minute, once a count is set.
    fn default() -> Self {
        Self { count: 0, backoff: Duration::from_secs(1), max_backoff: Duration::from_secs(60) }
    }
}

impl Retries {
    /// Returns the delay before the retry that follows this attempt (1-based).
    pub(crate) fn delay_after(&self, attempt: u32) -> Duration {
        let doubled = 1_u32.checked_shl(attempt.saturating_sub(1)).unwrap_or(u32::MAX);
        self.backoff.saturating_mul(doubled).min(self.max_backoff).clamp(MIN_BACKOFF, MAX_BACKOFF)
    }

    /// Returns the same delay, less a part of its half that `random` decides.
    pub(crate) fn jittered_delay_after(&self, attempt: u32, random: u64) -> Duration {
        let delay = self.delay_after(attempt);
        // Half of all numbers of 32 bits, so that no more than half is taken away.
        delay.saturating_sub(delay.mul_f64((random >> 33) as f64 / f64::from(u32::MAX))).max(MIN_BACKOFF)
    }
}

/// How many members may fail before no further one is started, and what becomes of those that run then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FailureBudget {
    /// The number of failed members that ends the job early: at least one. A failure that is retried does not count.
    pub failures: usize,
    /// Whether the members that run then are killed. Otherwise they run to their end.
    pub kill: bool,
}

impl FailureBudget {
    /// Returns a budget that is spent by this many failures, after which running members run to their end.
    #[must_use]
    pub fn of(failures: usize) -> Self {
        Self { failures, kill: false }
    }

    /// Reports whether this many failures spend the budget.
    pub(crate) fn is_spent_by(self, failures: usize) -> bool {
        failures >= self.failures.max(1)
    }
}
