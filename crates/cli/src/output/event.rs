//! What happens in a job, as its reporter is told.

use std::sync::Arc;

use phalanx_action::job::Retry;
use phalanx_process::event::Stream;
use phalanx_process::outcome::Finished;
use phalanx_process::result::HostResult;

/// A step of a job: the number of a turn of a plan, or the one step of a run, which has no number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct StepId(usize);

impl StepId {
    /// The only step of a run. A plan as a whole has this number too, and is no step of itself.
    pub(crate) const RUN: Self = Self(0);

    /// Returns the step of a plan with this number.
    pub(crate) fn new(number: usize) -> Self {
        Self(number)
    }

    /// Returns the number that events have for it.
    pub(crate) fn number(self) -> Option<usize> {
        (self != Self::RUN).then_some(self.0)
    }
}

/// What is known of a step when it begins.
#[derive(Debug, Clone, Default)]
pub(crate) struct StepDescription {
    /// Its name with those of the blocks it is in (`measurement / traffic`); empty for the step of a run.
    pub(crate) path: String,
    /// What its members are called, in order: hosts, or processes here.
    pub(crate) members: Arc<[String]>,
    /// What they do, before anything is substituted.
    pub(crate) command: String,
    /// Whether they are reached through ssh.
    pub(crate) remote: bool,
    /// Whether it goes on while the next steps run.
    pub(crate) background: bool,
    /// Whether its failures do not count.
    pub(crate) failures_ignored: bool,
    /// Whether it is a block of steps, which has no processes of its own.
    pub(crate) block: bool,
}

/// What happens in a job. A member is counted from 0 within its step.
#[derive(Debug)]
pub(crate) enum JobEvent<'a> {
    /// A step begins. Before anything else of it.
    StepBegun { step: StepId, description: StepDescription },
    /// A process was started; `attempt` is counted from 1.
    Started { step: StepId, member: usize, attempt: u32, pid: u32 },
    /// A process wrote something; `shown` says whether people are to see it.
    Output { step: StepId, member: usize, stream: Stream, bytes: &'a [u8], shown: bool },
    /// A process has ended; if it is tried again, `retry` says how.
    Ended { step: StepId, member: usize, result: HostResult, finished: &'a Finished, retry: Option<Retry> },
    /// A member was never started, and will not be.
    NotStarted { step: StepId, member: usize },
    /// A step in the background is ready.
    StepReady { step: StepId },
    /// Something about a step that is worth knowing.
    Note { step: StepId, text: &'a str },
    /// A step is over; `reason` says what was wrong with it as a whole.
    StepEnded { step: StepId, ok: bool, reason: Option<String> },
    /// A step was not run.
    StepSkipped { step: StepId, path: String, message: String },
}
