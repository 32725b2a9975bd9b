//! The processes of steps: started as their job says, reported, ended, and judged.

use std::sync::Arc;
use std::time::Instant;

use phalanx_action::job::{JobEffect, JobState, MemberEvent, new_job};
use phalanx_action::rollout::Rollout;
use phalanx_process::event::{Grace, Kill, Request, Stream};
use phalanx_process::expect::IDLE_TIMEOUT;
use phalanx_process::id::ProcessId;
use phalanx_process::outcome::Finished;
use phalanx_process::result::EndedBecause;

use super::chained::ActiveChain;
use super::member::{Member, Wishes};
use super::recipe::{Ending, Recipe};
use super::{Alarm, Happening, Player, UnderWay};
use crate::model::Processes;
use crate::workflow::StepRun;

/// A step of processes under way.
pub(super) struct Running {
    step: Arc<Processes>,
    background: bool,
    /// If the processes start each other's turns: by what that is cancelled.
    pub(super) chain: Option<ActiveChain>,
    pub(super) recipe: Recipe,
    pub(super) job: JobState,
    pub(super) members: Vec<Member>,
    /// How many were not started, and will not be.
    cancelled: usize,
    /// How many are ready.
    ready: usize,
}

impl Running {
    /// Takes note that the members of a chain that have not ended were never started. Returns their processes.
    pub(super) fn take_unstarted(&mut self) -> Vec<ProcessId> {
        let Self { members, job, .. } = self;
        let left = members.iter_mut().enumerate().filter_map(|(member, one)| Some((member, one.id.take()?)));
        left.inspect(|(member, _)| job.handle_not_started(*member)).map(|(_, id)| id).collect()
    }
}

impl Player {
    pub(super) fn start_processes(
        &mut self,
        turn: StepRun,
        step: &Arc<Processes>,
        background: bool,
    ) -> Result<(), String> {
        let recipe = match Recipe::new(step, &self.lists(turn), &self.manner) {
            Ok(recipe) => recipe,
            Err(error) => {
                self.tell_begun(turn, String::new(), false);
                return Err(error);
            }
        };
        let members = Arc::clone(&recipe.labels);
        let (command, remote) = (recipe.command.clone(), recipe.is_remote());
        let count = members.len();
        self.happenings.push_back(Happening::Begun { turn, members, command, remote });
        recipe.source().into_iter().for_each(|source| source.attach(&self.engine.handle()));
        let chain = self.attach_chain(turn, &recipe);
        let rollout = match &chain {
            // It has an order of its own, and says itself who fails.
            Some(_) => Rollout::with_fanout(0),
            // All in the background must be ready before the next step begins, so none waits for another.
            None if background => Rollout { fanout: 0, ..step.rollout.clone() },
            None => Rollout { fanout: step.fanout.unwrap_or(self.manner.fanout), ..step.rollout.clone() },
        };
        let job = new_job(count, rollout);
        let members = std::iter::repeat_with(Member::default).take(count).collect();
        let step = Arc::clone(step);
        let running = Running { step, background, chain, recipe, job, members, cancelled: 0, ready: 0 };
        self.under_way.insert(turn, UnderWay::Processes(Box::new(running)));
        self.start_ready(turn);
        Ok(())
    }

    /// Starts the members that may start now, and ends the step when its job is done.
    pub(super) fn start_ready(&mut self, turn: StepRun) {
        let now = Instant::now();
        let Some(running) = self.running_mut(turn) else { return };
        running.job.handle_timeout(now);
        while let Some(effect) = self.running_mut(turn).and_then(|running| running.job.poll_effect()) {
            match effect {
                JobEffect::Start { member, attempt } => self.start_member(turn, member, attempt),
                JobEffect::Kill { member, .. } => self.end_member(turn, member, now),
            }
        }
        while let Some(event) = self.running_mut(turn).and_then(|running| running.job.poll_event()) {
            match event {
                MemberEvent::Cancelled { member } => self.not_started(turn, member),
                MemberEvent::Finished { member, .. } => self.not_retried(turn, member),
                MemberEvent::Done => return self.finish(turn),
                MemberEvent::Retrying { .. } => {}
            }
        }
        let timeout = self.running_mut(turn).and_then(|running| running.job.poll_timeout());
        self.alarms.extend(timeout.map(|at| (at, turn, Alarm::Start)));
    }

    /// Tells of a member that was to be tried again, and will not be: its last attempt was the end of it.
    fn not_retried(&mut self, turn: StepRun, member: usize) {
        let last = self.running_mut(turn).and_then(|running| running.members[member].last.take());
        let Some((result, finished)) = last else { return };
        self.happenings.push_back(Happening::Ended { turn, member, finished, result, retry: None });
    }

    fn not_started(&mut self, turn: StepRun, member: usize) {
        self.running_mut(turn).into_iter().for_each(|running| running.cancelled += 1);
        self.happenings.push_back(Happening::NotStarted { turn, member });
    }

    pub(super) fn start_member(&mut self, turn: StepRun, member: usize, attempt: u32) {
        let Some(UnderWay::Processes(running)) = self.under_way.get_mut(&turn) else { return };
        let Running { step, recipe, members, chain, .. } = &mut **running;
        let prepared = members[member].prepare(step, recipe, member);
        members[member].attempt = attempt;
        if let Some(chain) = chain {
            // The chain starts it when its turn comes.
            members[member].id = Some(chain.id(member));
            return;
        }
        let mut spec = recipe.spec(member);
        if let Err(defect) = prepared {
            spec.launch.defect = Some(defect);
        }
        let id = self.engine.start(spec);
        self.engine.request(id, Request::EmitOutput);
        members[member].id = Some(id);
        self.processes.insert(id, (turn, member));
    }

    /// Ends a step whose processes have all ended for good.
    pub(super) fn finish(&mut self, turn: StepRun) {
        let Some(UnderWay::Processes(running)) = self.under_way.remove(&turn) else { return };
        let Running { job, cancelled, recipe, .. } = *running;
        self.left_behind.retain(|source| !source.is_idle());
        self.left_behind.extend(recipe.source().filter(|source| !source.is_idle()).cloned());
        let (failures, total) = (job.failures(), job.total());
        if cancelled > 0 && job.is_budget_spent() {
            let reason = format!("{failures} of {total} have failed, so {cancelled} were not tried (max_failures)");
            self.reasons.insert(turn, reason);
        }
        self.workflow.handle_ended(turn, failures == 0 && cancelled == 0, Instant::now());
    }

    /// Ends a process whose part is over, politely.
    pub(super) fn end_member(&mut self, turn: StepRun, member: usize, now: Instant) {
        let grace = self.manner.policy.grace;
        let Some(running) = self.running_mut(turn) else { return };
        let signal = running.step.stop_signal;
        let ending = running.recipe.ending;
        let one = &mut running.members[member];
        let Some(id) = one.id else { return };
        one.ending = true;
        match ending {
            Ending::CloseStdin => {
                one.kill_at = grace.and_then(|grace| now.checked_add(grace));
                self.engine.request(id, Request::CloseStdin);
            }
            Ending::Signal(_) => {
                let grace = grace.map_or(Grace::Never, Grace::After);
                let kill = Kill { signal, grace, group: true };
                self.engine.request(id, Request::Kill(kill));
            }
        }
        self.arm_member(turn, member);
    }

    pub(super) fn arm_member(&mut self, turn: StepRun, member: usize) {
        let at = self.running_mut(turn).and_then(|running| running.members[member].poll_timeout());
        if let Some(at) = at {
            self.alarms.insert((at, turn, Alarm::Member(member)));
        }
    }

    pub(super) fn started(&mut self, id: ProcessId, pid: u32, now: Instant) {
        let Some(&(turn, member)) = self.processes.get(&id) else { return };
        let Some(running) = self.running_mut(turn) else { return };
        let wishes = running.members[member].started(now);
        let attempt = running.members[member].attempt;
        self.happenings.push_back(Happening::Started { turn, member, attempt, pid });
        self.grant(turn, member, wishes, now);
    }

    pub(super) fn said(&mut self, id: ProcessId, stream: Stream, bytes: Arc<[u8]>, now: Instant) {
        let Some(&(turn, member)) = self.processes.get(&id) else { return };
        let Some(running) = self.running_mut(turn) else { return };
        let show = running.step.show;
        // There the remote end of a copy says how it went.
        let internal = running.recipe.carries_files() && stream == Stream::Stdout;
        let one = &mut running.members[member];
        let wishes = one.said(stream, &bytes, now);
        let shown = show.unwrap_or(!one.has_file(stream));
        if !internal {
            self.happenings.push_back(Happening::Output { turn, member, stream, bytes, shown });
        }
        self.grant(turn, member, wishes, now);
    }

    /// Does what a process needs.
    pub(super) fn grant(&mut self, turn: StepRun, member: usize, wishes: Wishes, now: Instant) {
        let Some(running) = self.running_mut(turn) else { return };
        let background = running.background;
        let Some(id) = running.members[member].id else { return };
        let line = running.recipe.is_line();
        running.ready += usize::from(wishes.ready);
        let all_ready = wishes.ready && running.ready == running.members.len();
        if !wishes.write.is_empty() {
            running.members[member].unwritten = true;
            self.engine.request(id, Request::Write(wishes.write.into()));
        }
        if wishes.done && !background {
            if line {
                self.end_line(turn, member, now);
            } else {
                self.engine.request(id, Request::CloseStdin);
            }
        }
        if wishes.end {
            self.end_member(turn, member, now);
        }
        if wishes.kill {
            self.engine.request(id, Request::Kill(Kill::default()));
        }
        self.arm_member(turn, member);
        if all_ready && background {
            self.happenings.push_back(Happening::Ready { turn });
            self.workflow.handle_ready(turn, now);
        }
    }

    /// A serial line has done its part: it is ended when the last answer is on its way.
    pub(super) fn end_line(&mut self, turn: StepRun, member: usize, now: Instant) {
        let Some(running) = self.running_mut(turn) else { return };
        let one = &mut running.members[member];
        one.over = true;
        if one.unwritten {
            return;
        }
        self.end_member(turn, member, now);
    }

    pub(super) fn drained(&mut self, id: ProcessId, now: Instant) {
        let Some(&(turn, member)) = self.processes.get(&id) else { return };
        let Some(running) = self.running_mut(turn) else { return };
        let one = &mut running.members[member];
        one.unwritten = false;
        if one.over {
            // Perhaps it was an earlier answer that was taken, and the last one is about to be written: a kill would
            // overtake it.
            one.end_at = now.checked_add(IDLE_TIMEOUT);
            self.arm_member(turn, member);
        }
    }

    /// Returns why the processes of a step end now, as far as the workflow of the plan knows.
    pub(super) fn ended_because(&self, turn: StepRun) -> EndedBecause {
        let mut around = std::iter::successors(Some(turn), |turn| self.workflow.parent(*turn));
        let in_background = around.any(|turn| self.step(turn).is_some_and(|step| step.background));
        match (self.workflow.is_stopping(turn), in_background) {
            (false, _) => EndedBecause::ByItself,
            // What is in the background is ended with its block.
            (true, true) => EndedBecause::PartOver,
            (true, false) => EndedBecause::RunStopped,
        }
    }

    pub(super) fn ended(&mut self, id: ProcessId, finished: Arc<Finished>, now: Instant) {
        let Some((turn, member)) = self.processes.remove(&id) else { return };
        let asked = self.ended_because(turn);
        let Some(running) = self.running_mut(turn) else { return };
        let Running { step, recipe, members, job, .. } = running;
        let delivery = recipe.source().and_then(|source| source.delivery(member, &finished));
        let result = members[member].ended(step, recipe, &finished, (asked, delivery), now);
        job.handle_ended(member, result.is_ok(), now);
        // All events before were read, so the first is about this member.
        let retry = match job.poll_event() {
            Some(MemberEvent::Retrying { retry, .. }) => Some(retry),
            _ => None,
        };
        members[member].last = retry.map(|_| (result.clone(), Arc::clone(&finished)));
        self.happenings.push_back(Happening::Ended { turn, member, finished, result, retry });
        self.start_ready(turn);
    }
}
