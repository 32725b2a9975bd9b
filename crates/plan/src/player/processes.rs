//! The processes of steps: started as their job says, reported, ended, and judged.

use std::sync::Arc;
use std::time::Instant;

use phalanx_action::files::Fault;
use phalanx_action::job::{JobEffect, JobState, MemberEvent, new_job};
use phalanx_action::rollout::Rollout;
use phalanx_action::substitute::Lists;
use phalanx_process::event::{Grace, Kill, Request, Stream};
use phalanx_process::expect::IDLE_TIMEOUT;
use phalanx_process::id::ProcessId;
use phalanx_process::outcome::Finished;
use phalanx_process::result::EndedBecause;

use super::member::{Member, Wishes};
use super::recipe::{Ending, Recipe};
use super::{Alarm, Happening, Player, UnderWay};
use crate::model::{Plan, Processes, Work};
use crate::workflow::{RunOf, StepRun};

/// A step of processes under way.
pub(super) struct Running {
    pub(super) recipe: Recipe,
    pub(super) job: JobState,
    pub(super) members: Vec<Member>,
    /// How many were not started, and will not be.
    cancelled: usize,
    /// How many are ready.
    ready: usize,
}

impl Player {
    pub(super) fn start_processes(&mut self, turn: StepRun, step: &Processes, lists: &Lists) -> Result<(), String> {
        let recipe = match Recipe::new(step, lists, &self.manner) {
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
        if let Some(broadcast) = recipe.chain() {
            self.start_chain(turn, broadcast.clone());
            return Ok(());
        }
        // Everybody must be ready before the next step begins, so nobody waits for anybody.
        let in_background = self.step(turn).is_some_and(|step| step.background);
        let fanout = if in_background { 0 } else { step.fanout.unwrap_or(self.manner.fanout) };
        let rollout = Rollout { fanout, ..step.rollout.clone() };
        let members = std::iter::repeat_with(Member::default).take(count).collect();
        let running = Running { recipe, job: new_job(count, rollout), members, cancelled: 0, ready: 0 };
        self.under_way.insert(turn, UnderWay::Processes(Box::new(running)));
        self.start_ready(turn);
        Ok(())
    }

    /// The processes that a turn is one of, as the plan describes them.
    pub(super) fn description(plan: &Plan, part: RunOf) -> &Processes {
        let RunOf::Step(number) = part else { unreachable!("only steps have processes") };
        let Work::Processes(processes) = &plan.step(number).work else { unreachable!("it has processes") };
        processes
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
                MemberEvent::Done => return self.finish(turn),
                MemberEvent::Retrying { .. } | MemberEvent::Finished { .. } => {}
            }
        }
        let timeout = self.running_mut(turn).and_then(|running| running.job.poll_timeout());
        self.alarms.extend(timeout.map(|at| (at, turn, Alarm::Start)));
    }

    fn not_started(&mut self, turn: StepRun, member: usize) {
        self.running_mut(turn).into_iter().for_each(|running| running.cancelled += 1);
        self.happenings.push_back(Happening::NotStarted { turn, member });
    }

    pub(super) fn start_member(&mut self, turn: StepRun, member: usize, attempt: u32) {
        let plan = Arc::clone(&self.plan);
        let step = Self::description(&plan, self.workflow.run_of(turn));
        let Some(UnderWay::Processes(running)) = self.under_way.get_mut(&turn) else { return };
        let prepared = running.members[member].prepare(step, &running.recipe, member);
        let mut spec = running.recipe.spec(member);
        if let Err(defect) = prepared {
            spec.launch.defect = Some(defect);
        }
        // What the far end of a put says is how it went, and for nobody else.
        let id = self.drive.start(spec);
        self.drive.request(id, Request::EmitOutput);
        (running.members[member].id, running.members[member].attempt) = (Some(id), attempt);
        self.processes.insert(id, (turn, member));
    }

    /// Ends a step whose processes have all ended for good.
    pub(super) fn finish(&mut self, turn: StepRun) {
        let Some(UnderWay::Processes(running)) = self.under_way.remove(&turn) else { return };
        let Running { job, cancelled, recipe, .. } = *running;
        self.copies.retain(|copy| !copy.is_idle());
        self.copies.extend(recipe.transfers().filter(|copy| !copy.is_idle()).cloned());
        let (failures, total) = (job.failures(), job.total());
        if cancelled > 0 && job.is_budget_spent() {
            let reason = format!("{failures} of {total} have failed, so {cancelled} were not tried (max_failures)");
            self.reasons.insert(turn, reason);
        }
        self.workflow.handle_ended(turn, failures == 0 && cancelled == 0, Instant::now());
    }

    /// Ends a process whose part is over, politely.
    pub(super) fn end_member(&mut self, turn: StepRun, member: usize, now: Instant) {
        let plan = Arc::clone(&self.plan);
        let signal = Self::description(&plan, self.workflow.run_of(turn)).stop_signal;
        let grace = self.manner.policy.grace;
        let Some(running) = self.running_mut(turn) else { return };
        let ending = running.recipe.ending;
        let one = &mut running.members[member];
        let Some(id) = one.id else { return };
        one.ending = true;
        match ending {
            Ending::CloseStdin => {
                one.kill_at = grace.and_then(|grace| now.checked_add(grace));
                self.drive.request(id, Request::CloseStdin);
            }
            Ending::Signal(_) => {
                let grace = grace.map_or(Grace::Never, Grace::After);
                let kill = Kill { signal, grace, group: true };
                self.drive.request(id, Request::Kill(kill));
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
        if self.is_chain(turn) {
            self.happenings.push_back(Happening::Started { turn, member, attempt: 1, pid });
            return;
        }
        let Some(running) = self.running_mut(turn) else { return };
        let wishes = running.members[member].started(now);
        let attempt = running.members[member].attempt;
        self.happenings.push_back(Happening::Started { turn, member, attempt, pid });
        self.grant(turn, member, wishes, now);
    }

    pub(super) fn said(&mut self, id: ProcessId, stream: Stream, bytes: Arc<[u8]>, now: Instant) {
        let Some(&(turn, member)) = self.processes.get(&id) else { return };
        if self.is_chain(turn) {
            return self.chain_said(turn, member, stream, bytes);
        }
        let plan = Arc::clone(&self.plan);
        let show = Self::description(&plan, self.workflow.run_of(turn)).show;
        let Some(running) = self.running_mut(turn) else { return };
        // There the far end of a put says how it went.
        let internal = running.recipe.transfers().is_some() && stream == Stream::Stdout;
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
        let background = self.step(turn).is_some_and(|step| step.background);
        let Some(running) = self.running_mut(turn) else { return };
        let Some(id) = running.members[member].id else { return };
        let line = running.recipe.is_line();
        running.ready += usize::from(wishes.ready);
        let all_ready = wishes.ready && running.ready == running.members.len();
        if !wishes.write.is_empty() {
            running.members[member].unwritten = true;
            self.drive.request(id, Request::Write(wishes.write.into()));
        }
        if wishes.done && !background {
            if line {
                self.end_line(turn, member, now);
            } else {
                self.drive.request(id, Request::CloseStdin);
            }
        }
        if wishes.end {
            self.end_member(turn, member, now);
        }
        if wishes.kill {
            self.drive.request(id, Request::Kill(Kill::default()));
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
        if self.is_chain(turn) {
            return self.chain_ended(turn, member, finished);
        }
        let plan = Arc::clone(&self.plan);
        let step = Self::description(&plan, self.workflow.run_of(turn));
        let asked = self.ended_because(turn);
        let Some(running) = self.running_mut(turn) else { return };
        let Running { recipe, members, job, .. } = running;
        let delivery = recipe.transfers().map(|copy| Fault::delivery(copy.finished(member, &finished)));
        let result = members[member].ended(step, recipe, &finished, (asked, delivery), now);
        job.handle_ended(member, result.is_ok(), now);
        // All events before were read, so the first is about this member.
        let retry = match job.poll_event() {
            Some(MemberEvent::Retrying { retry, .. }) => Some(retry),
            _ => None,
        };
        self.happenings.push_back(Happening::Ended { turn, member, finished, result, retry });
        self.start_ready(turn);
    }
}
