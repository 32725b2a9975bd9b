//! Commands and files through `taktuk`, which reaches many hosts as a tree: [`TaktukRemote`], and [copies](crate::files).
//!
//! One `taktuk` here connects to some hosts, these to others, and all of them pass on what the commands say. For every
//! host there is a [`Process`](phalanx_process::Process) as for ssh, with streams of its own, a status, a timeout,
//! handlers and all else; only who runs it differs (see [`phalanx_process::backend`]). What runs through ssh runs through
//! this, with the same results.
//!
//! # How
//! Commands, hosts and users travel through a pipe to taktuk's stdin: no list is too long for an argv, there is no
//! temporary file, and no command is ever seen in a list of processes here. The user's shell interprets a command, as with ssh; its
//! stdin is empty. taktuk carries itself to the hosts (`-s`), which need Perl and nothing else.
//!
//! # What is different
//! * Ports and keys are for all hosts at once: hosts that differ in them are refused. Users may differ.
//! * A command cannot be written to. It has no terminal, no [working directory](phalanx_process::spec::Launch::directory)
//!   and no environment of ours.
//! * A signal always reaches the whole group of a command. It is held back by taktuk until all hosts have been reached or
//!   given up; so set a connect timeout. When nobody waits for those any more (all the others are killed too), they are
//!   given up at once.
//! * A host that cannot be reached is a start error, with what ssh said as its reason. One that is lost while its command
//!   runs has the status [`Lost`](phalanx_process::ExitStatus::Lost) and the reason at the end of its stderr; its command is
//!   sent SIGTERM there. So are all of them when taktuk or this program ends without having killed them, however that was.
//! * A process ends when its command has ended *and* closed its streams: a job left behind in the background that holds
//!   them is waited for.
//! * Hosts that reach others do it with the same options: a key file must be there too, and so must a configuration. With
//!   `taktuk_options` of `["-s", "-d", "-1"]` we reach all of them ourselves.
//!
//! Modules in reading order: `language` is what taktuk is told, [`said`] what it says; `tree` makes one of the other, and
//! all three are pure; `backend` joins them to an engine. [`remote`] is a command for many hosts, `put` and `get` are what carries copies.

mod backend;
pub(crate) mod get;
mod language;
pub(crate) mod put;
pub mod remote;
pub mod said;
mod tree;

use std::ffi::OsString;

use phalanx_process::host::Host;
use phalanx_process::ssh::{ResolvedSsh, SshOptions};

use crate::substitute::SubstituteError;

pub use remote::TaktukRemote;

/// How taktuk is called. What is not set is as execo has it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TaktukParams {
    /// The program; `taktuk` unless set. One word.
    pub taktuk: Option<OsString>,
    /// Its options; `-s` unless set, by which it carries itself to the hosts.
    pub taktuk_options: Option<Vec<OsString>>,
    /// The program that connects; that of the connection parameters (`ssh`) unless set. One word. It is given the
    /// options of the connection parameters, a login as `-l USER`, the host and a command.
    pub taktuk_connector: Option<OsString>,
    /// More words for the program that connects, before those that the connection parameters make, so that they win.
    pub taktuk_connector_options: Vec<OsString>,
}

impl TaktukParams {
    /// The argv for hosts that are reached like this.
    fn arguments(&self, connection: &ResolvedSsh) -> Vec<OsString> {
        let mut connection = connection.clone();
        // taktuk gives each host's itself.
        connection.user = None;
        // Its protocol is bytes, which a terminal would change.
        connection.remote_tty = false;
        connection.ssh = self.taktuk_connector.clone().or(connection.ssh);
        connection.ssh_options = [&self.taktuk_connector_options[..], &connection.ssh_options].concat();
        let program = self.taktuk.clone().unwrap_or_else(|| "taktuk".into());
        let options = self.taktuk_options.clone().unwrap_or_else(|| vec!["-s".into()]);
        language::arguments(&program, &options, &connection.rsh_command())
    }
}

/// Why something cannot be done through taktuk.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TaktukError {
    /// The name of a host means something else to taktuk, or to the shell that it uses.
    #[error(
        "`{host}` cannot be reached through taktuk: a host must be a name or an address, of letters, digits and . - _ : %"
    )]
    Host {
        /// The host.
        host: String,
    },
    /// The name of a user means something else to the shell that taktuk uses.
    #[error("the user `{user}` cannot be used through taktuk: a user must be of letters, digits and . - _ @ +")]
    User {
        /// The user.
        user: String,
    },
    /// Hosts differ in something that taktuk knows only for all of them.
    #[error(
        "`{first}` and `{second}` have different {what}, and taktuk has one for all hosts: use one action for each {what}, \
         a Host section in the ssh configuration, or ssh instead"
    )]
    Differ {
        /// In what.
        what: &'static str,
        /// A host.
        first: String,
        /// Another.
        second: String,
    },
    /// The description of an action has something that taktuk has not.
    #[error("taktuk cannot do that: {0}")]
    Unsupported(&'static str),
    /// A command has a NUL byte.
    #[error("the command has a NUL byte, which no command can have")]
    Nul,
    /// A command is too long, or the names of files are.
    #[error(
        "it has {bytes} bytes, which is too long for taktuk: put the command into a file, or the files into a directory"
    )]
    TooLong {
        /// How long it is.
        bytes: usize,
    },
    /// Something is wrong with a substitution.
    #[error(transparent)]
    Substitute(#[from] SubstituteError),
}

/// What is decided about all hosts: the connection, but for the user, and every host's address and user. Items 118, 119.
struct Reach {
    arguments: Vec<OsString>,
    addresses: Vec<(String, Option<String>)>,
}

impl Reach {
    /// Decides how `hosts` are reached.
    fn new(hosts: &[Host], params: &SshOptions, taktuk: &TaktukParams) -> Result<Self, TaktukError> {
        let connections: Vec<_> = hosts.iter().map(|host| params.connection(host)).collect();
        let mut addresses = Vec::with_capacity(hosts.len());
        for (host, connection) in hosts.iter().zip(&connections) {
            let differ = |what| {
                let (first, second) = (hosts[0].to_string(), host.to_string());
                Err(TaktukError::Differ { what, first, second })
            };
            if connection.port != connections[0].port {
                return differ("ports");
            }
            if connection.identity_file != connections[0].identity_file {
                return differ("key files");
            }
            language::check_host(&connection.address)?;
            if let Some(user) = &connection.user {
                language::check_user(user)?;
            }
            addresses.push((connection.address.clone(), connection.user.clone()));
        }
        let connection = connections.into_iter().next().unwrap_or_else(|| params.connection(&Host::new("nobody")));
        Ok(Self { arguments: taktuk.arguments(&connection), addresses })
    }
}
