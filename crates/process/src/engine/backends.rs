//! Keeps the books of processes that backends run: who runs which, and what may still be said of it.
//!
//! The table trusts its driver, and a backend is user code: what does not fit is kept from the table here. (See
//! [`crate::backend`] for the other side of it.)
//!
//! ```text
//!          Spawn given        Spawned            Exited           Release
//!  (none) ────────────▶ Starting ─────▶ Running ────────▶ Over ─────────▶ (none)
//!                          └── SpawnFailed, ResourceExhausted, Cancelled, Release ──▶ (none)
//! ```

use std::collections::HashMap;
use std::time::Instant;

use phalanx_core::ExitStatus;

use super::driver::{Driver, DriverCtx};
use crate::event::{Effect, Input, Stream};
use crate::id::{HandlerId, ProcessId};
use crate::outcome::StartError;
use crate::spec::{Launch, Output};
use crate::table::ProcessTable;

/// Every process that some backend runs.
#[derive(Default)]
pub(crate) struct BackendRegistry {
    entries: HashMap<ProcessId, Hosted>,
}

struct Hosted {
    by: HandlerId,
    stage: Stage,
    name: String,
    /// Where each of its streams goes; nowhere once it has ended.
    streams: [Option<Stream>; 2],
    /// Which have been told to be at their end.
    ended: [bool; 2],
    cancelled: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Starting,
    Running,
    Over,
}

impl Driver for BackendRegistry {
    /// Takes note of an effect and hands it on to the backend. What is wrong with a start is a start error.
    fn perform(&mut self, effect: Effect, launch: Option<&Launch>, ctx: &mut DriverCtx<'_>) {
        let id = effect.process();
        if let Effect::Spawn(_) = effect {
            let launch = launch.expect("a spawn comes with its launch");
            if let Err(error) = self.enter(id, launch) {
                return ctx.input(id, Input::SpawnFailed(error));
            }
        }
        let Some(entry) = self.entries.get_mut(&id) else { return };
        entry.cancelled |= matches!(effect, Effect::Cancel(_));
        let by = entry.by;
        if let Effect::Release(_) = effect {
            self.entries.remove(&id);
        }
        ctx.deferred.effects.push_back((by, effect));
    }

    fn holds(&self, id: ProcessId) -> bool {
        self.entries.contains_key(&id)
    }
}

impl BackendRegistry {
    fn enter(&mut self, id: ProcessId, launch: &Launch) -> Result<(), StartError> {
        let by = launch.hosted.as_ref().expect("only a hosted process has this driver").backend.0;
        let name = launch.name();
        let streams = streams(launch).map_err(|reason| StartError { program: name.clone(), reason, errno: None })?;
        let entry = Hosted { by, stage: Stage::Starting, name, streams, ended: [false; 2], cancelled: false };
        self.entries.insert(id, entry);
        Ok(())
    }

    /// Passes on what a backend says, if it can be.
    pub(crate) fn answer(
        &mut self,
        by: HandlerId,
        id: ProcessId,
        input: Input<'_>,
        table: &mut ProcessTable,
        now: Instant,
    ) {
        let Some(entry) = self.entries.get_mut(&id) else {
            return log::debug!("{id} is not hosted any more: {input:?} comes too late");
        };
        if entry.by != by {
            return log::debug!("{id} is hosted by another: {input:?} is not for it to say");
        }
        let fits = match &input {
            Input::Spawned { .. } | Input::SpawnFailed(_) | Input::ResourceExhausted { .. } => {
                entry.stage == Stage::Starting
            }
            Input::Cancelled => entry.stage == Stage::Starting && entry.cancelled,
            Input::Bytes(stream, _) | Input::Eof(stream) => {
                entry.stage != Stage::Starting && !entry.ended[*stream as usize]
            }
            Input::StdinDrained | Input::WriteFailed | Input::Diagnostics(_) | Input::Exited(_) | Input::Lost(_) => {
                entry.stage == Stage::Running
            }
        };
        if !fits {
            return log::debug!("{id} is {:?}: {input:?} cannot be", entry.stage);
        }
        match input {
            Input::Spawned { .. } => {
                entry.stage = Stage::Running;
                table.handle_input(id, now, input);
                for stream in entry.missing() {
                    table.handle_input(id, now, Input::Eof(stream));
                }
            }
            Input::Bytes(stream, bytes) => {
                if let Some(stream) = entry.streams[stream as usize]
                    && !bytes.is_empty()
                {
                    table.handle_input(id, now, Input::Bytes(stream, bytes));
                }
            }
            Input::Eof(stream) => {
                for stream in entry.end(stream) {
                    table.handle_input(id, now, Input::Eof(stream));
                }
            }
            Input::Exited(_) | Input::Lost(_) => {
                entry.stage = Stage::Over;
                table.handle_input(id, now, input);
            }
            Input::SpawnFailed(_) | Input::ResourceExhausted { .. } | Input::Cancelled => {
                self.entries.remove(&id);
                table.handle_input(id, now, input);
            }
            Input::StdinDrained | Input::WriteFailed | Input::Diagnostics(_) => table.handle_input(id, now, input),
        }
    }

    /// Its backend will say nothing more of it.
    pub(super) fn fail(&mut self, id: ProcessId, reason: &str, table: &mut ProcessTable, now: Instant) {
        let Some(entry) = self.entries.get(&id) else { return };
        let (by, stage) = (entry.by, entry.stage);
        let program = entry.name.clone();
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
    pub(super) fn backend_removed(&mut self, by: HandlerId, table: &mut ProcessTable, now: Instant) {
        let orphans: Vec<_> = self.entries.iter().filter(|(_, entry)| entry.by == by).map(|(id, _)| *id).collect();
        for id in orphans {
            self.fail(id, BACKEND_GONE, table, now);
        }
    }
}

/// Why a process cannot run whose backend does not listen any more.
pub(super) const BACKEND_GONE: &str = "what was to run it is gone";

impl Hosted {
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
