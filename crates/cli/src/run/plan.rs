//! What was typed means: which hosts, which processes, and how to show them. Asks the world (files, terminals) once,
//! and refuses what cannot work before anything is started.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use phalanx_action::substitute::{Lists, SubstituteError};
use phalanx_process::Spec;
use phalanx_process::output::Capture;
use phalanx_process::spec::{Environment, Faults, Leftovers, Policy};
use phalanx_process::ssh::ConnectionParams;

use super::again::{self, AgainError};
use super::local;
use crate::args::{RunArgs, Worker};
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
    Again(#[from] AgainError),
    #[error("cannot use `{path}` as {role}: {reason}")]
    File { path: PathBuf, role: &'static str, reason: String },
    #[error("cannot connect with `{}` (--ssh): {reason}", .program.display())]
    Connector { program: OsString, reason: &'static str },
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
    Ssh(ConnectionParams),
    Exec { without_shell: bool },
}

impl Plan {
    /// Finds out what was meant. Only with `--failed-from` there may be no host.
    ///
    /// # Errors
    /// When it cannot work.
    pub(crate) fn new(args: &RunArgs) -> Result<Self, PlanError> {
        let (hosts, command) = match &args.failed_from {
            Some(record) => again::hosts_and_command(record, args)?,
            None => (args.hosts.hosts()?, args.command.join(" ")),
        };
        if command.trim().is_empty() {
            return Err(PlanError::NoCommand);
        }
        let recipe = Recipe::new(args, command.clone())?;
        // Every host is alike to the substitution, so one look finds what is wrong with all of them.
        hosts.first().map(|host| recipe.command(host, 0)).transpose()?;
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
            Worker::Ssh => Way::Ssh(connection_params(args)?),
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

fn connection_params(args: &RunArgs) -> Result<ConnectionParams, PlanError> {
    check_file(args.key.as_deref(), "a private key (-i)")?;
    check_file(args.ssh_config.as_deref(), "an ssh configuration (-F)")?;
    let defaults = ConnectionParams::default();
    let ssh = args.ssh.clone().unwrap_or(defaults.ssh.clone());
    check_connector(&ssh)?;
    Ok(ConnectionParams {
        user: args.user.clone(),
        port: args.port,
        keyfile: args.key.clone(),
        ssh,
        ssh_config: args.ssh_config.clone(),
        options: args.options.clone(),
        connect_timeout: args.connect_timeout.filter(|timeout| !timeout.is_zero()),
    })
}

fn check_file(path: Option<&Path>, role: &'static str) -> Result<(), PlanError> {
    let Some(path) = path else { return Ok(()) };
    let reason = match std::fs::File::open(path).and_then(|file| file.metadata()) {
        Ok(meta) if meta.is_dir() => "it is a directory".to_owned(),
        Ok(_) => return Ok(()),
        Err(error) => error.to_string(),
    };
    Err(PlanError::File { path: path.to_owned(), role, reason })
}

fn check_connector(program: &OsStr) -> Result<(), PlanError> {
    let found = if Path::new(program).components().count() > 1 {
        Path::new(program).is_file()
    } else {
        let path = std::env::var_os("PATH").unwrap_or_default();
        !program.is_empty() && std::env::split_paths(&path).any(|directory| directory.join(program).is_file())
    };
    let reason = "there is no such program; install openssh-client, or name another with --ssh";
    if found { Ok(()) } else { Err(PlanError::Connector { program: program.to_owned(), reason }) }
}
