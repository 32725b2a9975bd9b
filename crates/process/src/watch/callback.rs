//! Expecting without waiting: a handler that calls back.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use super::seeker::{Answer, Seeker, What};
use crate::event::{Event, Notification, Request, Stream};
use crate::expect::{Expect, MatchResult, Reason};
use crate::handler::{Context, Handler};
use crate::id::ProcessId;

/// What comes after a verdict.
#[derive(Debug, Clone)]
pub enum Next {
    /// The same again; nothing more after the end of the stream, or after an empty match.
    Again,
    /// Something else. After the end of the stream that is missed at once.
    Expect(Expect),
    /// Nothing more of this process.
    Done,
}

/// A handler that looks for patterns in what its processes say and calls back with every verdict. One instance serves any
/// number of processes, each with its own place in its own stream.
///
/// It looks at what a process says from the moment it was added to it, which is before the start for
/// [`crate::Process::on`]. The end of the stream, and the limit, are verdicts too.
///
/// ```
/// use std::sync::mpsc;
/// use phalanx_process::Process;
/// use phalanx_process::event::Stream;
/// use phalanx_process::expect::{Expect, Pattern};
/// use phalanx_process::watch::{ExpectHandler, Next};
///
/// let (told, heard) = mpsc::channel();
/// let ready = Expect::one(Pattern::regex("^listening on (?<port>[0-9]+)$"))?;
/// let handler = ExpectHandler::new(Stream::Stdout, ready, move |_, _, verdict| {
///     let port = verdict.ok().and_then(|found| Some(found.named_text("port")?.into_owned()));
///     told.send(port).expect("somebody listens");
///     Next::Done
/// });
/// let server = Process::shell("echo listening on 4242; exec sleep 100").on(handler).start();
/// assert_eq!(heard.recv().unwrap().as_deref(), Some("4242"));
/// server.kill();
/// # Ok::<(), phalanx_process::expect::InvalidPattern>(())
/// ```
pub struct ExpectHandler<F> {
    stream: Stream,
    patterns: Expect,
    limit: Option<Duration>,
    callback: F,
    seekers: HashMap<ProcessId, Option<Seeker>>,
}

impl<F> fmt::Debug for ExpectHandler<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ExpectHandler({} of {} processes)", self.patterns, self.seekers.len())
    }
}

impl<F: FnMut(&mut Context<'_>, ProcessId, MatchResult) -> Next + Send> ExpectHandler<F> {
    /// Calls back when one of the patterns was found on that stream, or when the stream has ended without.
    pub fn new(stream: Stream, patterns: Expect, callback: F) -> Self {
        Self { stream, patterns, limit: None, callback, seekers: HashMap::new() }
    }

    /// How long each of the patterns may take, counted from the start of the process or the verdict before.
    #[must_use]
    pub fn within(mut self, limit: Duration) -> Self {
        self.limit = Some(limit);
        self
    }

    fn begin(&mut self, context: &mut Context<'_>, id: ProcessId) {
        if !self.seekers.contains_key(&id) {
            let mut seeker = Seeker::default();
            let answer = seeker.begin(context, id, What::Patterns(self.patterns.clone()), self.limit);
            self.seekers.insert(id, Some(seeker));
            self.answer(context, id, answer);
        }
    }

    fn answer(&mut self, context: &mut Context<'_>, id: ProcessId, mut answer: Option<Answer>) {
        let mut patterns = self.patterns.clone();
        while let Some(Answer::MatchResult(verdict)) = answer.take() {
            // The same empty match, or the same end, for ever.
            let last = match &verdict {
                Ok(found) => found.position().is_empty(),
                Err(missed) => missed.reason == Reason::EndOfFile,
            };
            if verdict.is_err() {
                context.request(id, Request::ExpectFailed);
            }
            match (self.callback)(context, id, verdict) {
                Next::Done => {
                    self.seekers.insert(id, None);
                    return;
                }
                Next::Expect(others) => patterns = others,
                Next::Again if last => {
                    self.seekers.insert(id, None);
                    return;
                }
                Next::Again => {}
            }
            let Some(Some(seeker)) = self.seekers.get_mut(&id) else { return };
            answer = seeker.begin(context, id, What::Patterns(patterns.clone()), self.limit);
        }
    }

    fn seek(
        &mut self,
        context: &mut Context<'_>,
        id: ProcessId,
        step: impl FnOnce(&mut Seeker, &mut Context<'_>) -> Option<Answer>,
    ) {
        if let Some(Some(seeker)) = self.seekers.get_mut(&id) {
            let answer = step(seeker, context);
            self.answer(context, id, answer);
        }
    }
}

impl<F: FnMut(&mut Context<'_>, ProcessId, MatchResult) -> Next + Send> Handler for ExpectHandler<F> {
    fn on_event(&mut self, context: &mut Context<'_>, event: &Event) {
        match event {
            Event::Started { id, .. } => self.begin(context, *id),
            Event::Output { id, stream, bytes } if *stream == self.stream => {
                self.begin(context, *id);
                self.seek(context, *id, |seeker, context| seeker.feed(context, *id, bytes));
            }
            Event::Ended { id, .. } => {
                self.begin(context, *id);
                self.seek(context, *id, |seeker, context| seeker.end(context, *id));
                self.seekers.remove(id);
            }
            Event::Timer { timer } => {
                let whose = self.seekers.iter().find(|(_, seeker)| seeker.as_ref().is_some_and(|it| it.owns(*timer)));
                if let Some((&id, _)) = whose {
                    self.seek(context, id, |seeker, context| seeker.expire(context, id, *timer));
                }
            }
            _ => {}
        }
    }

    fn on_notification(&mut self, context: &mut Context<'_>, notice: &Notification) {
        if let Notification::StreamEnded { id, stream } = notice
            && *stream == self.stream
        {
            self.seek(context, *id, |seeker, context| seeker.end(context, *id));
        }
    }
}
