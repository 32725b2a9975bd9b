//! Keeps the books of processes that backends run: who runs which, and what may still be said of it.
//!
//! The table trusts its driver, and a backend is user code: what does not fit is kept from the table here. (See
//! [`crate::hosted`] for the other side of it.)
//!
//! ```text
//!          Spawn given        Spawned            Exited           Release
//!  (none) ────────────▶ Starting ─────▶ Running ────────▶ Over ─────────▶ (none)
//!                          └── SpawnFailed, Shortage, CalledOff, Release ──▶ (none)
//! ```

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::time::Instant;

use phalanx_core::ExitStatus;

use crate::event::{Effect, Input, Stream};
use crate::id::{HandlerId, ProcessId};
use crate::outcome::StartError;
use crate::spec::{Launch, Output};
use crate::table::Table;

/// Every process that some backend runs.
#[derive(Default)]
pub(crate) struct Hosting {
    seats: HashMap<ProcessId, Seat>,
}

struct Seat {
    by: HandlerId,
    stage: Stage,
    name: String,
    /// Where each of its streams goes; nowhere once it has ended.
    streams: [Option<Stream>; 2],
    /// Which have been told to be at their end.
    ended: [bool; 2],
    called_off: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Starting,
    Running,
    Over,
}

impl Hosting {
    /// The backend that is to perform this effect, if one is.
    pub(super) fn performer(&self, effect: &Effect, launch: Option<&Launch>) -> Option<HandlerId> {
        match effect {
            Effect::Spawn(_) => launch?.hosted.as_ref().map(|hosted| hosted.backend.handler()),
            Effect::CallOff(id)
            | Effect::Signal { id, .. }
            | Effect::Write(id, _)
            | Effect::CloseStdin(id)
            | Effect::Release(id) => self.seats.get(id).map(|seat| seat.by),
        }
    }

    /// Takes note of an effect that is about to be given to a backend. What is wrong with a start is a start error.
    pub(super) fn note(&mut self, effect: &Effect, by: HandlerId, launch: Option<&Launch>) -> Result<(), StartError> {
        match effect {
            Effect::Spawn(id) => {
                let launch = launch.expect("who is started has a launch");
                let name = launch.name();
                let streams =
                    streams(launch).map_err(|reason| StartError { program: name.clone(), reason, errno: None })?;
                let seat = Seat { by, stage: Stage::Starting, name, streams, ended: [false; 2], called_off: false };
                self.seats.insert(*id, seat);
            }
            Effect::CallOff(id) => {
                if let Some(seat) = self.seats.get_mut(id) {
                    seat.called_off = true;
                }
            }
            Effect::Release(id) => drop(self.seats.remove(id)),
            Effect::Signal { .. } | Effect::Write(..) | Effect::CloseStdin(_) => {}
        }
        Ok(())
    }

    /// Passes on what a backend says, if it can be.
    pub(crate) fn answer(&mut self, by: HandlerId, id: ProcessId, input: Input<'_>, table: &mut Table, now: Instant) {
        let Entry::Occupied(mut entry) = self.seats.entry(id) else {
            return log::debug!("{id} is not hosted any more: {input:?} comes too late");
        };
        let seat = entry.get_mut();
        if seat.by != by {
            return log::debug!("{id} is hosted by another: {input:?} is not for it to say");
        }
        let fits = match &input {
            Input::Spawned { .. } | Input::SpawnFailed(_) | Input::Shortage { .. } => seat.stage == Stage::Starting,
            Input::CalledOff => seat.stage == Stage::Starting && seat.called_off,
            Input::Bytes(stream, _) | Input::Eof(stream) => {
                seat.stage != Stage::Starting && !seat.ended[*stream as usize]
            }
            Input::StdinDrained | Input::WriteFailed | Input::Diagnostics(_) | Input::Exited(_) => {
                seat.stage == Stage::Running
            }
        };
        if !fits {
            return log::debug!("{id} is {:?}: {input:?} cannot be", seat.stage);
        }
        match input {
            Input::Spawned { .. } => {
                seat.stage = Stage::Running;
                table.handle_input(id, now, input);
                for stream in seat.missing() {
                    table.handle_input(id, now, Input::Eof(stream));
                }
            }
            Input::Bytes(stream, bytes) => {
                if let Some(stream) = seat.streams[stream as usize]
                    && !bytes.is_empty()
                {
                    table.handle_input(id, now, Input::Bytes(stream, bytes));
                }
            }
            Input::Eof(stream) => {
                for stream in seat.end(stream) {
                    table.handle_input(id, now, Input::Eof(stream));
                }
            }
            Input::Exited(_) => {
                seat.stage = Stage::Over;
                table.handle_input(id, now, input);
            }
            Input::SpawnFailed(_) | Input::Shortage { .. } | Input::CalledOff => {
                entry.remove();
                table.handle_input(id, now, input);
            }
            Input::StdinDrained | Input::WriteFailed | Input::Diagnostics(_) => table.handle_input(id, now, input),
        }
    }

    /// Its backend will say nothing more of it.
    pub(super) fn fail(&mut self, id: ProcessId, reason: &str, table: &mut Table, now: Instant) {
        let Some(seat) = self.seats.get(&id) else { return };
        let (by, stage) = (seat.by, seat.stage);
        let program = seat.name.clone();
        match stage {
            Stage::Starting => {
                let error = StartError { program, reason: reason.to_owned(), errno: None };
                self.answer(by, id, Input::SpawnFailed(error), table, now);
            }
            Stage::Running | Stage::Over => {
                log::warn!("{id} ({program}) is lost: {reason}");
                for stream in [Stream::Stdout, Stream::Stderr] {
                    self.answer(by, id, Input::Eof(stream), table, now);
                }
                if stage == Stage::Running {
                    self.answer(by, id, Input::Exited(ExitStatus::Lost), table, now);
                }
            }
        }
    }

    /// A backend is gone, and with it all that it ran.
    pub(super) fn gone(&mut self, by: HandlerId, table: &mut Table, now: Instant) {
        let orphans: Vec<_> = self.seats.iter().filter(|(_, seat)| seat.by == by).map(|(id, _)| *id).collect();
        for id in orphans {
            self.fail(id, GONE, table, now);
        }
    }
}

/// Why a process cannot run whose backend does not listen any more.
pub(super) const GONE: &str = "what was to run it is gone";

impl Seat {
    /// The streams that nobody will hear of.
    fn missing(&self) -> impl Iterator<Item = Stream> + use<> {
        let kept = self.streams;
        [Stream::Stdout, Stream::Stderr].into_iter().filter(move |stream| !kept.contains(&Some(*stream)))
    }

    /// One of its streams is at its end; returns which of ours are thereby. Two that go to one end with the last.
    fn end(&mut self, stream: Stream) -> Vec<Stream> {
        self.ended[stream as usize] = true;
        let Some(target) = self.streams[stream as usize].take() else { return Vec::new() };
        if self.streams.contains(&Some(target)) { Vec::new() } else { vec![target] }
    }
}

/// Where its streams go.
fn streams(launch: &Launch) -> Result<[Option<Stream>; 2], String> {
    if let Some(defect) = &launch.defect {
        return Err(defect.clone());
    }
    let target = |output: &Output, stream, name| match output {
        Output::Read => Ok(Some(stream)),
        Output::Null => Ok(None),
        Output::WithStdout | Output::Inherit | Output::File { .. } | Output::Descriptor(_) => {
            Err(format!("its {name} comes to us as messages, and cannot go elsewhere; a handler can copy it"))
        }
    };
    let stdout = target(&launch.stdout, Stream::Stdout, "stdout")?;
    let stderr = match launch.stderr {
        Output::WithStdout => stdout,
        ref output => target(output, Stream::Stderr, "stderr")?,
    };
    Ok([stdout, stderr])
}
