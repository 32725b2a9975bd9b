//! `phalanx put` and `phalanx get`: what was typed becomes transfers, and those are driven as a run is.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use phalanx_action::configuration::Configuration;
use phalanx_action::files::get::GetError;
use phalanx_action::files::put::PutError;
use phalanx_action::files::{Get, Put, Transfers};
use phalanx_action::substitute::SubstituteError;
use phalanx_process::host::{Host, InvalidHost};
use phalanx_process::ssh::ConnectionParams;

use crate::connect::{ConnectArgs, ConnectError};
use crate::exit;
use crate::hosts::{HostArgs, HostsError};
use crate::run::{Plan, drive};
use crate::show::Wanted;
use crate::work::WorkArgs;

/// What `phalanx put --help` says below the options.
const PUT_HELP: &str = "\
Into DEST if it is a directory there, if it ends with a slash, or if there are several SRC or a pattern: a directory that \
is not there is made. Otherwise DEST is the new name of SRC, and the directory it is in must be there. ~ and patterns in \
SRC are those of this side, ~ in DEST is that of the host. {{{host}}} is the host, in both. Modes and times are kept.

Nothing has its final name before all of it has come. The hosts need sh and tar, and sha256sum or shasum for --verify.

Exit status: as of phalanx run; a source that is missing is wrong usage, and nothing is started.";

/// What `phalanx get --help` says below the options.
const GET_HELP: &str = "\
Into DESTDIR/HOST/, which is made, so that no host overwrites what another has sent. With {{{host}}} in DESTDIR, to \
exactly there: into it if it is a directory, if it ends with a slash, or if there are several SRC or a pattern; else that \
is the new name of SRC. ~ and patterns in SRC are those of the host. Modes and times are kept.

Nothing has its final name before all of it has come. The hosts need sh and tar, and sha256sum or shasum for --verify.

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
    Put(#[from] PutError),
    #[error(transparent)]
    Get(#[from] GetError),
}

/// `phalanx put`, from what was typed to the exit status.
pub(crate) fn put(args: &PutArgs, configuration: &Configuration) -> ExitCode {
    args.transfer.run(configuration, |hosts, params| {
        let work = &args.transfer.work;
        let put = Put::new(&args.sources, &args.destination, hosts).params(params).lists(work.lists()?);
        Ok(put.policy(work.policy(configuration)).verify(args.transfer.verify).transfers()?)
    })
}

/// `phalanx get`, from what was typed to the exit status.
pub(crate) fn get(args: &GetArgs, configuration: &Configuration) -> ExitCode {
    args.transfer.run(configuration, |hosts, params| {
        let work = &args.transfer.work;
        let get = Get::new(&args.sources, &args.destination, hosts).params(params).lists(work.lists()?);
        Ok(get.policy(work.policy(configuration)).verify(args.transfer.verify).transfers()?)
    })
}

impl TransferArgs {
    fn run(
        &self,
        configuration: &Configuration,
        transfers: impl FnOnce(Vec<Host>, ConnectionParams) -> Result<Transfers, TransferError>,
    ) -> ExitCode {
        match self.plan(configuration, transfers) {
            Ok(plan) => {
                let wanted = Wanted { record: self.record.as_deref(), ..Wanted::of_work(&self.work, configuration) };
                drive(&plan, &wanted, &self.work)
            }
            Err(error) => exit::usage(&error),
        }
    }

    fn plan(
        &self,
        configuration: &Configuration,
        transfers: impl FnOnce(Vec<Host>, ConnectionParams) -> Result<Transfers, TransferError>,
    ) -> Result<Plan, TransferError> {
        let names = self.hosts.hosts()?;
        let hosts = names.iter().map(|name| name.parse()).collect::<Result<Vec<Host>, _>>()?;
        let transfers = transfers(hosts, self.connect.params()?)?;
        Ok(Plan::of_transfers(names, transfers, &self.work, configuration))
    }
}
