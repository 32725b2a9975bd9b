//! One command on many hosts.

use phalanx_process::Process;
use phalanx_process::conductor::Conductor;
use phalanx_process::spec::Policy;
use phalanx_process::ssh::ConnectionParams;

use crate::action::{Action, DEFAULT_FANOUT};
use crate::substitute::{Lists, SubstituteError};

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
    hosts: Vec<String>,
    params: ConnectionParams,
    policy: Policy,
    lists: Lists,
    fanout: usize,
    name: Option<String>,
}

impl Remote {
    /// `command` on every one of `hosts`, in that order; a host named twice runs it twice. In the command, `{{{host}}}`
    /// is the host, see [`crate::substitute`]. Each host's shell interprets it.
    #[must_use]
    pub fn new(command: impl Into<String>, hosts: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self {
            command: command.into(),
            hosts: hosts.into_iter().map(Into::into).collect(),
            params: ConnectionParams::default(),
            policy: Policy::default(),
            lists: Lists::default(),
            fanout: DEFAULT_FANOUT,
            name: None,
        }
    }

    /// How to reach the hosts.
    #[must_use]
    pub fn params(mut self, params: ConnectionParams) -> Self {
        self.params = params;
        self
    }

    /// How each process is treated.
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

    /// How many hosts work at once; zero for all.
    #[must_use]
    pub fn fanout(mut self, fanout: usize) -> Self {
        self.fanout = fanout;
        self
    }

    /// What to call it in reports; the command if not given.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// The action, run by the default conductor.
    ///
    /// # Errors
    /// When the command names a list that is not there.
    pub fn build(self) -> Result<Action, SubstituteError> {
        self.build_on(Conductor::global())
    }

    /// The action, run by `conductor`.
    ///
    /// # Errors
    /// When the command names a list that is not there.
    pub fn build_on(self, conductor: &Conductor) -> Result<Action, SubstituteError> {
        let process = |(index, host): (usize, &String)| {
            let command = self.lists.substitute(&self.command, host, index)?;
            let mut spec = self.params.spec(host, &command);
            spec.policy = self.policy.clone();
            spec.launch.name = Some(command);
            Ok(Process::from_spec(spec, conductor).on_host(host))
        };
        let processes = self.hosts.iter().enumerate().map(process).collect::<Result<_, _>>()?;
        let name = self.name.unwrap_or(self.command);
        Ok(Action::new(name, processes, self.fanout, conductor))
    }
}
