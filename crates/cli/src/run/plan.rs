//! What was typed means: which hosts, which processes, and how to show them. Asks the world (files, terminals) once,
//! and refuses what cannot work before anything is started.

use std::sync::Arc;
use std::time::Duration;

use phalanx_action::substitute::{Lists, SubstituteError};
use phalanx_process::Spec;
use phalanx_process::output::Capture;
use phalanx_process::spec::{Environment, Faults, Leftovers, Policy};
use phalanx_process::ssh::ConnectionParams;

use super::local;
use crate::args::{RunArgs, Worker};
use crate::connect::ConnectError;
use crate::hosts::HostsError;

/// How long a process that was asked to end may take, before it is killed.
const GRACE: Duration = Duration::from_secs(5);

/// How much of the stderr of a connector is kept to learn why it failed.
const KEPT_OF_STDERR: usize = 4096;

/// What is wrong with what was typed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PlanError {
    #[error(transparent)]
    Hosts(#[from] HostsError),
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error("the command is empty: give one after the options")]
    NoCommand,
    #[error(transparent)]
    Substitute(#[from] SubstituteError),
}

/// Everything needed to run, and to describe a run.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) hosts: Arc<[String]>,
    pub(crate) command: String,
    pub(crate) fanout: usize,
    pub(crate) ssh: bool,
    recipe: Recipe,
}

/// How the process of a host is made.
#[derive(Debug, Clone)]
pub(crate) struct Recipe {
    command: String,
    way: Way,
    policy: Policy,
    environment: Arc<Environment>,
    lists: Lists,
}

#[derive(Debug, Clone)]
enum Way {
    Ssh(Box<ConnectionParams>),
    Exec { without_shell: bool },
}

impl Plan {
    /// Finds out what was meant.
    ///
    /// # Errors
    /// When it cannot work.
    pub(crate) fn new(args: &RunArgs) -> Result<Self, PlanError> {
        let hosts = args.hosts.hosts()?;
        let command = args.command.join(" ");
        if command.trim().is_empty() {
            return Err(PlanError::NoCommand);
        }
        let recipe = Recipe::new(args, command.clone())?;
        // Every host is alike to the substitution, so one look finds what is wrong with all of them.
        recipe.command(&hosts[0], 0)?;
        let ssh = args.worker == Worker::Ssh;
        Ok(Self { hosts: hosts.into(), command, fanout: args.fanout, ssh, recipe })
    }

    /// How the process of a host is made; to be given to whoever starts them.
    pub(crate) fn recipe(&self) -> Recipe {
        self.recipe.clone()
    }
}

impl Recipe {
    fn new(args: &RunArgs, command: String) -> Result<Self, PlanError> {
        let way = match args.worker {
            Worker::Ssh => Way::Ssh(Box::new(args.connect.params()?)),
            Worker::Exec => Way::Exec { without_shell: local::needs_no_shell(&command) },
        };
        Ok(Self {
            command,
            policy: policy(args),
            way,
            environment: Arc::new(Environment::inherited()),
            lists: Lists::default(),
        })
    }

    /// The command for one host.
    fn command(&self, host: &str, rank: usize) -> Result<String, SubstituteError> {
        let command = self.lists.substitute(&self.command, host, rank)?;
        Ok(match &self.way {
            Way::Ssh(_) => command,
            Way::Exec { .. } => local::substitute(&command, host, rank),
        })
    }

    /// The process of one host.
    pub(crate) fn spec(&self, host: &str, rank: usize) -> Spec {
        let command = self.command(host, rank).expect("the plan has tried it");
        let mut spec = match &self.way {
            Way::Ssh(params) => params.spec(host, &command),
            Way::Exec { without_shell } => local::spec(&command, *without_shell),
        };
        spec.policy = self.policy.clone();
        spec.launch.environment = Some(Arc::clone(&self.environment));
        spec
    }
}

fn policy(args: &RunArgs) -> Policy {
    Policy {
        timeout: args.command_timeout.filter(|timeout| !timeout.is_zero()),
        grace: Some(GRACE),
        // No child outlives the run.
        leftovers: Leftovers::Kill,
        capture_stdout: Capture::None,
        capture_stderr: Capture::Last(KEPT_OF_STDERR),
        listened: true,
        // The ends are shown in a way of our own.
        nolog: Faults::ALL,
        ..Policy::default()
    }
}
