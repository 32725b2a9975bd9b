//! Files from here to many hosts, through taktuk: packed once, passed on from host to host.
//!
//! The archive is the same for all hosts and travels from one to the other, so sources cannot have substitutions that make
//! them different; the destination can. (taktuk's own `put` would write to the final name, and take `$` in it for a
//! variable; it is not used.) All hosts take part at once, whatever the fan-out.

use std::collections::HashMap;
use std::io::{self, PipeReader};
use std::os::fd::AsRawFd as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use phalanx_process::backend::Backend;
use phalanx_process::engine::EngineHandle;
use phalanx_process::host::Host;

use super::backend::{Freight, Plan, Taktuk};
use super::language::{self, Member};
use super::remote::transfer;
use super::{Reach, TaktukParams};
use crate::action::Action;
use crate::files::pack::{self, pack};
use crate::files::remote_script::PutScript;
use crate::files::sources::Source;
use crate::files::{Acknowledgement, CopyError, CopyOptions, Counters, Fault, PutTransfer, token};

/// What a TakTuk may keep in memory of what others have not taken yet. Without a limit it is the whole archive, for each
/// host that it has connected to itself.
const CACHE_LIMIT: &str = "67108864";

/// Makes the action that puts these files.
pub(crate) fn action(
    name: String,
    puts: Vec<(Host, PutTransfer)>,
    options: CopyOptions,
    taktuk: &TaktukParams,
    engine: &EngineHandle,
) -> Result<Action, CopyError> {
    let hosts: Vec<_> = puts.iter().map(|(host, _)| host.clone()).collect();
    let Reach { mut arguments, addresses } = Reach::new(&hosts, &options.params, taktuk)?;
    arguments.splice(1..1, ["-u".into(), CACHE_LIMIT.into()]);
    let sources = same_sources(&puts)?;
    let receipt = token();
    let (mut members, mut acknowledgements) = (Vec::with_capacity(puts.len()), Vec::with_capacity(puts.len()));
    for ((_, transfer), (address, user)) in puts.iter().zip(addresses) {
        let token = token();
        let script = PutScript { token: &token, verify: options.verify, transfer };
        members.push(Member { address, user, line: language::script(&script.text(), None)? });
        acknowledgements.push(Acknowledgement { token, sources: sources.len(), receipt: receipt.clone() });
    }
    let packing = pack::Packing { verify: options.verify, keep_setid: options.keep_setid, receipt };
    let freight = Archive { sources, packing, runs: Mutex::default() };
    let plan = Plan { arguments, members, freight: Some(Arc::new(freight)) };
    let backend = Backend::attach(Taktuk::new(plan), engine);
    Ok(transfer((name, &hosts), (options.policy, options.rollout), (&backend, engine), move |index, finished| {
        acknowledgements[index].check(finished.stdout.bytes()).err()
    }))
}

/// Returns the sources, which must be the same for all.
fn same_sources(puts: &[(Host, PutTransfer)]) -> Result<Arc<[Source]>, CopyError> {
    let Some((first, PutTransfer { sources, .. })) = puts.first() else { return Ok(Arc::from([])) };
    match puts.iter().find(|(_, other)| other.sources != *sources) {
        None => Ok(Arc::clone(sources)),
        Some((second, _)) => Err(CopyError::Different { first: first.to_string(), second: second.to_string() }),
    }
}

/// What is sent to all hosts.
struct Archive {
    sources: Arc<[Source]>,
    packing: pack::Packing,
    /// The runs of taktuk, by the first of their members.
    runs: Mutex<HashMap<usize, Arc<Packing>>>,
}

/// One packing of it.
#[derive(Default)]
struct Packing {
    /// Our hold on the pipe from which taktuk reads; without it, the packing ends when taktuk has.
    reader: Mutex<Option<PipeReader>>,
    fault: Mutex<Option<String>>,
    members: Vec<usize>,
}

impl Archive {
    fn runs(&self) -> MutexGuard<'_, HashMap<usize, Arc<Packing>>> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pack(&self, members: &[usize]) -> io::Result<(String, Arc<Packing>)> {
        let (reader, writer) = io::pipe()?;
        // taktuk opens it anew: it inherits nothing but its streams.
        let path = format!("/proc/{}/fd/{}", std::process::id(), reader.as_raw_fd());
        let packing =
            Arc::new(Packing { reader: Some(reader).into(), members: members.to_vec(), ..Packing::default() });
        let (sources, how, ours) = (Arc::clone(&self.sources), self.packing.clone(), Arc::clone(&packing));
        let held = writer.try_clone()?;
        thread::Builder::new().name("taktuk put".to_owned()).spawn(move || {
            let packed = pack(&sources, &how, writer, &Counters::default());
            if let Err(Fault::Local(reason) | Fault::Remote(reason)) = packed {
                log::warn!("{reason}");
                *ours.fault.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason);
            }
            // Only now the far end can find that something is missing.
            drop(held);
        })?;
        Ok((path, packing))
    }
}

impl Freight for Archive {
    fn embark(&self, members: &[usize]) -> Result<Option<String>, String> {
        let packed = self.pack(members).map_err(|error| format!("cannot begin to pack the files: {error}"))?;
        let (path, packing) = packed;
        self.runs().extend(members.first().map(|first| (*first, packing)));
        Ok(Some(path))
    }

    fn take(&self, _member: usize, _bytes: &[u8]) -> bool {
        false
    }

    fn last(&self, _member: usize) {}

    fn delivered(&self, member: usize) -> Option<Result<(), String>> {
        let runs = self.runs();
        let packing = runs.values().find(|packing| packing.members.contains(&member));
        let fault = packing.and_then(|packing| packing.fault.lock().unwrap_or_else(PoisonError::into_inner).clone());
        Some(fault.map_or(Ok(()), Err))
    }

    fn disembark(&self, members: &[usize]) {
        if let Some(packing) = members.first().and_then(|first| self.runs().remove(first)) {
            packing.reader.lock().unwrap_or_else(PoisonError::into_inner).take();
        }
    }
}
