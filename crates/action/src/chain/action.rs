//! A chain as an action.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use phalanx_process::engine::EngineHandle;
use phalanx_process::event::Kill;
use phalanx_process::handler::Context;
use phalanx_process::id::HandlerId;
use phalanx_process::outcome::Finished;
use phalanx_process::result::Delivery;
use phalanx_process::spec::Launch;
use phalanx_process::{Process, Spec};

use super::session::{Broadcast, CancelHandle};
use crate::action::{Action, Over, Work};

impl Broadcast {
    /// The action that does it.
    #[must_use]
    pub fn into_action(self, engine: &EngineHandle) -> Action {
        let process = |index| {
            let launch = Launch { name: Some(self.name().to_owned()), ..Launch::default() };
            let spec = Spec { launch, policy: self.policy() };
            Process::from_spec(spec, engine).on_host(self.host(index).address())
        };
        let processes = (0..self.len()).map(process).collect();
        let name = self.name().to_owned();
        let chain = Chain { broadcast: self, processes, engine: engine.clone(), state: Mutex::default() };
        Action::of(name, Arc::new(chain), engine)
    }
}

struct Chain {
    broadcast: Broadcast,
    processes: Vec<Process>,
    engine: EngineHandle,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The last order to end it.
    killed: Option<Kill>,
    handler: Option<(CancelHandle, HandlerId)>,
}

impl Chain {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Work for Chain {
    fn processes(&self) -> Vec<Process> {
        self.processes.clone()
    }

    fn begin(self: Arc<Self>, over: Over) {
        let mut state = self.state();
        let cancel = CancelHandle::default();
        if let Some(kill) = state.killed {
            cancel.kill(kill);
        }
        let starting = Arc::clone(&self);
        let start = move |context: &mut Context<'_>, host: usize, spec: Spec| {
            let process = starting.processes[host].clone().with(|description| description.launch = spec.launch);
            process.restart_within(context)
        };
        let handler = self.broadcast.handler(cancel.clone(), start, move || over.tell());
        state.handler = Some((cancel, self.engine.attach(handler)));
    }

    fn kill(&self, kill: Kill) {
        let mut state = self.state();
        state.killed = Some(kill);
        if let Some((cancel, handler)) = &state.handler {
            cancel.kill(kill);
            self.engine.wake_handler(*handler);
        }
    }

    fn reset(&self) {
        self.processes.iter().for_each(|process| drop(process.clone().reset()));
        *self.state() = State::default();
    }

    fn delivery(&self, index: usize, finished: &Finished) -> Option<Delivery> {
        Some(self.broadcast.delivery(index, finished))
    }
}
