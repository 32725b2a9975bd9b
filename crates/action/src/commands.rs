//! One command on many hosts, each through an ssh of its own, or here, once for each host name.

use phalanx_process::Spec;
use phalanx_process::host::Host;
use phalanx_process::policy::Policy;
use phalanx_process::result::Route;
use phalanx_process::ssh::{SshOptions, SshProcess};

use crate::exec;
use crate::source::MemberSource;
use crate::substitute::{Lists, SubstituteError};

/// A command for many hosts, as the members of a job.
#[derive(Debug, Clone)]
pub struct Commands {
    command: String,
    hosts: Vec<Host>,
    lists: Lists,
    policy: Policy,
    carrier: Carrier,
}

/// What runs the commands.
#[derive(Debug, Clone)]
enum Carrier {
    Ssh(Box<SshOptions>),
    Exec { without_shell: bool },
}

impl Commands {
    /// Returns `command` for each of `hosts`, through ssh. In the command, `{{{host}}}` and lists are substituted; each
    /// host's shell interprets it.
    ///
    /// # Errors
    /// When the command names a list that is not there.
    pub fn through_ssh(
        command: String,
        hosts: Vec<Host>,
        params: SshOptions,
        lists: Lists,
        policy: Policy,
    ) -> Result<Self, SubstituteError> {
        Self { command, hosts, lists, policy, carrier: Carrier::Ssh(Box::new(params)) }.checked()
    }

    /// Returns `command` for each of `hosts`, here. Beside `{{{host}}}` and lists, `%h` and `%n` are substituted, see
    /// [`exec`].
    ///
    /// # Errors
    /// When the command names a list that is not there.
    pub fn here(command: String, hosts: Vec<Host>, lists: Lists, policy: Policy) -> Result<Self, SubstituteError> {
        let carrier = Carrier::Exec { without_shell: exec::needs_no_shell(&command) };
        Self { command, hosts, lists, policy, carrier }.checked()
    }

    /// Substitutes for the first host. All hosts are alike to the substitution, so this finds what is wrong with any.
    fn checked(self) -> Result<Self, SubstituteError> {
        if !self.hosts.is_empty() {
            self.command(0)?;
        }
        Ok(self)
    }

    fn command(&self, index: usize) -> Result<String, SubstituteError> {
        let host = &self.hosts[index];
        let command = self.lists.substitute(&self.command, host, index)?;
        Ok(match &self.carrier {
            Carrier::Ssh(_) => command,
            Carrier::Exec { .. } => exec::substitute(&command, host.address(), index),
        })
    }
}

impl MemberSource for Commands {
    fn spec(&self, index: usize) -> Spec {
        let command = self.command(index).expect("it was tried for the first host");
        let spec = match &self.carrier {
            Carrier::Ssh(params) => {
                SshProcess::new(command, &self.hosts[index]).params(SshOptions::clone(params)).spec()
            }
            Carrier::Exec { without_shell } => exec::spec(&command, *without_shell),
        };
        Spec { policy: self.policy.clone(), ..spec }
    }

    fn route(&self) -> Route {
        match self.carrier {
            Carrier::Ssh(_) => Route::Ssh,
            Carrier::Exec { .. } => Route::Direct,
        }
    }
}
