//! What was typed means: which hosts, which processes, and how to show them. Asks the world (files, terminals) once,
//! and refuses what cannot work before anything is started.

use std::io::{self, BufWriter, Write as _};
use std::process::ExitCode;
use std::sync::Arc;

use phalanx_action::commands::Commands;
use phalanx_action::files::Progress;
use phalanx_action::rollout::Rollout;
use phalanx_action::source::MemberSource;
use phalanx_action::substitute::SubstituteError;
use phalanx_config::configuration::Configuration;
use phalanx_plan::Plan;
use phalanx_plan::player::Manner;
use phalanx_process::host::{Host, InvalidHost};
use phalanx_process::spec::Policy;
use phalanx_process::visible::visible;
use phalanx_record::event::Event;

use super::RunArgs;
use super::again::{self, AgainError, FILES};
use crate::args::values::Worker;
use crate::connect::ConnectError;
use crate::exit;
use crate::hosts::HostsError;
use crate::output::FileProgress;
use crate::work::WorkArgs;

/// What is wrong with what was typed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RequestError {
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

/// What is to be done on which hosts, and how.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) hosts: Vec<String>,
    /// The command, or what a copy is called.
    command: String,
    source: Arc<dyn MemberSource>,
    rollout: Rollout,
    policy: Policy,
    /// What takes it to the hosts, as records call it.
    worker: &'static str,
}

impl Request {
    /// Finds out what was meant. Only with `--failed-from` there may be no host.
    ///
    /// # Errors
    /// When it cannot work.
    pub(crate) fn new(args: &RunArgs, configuration: &Configuration) -> Result<Self, RequestError> {
        let (hosts, command) = match &args.failed_from {
            Some(record) => again::hosts_and_command(record, args)?,
            None => (args.hosts.hosts()?, args.command.join(" ")),
        };
        if command.trim().is_empty() {
            return Err(RequestError::NoCommand);
        }
        // No program is called that, and it would be tried on every host.
        if args.work.fail_fast.is_some()
            && let Some(first) = args.command.first().filter(|word| word.parse::<usize>().is_ok())
        {
            return Err(RequestError::Number(first.clone()));
        }
        let (policy, lists) = (args.work.policy(configuration), args.work.lists()?);
        let (source, worker) = match args.worker {
            Worker::Ssh => {
                let params = args.connect.params()?;
                // `user@host:port` says how to reach this one host.
                let hosts = hosts.iter().map(|host| host.parse()).collect::<Result<Vec<Host>, _>>()?;
                (Commands::through_ssh(command.clone(), hosts, params, lists, policy.clone())?, "ssh")
            }
            Worker::Exec => {
                let hosts = hosts.iter().map(|host| Host::from(host.as_str())).collect();
                (Commands::here(command.clone(), hosts, lists, policy.clone())?, "exec")
            }
        };
        let rollout = args.work.rollout(configuration);
        Ok(Self { hosts, command, source: Arc::new(source), rollout, policy, worker })
    }

    /// Returns the request of a put or a get, called `name`.
    pub(crate) fn of_files(
        (name, hosts): (String, Vec<String>),
        source: Arc<dyn MemberSource>,
        work: &WorkArgs,
        configuration: &Configuration,
    ) -> Self {
        let (rollout, policy) = (work.rollout(configuration), work.policy(configuration));
        Self { hosts, command: name, source, rollout, policy, worker: FILES }
    }

    /// Reports whether it is files that travel.
    pub(super) fn carries_files(&self) -> bool {
        self.source.carries_files()
    }

    /// Returns the plan that does it, and how its processes are treated.
    pub(super) fn plan(&self) -> (Plan, Manner) {
        let (hosts, source, rollout) = (self.hosts.clone(), Arc::clone(&self.source), self.rollout.clone());
        let manner = Manner { policy: self.policy.clone(), ..Manner::default() };
        (Plan::of_one_step(self.command.clone(), hosts, source, rollout), manner)
    }

    /// Returns the first event of its record.
    pub(super) fn event(&self) -> Event<'_> {
        let Self { command, hosts, worker, rollout, .. } = self;
        Event::Run { command, hosts, worker, fanout: rollout.fanout, phalanx: env!("CARGO_PKG_VERSION") }
    }

    /// Shows what would be done for each host, and does nothing.
    pub(super) fn show(&self) -> ExitCode {
        let mut out = BufWriter::with_capacity(64 * 1024, io::stdout().lock());
        let mut hosts = self.hosts.iter().enumerate();
        let written =
            hosts.try_for_each(|(rank, host)| writeln!(out, "{host}: {}", visible(&self.source.describe(rank))));
        exit::after_writing(written.and_then(|()| out.flush()))
    }
}

impl FileProgress for Request {
    fn progress(&self) -> Progress {
        self.source.progress()
    }

    fn total(&self) -> Option<Progress> {
        self.source.total()
    }
}
