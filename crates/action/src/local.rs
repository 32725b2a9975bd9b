//! One command on this machine, as an action.

use phalanx_process::Process;
use phalanx_process::engine::EngineHandle;
use phalanx_process::spec::{Command, Spec};

use crate::action::Action;
use crate::rollout::Rollout;

/// A command to be run here.
#[derive(Debug, Clone)]
pub struct Local {
    spec: Spec,
}

impl Local {
    /// A line, split into words as a shell would, or a list of arguments.
    #[must_use]
    pub fn new(command: impl Into<Command>) -> Self {
        Self { spec: command.into().into() }
    }

    /// A process described in full.
    #[must_use]
    pub fn from_spec(spec: Spec) -> Self {
        Self { spec }
    }

    /// The action, run by the default engine.
    #[must_use]
    pub fn build(self) -> Action {
        self.build_on(EngineHandle::global())
    }

    /// The action, run by `engine`.
    #[must_use]
    pub fn build_on(self, engine: &EngineHandle) -> Action {
        let name = self.spec.launch.name();
        Action::new(name, vec![Process::from_spec(self.spec, engine)], Rollout::default(), engine)
    }
}
