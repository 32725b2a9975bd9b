//! One process of a step under way: what is expected of it and said to it, where its output goes, and whether all was
//! well in the end. Reads no clock and starts nothing: what is to be done comes back as data.

use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use phalanx_process::event::Stream;
use phalanx_process::expect::{Dialogue, Expect, IDLE_TIMEOUT, Matcher, Pattern, Script, ScriptOutcome};
use phalanx_process::id::ProcessId;
use phalanx_process::outcome::Finished;
use phalanx_process::result::{Delivery, EndedBecause, Evidence, HostResult, Route};
use phalanx_process::spec::NON_BLOCKING;

use super::recipe::Recipe;
use crate::model::{Processes, Send, Turn};

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
    /// When it is killed, if it has not ended by then.
    pub(super) kill_at: Option<Instant>,
    /// The first thing that was expected of it and did not come, in a sentence that follows its name.
    missed: Option<String>,
    /// The first error of writing its output into a file.
    output_lost: Option<String>,
    watch: Option<Watch>,
    talk: Option<Talk>,
    sinks: [Option<Sink>; 2],
}

/// It is to say something.
struct Watch {
    streams: [Matcher; 2],
    until: Option<Instant>,
    quiet_at: Option<Instant>,
    limit: Duration,
    expected: String,
}

/// A conversation.
struct Talk {
    dialogue: Dialogue,
    limit: Duration,
    until: Option<Instant>,
    quiet_at: Option<Instant>,
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
        self.watch = step.ready.as_ref().map(|ready| Watch::new(&ready.pattern, ready.limit));
        self.talk = match &step.dialogue {
            Some(dialogue) => Some(Talk::new(dialogue, recipe, index)?),
            None => None,
        };
        Ok(())
    }

    /// What is said at once.
    pub(super) fn started(&mut self, step: &Processes, recipe: &Recipe, index: usize, now: Instant) -> Wishes {
        let mut wishes = Wishes::default();
        if let Some(dialogue) = &step.dialogue {
            let first = dialogue.lines.iter().take_while(|line| line.expect.is_none());
            for send in first.filter_map(|line| line.send.as_ref()) {
                wishes.write.extend(said(send, recipe, index).unwrap_or_default().into_bytes());
            }
        }
        if let Some(watch) = &mut self.watch {
            watch.until = now.checked_add(watch.limit);
        } else if self.talk.is_none() {
            (self.ready, wishes.ready) = (true, true);
        }
        if let Some(talk) = &mut self.talk {
            talk.until = now.checked_add(talk.limit);
        }
        self.look_at_talk(now, &mut wishes);
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
        if let Some(watch) = self.watch.as_mut().filter(|_| !self.ready) {
            let matcher = &mut watch.streams[stream as usize];
            let found = matcher.feed(bytes).is_some_and(|verdict| verdict.is_ok());
            watch.quiet_at = (!found && matcher.is_pending()).then(|| now + IDLE_TIMEOUT);
            (self.ready, wishes.ready) = (found, found);
        }
        if let Some(talk) = self.talk.as_mut().filter(|_| stream == Stream::Stdout) {
            talk.dialogue.feed(bytes);
            self.look_at_talk(now, &mut wishes);
        }
        wishes
    }

    /// Whether what it says on this stream goes into a file.
    pub(super) fn has_file(&self, stream: Stream) -> bool {
        self.sinks[stream as usize].is_some()
    }

    /// When it should be looked at again.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let watch = self.watch.as_ref().filter(|_| !self.ready);
        let talk = self.talk.as_ref().filter(|talk| talk.dialogue.outcome().is_none());
        let ready = watch.map(|watch| [watch.until, watch.quiet_at]);
        let reply = talk.map(|talk| [talk.until, talk.quiet_at]);
        ready.into_iter().chain(reply).flatten().chain([self.kill_at, self.end_at]).flatten().min()
    }

    /// Takes note that time has passed.
    pub(super) fn look_at_the_time(&mut self, now: Instant) -> Wishes {
        let mut wishes = Wishes::default();
        let over = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        if over(self.kill_at) {
            self.kill_at = None;
            wishes.kill = true;
        }
        if over(self.end_at) {
            self.end_at = None;
            wishes.end = true;
        }
        if let Some(watch) = self.watch.as_mut().filter(|_| !self.ready) {
            if watch.quiet_at.take_if(|at| *at <= now).is_some() {
                let found =
                    watch.streams.iter_mut().any(|stream| stream.handle_idle().is_some_and(|verdict| verdict.is_ok()));
                (self.ready, wishes.ready) = (found, found);
            }
            if !self.ready && over(watch.until) {
                let Watch { limit, expected, .. } = watch;
                let seconds = limit.as_secs_f64();
                let late = format!("was not ready within {seconds} s: it did not say {expected}");
                self.missed.get_or_insert(late);
                watch.until = None;
                wishes.kill = true;
            }
        }
        if let Some(talk) = self.talk.as_mut().filter(|talk| talk.dialogue.outcome().is_none()) {
            if talk.quiet_at.take_if(|at| *at <= now).is_some() {
                talk.dialogue.handle_idle();
            } else if over(talk.until) {
                talk.dialogue.timeout();
            }
            self.look_at_talk(now, &mut wishes);
        }
        wishes
    }

    fn look_at_talk(&mut self, now: Instant, wishes: &mut Wishes) {
        let Some(talk) = &mut self.talk else { return };
        while let Some(answer) = talk.dialogue.poll_write() {
            wishes.write.extend(answer);
            talk.until = now.checked_add(talk.limit);
        }
        talk.quiet_at = talk.dialogue.is_pending().then(|| now + IDLE_TIMEOUT);
        if self.ready || self.missed.is_some() {
            return;
        }
        match talk.dialogue.outcome() {
            None => {}
            Some(ScriptOutcome::Succeeded(_)) => {
                (self.ready, wishes.ready, wishes.done) = (true, true, true);
            }
            Some(outcome) => {
                self.missed = Some(complaint(outcome));
                wishes.kill = true;
            }
        }
    }

    /// Takes note that its process has ended, and judges the attempt. `asked` says whether it was to end, and why.
    pub(super) fn ended(
        &mut self,
        step: &Processes,
        recipe: &Recipe,
        finished: &Finished,
        (asked, delivery): (EndedBecause, Option<Delivery>),
    ) -> HostResult {
        self.id = None;
        self.sinks = [None, None];
        self.miss_what_did_not_come(step);
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
    fn miss_what_did_not_come(&mut self, step: &Processes) {
        if let Some(talk) = self.talk.as_mut().filter(|talk| talk.dialogue.outcome().is_none()) {
            talk.dialogue.end_of_file();
            match talk.dialogue.outcome() {
                Some(ScriptOutcome::Succeeded(_)) => self.ready = true,
                Some(outcome) if !self.ending => drop(self.missed.get_or_insert(complaint(outcome))),
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

fn complaint(outcome: &ScriptOutcome) -> String {
    match outcome {
        ScriptOutcome::Failed(found) => format!("was refused: it said \"{}\"", found.matched().escape_ascii()),
        ScriptOutcome::NotFound(missed) => missed.to_string(),
        ScriptOutcome::Succeeded(_) => unreachable!("that is no complaint"),
    }
}

fn pattern_text(pattern: &Expect) -> String {
    pattern.patterns().map(ToString::to_string).collect::<Vec<_>>().join(" or ")
}

impl Watch {
    fn new(pattern: &Expect, limit: Duration) -> Self {
        let matcher = || {
            let mut matcher = Matcher::default();
            // Nothing was received yet, so nothing can be found yet.
            let _ = matcher.expect(pattern);
            matcher
        };
        let expected = pattern_text(pattern);
        Self { streams: [matcher(), matcher()], until: None, quiet_at: None, limit, expected }
    }
}

impl Talk {
    fn new(dialogue: &crate::model::Dialogue, recipe: &Recipe, index: usize) -> Result<Self, String> {
        let mut script = Script::new();
        let lines: Vec<_> = dialogue.lines.iter().filter(|line| line.expect.is_some()).collect();
        let last = lines.iter().rposition(|line| line.turn == Turn::Next);
        for (number, line) in lines.iter().enumerate() {
            let pattern = Pattern::regex(line.expect.clone().unwrap_or_default());
            let answer = line.send.as_ref().map(|send| said(send, recipe, index)).transpose()?;
            script = match (line.turn, answer) {
                (Turn::Refused, _) => script.fail_on(pattern),
                (Turn::Whenever, answer) => script.repeat(pattern, answer.unwrap_or_default()),
                (Turn::Optional, answer) => script.optional(pattern, answer.unwrap_or_default()),
                // Nothing is answered to what comes last.
                (Turn::Next, None) if Some(number) == last => script.succeed_on(pattern),
                (Turn::Next, answer) => script.respond(pattern, answer.unwrap_or_default()),
            };
        }
        let limit = dialogue.limit;
        let dialogue = Dialogue::new(&script).map_err(|error| error.to_string())?;
        Ok(Self { dialogue, limit, until: None, quiet_at: None })
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
        // Opening a named pipe that nobody reads would wait for ever.
        let file = File::options().write(true).create(true).truncate(true).custom_flags(NON_BLOCKING).open(&path);
        let file = file.map_err(failed)?;
        let kind = file.metadata().map_err(failed)?.file_type();
        if kind.is_fifo() || kind.is_socket() {
            return Err(failed(std::io::Error::other("it is a named pipe or a socket, not a file")));
        }
        Ok(Self { path, file })
    }
}
