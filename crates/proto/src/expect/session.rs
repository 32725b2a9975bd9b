//! What is expected of one stream, with its time: the state machine that everything that reads a stream drives.
//!
//! ```text
//!                    expect, run_script
//!   ┌────────▶ Idle ─────────────────────▶ Looking ◀────────────────────────────┐
//!   │                                       │  │ a match that has a response    │ sent
//!   │  a match, the end, the deadline       │  ▼                                │
//!   └───────── poll_result ◀────────────────┘  Pausing (for no time, most often) ┘
//! ```
//!
//! It reads no descriptor and no clock: the driver says what has happened and when, and asks what is to be done.
//!
//! 1. [`Session::feed`], [`Session::handle_eof`] and [`Session::handle_timeout`] say what has happened, in its order.
//! 2. After each of them, [`Session::poll_write`] (until there is nothing) and [`Session::poll_result`] say what came of
//!    it, and [`Session::poll_timeout`] when to call [`Session::handle_timeout`]. Early calls do nothing; late ones are
//!    late, no more.
//! 3. What arrived counts even if its deadline has passed meanwhile: a driver that is late is not the other side's
//!    fault.
//! 4. Silence settles what further bytes might change: a match that is there counts when nothing has arrived for
//!    [`IDLE_TIMEOUT`], measured from the last byte or the beginning of the search, whichever is later.
//! 5. The limit of an expectation is for all of it, that of a script for each response. A limit of no time looks at what
//!    was received, and no more.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::IDLE_TIMEOUT;
use super::compiled::{Expect, InvalidPattern};
use super::matched::{Match, MatchResult};
use super::matcher::Matcher;
use super::script::{Next, Response, Script, ScriptOutcome, ScriptRun};

/// How something that was expected of a stream ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionResult {
    /// Of [`Session::expect`].
    Match(MatchResult),
    /// Of [`Session::run_script`].
    Script(ScriptOutcome),
}

impl SessionResult {
    /// Returns whether what was expected came.
    #[must_use]
    pub fn ok(&self) -> bool {
        match self {
            Self::Match(result) => result.is_ok(),
            Self::Script(outcome) => outcome.ok(),
        }
    }
}

/// One stream, and what is expected of it now: a list of patterns, or a script.
///
/// ```
/// use std::time::{Duration, Instant};
/// use phalanx_proto::expect::{Pattern, Script, Session, SessionResult};
///
/// let now = Instant::now();
/// let script = Script::new()
///     .respond("login: ", "root\n")
///     .optional("Password: ", "secret\n")
///     .succeed_on(Pattern::regex("[$#] "))
///     .fail_on("incorrect");
/// let mut session = Session::default();
/// session.run_script(now, &script, Some(Duration::from_secs(10)))?;
/// assert_eq!(session.poll_timeout(), Some(now + Duration::from_secs(10)));
/// session.feed(now, b"n1 login: ");
/// assert_eq!(session.poll_write().as_deref(), Some(&b"root\n"[..]));
/// session.feed(now, b"root\r\nWelcome\r\n# ");
/// assert!(matches!(session.poll_result(), Some(SessionResult::Script(outcome)) if outcome.ok()));
/// # Ok::<(), phalanx_proto::expect::InvalidPattern>(())
/// ```
#[derive(Debug, Default)]
pub struct Session {
    matcher: Matcher,
    task: Option<Task>,
    /// How long all of an expectation, or each response of a script, may take.
    limit: Option<Duration>,
    deadline: Option<Instant>,
    /// When silence settles a match that is there.
    idle_at: Option<Instant>,
    writes: VecDeque<Vec<u8>>,
    result: Option<SessionResult>,
}

#[derive(Debug)]
enum Task {
    Expect,
    Script(Box<ScriptRun>),
    /// A response of a script that waits to be sent.
    Pausing(Box<ScriptRun>, Pause),
}

#[derive(Debug)]
struct Pause {
    /// `None` for a pause that is longer than a clock can say.
    until: Option<Instant>,
    bytes: Vec<u8>,
    responds_to: Option<Match>,
}

impl Session {
    /// Returns a session on a new stream that remembers as much of it as [`Matcher::with_window`] says.
    #[must_use]
    pub fn with_window(window: usize) -> Self {
        Self { matcher: Matcher::with_window(window), ..Self::default() }
    }

    /// Starts to look for patterns, first of all in what was received and not yet consumed; replaces what was expected
    /// before.
    pub fn expect(&mut self, now: Instant, expect: &Expect, limit: Option<Duration>) {
        self.begin(now, limit);
        self.task = Some(Task::Expect);
        let result = self.matcher.expect(expect);
        self.go_on(now, result);
        self.look_only(now);
    }

    /// Starts a script on what was received and not yet consumed, and on what comes; replaces what was expected before.
    ///
    /// # Errors
    /// When a regular expression of the script is malformed. Nothing is expected then.
    pub fn run_script(&mut self, now: Instant, script: &Script, limit: Option<Duration>) -> Result<(), InvalidPattern> {
        self.begin(now, limit);
        let mut run = Box::new(ScriptRun::new(script)?);
        let next = run.next(None);
        self.take(now, run, next, None);
        self.look_only(now);
        Ok(())
    }

    /// Takes bytes that arrived. What follows the last match waits for what is expected next.
    pub fn feed(&mut self, now: Instant, bytes: &[u8]) {
        if !bytes.is_empty() {
            let result = self.matcher.feed(bytes);
            self.go_on(now, result);
        }
    }

    /// Takes note that the stream has ended: nothing more can come, and no response waits any longer.
    pub fn handle_eof(&mut self, now: Instant) {
        let result = self.matcher.end_of_file();
        self.go_on(now, result);
        while matches!(self.task, Some(Task::Pausing(..))) {
            self.end_pause(now);
        }
    }

    /// Takes note of the time.
    pub fn handle_timeout(&mut self, now: Instant) {
        let due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        if let Some(Task::Pausing(_, pause)) = &self.task {
            if due(pause.until) {
                self.end_pause(now);
            }
            return;
        }
        let idle_is_first = self.idle_at.is_some_and(|idle| self.deadline.is_none_or(|deadline| idle <= deadline));
        if idle_is_first && due(self.idle_at.take_if(|at| *at <= now)) {
            let result = self.matcher.handle_idle();
            self.go_on(now, result);
        }
        if due(self.deadline) {
            self.deadline = None;
            let result = self.matcher.timeout();
            self.go_on(now, result);
        }
    }

    /// Returns when [`Session::handle_timeout`] is to be called next, if at all.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        match &self.task {
            None => None,
            Some(Task::Pausing(_, pause)) => pause.until,
            Some(Task::Expect | Task::Script(_)) => [self.deadline, self.idle_at].into_iter().flatten().min(),
        }
    }

    /// Returns the next bytes to write to the other side. Ask until there are none, also when there is a result: a last
    /// response may be among them.
    #[must_use]
    pub fn poll_write(&mut self) -> Option<Vec<u8>> {
        self.writes.pop_front()
    }

    /// Returns how it ended, once.
    #[must_use]
    pub fn poll_result(&mut self) -> Option<SessionResult> {
        self.result.take()
    }

    /// Returns whether something is expected.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.task.is_some()
    }

    /// Returns whether the end of the stream was seen.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.matcher.has_ended()
    }

    /// Returns what was received and not yet consumed, as far as it is kept.
    #[must_use]
    pub fn unconsumed(&self) -> &[u8] {
        self.matcher.unconsumed()
    }

    /// Consumes everything received so far: what is expected next must come after it. Cancels what is expected.
    pub fn skip_received(&mut self) {
        self.cancel();
        self.matcher.skip_received();
    }

    /// Expects nothing any more. What was received stays for what is expected next.
    pub fn cancel(&mut self) {
        (self.task, self.deadline, self.idle_at) = (None, None, None);
        self.matcher.cancel();
    }

    fn begin(&mut self, now: Instant, limit: Option<Duration>) {
        self.cancel();
        self.writes.clear();
        self.result = None;
        self.limit = limit;
        self.restart_limit(now);
    }

    fn restart_limit(&mut self, now: Instant) {
        // A limit beyond what a clock can say is none.
        self.deadline = self.limit.and_then(|limit| now.checked_add(limit));
    }

    /// Ends what was begun with no time at all.
    fn look_only(&mut self, now: Instant) {
        if self.limit == Some(Duration::ZERO) {
            self.handle_timeout(now);
        }
    }

    /// Does what follows from what the matcher says, until that is waiting.
    fn go_on(&mut self, now: Instant, result: Option<MatchResult>) {
        if let Some(result) = result {
            match self.task.take() {
                None => {}
                Some(Task::Script(run)) => self.go_on_script(now, run, result),
                Some(Task::Expect | Task::Pausing(..)) => self.end(SessionResult::Match(result)),
            }
        }
        self.set_idle(now);
    }

    fn go_on_script(&mut self, now: Instant, mut run: Box<ScriptRun>, result: MatchResult) {
        match result {
            Err(missed) => self.end(SessionResult::Script(ScriptOutcome::NotFound(missed))),
            Ok(found) => {
                let next = run.apply(&found);
                self.take(now, run, next, Some(found));
            }
        }
    }

    /// Does what a script asks for, until it waits for something.
    fn take(&mut self, now: Instant, mut run: Box<ScriptRun>, mut next: Next, mut last: Option<Match>) {
        loop {
            next = match next {
                Next::End(outcome) => return self.end(SessionResult::Script(outcome)),
                Next::Send(Response { bytes, pause }) if !pause.is_zero() => {
                    let pause = Pause { until: now.checked_add(pause), bytes, responds_to: last };
                    self.task = Some(Task::Pausing(run, pause));
                    return;
                }
                Next::Send(Response { bytes, .. }) => {
                    self.send(now, bytes);
                    run.next(last.take())
                }
                Next::Look(expect) => match self.matcher.expect(&expect) {
                    None => {
                        self.task = Some(Task::Script(run));
                        return self.set_idle(now);
                    }
                    Some(Err(missed)) => {
                        return self.end(SessionResult::Script(ScriptOutcome::NotFound(missed)));
                    }
                    Some(Ok(found)) => {
                        let next = run.apply(&found);
                        last = Some(found);
                        next
                    }
                },
            };
        }
    }

    /// Sends the response that was waiting.
    fn end_pause(&mut self, now: Instant) {
        let Some(Task::Pausing(mut run, pause)) = self.task.take() else { return };
        self.send(now, pause.bytes);
        let next = run.next(pause.responds_to);
        self.take(now, run, next, None);
    }

    /// A response begins the time for the next.
    fn send(&mut self, now: Instant, bytes: Vec<u8>) {
        if !bytes.is_empty() {
            self.writes.push_back(bytes);
        }
        self.restart_limit(now);
    }

    fn end(&mut self, result: SessionResult) {
        self.cancel();
        self.result = Some(result);
    }

    /// Silence matters where a match is there that further bytes might change. Every byte begins it anew.
    fn set_idle(&mut self, now: Instant) {
        let looks = matches!(self.task, Some(Task::Expect | Task::Script(_)));
        self.idle_at = (looks && self.matcher.is_pending()).then(|| now + IDLE_TIMEOUT);
    }
}
