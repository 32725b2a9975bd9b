//! The commonest work: processes side by side, started as a rollout says.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;

use phalanx_process::engine::EngineHandle;
use phalanx_process::event::{Kill, Request};
use phalanx_process::handler::Context;
use phalanx_process::id::{HandlerId, ProcessId};
use phalanx_process::outcome::Finished;
use phalanx_process::result::Delivery;
use phalanx_process::spec::{Output, Stdin};
use phalanx_process::{Process, Spec};

use super::{Over, Work};
use crate::files::Fault;
use crate::job::{Attempt, JobHandle, JobHandler, JobMembers, MemberEvent, Retry};
use crate::rollout::Rollout;
use crate::source::MemberSource;

/// Processes, and when they start.
pub(super) struct Row {
    processes: Vec<Process>,
    rollout: Rollout,
    engine: EngineHandle,
    source: Option<Arc<dyn MemberSource>>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The last order to end it.
    killed: Option<Kill>,
    job: Option<(JobHandle, HandlerId)>,
    /// What was wrong with those that have ended.
    faults: HashMap<usize, Option<Fault>>,
}

impl Row {
    pub(super) fn new(
        processes: Vec<Process>,
        rollout: Rollout,
        engine: &EngineHandle,
        source: Option<Arc<dyn MemberSource>>,
    ) -> Self {
        Self { processes, rollout, engine: engine.clone(), source, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All have ended. What was made for them may still have to be waited for, which a handler cannot.
    fn conclude(&self, over: Over) {
        let Some(source) = self.source.clone() else { return over.tell() };
        let (sender, receiver) = mpsc::channel::<Over>();
        let settle = move || {
            source.join();
            receiver.into_iter().for_each(Over::tell);
        };
        match thread::Builder::new().name("phalanx-settle".to_owned()).spawn(settle) {
            Ok(_) => drop(sender.send(over)),
            Err(error) => {
                log::warn!("an end is told although something may still be written: no thread is left ({error})");
                over.tell();
            }
        }
    }
}

impl Work for Row {
    fn processes(&self) -> Vec<Process> {
        self.processes.clone()
    }

    fn begin(self: Arc<Self>, over: Over) {
        let mut state = self.state();
        let job = JobHandle::new(self.processes.len(), self.rollout.clone());
        if let Some(kill) = state.killed {
            job.kill(kill);
        }
        let members = RowMembers { row: Arc::clone(&self), over: Some(over) };
        let handler = self.engine.attach(JobHandler::new(job.clone(), members));
        state.job = Some((job, handler));
    }

    fn kill(&self, kill: Kill) {
        let mut state = self.state();
        state.killed = Some(kill);
        if let Some((job, handler)) = &state.job {
            job.kill(kill);
            self.engine.wake_handler(*handler);
        }
    }

    fn reset(&self) {
        self.processes.iter().for_each(|process| drop(process.clone().reset()));
        *self.state() = State::default();
    }

    fn delivery(&self, index: usize, _finished: &Finished) -> Option<Delivery> {
        self.source.as_ref()?;
        let fault = self.state().faults.get(&index).cloned();
        Some(Fault::delivery(fault.unwrap_or(Some(Fault::Disconnected))))
    }
}

struct RowMembers {
    row: Arc<Row>,
    over: Option<Over>,
}

impl JobMembers for RowMembers {
    fn start(&mut self, context: &mut Context<'_>, member: usize, attempt: u32) -> Attempt {
        let process = &self.row.processes[member];
        let id = match &self.row.source {
            None if attempt == 1 => process.start_within(context),
            None => process.restart_within(context),
            Some(source) => start_prepared(process, source.spec(member), context),
        };
        id.map_or_else(|| Attempt::Ended { ok: process.ok() }, Attempt::Running)
    }

    fn judge(&mut self, context: &mut Context<'_>, id: ProcessId, member: usize, finished: &Finished) -> bool {
        let Some(source) = &self.row.source else { return finished.ok };
        let fault = source.finished(member, finished);
        // One that we have killed is forgiven everything.
        let is_faulty = fault.is_some() && !finished.outcome.killed;
        if is_faulty && finished.ok {
            let reason = fault.as_ref().map_or_else(String::new, ToString::to_string);
            context.request(id, Request::Fail(reason.into()));
        }
        self.row.state().faults.insert(member, fault);
        finished.ok && !is_faulty
    }

    fn on_member_event(&mut self, event: MemberEvent) {
        match event {
            MemberEvent::Retrying { member, retry: Retry { failed, attempts, delay } } => {
                let process = &self.row.processes[member];
                let host = process.host().map(|host| format!(" on {host}")).unwrap_or_default();
                let name = process.name();
                log::warn!("{name}{host}: attempt {failed} of {attempts} failed; the next one is in {delay:.1?}");
            }
            MemberEvent::Finished { .. } | MemberEvent::Cancelled { .. } => {}
            MemberEvent::Done => {
                let over = self.over.take().expect("a job is done once");
                self.row.conclude(over);
            }
        }
    }
}

/// Its descriptors are given to the engine alone: a handle that kept them would keep pipes open for ever.
fn start_prepared(process: &Process, spec: Spec, context: &mut Context<'_>) -> Option<ProcessId> {
    let process = process.clone().with(|description| description.launch = spec.launch);
    let id = process.restart_within(context);
    drop(process.stdin(Stdin::Null).stdout_to(Output::Read));
    id
}
