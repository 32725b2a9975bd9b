//! `phalanx put` and `phalanx get`: what was typed becomes transfers, and those are driven as a run is.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use phalanx_action::chain::{ChainParams, MaxSkips};
use phalanx_action::files::{CopyError, FileCopy};
use phalanx_action::substitute::SubstituteError;
use phalanx_config::configuration::Configuration;
use phalanx_process::host::{Host, InvalidHost};

use crate::args::values::time;
use crate::connect::{ConnectArgs, ConnectError};
use crate::exit;
use crate::hosts::{HostArgs, HostsError};
use crate::output::OutputOptions;
use crate::run::{Request, start};
use crate::work::WorkArgs;

/// What `phalanx put --help` says below the options.
const PUT_HELP: &str = "\
Into DEST if it is a directory there, if it ends with a slash, or if there are several SRC or a pattern: a directory that \
is not there is made. Otherwise DEST is the new name of SRC, and the directory it is in must be there. ~ and patterns in \
SRC are those of this side, ~ in DEST is that of the host. {{{host}}} is the address of the host, in both. Modes and times are kept, but not owners and set-id bits.

Nothing has its final name before all of it has come. The hosts need sh and tar, and sha256sum or shasum for --verify.

With --chain, SRC is the same for all hosts, and they need netcat, and sha256sum or shasum. Nothing between them is \
encrypted: everyone who can see their network can read the files, and so can any user of any of them.

Exit status: as of phalanx run; a source that is missing is wrong usage, and nothing is started.";

/// What `phalanx get --help` says below the options.
const GET_HELP: &str = "\
Into DESTDIR/HOST/, which is made, so that no host overwrites what another has sent. With {{{host}}} in DESTDIR, to \
exactly there: into it if it is a directory, if it ends with a slash, or if there are several SRC or a pattern; else that \
is the new name of SRC. ~ and patterns in SRC are those of the host. Modes and times are kept, but not owners and set-id bits.

Nothing has its final name before all of it has come. The hosts need sh, tar and find, and sha256sum or shasum for --verify.

Exit status: as of phalanx run.";

/// What put and get have in common.
#[derive(Debug, clap::Args)]
pub(crate) struct TransferArgs {
    #[command(flatten)]
    hosts: HostArgs,

    #[command(flatten)]
    pub(crate) connect: ConnectArgs,

    #[command(flatten)]
    pub(crate) work: WorkArgs,

    /// Compare SHA-256 checksums of both ends before anything gets its final name
    #[arg(long)]
    verify: bool,

    /// Keep the set-user-ID and set-group-ID bits of files and directories, although their owner changes
    #[arg(long)]
    preserve_setid: bool,

    /// Record what happens in this file, while it happens, for phalanx report; see docs/json.md
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
}

/// What `phalanx put` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = PUT_HELP)]
pub(crate) struct PutArgs {
    #[command(flatten)]
    pub(crate) transfer: TransferArgs,

    /// Files and directories here
    #[arg(value_name = "SRC", required = true)]
    sources: Vec<OsString>,

    /// Where to, on each host; begins at the remote home
    #[arg(value_name = "DEST")]
    destination: OsString,

    #[command(flatten)]
    chain: ChainArgs,
}

/// How files are passed from host to host.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Chain")]
struct ChainArgs {
    /// Let each host pass the files on to the next, over plain TCP, always comparing checksums
    #[arg(long, conflicts_with_all = ["verify", "retries", "batch", "fail_fast"])]
    chain: bool,

    /// How many hosts in succession may be skipped: a number, or a part of all from 0.0 to 1.0 [default: 10]
    #[arg(long, value_name = "HOSTS", requires = "chain")]
    chain_retry: Option<MaxSkips>,

    /// The address by which hosts reach a host, {{{host}}} being its own, as in {{{host}}}-ib0
    #[arg(long, value_name = "ADDRESS", requires = "chain")]
    chain_address: Option<String>,

    /// The port on which hosts listen, rather than a free one of each
    #[arg(long, value_name = "PORT", requires = "chain", value_parser = clap::value_parser!(u16).range(1..))]
    chain_port: Option<u16>,

    /// The netcat of the hosts, rather than the first that is found
    #[arg(long, value_name = "PROGRAM", requires = "chain")]
    netcat: Option<String>,

    /// How long a host may say or get nothing before it is fed anew or skipped, in seconds or H:M:S; 0 for ever
    /// [default: 30]
    #[arg(long, value_name = "TIME", value_parser = time, requires = "chain")]
    chain_timeout: Option<Duration>,
}

impl ChainArgs {
    /// What is typed, and else what is configured.
    fn params(&self, configured: &ChainParams) -> ChainParams {
        let ChainParams { netcat, chain_retry, address, port, server_timeout, .. } = configured.clone();
        ChainParams {
            netcat: self.netcat.clone().or(netcat),
            chain_retry: self.chain_retry.unwrap_or(chain_retry),
            address: self.chain_address.clone().or(address),
            port: self.chain_port.or(port),
            server_timeout: self.chain_timeout.unwrap_or(server_timeout),
            ..configured.clone()
        }
    }
}

/// What `phalanx get` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = GET_HELP)]
pub(crate) struct GetArgs {
    #[command(flatten)]
    pub(crate) transfer: TransferArgs,

    /// Files and directories on each host; begin at the remote home
    #[arg(value_name = "SRC", required = true)]
    sources: Vec<OsString>,

    /// Where to, here
    #[arg(value_name = "DESTDIR")]
    destination: OsString,
}

/// What is wrong with what was typed.
#[derive(Debug, thiserror::Error)]
enum TransferError {
    #[error(transparent)]
    Hosts(#[from] HostsError),
    #[error(transparent)]
    Host(#[from] InvalidHost),
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error(transparent)]
    Substitute(#[from] SubstituteError),
    #[error(transparent)]
    Copy(#[from] CopyError),
}

/// `phalanx put`, from what was typed to the exit status.
pub(crate) fn put(args: &PutArgs, configuration: &Configuration) -> ExitCode {
    let copy = FileCopy::to_hosts(&args.sources, &args.destination);
    let request = if args.chain.chain {
        args.transfer.chain(copy.via(args.chain.params(&configuration.chain)), configuration)
    } else {
        args.transfer.transfers(copy, configuration)
    };
    args.transfer.start(configuration, request)
}

/// `phalanx get`, from what was typed to the exit status.
pub(crate) fn get(args: &GetArgs, configuration: &Configuration) -> ExitCode {
    let copy = FileCopy::from_hosts(&args.sources, &args.destination);
    args.transfer.start(configuration, args.transfer.transfers(copy, configuration))
}

impl TransferArgs {
    fn transfers(&self, copy: FileCopy, configuration: &Configuration) -> Result<Request, TransferError> {
        let (names, copy) = self.complete(copy, configuration)?;
        let transfers = copy.transfers()?;
        let name = (transfers.name().to_owned(), names);
        Ok(Request::of_files(name, Arc::new(transfers), &self.work, configuration))
    }

    fn chain(&self, copy: FileCopy, configuration: &Configuration) -> Result<Request, TransferError> {
        let (names, copy) = self.complete(copy, configuration)?;
        let broadcast = copy.broadcast()?;
        let name = (broadcast.name().to_owned(), names);
        Ok(Request::of_files(name, Arc::new(broadcast), &self.work, configuration))
    }

    /// Adds the hosts and the options to a copy; returns the names of the hosts with it.
    fn complete(
        &self,
        copy: FileCopy,
        configuration: &Configuration,
    ) -> Result<(Vec<String>, FileCopy), TransferError> {
        let (names, hosts) = self.hosts()?;
        let copy = copy.on(hosts).params(self.connect.params()?).lists(self.work.lists()?);
        let copy = copy.policy(self.work.policy(configuration)).rollout(self.work.rollout(configuration));
        Ok((names, copy.verify(self.verify).keep_setid(self.preserve_setid)))
    }

    fn start(&self, configuration: &Configuration, request: Result<Request, TransferError>) -> ExitCode {
        match request {
            Ok(request) => {
                let options = self.work.output(configuration);
                start(&request, &OutputOptions { record: self.record.as_deref(), ..options }, &self.work)
            }
            Err(error) => exit::usage(&error),
        }
    }

    /// The hosts, by their names and taken apart.
    fn hosts(&self) -> Result<(Vec<String>, Vec<Host>), TransferError> {
        let names = self.hosts.hosts_to_copy()?;
        let hosts = names.iter().map(|name| name.parse()).collect::<Result<Vec<Host>, _>>()?;
        Ok((names, hosts))
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(Debug, clap::Parser)]
    struct Words {
        #[command(flatten)]
        put: PutArgs,
    }

    #[test]
    fn the_flags_of_a_chain_win_over_what_is_configured() {
        let configured = Configuration::parse("f", "[chain]\nnetcat = 'ncat'\nchain_retry = 3\ntry_delay = 2\n");
        let configured = configured.expect("it is right").chain;
        let params = |flags: &[&str]| {
            let words = [&["put", "-w", "n", "--chain"], flags, &["source", "destination"]].concat();
            Words::try_parse_from(words).expect("it is right").put.chain.params(&configured)
        };
        assert_eq!(params(&[]), configured);
        let all = [
            "--netcat",
            "nc",
            "--chain-retry",
            "0.5",
            "--chain-timeout",
            "9",
            "--chain-port",
            "7",
            "--chain-address",
            "a",
        ];
        let expected = ChainParams {
            netcat: Some("nc".into()),
            chain_retry: MaxSkips::Ratio(0.5),
            server_timeout: Duration::from_secs(9),
            port: Some(7),
            address: Some("a".into()),
            ..configured.clone()
        };
        assert_eq!(params(&all), expected);
    }
}
