//! Runs a job on an engine: the handler that does what a [`JobState`] says, and the handle that cancels it from outside.
//! It knows members by their numbers and processes by their ids; what a member is, its [`JobMembers`] know.

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher as _, Hasher as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use phalanx_process::event::{Event, Kill, Notification, Request};
use phalanx_process::handler::{Context, Handler};
use phalanx_process::id::{ProcessId, TimerId};
pub use phalanx_process::job::{JobEffect, JobState, MemberEvent, Retry};
use phalanx_process::outcome::Finished;

use crate::rollout::Rollout;

/// Returns the state of a job of `total` members whose retries have jitter.
#[must_use]
pub fn new_job(total: usize, rollout: Rollout) -> JobState {
    // The seed that std takes for a new hash map is a random number from the system.
    JobState::new(total, rollout).with_jitter(std::hash::RandomState::new().build_hasher().finish())
}

/// Controls a job from outside, on whatever thread. Cloning gives another handle to the same job.
///
/// What is asked here takes effect when the [`JobHandler`] is next told something; a caller that cannot wait for that
/// [wakes](phalanx_process::engine::EngineHandle::wake_handler) the handler.
#[derive(Debug, Clone)]
pub struct JobHandle(Arc<Mutex<JobState>>);

impl JobHandle {
    /// Returns the handle of a new job of `total` members.
    #[must_use]
    pub fn new(total: usize, rollout: Rollout) -> Self {
        Self(Arc::new(Mutex::new(new_job(total, rollout))))
    }

    fn state(&self) -> MutexGuard<'_, JobState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts no further member; those that run go on.
    pub fn cancel(&self) {
        self.state().handle_cancel();
    }

    /// Starts no further member, and kills those that run.
    pub fn kill(&self, kill: Kill) {
        self.state().handle_kill(kill);
    }
}

/// The members of a job, as its handler needs them.
pub trait JobMembers: Send {
    /// Starts attempt `attempt` (1-based) of `member` through the context.
    fn start(&mut self, context: &mut Context<'_>, member: usize, attempt: u32) -> Attempt;

    /// Judges an attempt of `member` that has ended as process `id`: whether it went well.
    fn judge(&mut self, _context: &mut Context<'_>, _id: ProcessId, _member: usize, finished: &Finished) -> bool {
        finished.ok
    }

    /// Takes note of what has happened in the job. [`MemberEvent::Done`] comes once, at the end, when all handlers and waiters
    /// have been told of the end of every member.
    fn on_member_event(&mut self, event: MemberEvent);
}

/// What became of starting a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attempt {
    /// It was started as this process, whose end the handler will hear of.
    Running(ProcessId),
    /// It has ended already.
    Ended {
        /// Whether it went well.
        ok: bool,
    },
    /// It had been cancelled, and was not started.
    Cancelled,
}

/// Runs a job. Begins when it is attached to an engine.
pub struct JobHandler<M> {
    handle: JobHandle,
    members: M,
    running: HashMap<ProcessId, usize>,
    /// The processes of the members that run.
    ids: HashMap<usize, ProcessId>,
    /// Further members that are the same process as one that runs.
    duplicates: Vec<(ProcessId, usize)>,
    /// The timer that ends the first delay.
    backoff_timer: Option<(Instant, TimerId)>,
    /// The timer that ends the job.
    finish_timer: Option<TimerId>,
}

impl<M> fmt::Debug for JobHandler<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JobHandler").field("handle", &self.handle).finish_non_exhaustive()
    }
}

impl<M: JobMembers> JobHandler<M> {
    /// Returns the handler of the job that `handle` controls.
    pub fn new(handle: JobHandle, members: M) -> Self {
        let (running, ids, duplicates) = (HashMap::new(), HashMap::new(), Vec::new());
        Self { handle, members, running, ids, duplicates, backoff_timer: None, finish_timer: None }
    }

    /// Does what is to be done now, and sets the timer for what is to be done later.
    fn drive(&mut self, context: &mut Context<'_>) {
        self.handle.state().handle_timeout(context.now());
        loop {
            // The lock is not held while processes are started and callers are told.
            let effect = self.handle.state().poll_effect();
            match effect {
                Some(JobEffect::Start { member, attempt }) => self.start(context, member, attempt),
                Some(JobEffect::Kill { member, kill }) => {
                    self.ids.get(&member).into_iter().for_each(|id| context.request(*id, Request::Kill(kill)));
                }
                None => break,
            }
        }
        self.pass_on_events(context);
        let timeout = self.handle.state().poll_timeout();
        timeout.into_iter().for_each(|at| self.set_backoff_timer(context, at));
    }

    fn start(&mut self, context: &mut Context<'_>, member: usize, attempt: u32) {
        match self.members.start(context, member, attempt) {
            Attempt::Running(id) => {
                let other = self.running.insert(id, member);
                self.duplicates.extend(other.map(|member| (id, member)));
                self.ids.insert(member, id);
            }
            Attempt::Ended { ok } => self.handle.state().handle_ended(member, ok, context.now()),
            Attempt::Cancelled => self.handle.state().handle_not_started(member),
        }
    }

    fn pass_on_events(&mut self, context: &mut Context<'_>) {
        loop {
            let event = self.handle.state().poll_event();
            match event {
                // Not at once: handlers are told of an end before those who wait for it, and an action must not be found
                // ended while one of its processes still runs.
                Some(MemberEvent::Done) => self.finish_timer = Some(context.timer(Duration::ZERO)),
                Some(event) => self.members.on_member_event(event),
                None => return,
            }
        }
    }

    fn set_backoff_timer(&mut self, context: &mut Context<'_>, at: Instant) {
        if self.backoff_timer.is_none_or(|(set, _)| at < set) {
            let delay = at.saturating_duration_since(context.now());
            self.backoff_timer = Some((at, context.timer(delay)));
        }
    }
}

impl<M: JobMembers> Handler for JobHandler<M> {
    fn on_event(&mut self, context: &mut Context<'_>, event: &Event) {
        match event {
            Event::Ended { id, finished } => {
                let Some(member) = self.running.remove(id) else { return };
                let duplicates: Vec<_> = self.duplicates.extract_if(.., |(process, _)| process == id).collect();
                for member in std::iter::once(member).chain(duplicates.into_iter().map(|(_, member)| member)) {
                    self.ids.remove(&member);
                    let ok = self.members.judge(context, *id, member, finished);
                    self.handle.state().handle_ended(member, ok, context.now());
                }
                self.drive(context);
            }
            Event::Attached => self.drive(context),
            Event::Timer { timer } if Some(*timer) == self.finish_timer => {
                self.members.on_member_event(MemberEvent::Done);
                context.detach();
            }
            Event::Timer { timer } if self.backoff_timer.is_some_and(|(_, set)| set == *timer) => {
                self.backoff_timer = None;
                self.drive(context);
            }
            _ => {}
        }
    }

    fn on_notification(&mut self, context: &mut Context<'_>, notification: &Notification) {
        if *notification == Notification::Woken {
            self.drive(context);
        }
    }
}
