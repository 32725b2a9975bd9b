//! Performs the effects of the table on serial lines, which run without a process, and says what it saw.
//!
//! To the table a line is a child like any other:
//!
//! | of a child | of a line |
//! |---|---|
//! | it is started | the device is opened and set up |
//! | its stdin | what is sent; closing it changes nothing, a line has no end |
//! | its stdout | what arrives |
//! | its stderr | why the line has vanished |
//! | a signal that ends | the device is closed; what has not been sent is forgotten |
//! | its exit status | 1 when the line has vanished; the signal, when it was closed |

use std::collections::{HashMap, VecDeque};
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::Duration;

use phalanx_core::serial::Serial;
use phalanx_core::terminal::DeviceError;
use phalanx_core::{ExitStatus, Interest, Ready, Signal};

use super::driver::{Driver, DriverCtx};
use super::tokens::{Source, from_key, key};
use crate::event::{Effect, Input, NO_PROCESS, Stream};
use crate::id::ProcessId;
use crate::outcome::StartError;
use crate::spec::{Command, Device, Launch, Output};

/// One read: as much as the kernel keeps of a terminal.
const BUFFER: usize = 4096;
/// How often one line is read, and written, in one turn.
const ROUNDS_PER_TURN: usize = 16;
/// After a shortage, the next try comes at the latest after this.
const RETRY_AFTER: Duration = Duration::from_millis(50);

/// Every open line of one engine.
#[derive(Default)]
pub(super) struct SerialDriver {
    live: HashMap<ProcessId, Line>,
    /// Lines that may have more to give, or to take, than they were allowed so far.
    ready: VecDeque<ProcessId>,
}

struct Line {
    serial: Serial,
    queue: VecDeque<Arc<[u8]>>,
    /// How much of the first of the queue has been written.
    written: usize,
    /// Its end has been told.
    ended: bool,
}

/// How far a line came in one turn.
enum Progress {
    /// It takes and gives no more now; readiness will tell.
    Blocked,
    /// There may be more.
    More,
}

impl Driver for SerialDriver {
    fn perform(&mut self, effect: Effect, launch: Option<&Launch>, ctx: &mut DriverCtx<'_>) {
        match effect {
            Effect::Spawn(id) => self.open(id, launch.expect("a spawn comes with its launch"), ctx),
            Effect::Signal { id, signal, .. } => {
                if ends(signal) {
                    self.end(id, ExitStatus::Signaled { signal, core_dumped: false }, ctx);
                }
            }
            Effect::Write(id, bytes) => {
                let Some(line) = self.live.get_mut(&id).filter(|line| !line.ended) else {
                    return ctx.input(id, Input::WriteFailed);
                };
                line.queue.push_back(bytes);
                match line.write(id, ctx) {
                    Ok(Progress::Blocked) => {}
                    Ok(Progress::More) => self.ready.push_back(id),
                    Err(error) => self.vanished(id, &error, ctx),
                }
            }
            Effect::Cancel(_) | Effect::CloseStdin(_) => {}
            Effect::Release(id) => drop(self.live.remove(&id)),
        }
    }

    fn holds(&self, id: ProcessId) -> bool {
        self.live.contains_key(&id)
    }

    fn handle_readiness(&mut self, ready: Ready, _ctx: &mut DriverCtx<'_>) {
        self.ready.push_back(from_key(ready.token).0);
    }

    fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    fn advance(&mut self, ctx: &mut DriverCtx<'_>) {
        for _ in 0..self.ready.len() {
            let Some(id) = self.ready.pop_front() else { return };
            let Some(line) = self.live.get_mut(&id).filter(|line| !line.ended) else { continue };
            let progress = line.read(id, ctx).and_then(|read| Ok([read, line.write(id, ctx)?]));
            match progress {
                Ok([Progress::Blocked, Progress::Blocked]) => {}
                Ok(_) => self.ready.push_back(id),
                Err(error) => self.vanished(id, &error, ctx),
            }
        }
    }
}

impl SerialDriver {
    fn open(&mut self, id: ProcessId, launch: &Launch, ctx: &mut DriverCtx<'_>) {
        let Command::Device(device) = &launch.command else { unreachable!("only a device has this driver") };
        match open(id, device, launch, ctx) {
            Ok(serial) => {
                self.live.insert(id, Line { serial, queue: VecDeque::new(), written: 0, ended: false });
                ctx.input(id, Input::Spawned { pid: NO_PROCESS });
                // What came in before it was watched.
                self.ready.push_back(id);
            }
            Err(error) => {
                let program = device.path.display().to_string();
                let errno = error.source.raw_os_error();
                let reason = StartError { program, reason: error.to_string(), errno };
                let retry_at = ctx.now + RETRY_AFTER;
                let shortage = error.is_shortage();
                ctx.input(
                    id,
                    if shortage { Input::ResourceExhausted { retry_at, reason } } else { Input::SpawnFailed(reason) },
                );
            }
        }
    }

    fn vanished(&mut self, id: ProcessId, error: &io::Error, ctx: &mut DriverCtx<'_>) {
        ctx.input(id, Input::Bytes(Stream::Stderr, format!("{error}\n").as_bytes()));
        if self.live.get(&id).is_some_and(|line| !line.queue.is_empty()) {
            ctx.input(id, Input::WriteFailed);
        }
        self.end(id, ExitStatus::Exited(1), ctx);
    }

    fn end(&mut self, id: ProcessId, status: ExitStatus, ctx: &mut DriverCtx<'_>) {
        let Some(line) = self.live.get_mut(&id).filter(|line| !line.ended) else { return };
        line.ended = true;
        // Closing would otherwise wait, for half a minute, until a line that stands still has sent everything. A line
        // that has vanished has nothing to forget.
        let _ = line.serial.discard();
        for stream in [Stream::Stdout, Stream::Stderr] {
            ctx.input(id, Input::Eof(stream));
        }
        ctx.input(id, Input::Exited(status));
    }
}

fn open(id: ProcessId, device: &Device, launch: &Launch, ctx: &DriverCtx<'_>) -> Result<Serial, DeviceError> {
    let refused = |error: io::Error| DeviceError {
        action: "use the serial device".to_owned(),
        device: device.path.clone(),
        source: error,
    };
    if !matches!((&launch.stdout, &launch.stderr), (Output::Read, Output::Read)) {
        return Err(refused(io::Error::new(
            ErrorKind::Unsupported,
            "what arrives on a serial line comes here; a handler can write it elsewhere",
        )));
    }
    let serial = Serial::open(&device.path, &device.settings)?;
    ctx.reactor.register(&serial, key(id, Source::Stdout), Interest::Both).map_err(refused)?;
    Ok(serial)
}

/// Whether a process that has made no arrangements ends by this signal (signal(7)).
pub(super) fn ends(signal: Signal) -> bool {
    const STOPS: [&str; 5] = ["SIGSTOP", "SIGTSTP", "SIGTTIN", "SIGTTOU", "SIGCONT"];
    const IGNORED: [&str; 3] = ["SIGCHLD", "SIGURG", "SIGWINCH"];
    let name = signal.to_string();
    !STOPS.contains(&name.as_str()) && !IGNORED.contains(&name.as_str())
}

impl Line {
    fn read(&mut self, id: ProcessId, ctx: &mut DriverCtx<'_>) -> io::Result<Progress> {
        let mut buffer = [0; BUFFER];
        for _ in 0..ROUNDS_PER_TURN {
            match self.serial.read(&mut buffer) {
                Ok(count) => ctx.input(id, Input::Bytes(Stream::Stdout, &buffer[..count])),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Progress::Blocked),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Progress::More)
    }

    fn write(&mut self, id: ProcessId, ctx: &mut DriverCtx<'_>) -> io::Result<Progress> {
        for _ in 0..ROUNDS_PER_TURN {
            let Some(first) = self.queue.front() else { return Ok(Progress::Blocked) };
            if self.written == first.len() {
                self.written = 0;
                self.queue.pop_front();
                if self.queue.is_empty() {
                    ctx.input(id, Input::StdinDrained);
                }
                continue;
            }
            match self.serial.write(&first[self.written..]) {
                Ok(count) => self.written += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Progress::Blocked),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Progress::More)
    }
}
