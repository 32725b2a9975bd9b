//! What a chain is made of: how patient it is, and what it is to do for every host.

use std::collections::HashSet;
use std::time::Duration;

use phalanx_process::host::Host;

use super::session::{Broadcast, Member, Task};
use crate::files::sources::find_sources;
use crate::files::{CopyError, CopyOptions, Request, is_directory_target, substitute, token};

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
    pub chain_retry: MaxSkips,
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
pub enum MaxSkips {
    /// So many.
    Hosts(usize),
    /// This part of all hosts, rounded down; 1.0 for all of them.
    Ratio(f64),
}

impl MaxSkips {
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

impl std::str::FromStr for MaxSkips {
    type Err = InvalidMaxSkips;

    /// A number of hosts, or with a point in it a part of them, from 0.0 to 1.0.
    fn from_str(text: &str) -> Result<Self, InvalidMaxSkips> {
        let ratio = || text.parse().ok().filter(|ratio| text.contains('.') && (0.0..=1.0).contains(ratio));
        let number = text.parse().map(Self::Hosts).ok();
        number.or_else(|| ratio().map(Self::Ratio)).ok_or_else(|| InvalidMaxSkips(text.to_owned()))
    }
}

/// The text is no number of hosts to skip.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` does not say how many hosts may be skipped: give a number, or a part of all hosts from 0.0 to 1.0")]
pub struct InvalidMaxSkips(String);

impl Default for ChainParams {
    fn default() -> Self {
        Self {
            netcat: None,
            client_timeout: Duration::from_secs(5),
            server_timeout: Duration::from_secs(30),
            host_retry: 5,
            chain_retry: MaxSkips::Hosts(10),
            try_delay: Duration::from_secs(1),
            port: None,
            address: None,
        }
    }
}

/// Makes the chain that was asked for. A host named twice gets it once.
pub(crate) fn broadcast(
    name: String,
    mut request: Request,
    chain: ChainParams,
    options: CopyOptions,
) -> Result<Broadcast, CopyError> {
    let mut seen = HashSet::new();
    request.hosts.retain(|host| seen.insert(host.clone()));
    let sources = find_sources(&request.sources)?;
    let member = |(index, host): (usize, &Host)| member(&request, &chain, &options, index, host);
    let members = request.hosts().iter().enumerate().map(member).collect::<Result<_, _>>()?;
    let fanout = options.rollout.fanout;
    Ok(Broadcast::new(Task {
        name,
        params: options.params,
        chain,
        policy: options.policy,
        fanout: if fanout == 0 { usize::MAX } else { fanout },
        sources: sources.into(),
        keep_setid: options.keep_setid,
        receipt: token(),
        members,
    }))
}

fn member(
    request: &Request,
    chain: &ChainParams,
    options: &CopyOptions,
    index: usize,
    host: &Host,
) -> Result<Member, CopyError> {
    let destination = substitute(&options.lists, &request.destination, host, index)?;
    let into = is_directory_target(&request.sources, &destination);
    let address = options.params.connection(host).address;
    let address = match &chain.address {
        Some(pattern) => options.lists.substitute(pattern, &Host::new(&address), index)?,
        None => address,
    };
    if address.is_empty() || address.starts_with('-') || address.contains(|c: char| c.is_whitespace() || c.is_control())
    {
        return Err(CopyError::Address { host: host.to_string(), address });
    }
    Ok(Member { host: host.clone(), address, into, destination })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::FileCopy;

    /// Items 199 to 204.
    #[test]
    fn the_defaults_are_those_of_execo() {
        let params = ChainParams::default();
        assert_eq!((params.client_timeout.as_secs(), params.server_timeout.as_secs()), (5, 30));
        assert_eq!((params.host_retry, params.try_delay.as_secs()), (5, 1));
        assert_eq!((params.chain_retry, params.netcat), (MaxSkips::Hosts(10), None));
    }

    /// C3, item 203.
    #[test]
    fn hosts_to_skip_are_a_number_or_a_ratio() {
        let table =
            [("10", 8, 10), ("0", 8, 0), ("1.0", 8, 8), ("0.5", 8, 4), ("0.3", 8, 2), ("0.0", 8, 0), ("1", 8, 1)];
        for (text, hosts, expected) in table {
            assert_eq!(text.parse::<MaxSkips>().unwrap().of(hosts), expected, "{text}");
        }
        for text in ["", "1.5", "-1", "-0.5", "half", "1e3", "0.5%", "NaN", "."] {
            assert!(text.parse::<MaxSkips>().unwrap_err().to_string().contains("may be skipped"), "{text}");
        }
        assert_eq!(MaxSkips::Ratio(f64::NAN).of(8), 0);
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
            let put = FileCopy::to_hosts(["/etc/passwd"], "/tmp/").on([host]).via(chain).broadcast();
            assert_eq!(matches!(put, Err(CopyError::Address { .. })), refused, "{host:?} {address:?}");
        }
    }
}
