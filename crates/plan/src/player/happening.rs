//! What those who watch a plan are told, and what those who play it say beforehand.

use std::sync::Arc;
use std::time::Duration;

use phalanx_action::chain::ChainParams;
use phalanx_action::job::Retry;
use phalanx_action::rollout::DEFAULT_FANOUT;
use phalanx_process::Signal;
use phalanx_process::event::Stream;
use phalanx_process::outcome::Finished;
use phalanx_process::output::Capture;
use phalanx_process::result::HostResult;
use phalanx_process::spec::{Faults, Leftovers, Policy};
use phalanx_process::ssh::SshOptions;

use crate::workflow::{StepOutcome, StepRun};

/// What happens while a plan is played.
#[derive(Debug, Clone)]
pub enum Happening {
    /// A step begins, or a block, or a combination of a sweep.
    Begun {
        /// Which.
        turn: StepRun,
        /// What its processes are called, in order.
        members: Arc<[String]>,
        /// What they do, before anything is substituted.
        command: String,
        /// Whether they are reached through ssh.
        remote: bool,
    },
    /// A process was started.
    Started {
        /// Of which step.
        turn: StepRun,
        /// Which of its processes.
        member: usize,
        /// For the so-manieth time, counted from 1.
        attempt: u32,
        /// Its process id here.
        pid: u32,
    },
    /// A process said something.
    Output {
        /// Of which step.
        turn: StepRun,
        /// Which of its processes.
        member: usize,
        /// Where.
        stream: Stream,
        /// What.
        bytes: Arc<[u8]>,
        /// Whether it is to be seen.
        shown: bool,
    },
    /// A process has ended.
    Ended {
        /// Of which step.
        turn: StepRun,
        /// Which of its processes.
        member: usize,
        /// How.
        finished: Arc<Finished>,
        /// What became of it.
        result: HostResult,
        /// If it is tried again, how.
        retry: Option<Retry>,
    },
    /// A process was never started, and will not be.
    NotStarted {
        /// Of which step.
        turn: StepRun,
        /// Which of its processes.
        member: usize,
    },
    /// A step in the background is ready.
    Ready {
        /// Which.
        turn: StepRun,
    },
    /// Something worth knowing about a step.
    Note {
        /// Which.
        turn: StepRun,
        /// What.
        text: String,
    },
    /// It is over.
    Over {
        /// Which.
        turn: StepRun,
        /// What became of it.
        verdict: StepOutcome,
        /// What was wrong with it as a whole.
        reason: Option<String>,
    },
    /// This program was sent a signal.
    Signal(Signal),
    /// Somebody has called the [waker](super::Player::waker).
    Woken,
}

/// How the processes of a plan are treated, where the plan does not say.
#[derive(Debug, Clone)]
pub struct Manner {
    /// How hosts are reached.
    pub params: SshOptions,
    /// How every process is treated. Its grace is that of every step; it should keep a little of what is said on stderr,
    /// from which one learns why a connection failed.
    pub policy: Policy,
    /// How many of a step run at once; zero for all.
    pub fanout: usize,
    /// How chains of hosts are built.
    pub chain: ChainParams,
}

impl Default for Manner {
    /// Nothing outlives the plan, and what has been asked to end has 5 s for it.
    fn default() -> Self {
        let policy = Policy {
            grace: Some(GRACE),
            leftovers: Leftovers::Kill,
            leak_timeout: Duration::from_secs(1),
            capture_stdout: Capture::None,
            capture_stderr: Capture::Last(4096),
            nolog: Faults::ALL,
            // A process that has done what it should need not read to the end.
            ignore: Faults { write_error: true, ..Faults::default() },
            ..Policy::default()
        };
        Self { params: SshOptions::default(), policy, fanout: DEFAULT_FANOUT, chain: ChainParams::default() }
    }
}

/// How long what was asked to end may take, unless somebody says otherwise.
const GRACE: Duration = Duration::from_secs(5);
