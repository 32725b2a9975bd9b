//! Handlers made of closures: the beginning and the end of a process, what it says in pieces or in lines, and copies of
//! it. Each serves one process or any number of them: [`Process::on`](crate::Process::on) adds a handler to one process,
//! [`EngineHandle::attach`](crate::engine::EngineHandle::attach) and
//! [`Process::heard_by`](crate::Process::heard_by) share one among many.
//!
//! # What is guaranteed
//! 1. Everything runs on the engine's thread, one handler at a time: no locks are needed, and while one runs nothing else
//!    does. One that takes more than 100 ms is named in the log.
//! 2. For one process: `started` first (unless it could not be started), then what it says, stream by stream in the order
//!    of writing, `ended` last and exactly once; `reset` after that. Between stdout and stderr there is no order.
//! 3. Handlers of one process hear in the order in which they were added, all of one event before any of the next.
//!    Whoever waits for the process goes on only after all of them have heard its end.
//! 4. A panic is caught and logged, makes the process "not ok", and keeps nobody else from hearing.

use std::collections::HashMap;
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;

use crate::event::{Event, Notification, Request, Stream};
use crate::handler::{Context, Handler};
use crate::id::ProcessId;
use crate::lines::{Line, Lines};
use crate::outcome::Finished;

/// Hears of the beginning and the end of processes. Everything is left out unless wanted.
pub trait Lifecycle: Send {
    /// It runs, with this process id.
    fn started(&mut self, _context: &mut Context<'_>, _id: ProcessId, _pid: u32) {}
    /// It is over.
    fn ended(&mut self, _context: &mut Context<'_>, _id: ProcessId, _finished: &Finished) {}
    /// It was reset, and will be started under another name if at all.
    fn reset(&mut self, _context: &mut Context<'_>, _id: ProcessId) {}
}

/// Makes a handler of a [`Lifecycle`].
#[derive(Debug)]
pub struct LifecycleHandler<L>(pub L);

impl<L: Lifecycle> Handler for LifecycleHandler<L> {
    fn on_event(&mut self, context: &mut Context<'_>, event: &Event) {
        match event {
            Event::Started { id, pid } => self.0.started(context, *id, *pid),
            Event::Ended { id, finished } => self.0.ended(context, *id, finished),
            _ => {}
        }
    }

    fn on_notification(&mut self, context: &mut Context<'_>, notice: &Notification) {
        if let Notification::Reset { id } = notice {
            self.0.reset(context, *id);
        }
    }
}

/// Calls back with what processes say, piece by piece as it arrives: never empty, and not cut at any particular place.
pub struct ChunkHandler<F>(pub F);

impl<F> fmt::Debug for ChunkHandler<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ChunkHandler")
    }
}

impl<F: FnMut(&mut Context<'_>, ProcessId, Stream, &[u8]) + Send> Handler for ChunkHandler<F> {
    fn on_event(&mut self, context: &mut Context<'_>, event: &Event) {
        if let Event::Output { id, stream, bytes } = event {
            (self.0)(context, *id, *stream, bytes);
        }
    }
}

/// Calls back with what processes say, line by line, by the rules of [`crate::lines`]: without the line ending, the last
/// line also if it has none, lines over the bound in pieces.
///
/// ```
/// use std::sync::{Arc, Mutex};
/// use phalanx_process::{Process, event::Stream, listeners::LineHandler};
///
/// let seen = Arc::new(Mutex::new(Vec::new()));
/// let lines = Arc::clone(&seen);
/// let handler = LineHandler::new(move |_, _, stream, line| {
///     lines.lock().unwrap().push((stream, String::from_utf8_lossy(line.bytes).into_owned()));
/// });
/// let process = Process::shell("printf 'one\\r\\ntwo'").on(handler).run();
/// assert!(process.ok());
/// assert_eq!(*seen.lock().unwrap(), [(Stream::Stdout, "one".to_owned()), (Stream::Stdout, "two".to_owned())]);
/// ```
pub struct LineHandler<F> {
    callback: F,
    bound: usize,
    streams: HashMap<(ProcessId, Stream), Lines>,
}

impl<F> fmt::Debug for LineHandler<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LineHandler({} streams)", self.streams.len())
    }
}

impl<F: FnMut(&mut Context<'_>, ProcessId, Stream, Line<'_>) + Send> LineHandler<F> {
    /// Cuts lines that are longer than [`Lines::BOUND`].
    pub fn new(callback: F) -> Self {
        Self::with_bound(Lines::BOUND, callback)
    }

    /// Cuts lines that are longer than `bound` bytes, at least 1.
    pub fn with_bound(bound: usize, callback: F) -> Self {
        Self { callback, bound, streams: HashMap::new() }
    }

    fn end(&mut self, context: &mut Context<'_>, id: ProcessId, stream: Stream) {
        let Some(mut lines) = self.streams.remove(&(id, stream)) else { return };
        lines.end_of_file().for_each(|line| (self.callback)(context, id, stream, line));
    }
}

impl<F: FnMut(&mut Context<'_>, ProcessId, Stream, Line<'_>) + Send> Handler for LineHandler<F> {
    fn on_event(&mut self, context: &mut Context<'_>, event: &Event) {
        match event {
            Event::Output { id, stream, bytes } => {
                let lines = self.streams.entry((*id, *stream)).or_insert_with(|| Lines::with_bound(self.bound));
                lines.feed(bytes).for_each(|line| (self.callback)(context, *id, *stream, line));
            }
            Event::Ended { id, .. } => {
                [Stream::Stdout, Stream::Stderr].into_iter().for_each(|stream| self.end(context, *id, stream));
            }
            _ => {}
        }
    }

    fn on_notification(&mut self, context: &mut Context<'_>, notice: &Notification) {
        if let Notification::StreamEnded { id, stream } = notice {
            self.end(context, *id, *stream);
        }
    }
}

/// Where a copy of what a process says goes, besides wherever it goes anyway.
pub enum Sink {
    /// A file, made when the process starts and visible while it runs. Several copies to the same path keep everything.
    File {
        /// Its path.
        path: PathBuf,
        /// At its end, rather than instead of what it held.
        append: bool,
    },
    /// A descriptor, which is left open.
    Descriptor(Arc<OwnedFd>),
    /// Anything that takes bytes.
    Writer(Box<dyn Write + Send>),
}

impl fmt::Debug for Sink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, .. } => write!(f, "{}", path.display()),
            Self::Descriptor(fd) => write!(f, "{fd:?}"),
            Self::Writer(_) => f.write_str("a writer"),
        }
    }
}

/// Copies one stream of a process. Writing happens on the engine's thread: a sink that blocks (a full pipe) makes
/// everybody wait. What cannot be written is logged once and makes the process "not ok".
#[derive(Debug)]
pub struct CopyHandler {
    stream: Stream,
    sink: Sink,
    file: Option<File>,
    failed: bool,
}

impl CopyHandler {
    /// Copies `stream` to `sink`.
    #[must_use]
    pub fn new(stream: Stream, sink: Sink) -> Self {
        Self { stream, sink, file: None, failed: false }
    }

    fn open(&mut self) -> io::Result<()> {
        self.failed = false;
        self.file = match &self.sink {
            Sink::File { path, append } => {
                if !append {
                    File::create(path)?;
                }
                // Appending in either case, so that two copies to one file do not overwrite each other.
                Some(OpenOptions::new().append(true).create(true).open(path)?)
            }
            Sink::Descriptor(fd) => Some(File::from(fd.try_clone()?)),
            Sink::Writer(_) => None,
        };
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match (&mut self.sink, &mut self.file) {
            (Sink::Writer(writer), _) => writer.write_all(bytes).and_then(|()| writer.flush()),
            (_, Some(file)) => file.write_all(bytes),
            (_, None) => self.open().and_then(|()| self.write(bytes)),
        }
    }

    fn attempt(&mut self, context: &mut Context<'_>, id: ProcessId, step: impl FnOnce(&mut Self) -> io::Result<()>) {
        if self.failed {
            return;
        }
        if let Err(error) = step(self) {
            self.failed = true;
            let reason = format!("cannot copy its output to {:?}: {error}", self.sink);
            log::error!("{id}: {reason}");
            context.request(id, Request::HandlerFailed(reason.into()));
        }
    }
}

impl Handler for CopyHandler {
    fn on_event(&mut self, context: &mut Context<'_>, event: &Event) {
        match event {
            Event::Started { id, .. } => {
                self.failed = false;
                self.attempt(context, *id, Self::open);
            }
            Event::Output { id, stream, bytes } if *stream == self.stream => {
                self.attempt(context, *id, |copy| copy.write(bytes));
            }
            Event::Ended { .. } => self.file = None,
            _ => {}
        }
    }
}
