//! Starts the members of a [`Schedule`] one after the other, as others end: the handler that joins a schedule to an
//! engine. It knows members by their numbers, and processes by their names; what a member is, `start` knows.

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher as _, Hasher as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use phalanx_process::event::{Event, Kill, Notification, Request};
use phalanx_process::handler::{Context, Handler};
use phalanx_process::id::{ProcessId, TimerId};
use phalanx_process::outcome::Finished;

use crate::rollout::{Retry, Rollout, Schedule, Step};

/// Returns a random number, for the jitter of a schedule: the seed that std takes for a new hash map.
#[must_use]
pub fn random() -> u64 {
    std::hash::RandomState::new().build_hasher().finish()
}

/// Holds a crew from outside, on whatever thread. Cloning gives another hold on the same crew.
///
/// What is asked here takes effect when the crew is next told something; whoever cannot wait for that
/// [calls](phalanx_process::engine::EngineHandle::call) for it.
#[derive(Debug, Clone)]
pub struct Reins(Arc<Mutex<Held>>);

#[derive(Debug)]
struct Held {
    schedule: Schedule,
    /// How those that run are to be ended, if they are.
    kill: Option<Kill>,
}

impl Reins {
    /// Of a crew of `total` members.
    #[must_use]
    pub fn new(total: usize, rollout: Rollout) -> Self {
        let schedule = Schedule::new(total, rollout).with_jitter(random());
        Self(Arc::new(Mutex::new(Held { schedule, kill: None })))
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nobody more is started; who runs goes on.
    pub fn call_off(&self) {
        self.held().schedule.call_off();
    }

    /// Nobody more is started, and who runs is ended.
    pub fn kill(&self, kill: Kill) {
        let mut held = self.held();
        held.schedule.call_off();
        held.kill = Some(kill);
    }

    /// Whether this member has ended for good. Known as soon as its end is told.
    #[must_use]
    pub fn is_settled(&self, member: usize) -> bool {
        self.held().schedule.is_settled(member)
    }

    /// Whether so many have failed that nobody more is started.
    #[must_use]
    pub fn is_halted(&self) -> bool {
        self.held().schedule.is_halted()
    }
}

/// What a crew asks of the one who made it.
pub trait Foreman: Send {
    /// Starts a member, for the so-manieth time, counted from 1, through the context. Returns the name under which the
    /// end will be told; nothing if that has been told already, with `ok` as [`Foreman::was_ok`] says.
    fn start(&mut self, context: &mut Context<'_>, member: usize, attempt: u32) -> Option<ProcessId>;

    /// Judges a member that has ended so; whether it went well.
    fn judge(&mut self, _context: &mut Context<'_>, _id: ProcessId, _member: usize, finished: &Finished) -> bool {
        finished.ok
    }

    /// Whether a member went well that had ended before it was to be started.
    fn was_ok(&self, _member: usize) -> bool {
        true
    }

    /// A member has failed, and will be tried again.
    fn will_retry(&mut self, _member: usize, _retry: Retry) {}

    /// Nobody runs, nobody will be started, and all who wait for a member have been told of its end. Called once.
    fn over(&mut self);
}

/// Members that start as the schedule says. It begins when it is attached to an engine.
pub struct Crew<F> {
    reins: Reins,
    foreman: F,
    running: HashMap<ProcessId, usize>,
    /// Further members that are the same process as one that runs.
    twins: Vec<(ProcessId, usize)>,
    /// The timer that ends a pause.
    alarm: Option<(Instant, TimerId)>,
    /// The timer that ends it all.
    curtain: Option<TimerId>,
}

impl<F> fmt::Debug for Crew<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Crew").field("reins", &self.reins).finish_non_exhaustive()
    }
}

impl<F: Foreman> Crew<F> {
    /// The crew that these reins hold.
    pub fn new(reins: Reins, foreman: F) -> Self {
        Self { reins, foreman, running: HashMap::new(), twins: Vec::new(), alarm: None, curtain: None }
    }

    fn go_on(&mut self, context: &mut Context<'_>) {
        let kill = self.reins.held().kill.take();
        if let Some(kill) = kill {
            self.running.keys().for_each(|id| context.request(*id, Request::Kill(kill)));
        }
        loop {
            let step = self.reins.held().schedule.step(context.now());
            match step {
                Step::Start { member, attempt } => match self.foreman.start(context, member, attempt) {
                    Some(id) => self.enter(id, member),
                    None => self.ended(context, member, self.foreman.was_ok(member)),
                },
                Step::WaitUntil(at) => return self.set_alarm(context, at),
                Step::Wait => return,
                Step::Over => return self.draw_curtain(context),
            }
        }
    }

    fn enter(&mut self, id: ProcessId, member: usize) {
        let twin = self.running.insert(id, member);
        self.twins.extend(twin.map(|member| (id, member)));
    }

    fn set_alarm(&mut self, context: &mut Context<'_>, at: Instant) {
        if self.alarm.is_none_or(|(set, _)| at < set) {
            let pause = at.saturating_duration_since(context.now());
            self.alarm = Some((at, context.timer(pause)));
        }
    }

    /// Not at once: handlers hear of an end before those who wait for it, and nobody may find an action over that has a
    /// process still running.
    fn draw_curtain(&mut self, context: &mut Context<'_>) {
        if self.curtain.is_none() {
            self.curtain = Some(context.timer(Duration::ZERO));
        }
    }

    fn ended(&mut self, context: &mut Context<'_>, member: usize, ok: bool) {
        let (retry, kills) = {
            let schedule = &mut self.reins.held().schedule;
            (schedule.ended(member, ok, context.now()), schedule.kills())
        };
        if let Some(retry) = retry {
            self.foreman.will_retry(member, retry);
        }
        if kills {
            self.running.keys().for_each(|id| context.kill(*id));
        }
    }
}

impl<F: Foreman> Handler for Crew<F> {
    fn on_event(&mut self, context: &mut Context<'_>, event: &Event) {
        match event {
            Event::Ended { id, finished } => {
                if let Some(member) = self.running.remove(id) {
                    let ok = self.foreman.judge(context, *id, member, finished);
                    self.ended(context, member, ok);
                    for (_, twin) in self.twins.extract_if(.., |(process, _)| process == id).collect::<Vec<_>>() {
                        self.ended(context, twin, ok);
                    }
                    self.go_on(context);
                }
            }
            Event::Attached => self.go_on(context),
            Event::Timer { timer } if Some(*timer) == self.curtain => {
                self.foreman.over();
                context.detach();
            }
            Event::Timer { timer } if self.alarm.is_some_and(|(_, set)| set == *timer) => {
                self.alarm = None;
                self.go_on(context);
            }
            _ => {}
        }
    }

    fn on_notification(&mut self, context: &mut Context<'_>, notice: &Notification) {
        if *notice == Notification::Woken {
            self.go_on(context);
        }
    }
}
