//! The options that say how to reach hosts, for every verb that does.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::Duration;

use phalanx_process::ssh::{SshOptions, defaults};

use crate::args::values::time;

/// How to reach hosts, as typed.
#[derive(Debug, clap::Args)]
pub(crate) struct ConnectArgs {
    /// How long setting up a connection may take, in seconds or H:M:S; 0 for as long as ssh likes
    #[arg(short = 't', long, value_name = "TIME", value_parser = time)]
    connect_timeout: Option<Duration>,

    /// Log in as this user
    #[arg(short = 'l', long = "user", value_name = "USER", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    user: Option<String>,

    /// Connect to this port
    #[arg(short, long, value_parser = clap::value_parser!(u16).range(1..))]
    port: Option<u16>,

    /// Use this private key
    #[arg(short = 'i', long = "key", value_name = "FILE")]
    key: Option<PathBuf>,

    /// An option for ssh, as ssh -o takes it; may be repeated
    #[arg(short = 'o', long = "option", value_name = "OPTION=VALUE")]
    options: Vec<String>,

    /// Use this ssh configuration instead of the user's
    #[arg(short = 'F', long, value_name = "FILE")]
    ssh_config: Option<PathBuf>,

    /// Connect with this program instead of ssh
    #[arg(long = "ssh", value_name = "PROGRAM")]
    ssh: Option<OsString>,

    /// Use this preset of the configuration; phalanx config shows what is in force
    #[arg(long, value_name = "NAME")]
    pub(crate) preset: Option<String>,
}

/// Why hosts cannot be reached so.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    #[error("cannot use `{path}` as {role}: {reason}")]
    File { path: PathBuf, role: &'static str, reason: String },
    #[error("cannot connect with `{}` ({said_by}): {reason}", .program.display())]
    Connector { program: OsString, said_by: &'static str, reason: &'static str },
}

impl ConnectArgs {
    /// The first of these options that was given, for verbs that may have no connection for it to be about.
    pub(crate) fn first_given(&self) -> Option<&'static str> {
        let given = [
            ("-t, --connect-timeout", self.connect_timeout.is_some()),
            ("-l, --user", self.user.is_some()),
            ("-p, --port", self.port.is_some()),
            ("-i, --key", self.key.is_some()),
            ("-o, --option", !self.options.is_empty()),
            ("-F, --ssh-config", self.ssh_config.is_some()),
            ("--ssh", self.ssh.is_some()),
        ];
        given.into_iter().find_map(|(option, given)| given.then_some(option))
    }

    /// What they mean. What is not among them is left to the defaults, which the configuration has set.
    ///
    /// # Errors
    /// When a file or the program that will be used is not there.
    pub(crate) fn params(&self) -> Result<SshOptions, ConnectError> {
        let defaults = defaults();
        let (key, role) = match &self.key {
            Some(key) => (Some(key), "a private key (-i)"),
            None => (defaults.identity_file.as_ref(), "a private key (connection.keyfile of the configuration)"),
        };
        check_file(key, role)?;
        let (config, role) = match &self.ssh_config {
            Some(config) => (Some(config), "an ssh configuration (-F)"),
            None => (defaults.ssh_config.as_ref(), "an ssh configuration (connection.ssh_config of the configuration)"),
        };
        // ssh knows `-F none`: no configuration at all.
        check_file(config.filter(|path| *path != Path::new("none")), role)?;
        match (&self.ssh, &defaults.ssh) {
            (Some(program), _) => check_connector(program, "--ssh")?,
            (None, Some(program)) => check_connector(program, "connection.ssh of the configuration")?,
            (None, None) => check_connector(OsStr::new("ssh"), "--ssh")?,
        }
        Ok(SshOptions {
            user: self.user.clone(),
            port: self.port,
            identity_file: self.key.clone(),
            ssh: self.ssh.clone(),
            ssh_config: self.ssh_config.clone(),
            options: self.options.clone(),
            connect_timeout: self.connect_timeout,
            ..SshOptions::default()
        })
    }
}

fn check_file(path: Option<&PathBuf>, role: &'static str) -> Result<(), ConnectError> {
    let Some(path) = path else { return Ok(()) };
    let reason = match std::fs::File::open(path).and_then(|file| file.metadata()) {
        Ok(meta) if meta.is_dir() => "it is a directory".to_owned(),
        Ok(_) => return Ok(()),
        Err(error) => error.to_string(),
    };
    Err(ConnectError::File { path: path.to_owned(), role, reason })
}

fn check_connector(program: &OsStr, said_by: &'static str) -> Result<(), ConnectError> {
    let found = if Path::new(program).components().count() > 1 {
        Path::new(program).is_file()
    } else {
        let path = std::env::var_os("PATH").unwrap_or_default();
        !program.is_empty() && std::env::split_paths(&path).any(|directory| directory.join(program).is_file())
    };
    let reason = "there is no such program; install openssh-client, or name another with --ssh";
    if found { Ok(()) } else { Err(ConnectError::Connector { program: program.to_owned(), said_by, reason }) }
}
