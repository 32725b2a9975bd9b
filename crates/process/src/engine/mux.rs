//! Performs the effects of the table on commands that run over ssh masters, and says what it saw.
//!
//! Such a command is one unix socket and up to three pipes, and no process here:
//!
//! | of a child | of a session |
//! |---|---|
//! | it is started | the master is asked, the other ends of the pipes are passed; it runs once the session is open |
//! | its streams | the pipes |
//! | a signal that ends | the connection to the master is closed, and with it the session |
//! | its exit status | what the master says, told when the master has written all output and closes the connection |
//!
//! A session that ends without a status leaves the question whether a signal ended the command or the connection is lost.
//! The protocol has no word for either, so the master is asked whether it lives: it ends when its connection does.
//!
//! ```text
//!             queue full        has room             opened              no status told
//!  Spawn ──▶ Waiting ─────────▶ Opening ──────────▶ Running ───────────────────────────▶ Checking
//!               └── timeout ──────┴── refused, timeout ─▶ SpawnFailed     │ status             │ alive: a signal
//!                                                                         └──▶ Over ◀──────────┘ else: lost
//! ```

mod control;
mod failure;

use std::collections::{HashMap, VecDeque};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use phalanx_core::pipe::{self, ReadOutcome};
use phalanx_core::spawn::Stdio;
use phalanx_core::{ExitStatus, Ready, Signal};
use phalanx_proto::mux::{Descriptor, Event, Request};
use phalanx_proto::timers::Timers;

use self::control::{ConnectFailed, Control};
use self::failure::Failure;
use super::driver::{Driver, DriverCtx};
use super::serial::ends;
use super::stdin::{Flushed, StdinPipe};
use super::stdio::{ChildStdio, OpenFailed, ParentEnd, ParentStdio};
use super::tokens::{Source, from_key};
use crate::event::{Effect, Input, NO_PROCESS, Stream};
use crate::id::ProcessId;
use crate::outcome::StartError;
use crate::spec::{Command, Launch};

/// One buffer for all reads: as large as a pipe.
const BUFFER: usize = 64 * 1024;
/// How many buffers one stream may fill in one turn.
const READS_PER_TURN: usize = 4;
/// How many buffers are read of a stream whose session has ended: more than any pipe holds by default.
const READS_AFTER_EXIT: usize = 17;
/// How long until a master whose queue of connections is full is tried again. Its queue has 64 places, and it takes all of
/// them in one turn of its own.
const CONNECT_AGAIN_AFTER: Duration = Duration::from_millis(2);
/// How long until a start is tried again for which descriptors were missing.
const RETRY_AFTER: Duration = Duration::from_millis(50);
/// How long a master may take to say that it lives.
const CHECK_TIMEOUT: Duration = Duration::from_secs(5);

/// Every session of one engine.
#[derive(Default)]
pub(super) struct MuxDriver {
    live: HashMap<ProcessId, Session>,
    /// Streams that may have more to give, or to take, than they were allowed so far.
    ready: VecDeque<(ProcessId, Source)>,
    deadlines: Timers<ProcessId>,
    buffer: Vec<u8>,
}

struct Session {
    socket: PathBuf,
    name: String,
    stage: Stage,
    stdin: Option<StdinPipe>,
    stdout: Option<OwnedFd>,
    stderr: Option<OwnedFd>,
    /// When what it waits for has taken too long.
    give_up_at: Instant,
}

enum Stage {
    /// The master has no room for a connection.
    Waiting { request: Request, stdio: ChildStdio },
    /// The master has not answered; `stdio` is there until all of it is passed.
    Opening { control: Control, stdio: Option<ChildStdio> },
    /// The session is open.
    Running { control: Control, status: Option<u32> },
    /// The session has ended without a status: does that master still live? No connection while there is no room for one.
    Checking { control: Option<Control>, master: i32 },
    /// Its end was told.
    Over,
}

impl Driver for MuxDriver {
    fn perform(&mut self, effect: Effect, launch: Option<&Launch>, ctx: &mut DriverCtx<'_>) {
        match effect {
            Effect::Spawn(id) => self.spawn(id, launch.expect("a spawn comes with its launch"), ctx),
            Effect::Cancel(id) => self.cancel(id, ctx),
            Effect::Signal { id, signal, .. } => self.signal(id, signal, ctx),
            Effect::Write(id, bytes) => {
                let Some(session) = self.live.get_mut(&id) else { return };
                match &mut session.stdin {
                    Some(stdin) => stdin.queue.push_back(bytes),
                    None => return ctx.input(id, Input::WriteFailed),
                }
                self.flush(id, ctx);
            }
            Effect::CloseStdin(id) => {
                let Some(session) = self.live.get_mut(&id) else { return };
                if let Some(stdin) = &mut session.stdin {
                    stdin.close(None);
                    self.flush(id, ctx);
                }
            }
            Effect::Release(id) => drop(self.live.remove(&id)),
        }
    }

    fn holds(&self, id: ProcessId) -> bool {
        self.live.contains_key(&id)
    }

    fn handle_readiness(&mut self, ready: Ready, ctx: &mut DriverCtx<'_>) {
        let (id, source) = from_key(ready.token);
        match source {
            Source::Exit => self.converse(id, ctx),
            _ => self.ready.push_back((id, source)),
        }
    }

    fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    fn advance(&mut self, ctx: &mut DriverCtx<'_>) {
        for _ in 0..self.ready.len() {
            let Some((id, source)) = self.ready.pop_front() else { return };
            let more = match source {
                Source::Stdin => self.flush(id, ctx),
                _ => self.read(id, source, READS_PER_TURN, ctx),
            };
            if more {
                self.ready.push_back((id, source));
            }
        }
    }

    fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.next()
    }

    fn handle_timeout(&mut self, ctx: &mut DriverCtx<'_>) {
        while let Some(id) = self.deadlines.expired(ctx.now) {
            self.check_deadline(id, ctx);
        }
    }
}

impl MuxDriver {
    fn spawn(&mut self, id: ProcessId, launch: &Launch, ctx: &mut DriverCtx<'_>) {
        let Command::MuxSession(wanted) = &launch.command else { unreachable!("only a session has this driver") };
        let stdio = match failure::check(launch).and_then(|()| Ok(ChildStdio::open(launch)?)) {
            Ok(stdio) => stdio,
            Err(failure) => return tell(id, &failure, &wanted.socket, launch.name(), ctx),
        };
        let session = Session {
            socket: wanted.socket.clone(),
            name: launch.name(),
            stage: Stage::Waiting { request: Request::Session(wanted.request.clone()), stdio },
            stdin: None,
            stdout: None,
            stderr: None,
            give_up_at: ctx.now + wanted.open_timeout,
        };
        self.deadlines.insert(session.give_up_at, id);
        self.live.insert(id, session);
        self.connect(id, ctx);
    }

    /// Connects a session that waits for that, or asks whether the master of one lives.
    fn connect(&mut self, id: ProcessId, ctx: &mut DriverCtx<'_>) {
        let Some(session) = self.live.get_mut(&id) else { return };
        let alive_check = Request::AliveCheck;
        let request = match &session.stage {
            Stage::Waiting { request, .. } => request,
            Stage::Checking { control: None, .. } => &alive_check,
            _ => return,
        };
        let control = match Control::open(&session.socket, request, id, ctx.reactor) {
            Ok(Some(control)) => control,
            Ok(None) => return self.deadlines.insert(ctx.now + CONNECT_AGAIN_AFTER, id),
            Err(failed) => {
                let failure = Failure::from(failed);
                let is_checking = matches!(session.stage, Stage::Checking { .. });
                let failure = if is_checking && !failure.shortage { Failure::ended() } else { failure };
                return self.fail(id, failure, ctx);
            }
        };
        session.stage = match std::mem::replace(&mut session.stage, Stage::Over) {
            Stage::Waiting { stdio, .. } => Stage::Opening { control, stdio: Some(stdio) },
            Stage::Checking { master, .. } => Stage::Checking { control: Some(control), master },
            other => other,
        };
        self.converse(id, ctx);
    }

    /// Sends and receives what can be, and does what follows from it.
    fn converse(&mut self, id: ProcessId, ctx: &mut DriverCtx<'_>) {
        let Some(session) = self.live.get_mut(&id) else { return };
        if let Err(error) = session.send(id, ctx) {
            return self.fail(id, OpenFailed::Pipe(error).into(), ctx);
        }
        self.buffer.resize(BUFFER, 0);
        let (Stage::Opening { control, .. }
        | Stage::Running { control, .. }
        | Stage::Checking { control: Some(control), .. }) = &mut session.stage
        else {
            return;
        };
        control.receive(&mut self.buffer);
        while let Some(event) = self.live.get_mut(&id).and_then(Session::next_event) {
            self.handle(id, event, ctx);
        }
    }

    fn handle(&mut self, id: ProcessId, event: Event, ctx: &mut DriverCtx<'_>) {
        let Some(session) = self.live.get_mut(&id) else { return };
        match (&mut session.stage, event) {
            (Stage::Opening { .. }, Event::SessionOpened { .. }) => self.opened(id, ctx),
            (Stage::Opening { .. }, Event::Refused { refusal, .. }) => self.fail(id, Failure::refused(&refusal), ctx),
            (Stage::Running { status, .. }, Event::Exited { status: told, .. }) => *status = Some(told),
            (Stage::Running { status: Some(status), .. }, Event::Closed { .. }) => {
                let status = ExitStatus::Exited(status.cast_signed());
                self.end(id, Input::Exited(status), ctx);
            }
            (Stage::Running { .. }, Event::Closed { result: Ok(()) }) => self.check(id, ctx),
            (Stage::Checking { master, .. }, Event::Alive { pid, .. }) if pid.cast_signed() == *master => {
                self.end(id, Input::Exited(ExitStatus::UnknownSignal), ctx);
            }
            (Stage::Checking { .. }, Event::Alive { .. } | Event::Refused { .. }) => {
                self.fail(id, Failure::is_another(), ctx);
            }
            (Stage::Checking { .. }, Event::Closed { .. }) => self.fail(id, Failure::ended(), ctx),
            (_, Event::Closed { result: Ok(()) }) => self.fail(id, Failure::hung_up(), ctx),
            (_, Event::Closed { result: Err(error) }) => self.fail(id, Failure::protocol(error), ctx),
            _ => {}
        }
    }

    fn opened(&mut self, id: ProcessId, ctx: &mut DriverCtx<'_>) {
        let Some(session) = self.live.get_mut(&id) else { return };
        session.stage = match std::mem::replace(&mut session.stage, Stage::Over) {
            // A master that opens a session without the descriptors is none.
            Stage::Opening { stdio: Some(_), .. } => return self.fail(id, Failure::hung_up(), ctx),
            Stage::Opening { control, stdio: None } => Stage::Running { control, status: None },
            other => other,
        };
        ctx.input(id, Input::Spawned { pid: NO_PROCESS });
        for (stream, source, end) in
            [(Stream::Stdout, Source::Stdout, &session.stdout), (Stream::Stderr, Source::Stderr, &session.stderr)]
        {
            match end {
                // What came in before it could be told.
                Some(_) => self.ready.push_back((id, source)),
                None => ctx.input(id, Input::Eof(stream)),
            }
        }
    }

    /// Asks whether the master of a session that ended without a status still lives.
    fn check(&mut self, id: ProcessId, ctx: &mut DriverCtx<'_>) {
        let Some(session) = self.live.get_mut(&id) else { return };
        let Stage::Running { control, .. } = &session.stage else { return };
        session.stage = Stage::Checking { control: None, master: control.pid() };
        session.give_up_at = ctx.now + CHECK_TIMEOUT;
        self.deadlines.insert(session.give_up_at, id);
        self.connect(id, ctx);
    }

    /// The session cannot be opened, or what became of it cannot be known.
    fn fail(&mut self, id: ProcessId, failure: Failure, ctx: &mut DriverCtx<'_>) {
        let Some(session) = self.live.get(&id) else { return };
        match &session.stage {
            Stage::Waiting { .. } | Stage::Opening { .. } => {
                let Some(Session { socket, name, .. }) = self.live.remove(&id) else { return };
                tell(id, &failure, &socket, name, ctx);
            }
            Stage::Checking { .. } if failure.shortage => self.deadlines.insert(ctx.now + RETRY_AFTER, id),
            Stage::Running { .. } | Stage::Checking { .. } => {
                let reason: Arc<str> = failure.reason(&session.socket).into();
                self.end(id, Input::Lost(reason), ctx);
            }
            Stage::Over => {}
        }
    }

    fn cancel(&mut self, id: ProcessId, ctx: &mut DriverCtx<'_>) {
        let is_opening = |session: &Session| matches!(session.stage, Stage::Waiting { .. } | Stage::Opening { .. });
        if self.live.get(&id).is_some_and(is_opening) {
            self.live.remove(&id);
            ctx.input(id, Input::Cancelled);
        }
    }

    fn signal(&mut self, id: ProcessId, signal: Signal, ctx: &mut DriverCtx<'_>) {
        let is_open = |session: &Session| matches!(session.stage, Stage::Running { .. } | Stage::Checking { .. });
        if ends(signal) && self.live.get(&id).is_some_and(is_open) {
            self.end(id, Input::Exited(ExitStatus::Signaled { signal, core_dumped: false }), ctx);
        }
    }

    /// Tells the end. What the master has written is read; what it did not read by now it will never read.
    fn end(&mut self, id: ProcessId, input: Input<'_>, ctx: &mut DriverCtx<'_>) {
        let Some(session) = self.live.get_mut(&id) else { return };
        session.stage = Stage::Over;
        let stdin = session.stdin.take();
        for source in [Source::Stdout, Source::Stderr] {
            self.read(id, source, READS_AFTER_EXIT, ctx);
        }
        if stdin.is_some_and(|stdin| !stdin.queue.is_empty()) {
            ctx.input(id, Input::WriteFailed);
        }
        ctx.input(id, input);
    }

    fn check_deadline(&mut self, id: ProcessId, ctx: &mut DriverCtx<'_>) {
        let Some(session) = self.live.get(&id) else { return };
        let waits = match &session.stage {
            Stage::Waiting { .. } | Stage::Opening { .. } | Stage::Checking { .. } => true,
            Stage::Running { .. } | Stage::Over => false,
        };
        if waits && session.give_up_at <= ctx.now {
            self.fail(id, Failure::silent(), ctx);
        } else if waits {
            self.connect(id, ctx);
        }
    }

    /// Reads at most `reads` buffers; whether there may be more.
    fn read(&mut self, id: ProcessId, source: Source, reads: usize, ctx: &mut DriverCtx<'_>) -> bool {
        let Some(session) = self.live.get_mut(&id) else { return false };
        let (stream, end) = match source {
            Source::Stdout => (Stream::Stdout, &mut session.stdout),
            _ => (Stream::Stderr, &mut session.stderr),
        };
        if matches!(session.stage, Stage::Waiting { .. } | Stage::Opening { .. }) {
            return false;
        }
        self.buffer.resize(BUFFER, 0);
        for _ in 0..reads {
            let Some(fd) = end.as_ref() else { return false };
            match pipe::read(fd, &mut self.buffer) {
                Ok(ReadOutcome::Bytes(count)) => ctx.input(id, Input::Bytes(stream, &self.buffer[..count])),
                Ok(ReadOutcome::WouldBlock) => return false,
                Ok(ReadOutcome::EndOfFile) | Err(_) => {
                    *end = None;
                    ctx.input(id, Input::Eof(stream));
                    return false;
                }
            }
        }
        true
    }

    /// Writes what its stdin takes; whether it would take more at once.
    fn flush(&mut self, id: ProcessId, ctx: &mut DriverCtx<'_>) -> bool {
        let Some(session) = self.live.get_mut(&id) else { return false };
        let Some(stdin) = &mut session.stdin else { return false };
        let flushed = stdin.flush(None);
        if let Err(error) = stdin.watch(id, &flushed, None, ctx.reactor) {
            log::error!("cannot watch the stdin of {id}: {error}");
        }
        match flushed {
            Flushed::Blocked => false,
            Flushed::More => true,
            Flushed::Drained { something } => {
                if stdin.close_when_empty {
                    session.stdin = None;
                }
                if something {
                    ctx.input(id, Input::StdinDrained);
                }
                false
            }
            Flushed::Failed => {
                session.stdin = None;
                ctx.input(id, Input::WriteFailed);
                false
            }
        }
    }
}

impl Session {
    /// Sends what can be sent. Once everything is, the other ends of the pipes are the master's alone.
    fn send(&mut self, id: ProcessId, ctx: &DriverCtx<'_>) -> std::io::Result<()> {
        match &mut self.stage {
            Stage::Opening { control, stdio } => {
                let Some(ends) = stdio else { return Ok(()) };
                if !control.send(|which| passed(ends, which)) {
                    return Ok(());
                }
                ends.register(id, ctx.reactor)?;
                let Some(ends) = stdio.take() else { return Ok(()) };
                let ParentStdio { stdin, stdout, stderr, .. } = ends.into_ours();
                self.stdin = stdin.map(StdinPipe::new);
                self.stdout = stdout.and_then(ParentEnd::into_pipe);
                self.stderr = stderr.and_then(ParentEnd::into_pipe);
            }
            Stage::Checking { control: Some(control), .. } => {
                control.send(|_| None);
            }
            Stage::Waiting { .. } | Stage::Running { .. } | Stage::Checking { control: None, .. } | Stage::Over => {}
        }
        Ok(())
    }

    fn next_event(&mut self) -> Option<Event> {
        match &mut self.stage {
            Stage::Opening { control, .. } | Stage::Running { control, .. } => control.next_event(),
            Stage::Checking { control, .. } => control.as_mut()?.next_event(),
            Stage::Waiting { .. } | Stage::Over => None,
        }
    }
}

/// Tells that a session cannot be opened.
fn tell(id: ProcessId, failure: &Failure, socket: &Path, program: String, ctx: &mut DriverCtx<'_>) {
    let reason = StartError { program, reason: failure.reason(socket), errno: failure.errno };
    ctx.input(
        id,
        match failure.shortage {
            true => Input::ResourceExhausted { retry_at: ctx.now + RETRY_AFTER, reason },
            false => Input::SpawnFailed(reason),
        },
    );
}

/// Returns the end that is the master's; those that it cannot be given have been refused before.
fn passed(ends: &ChildStdio, which: Descriptor) -> Option<BorrowedFd<'_>> {
    let [stdin, stdout, stderr] = ends.childs();
    let end = match which {
        Descriptor::Stdin => stdin,
        Descriptor::Stdout => stdout,
        Descriptor::Stderr => stderr,
    };
    match end {
        Stdio::Descriptor(fd) => Some(fd),
        Stdio::Inherit | Stdio::Terminal => None,
    }
}
