//! What handlers and drivers change: the table, how its processes are started, what backends run, and what they ask of
//! the engine. Apart from the handlers and the descriptors, so that a handler can be given all of it while it runs.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use super::backends::BackendRegistry;
use crate::backend::GIVE_UP_AFTER;
use crate::event::{Effect, Request};
use crate::id::{HandlerId, ProcessId, TimerId};
use crate::outcome::LateFailure;
use crate::run::RunState;
use crate::spec::{Command, Launch, Spec, Stdin};
use crate::table::ProcessTable;

/// See the module's documentation.
pub(crate) struct EngineState {
    pub(crate) table: ProcessTable,
    /// How the processes that have not ended are started.
    pub(crate) launches: HashMap<ProcessId, Arc<Launch>>,
    pub(crate) hosted: BackendRegistry,
    pub(crate) deferred: DeferredCommands,
    /// The time of the present turn, or of the present step of it.
    pub(crate) now: Instant,
}

/// What handlers and drivers asked for that needs the engine itself; done as soon as they have returned.
#[derive(Default)]
pub(crate) struct DeferredCommands {
    pub(crate) routes: Vec<(ProcessId, HandlerId)>,
    pub(crate) timers: Vec<(Instant, TimerId, HandlerId)>,
    /// Runs of which a handle wants to know.
    pub(crate) runs: Vec<(ProcessId, Arc<RunState>)>,
    /// Failures of processes that the table has forgotten; they are entered into the event that is being told.
    pub(crate) late_failures: Vec<(ProcessId, LateFailure)>,
    pub(crate) detached: Vec<HandlerId>,
    /// What backends are to perform.
    pub(crate) effects: VecDeque<(HandlerId, Effect)>,
    /// A waiting thread was given what it waited for, and may ask for more at once.
    pub(crate) answered: bool,
}

impl EngineState {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            table: ProcessTable::default(),
            launches: HashMap::new(),
            hosted: BackendRegistry::default(),
            deferred: DeferredCommands::default(),
            now,
        }
    }

    /// Enters a process, not yet started. Data for its stdin is kept by the table until it runs. A backend hears the events
    /// of its processes, and so lives as long as they do.
    pub(crate) fn enter(&mut self, id: ProcessId, spec: Spec) {
        let Spec { launch, mut policy } = spec;
        if let Some(hosted) = &launch.hosted {
            policy.abandon.get_or_insert(GIVE_UP_AFTER);
            self.deferred.routes.push((id, hosted.backend.0));
        }
        if let Command::MuxSession(_) = launch.command {
            // Its start takes a round trip, and can be cancelled.
            policy.abandon.get_or_insert(GIVE_UP_AFTER);
        }
        self.table.insert(id, policy);
        if let Stdin::Data(bytes) = &launch.stdin {
            self.request(id, Request::Write(Arc::clone(bytes)));
            self.request(id, Request::CloseStdin);
        }
        self.launches.insert(id, launch.into());
    }

    pub(crate) fn request(&mut self, id: ProcessId, request: Request) {
        self.table.handle_request(id, self.now, request);
    }
}
