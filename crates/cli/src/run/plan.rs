//! What was typed means: which hosts, which processes, and how to show them. Asks the world (files, terminals) once,
//! and refuses what cannot work before anything is started.

use std::io::{self, BufWriter, Write as _};
use std::process::ExitCode;
use std::sync::Arc;

use phalanx_action::chain::Broadcast;
use phalanx_action::files::{Fault, Progress, TransferSet};
use phalanx_action::rollout::Rollout;
use phalanx_action::substitute::{Lists, SubstituteError};
use phalanx_config::configuration::Configuration;
use phalanx_process::Spec;
use phalanx_process::host::{Host, InvalidHost};
use phalanx_process::outcome::Finished;
use phalanx_process::result::{Evidence, HostResult, Route};
use phalanx_process::spec::{Environment, Policy};
use phalanx_process::ssh::ConnectionParams;
use phalanx_process::visible::visible;
use phalanx_record::event::Event;

use super::again::{self, AgainError, FILES};
use super::{RunArgs, local};
use crate::args::values::Worker;
use crate::connect::ConnectError;
use crate::exit;
use crate::hosts::HostsError;
use crate::output::{FileProgress, StepDescription};
use crate::work::WorkArgs;

/// What is wrong with what was typed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PlanError {
    #[error(transparent)]
    Hosts(#[from] HostsError),
    #[error(transparent)]
    Again(#[from] AgainError),
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error(transparent)]
    Host(#[from] InvalidHost),
    #[error("the command is empty: give one after the options")]
    NoCommand,
    #[error("`{0}` would be the command: write --fail-fast={0} for a number of failures")]
    Number(String),
    #[error(transparent)]
    Substitute(#[from] SubstituteError),
}

/// Everything needed to run, and to describe a run.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) hosts: Arc<[String]>,
    pub(crate) command: String,
    pub(crate) rollout: Rollout,
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
    Files(TransferSet),
    Chain(Broadcast),
}

impl Plan {
    /// Finds out what was meant. Only with `--failed-from` there may be no host.
    ///
    /// # Errors
    /// When it cannot work.
    pub(crate) fn new(args: &RunArgs, configuration: &Configuration) -> Result<Self, PlanError> {
        let (hosts, command) = match &args.failed_from {
            Some(record) => again::hosts_and_command(record, args)?,
            None => (args.hosts.hosts()?, args.command.join(" ")),
        };
        if command.trim().is_empty() {
            return Err(PlanError::NoCommand);
        }
        // No program is called that, and it would be tried on every host.
        if args.work.fail_fast.is_some()
            && let Some(first) = args.command.first().filter(|word| word.parse::<usize>().is_ok())
        {
            return Err(PlanError::Number(first.clone()));
        }
        let recipe = Recipe::new(args, configuration, command.clone())?;
        // Every host is alike to the substitution, so one look finds what is wrong with all of them.
        hosts.first().map(|host| recipe.command(host, 0)).transpose()?;
        let ssh = args.worker == Worker::Ssh;
        if ssh {
            // `user@host:port` says how to reach this one host.
            hosts.iter().try_for_each(|host| host.parse::<Host>().map(drop))?;
        }
        Ok(Self { hosts: hosts.into(), command, rollout: args.work.rollout(configuration), ssh, recipe })
    }

    /// The plan of a put or a get.
    pub(crate) fn of_transfers(
        hosts: Vec<String>,
        transfers: TransferSet,
        work: &WorkArgs,
        configuration: &Configuration,
    ) -> Self {
        Self::of_files(hosts, transfers.name().to_owned(), Way::Files(transfers), work, configuration)
    }

    /// The plan of a put along a chain.
    pub(crate) fn of_chain(
        hosts: Vec<String>,
        broadcast: Broadcast,
        work: &WorkArgs,
        configuration: &Configuration,
    ) -> Self {
        Self::of_files(hosts, broadcast.name().to_owned(), Way::Chain(broadcast), work, configuration)
    }

    fn of_files(hosts: Vec<String>, command: String, way: Way, work: &WorkArgs, configuration: &Configuration) -> Self {
        let recipe = Recipe {
            command: command.clone(),
            policy: work.policy(configuration),
            way,
            environment: Arc::new(Environment::inherited()),
            lists: Lists::default(),
        };
        Self { hosts: hosts.into(), command, rollout: work.rollout(configuration), ssh: true, recipe }
    }

    /// What takes it to the hosts, as records call it.
    pub(crate) fn worker(&self) -> &'static str {
        match &self.recipe.way {
            Way::Ssh(_) => "ssh",
            Way::Exec { .. } => "exec",
            Way::Files(_) | Way::Chain(_) => FILES,
        }
    }

    /// Whether it is files that travel.
    pub(crate) fn is_files(&self) -> bool {
        matches!(self.recipe.way, Way::Files(_) | Way::Chain(_))
    }

    /// The chain, if it is one.
    pub(crate) fn chain(&self) -> Option<&Broadcast> {
        match &self.recipe.way {
            Way::Chain(broadcast) => Some(broadcast),
            Way::Files(_) | Way::Ssh(_) | Way::Exec { .. } => None,
        }
    }

    /// Returns the first event of its record.
    pub(super) fn event(&self) -> Event<'_> {
        let (command, hosts, worker) = (self.command.as_str(), &*self.hosts, self.worker());
        Event::Run { command, hosts, worker, fanout: self.rollout.fanout, phalanx: env!("CARGO_PKG_VERSION") }
    }

    /// Returns its description for the reporter, as the only step there is.
    pub(super) fn description(&self) -> StepDescription {
        let (members, command) = (Arc::clone(&self.hosts), self.command.clone());
        StepDescription { members, command, remote: self.ssh, ..StepDescription::default() }
    }

    /// Shows what would be done for each host, and does nothing.
    pub(super) fn show(&self) -> ExitCode {
        let mut out = BufWriter::with_capacity(64 * 1024, io::stdout().lock());
        let mut hosts = self.hosts.iter().enumerate();
        let written =
            hosts.try_for_each(|(rank, host)| writeln!(out, "{host}: {}", visible(&self.recipe.describe(host, rank))));
        exit::after_writing(written.and_then(|()| out.flush()))
    }

    /// Judges a host whose process has ended so, with what was wrong with its files.
    pub(crate) fn result(&self, host: usize, finished: &Finished, fault: Option<Fault>) -> HostResult {
        let delivery = match &self.recipe.way {
            Way::Files(_) => Some(Fault::delivery(fault)),
            Way::Chain(broadcast) => Some(broadcast.delivery(host, finished)),
            Way::Ssh(_) | Way::Exec { .. } => None,
        };
        let route = if self.ssh { Route::Ssh } else { Route::Direct };
        Evidence::new(finished, route).delivery(delivery).judge()
    }

    /// Waits, for a moment, for what has still something to tidy up here when all has ended.
    pub(crate) fn join(&self) {
        if let Way::Files(transfers) = &self.recipe.way {
            transfers.join();
        }
    }

    /// How the process of a host is made; to be given to whoever starts them.
    pub(crate) fn recipe(&self) -> Recipe {
        self.recipe.clone()
    }
}

impl FileProgress for Plan {
    fn progress(&self) -> Progress {
        match &self.recipe.way {
            Way::Files(transfers) => transfers.progress(),
            Way::Chain(broadcast) => broadcast.progress(),
            Way::Ssh(_) | Way::Exec { .. } => Progress::default(),
        }
    }

    fn total(&self) -> Option<Progress> {
        match &self.recipe.way {
            Way::Files(transfers) => transfers.total(),
            Way::Chain(broadcast) => Some(broadcast.total()),
            Way::Ssh(_) | Way::Exec { .. } => None,
        }
    }
}

impl Recipe {
    fn new(args: &RunArgs, configuration: &Configuration, command: String) -> Result<Self, PlanError> {
        let way = match args.worker {
            Worker::Ssh => Way::Ssh(Box::new(args.connect.params()?)),
            Worker::Exec => Way::Exec { without_shell: local::needs_no_shell(&command) },
        };
        Ok(Self {
            command,
            policy: args.work.policy(configuration),
            way,
            environment: Arc::new(Environment::inherited()),
            lists: args.work.lists()?,
        })
    }

    /// The command for one host.
    fn command(&self, host: &str, rank: usize) -> Result<String, SubstituteError> {
        let host = Host::from(host);
        let command = self.lists.substitute(&self.command, &host, rank)?;
        Ok(match &self.way {
            Way::Ssh(_) | Way::Files(_) | Way::Chain(_) => command,
            Way::Exec { .. } => local::substitute(&command, host.address(), rank),
        })
    }

    /// The process of one host, which is to be started at once.
    pub(crate) fn spec(&self, host: &str, rank: usize) -> Spec {
        let mut spec = match &self.way {
            // It has a policy of its own.
            Way::Files(transfers) => transfers.spec(rank),
            Way::Ssh(_) | Way::Exec { .. } => self.command_spec(host, rank),
            Way::Chain(_) => unreachable!("a chain makes its processes by itself"),
        };
        self.adorn(&mut spec);
        spec
    }

    /// Returns what was wrong with a host whose process has ended so, apart from that. To be asked once for every start.
    pub(crate) fn finished(&self, host: usize, finished: &Finished) -> Option<Fault> {
        if let Way::Files(transfers) = &self.way { transfers.finished(host, finished) } else { None }
    }

    /// Adds what all processes of a run have in common.
    pub(crate) fn adorn(&self, spec: &mut Spec) {
        spec.launch.environment = Some(Arc::clone(&self.environment));
    }

    /// What would be done for one host, for people.
    pub(crate) fn describe(&self, host: &str, rank: usize) -> String {
        match &self.way {
            Way::Files(transfers) => transfers.describe(rank),
            Way::Chain(broadcast) => broadcast.describe(rank),
            Way::Ssh(_) | Way::Exec { .. } => self.command_spec(host, rank).launch.command.to_string(),
        }
    }

    fn command_spec(&self, host: &str, rank: usize) -> Spec {
        let command = self.command(host, rank).expect("the plan has tried it");
        let mut spec = match &self.way {
            Way::Ssh(params) => params.spec(host.parse::<Host>().expect("the plan has tried it"), &command),
            Way::Exec { without_shell } => local::spec(&command, *without_shell),
            Way::Files(_) | Way::Chain(_) => unreachable!("files are no command"),
        };
        spec.policy = self.policy.clone();
        spec
    }
}
