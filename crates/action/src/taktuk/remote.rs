//! One command on many hosts, through taktuk.

use std::fmt;
use std::sync::Arc;

use phalanx_process::backend::Backend;
use phalanx_process::engine::EngineHandle;
use phalanx_process::host::Host;
use phalanx_process::outcome::Finished;
use phalanx_process::spec::{Command, HostedBy, Launch, Policy};
use phalanx_process::{Process, Spec};

use super::backend::{Plan, Taktuk};
use super::language::{self, Member};
use super::{Reach, TaktukError, TaktukParams};
use crate::action::Action;
use crate::files::Fault;
use crate::remote::Remote;
use crate::rollout::{DEFAULT_FANOUT, Rollout};
use crate::source::MemberSource;
use crate::terms::{Terms, set_terms};

/// A command to be run on each of some hosts, which are reached as a tree. What is the same as with ssh, and what is
/// not, is said in [`crate::taktuk`]. All start at once unless told otherwise, since those that start together share one
/// taktuk, which has a window for its connections.
///
/// ```no_run
/// use phalanx_action::taktuk::TaktukRemote;
///
/// let action = TaktukRemote::new("uptime", (1..=500).map(|n| format!("node{n}"))).build()?.run();
/// for process in action.processes() {
///     println!("{}: {}", process.host().unwrap_or_default(), String::from_utf8_lossy(&process.stdout()));
/// }
/// # Ok::<(), phalanx_action::taktuk::TaktukError>(())
/// ```
#[derive(Debug, Clone)]
pub struct TaktukRemote {
    command: String,
    hosts: Vec<Host>,
    terms: Terms,
    taktuk: TaktukParams,
}

set_terms!(TaktukRemote);

impl TryFrom<Remote> for TaktukRemote {
    type Error = TaktukError;

    /// The same through taktuk, all at once unless its fan-out is another than the usual one.
    ///
    /// # Errors
    /// When the commands are to be written to, or their output is to go into files.
    fn try_from(remote: Remote) -> Result<Self, TaktukError> {
        let (command, hosts, mut terms) = remote.into_plain_parts().map_err(TaktukError::Unsupported)?;
        if terms.rollout.fanout == DEFAULT_FANOUT {
            terms.rollout.fanout = 0;
        }
        Ok(Self { command, hosts, terms, taktuk: TaktukParams::default() })
    }
}

impl TaktukRemote {
    /// `command` on every one of `hosts`, in that order; a host named twice runs it twice. In the command, `{{{host}}}`
    /// is the host, see [`crate::substitute`]. Each user's shell interprets it.
    #[must_use]
    pub fn new(command: impl Into<String>, hosts: impl IntoIterator<Item = impl Into<Host>>) -> Self {
        Self {
            command: command.into(),
            hosts: hosts.into_iter().map(Into::into).collect(),
            terms: Terms { rollout: Rollout::with_fanout(0), ..Terms::default() },
            taktuk: TaktukParams::default(),
        }
    }

    /// How taktuk is called.
    #[must_use]
    pub fn taktuk(mut self, taktuk: TaktukParams) -> Self {
        self.taktuk = taktuk;
        self
    }

    /// The action, run by the default engine.
    ///
    /// # Errors
    /// When taktuk cannot do it: hosts with different ports or key files, names it would take for something else, a
    /// command that is too long; or when the command names a list that is not there.
    pub fn build(self) -> Result<Action, TaktukError> {
        self.build_on(EngineHandle::global())
    }

    /// The action, run by `engine`.
    ///
    /// # Errors
    /// As for [`TaktukRemote::build`].
    pub fn build_on(self, engine: &EngineHandle) -> Result<Action, TaktukError> {
        let Reach { arguments, addresses } = Reach::new(&self.hosts, &self.terms.params, &self.taktuk)?;
        let mut commands = Vec::with_capacity(self.hosts.len());
        let mut members = Vec::with_capacity(self.hosts.len());
        for (index, (host, (address, user))) in self.hosts.iter().zip(addresses).enumerate() {
            let command = self.terms.lists.substitute(&self.command, host, index)?;
            members.push(Member { address, user, line: language::in_shell(&command)? });
            commands.push(command);
        }
        let backend = Backend::attach(Taktuk::new(Plan { arguments, members, freight: None }), engine);
        let process = |(index, (host, command)): (usize, (&Host, String))| {
            process(host, command, self.terms.policy.clone(), (&backend, index), engine)
        };
        let processes = self.hosts.iter().zip(commands).enumerate().map(process).collect();
        Ok(Action::new(self.terms.name.unwrap_or(self.command), processes, self.terms.rollout, engine))
    }
}

/// The process of one host.
fn process(
    host: &Host,
    command: String,
    policy: Policy,
    (backend, member): (&Backend, usize),
    engine: &EngineHandle,
) -> Process {
    let spec = spec(command, policy, backend.member(member));
    Process::from_spec(spec, engine).hosted_by(backend, member).on_host(host.address())
}

fn spec(command: String, policy: Policy, hosted: HostedBy) -> Spec {
    let name = Some(command.clone());
    let launch = Launch { command: Command::Words(command), name, hosted: Some(hosted), ..Launch::default() };
    Spec { launch, policy }
}

/// The action of a transfer: a process for each host, all called as it is, and what was wrong with one that it does not
/// know itself.
pub(super) fn transfer(
    (name, hosts): (String, &[Host]),
    (policy, rollout): (Policy, Rollout),
    (backend, engine): (&Backend, &EngineHandle),
    fault: impl Fn(usize, &Finished) -> Option<Fault> + Send + Sync + 'static,
) -> Action {
    let specs: Vec<_> =
        (0..hosts.len()).map(|index| spec(name.clone(), policy.clone(), backend.member(index))).collect();
    let process = |(index, (spec, host)): (usize, (&Spec, &Host))| {
        Process::from_spec(spec.clone(), engine).hosted_by(backend, index).on_host(host.address())
    };
    let processes = specs.iter().zip(hosts).enumerate().map(process).collect();
    // What is sent to all is sent to all at once.
    let rollout = Rollout { fanout: 0, ..rollout };
    Action::prepared(name, processes, rollout, engine, Arc::new(Transfer { specs, fault }))
}

struct Transfer<F> {
    specs: Vec<Spec>,
    fault: F,
}

impl<F> fmt::Debug for Transfer<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Transfer({} hosts)", self.specs.len())
    }
}

impl<F: Fn(usize, &Finished) -> Option<Fault> + Send + Sync> MemberSource for Transfer<F> {
    fn spec(&self, index: usize) -> Spec {
        self.specs[index].clone()
    }

    fn finished(&self, index: usize, finished: &Finished) -> Option<Fault> {
        (self.fault)(index, finished)
    }

    // The end of a process is told when everything is in its place: there is nothing to join.

    fn carries_files(&self) -> bool {
        true
    }
}
