//! Makes the processes of a step: substitutions made, one description for each host or copy. Starts nothing but the
//! threads at the pipes of files, when their turn comes.

use std::path::PathBuf;
use std::sync::Arc;

use phalanx_action::chain::ChainParams;
use phalanx_action::files::FileCopy;
use phalanx_action::source::MemberSource;
use phalanx_action::substitute::Lists;
use phalanx_process::host::Host;
use phalanx_process::result::Route;
use phalanx_process::serial::{Serial, SerialSsh, Settings as LineSettings};
use phalanx_process::spec::{Environment, Output, Policy, Stdin, Terminal};
use phalanx_process::ssh::{SshOptions, SshProcess};
use phalanx_process::{Signal, Spec};

use super::Manner;
use crate::model::{Kind, Processes};
use crate::read::copies;
use crate::remote_kill::with_stdin_watchdog;

/// How the processes of a step are made.
pub(super) struct Recipe {
    /// What each is called: its host, or a name for what runs here.
    pub(super) labels: Arc<[String]>,
    /// What they do, on one line.
    pub(super) command: String,
    /// How each is ended.
    pub(super) ending: Ending,
    way: Way,
    lists: Lists,
    user: Option<String>,
    params: SshOptions,
    policy: Policy,
    input: Option<Arc<[u8]>>,
    /// What is said to it while it runs.
    is_spoken_to: bool,
    environment: Arc<Environment>,
}

enum Way {
    Ssh { command: String, terminal: bool, watchdog: Option<Signal> },
    Here { command: String, terminal: bool, directory: Option<PathBuf> },
    Source(Arc<dyn MemberSource>),
    Line { device: String, settings: LineSettings, far: bool },
}

/// How a process is ended when its time has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// By this signal to it and all that it started.
    Signal(Signal),
    /// By closing its stdin, which its watchdog reads.
    CloseStdin,
}

impl Recipe {
    /// # Errors
    /// What is wrong with it now: a source that is missing, a number that is none.
    pub(super) fn new(step: &Processes, lists: &Lists, manner: &Manner) -> Result<Self, String> {
        let labels = labels(step, lists)?;
        let mut lists = lists.clone();
        let ranks = (0..labels.len().max(1)).map(|rank| rank.to_string()).collect();
        lists.insert("rank", ranks).expect("it is a name, and has values");
        let input = step.input.as_ref().map(|input| substitute(&lists, input)).transpose()?;
        let is_spoken_to = step.dialogue.is_some();
        let policy = Policy { timeout: step.timeout.or(manner.policy.timeout), ..manner.policy.clone() };
        let (way, ending, command) = match &step.kind {
            Kind::Made { source, command } => {
                (Way::Source(Arc::clone(source)), Ending::Signal(step.stop_signal), command.clone())
            }
            Kind::Run { command, terminal } => {
                let free = !terminal && !is_spoken_to && input.is_none();
                let ending = if free { Ending::CloseStdin } else { Ending::Signal(Signal::TERM) };
                let watchdog = free.then_some(step.stop_signal);
                (Way::Ssh { command: command.clone(), terminal: *terminal, watchdog }, ending, command.clone())
            }
            Kind::Local { command, terminal, directory, .. } => {
                let directory = directory.as_ref().map(|given| substitute(&lists, given)).transpose()?;
                let directory = directory.map(PathBuf::from);
                let way = Way::Here { command: command.clone(), terminal: *terminal, directory };
                (way, Ending::Signal(step.stop_signal), command.clone())
            }
            Kind::Serial { device, settings } => {
                let far = !step.hosts.is_empty();
                let ending = if far { Ending::CloseStdin } else { Ending::Signal(Signal::TERM) };
                (Way::Line { device: device.clone(), settings: *settings, far }, ending, format!("serial {device}"))
            }
            Kind::Chain { sources, to, address } => {
                let chain = chain(address.as_deref(), &lists, manner)?;
                let sources = sources.iter().map(|source| substitute(&lists, source)).collect::<Result<Vec<_>, _>>()?;
                let copy =
                    FileCopy::to_hosts(sources, to).on(hosts(step, &lists)?).via(chain).params(manner.params.clone());
                let copy =
                    copy.policy(policy.clone()).lists(lists.clone()).fanout(step.fanout.unwrap_or(manner.fanout));
                let broadcast = copy.broadcast().map_err(|error| error.to_string())?;
                let name = broadcast.name().to_owned();
                (Way::Source(Arc::new(broadcast)), Ending::Signal(Signal::TERM), name)
            }
            Kind::Put { sources, to, verify } => {
                let copy = FileCopy::to_hosts(sources, to).verify(*verify);
                of_files(copy.on(hosts(step, &lists)?), &lists, manner, policy.clone())?
            }
            Kind::Get { sources, to, verify } => {
                let copy = FileCopy::from_hosts(sources, to).verify(*verify);
                of_files(copy.on(hosts(step, &lists)?), &lists, manner, policy.clone())?
            }
        };
        Ok(Self {
            labels,
            command,
            ending,
            way,
            lists,
            user: step.user.clone(),
            params: manner.params.clone(),
            policy,
            input: input.map(|input| input.into_bytes().into()),
            is_spoken_to,
            environment: Arc::new(Environment::inherited()),
        })
    }

    /// Whether it is ssh that runs here, and may fail in its own way.
    pub(super) fn is_remote(&self) -> bool {
        match self.way {
            Way::Ssh { .. } => true,
            Way::Source(ref source) => source.route() == Route::Ssh,
            Way::Line { far, .. } => far,
            Way::Here { .. } => false,
        }
    }

    /// Whether it is a serial line, which has no end of its own.
    pub(super) fn is_line(&self) -> bool {
        matches!(self.way, Way::Line { .. })
    }

    /// Returns what makes the processes, unless they are commands or lines of the plan itself.
    pub(super) fn source(&self) -> Option<&Arc<dyn MemberSource>> {
        if let Way::Source(source) = &self.way { Some(source) } else { None }
    }

    /// Reports whether the processes carry files: what they write on stdout says how that went.
    pub(super) fn carries_files(&self) -> bool {
        self.source().is_some_and(|source| source.carries_files())
    }

    /// A text for one of them.
    pub(super) fn text(&self, text: &str, member: usize) -> Result<String, String> {
        self.lists.substitute(text, &Host::from(&*self.labels[member]), member).map_err(|error| error.to_string())
    }

    /// The Enter key.
    pub(super) fn enter(&self) -> &'static str {
        if self.is_line() { "\r" } else { "\n" }
    }

    /// Adds what all processes of a step have in common.
    pub(super) fn environment(&self) -> Arc<Environment> {
        Arc::clone(&self.environment)
    }

    /// One of them, to be started at once.
    pub(super) fn spec(&self, member: usize) -> Spec {
        let mut spec = self.make(member, true).unwrap_or_else(|defect| {
            let mut spec = Spec::new(["false"]);
            spec.launch.defect = Some(defect);
            spec.policy = self.policy.clone();
            spec
        });
        spec.launch.environment = Some(Arc::clone(&self.environment));
        spec
    }

    /// What one of them would do, for people: what ends it on its host with its ssh is left out.
    pub(super) fn describe(&self, member: usize) -> String {
        match &self.way {
            Way::Source(source) => return source.describe(member),
            Way::Ssh { .. } | Way::Here { .. } | Way::Line { .. } => {}
        }
        match self.make(member, false) {
            Ok(spec) => spec.launch.command.to_string(),
            Err(defect) => format!("cannot be made: {defect}"),
        }
    }

    fn make(&self, member: usize, for_real: bool) -> Result<Spec, String> {
        let host = || self.host(member);
        let mut spec = match &self.way {
            Way::Source(source) => return Ok(source.spec(member)),
            Way::Ssh { command, terminal, watchdog } => {
                let mut command = self.text(command, member)?;
                let mut params = self.params_for(member)?;
                params.remote_tty = terminal.then_some(true).or(params.remote_tty);
                if let (Some(signal), true) = (watchdog, for_real) {
                    command = with_stdin_watchdog(&command, *signal);
                }
                let mut spec = SshProcess::new(command, host()?).params(params.clone()).spec();
                if watchdog.is_some() {
                    spec.launch.stdin = Stdin::Pipe;
                }
                spec
            }
            Way::Here { command, terminal, directory } => {
                let command = self.text(command, member)?;
                let mut spec = shell(&command);
                spec.launch.directory.clone_from(directory);
                if *terminal {
                    spec.launch.terminal = Some(Terminal::default());
                    spec.launch.stderr = Output::WithStdout;
                }
                spec
            }
            Way::Line { device, settings, far: true } => {
                let device = self.text(device, member)?;
                let line = SerialSsh::new(host()?, device, settings.speed).settings(*settings);
                line.params(self.params_for(member)?).spec()
            }
            Way::Line { device, settings, far: false } => {
                Serial::new(self.text(device, member)?, settings.speed).settings(*settings).spec()
            }
        };
        if let Some(input) = &self.input {
            spec.launch.stdin = Stdin::Data(Arc::clone(input));
        } else if self.is_spoken_to && !self.is_line() {
            spec.launch.stdin = Stdin::Pipe;
        }
        spec.policy = self.policy.clone();
        Ok(spec)
    }

    fn host(&self, member: usize) -> Result<Host, String> {
        self.labels[member].parse().map_err(|error| format!("{error}"))
    }

    fn params_for(&self, member: usize) -> Result<SshOptions, String> {
        let mut params = self.params.clone();
        if let Some(user) = &self.user {
            params.user = Some(self.text(user, member)?);
        }
        Ok(params)
    }
}

/// What the processes of a step are called.
pub(super) fn labels(step: &Processes, lists: &Lists) -> Result<Arc<[String]>, String> {
    const HERE: &str = "local";
    if !step.hosts.is_empty() {
        return Ok(step.hosts.clone().into());
    }
    let Kind::Local { count: Some(count), .. } = &step.kind else { return Ok([HERE.to_owned()].into()) };
    let text = substitute(lists, count)?;
    let count = copies(&text).ok_or_else(|| format!("`{text}` (count) is no number of processes"))?;
    Ok((1..=count).map(|number| format!("{HERE}-{number}")).collect())
}

fn substitute(lists: &Lists, text: &str) -> Result<String, String> {
    lists.substitute(text, &Host::new("local"), 0).map_err(|error| error.to_string())
}

fn hosts(step: &Processes, lists: &Lists) -> Result<Vec<Host>, String> {
    let user = |index: usize, host: &Host| {
        step.user
            .as_ref()
            .map(|user| lists.substitute(user, host, index).map_err(|error| error.to_string()))
            .transpose()
    };
    let host = |(index, name): (usize, &String)| {
        let host: Host = name.parse().map_err(|error| format!("{error}"))?;
        Ok(match user(index, &host)? {
            Some(user) => host.with_user(user),
            None => host,
        })
    };
    step.hosts.iter().enumerate().map(host).collect()
}

fn of_files(copy: FileCopy, lists: &Lists, manner: &Manner, policy: Policy) -> Result<(Way, Ending, String), String> {
    let copy = copy.params(manner.params.clone()).policy(policy).lists(lists.clone());
    let transfers = copy.transfers().map_err(|error| error.to_string())?;
    let name = transfers.name().to_owned();
    Ok((Way::Source(Arc::new(transfers)), Ending::Signal(Signal::TERM), name))
}

fn chain(address: Option<&str>, lists: &Lists, manner: &Manner) -> Result<ChainParams, String> {
    // {{{host}}} in it is for the chain itself.
    let address = address.map(|address| lists.substitute(address, &Host::new("{{{host}}}"), 0)).transpose();
    let address = address.map_err(|error| error.to_string())?;
    Ok(ChainParams { address: address.or(manner.chain.address.clone()), ..manner.chain.clone() })
}

/// A command for `/bin/sh`. Without the dashes, one that begins with a dash would be an option of the shell.
fn shell(command: &str) -> Spec {
    let dashes = if command.trim_start().starts_with(['-', '+']) { &["--"][..] } else { &[] };
    Spec::new(["/bin/sh", "-c"].iter().chain(dashes).chain([&command]))
}
