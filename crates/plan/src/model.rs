//! What a plan says, as plain data: read, checked, and with all hosts known. Texts keep their substitutions, which are
//! made when a step begins; see [`phalanx_action::substitute`].

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use phalanx_process::Signal;
use phalanx_process::expect::Expect;
use phalanx_process::serial::Settings;

pub use phalanx_process::workflow::OnFailure;

use phalanx_action::rollout::Rollout;
use phalanx_action::source::MemberSource;
use phalanx_action::substitute::Lists;
use phalanx_config::toml_doc::{Diagnostic, Location};
use phalanx_sweep::Combination;

/// How long a step in the background may take until it is ready, and how long every expected answer may take, unless
/// the plan says otherwise.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A plan that was read and found to be right.
#[derive(Debug)]
pub struct Plan {
    /// What it is called: as it says, or the name of its file.
    pub name: String,
    /// Its file, as it is called in messages.
    pub file: String,
    /// The variables and the lists of hosts, for `{{name}}`.
    pub lists: Lists,
    /// Its steps, one after the other.
    pub steps: Vec<Step>,
    /// How many steps there are in all, at any depth. Their numbers are below this.
    pub count: usize,
    /// What is allowed, and probably not meant.
    pub warnings: Vec<Diagnostic>,
}

impl Plan {
    /// Returns the plan of one step, which is called as the plan is: what `source` does on `hosts`.
    #[must_use]
    pub fn of_one_step(name: String, hosts: Vec<String>, source: Arc<dyn MemberSource>, rollout: Rollout) -> Self {
        let step = Step {
            number: 0,
            name: name.clone(),
            place: Location { line: 1, column: 1 },
            on_failure: OnFailure::default(),
            background: false,
            limit: None,
            work: Work::Processes(Arc::new(Processes::made_by(source, name.clone(), hosts, rollout))),
        };
        Self { name, file: String::new(), lists: Lists::default(), steps: vec![step], count: 1, warnings: Vec::new() }
    }

    /// The step of this number.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn step(&self, number: usize) -> &Step {
        let mut steps = self.steps.as_slice();
        loop {
            // Numbers grow in the order of the file, a block before what is in it.
            let next = steps.partition_point(|step| step.number <= number).checked_sub(1);
            let step = &steps[next.expect("every number below the count is that of a step")];
            if step.number == number {
                return step;
            }
            steps = step.steps();
        }
    }
}

/// One step.
#[derive(Debug)]
pub struct Step {
    /// Its number among all steps of the plan, in the order of the file, from 0.
    pub number: usize,
    /// What it is called: as it says, or what it does.
    pub name: String,
    /// Where it stands.
    pub place: Location,
    /// What its failure leads to.
    pub on_failure: OnFailure,
    /// Whether the steps after it begin when it is ready, and it is ended with the block it is in.
    pub background: bool,
    /// How long all of it may take. (Processes have a limit of their own, for each attempt of each.)
    pub limit: Option<Duration>,
    /// What it does.
    pub work: Work,
}

/// What a step does.
#[derive(Debug)]
pub enum Work {
    /// Processes, one for each host, or so many here.
    Processes(Arc<Processes>),
    /// A port here that leads to one behind a host, as long as the block lasts.
    Forward(Box<Forward>),
    /// Nothing, for so long.
    Pause(Duration),
    /// Its steps, one after the other.
    Sequence(Vec<Step>),
    /// Its steps, all at once.
    Parallel {
        /// Which.
        steps: Vec<Step>,
        /// Whether the first that fails (and stops) ends the others.
        fail_fast: bool,
    },
    /// Its steps, once for each combination of factors.
    Sweep(Box<Sweep>),
}

impl Step {
    /// The steps in it.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        match &self.work {
            Work::Sequence(steps) | Work::Parallel { steps, .. } => steps,
            Work::Sweep(sweep) => &sweep.steps,
            Work::Processes(_) | Work::Forward(_) | Work::Pause(_) => &[],
        }
    }

    /// Whether it is a block of others.
    #[must_use]
    pub fn is_block(&self) -> bool {
        matches!(self.work, Work::Sequence(_) | Work::Parallel { .. } | Work::Sweep(_))
    }
}

/// Processes, one for each host, or so many here.
#[derive(Debug)]
pub struct Processes {
    /// What each does.
    pub kind: Kind,
    /// On which hosts, each once, in order. None for what runs here without any.
    pub hosts: Vec<String>,
    /// The remote user.
    pub user: Option<String>,
    /// Who starts when, who is tried again; but for the fan-out.
    pub rollout: Rollout,
    /// How many run at once, if the plan says so; zero for all.
    pub fanout: Option<usize>,
    /// How long each may take, each time.
    pub timeout: Option<Duration>,
    /// The exit codes with which all is well.
    pub exit_codes: Vec<i32>,
    /// What it reads.
    pub input: Option<String>,
    /// The file for its stdout.
    pub output: Option<String>,
    /// The file for its stderr.
    pub errors: Option<String>,
    /// Whether what it says is shown: by default what does not go into a file.
    pub show: Option<bool>,
    /// In the background: what it says when it is ready. Without, it is when it runs.
    pub ready: Option<Ready>,
    /// What is said to it.
    pub dialogue: Option<Dialogue>,
    /// In the background: the signal by which it is ended.
    pub stop_signal: Signal,
}

impl Processes {
    /// Returns what `source` makes, one process for each of `hosts`, called `command` as a whole.
    fn made_by(source: Arc<dyn MemberSource>, command: String, hosts: Vec<String>, rollout: Rollout) -> Self {
        Self {
            kind: Kind::Made { source, command },
            hosts,
            user: None,
            fanout: Some(rollout.fanout),
            rollout,
            timeout: None,
            exit_codes: vec![0],
            input: None,
            output: None,
            errors: None,
            show: None,
            ready: None,
            dialogue: None,
            stop_signal: Signal::TERM,
        }
    }
}

/// What each of some processes does.
#[derive(Debug)]
pub enum Kind {
    /// Whatever makes the processes of the hosts, in their order. Not to be written in a file.
    Made {
        /// What makes them.
        source: Arc<dyn MemberSource>,
        /// What they do, on one line.
        command: String,
    },
    /// A command on a host.
    Run {
        /// For its shell.
        command: String,
        /// With a terminal.
        terminal: bool,
    },
    /// A command here.
    Local {
        /// For `/bin/sh`.
        command: String,
        /// With a terminal.
        terminal: bool,
        /// Where.
        directory: Option<String>,
        /// How many of it; a number once the substitutions are made.
        count: Option<String>,
    },
    /// Files to a host.
    Put {
        /// Here.
        sources: Vec<String>,
        /// There.
        to: String,
        /// With checksums.
        verify: bool,
    },
    /// Files along a chain of hosts.
    Chain {
        /// Here.
        sources: Vec<String>,
        /// There.
        to: String,
        /// By which the hosts reach each other, if not by their names.
        address: Option<String>,
    },
    /// Files from a host.
    Get {
        /// There.
        sources: Vec<String>,
        /// Here.
        to: String,
        /// With checksums.
        verify: bool,
    },
    /// A serial line: of each host, or here.
    Serial {
        /// Its path.
        device: String,
        /// How it is set up.
        settings: Settings,
    },
}

impl Kind {
    /// The word for it in plans.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Run { .. } | Self::Made { .. } => "run",
            Self::Local { .. } => "local",
            Self::Put { .. } => "put",
            Self::Chain { .. } => "chain",
            Self::Get { .. } => "get",
            Self::Serial { .. } => "serial",
        }
    }
}

/// When a process in the background is ready.
#[derive(Debug)]
pub struct Ready {
    /// When it has said this, on stdout or stderr.
    pub pattern: Expect,
    /// How long that may take.
    pub limit: Duration,
}

/// What is said to a process.
#[derive(Debug)]
pub struct Dialogue {
    /// In the order of the plan.
    pub lines: Vec<Line>,
    /// How long each answer may take.
    pub limit: Duration,
}

/// One line of a dialogue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The regular expression that must be found first; none for what is said at once.
    pub expect: Option<String>,
    /// What is said then.
    pub send: Option<Send>,
    /// How long to wait before it is said.
    pub delay: Duration,
    /// When it counts.
    pub turn: Turn,
}

/// What is said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Send {
    /// A text, and the Enter key.
    Line(String),
    /// A text as it is.
    Raw(String),
}

/// When a line of a dialogue counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Turn {
    /// When it comes to it.
    #[default]
    Next,
    /// When it comes to it, if at all.
    Optional,
    /// At any time.
    Whenever,
    /// At any time, and then the dialogue has failed.
    Refused,
}

/// A port here that leads to a port behind a host.
#[derive(Debug)]
pub struct Forward {
    /// Through this host.
    pub host: String,
    /// The remote user.
    pub user: Option<String>,
    /// To this, as seen from the host: `HOST:PORT`.
    pub target: String,
    /// From this port here; a free one if not given.
    pub local_port: Option<u16>,
    /// From this address here.
    pub bind: Option<String>,
    /// The name under which the steps after it know the port.
    pub variable: Option<String>,
}

/// A block that runs once for each combination of factors.
#[derive(Debug)]
pub struct Sweep {
    /// All combinations, in order.
    pub combinations: Vec<Combination>,
    /// The names of all factors, also of those that are not in every combination.
    pub factors: Vec<String>,
    /// The directory that knows what is done; without one, nothing is remembered.
    pub queue: Option<PathBuf>,
    /// What becomes of a combination that failed.
    pub failed: Failed,
    /// What is done for each.
    pub steps: Vec<Step>,
}

/// What becomes of a combination of a sweep that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Failed {
    /// The others go on, and it is to do again the next time.
    #[default]
    Again,
    /// The others go on, and it is given up for good.
    Skip,
    /// The sweep is over, and it is to do again the next time.
    Stop,
}
