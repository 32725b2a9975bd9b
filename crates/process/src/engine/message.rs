//! What handles ask of an engine, and what becomes of it when the engine has ended.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use super::log_panic;
use crate::completion::Completer;
use crate::event::{Notification, Request, Stream};
use crate::handler::Handler;
use crate::id::{HandlerId, ProcessId};
use crate::outcome::{Finished, LateFailure, StartError};
use crate::output::Captured;
use crate::run::RunState;
use crate::spec::Spec;
use crate::subscription::{Backlog, EventSender};

/// A process to be entered, not yet started.
pub(crate) struct Insertion {
    pub(crate) id: ProcessId,
    pub(crate) spec: Spec,
    /// What a handle knows of this run.
    pub(crate) run: Option<Arc<RunState>>,
    pub(crate) handlers: Vec<HandlerId>,
    /// Whether its output is made into events although no handler hears it.
    pub(crate) emits_output: bool,
}

/// See the module's documentation.
pub(crate) enum Message {
    Insert(Box<Insertion>),
    Request(ProcessId, Request),
    /// Bytes for a stdin, from a handle that wants to know when they came too late.
    Write {
        id: ProcessId,
        bytes: Arc<[u8]>,
        run: Arc<RunState>,
    },
    Attach(HandlerId, Box<dyn Handler>),
    /// A handler hears one process more, which may be running.
    Route(ProcessId, HandlerId),
    /// A handler has no owner outside any more.
    Release(HandlerId),
    /// A handler is given a notification once it has heard all that happened before.
    Notify(HandlerId, Notification),
    Subscribe(EventSender),
    /// The channel of a handler, which may become congested too.
    Backlog(Backlog),
    Inspect {
        id: ProcessId,
        stream: Stream,
        reply: Completer<Option<Captured>>,
    },
    /// Look again before waiting: a subscriber has caught up, or what a wait is for has come.
    Look,
    /// Make the loop that turns the engine see an [`Event::Woken`](crate::event::Event::Woken).
    Wake,
    Stop,
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Message")
    }
}

impl Message {
    /// Answers on behalf of an engine that has ended, for this reason.
    pub(super) fn refuse(self, reason: &Arc<str>) {
        match self {
            Self::Insert(insertion) => {
                let Insertion { spec, run, .. } = *insertion;
                if let Some(run) = run {
                    run.ended(Arc::new(never_started(spec.launch.name(), reason, &spec)));
                }
            }
            Self::Write { run, .. } => run.record_failure(LateFailure::WriteError),
            // What a handler holds is the user's, and may panic when it is dropped.
            Self::Attach(_, handler) => {
                if let Err(panic) = catch_unwind(AssertUnwindSafe(|| drop(handler))) {
                    log_panic("what a handler held", &*panic);
                }
            }
            // A reply that is dropped ends the wait for it.
            Self::Request(..)
            | Self::Route(..)
            | Self::Release(_)
            | Self::Notify(..)
            | Self::Subscribe(_)
            | Self::Backlog(_)
            | Self::Inspect { .. }
            | Self::Look
            | Self::Wake
            | Self::Stop => {}
        }
    }
}

fn never_started(program: String, reason: &Arc<str>, spec: &Spec) -> Finished {
    let error = StartError { program, reason: reason.to_string(), errno: None };
    Finished::never_started(error, &spec.policy, Instant::now())
}
