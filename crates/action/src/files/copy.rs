//! What one asks for: files to hosts or from hosts, through ssh, a chain or taktuk.

use std::ffi::OsString;
use std::path::PathBuf;

use phalanx_process::engine::EngineHandle;
use phalanx_process::host::Host;
use phalanx_process::spec::Policy;
use phalanx_process::ssh::SshOptions;

use super::plan::{self, Request};
use super::sources::SourceError;
use super::{Transfer, TransferSet};
use crate::action::Action;
use crate::chain::{self, Broadcast, ChainParams};
use crate::rollout::Rollout;
use crate::substitute::{Lists, SubstituteError};
use crate::taktuk::{self, TaktukError, TaktukParams};

/// Files and directories to be copied to hosts or from hosts. The rules are in [`crate::files`].
///
/// # To hosts
/// Where they go. The first line that applies decides:
///
/// 1. the destination is a directory there: into it, each under its own name
/// 2. there are several sources, or a pattern, or the destination ends with a slash (or is `.`, `..`, `~` or empty): into
///    that directory, which is made with those above it
/// 3. otherwise the destination is the new name of the source, and the directory it is in must be there
///
/// A relative destination begins at the remote home. `{{{host}}}` and lists are substituted in sources and destination;
/// along a chain and through taktuk, all hosts get the same sources.
///
/// # From hosts
/// No host ever overwrites what another has sent:
///
/// 1. the destination has no `{{{host}}}` and no list: into DESTINATION/HOST/, which is made
/// 2. it has one, and what it becomes is different for every host; or else it is an error before anything starts. Then,
///    as for a copy to hosts: a directory is gone into; several sources, a pattern or a slash at the end make one; and
///    otherwise it is the new name of the source
///
/// A relative source begins at the remote home.
///
/// ```no_run
/// use phalanx_action::chain::ChainParams;
/// use phalanx_action::files::FileCopy;
///
/// let hosts = ["node1", "node2"];
/// let action = FileCopy::to_hosts(["bin/server", "conf/*.toml"], "/opt/server/").on(hosts).verify(true).build()?.run();
/// assert!(action.ok());
/// FileCopy::to_hosts(["image.img"], "/var/tmp/").on(hosts).via(ChainParams::default()).build()?.run().check()?;
/// FileCopy::from_hosts(["/var/log/*.log"], "logs").on(hosts).build()?.run().check()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
#[must_use = "it does nothing before it is built and run"]
pub struct FileCopy {
    request: Request,
    direction: Direction,
    via: Via,
    options: CopyOptions,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    ToHosts,
    FromHosts,
}

/// What carries the files.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub enum Via {
    /// One ssh for each host.
    #[default]
    Ssh,
    /// Each host passes them on to the next, see [`crate::chain`]. Only to hosts.
    Chain(ChainParams),
    /// One `taktuk` for all hosts, which spreads over them as a tree, see [`crate::taktuk`].
    Taktuk(TaktukParams),
}

impl From<ChainParams> for Via {
    fn from(params: ChainParams) -> Self {
        Self::Chain(params)
    }
}

impl From<TaktukParams> for Via {
    fn from(params: TaktukParams) -> Self {
        Self::Taktuk(params)
    }
}

/// How files are copied, whatever they are and whatever carries them.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct CopyOptions {
    /// How the hosts are reached.
    pub params: SshOptions,
    /// How the process of each host is treated.
    pub policy: Policy,
    /// The values of `{{name}}`; see [`crate::substitute`].
    pub lists: Lists,
    /// How hosts are started, and what failures lead to. Along a chain only the fan-out counts, and means connections that
    /// are being made; through taktuk, all hosts take part at once.
    pub rollout: Rollout,
    /// The name in reports; one made of what is done if not set.
    pub name: Option<String>,
    /// SHA-256 checksums of both ends are compared before anything gets its final name. A chain always does that.
    pub verify: bool,
    /// The set-user-ID and set-group-ID bits of files and directories are kept. Since owners are not, they would lend the
    /// rights of the user who copies to the user who wrote the file.
    pub keep_setid: bool,
}

/// Why there is nothing that could be copied.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CopyError {
    /// Something is wrong with a source here.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// Something is wrong with a substitution.
    #[error(transparent)]
    Substitute(#[from] SubstituteError),
    /// Two hosts would write the same files here.
    #[error(
        "`{first}` and `{second}` would both write to `{}`: put `{{{{{{host}}}}}}` into the destination",
        .destination.display()
    )]
    Clash {
        /// The first host.
        first: String,
        /// The second host.
        second: String,
        /// The place that both would write to.
        destination: PathBuf,
    },
    /// Hosts would be sent different files through taktuk.
    #[error(
        "`{first}` and `{second}` would be sent different files, and taktuk sends the same to all: use scp instead"
    )]
    Different {
        /// A host.
        first: String,
        /// A host that would be sent something else.
        second: String,
    },
    /// No other host can be told to connect to this address in a chain.
    #[error("`{address}` cannot be the address of `{host}` in a chain: it is empty, begins with a dash or has a blank")]
    Address {
        /// The host.
        host: String,
        /// The address that it was to have.
        address: String,
    },
    /// taktuk cannot do it.
    #[error(transparent)]
    Taktuk(#[from] TaktukError),
    /// What carries the files cannot do it.
    #[error("{0}")]
    Unsupported(&'static str),
}

impl FileCopy {
    /// Describes a copy of files and directories of this machine to the `destination` on hosts.
    pub fn to_hosts(sources: impl IntoIterator<Item = impl Into<OsString>>, destination: impl Into<OsString>) -> Self {
        Self::new(Direction::ToHosts, sources, destination)
    }

    /// Describes a copy of files and directories of hosts to the `destination` here.
    pub fn from_hosts(
        sources: impl IntoIterator<Item = impl Into<OsString>>,
        destination: impl Into<OsString>,
    ) -> Self {
        Self::new(Direction::FromHosts, sources, destination)
    }

    fn new(
        direction: Direction,
        sources: impl IntoIterator<Item = impl Into<OsString>>,
        destination: impl Into<OsString>,
    ) -> Self {
        let sources = sources.into_iter().map(Into::into).collect();
        let request = Request { sources, destination: destination.into(), hosts: Vec::new() };
        Self { request, direction, via: Via::default(), options: CopyOptions::default() }
    }

    /// Sets the hosts, in order.
    pub fn on(mut self, hosts: impl IntoIterator<Item = impl Into<Host>>) -> Self {
        self.request.hosts = hosts.into_iter().map(Into::into).collect();
        self
    }

    /// Sets what carries the files: [`Via`], or the parameters of a chain or of taktuk.
    pub fn via(self, via: impl Into<Via>) -> Self {
        Self { via: via.into(), ..self }
    }

    /// Sets all options.
    pub fn options(self, options: CopyOptions) -> Self {
        Self { options, ..self }
    }

    /// Sets [`CopyOptions::params`].
    pub fn params(mut self, params: SshOptions) -> Self {
        self.options.params = params;
        self
    }

    /// Sets [`CopyOptions::policy`].
    pub fn policy(mut self, policy: Policy) -> Self {
        self.options.policy = policy;
        self
    }

    /// Sets [`CopyOptions::lists`].
    pub fn lists(mut self, lists: Lists) -> Self {
        self.options.lists = lists;
        self
    }

    /// Sets how many hosts work at once; zero for all.
    pub fn fanout(mut self, fanout: usize) -> Self {
        self.options.rollout.fanout = fanout;
        self
    }

    /// Sets [`CopyOptions::rollout`].
    pub fn rollout(mut self, rollout: Rollout) -> Self {
        self.options.rollout = rollout;
        self
    }

    /// Sets [`CopyOptions::name`].
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.options.name = Some(name.into());
        self
    }

    /// Sets [`CopyOptions::verify`].
    pub fn verify(mut self, verify: bool) -> Self {
        self.options.verify = verify;
        self
    }

    /// Sets [`CopyOptions::keep_setid`].
    pub fn keep_setid(mut self, keep_setid: bool) -> Self {
        self.options.keep_setid = keep_setid;
        self
    }

    /// Makes the action, run by the default engine.
    ///
    /// # Errors
    /// When a source here is missing or cannot be read, two have the same name, two hosts would write to the same place, a
    /// list is not there, or what carries the files cannot do it.
    pub fn build(self) -> Result<Action, CopyError> {
        self.build_on(EngineHandle::global())
    }

    /// Makes the action, run by `engine`.
    ///
    /// # Errors
    /// As for [`FileCopy::build`].
    pub fn build_on(self, engine: &EngineHandle) -> Result<Action, CopyError> {
        let Self { via, direction, .. } = &self;
        match (via.clone(), direction) {
            (Via::Ssh, _) => Ok(self.transfers()?.into_action(engine)),
            (Via::Chain(_), _) => Ok(self.broadcast()?.into_action(engine)),
            (Via::Taktuk(taktuk), Direction::ToHosts) => {
                let puts = plan::puts(&self.request, &self.options.lists)?;
                taktuk::put::action(self.name(), puts, self.options, &taktuk, engine)
            }
            (Via::Taktuk(taktuk), Direction::FromHosts) => {
                let gets = plan::gets(&self.request, &self.options.lists)?;
                taktuk::get::action(self.name(), gets, self.options, &taktuk, engine)
            }
        }
    }

    /// Makes the transfers through ssh, for those who drive an engine of their own.
    ///
    /// # Errors
    /// As for [`FileCopy::build`], and when something else is to carry the files.
    pub fn transfers(self) -> Result<TransferSet, CopyError> {
        if self.via != Via::Ssh {
            return Err(CopyError::Unsupported("only what ssh carries is a set of transfers: build an action instead"));
        }
        let transfers = match self.direction {
            Direction::ToHosts => of_kind(plan::puts(&self.request, &self.options.lists)?, Transfer::Put),
            Direction::FromHosts => of_kind(plan::gets(&self.request, &self.options.lists)?, Transfer::Get),
        };
        Ok(TransferSet::new(self.name(), transfers, self.options))
    }

    /// Makes the chain, for those who drive an engine of their own.
    ///
    /// # Errors
    /// As for [`FileCopy::build`], and when it is no chain that is to carry the files.
    pub fn broadcast(self) -> Result<Broadcast, CopyError> {
        let name = self.name();
        match (self.via, self.direction) {
            (Via::Chain(params), Direction::ToHosts) => {
                chain::params::broadcast(name, self.request, params, self.options)
            }
            (Via::Chain(_), Direction::FromHosts) => {
                Err(CopyError::Unsupported("a chain carries files to hosts, and not from them: use ssh or taktuk"))
            }
            (Via::Ssh | Via::Taktuk(_), _) => Err(CopyError::Unsupported("that is not to go along a chain")),
        }
    }

    fn name(&self) -> String {
        let verb = match (&self.via, self.direction) {
            (Via::Chain(_), _) => "chain",
            (_, Direction::ToHosts) => "put",
            (_, Direction::FromHosts) => "get",
        };
        let named = || format!("{verb} to {}", self.request.destination.display());
        self.options.name.clone().unwrap_or_else(named)
    }
}

fn of_kind<T>(transfers: Vec<(Host, T)>, kind: impl Fn(T) -> Transfer) -> Vec<(Host, Transfer)> {
    transfers.into_iter().map(|(host, transfer)| (host, kind(transfer))).collect()
}
