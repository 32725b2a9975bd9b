//! What one asks for: files, hosts, and how patient the chain is.

use std::collections::HashSet;
use std::ffi::OsString;
use std::time::Duration;

use phalanx_process::conductor::Conductor;
use phalanx_process::host::Host;
use phalanx_process::spec::Policy;
use phalanx_process::ssh::ConnectionParams;

use super::broadcast::{Broadcast, Member, Task};
use crate::action::Action;
use crate::files::Put;
use crate::files::put::PutError;
use crate::files::sources::find_sources;
use crate::files::transfers::{goes_into, substitute};
use crate::rollout::DEFAULT_FANOUT;
use crate::substitute::{Lists, SubstituteError};
use crate::terms::Terms;

/// Files and directories to be passed along a chain of hosts. The rules are in [`crate::chain`]; where things go is
/// decided as for a [`Put`]. `{{{host}}}` and lists are substituted in the destination; all hosts get
/// the same files.
///
/// ```no_run
/// use phalanx_action::chain::ChainPut;
///
/// let action = ChainPut::new(["image.img"], "/var/tmp/", ["node1", "node2", "node3"]).build()?.run();
/// assert!(action.ok());
/// # Ok::<(), phalanx_action::chain::put::ChainError>(())
/// ```
#[derive(Debug, Clone)]
pub struct ChainPut {
    sources: Vec<OsString>,
    destination: OsString,
    hosts: Vec<Host>,
    params: ConnectionParams,
    chain: ChainParams,
    policy: Policy,
    lists: Lists,
    fanout: usize,
    name: Option<String>,
}

/// How a chain is built, and how patient it is. The defaults are those of execo, except that the port is chosen and the
/// netcat found on each host.
#[derive(Debug, Clone, PartialEq)]
pub struct ChainParams {
    /// The program, with options if it needs any, instead of the first of `nc`, `nc.traditional`, `nc.openbsd`, `ncat`
    /// and `busybox nc` that is there.
    pub netcat: Option<String>,
    /// How long connecting to the next host may take: 5 s.
    pub client_timeout: Duration,
    /// How long a host may say nothing, or get nothing although there is more, before it is fed anew or skipped: 30 s; 0
    /// for as long as it takes.
    pub server_timeout: Duration,
    /// How often feeding a host is tried again, without a byte of progress: 5.
    pub host_retry: u32,
    /// How many hosts in succession may be skipped: 10.
    pub chain_retry: Skips,
    /// How long to wait before trying again: 1 s.
    pub try_delay: Duration,
    /// The port on which hosts listen, for networks that let only one through; a free one of each host's choice if not
    /// set. Hosts that are one machine need different ones.
    pub port: Option<u16>,
    /// The address by which others reach a host, in which `{{{host}}}` is its address, after the rewriting of the
    /// connection parameters; that alone if not set. For hosts with a network of their own: `{{{host}}}-ib0`.
    pub address: Option<String>,
}

/// How many hosts in succession may be skipped.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Skips {
    /// So many.
    Hosts(usize),
    /// This part of all hosts, rounded down; 1.0 for all of them.
    Ratio(f64),
}

impl Skips {
    /// Of so many hosts.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is between zero and the hosts")]
    pub fn of(self, hosts: usize) -> usize {
        match self {
            Self::Hosts(number) => number,
            Self::Ratio(ratio) => (ratio.clamp(0.0, 1.0) * hosts as f64) as usize,
        }
    }
}

impl std::str::FromStr for Skips {
    type Err = InvalidSkips;

    /// A number of hosts, or with a point in it a part of them, from 0.0 to 1.0.
    fn from_str(text: &str) -> Result<Self, InvalidSkips> {
        let ratio = || text.parse().ok().filter(|ratio| text.contains('.') && (0.0..=1.0).contains(ratio));
        let number = text.parse().map(Self::Hosts).ok();
        number.or_else(|| ratio().map(Self::Ratio)).ok_or_else(|| InvalidSkips(text.to_owned()))
    }
}

/// The text is no number of hosts to skip.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` does not say how many hosts may be skipped: give a number, or a part of all hosts from 0.0 to 1.0")]
pub struct InvalidSkips(String);

impl Default for ChainParams {
    fn default() -> Self {
        Self {
            netcat: None,
            client_timeout: Duration::from_secs(5),
            server_timeout: Duration::from_secs(30),
            host_retry: 5,
            chain_retry: Skips::Hosts(10),
            try_delay: Duration::from_secs(1),
            port: None,
            address: None,
        }
    }
}

/// Why there can be no chain.
#[derive(Debug, thiserror::Error)]
pub enum ChainError {
    /// Something is wrong with what is to be put.
    #[error(transparent)]
    Put(#[from] PutError),
    /// No other host can be told to connect to this address.
    #[error("`{address}` cannot be the address of `{host}` in a chain: it is empty, begins with a dash or has a blank")]
    Address {
        /// The host.
        host: String,
        /// What was to be its address.
        address: String,
    },
}

impl From<SubstituteError> for ChainError {
    fn from(error: SubstituteError) -> Self {
        Self::Put(error.into())
    }
}

impl From<Put> for ChainPut {
    /// The same along a chain, which always checks what has come. Of its rollout the fan-out counts, and sources are not
    /// substituted: all hosts get the same.
    fn from(put: Put) -> Self {
        let (sources, destination, hosts, terms) = put.into_request();
        let plain = Self::new(sources, destination, hosts);
        let Terms { params, policy, lists, rollout, name } = terms;
        Self { params, policy, lists, fanout: rollout.fanout, name, ..plain }
    }
}

impl ChainPut {
    /// `sources` to `destination` on every one of `hosts`, along them in that order. A host named twice gets it once.
    #[must_use]
    pub fn new(
        sources: impl IntoIterator<Item = impl Into<OsString>>,
        destination: impl Into<OsString>,
        hosts: impl IntoIterator<Item = impl Into<Host>>,
    ) -> Self {
        let mut seen = HashSet::new();
        Self {
            sources: sources.into_iter().map(Into::into).collect(),
            destination: destination.into(),
            hosts: hosts.into_iter().map(Into::into).filter(|host: &Host| seen.insert(host.clone())).collect(),
            params: ConnectionParams::default(),
            chain: ChainParams::default(),
            policy: Policy::default(),
            lists: Lists::default(),
            fanout: DEFAULT_FANOUT,
            name: None,
        }
    }

    /// How to reach the hosts from here.
    #[must_use]
    pub fn params(mut self, params: ConnectionParams) -> Self {
        self.params = params;
        self
    }

    /// How the chain is built.
    #[must_use]
    pub fn chain(mut self, chain: ChainParams) -> Self {
        self.chain = chain;
        self
    }

    /// How each process is treated. Its time limit is for the whole of the chain.
    #[must_use]
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// The values of `{{name}}`.
    #[must_use]
    pub fn lists(mut self, lists: Lists) -> Self {
        self.lists = lists;
        self
    }

    /// How many connections may be on their way at once; zero for all. All hosts work at once when they are connected.
    #[must_use]
    pub fn fanout(mut self, fanout: usize) -> Self {
        self.fanout = fanout;
        self
    }

    /// What to call it in reports.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// The action, run by the default conductor.
    ///
    /// # Errors
    /// As for [`ChainPut::broadcast`].
    pub fn build(self) -> Result<Action, ChainError> {
        self.build_on(Conductor::global())
    }

    /// The action, run by `conductor`.
    ///
    /// # Errors
    /// As for [`ChainPut::broadcast`].
    pub fn build_on(self, conductor: &Conductor) -> Result<Action, ChainError> {
        Ok(self.broadcast()?.into_action(conductor))
    }

    /// The broadcast, for those who drive an engine of their own.
    ///
    /// # Errors
    /// When a source is missing or cannot be read, two have the same name, a list is not there, or a host has no address
    /// that others could use.
    pub fn broadcast(self) -> Result<Broadcast, ChainError> {
        // Nothing to be put is put at once, as execo has it.
        let hosts: &[Host] = if self.sources.is_empty() { &[] } else { &self.hosts };
        let sources = find_sources(&self.sources).map_err(PutError::from)?;
        let members =
            hosts.iter().enumerate().map(|(index, host)| self.member(index, host)).collect::<Result<_, _>>()?;
        let name = format!("chain to {}", self.destination.display());
        Ok(Broadcast::new(Task {
            name: self.name.unwrap_or(name),
            params: self.params,
            chain: self.chain,
            policy: self.policy,
            fanout: if self.fanout == 0 { usize::MAX } else { self.fanout },
            sources: sources.into(),
            members,
        }))
    }

    fn member(&self, index: usize, host: &Host) -> Result<Member, ChainError> {
        let destination = substitute(&self.lists, &self.destination, host, index)?;
        let into = goes_into(&self.sources, &destination);
        let address = self.params.connection(host).address;
        let address = match &self.chain.address {
            Some(pattern) => self.lists.substitute(pattern, &Host::new(&address), index)?,
            None => address,
        };
        if address.is_empty()
            || address.starts_with('-')
            || address.contains(|c: char| c.is_whitespace() || c.is_control())
        {
            return Err(ChainError::Address { host: host.to_string(), address });
        }
        Ok(Member { host: host.clone(), address, into, destination })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Items 199 to 204.
    #[test]
    fn the_defaults_are_those_of_execo() {
        let params = ChainParams::default();
        assert_eq!((params.client_timeout.as_secs(), params.server_timeout.as_secs()), (5, 30));
        assert_eq!((params.host_retry, params.try_delay.as_secs()), (5, 1));
        assert_eq!((params.chain_retry, params.netcat), (Skips::Hosts(10), None));
    }

    /// C3, item 203.
    #[test]
    fn hosts_to_skip_are_a_number_or_a_ratio() {
        let table =
            [("10", 8, 10), ("0", 8, 0), ("1.0", 8, 8), ("0.5", 8, 4), ("0.3", 8, 2), ("0.0", 8, 0), ("1", 8, 1)];
        for (text, hosts, expected) in table {
            assert_eq!(text.parse::<Skips>().unwrap().of(hosts), expected, "{text}");
        }
        for text in ["", "1.5", "-1", "-0.5", "half", "1e3", "0.5%", "NaN", "."] {
            assert!(text.parse::<Skips>().unwrap_err().to_string().contains("may be skipped"), "{text}");
        }
        assert_eq!(Skips::Ratio(f64::NAN).of(8), 0);
    }

    #[test]
    fn a_host_that_others_could_not_be_told_of_is_refused() {
        for (host, address, refused) in [
            ("n1", None, false),
            ("n1", Some("{{{host}}}.ib0"), false),
            ("n1", Some(" "), true),
            ("n1", Some(""), true),
            ("n 1", None, true),
            ("-n1", None, true),
            ("n1\nrelease", None, true),
        ] {
            let chain = ChainParams { address: address.map(str::to_owned), ..ChainParams::default() };
            let put = ChainPut::new(["/etc/passwd"], "/tmp/", [host]).chain(chain).broadcast();
            assert_eq!(matches!(put, Err(ChainError::Address { .. })), refused, "{host:?} {address:?}");
        }
    }
}
