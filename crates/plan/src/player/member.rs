//! One process of a step under way: what is expected of it and said to it, where its output goes, and whether all was
//! well in the end. Reads no clock and starts nothing: what is to be done comes back as data.

use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use phalanx_process::event::Stream;
use phalanx_process::expect::{Expect, Pattern, Script, ScriptOutcome, Session, SessionResult};
use phalanx_process::id::ProcessId;
use phalanx_process::outcome::Finished;
use phalanx_process::result::{Delivery, EndedBecause, Evidence, HostResult, Route};
use phalanx_process::spec::NON_BLOCKING;

use super::recipe::Recipe;
use crate::model::{Dialogue, Processes, Send, Turn};

/// One process of a step.
#[derive(Default)]
pub(super) struct Member {
    /// The present attempt, while it runs.
    pub(super) id: Option<ProcessId>,
    /// Counted from 1.
    pub(super) attempt: u32,
    /// It is ready, or has done what it was talked to for.
    pub(super) ready: bool,
    /// Something written to it was not taken yet.
    pub(super) unwritten: bool,
    /// It has done its part, and is to be ended.
    pub(super) over: bool,
    /// It was asked to end, because its part is over.
    pub(super) ending: bool,
    /// When it is ended, since it has done its part and has most likely taken all that was written.
    pub(super) end_at: Option<Instant>,
    /// How its last attempt ended, if it is to be tried again.
    pub(super) last: Option<(HostResult, Arc<Finished>)>,
    /// When it is killed, if it has not ended by then.
    pub(super) kill_at: Option<Instant>,
    /// The first thing that was expected of it and did not come, in a sentence that follows its name.
    missed: Option<String>,
    /// The first error of writing its output into a file.
    output_lost: Option<String>,
    readiness: Option<Readiness>,
    talk: Option<Talk>,
    sinks: [Option<Sink>; 2],
}

/// What it must say, on either stream, to be ready.
struct Readiness {
    pattern: Expect,
    limit: Duration,
    streams: [Session; 2],
}

/// The dialogue with it.
struct Talk {
    script: Script,
    /// How long each reply may take.
    limit: Duration,
    session: Session,
    outcome: Option<ScriptOutcome>,
    begun: bool,
}

/// A file that output goes to.
struct Sink {
    path: PathBuf,
    file: File,
}

/// What is to be done with the process.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Wishes {
    /// Said to it.
    pub(super) write: Vec<u8>,
    /// Its part is over: nothing more is said to it.
    pub(super) done: bool,
    /// It has failed, and is to be killed.
    pub(super) kill: bool,
    /// It has just become ready.
    pub(super) ready: bool,
    /// It is to be ended politely.
    pub(super) end: bool,
}

impl Member {
    /// Makes it ready for an attempt. What cannot be is its fault; it is not to be started then.
    pub(super) fn prepare(&mut self, step: &Processes, recipe: &Recipe, index: usize) -> Result<(), String> {
        *self = Self::default();
        for (slot, file) in self.sinks.iter_mut().zip([&step.output, &step.errors]) {
            if let Some(file) = file {
                *slot = Some(Sink::new(recipe.text(file, index)?.into())?);
            }
        }
        self.readiness = step.ready.as_ref().map(|ready| Readiness::new(&ready.pattern, ready.limit));
        self.talk = match &step.dialogue {
            Some(dialogue) => Some(Talk::new(dialogue, recipe, index)?),
            None => None,
        };
        Ok(())
    }

    /// Takes note that it runs: the time for what is expected of it begins.
    pub(super) fn started(&mut self, now: Instant) -> Wishes {
        let mut wishes = Wishes::default();
        if let Some(readiness) = &mut self.readiness {
            readiness.begin(now);
        } else if self.talk.is_none() {
            (self.ready, wishes.ready) = (true, true);
        }
        self.converse(&mut wishes, |talk| talk.begin(now));
        wishes
    }

    /// Takes what it said.
    pub(super) fn said(&mut self, stream: Stream, bytes: &[u8], now: Instant) -> Wishes {
        let mut wishes = Wishes::default();
        if let Some(sink) = &mut self.sinks[stream as usize]
            && let Err(error) = sink.file.write_all(bytes)
        {
            let lost = format!("cannot write `{}`: {error}", sink.path.display());
            self.output_lost.get_or_insert(lost);
        }
        self.look_whether_ready(&mut wishes, |streams| streams[stream as usize].feed(now, bytes));
        if stream == Stream::Stdout {
            self.converse(&mut wishes, |talk| talk.session.feed(now, bytes));
        }
        wishes
    }

    /// Whether what it says on this stream goes into a file.
    pub(super) fn has_file(&self, stream: Stream) -> bool {
        self.sinks[stream as usize].is_some()
    }

    /// Returns when [`Member::handle_timeout`] is to be called next, if at all.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let readiness = self.readiness.as_ref().filter(|_| !self.ready);
        let streams = readiness.map(|readiness| &readiness.streams).into_iter().flatten();
        let sessions = streams.chain(self.talk.as_ref().map(|talk| &talk.session));
        sessions.map(Session::poll_timeout).chain([self.kill_at, self.end_at]).flatten().min()
    }

    /// Takes note of the time.
    pub(super) fn handle_timeout(&mut self, now: Instant) -> Wishes {
        let over = |at: &mut Option<Instant>| at.take_if(|at| *at <= now).is_some();
        let (kill, end) = (over(&mut self.kill_at), over(&mut self.end_at));
        let mut wishes = Wishes { kill, end, ..Wishes::default() };
        self.look_whether_ready(&mut wishes, |streams| {
            streams.iter_mut().for_each(|stream| stream.handle_timeout(now));
        });
        self.converse(&mut wishes, |talk| talk.session.handle_timeout(now));
        wishes
    }

    /// Drives the search for what makes it ready.
    fn look_whether_ready(&mut self, wishes: &mut Wishes, step: impl FnOnce(&mut [Session; 2])) {
        let Some(readiness) = self.readiness.as_mut().filter(|_| !self.ready) else { return };
        step(&mut readiness.streams);
        let results: Vec<_> = readiness.streams.iter_mut().filter_map(Session::poll_result).collect();
        if results.iter().any(SessionResult::ok) {
            (self.ready, wishes.ready) = (true, true);
        } else if !results.is_empty() {
            let (seconds, expected) = (readiness.limit.as_secs_f64(), pattern_text(&readiness.pattern));
            self.missed.get_or_insert(format!("was not ready within {seconds} s: it did not say {expected}"));
            wishes.kill = true;
        }
    }

    /// Drives the dialogue.
    fn converse(&mut self, wishes: &mut Wishes, step: impl FnOnce(&mut Talk)) {
        let Some(talk) = &mut self.talk else { return };
        step(talk);
        while let Some(response) = talk.session.poll_write() {
            wishes.write.extend(response);
        }
        let Some(SessionResult::Script(outcome)) = talk.session.poll_result() else { return };
        let outcome = talk.outcome.insert(outcome);
        if self.ready || self.missed.is_some() {
            return;
        }
        if outcome.ok() {
            (self.ready, wishes.ready, wishes.done) = (true, true, true);
        } else {
            self.missed = complaint(outcome);
            wishes.kill = true;
        }
    }

    /// Takes note that its process has ended, and judges the attempt. `asked` says whether it was to end, and why.
    pub(super) fn ended(
        &mut self,
        step: &Processes,
        recipe: &Recipe,
        finished: &Finished,
        (asked, delivery): (EndedBecause, Option<Delivery>),
        now: Instant,
    ) -> HostResult {
        self.id = None;
        self.sinks = [None, None];
        self.miss_what_did_not_come(step, now);
        let line_is_done = recipe.is_line() && step.dialogue.is_some() && self.ready && self.missed.is_none();
        Evidence::new(finished, if recipe.is_remote() { Route::Ssh } else { Route::Direct })
            .accepting(&step.exit_codes)
            // A serial line has no end of its own: it is ended when its dialogue is over.
            .ended(if line_is_done { EndedBecause::PartOver } else { asked })
            .expectation_missed(self.missed.take())
            .delivery(delivery)
            .output_lost(self.output_lost.take())
            .judge()
    }

    /// Enters as missed what was expected until now and cannot come any more.
    fn miss_what_did_not_come(&mut self, step: &Processes, now: Instant) {
        if let Some(talk) = self.talk.as_mut().filter(|talk| talk.outcome.is_none()) {
            // With one that could not be started, it has not begun.
            talk.begin(now);
            talk.session.handle_eof(now);
            match talk.session.poll_result() {
                Some(SessionResult::Script(outcome)) if outcome.ok() => self.ready = true,
                Some(SessionResult::Script(outcome)) if !self.ending => {
                    self.missed = self.missed.take().or_else(|| complaint(&outcome));
                }
                _ => {}
            }
        }
        if !self.ready
            && !self.ending
            && let Some(ready) = &step.ready
        {
            let expected = pattern_text(&ready.pattern);
            self.missed.get_or_insert(format!("ended before it was ready: it did not say {expected}"));
        }
    }
}

/// Says what was wrong, if anything was.
fn complaint(outcome: &ScriptOutcome) -> Option<String> {
    match outcome {
        ScriptOutcome::Failed(found) => Some(format!("was refused: it said \"{}\"", found.matched().escape_ascii())),
        ScriptOutcome::NotFound(missed) => Some(missed.to_string()),
        ScriptOutcome::Succeeded(_) => None,
    }
}

fn pattern_text(pattern: &Expect) -> String {
    pattern.patterns().map(ToString::to_string).collect::<Vec<_>>().join(" or ")
}

impl Readiness {
    fn new(pattern: &Expect, limit: Duration) -> Self {
        Self { pattern: pattern.clone(), limit, streams: Default::default() }
    }

    fn begin(&mut self, now: Instant) {
        for stream in &mut self.streams {
            stream.expect(now, &self.pattern, Some(self.limit));
        }
    }
}

impl Talk {
    fn new(dialogue: &Dialogue, recipe: &Recipe, index: usize) -> Result<Self, String> {
        let mut script = Script::new();
        let last = dialogue.lines.iter().rposition(|line| line.expect.is_some() && line.turn == Turn::Next);
        for (number, line) in dialogue.lines.iter().enumerate() {
            let response = line.send.as_ref().map(|send| said(send, recipe, index)).transpose()?;
            let answers = response.is_some();
            let response = response.unwrap_or_default();
            script = match (line.turn, line.expect.as_ref().map(Pattern::regex)) {
                (_, None) => script.send(response),
                (Turn::Refused, Some(pattern)) => script.fail_on(pattern),
                // Nothing is sent after what comes last.
                (Turn::Next, Some(pattern)) if !answers && Some(number) == last => script.succeed_on(pattern),
                (Turn::Next, Some(pattern)) => script.respond(pattern, response),
                (Turn::Optional, Some(pattern)) => script.optional(pattern, response),
                (Turn::Whenever, Some(pattern)) => script.repeat(pattern, response),
            };
            script = script.pause(line.delay);
        }
        Ok(Self { script, limit: dialogue.limit, session: Session::default(), outcome: None, begun: false })
    }

    fn begin(&mut self, now: Instant) {
        if !std::mem::replace(&mut self.begun, true) {
            let begun = self.session.run_script(now, &self.script, Some(self.limit));
            begun.expect("its patterns were compiled when the plan was read");
        }
    }
}

fn said(send: &Send, recipe: &Recipe, index: usize) -> Result<String, String> {
    match send {
        Send::Line(text) => Ok(recipe.text(text, index)? + recipe.enter()),
        Send::Raw(text) => recipe.text(text, index),
    }
}

impl Sink {
    /// Makes the file, and the directories that it is in.
    fn new(path: PathBuf) -> Result<Self, String> {
        let failed = |error| format!("cannot write its output into `{}`: {error}", path.display());
        if let Some(parent) = path.parent().filter(|parent| *parent != Path::new("")) {
            std::fs::create_dir_all(parent).map_err(failed)?;
        }
        // Opening a named pipe without a reader would wait for ever.
        let file = File::options().write(true).create(true).truncate(true).custom_flags(NON_BLOCKING).open(&path);
        let file = file.map_err(failed)?;
        let kind = file.metadata().map_err(failed)?.file_type();
        if kind.is_fifo() || kind.is_socket() {
            return Err(failed(std::io::Error::other("it is a named pipe or a socket, not a file")));
        }
        Ok(Self { path, file })
    }
}
