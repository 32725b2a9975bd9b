//! The seam between what the table wants done and what does it. Every process has one backend, decided at its spawn, and
//! every backend one driver.

use std::collections::HashMap;
use std::time::Instant;

use phalanx_core::{Reactor, Ready};

use super::backends::BackendRegistry;
use super::local::LocalDriver;
use super::mux::MuxDriver;
use super::serial::SerialDriver;
use super::state::DeferredCommands;
use super::tokens::from_key;
use crate::event::{Effect, Input};
use crate::id::{BackendId, ProcessId};
use crate::spec::{Command, Launch};
use crate::table::ProcessTable;

/// What runs a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Backend {
    /// The kernel of this machine.
    Local,
    /// Nothing: it is a serial line, opened by the engine itself.
    Serial,
    /// An ssh master, which is spoken to by the engine itself.
    Mux,
    /// A handler; see [`crate::backend`].
    Hosted(BackendId),
}

impl Backend {
    fn of(launch: &Launch) -> Self {
        match (&launch.hosted, &launch.command) {
            (Some(hosted), _) => Self::Hosted(hosted.backend),
            (None, Command::Device(_)) => Self::Serial,
            (None, Command::MuxSession(_)) => Self::Mux,
            (None, Command::Arguments(_) | Command::Words(_)) => Self::Local,
        }
    }
}

/// What a driver works with: the reactor, the table, the time, and what it asks of the engine.
pub(super) struct DriverCtx<'a> {
    pub(super) reactor: &'a Reactor,
    pub(super) table: &'a mut ProcessTable,
    pub(super) deferred: &'a mut DeferredCommands,
    pub(super) now: Instant,
}

impl DriverCtx<'_> {
    pub(super) fn input(&mut self, id: ProcessId, input: Input<'_>) {
        self.table.handle_input(id, self.now, input);
    }
}

/// Performs effects on the processes of one kind of backend, and tells the table what it saw.
pub(super) trait Driver {
    /// Performs one effect, or begins to. A spawn comes with its launch.
    fn perform(&mut self, effect: Effect, launch: Option<&Launch>, ctx: &mut DriverCtx<'_>);

    /// Whether it still holds something of a process.
    fn holds(&self, id: ProcessId) -> bool;

    /// Takes note that a descriptor of one of its processes became ready.
    fn handle_readiness(&mut self, _ready: Ready, _ctx: &mut DriverCtx<'_>) {}

    /// Whether something can be read or written that no readiness will announce again.
    fn has_ready(&self) -> bool {
        false
    }

    /// Reads and writes on with all that is ready, each within its bound.
    fn advance(&mut self, _ctx: &mut DriverCtx<'_>) {}

    /// Returns when time next matters to it.
    fn next_deadline(&self) -> Option<Instant> {
        None
    }

    /// Takes note that time has passed.
    fn handle_timeout(&mut self, _ctx: &mut DriverCtx<'_>) {}
}

/// The drivers of one engine, and which process belongs to which.
pub(super) struct Drivers {
    pub(super) local: LocalDriver,
    serial: SerialDriver,
    mux: MuxDriver,
    backends: HashMap<ProcessId, Backend>,
}

impl Drivers {
    pub(super) fn new(local: LocalDriver) -> Self {
        Self { local, serial: SerialDriver::default(), mux: MuxDriver::default(), backends: HashMap::new() }
    }

    fn driver<'a>(&'a mut self, backend: Backend, hosted: &'a mut BackendRegistry) -> &'a mut dyn Driver {
        match backend {
            Backend::Local => &mut self.local,
            Backend::Serial => &mut self.serial,
            Backend::Mux => &mut self.mux,
            Backend::Hosted(_) => hosted,
        }
    }

    /// Has the driver of the process perform the effect. A spawn decides which that is.
    pub(super) fn perform(
        &mut self,
        effect: Effect,
        launch: Option<&Launch>,
        hosted: &mut BackendRegistry,
        ctx: &mut DriverCtx<'_>,
    ) {
        let id = effect.process();
        if let (Effect::Spawn(_), Some(launch)) = (&effect, launch) {
            self.backends.insert(id, Backend::of(launch));
        }
        let Some(backend) = self.backends.get(&id).copied() else { return };
        let is_last = matches!(effect, Effect::Release(_));
        self.driver(backend, hosted).perform(effect, launch, ctx);
        if is_last {
            self.backends.remove(&id);
        }
    }

    /// A process has ended: it is forgotten here, unless its driver is still to release something of it.
    pub(super) fn ended(&mut self, id: ProcessId, hosted: &mut BackendRegistry) {
        if let Some(backend) = self.backends.get(&id).copied()
            && !self.driver(backend, hosted).holds(id)
        {
            self.backends.remove(&id);
        }
    }

    pub(super) fn handle_readiness(&mut self, ready: Ready, hosted: &mut BackendRegistry, ctx: &mut DriverCtx<'_>) {
        // A process that is unknown has been released: late is normal.
        if let Some(backend) = self.backends.get(&from_key(ready.token).0).copied() {
            self.driver(backend, hosted).handle_readiness(ready, ctx);
        }
    }

    pub(super) fn has_ready(&self) -> bool {
        self.local.has_ready() || self.serial.has_ready() || self.mux.has_ready()
    }

    pub(super) fn advance(&mut self, ctx: &mut DriverCtx<'_>) {
        self.local.advance(ctx);
        self.serial.advance(ctx);
        self.mux.advance(ctx);
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        [self.local.next_deadline(), self.mux.next_deadline()].into_iter().flatten().min()
    }

    pub(super) fn handle_timeout(&mut self, ctx: &mut DriverCtx<'_>) {
        self.local.handle_timeout(ctx);
        self.mux.handle_timeout(ctx);
    }
}
