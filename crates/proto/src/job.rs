//! One job: the same work on many members. Decides which member starts when (fan-out, batches), which is tried again
//! after which delay, when so many have failed that no further one starts, and what was the result of each. Pure: it
//! counts members, and knows neither processes nor clocks.
//!
//! ```text
//!            Start                   handle_ended, ok
//!  waiting ─────────▶ running ──────────────────────────▶ finished
//!     │        ▲         │ handle_ended, not ok, attempts    ▲
//!     │  Start │         ▼ are left                          │
//!     │        └──── backing off ─── cancelled ──────────────┘
//!     └─ cancelled ──▶ cancelled (reported when the job is done, or at once if it was this member alone)
//! ```
//!
//! The driver performs every [`JobEffect`] of [`JobState::poll_effect`], reports what became of it with `handle_*`, calls
//! [`JobState::handle_timeout`] at [`JobState::poll_timeout`], and passes on the [`MemberEvent`]s.

use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use crate::event::Kill;
use crate::rollout::Rollout;

/// The state of all members of a job.
#[derive(Debug, Clone)]
pub struct JobState {
    rollout: Rollout,
    members: Vec<Member>,
    /// The members that back off, by the end of their delay.
    backing_off: BTreeSet<(Instant, usize)>,
    /// The members whose delay is over, in that order.
    due: VecDeque<usize>,
    /// The first member that was never considered for a start.
    next_unstarted: usize,
    /// The end of the present batch: all members before it are in this batch or an earlier one.
    batch_end: usize,
    /// The number of members before `batch_end` that have not finished.
    open_in_batch: usize,
    /// The number of batches begun.
    batches: usize,
    running: usize,
    finished: usize,
    failures: usize,
    is_cancelled: bool,
    is_done: bool,
    /// How running members are to be killed, if that was asked for and not yet passed on.
    kill: Option<Kill>,
    /// The members that are still to be killed, in descending order.
    to_kill: Vec<usize>,
    events: VecDeque<MemberEvent>,
    /// Where the random parts of delays come from, if they have any.
    jitter: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Member {
    Waiting,
    /// In this attempt, 1-based.
    Running(u32),
    /// After this many failed attempts.
    BackingOff(u32),
    Finished {
        ok: bool,
    },
    /// Will not be started.
    Cancelled,
}

/// What the driver is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobEffect {
    /// Start this attempt (1-based) of a member. Answered by [`JobState::handle_ended`] or
    /// [`JobState::handle_not_started`], perhaps at once.
    Start {
        /// The index of the member.
        member: usize,
        /// The number of the attempt, counted from 1.
        attempt: u32,
    },
    /// Kill the running attempt of a member. [`JobState::handle_ended`] follows as for any end.
    Kill {
        /// The index of the member.
        member: usize,
        /// How it is killed.
        kill: Kill,
    },
}

/// What has happened to a member, or to the job as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemberEvent {
    /// An attempt has failed, and another one follows.
    Retrying {
        /// The index of the member.
        member: usize,
        /// How it is tried again.
        retry: Retry,
    },
    /// A member has ended for good.
    Finished {
        /// The index of the member.
        member: usize,
        /// Whether its last attempt went well.
        ok: bool,
    },
    /// A member was not started, and will not be.
    Cancelled {
        /// The index of the member.
        member: usize,
    },
    /// No member runs, and none will be started. The last event.
    Done,
}

/// A member will be tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// The number of attempts that have failed.
    pub failed: u32,
    /// The largest number of attempts.
    pub attempts: u32,
    /// The delay before the next attempt.
    pub delay: Duration,
}

impl JobState {
    /// Returns a job of `total` members, none started.
    #[must_use]
    pub fn new(total: usize, rollout: Rollout) -> Self {
        let mut state = Self {
            rollout,
            members: vec![Member::Waiting; total],
            backing_off: BTreeSet::new(),
            due: VecDeque::new(),
            next_unstarted: 0,
            batch_end: 0,
            open_in_batch: 0,
            batches: 0,
            running: 0,
            finished: 0,
            failures: 0,
            is_cancelled: false,
            is_done: false,
            kill: None,
            to_kill: Vec::new(),
            events: VecDeque::new(),
            jitter: None,
        };
        state.begin_batch();
        state
    }

    /// Shortens each delay by a part of its half, at random, if there is more than one member: hosts that one server
    /// turned away at the same moment must not come back at the same moment. `seed` is a random number from outside;
    /// the same seed makes the same delays.
    #[must_use]
    pub fn with_jitter(self, seed: u64) -> Self {
        Self { jitter: (self.members.len() > 1).then_some(seed), ..self }
    }

    fn begin_batch(&mut self) {
        let sizes = &self.rollout.batches;
        let size = sizes.get(self.batches).or(sizes.last()).copied().filter(|size| *size > 0);
        let begin = self.batch_end;
        self.batch_end = size.map_or(self.members.len(), |size| self.members.len().min(begin.saturating_add(size)));
        self.batches += 1;
        // Members may have been cancelled before their batch.
        let open = |member: &&Member| !matches!(member, Member::Finished { .. } | Member::Cancelled);
        self.open_in_batch = self.members[begin..self.batch_end].iter().filter(open).count();
    }

    /// Returns what the driver is to do next, kills before starts; `None` until something is handled.
    pub fn poll_effect(&mut self) -> Option<JobEffect> {
        if let Some(effect) = self.next_kill() {
            return Some(effect);
        }
        let has_room = self.rollout.fanout == 0 || self.running < self.rollout.fanout;
        if self.is_cancelled || !has_room {
            return None;
        }
        let member = self.due.pop_front().or_else(|| self.next_of_batch())?;
        let attempt = match self.members[member] {
            Member::Waiting => 1,
            Member::BackingOff(failed) => failed + 1,
            Member::Running(_) | Member::Finished { .. } | Member::Cancelled => {
                unreachable!("only a member that waits or backs off is started")
            }
        };
        self.members[member] = Member::Running(attempt);
        self.running += 1;
        Some(JobEffect::Start { member, attempt })
    }

    fn next_kill(&mut self) -> Option<JobEffect> {
        let kill = self.kill?;
        while let Some(member) = self.to_kill.pop() {
            if matches!(self.members[member], Member::Running(_)) {
                return Some(JobEffect::Kill { member, kill });
            }
        }
        self.kill = None;
        None
    }

    fn next_of_batch(&mut self) -> Option<usize> {
        loop {
            if self.next_unstarted == self.batch_end {
                if self.open_in_batch > 0 || self.batch_end == self.members.len() {
                    return None;
                }
                self.begin_batch();
            }
            self.next_unstarted += 1;
            if self.members[self.next_unstarted - 1] == Member::Waiting {
                return Some(self.next_unstarted - 1);
            }
        }
    }

    /// Returns what has happened and was not yet told.
    pub fn poll_event(&mut self) -> Option<MemberEvent> {
        if self.events.is_empty() && self.is_over() && !std::mem::replace(&mut self.is_done, true) {
            self.cancel_waiting();
            self.events.push_back(MemberEvent::Done);
        }
        self.events.pop_front()
    }

    /// Returns when [`JobState::handle_timeout`] is to be called: at the end of the first delay.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.backing_off.first().map(|(at, _)| *at)
    }

    /// Lets the members start again whose delay is over at `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some((_, member)) = self.backing_off.first().filter(|(at, _)| *at <= now).copied() {
            self.backing_off.pop_first();
            self.due.push_back(member);
        }
    }

    /// Takes note that the running attempt of a member has ended, or could not be started.
    ///
    /// # Panics
    /// When the member was not running: an end was reported twice.
    pub fn handle_ended(&mut self, member: usize, ok: bool, now: Instant) {
        let Member::Running(attempt) = self.members[member] else {
            unreachable!("only a running member can end: the end of member {member} was reported twice")
        };
        self.running -= 1;
        if ok || attempt > self.rollout.retries.count || self.is_cancelled {
            return self.finish(member, ok);
        }
        let delay = self.delay_after(member, attempt);
        self.members[member] = Member::BackingOff(attempt);
        self.backing_off.insert((now + delay, member));
        let attempts = self.rollout.retries.count.saturating_add(1);
        self.events.push_back(MemberEvent::Retrying { member, retry: Retry { failed: attempt, attempts, delay } });
    }

    fn delay_after(&self, member: usize, attempt: u32) -> Duration {
        let retries = &self.rollout.retries;
        let random = |seed| mixed(seed ^ mixed((member as u64) << 32 | u64::from(attempt)));
        self.jitter
            .map_or_else(|| retries.delay_after(attempt), |seed| retries.jittered_delay_after(attempt, random(seed)))
    }

    fn finish(&mut self, member: usize, ok: bool) {
        self.members[member] = Member::Finished { ok };
        self.count_finished(member);
        self.failures += usize::from(!ok);
        self.events.push_back(MemberEvent::Finished { member, ok });
        if !ok && !self.is_cancelled && self.is_budget_spent() {
            self.handle_cancel();
            if self.rollout.failure_budget.is_some_and(|budget| budget.kill) {
                self.handle_kill(Kill::default());
            }
        }
    }

    /// Takes note that a member was not started when its turn came, since it had been cancelled outside of the job.
    ///
    /// # Panics
    /// When no start of it was asked for.
    pub fn handle_not_started(&mut self, member: usize) {
        let Member::Running(attempt) = self.members[member] else {
            unreachable!("only a member that was to be started can be found cancelled: member {member} was not")
        };
        self.running -= 1;
        if attempt == 1 { self.cancel(member) } else { self.finish(member, false) }
    }

    /// Takes note that one member is to have no further attempt: one that waits is cancelled, one that backs off has
    /// failed for good, and one that runs is left alone.
    pub fn handle_cancel_member(&mut self, member: usize) {
        match self.members[member] {
            Member::Waiting => self.cancel(member),
            Member::BackingOff(_) => {
                self.backing_off.retain(|(_, other)| *other != member);
                self.due.retain(|other| *other != member);
                self.finish(member, false);
            }
            Member::Running(_) | Member::Finished { .. } | Member::Cancelled => {}
        }
    }

    fn cancel(&mut self, member: usize) {
        self.members[member] = Member::Cancelled;
        self.count_finished(member);
        self.events.push_back(MemberEvent::Cancelled { member });
    }

    fn count_finished(&mut self, member: usize) {
        self.finished += 1;
        self.open_in_batch -= usize::from(member < self.batch_end);
    }

    fn cancel_waiting(&mut self) {
        for member in 0..self.members.len() {
            if self.members[member] == Member::Waiting {
                self.cancel(member);
            }
        }
    }

    /// Starts no further member; those that back off have failed for good, and those that run go on.
    pub fn handle_cancel(&mut self) {
        self.is_cancelled = true;
        let due = std::mem::take(&mut self.due);
        let backing_off = std::mem::take(&mut self.backing_off);
        for member in due.into_iter().chain(backing_off.into_iter().map(|(_, member)| member)) {
            self.finish(member, false);
        }
    }

    /// Starts no further member, and has those that run killed.
    pub fn handle_kill(&mut self, kill: Kill) {
        self.handle_cancel();
        self.kill = Some(kill);
        self.to_kill = (0..self.next_unstarted).rev().filter(|member| self.is_running(*member)).collect();
    }

    fn is_running(&self, member: usize) -> bool {
        matches!(self.members[member], Member::Running(_))
    }

    /// Reports whether so many members have failed that no further one is started.
    #[must_use]
    pub fn is_budget_spent(&self) -> bool {
        self.rollout.failure_budget.is_some_and(|budget| budget.is_spent_by(self.failures))
    }

    /// Returns whether a member went well, once it has ended for good; `None` before, and for one that was never started.
    #[must_use]
    pub fn result(&self, member: usize) -> Option<bool> {
        match self.members[member] {
            Member::Finished { ok } => Some(ok),
            Member::Waiting | Member::Running(_) | Member::BackingOff(_) | Member::Cancelled => None,
        }
    }

    /// Reports whether a member has not ended for good: it waits, runs, or is to be tried again.
    #[must_use]
    pub fn is_open(&self, member: usize) -> bool {
        !matches!(self.members[member], Member::Finished { .. } | Member::Cancelled)
    }

    /// Returns the number of members.
    #[must_use]
    pub fn total(&self) -> usize {
        self.members.len()
    }

    /// Returns the number of members that run.
    #[must_use]
    pub fn running(&self) -> usize {
        self.running
    }

    /// Returns the number of members that have failed for good.
    #[must_use]
    pub fn failures(&self) -> usize {
        self.failures
    }

    /// Reports whether no member runs and none will be started.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.running == 0 && (self.is_cancelled || self.finished == self.members.len())
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
