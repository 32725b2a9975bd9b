//! One command on many hosts, and the serial lines of many hosts.

use std::collections::HashMap;
use std::path::PathBuf;

use phalanx_process::Process;
use phalanx_process::engine::EngineHandle;
use phalanx_process::host::Host;
use phalanx_process::serial::{SerialSsh, Settings};
use phalanx_process::spec::{Output, Stdin};
use phalanx_process::ssh::SshProcess;

use crate::action::Action;
use crate::rollout::Rollout;
use crate::substitute::SubstituteError;
use crate::terms::{Terms, set_terms};

/// A command to be run on each of some hosts.
///
/// ```no_run
/// use phalanx_action::remote::Remote;
///
/// let action = Remote::new("uptime", ["node1", "node2"]).fanout(16).build()?.run();
/// for process in action.processes() {
///     println!("{}: {}", process.host().unwrap_or_default(), String::from_utf8_lossy(&process.stdout()));
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Remote {
    command: String,
    hosts: Vec<Host>,
    terms: Terms,
    stdin: Stdin,
    stdout_file: Option<String>,
    stderr_file: Option<String>,
}

/// Why there is nothing that could be run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RemoteError {
    /// Something is wrong with a substitution.
    #[error(transparent)]
    Substitute(#[from] SubstituteError),
    /// Two hosts would write over each other.
    #[error("`{first}` and `{second}` would both write to `{}`: put `{{{{{{host}}}}}}` into the path", .path.display())]
    Clash {
        /// The first host.
        first: String,
        /// The second.
        second: String,
        /// Where.
        path: PathBuf,
    },
}

set_terms!(Remote);

impl Remote {
    /// `command` on every one of `hosts`, in that order; a host named twice runs it twice. In the command, `{{{host}}}`
    /// is the address of the host, see [`crate::substitute`]. Each host's shell interprets it.
    #[must_use]
    pub fn new(command: impl Into<String>, hosts: impl IntoIterator<Item = impl Into<Host>>) -> Self {
        Self {
            command: command.into(),
            hosts: hosts.into_iter().map(Into::into).collect(),
            terms: Terms::default(),
            stdin: Stdin::default(),
            stdout_file: None,
            stderr_file: None,
        }
    }

    /// The hosts, in order.
    #[must_use]
    pub fn hosts(&self) -> &[Host] {
        &self.hosts
    }

    /// Where the commands read from: nothing unless told otherwise. With [`Stdin::Pipe`], [`Action::write`] writes to
    /// all of them.
    #[must_use]
    pub fn stdin(mut self, stdin: Stdin) -> Self {
        self.stdin = stdin;
        self
    }

    /// The file here into which the stdout of each host goes, rather than to us; `{{{host}}}` and lists are substituted.
    /// What it held before is lost. Visible while the command runs.
    #[must_use]
    pub fn stdout_file(mut self, path: impl Into<String>) -> Self {
        self.stdout_file = Some(path.into());
        self
    }

    /// As [`Remote::stdout_file`], for stderr. It may be the same file.
    #[must_use]
    pub fn stderr_file(mut self, path: impl Into<String>) -> Self {
        self.stderr_file = Some(path.into());
        self
    }

    /// The action, run by the default engine.
    ///
    /// # Errors
    /// When the command or a path names a list that is not there, and when two hosts would write to the same file.
    pub fn build(self) -> Result<Action, RemoteError> {
        self.build_on(EngineHandle::global())
    }

    /// The action, run by `engine`.
    ///
    /// # Errors
    /// As for [`Remote::build`].
    pub fn build_on(self, engine: &EngineHandle) -> Result<Action, RemoteError> {
        let mut files = Files::default();
        let processes = (0..self.hosts.len()).map(|index| self.process(index, &mut files, engine));
        let processes = processes.collect::<Result<_, _>>()?;
        let name = self.terms.name.unwrap_or(self.command);
        Ok(Action::new(name, processes, self.terms.rollout, engine))
    }

    /// The command, the hosts and the terms, for another way to run it; or what it has beside these.
    pub(crate) fn into_plain_parts(self) -> Result<(String, Vec<Host>, Terms), &'static str> {
        if !matches!(self.stdin, Stdin::Null) {
            return Err("its commands cannot be written to, and have nothing on stdin");
        }
        if self.stdout_file.is_some() || self.stderr_file.is_some() {
            return Err("what its commands say comes here, and not into files; a handler can copy it");
        }
        Ok((self.command, self.hosts, self.terms))
    }

    fn process(&self, index: usize, files: &mut Files, engine: &EngineHandle) -> Result<Process, RemoteError> {
        let host = &self.hosts[index];
        let substitute = |text: &String| self.terms.lists.substitute(text, host, index);
        let command = substitute(&self.command)?;
        let [stdout, stderr] =
            [&self.stdout_file, &self.stderr_file].map(|file| file.as_ref().map(substitute).transpose());
        let (stdout, stderr) = (stdout?, stderr?);
        let mut spec = SshProcess::new(command.as_str(), host).params(self.terms.params.clone()).spec();
        spec.policy = self.terms.policy.clone();
        spec.launch.name = Some(command);
        spec.launch.stdin = self.stdin.clone();
        if stderr.is_some() && stderr == stdout {
            spec.launch.stderr = Output::WithStdout;
        } else if let Some(path) = stderr {
            spec.launch.stderr = files.take(path, host)?;
        }
        if let Some(path) = stdout {
            spec.launch.stdout = files.take(path, host)?;
        }
        Ok(Process::from_spec(spec, engine).on_host(host.address()))
    }
}

/// Who writes where.
#[derive(Default)]
struct Files(HashMap<PathBuf, String>);

impl Files {
    fn take(&mut self, path: String, host: &Host) -> Result<Output, RemoteError> {
        let (path, second) = (PathBuf::from(path), host.to_string());
        match self.0.insert(path.clone(), second.clone()) {
            None => Ok(Output::File { path, append: false }),
            Some(first) => Err(RemoteError::Clash { first, second, path }),
        }
    }
}

/// The serial line of each of some hosts, item 121 of the inventory of execo. See [`SerialSsh`].
///
/// ```no_run
/// use phalanx_action::remote::RemoteSerial;
///
/// let consoles = RemoteSerial::new(["gateway1", "gateway2"], "/dev/ttyUSB0", 115_200).build()?.start();
/// consoles.write("\r");
/// let prompts = consoles.expect("login: ")?;
/// consoles.kill();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct RemoteSerial {
    hosts: Vec<Host>,
    device: String,
    settings: Settings,
    terms: Terms,
}

set_terms!(RemoteSerial);

impl RemoteSerial {
    /// The line of `device`, in which `{{{host}}}` and lists are substituted, at `speed` bits per second: raw, 8 bits, no
    /// parity, one stop bit, no flow control. All at once, since a line has no end of its own.
    #[must_use]
    pub fn new(hosts: impl IntoIterator<Item = impl Into<Host>>, device: impl Into<String>, speed: u32) -> Self {
        Self {
            hosts: hosts.into_iter().map(Into::into).collect(),
            device: device.into(),
            settings: Settings::at(speed),
            terms: Terms { rollout: Rollout::with_fanout(0), ..Terms::default() },
        }
    }

    /// Set up in another way.
    #[must_use]
    pub fn settings(self, settings: Settings) -> Self {
        Self { settings, ..self }
    }

    /// The action, run by the default engine. It ends when it is killed, or the lines vanish.
    ///
    /// # Errors
    /// When the device names a list that is not there.
    pub fn build(self) -> Result<Action, SubstituteError> {
        self.build_on(EngineHandle::global())
    }

    /// The action, run by `engine`.
    ///
    /// # Errors
    /// As for [`RemoteSerial::build`].
    pub fn build_on(self, engine: &EngineHandle) -> Result<Action, SubstituteError> {
        let process = |(index, host): (usize, &Host)| {
            let device = self.terms.lists.substitute(&self.device, host, index)?;
            let serial = SerialSsh::new(host, device, self.settings.speed).settings(self.settings);
            Ok(serial.params(self.terms.params.clone()).policy(self.terms.policy.clone()).process_on(engine))
        };
        let processes = self.hosts.iter().enumerate().map(process).collect::<Result<_, _>>()?;
        let name = self.terms.name.unwrap_or_else(|| format!("RemoteSerial to {} hosts", self.hosts.len()));
        Ok(Action::new(name, processes, self.terms.rollout, engine))
    }
}
