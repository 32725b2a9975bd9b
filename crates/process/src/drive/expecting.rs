//! Expecting something of a process on the thread that waits for it: no other thread has to wake up for an answer.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::Drive;
use crate::event::{Event, Notice, Stream};
use crate::expect::{Expect, MatchResult};
use crate::id::{HandlerId, ProcessId};
use crate::slot::Slot;
use crate::watch::{Mailbox, Timeout, Watched, Watcher};

/// The way to the watcher of a process of which something was expected.
pub(super) struct Expecting {
    handler: HandlerId,
    mailbox: Mailbox,
    /// Its output becomes events only because it is searched.
    silent: bool,
}

/// Whether nobody asked for this event but the search, so that keeping it would only fill memory.
pub(super) fn is_for_the_search_only(expecting: &HashMap<ProcessId, Expecting>, event: &Event) -> bool {
    let (Event::Output { id, .. } | Event::StdinDrained { id }) = event else { return false };
    expecting.get(id).is_some_and(|expecting| expecting.silent)
}

impl Drive {
    /// Waits until a process says what is expected, and drives everything else meanwhile. Looks first at what was
    /// received and not yet consumed; a [`Timeout::Default`] is none. A miss makes the process "not ok", but for a look
    /// without any time.
    ///
    /// Events that come meanwhile wait for [`Drive::next_event`], except the output of the process itself, unless its
    /// policy says `listened`. Once its end was taken from the drive, everything is missed.
    ///
    /// ```
    /// use phalanx_process::drive::Drive;
    /// use phalanx_process::event::{Request, Stream};
    /// use phalanx_process::expect::Expect;
    /// use phalanx_process::spec::{Spec, Stdin};
    /// use phalanx_process::watch::Timeout;
    ///
    /// let mut drive = Drive::new()?;
    /// let mut cat = Spec::new(["cat"]);
    /// cat.launch.stdin = Stdin::Pipe;
    /// let cat = drive.start(cat);
    /// drive.request(cat, Request::Write(b"login: "[..].into()));
    /// let found = drive.expect(cat, Stream::Stdout, Timeout::Never, &Expect::one("login: ")?)??;
    /// assert_eq!(found.position(), 0..7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// When the system refuses to wait. What was not found is a verdict.
    pub fn expect(
        &mut self,
        id: ProcessId,
        stream: Stream,
        limit: impl Into<Timeout>,
        patterns: &Expect,
    ) -> io::Result<MatchResult> {
        let limit = match limit.into() {
            Timeout::Default | Timeout::Never => None,
            Timeout::After(limit) => Some(limit),
        };
        if !self.expecting.contains_key(&id) {
            let expecting = self.watch(id)?;
            self.expecting.insert(id, expecting);
        }
        let Expecting { handler, mailbox, .. } = &self.expecting[&id];
        let promise = mailbox.expect(stream, patterns.clone(), limit, limit != Some(Duration::ZERO));
        self.engine.notify(*handler, Notice::Called);
        let verdict = loop {
            if let Some(verdict) = promise.poll() {
                break verdict;
            }
            self.turn_until(None)?;
        };
        if self.engine.launch(id).is_none() && !self.has_end_of(id) {
            self.expect_no_more(id);
        }
        Ok(verdict)
    }

    /// Lets a watcher hear the process.
    fn watch(&mut self, id: ProcessId) -> io::Result<Expecting> {
        // What has ended, but was not told yet, is told first.
        while self.engine.launch(id).is_some() && !self.engine.table().contains(id) {
            self.turn()?;
        }
        let policy = self.engine.table().policy(id);
        let silent = policy.is_some_and(|policy| !policy.listened);
        let warns = policy.is_some_and(|policy| !policy.nolog.expect_failed);
        let name = self.engine.launch(id).map(|launch| launch.name()).unwrap_or_default();
        let slot = Arc::new(Slot::default());
        let ended = self.events.iter().find_map(|event| match event {
            Event::Ended { id: ended, finished } if *ended == id => Some(finished),
            _ => None,
        });
        if let Some(finished) = ended {
            slot.ended(Arc::clone(finished));
        }
        let mailbox = Mailbox::default();
        let handler = self.attach(Watcher::new(Watched { id, name, slot, warns }, mailbox.clone()));
        self.engine.route(id, handler);
        Ok(Expecting { handler, mailbox, silent })
    }

    fn has_end_of(&self, id: ProcessId) -> bool {
        self.events.iter().any(|event| matches!(event, Event::Ended { id: ended, .. } if *ended == id))
    }

    /// Its end was taken from the drive.
    pub(super) fn expect_no_more(&mut self, id: ProcessId) {
        if let Some(Expecting { handler, .. }) = self.expecting.remove(&id) {
            self.engine.disown(handler);
        }
    }
}
