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

use super::Hands;
use super::keys::{Role, from_key, key};
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
pub(super) struct Devices {
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

impl Devices {
    /// Whether this effect is about a line.
    pub(super) fn concerns(&self, effect: &Effect, launch: Option<&Launch>) -> bool {
        match effect {
            Effect::Spawn(_) => launch.is_some_and(|launch| matches!(launch.command, Command::Device(_))),
            Effect::CallOff(id)
            | Effect::Signal { id, .. }
            | Effect::Write(id, _)
            | Effect::CloseStdin(id)
            | Effect::Release(id) => self.live.contains_key(id),
        }
    }

    pub(super) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Performs one effect that [concerns](Devices::concerns) a line.
    pub(super) fn perform(&mut self, effect: Effect, launch: Option<&Launch>, mut hands: Hands<'_>) {
        match effect {
            Effect::Spawn(id) => self.open(id, launch.expect("who is started has a launch"), &mut hands),
            Effect::Signal { id, signal, .. } => {
                if ends(signal) {
                    self.end(id, ExitStatus::Signaled { signal, core_dumped: false }, &mut hands);
                }
            }
            Effect::Write(id, bytes) => {
                let line = self.live.get_mut(&id).expect("it concerns a line");
                if line.ended {
                    return hands.input(id, Input::WriteFailed);
                }
                line.queue.push_back(bytes);
                match line.write(id, &mut hands) {
                    Ok(Progress::Blocked) => {}
                    Ok(Progress::More) => self.ready.push_back(id),
                    Err(error) => self.vanished(id, &error, &mut hands),
                }
            }
            Effect::CallOff(_) | Effect::CloseStdin(_) => {}
            Effect::Release(id) => drop(self.live.remove(&id)),
        }
    }

    fn open(&mut self, id: ProcessId, launch: &Launch, hands: &mut Hands<'_>) {
        let Command::Device(device) = &launch.command else { unreachable!("it concerns a line") };
        match open(id, device, launch, hands) {
            Ok(serial) => {
                self.live.insert(id, Line { serial, queue: VecDeque::new(), written: 0, ended: false });
                hands.input(id, Input::Spawned { pid: NO_PROCESS });
                // What came in before it was watched.
                self.ready.push_back(id);
            }
            Err(error) => {
                let program = device.path.display().to_string();
                let errno = error.source.raw_os_error();
                let reason = StartError { program, reason: error.to_string(), errno };
                let retry_at = hands.now + RETRY_AFTER;
                let shortage = error.is_shortage();
                hands.input(
                    id,
                    if shortage { Input::Shortage { retry_at, reason } } else { Input::SpawnFailed(reason) },
                );
            }
        }
    }

    /// Takes note that a key became ready; whether it was that of a line.
    pub(super) fn handle_readiness(&mut self, ready: Ready) -> bool {
        let (id, _) = from_key(ready.token);
        let ours = self.live.contains_key(&id);
        if ours {
            self.ready.push_back(id);
        }
        ours
    }

    /// Reads and writes on with all that is ready, each within its bound.
    pub(super) fn advance(&mut self, hands: &mut Hands<'_>) {
        for _ in 0..self.ready.len() {
            let Some(id) = self.ready.pop_front() else { return };
            let Some(line) = self.live.get_mut(&id).filter(|line| !line.ended) else { continue };
            let progress = line.read(id, hands).and_then(|read| Ok([read, line.write(id, hands)?]));
            match progress {
                Ok([Progress::Blocked, Progress::Blocked]) => {}
                Ok(_) => self.ready.push_back(id),
                Err(error) => self.vanished(id, &error, hands),
            }
        }
    }

    fn vanished(&mut self, id: ProcessId, error: &io::Error, hands: &mut Hands<'_>) {
        hands.input(id, Input::Bytes(Stream::Stderr, format!("{error}\n").as_bytes()));
        if self.live.get(&id).is_some_and(|line| !line.queue.is_empty()) {
            hands.input(id, Input::WriteFailed);
        }
        self.end(id, ExitStatus::Exited(1), hands);
    }

    fn end(&mut self, id: ProcessId, status: ExitStatus, hands: &mut Hands<'_>) {
        let Some(line) = self.live.get_mut(&id).filter(|line| !line.ended) else { return };
        line.ended = true;
        // Closing would otherwise wait, for half a minute, until a line that stands still has sent everything. A line
        // that has vanished has nothing to forget.
        let _ = line.serial.discard();
        for stream in [Stream::Stdout, Stream::Stderr] {
            hands.input(id, Input::Eof(stream));
        }
        hands.input(id, Input::Exited(status));
    }
}

fn open(id: ProcessId, device: &Device, launch: &Launch, hands: &Hands<'_>) -> Result<Serial, DeviceError> {
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
    hands.reactor.register(&serial, key(id, Role::Stdout), Interest::Both).map_err(refused)?;
    Ok(serial)
}

/// Whether a process that has made no arrangements ends by this signal (signal(7)).
fn ends(signal: Signal) -> bool {
    const STOPS: [&str; 5] = ["SIGSTOP", "SIGTSTP", "SIGTTIN", "SIGTTOU", "SIGCONT"];
    const IGNORED: [&str; 3] = ["SIGCHLD", "SIGURG", "SIGWINCH"];
    let name = signal.to_string();
    !STOPS.contains(&name.as_str()) && !IGNORED.contains(&name.as_str())
}

impl Line {
    fn read(&mut self, id: ProcessId, hands: &mut Hands<'_>) -> io::Result<Progress> {
        let mut buffer = [0; BUFFER];
        for _ in 0..ROUNDS_PER_TURN {
            match self.serial.read(&mut buffer) {
                Ok(count) => hands.input(id, Input::Bytes(Stream::Stdout, &buffer[..count])),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Progress::Blocked),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Progress::More)
    }

    fn write(&mut self, id: ProcessId, hands: &mut Hands<'_>) -> io::Result<Progress> {
        for _ in 0..ROUNDS_PER_TURN {
            let Some(first) = self.queue.front() else { return Ok(Progress::Blocked) };
            if self.written == first.len() {
                self.written = 0;
                self.queue.pop_front();
                if self.queue.is_empty() {
                    hands.input(id, Input::StdinDrained);
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
