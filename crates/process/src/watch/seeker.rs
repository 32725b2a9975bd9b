//! One stream of one process and what is expected of it now: the pure [session](Session), and the timer that it needs.
//! Runs within handlers, on the engine's thread.

use std::time::{Duration, Instant};

use crate::event::Request;
use crate::expect::{Expect, InvalidPattern, MatchResult, Script, ScriptOutcome, Session, SessionResult};
use crate::handler::Context;
use crate::id::{ProcessId, TimerId};

/// What can be asked of a stream.
#[derive(Debug)]
pub(super) enum What {
    Patterns(Expect),
    Script(Box<Script>),
}

/// What came of it.
#[derive(Debug)]
pub(super) enum Answer {
    MatchResult(MatchResult),
    ScriptOutcome(Result<ScriptOutcome, InvalidPattern>),
}

impl From<SessionResult> for Answer {
    fn from(result: SessionResult) -> Self {
        match result {
            SessionResult::Match(result) => Self::MatchResult(result),
            SessionResult::Script(outcome) => Self::ScriptOutcome(Ok(outcome)),
        }
    }
}

/// See the module's documentation.
#[derive(Debug, Default)]
pub(super) struct Seeker {
    session: Session,
    /// The timer that expires first, of those that were asked for and have not expired. The session may want to be
    /// called later by now, which costs one look and not a timer for every byte.
    armed: Option<(Instant, TimerId)>,
}

impl Seeker {
    /// Takes what was received before anything was expected.
    pub(super) fn seed(&mut self, context: &Context<'_>, bytes: &[u8], ended: bool) {
        self.session.feed(context.now(), bytes);
        if ended {
            self.session.handle_eof(context.now());
        }
    }

    /// Starts to look for something, first of all in what was received and not yet consumed. A limit of no time looks
    /// there only.
    pub(super) fn begin(
        &mut self,
        context: &mut Context<'_>,
        id: ProcessId,
        what: What,
        limit: Option<Duration>,
    ) -> Option<Answer> {
        let now = context.now();
        match what {
            What::Patterns(patterns) => self.session.expect(now, &patterns, limit),
            What::Script(script) => {
                if let Err(invalid) = self.session.run_script(now, &script, limit) {
                    return Some(Answer::ScriptOutcome(Err(invalid)));
                }
            }
        }
        self.perform(context, id)
    }

    /// Takes bytes that arrived.
    pub(super) fn feed(&mut self, context: &mut Context<'_>, id: ProcessId, bytes: &[u8]) -> Option<Answer> {
        self.session.feed(context.now(), bytes);
        self.perform(context, id)
    }

    /// Takes note that the stream has ended.
    pub(super) fn end(&mut self, context: &mut Context<'_>, id: ProcessId) -> Option<Answer> {
        self.session.handle_eof(context.now());
        self.perform(context, id)
    }

    /// Returns whether this timer is its own.
    pub(super) fn owns(&self, timer: TimerId) -> bool {
        self.armed.is_some_and(|(_, armed)| armed == timer)
    }

    /// Takes note that a timer has expired, which may be its own.
    pub(super) fn expire(&mut self, context: &mut Context<'_>, id: ProcessId, timer: TimerId) -> Option<Answer> {
        self.armed.take_if(|(_, armed)| *armed == timer)?;
        self.session.handle_timeout(context.now());
        self.perform(context, id)
    }

    /// Consumes everything received so far.
    pub(super) fn skip_received(&mut self) {
        self.session.skip_received();
    }

    /// Does what the session asks for, and returns what came of it.
    fn perform(&mut self, context: &mut Context<'_>, id: ProcessId) -> Option<Answer> {
        while let Some(bytes) = self.session.poll_write() {
            context.request(id, Request::Write(bytes.into()));
        }
        if let Some(at) = self.session.poll_timeout()
            && self.armed.is_none_or(|(armed, _)| at < armed)
        {
            let timer = context.timer(at.saturating_duration_since(context.now()));
            self.armed = Some((at, timer));
        }
        self.session.poll_result().map(Answer::from)
    }
}
