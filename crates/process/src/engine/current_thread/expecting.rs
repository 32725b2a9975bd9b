//! Expecting something of a process on the thread that waits for it: no other thread has to wake up for an answer.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::super::assert_may_block;
use super::{CurrentThread, Engine};
use crate::event::{Event, Notification, Stream};
use crate::expect::{Expect, MatchResult};
use crate::id::{HandlerId, ProcessId};
use crate::run::RunState;
use crate::watch::{Mailbox, Timeout, Watched, Watcher};

/// The way to the watcher of a process of which something was expected.
pub(super) struct Expecting {
    handler: HandlerId,
    mailbox: Mailbox,
    /// Its output becomes events only because it is searched.
    silent: bool,
}

/// Reports whether only the search asked for this event, so that keeping it would only fill memory.
pub(super) fn is_for_the_search_only(expecting: &HashMap<ProcessId, Expecting>, event: &Event) -> bool {
    let (Event::Output { id, .. } | Event::StdinDrained { id }) = event else { return false };
    expecting.get(id).is_some_and(|expecting| expecting.silent)
}

impl Engine {
    /// Waits until a process says what is expected, and turns the engine meanwhile. Looks first at what was
    /// received and not yet consumed; a [`Timeout::Default`] is none. A miss makes the process "not ok", but for a look
    /// without any time.
    ///
    /// Events that come meanwhile wait for [`Engine::next_event`], except the output of the process itself, unless it was
    /// asked for ([`Request::EmitOutput`](crate::event::Request::EmitOutput)). Once its end was taken from the engine, everything is missed.
    ///
    /// ```
    /// use phalanx_process::engine::{Engine, EngineOptions};
    /// use phalanx_process::event::{Request, Stream};
    /// use phalanx_process::expect::Expect;
    /// use phalanx_process::spec::{Spec, Stdin};
    /// use phalanx_process::watch::Timeout;
    ///
    /// let mut engine = Engine::current_thread(EngineOptions::default())?;
    /// let mut cat = Spec::new(["cat"]);
    /// cat.launch.stdin = Stdin::Pipe;
    /// let cat = engine.start(cat);
    /// engine.request(cat, Request::Write(b"login: "[..].into()));
    /// let found = engine.expect(cat, Stream::Stdout, Timeout::Never, &Expect::one("login: ")?)??;
    /// assert_eq!(found.position(), 0..7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// When the system refuses to wait. What was not found is a verdict.
    ///
    /// # Panics
    /// Inside a handler.
    pub fn expect(
        &mut self,
        id: ProcessId,
        stream: Stream,
        limit: impl Into<Timeout>,
        patterns: &Expect,
    ) -> io::Result<MatchResult> {
        assert_may_block("expect something of a process");
        let limit = match limit.into() {
            Timeout::Default | Timeout::Never => None,
            Timeout::After(limit) => Some(limit),
        };
        self.with(|engine| engine.expect(id, stream, limit, patterns))
    }
}

impl CurrentThread {
    fn expect(
        &mut self,
        id: ProcessId,
        stream: Stream,
        limit: Option<Duration>,
        patterns: &Expect,
    ) -> io::Result<MatchResult> {
        if !self.expecting.contains_key(&id) {
            let expecting = self.watch(id)?;
            self.expecting.insert(id, expecting);
        }
        let Expecting { handler, mailbox, .. } = &self.expecting[&id];
        let promise = mailbox.expect(stream, patterns.clone(), limit, limit != Some(Duration::ZERO));
        self.event_loop.notify(*handler, Notification::Woken);
        let verdict = loop {
            if let Some(verdict) = promise.poll() {
                break verdict;
            }
            self.turn(None)?;
        };
        if self.event_loop.launch(id).is_none() && !self.has_end_of(id) {
            self.expect_no_more(id);
        }
        Ok(verdict)
    }

    /// Lets a watcher hear the process.
    fn watch(&mut self, id: ProcessId) -> io::Result<Expecting> {
        // What has ended, but was not told yet, is told first.
        while self.event_loop.launch(id).is_some() && !self.event_loop.state().table.contains(id) {
            self.turn(Some(Instant::now()))?;
        }
        let table = &self.event_loop.state().table;
        let silent = table.emits_output(id) == Some(false);
        let warns = table.policy(id).is_some_and(|policy| !policy.nolog.expect_failed);
        let name = self.event_loop.launch(id).map(|launch| launch.name()).unwrap_or_default();
        let run = Arc::new(RunState::default());
        let ended = self.events.iter().find_map(|event| match event {
            Event::Ended { id: ended, finished } if *ended == id => Some(finished),
            _ => None,
        });
        if let Some(finished) = ended {
            run.ended(Arc::clone(finished));
        }
        let mailbox = Mailbox::default();
        let watcher = Watcher::new(Watched { id, name, slot: run, warns }, mailbox.clone());
        let handler = self.event_loop.attach(Box::new(watcher));
        self.event_loop.route(id, handler);
        Ok(Expecting { handler, mailbox, silent })
    }

    fn has_end_of(&self, id: ProcessId) -> bool {
        self.events.iter().any(|event| matches!(event, Event::Ended { id: ended, .. } if *ended == id))
    }

    /// Its end was taken from the engine.
    pub(super) fn expect_no_more(&mut self, id: ProcessId) {
        if let Some(Expecting { handler, .. }) = self.expecting.remove(&id) {
            self.event_loop.release(handler);
        }
    }
}
