//! Chains of hosts as steps: the [`Broadcast`] steers, as a handler of its own on the engine; here its processes are told
//! of, ended, and judged.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use phalanx_action::chain::Broadcast;
use phalanx_action::chain::CancelHandle;
use phalanx_process::Spec;
use phalanx_process::event::{Kill, Stream};
use phalanx_process::handler::Context;
use phalanx_process::id::{ProcessId, ProcessIds};
use phalanx_process::outcome::Finished;
use phalanx_process::result::{Evidence, Route};

use super::{Happening, Player, UnderWay};
use crate::workflow::StepRun;

/// A chain under way.
pub(super) struct Chained {
    broadcast: Broadcast,
    cancel: CancelHandle,
    ids: ProcessIds,
    /// Whether each host is well, once it has ended.
    hosts: Vec<Option<bool>>,
    over: Arc<AtomicBool>,
}

impl Player {
    pub(super) fn start_chain(&mut self, turn: StepRun, broadcast: Broadcast) {
        let count = broadcast.len();
        let (cancel, over, ids) = (CancelHandle::default(), Arc::new(AtomicBool::new(false)), ProcessId::block(count));
        let start = move |context: &mut Context<'_>, host: usize, spec: Spec| {
            context.start(ids.at(host), spec);
            Some(ids.at(host))
        };
        let (told, wake) = (Arc::clone(&over), self.drive.waker());
        let all_over = move || {
            told.store(true, Ordering::SeqCst);
            wake();
        };
        self.processes.extend((0..count).map(|host| (ids.at(host), (turn, host))));
        self.drive.attach(broadcast.handler(cancel.clone(), start, all_over));
        let chained = Chained { broadcast, cancel, ids, hosts: vec![None; count], over };
        self.under_way.insert(turn, UnderWay::Chain(Box::new(chained)));
    }

    pub(super) fn is_chain(&self, turn: StepRun) -> bool {
        matches!(self.under_way.get(&turn), Some(UnderWay::Chain(_)))
    }

    /// What a host says on stdout is for us, and says how it went.
    pub(super) fn chain_said(&mut self, turn: StepRun, member: usize, stream: Stream, bytes: Arc<[u8]>) {
        if stream == Stream::Stderr {
            self.happenings.push_back(Happening::Output { turn, member, stream, bytes, shown: true });
        }
    }

    pub(super) fn chain_ended(&mut self, turn: StepRun, member: usize, finished: Arc<Finished>) {
        let asked = self.ended_because(turn);
        let Some(UnderWay::Chain(chained)) = self.under_way.get_mut(&turn) else { return };
        let delivery = chained.broadcast.delivery(member, &finished);
        let result = Evidence::new(&finished, Route::Ssh).ended(asked).delivery(Some(delivery)).judge();
        chained.hosts[member] = Some(result.is_ok());
        self.happenings.push_back(Happening::Ended { turn, member, finished, result, retry: None });
    }

    /// Nobody more is started, and who runs is ended.
    pub(super) fn end_chain(&mut self, turn: StepRun) {
        if let Some(UnderWay::Chain(chained)) = self.under_way.get(&turn) {
            chained.cancel.kill(Kill::default());
        }
    }

    /// Looks for chains that are over. To be called when no event is left to tell.
    pub(super) fn finish_chains(&mut self) {
        let over = |(turn, under_way): (&StepRun, &UnderWay)| match under_way {
            UnderWay::Chain(chained) if chained.over.load(Ordering::SeqCst) => Some(*turn),
            _ => None,
        };
        let turns: Vec<StepRun> = self.under_way.iter().filter_map(over).collect();
        for turn in turns {
            let Some(UnderWay::Chain(chained)) = self.under_way.remove(&turn) else { continue };
            for (member, _) in chained.hosts.iter().enumerate().filter(|(_, ok)| ok.is_none()) {
                self.processes.remove(&chained.ids.at(member));
                self.happenings.push_back(Happening::NotStarted { turn, member });
            }
            self.workflow.handle_ended(turn, chained.hosts.iter().all(|ok| *ok == Some(true)), Instant::now());
        }
    }
}
