//! Files from here to many hosts, through taktuk: packed once, passed on from host to host.

use std::collections::HashMap;
use std::ffi::OsString;
use std::io::{self, PipeReader};
use std::os::fd::AsRawFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use phalanx_process::conductor::Conductor;
use phalanx_process::host::Host;
use phalanx_process::hosted::Backend;

use super::backend::{Freight, Plan, Taktuk};
use super::language::{self, Member};
use super::remote::transfer;
use super::{Reach, TaktukError, TaktukParams};
use crate::action::Action;
use crate::files::Put;
use crate::files::pack::pack;
use crate::files::put::PutError;
use crate::files::script::PutScript;
use crate::files::sources::Source;
use crate::files::transfers::{Counters, Fault, Job, Parts, token};
use crate::terms::set_terms;

/// What a TakTuk may keep in memory of what others have not taken yet. Without a limit it is the whole archive, for each
/// host that it has connected to itself.
const CACHE_LIMIT: &str = "67108864";

/// Files and directories to be copied to each of some hosts. The rules are those of a [`Put`] ([`crate::files`]): what
/// `~` and patterns mean, where files go, and that nothing appears under its final name before all of it has come.
///
/// The archive is the same for all hosts and travels from one to the other, so sources cannot have substitutions that
/// make them different; the destination can. (taktuk's own `put` would write to the final name, and take `$` in it
/// for a variable; it is not used.) All hosts take part at once, whatever the fan-out.
#[derive(Debug, Clone)]
pub struct TaktukPut {
    put: Put,
    taktuk: TaktukParams,
}

/// Why there is nothing that could be put through taktuk.
#[derive(Debug, thiserror::Error)]
pub enum TaktukPutError {
    /// It could not be put by other means either.
    #[error(transparent)]
    Put(#[from] PutError),
    /// taktuk cannot do it.
    #[error(transparent)]
    Taktuk(#[from] TaktukError),
    /// Hosts would be sent different files.
    #[error(
        "`{first}` and `{second}` would be sent different files, and taktuk sends the same to all: use scp instead"
    )]
    Different {
        /// A host.
        first: String,
        /// Another.
        second: String,
    },
}

set_terms!(TaktukPut, put.terms);

impl From<Put> for TaktukPut {
    fn from(put: Put) -> Self {
        Self { put, taktuk: TaktukParams::default() }
    }
}

impl TaktukPut {
    /// `sources` to `destination` on every one of `hosts`.
    #[must_use]
    pub fn new(
        sources: impl IntoIterator<Item = impl Into<OsString>>,
        destination: impl Into<OsString>,
        hosts: impl IntoIterator<Item = impl Into<Host>>,
    ) -> Self {
        Put::new(sources, destination, hosts).into()
    }

    /// How taktuk is called.
    #[must_use]
    pub fn taktuk(self, taktuk: TaktukParams) -> Self {
        Self { taktuk, ..self }
    }

    /// Whether SHA-256 checksums are compared at the far end, before anything gets its final name.
    #[must_use]
    pub fn verify(self, verify: bool) -> Self {
        Self { put: self.put.verify(verify), ..self }
    }

    /// The action, run by the default conductor.
    ///
    /// # Errors
    /// When a source is missing or cannot be read, two have the same name, a list is not there, hosts would be sent
    /// different files, or taktuk cannot do it.
    pub fn build(self) -> Result<Action, TaktukPutError> {
        self.build_on(Conductor::global())
    }

    /// The action, run by `conductor`.
    ///
    /// # Errors
    /// As for [`TaktukPut::build`].
    pub fn build_on(self, conductor: &Conductor) -> Result<Action, TaktukPutError> {
        let Parts { jobs, name, terms, verify } = self.put.into_parts()?;
        let hosts: Vec<_> = jobs.iter().map(|(host, _)| host.clone()).collect();
        let Reach { mut arguments, addresses } = Reach::new(&hosts, &terms.params, &self.taktuk)?;
        arguments.splice(1..1, ["-u".into(), CACHE_LIMIT.into()]);
        let mut all: Option<(&Host, &Arc<[Source]>)> = None;
        let mut members = Vec::with_capacity(jobs.len());
        for ((host, job), (address, user)) in jobs.iter().zip(addresses) {
            let Job::Put { sources, into, destination } = job else { unreachable!("the jobs of a put are puts") };
            let (first, same) = *all.get_or_insert((host, sources));
            if same != sources {
                let (first, second) = (first.to_string(), host.to_string());
                return Err(TaktukPutError::Different { first, second });
            }
            let names = sources.iter().map(|source| source.name.as_bytes()).collect();
            let destination = destination.as_bytes();
            let script = PutScript { token: &token(), into: *into, verify, destination, names };
            members.push(Member { address, user, line: language::script(&script.text(), None)? });
        }
        let sources = all.map_or_else(|| Arc::from([]), |(_, sources)| Arc::clone(sources));
        let freight = Archive { sources, verify, runs: Mutex::default() };
        let plan = Plan { arguments, members, freight: Some(Arc::new(freight)) };
        let backend = Backend::attach(Taktuk::new(plan), conductor);
        Ok(transfer((name, &hosts), (terms.policy, terms.rollout), (&backend, conductor), |_, finished| {
            // What the far end says last is how it went.
            let failed = finished.outcome.exit_code().is_some_and(|code| code != 0);
            let said = finished.stdout.text();
            let last = said.lines().map(str::trim_end).rfind(|line| !line.is_empty());
            last.filter(|_| failed).map(str::to_owned)
        }))
    }
}

/// What is sent to all hosts.
struct Archive {
    sources: Arc<[Source]>,
    verify: bool,
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
        let (sources, verify, ours) = (Arc::clone(&self.sources), self.verify, Arc::clone(&packing));
        let held = writer.try_clone()?;
        thread::Builder::new().name("taktuk put".to_owned()).spawn(move || {
            let packed = pack(&sources, verify, writer, &Counters::default());
            if let Err(Fault::Here(reason) | Fault::There(reason)) = packed {
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
