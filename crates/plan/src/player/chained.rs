//! Chains of hosts: a handler of the chain's own on the engine starts the processes, since each is fed by the one before.
//! Otherwise they are as all others.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use phalanx_action::chain::CancelHandle;
use phalanx_process::Spec;
use phalanx_process::event::{Kill, Request};
use phalanx_process::handler::Context;
use phalanx_process::id::{ProcessId, ProcessIds};

use super::recipe::Recipe;
use super::{Player, UnderWay};
use crate::workflow::StepRun;

/// A chain that starts the processes of a step.
pub(super) struct ActiveChain {
    cancel: CancelHandle,
    ids: ProcessIds,
    over: Arc<AtomicBool>,
}

impl ActiveChain {
    /// Returns the process of a member, which may not have been started yet.
    pub(super) fn id(&self, member: usize) -> ProcessId {
        self.ids.at(member)
    }

    /// Starts no further process, and kills those that run.
    pub(super) fn kill(&self) {
        self.cancel.kill(Kill::default());
    }
}

impl Player {
    /// Attaches the handler of a chain, if it is one that the recipe makes.
    pub(super) fn attach_chain(&mut self, turn: StepRun, recipe: &Recipe) -> Option<ActiveChain> {
        let broadcast = recipe.source()?.chain()?;
        let (cancel, over, count) = (CancelHandle::default(), Arc::new(AtomicBool::new(false)), broadcast.len());
        let (ids, environment) = (ProcessId::block(count), recipe.environment());
        let start = move |context: &mut Context<'_>, host: usize, mut spec: Spec| {
            spec.launch.environment = Some(Arc::clone(&environment));
            context.start(ids.at(host), spec);
            context.request(ids.at(host), Request::EmitOutput);
            Some(ids.at(host))
        };
        let (told, wake) = (Arc::clone(&over), self.engine.waker());
        let all_over = move || {
            told.store(true, Ordering::SeqCst);
            wake();
        };
        self.processes.extend((0..count).map(|host| (ids.at(host), (turn, host))));
        self.engine.attach(broadcast.handler(cancel.clone(), start, all_over));
        Some(ActiveChain { cancel, ids, over })
    }

    /// Ends the steps whose chains are over. To be called when no event is left to be read.
    pub(super) fn finish_chains(&mut self) {
        let is_over = |under_way: &UnderWay| match under_way {
            UnderWay::Processes(running) => {
                running.chain.as_ref().is_some_and(|chain| chain.over.load(Ordering::SeqCst))
            }
            _ => false,
        };
        let over = self.under_way.iter().filter(|(_, under_way)| is_over(under_way));
        let turns: Vec<StepRun> = over.map(|(turn, _)| *turn).collect();
        for turn in turns {
            let Some(running) = self.running_mut(turn) else { continue };
            let left = running.take_unstarted();
            for id in left {
                self.processes.remove(&id);
            }
            self.start_ready(turn);
        }
    }
}
