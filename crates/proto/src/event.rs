//! Everything that can cross the border of the [table](crate::table): requests and inputs go in, effects and events
//! come out. All four are closed: whoever handles one handles every case.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::signal::{ExitStatus, Signal};

use crate::id::{ProcessId, TimerId};
use crate::outcome::{Finished, StartError};

/// One of the two streams a process writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Stream {
    /// Results.
    Stdout,
    /// Complaints.
    Stderr,
}

/// What users and handlers ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Start it, when it has not been started before.
    Start,
    /// End it and all that it started: send a signal, and SIGKILL after a grace.
    Kill(Kill),
    /// Send a signal to its group without any intention: its exit status counts as before.
    Signal(Signal),
    /// Write to its stdin.
    Write(Arc<[u8]>),
    /// Close its stdin once everything has been written.
    CloseStdin,
    /// Something expected of it did not come.
    ExpectFailed,
    /// Judge it failed, for this reason, whatever its exit status: what it was started for was not done.
    Fail(Arc<str>),
    /// A handler of it failed, for this reason: it panicked, or a copy of the output met a full disk.
    HandlerFailed(Arc<str>),
    /// Make its output into events, from now on.
    EmitOutput,
}

/// How to end a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kill {
    /// The signal to begin with.
    pub signal: Signal,
    /// What follows if it does not help.
    pub grace: Grace,
    /// Whether everything that it started gets the signal, its process group and what has left that
    /// ([`SignalScope::Everything`]), or the process alone.
    pub group: bool,
}

/// How far a signal reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignalScope {
    /// The process alone.
    Process,
    /// Its process group: itself and what it started, as far as that stayed in the group.
    Group,
    /// Its process group, and what it started and has left the group: sessions of their own, jobs of an interactive
    /// shell, daemons. See `phalanx_core::descendants` for how they are found. What an ssh with
    /// `diagnostics` left behind is spared: it may be a connection that others share.
    Everything,
}

/// How long a killed process may take to end before it is sent SIGKILL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grace {
    /// As its policy says after SIGTERM and SIGINT; for ever after any other signal, as execo has it.
    Default,
    /// This long, whatever the signal.
    After(Duration),
    /// For ever.
    Never,
}

impl Default for Kill {
    /// SIGTERM to all that it started, then SIGKILL after the grace of the policy.
    fn default() -> Self {
        Self { signal: Signal::TERM, grace: Grace::Default, group: true }
    }
}

impl Kill {
    /// SIGKILL to all that it started, at once.
    pub const NOW: Self = Self { signal: Signal::KILL, grace: Grace::Never, group: true };
}

/// Stands for the process id of what runs without a process here: a serial line, or whatever a
/// backend runs. No child ever has it.
pub const NO_PROCESS: u32 = 0;

/// What the driver saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input<'a> {
    /// It runs.
    Spawned {
        /// Its process id; [`NO_PROCESS`] for what runs without a process of its own.
        pid: u32,
    },
    /// It cannot be started.
    SpawnFailed(StartError),
    /// It will not be started, since it was cancelled in time; the answer to [`Effect::Cancel`].
    Cancelled,
    /// It cannot be started now, for want of something that others will give back.
    ResourceExhausted {
        /// When to try again at the latest.
        retry_at: Instant,
        /// What is wanting.
        reason: StartError,
    },
    /// It said something.
    Bytes(Stream, &'a [u8]),
    /// It will say no more on that stream.
    Eof(Stream),
    /// All that was written to it has been taken.
    StdinDrained,
    /// What was written to it cannot be delivered.
    WriteFailed,
    /// What it reported apart from its streams.
    Diagnostics(&'a [u8]),
    /// It ended.
    Exited(ExitStatus),
    /// It is over as far as can be known, and what became of it is not known, for this reason. Takes the place of
    /// [`Input::Exited`].
    Lost(Arc<str>),
}

/// What the driver should do. Every effect is answered by at least one input, or by nothing ever again
/// ([`Effect::Release`]).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Start it. Answered by [`Input::Spawned`] and then [`Input::Exited`] or [`Input::Lost`], or by [`Input::SpawnFailed`], or by
    /// [`Input::ResourceExhausted`].
    Spawn(ProcessId),
    /// Give up starting it. Asked of those whose start may take its time ([`Policy::abandon`](crate::policy::Policy::abandon)) while it has
    /// not been answered. Answered by [`Input::Cancelled`], or, when it is too late, by the answer to the start.
    Cancel(ProcessId),
    /// Send a signal, and SIGCONT behind one that [asks to end](Signal::asks_to_end). Answered by its end.
    Signal {
        /// To whom.
        id: ProcessId,
        /// Which.
        signal: Signal,
        /// How far it reaches.
        scope: SignalScope,
    },
    /// Write to its stdin. Answered by [`Input::StdinDrained`] or [`Input::WriteFailed`].
    Write(ProcessId, Arc<[u8]>),
    /// Close its stdin after what was written.
    CloseStdin(ProcessId),
    /// Forget it: reap it and close what is still open.
    Release(ProcessId),
}

impl Effect {
    /// The process it is about.
    #[must_use]
    pub fn process(&self) -> ProcessId {
        match self {
            Self::Spawn(id)
            | Self::Cancel(id)
            | Self::Signal { id, .. }
            | Self::Write(id, _)
            | Self::CloseStdin(id)
            | Self::Release(id) => *id,
        }
    }
}

/// What users learn.
#[derive(Debug, Clone)]
pub enum Event {
    /// The handler was given to an engine; the first event of its life, and its chance to ask for things.
    Attached,
    /// A process runs. It may already have ended.
    Started {
        /// Which.
        id: ProcessId,
        /// Its process id; [`NO_PROCESS`] for what runs without a process of its own.
        pid: u32,
    },
    /// A process said something.
    Output {
        /// Which.
        id: ProcessId,
        /// On which stream.
        stream: Stream,
        /// What; never empty, and not cut at any particular place.
        bytes: Vec<u8>,
    },
    /// Nothing that was written to a process is waiting any more: it has taken it, or nobody ever will.
    StdinDrained {
        /// Which.
        id: ProcessId,
    },
    /// A process is over. Exactly once for each that was asked to start, and its last event.
    Ended {
        /// Which.
        id: ProcessId,
        /// How, and what it said.
        finished: Arc<Finished>,
    },
    /// A timer of the handler's own has expired.
    Timer {
        /// Which.
        timer: TimerId,
    },
    /// This program was sent a signal that the engine watches for.
    Signal(Signal),
    /// Another thread called the engine's waker. Only the loop that turns the engine sees it.
    Woken,
}

impl Event {
    /// The process it is about.
    #[must_use]
    pub fn process(&self) -> Option<ProcessId> {
        match self {
            Self::Started { id, .. } | Self::Output { id, .. } | Self::StdinDrained { id } | Self::Ended { id, .. } => {
                Some(*id)
            }
            Self::Attached | Self::Timer { .. } | Self::Signal(_) | Self::Woken => None,
        }
    }
}

/// What concerns handlers only: a subscriber or the loop that turns an engine never sees these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notification {
    /// A process will say no more on that stream. It may be left out when the process ends at once, or when others
    /// keep the stream open: [`Event::Ended`] ends both streams as well.
    StreamEnded {
        /// Which.
        id: ProcessId,
        /// Its stream.
        stream: Stream,
    },
    /// A process was reset: whatever was kept about it may go. Comes after its [`Event::Ended`].
    Reset {
        /// Which.
        id: ProcessId,
    },
    /// Another thread asks for the attention of this handler, see `EngineHandle::wake_handler`.
    Woken,
}

impl Notification {
    /// The process it is about.
    #[must_use]
    pub fn process(&self) -> Option<ProcessId> {
        match self {
            Self::StreamEnded { id, .. } | Self::Reset { id } => Some(*id),
            Self::Woken => None,
        }
    }
}
