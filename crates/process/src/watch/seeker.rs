//! One stream of one process and what is expected of it now: the pure matcher or dialogue, and the two timers that it
//! needs. Runs within handlers, on the engine's thread.

use std::time::{Duration, Instant};

use crate::event::Request;
use crate::expect::{Dialogue, Expect, IDLE_TIMEOUT, InvalidPattern, MatchResult, Matcher, Script, ScriptOutcome};
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

/// See the module's documentation.
#[derive(Debug, Default)]
pub(super) struct Seeker {
    talk: Talk,
    limit: Option<Duration>,
    deadline: Option<TimerId>,
    quiet: Option<TimerId>,
    heard_at: Option<Instant>,
}

/// Who reads the stream at the moment. The matcher, and with it the position in the stream, is handed on from one to the
/// next.
#[derive(Debug)]
enum Talk {
    Matcher(Matcher),
    Dialogue(Box<Dialogue>),
}

impl Default for Talk {
    fn default() -> Self {
        Self::Matcher(Matcher::default())
    }
}

impl Seeker {
    /// What was received before anything was expected.
    pub(super) fn seed(&mut self, bytes: &[u8], ended: bool) {
        let Talk::Matcher(matcher) = &mut self.talk else { return };
        let unexpected = matcher.feed(bytes);
        debug_assert!(unexpected.is_none(), "nothing was expected");
        if ended {
            matcher.end_of_file();
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
        let mut matcher = match std::mem::take(&mut self.talk) {
            Talk::Matcher(matcher) => matcher,
            Talk::Dialogue(dialogue) => dialogue.into_matcher(),
        };
        self.limit = limit;
        match what {
            What::Patterns(patterns) => {
                let mut verdict = matcher.expect(&patterns);
                if verdict.is_none() && limit == Some(Duration::ZERO) {
                    verdict = matcher.timeout();
                }
                self.talk = Talk::Matcher(matcher);
                match verdict {
                    Some(verdict) => Some(Answer::MatchResult(verdict)),
                    None => {
                        self.go_on(context, true);
                        None
                    }
                }
            }
            What::Script(script) => match Dialogue::on(matcher, &script) {
                Err(invalid) => Some(Answer::ScriptOutcome(Err(invalid))),
                Ok(mut dialogue) => {
                    if limit == Some(Duration::ZERO) {
                        dialogue.timeout();
                    }
                    self.talk = Talk::Dialogue(Box::new(dialogue));
                    self.run_script(context, id, true)
                }
            },
        }
    }

    /// Takes bytes that arrived.
    pub(super) fn feed(&mut self, context: &mut Context<'_>, id: ProcessId, bytes: &[u8]) -> Option<Answer> {
        self.heard_at = Some(context.now());
        match &mut self.talk {
            Talk::Matcher(matcher) => {
                let verdict = matcher.feed(bytes);
                self.verdict(context, verdict)
            }
            Talk::Dialogue(dialogue) => {
                dialogue.feed(bytes);
                self.run_script(context, id, false)
            }
        }
    }

    /// The stream has ended.
    pub(super) fn end(&mut self, context: &mut Context<'_>, id: ProcessId) -> Option<Answer> {
        match &mut self.talk {
            Talk::Matcher(matcher) if matcher.has_ended() => None,
            Talk::Matcher(matcher) => {
                let verdict = matcher.end_of_file();
                self.verdict(context, verdict)
            }
            Talk::Dialogue(dialogue) => {
                dialogue.end_of_file();
                self.run_script(context, id, false)
            }
        }
    }

    /// Whether this timer matters to it.
    pub(super) fn owns(&self, timer: TimerId) -> bool {
        [self.deadline, self.quiet].contains(&Some(timer))
    }

    /// A timer has expired; it may be one of ours that still matters.
    pub(super) fn expire(&mut self, context: &mut Context<'_>, id: ProcessId, timer: TimerId) -> Option<Answer> {
        if self.deadline == Some(timer) {
            return self.settle(context, id, Matcher::timeout, Dialogue::timeout);
        }
        if self.quiet != Some(timer) {
            return None;
        }
        self.quiet = None;
        let silent = self.heard_at.map_or(IDLE_TIMEOUT, |at| context.now().saturating_duration_since(at));
        if silent < IDLE_TIMEOUT {
            self.quiet = Some(context.timer(IDLE_TIMEOUT - silent));
            return None;
        }
        self.settle(context, id, Matcher::handle_idle, Dialogue::handle_idle)
    }

    /// Consumes everything received so far.
    pub(super) fn skip_received(&mut self) {
        if let Talk::Matcher(matcher) = &mut self.talk {
            matcher.skip_received();
        }
    }

    fn settle(
        &mut self,
        context: &mut Context<'_>,
        id: ProcessId,
        matcher: fn(&mut Matcher) -> Option<MatchResult>,
        dialogue: fn(&mut Dialogue),
    ) -> Option<Answer> {
        match &mut self.talk {
            Talk::Matcher(this) => {
                let verdict = matcher(this);
                self.verdict(context, verdict)
            }
            Talk::Dialogue(this) => {
                dialogue(this);
                self.run_script(context, id, false)
            }
        }
    }

    fn verdict(&mut self, context: &mut Context<'_>, verdict: Option<MatchResult>) -> Option<Answer> {
        if verdict.is_none() {
            self.go_on(context, false);
        } else {
            self.stop();
        }
        verdict.map(Answer::MatchResult)
    }

    /// Writes what the dialogue wants written. Each answer begins the time for the next.
    fn run_script(&mut self, context: &mut Context<'_>, id: ProcessId, mut restart: bool) -> Option<Answer> {
        let Talk::Dialogue(dialogue) = &mut self.talk else { return None };
        while let Some(answer) = dialogue.poll_write() {
            restart = true;
            context.request(id, Request::Write(answer.into()));
        }
        if let Some(outcome) = dialogue.outcome() {
            let outcome = outcome.clone();
            self.stop();
            if let Talk::Dialogue(dialogue) = std::mem::take(&mut self.talk) {
                self.talk = Talk::Matcher(dialogue.into_matcher());
            }
            return Some(Answer::ScriptOutcome(Ok(outcome)));
        }
        self.go_on(context, restart);
        None
    }

    /// Sets the timers of a search that goes on.
    fn go_on(&mut self, context: &mut Context<'_>, restart: bool) {
        if restart {
            self.deadline = self.limit.map(|limit| context.timer(limit));
        }
        let pending = match &mut self.talk {
            Talk::Matcher(matcher) => matcher.is_pending(),
            Talk::Dialogue(dialogue) => dialogue.is_pending(),
        };
        if pending && self.quiet.is_none() {
            self.quiet = Some(context.timer(IDLE_TIMEOUT));
        }
    }

    /// Forgets the timers: they expire unheard.
    fn stop(&mut self) {
        self.deadline = None;
        self.quiet = None;
    }
}
