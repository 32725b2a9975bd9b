//! Expecting something of a process: a handler that holds the [matcher](crate::expect) of each stream, and the mailbox
//! through which the handles of a process ask it.
//!
//! ```text
//!  process.expect(…) ──▶ mailbox ──▶ Notification::Woken ──▶ Watch ──▶ Seeker (stdout), Seeker (stderr)
//!        ▲                                                │  ▲
//!        └───────────── channel ◀── answer ───────────────┘  └── output, ends of streams, timers
//! ```
//!
//! The matcher lives on the engine's thread, where the bytes are; whoever asks waits on a channel. A watch is made when
//! something is first expected of a process and starts with what has been kept of its output, so that nothing is missed
//! that was said before. It is called only when no event is left to tell: what was kept then is all that was said.

mod callback;
mod seeker;

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

pub use callback::{ExpectHandler, Next};
use seeker::{Answer, Seeker, What};

use crate::completion::{Completion, NotComplete};
use crate::engine::EngineHandle;
use crate::event::{Event, Notification, Request, Stream};
use crate::expect::{Expect, InvalidPattern, MatchResult, NotFound, Reason, Script, ScriptOutcome};
use crate::handler::{Context, Handler};
use crate::id::{HandlerId, ProcessId, TimerId};
use crate::outcome::LateFailure;
use crate::run::RunState;
use crate::spin::{Spin, look_again};

/// How long to wait for what is expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Timeout {
    /// As long as the process says ([`crate::Process::default_expect_timeout`]): for ever, unless it was told otherwise.
    #[default]
    Default,
    /// For ever, or rather until the stream ends.
    Never,
    /// So long. No time at all is a look at what was received, and a miss is no failure.
    After(Duration),
}

impl From<Duration> for Timeout {
    fn from(limit: Duration) -> Self {
        Self::After(limit)
    }
}

/// Something expected of a stream did not come, or could not even be looked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExpectFailed {
    /// A pattern is malformed.
    #[error(transparent)]
    Invalid(#[from] InvalidPattern),
    /// It did not come.
    #[error(transparent)]
    NotFound(#[from] NotFound),
}

/// Whoever asks, and how it wants to hear.
struct Ask {
    stream: Stream,
    what: What,
    limit: Option<Duration>,
    /// Whether a miss is the process's fault.
    strict: bool,
    reply: Reply,
}

type Reply = Box<dyn FnOnce(Answer) + Send>;

enum Letter {
    Ask(Ask),
    Skip(Stream),
}

/// Where the handles of a process leave requests for its [`Watcher`], which reads them when it is woken. Closed with the
/// watcher: what it has not read by then, and what comes later, is dropped, and so told as abandoned.
#[derive(Clone)]
pub(crate) struct Mailbox {
    /// `None` once the watcher is gone.
    letters: Arc<Mutex<Option<Vec<Letter>>>>,
    /// How quickly those were answered who waited.
    spin: Arc<Mutex<Spin>>,
}

impl Default for Mailbox {
    /// Makes an open mailbox.
    fn default() -> Self {
        Self { letters: Arc::new(Mutex::new(Some(Vec::new()))), spin: Arc::default() }
    }
}

impl Mailbox {
    fn post(&self, letter: Letter) {
        let refused = match &mut *self.letters.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(letters) => {
                letters.push(letter);
                None
            }
            None => Some(letter),
        };
        // Outside of the lock: dropping it runs what waits for its answer.
        drop(refused);
    }

    fn take(&self) -> Vec<Letter> {
        let mut letters = self.letters.lock().unwrap_or_else(PoisonError::into_inner);
        letters.as_mut().map(std::mem::take).unwrap_or_default()
    }

    fn close(&self) {
        let unread = self.letters.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(unread);
    }

    /// Asks. Whether a miss is the process's fault is said by `strict`.
    pub(crate) fn expect(&self, stream: Stream, patterns: Expect, limit: Option<Duration>, strict: bool) -> Promise {
        let expected = patterns.to_string();
        let (completer, verdict) = Completion::pair();
        let reply = Box::new(move |answer| {
            if let Answer::MatchResult(verdict) = answer {
                completer.complete(verdict);
            }
        });
        self.post(Letter::Ask(Ask { stream, what: What::Patterns(patterns), limit, strict, reply }));
        Promise { verdict, expected, spin: Arc::clone(&self.spin) }
    }
}

/// What a watch needs to know of its process.
#[derive(Debug, Clone)]
pub(crate) struct Watched {
    pub(crate) id: ProcessId,
    pub(crate) name: String,
    pub(crate) slot: Arc<RunState>,
    /// Whether misses are worth a warning.
    pub(crate) warns: bool,
}

/// The way to the watch of a process. The watch goes with it.
pub(crate) struct Watch {
    engine: EngineHandle,
    handler: HandlerId,
    mailbox: Mailbox,
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Watch").field(&self.handler).finish()
    }
}

impl Watch {
    /// The watch of a process that was started.
    pub(crate) fn new(engine: &EngineHandle, watched: Watched) -> Self {
        let id = watched.id;
        let watch = Self::attach(engine, watched, Watcher::new);
        engine.route(id, watch.handler);
        watch
    }

    /// The watch of a process that is still to be started, with this [handler](Watch::handler) among others.
    pub(crate) fn early(engine: &EngineHandle, watched: Watched) -> Self {
        Self::attach(engine, watched, Watcher::early)
    }

    fn attach(engine: &EngineHandle, watched: Watched, make: fn(Watched, Mailbox) -> Watcher) -> Self {
        let mailbox = Mailbox::default();
        let handler = engine.attach(make(watched, mailbox.clone()));
        Self { engine: engine.clone(), handler, mailbox }
    }

    pub(crate) fn handler(&self) -> HandlerId {
        self.handler
    }

    /// Asks; the promise is kept when it is waited for.
    pub(crate) fn expect(&self, stream: Stream, patterns: Expect, limit: Option<Duration>, strict: bool) -> Promise {
        let promise = self.mailbox.expect(stream, patterns, limit, strict);
        self.engine.wake_handler(self.handler);
        promise
    }

    pub(crate) fn run_script(
        &self,
        stream: Stream,
        script: &Script,
        limit: Option<Duration>,
    ) -> Result<ScriptOutcome, InvalidPattern> {
        let (completer, answer) = Completion::pair();
        let reply = Box::new(move |answer| {
            if let Answer::ScriptOutcome(outcome) = answer {
                completer.complete(outcome);
            }
        });
        let what = What::Script(Box::new(script.clone()));
        self.mailbox.post(Letter::Ask(Ask { stream, what, limit, strict: true, reply }));
        self.engine.wake_handler(self.handler);
        self.engine.block_until("run a script on a process", &answer, None);
        answer.take().unwrap_or_else(|_| Ok(ScriptOutcome::NotFound(gone("an answer".to_owned()))))
    }

    pub(crate) fn skip_received(&self, stream: Stream) {
        self.mailbox.post(Letter::Skip(stream));
        self.engine.wake_handler(self.handler);
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.engine.release(self.handler);
    }
}

/// A verdict to come.
pub(crate) struct Promise {
    verdict: Completion<MatchResult>,
    expected: String,
    spin: Arc<Mutex<Spin>>,
}

impl Promise {
    /// Returns the verdict, if it is there, or will never be.
    pub(crate) fn poll(&self) -> Option<MatchResult> {
        match self.verdict.take() {
            Ok(verdict) => Some(verdict),
            Err(NotComplete::Pending) => None,
            Err(NotComplete::Abandoned) => Some(Err(gone(self.expected.clone()))),
        }
    }

    pub(crate) fn wait(self, engine: &EngineHandle) -> MatchResult {
        let began = Instant::now();
        let pays = {
            let mut spin = self.spin.lock().unwrap_or_else(PoisonError::into_inner);
            spin.asked();
            spin.pays()
        };
        // An engine of this thread looks again by itself.
        let found = if pays && !engine.turns_here() { look_again(began, || self.poll()) } else { None };
        let verdict = found.unwrap_or_else(|| {
            engine.block_until("expect something of a process", &self.verdict, None);
            self.poll().unwrap_or_else(|| Err(gone(self.expected.clone())))
        });
        self.spin.lock().unwrap_or_else(PoisonError::into_inner).waited(began.elapsed());
        verdict
    }
}

/// The engine has stopped, and with it everything that could have come.
fn gone(expected: String) -> NotFound {
    NotFound { reason: Reason::EndOfFile, expected, tail: Vec::new(), unconsumed: 0 }
}

/// The end of a mailbox that reads; closes it when dropped.
struct MailboxReader(Mailbox);

impl Drop for MailboxReader {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// The handler.
pub(crate) struct Watcher {
    watched: Watched,
    mailbox: MailboxReader,
    streams: [Queue; 2],
    /// Whether what had been kept before has been looked at.
    seeded: bool,
}

/// A stream, and who wants something of it: one after the other. The time of whoever waits for its turn runs.
#[derive(Default)]
struct Queue {
    seeker: Seeker,
    waiting: VecDeque<Waiting>,
    active: Option<(bool, Reply)>,
}

struct Waiting {
    letter: Letter,
    since: Instant,
    /// Expires when its time is over before its turn has come.
    timer: Option<TimerId>,
}

impl Watcher {
    /// It begins when it is called for the first time.
    pub(crate) fn new(watched: Watched, mailbox: Mailbox) -> Self {
        Self { watched, mailbox: MailboxReader(mailbox), streams: Default::default(), seeded: false }
    }

    /// It begins before its process does, so that nothing was said before.
    fn early(watched: Watched, mailbox: Mailbox) -> Self {
        Self { seeded: true, ..Self::new(watched, mailbox) }
    }

    /// What was said before anybody expected something.
    fn seed(&mut self, context: &Context<'_>) {
        if std::mem::replace(&mut self.seeded, true) {
            return;
        }
        let Watched { id, slot, .. } = &self.watched;
        let finished = slot.finished();
        for stream in [Stream::Stdout, Stream::Stderr] {
            let kept = match &finished {
                Some(finished) => Some(finished.captured(stream)),
                None => context.captured(*id, stream),
            };
            let ended = context.is_open(*id, stream) != Some(true);
            self.streams[stream as usize].seeker.seed(context, kept.map_or(&[][..], |kept| kept.bytes()), ended);
        }
    }

    fn read_mail(&mut self, context: &mut Context<'_>) {
        for letter in self.mailbox.0.take() {
            let (Letter::Ask(Ask { stream, .. }) | Letter::Skip(stream)) = letter;
            let waiting = Waiting { letter, since: context.now(), timer: None };
            self.streams[stream as usize].waiting.push_back(waiting);
        }
        for stream in [Stream::Stdout, Stream::Stderr] {
            self.go_on(context, stream, None);
            for Waiting { letter, timer, .. } in &mut self.streams[stream as usize].waiting {
                if let (None, Letter::Ask(Ask { limit: Some(limit), .. })) = (&timer, letter) {
                    *timer = Some(context.timer(*limit));
                }
            }
        }
    }

    /// The time of somebody may be over before its turn has come: as if nothing had been received.
    fn give_up(&mut self, context: &mut Context<'_>, timer: TimerId) {
        for queue in &mut self.streams {
            let Some(place) = queue.waiting.iter().position(|waiting| waiting.timer == Some(timer)) else { continue };
            let Some(Waiting { letter: Letter::Ask(ask), .. }) = queue.waiting.remove(place) else { continue };
            let mut nothing = Seeker::default();
            if let Some(answer) = nothing.begin(context, self.watched.id, ask.what, Some(Duration::ZERO)) {
                judge(&self.watched, context, &answer, ask.strict);
                (ask.reply)(answer);
            }
        }
    }

    /// Hands out an answer, and turns to whoever is next.
    fn go_on(&mut self, context: &mut Context<'_>, stream: Stream, mut answer: Option<Answer>) {
        let queue = &mut self.streams[stream as usize];
        loop {
            if let Some(answer) = answer.take()
                && let Some((strict, reply)) = queue.active.take()
            {
                judge(&self.watched, context, &answer, strict);
                reply(answer);
                context.state.deferred.answered = true;
            }
            if queue.active.is_some() {
                return;
            }
            match queue.waiting.pop_front() {
                None => return,
                Some(Waiting { letter: Letter::Skip(_), .. }) => queue.seeker.skip_received(),
                Some(Waiting { letter: Letter::Ask(ask), since, .. }) => {
                    queue.active = Some((ask.strict, ask.reply));
                    let waited = context.now().saturating_duration_since(since);
                    let limit = ask.limit.map(|limit| limit.saturating_sub(waited));
                    answer = queue.seeker.begin(context, self.watched.id, ask.what, limit);
                }
            }
        }
    }

    fn each(
        &mut self,
        context: &mut Context<'_>,
        mut step: impl FnMut(&mut Seeker, &mut Context<'_>, ProcessId) -> Option<Answer>,
    ) {
        for stream in [Stream::Stdout, Stream::Stderr] {
            let answer = step(&mut self.streams[stream as usize].seeker, context, self.watched.id);
            self.go_on(context, stream, answer);
        }
    }
}

/// A miss is a fault of the process, and is logged.
fn judge(watched: &Watched, context: &mut Context<'_>, answer: &Answer, strict: bool) {
    let missed = match answer {
        Answer::MatchResult(Err(missed)) | Answer::ScriptOutcome(Ok(ScriptOutcome::NotFound(missed))) if strict => {
            missed.to_string()
        }
        Answer::ScriptOutcome(Ok(ScriptOutcome::Failed(found))) => {
            format!("was refused with \"{}\"", found.matched().escape_ascii())
        }
        _ => return,
    };
    let Watched { id, name, slot, warns } = watched;
    let level = if *warns { log::Level::Warn } else { log::Level::Debug };
    log::log!(level, "{id} ({name}): {missed}");
    context.request(*id, Request::ExpectFailed);
    if slot.finished().is_some() {
        slot.record_failure(LateFailure::ExpectFailed);
    }
}

impl Handler for Watcher {
    fn on_event(&mut self, context: &mut Context<'_>, event: &Event) {
        if !self.seeded {
            // It will be among what was kept.
            return;
        }
        match event {
            Event::Output { stream, bytes, .. } => {
                let id = self.watched.id;
                let answer = self.streams[*stream as usize].seeker.feed(context, id, bytes);
                self.go_on(context, *stream, answer);
            }
            Event::Timer { timer } => {
                self.give_up(context, *timer);
                self.each(context, |seeker, context, id| seeker.expire(context, id, *timer));
            }
            Event::Ended { .. } => self.each(context, |seeker, context, id| seeker.end(context, id)),
            _ => {}
        }
    }

    fn on_notification(&mut self, context: &mut Context<'_>, notice: &Notification) {
        match notice {
            Notification::Woken => {
                self.seed(context);
                self.read_mail(context);
            }
            Notification::StreamEnded { stream, .. } if self.seeded => {
                let id = self.watched.id;
                let answer = self.streams[*stream as usize].seeker.end(context, id);
                self.go_on(context, *stream, answer);
            }
            // It was called off before it was started. After its end this says nothing new.
            Notification::Reset { .. } => self.each(context, |seeker, context, id| seeker.end(context, id)),
            Notification::StreamEnded { .. } => {}
        }
    }
}
