//! Performs the effects of the table on local children, and says what it saw.
//!
//! It owns every descriptor of every child and knows nothing of policies: when to kill, what to keep and what counts
//! as an end is the table's business.
//!
//! Reading is edge triggered and bounded: a stream with more to give than one turn allows stands in a queue of its own
//! and is read on in the next turn, so that no child can keep the others waiting.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use phalanx_core::guardian::{Guardian, Line};
use phalanx_core::limits::{open_descriptors, raise_descriptor_limit};
use phalanx_core::pipe::{self, ReadOutcome};
use phalanx_core::signal::SignalWatch;
use phalanx_core::spawn::{Group, Programs, SpawnError, Spawner};
use phalanx_core::{Child, Interest, Reactor, Readiness, Signal};

use super::ends::{Ends, OpenFailed, OurSide, Ours};
use super::hunt::Hunt;
use crate::event::{Effect, Input, Reach, Stream};
use crate::id::ProcessId;
use crate::outcome::StartError;
use crate::spec::{Environment, Launch};
use crate::table::Table;

/// One buffer for all reads: as large as a pipe.
const BUFFER: usize = 64 * 1024;
/// How many buffers one stream may fill in one turn.
const READS_PER_TURN: usize = 4;
/// How many buffers are read of a stream whose writer has ended: more than any pipe holds by default.
const READS_AFTER_EXIT: usize = 17;
/// How many writes one stdin may take in one turn.
const WRITES_PER_TURN: usize = 16;
/// Descriptors left free for the rest of the program.
const HEADROOM: usize = 32;
/// After a shortage, the next try comes at the latest after this.
const RETRY_AFTER: Duration = Duration::from_millis(50);

/// What a key of the reactor stands for, besides its process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Exit,
    Stdout,
    Stderr,
    Stdin,
    Diagnostics,
    Terminal,
}

/// The number of low bits of a key that hold the role.
const ROLE_BITS: u32 = 3;

pub(super) fn key(id: ProcessId, role: Role) -> u64 {
    id.0 << ROLE_BITS | role as u64
}

pub(super) fn from_key(key: u64) -> (ProcessId, Role) {
    let role = match key & ((1 << ROLE_BITS) - 1) {
        0 => Role::Exit,
        1 => Role::Stdout,
        2 => Role::Stderr,
        3 => Role::Stdin,
        4 => Role::Diagnostics,
        _ => Role::Terminal,
    };
    (ProcessId(key >> ROLE_BITS), role)
}

/// Every running child of one engine.
pub(super) struct Children {
    spawner: Spawner,
    programs: Programs,
    guardian: Option<Guardian>,
    guardian_tried: bool,
    live: HashMap<ProcessId, Live>,
    /// Streams that may have more to give, or to take, than they were allowed so far.
    ready: VecDeque<(ProcessId, Role)>,
    buffer: Box<[u8]>,
    descriptors: Descriptors,
    hunt: Hunt,
    /// Whether it was said that nothing can be started although nothing of ours runs.
    shortage_told: bool,
    /// Present when exits are noticed by SIGCHLD instead of a pidfd each.
    sigchld: Option<SignalWatch>,
}

/// How many descriptors there are, and how many are taken.
#[derive(Debug, Clone, Copy)]
struct Descriptors {
    limit: usize,
    ours: usize,
}

/// The descriptors of one running child.
struct Live {
    child: Child,
    line: Option<Line>,
    stdout: Option<Ours>,
    stderr: Option<Ours>,
    diagnostics: Option<OwnedFd>,
    /// The terminal, until it is released: closing it earlier would hang up on the program.
    master: Option<OwnedFd>,
    /// Kept open until the child has ended, or its reader would see an end before the child has opened it.
    diagnostics_writer: Option<OwnedFd>,
    stdin: Option<StdinPipe>,
    exited: bool,
    descriptors: usize,
}

struct StdinPipe {
    end: Ours,
    queue: VecDeque<Arc<[u8]>>,
    /// How much of the first of the queue has been written.
    written: usize,
    /// Whether readiness tells when it takes more.
    watched: bool,
    close_when_empty: bool,
    /// Whether the last byte written left a line unfinished, which matters to a terminal.
    within_line: bool,
}

/// What the children are driven with: the reactor, the table, and the time.
pub(super) struct Hands<'a> {
    pub(super) reactor: &'a Reactor,
    pub(super) table: &'a mut Table,
    pub(super) now: Instant,
}

impl Hands<'_> {
    pub(super) fn input(&mut self, id: ProcessId, input: Input<'_>) {
        self.table.handle_input(id, self.now, input);
    }
}

impl Children {
    /// No children yet. With `sigchld`, exits are noticed by that signal, reported under that key.
    pub(super) fn new(reactor: &Reactor, sigchld: Option<u64>) -> io::Result<Self> {
        let limit = raise_descriptor_limit()?;
        let sigchld = sigchld.map(|key| SignalWatch::new(reactor, key, &[Signal::CHLD])).transpose()?;
        let used = open_descriptors().unwrap_or(HEADROOM);
        let limit_for_us = usize::try_from(limit.current).unwrap_or(usize::MAX);
        Ok(Self {
            spawner: Spawner::new(Some(limit), sigchld.is_none())?,
            programs: Programs::default(),
            guardian: None,
            guardian_tried: false,
            live: HashMap::new(),
            ready: VecDeque::new(),
            buffer: vec![0; BUFFER].into(),
            descriptors: Descriptors { limit: limit_for_us.saturating_sub(used + HEADROOM), ours: 0 },
            hunt: Hunt::default(),
            shortage_told: false,
            sigchld,
        })
    }

    /// When those who have left their groups are due to be looked for.
    pub(super) fn next_hunt(&self) -> Option<Instant> {
        self.hunt.due()
    }

    /// Looks for them, if it is time.
    pub(super) fn hunt(&mut self, now: Instant) {
        self.hunt.go(now);
    }

    pub(super) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Performs one effect. A spawn needs its launch.
    pub(super) fn perform(&mut self, effect: Effect, launch: Option<&Launch>, mut hands: Hands<'_>) {
        match effect {
            Effect::Spawn(id) => self.spawn(id, launch.expect("who is started has a launch"), hands),
            Effect::Signal { id, signal, reach } => self.signal(id, signal, reach),
            Effect::Write(id, bytes) => {
                let Some(live) = self.live.get_mut(&id) else { return };
                match &mut live.stdin {
                    Some(stdin) => stdin.queue.push_back(bytes),
                    None => return hands.input(id, Input::WriteFailed),
                }
                self.flush(id, &mut hands);
            }
            Effect::CloseStdin(id) => {
                let Some(live) = self.live.get_mut(&id) else { return };
                if let Some(stdin) = &mut live.stdin {
                    stdin.close(live.master.as_ref());
                    self.flush(id, &mut hands);
                }
            }
            Effect::Release(id) => self.release(id),
        }
    }

    fn signal(&mut self, id: ProcessId, signal: Signal, reach: Reach) {
        let Some(live) = self.live.get(&id) else { return };
        let sent = match reach {
            Reach::Process => live.child.signal(signal),
            Reach::Group | Reach::Everything => live.child.signal_group(signal),
        };
        if reach == Reach::Everything && live.diagnostics_writer.is_none() {
            self.hunt.want(id, signal, live.child.pid());
        }
        if let Err(error) = sent {
            log::warn!("cannot send {signal} to pid {}: {error}", live.child.pid());
        }
    }

    fn spawn(&mut self, id: ProcessId, launch: &Launch, mut hands: Hands<'_>) {
        match self.try_spawn(id, launch, hands.reactor) {
            Ok(live) => {
                let pid = live.child.pid();
                self.descriptors.ours += live.descriptors;
                self.live.insert(id, live);
                hands.input(id, Input::Spawned { pid });
                self.report_missing_streams(id, &mut hands);
            }
            Err(failure) => {
                let reason = StartError { program: program_name(launch), reason: failure.reason, errno: failure.errno };
                if failure.shortage {
                    let level = if self.live.is_empty() && !std::mem::replace(&mut self.shortage_told, true) {
                        log::Level::Warn
                    } else {
                        log::Level::Debug
                    };
                    log::log!(level, "{reason}; waiting for something to be given back");
                    hands.input(id, Input::Shortage { retry_at: hands.now + RETRY_AFTER, reason });
                } else {
                    hands.input(id, Input::SpawnFailed(reason));
                }
            }
        }
    }

    /// A stream that does not go to us is at its end from the start.
    fn report_missing_streams(&self, id: ProcessId, hands: &mut Hands<'_>) {
        let live = &self.live[&id];
        for (stream, fd) in [(Stream::Stdout, &live.stdout), (Stream::Stderr, &live.stderr)] {
            if fd.is_none() {
                hands.input(id, Input::Eof(stream));
            }
        }
    }

    fn try_spawn(&mut self, id: ProcessId, launch: &Launch, reactor: &Reactor) -> Result<Live, Failure> {
        if self.live.is_empty() {
            // Alone, we try whatever the count says: it may be wrong.
        } else if self.descriptors.ours + Ends::needed(launch) > self.descriptors.limit {
            return Err(Failure::shortage("too many open files"));
        }
        let ends = Ends::open(launch)?;
        let mut arguments = launch.c_arguments().map_err(Failure::malformed)?;
        if let (Some(place), Some(path)) = (launch.diagnostics, ends.diagnostics_path()) {
            arguments[place] = path;
        }
        ends.register(id, reactor)?;
        let line = self.guardian_line();
        let child = self.start(id, launch, &arguments, &ends, line.as_ref());
        let child = match child {
            Ok(child) => child,
            Err(failure) => {
                self.release_line(line);
                return Err(failure.into());
            }
        };
        if let Some(pidfd) = child.pidfd()
            && let Err(error) = reactor.register(pidfd, key(id, Role::Exit), Interest::Readable)
        {
            let _ = child.signal_group(Signal::KILL);
            self.release_line(line);
            let _ = child.reap();
            return Err(error.into());
        }
        let ours = ends.into_ours();
        let descriptors = ours.count() + usize::from(child.pidfd().is_some());
        let OurSide { stdin, stdout, stderr, diagnostics, diagnostics_writer, master } = ours;
        Ok(Live {
            child,
            line,
            stdout,
            stderr,
            diagnostics,
            master,
            diagnostics_writer,
            stdin: stdin.map(StdinPipe::new),
            exited: false,
            descriptors,
        })
    }

    fn start(
        &mut self,
        id: ProcessId,
        launch: &Launch,
        arguments: &[std::ffi::CString],
        ends: &Ends,
        line: Option<&Line>,
    ) -> Result<Child, SpawnError> {
        let name = arguments.first().map_or(c"", |name| name.as_c_str());
        let directory = ends.directory();
        let ours;
        let environment = match &launch.environment {
            Some(environment) => environment,
            None => {
                ours = Environment::inherited();
                &ours
            }
        };
        let registration =
            self.guardian.as_ref().zip(line).map(|(guardian, line)| (guardian.registry(), line.offset()));
        // What reports on its own doings is ssh, and what it leaves behind may be a connection that others share
        // (ControlPersist): nobody is to hunt that.
        let mark = launch.diagnostics.is_none().then(|| self.hunt.mark(id));
        let group = if ends.slave().is_some() { Group::Session } else { Group::Own };
        // A program may have moved since it was found: look once more before giving up.
        for attempt in 0.. {
            let program = self.programs.find(name)?;
            let command = phalanx_core::spawn::Command {
                program,
                arguments,
                environment: environment.variables(),
                mark: mark.as_deref(),
                directory,
                terminal: ends.slave(),
                ends: ends.childs(),
                group,
                outlives_us: false,
                registration,
            };
            match self.spawner.spawn(&command) {
                Err(failure) if attempt == 0 && failure.error.kind() == io::ErrorKind::NotFound => {
                    self.programs.forget(name);
                }
                other => return other,
            }
        }
        unreachable!("the second attempt returns")
    }

    /// A line in the registry of the guardian, which is started with the first child.
    fn guardian_line(&mut self) -> Option<Line> {
        if !std::mem::replace(&mut self.guardian_tried, true) {
            match Guardian::start(&mut self.spawner) {
                Ok(guardian) => self.guardian = Some(guardian),
                Err(error) => log::warn!(
                    "cannot start the guardian with /bin/sh, so grandchildren may outlive a SIGKILL of this program: {error}"
                ),
            }
        }
        let reserved = self.guardian.as_mut()?.reserve();
        reserved.inspect_err(|error| log::warn!("cannot register a process group: {error}")).ok()
    }

    fn release_line(&mut self, line: Option<Line>) {
        if let (Some(guardian), Some(line)) = (&mut self.guardian, line) {
            guardian.release(line);
        }
    }

    fn release(&mut self, id: ProcessId) {
        let Some(live) = self.live.remove(&id) else { return };
        self.descriptors.ours -= live.descriptors;
        // Before the reaping: afterwards the number of the group may be somebody else's.
        self.release_line(live.line);
        if let Err(error) = live.child.reap() {
            log::error!("cannot reap {id}: {error}");
        }
    }

    /// Takes note that a key became ready.
    pub(super) fn handle_readiness(&mut self, ready: Readiness, hands: &mut Hands<'_>) {
        let (id, role) = from_key(ready.key);
        match role {
            Role::Exit => self.exited(id, hands),
            Role::Stdout | Role::Stderr | Role::Stdin | Role::Diagnostics => self.ready.push_back((id, role)),
            Role::Terminal => {
                self.ready.extend(ready.readable.then_some((id, Role::Stdout)));
                self.ready.extend(ready.writable.then_some((id, Role::Stdin)));
            }
        }
    }

    /// Looks at every child without a pidfd: one SIGCHLD may stand for any number of exits.
    pub(super) fn handle_sigchld(&mut self, hands: &mut Hands<'_>) {
        if let Some(watch) = &mut self.sigchld {
            let _ = watch.take();
        }
        let waiting: Vec<_> = self.live.iter().filter(|(_, live)| !live.exited).map(|(id, _)| *id).collect();
        for id in waiting {
            self.exited(id, hands);
        }
    }

    /// The child may have ended. What it wrote itself is read before its end is told: only what others write into its
    /// pipes later can be lost to the leak timeout.
    fn exited(&mut self, id: ProcessId, hands: &mut Hands<'_>) {
        let Some(live) = self.live.get_mut(&id).filter(|live| !live.exited) else { return };
        let status = match live.child.peek() {
            Ok(None) => return,
            Ok(Some(status)) => status,
            Err(error) => {
                log::error!("cannot learn how {id} ended: {error}");
                phalanx_core::ExitStatus::Lost
            }
        };
        live.exited = true;
        for role in [Role::Diagnostics, Role::Stdout, Role::Stderr] {
            self.read(id, role, READS_AFTER_EXIT, hands);
        }
        // What its pipe did not take by now it will never read.
        if let Some(stdin) = self.live.get_mut(&id).and_then(|live| live.stdin.take())
            && !stdin.queue.is_empty()
        {
            hands.input(id, Input::WriteFailed);
        }
        hands.input(id, Input::Exited(status));
    }

    /// Reads and writes on with all that is ready, each within its bound.
    pub(super) fn advance(&mut self, hands: &mut Hands<'_>) {
        for _ in 0..self.ready.len() {
            let Some((id, role)) = self.ready.pop_front() else { return };
            let more = match role {
                Role::Stdin => self.flush(id, hands),
                _ => self.read(id, role, READS_PER_TURN, hands),
            };
            if more {
                self.ready.push_back((id, role));
            }
        }
    }

    /// Reads at most `reads` buffers; whether there may be more. Only "would block" says that there is no more now: a
    /// terminal hands out less than it has.
    fn read(&mut self, id: ProcessId, role: Role, reads: usize, hands: &mut Hands<'_>) -> bool {
        let Some(live) = self.live.get_mut(&id) else { return false };
        for _ in 0..reads {
            let master = live.master.as_ref();
            let fd = match role {
                Role::Stdout => live.stdout.as_ref().map(|end| end.fd(master)),
                Role::Stderr => live.stderr.as_ref().map(|end| end.fd(master)),
                _ => live.diagnostics.as_ref().map(AsFd::as_fd),
            };
            let Some(fd) = fd else { return false };
            match pipe::read(fd, &mut self.buffer) {
                Ok(ReadOutcome::Bytes(count)) => hands.input(id, said(role, &self.buffer[..count])),
                Ok(ReadOutcome::WouldBlock) => return false,
                Ok(ReadOutcome::EndOfFile) => {
                    live.close(role);
                    report_end(id, role, hands);
                    return false;
                }
                Err(error) => {
                    log::error!("cannot read what {id} says: {error}");
                    live.close(role);
                    report_end(id, role, hands);
                    return false;
                }
            }
        }
        true
    }

    /// Writes what its stdin takes; whether it would take more at once.
    fn flush(&mut self, id: ProcessId, hands: &mut Hands<'_>) -> bool {
        let Some(live) = self.live.get_mut(&id) else { return false };
        let Some(stdin) = &mut live.stdin else { return false };
        let flushed = stdin.flush(live.master.as_ref());
        if let Err(error) = stdin.watch(id, &flushed, live.master.as_ref(), hands.reactor) {
            log::error!("cannot watch the stdin of {id}: {error}");
        }
        match flushed {
            Flushed::Blocked => false,
            Flushed::More => {
                if !self.ready.contains(&(id, Role::Stdin)) {
                    self.ready.push_back((id, Role::Stdin));
                }
                false
            }
            Flushed::Drained { something } => {
                if stdin.close_when_empty {
                    live.stdin = None;
                }
                if something {
                    hands.input(id, Input::StdinDrained);
                }
                false
            }
            Flushed::Failed => {
                live.stdin = None;
                hands.input(id, Input::WriteFailed);
                false
            }
        }
    }
}

fn program_name(launch: &Launch) -> String {
    match launch.command.arguments() {
        Ok(arguments) => arguments.first().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default(),
        Err(_) => launch.name(),
    }
}

fn said(role: Role, bytes: &[u8]) -> Input<'_> {
    match role {
        Role::Stdout => Input::Bytes(Stream::Stdout, bytes),
        Role::Stderr => Input::Bytes(Stream::Stderr, bytes),
        _ => Input::Diagnostics(bytes),
    }
}

fn report_end(id: ProcessId, role: Role, hands: &mut Hands<'_>) {
    match role {
        Role::Stdout => hands.input(id, Input::Eof(Stream::Stdout)),
        Role::Stderr => hands.input(id, Input::Eof(Stream::Stderr)),
        _ => {}
    }
}

enum Flushed {
    /// It takes no more now; readiness will tell.
    Blocked,
    /// It would take more, but others want their turn.
    More,
    /// All is written, and something was.
    Drained { something: bool },
    /// It will never take more.
    Failed,
}

impl Live {
    fn close(&mut self, role: Role) {
        match role {
            Role::Stdout => self.stdout = None,
            Role::Stderr => self.stderr = None,
            _ => self.diagnostics = None,
        }
    }
}

impl StdinPipe {
    fn new(end: Ours) -> Self {
        let queue = VecDeque::new();
        Self { end, queue, written: 0, watched: false, close_when_empty: false, within_line: false }
    }

    /// Asks for the end. A pipe is closed once everything is written; a terminal is written its end-of-file character,
    /// and once more if the first only completes a line.
    fn close(&mut self, master: Option<&OwnedFd>) {
        if std::mem::replace(&mut self.close_when_empty, true) || !matches!(self.end, Ours::Terminal) {
            return;
        }
        let last = self.queue.back().and_then(|bytes| bytes.last());
        let within_line = last.map_or(self.within_line, |byte| *byte != b'\n');
        let character = master.map(phalanx_core::pty::end_of_input);
        match character {
            Some(Ok(Some(end))) => self.queue.push_back(vec![end; 1 + usize::from(within_line)].into()),
            Some(Err(error)) => log::warn!("cannot end the input of a terminal: {error}"),
            Some(Ok(None)) | None => {}
        }
    }

    /// Watches it from when it takes no more. A terminal, only until everything is written: it becomes writable whenever
    /// its program has read something, and a dialogue would be woken for that in every round.
    fn watch(
        &mut self,
        id: ProcessId,
        flushed: &Flushed,
        master: Option<&OwnedFd>,
        reactor: &Reactor,
    ) -> io::Result<()> {
        let watched = match (flushed, &self.end) {
            (Flushed::Blocked, _) => true,
            (Flushed::Drained { .. }, Ours::Terminal) => false,
            _ => self.watched,
        };
        if std::mem::replace(&mut self.watched, watched) == watched {
            return Ok(());
        }
        let fd = self.end.fd(master);
        match self.end {
            Ours::Pipe(_) => reactor.register(fd, key(id, Role::Stdin), Interest::Writable),
            Ours::Terminal if watched => reactor.reregister(fd, key(id, Role::Terminal), Interest::Both),
            Ours::Terminal => reactor.reregister(fd, key(id, Role::Terminal), Interest::Readable),
        }
    }

    fn flush(&mut self, master: Option<&OwnedFd>) -> Flushed {
        let something = !self.queue.is_empty();
        for _ in 0..WRITES_PER_TURN {
            let Some(first) = self.queue.front() else { return Flushed::Drained { something } };
            match pipe::write(self.end.fd(master), &first[self.written..]) {
                Ok(None) => return Flushed::Blocked,
                Ok(Some(count)) => self.written += count,
                Err(_) => return Flushed::Failed,
            }
            if self.written == first.len() {
                self.within_line = first.last().map_or(self.within_line, |byte| *byte != b'\n');
                self.queue.pop_front();
                self.written = 0;
            }
        }
        if self.queue.is_empty() { Flushed::Drained { something } } else { Flushed::More }
    }
}

/// Why a child could not be started, and whether trying again later makes sense.
pub(super) struct Failure {
    pub(super) reason: String,
    pub(super) errno: Option<i32>,
    pub(super) shortage: bool,
}

impl Failure {
    fn shortage(reason: &str) -> Self {
        Self { reason: reason.to_owned(), errno: None, shortage: true }
    }

    fn malformed(reason: String) -> Self {
        Self { reason, errno: None, shortage: false }
    }
}

impl From<SpawnError> for Failure {
    fn from(failure: SpawnError) -> Self {
        Self { reason: failure.to_string(), errno: failure.error.raw_os_error(), shortage: failure.is_shortage() }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        SpawnError { step: phalanx_core::spawn::Step::Descriptors, error }.into()
    }
}

impl From<OpenFailed> for Failure {
    fn from(failed: OpenFailed) -> Self {
        match failed {
            // Whoever has a pty gives it back some day.
            OpenFailed::Terminal(error) => {
                let exhausted = error.source.kind() == io::ErrorKind::StorageFull;
                let reason = error.to_string();
                let failure = Self::from(error.source);
                Self { reason, shortage: failure.shortage || exhausted, ..failure }
            }
            OpenFailed::Pipe(error) => error.into(),
            OpenFailed::File { path, error } => {
                let mut failure = Self::from(error);
                failure.reason = format!("cannot open `{}` for it: {}", path.display(), failure.reason);
                failure
            }
        }
    }
}

impl Drop for Children {
    /// No child outlives its engine.
    fn drop(&mut self) {
        for (id, live) in &self.live {
            let _ = live.child.signal_group(Signal::KILL);
            self.hunt.want(*id, Signal::KILL, live.child.pid());
        }
        self.hunt.finish();
        for (_, live) in std::mem::take(&mut self.live) {
            self.release_line(live.line);
            let _ = live.child.reap();
        }
    }
}
