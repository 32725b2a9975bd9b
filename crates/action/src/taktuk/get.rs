//! Files from many hosts to here, through taktuk.

use std::collections::HashMap;
use std::ffi::OsString;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;

use phalanx_process::conductor::Conductor;
use phalanx_process::host::Host;
use phalanx_process::hosted::Backend;
use phalanx_process::outcome::Finished;

use super::backend::{Freight, Plan, Taktuk};
use super::language::{self, Member};
use super::remote::transfer;
use super::{Reach, TaktukError, TaktukParams};
use crate::action::Action;
use crate::files::Get;
use crate::files::get::GetError;
use crate::files::script::GetScript;
use crate::files::transfers::{Counters, Fault, Job, Parts, receive, token};
use crate::terms::set_terms;

/// Files and directories to be copied from each of some hosts. The rules are those of a [`Get`] ([`crate::files`]): no
/// host overwrites what another has sent, and nothing appears under its final name before all of it has come.
///
/// What hosts send comes through taktuk as their stdout, and taktuk looks at every line of it: for large files, ssh is
/// faster. (taktuk's own `get` would write to the final name, and does not say when it has; it is not used.) All hosts take part at once, whatever the fan-out.
#[derive(Debug, Clone)]
pub struct TaktukGet {
    get: Get,
    taktuk: TaktukParams,
}

/// Why there is nothing that could be got through taktuk.
#[derive(Debug, thiserror::Error)]
pub enum TaktukGetError {
    /// It could not be got by other means either.
    #[error(transparent)]
    Get(#[from] GetError),
    /// taktuk cannot do it.
    #[error(transparent)]
    Taktuk(#[from] TaktukError),
}

set_terms!(TaktukGet, get.terms);

impl From<Get> for TaktukGet {
    fn from(get: Get) -> Self {
        Self { get, taktuk: TaktukParams::default() }
    }
}

impl TaktukGet {
    /// `sources` of every one of `hosts` to `destination`.
    #[must_use]
    pub fn new(
        sources: impl IntoIterator<Item = impl Into<OsString>>,
        destination: impl Into<OsString>,
        hosts: impl IntoIterator<Item = impl Into<Host>>,
    ) -> Self {
        Get::new(sources, destination, hosts).into()
    }

    /// How taktuk is called.
    #[must_use]
    pub fn taktuk(self, taktuk: TaktukParams) -> Self {
        Self { taktuk, ..self }
    }

    /// Whether SHA-256 checksums computed at the far end are compared, before anything gets its final name.
    #[must_use]
    pub fn verify(self, verify: bool) -> Self {
        Self { get: self.get.verify(verify), ..self }
    }

    /// The action, run by the default conductor.
    ///
    /// # Errors
    /// When two hosts would write to the same place, a list is not there, or taktuk cannot do it.
    pub fn build(self) -> Result<Action, TaktukGetError> {
        self.build_on(Conductor::global())
    }

    /// The action, run by `conductor`.
    ///
    /// # Errors
    /// As for [`TaktukGet::build`].
    pub fn build_on(self, conductor: &Conductor) -> Result<Action, TaktukGetError> {
        let Parts { jobs, name, terms, verify } = self.get.into_parts()?;
        let hosts: Vec<_> = jobs.iter().map(|(host, _)| host.clone()).collect();
        let Reach { arguments, addresses } = Reach::new(&hosts, &terms.params, &self.taktuk)?;
        let (mut members, mut arrivals) = (Vec::with_capacity(jobs.len()), Vec::with_capacity(jobs.len()));
        for ((_, job), (address, user)) in jobs.into_iter().zip(addresses) {
            let Job::Get { sources, into, destination } = job else { unreachable!("the jobs of a get are gets") };
            let token = token();
            let sources = sources.iter().map(|source| source.as_bytes()).collect();
            let script = GetScript { token: &token, verify, sources }.text();
            // The far end waits for a word that all is well here. We say it beforehand, and judge ourselves.
            let line = language::script(&script, Some("echo ok"))?;
            members.push(Member { address, user, line });
            arrivals.push(Arrival { token, into, destination });
        }
        let unpacking =
            Arc::new(Unpacking { arrivals: arrivals.into(), verify, streams: Mutex::default(), call: OnceLock::new() });
        let plan = Plan { arguments, members, freight: Some(Arc::new(Shared(Arc::clone(&unpacking)))) };
        let backend = Backend::attach(Taktuk::new(plan), conductor);
        let (handler, caller) = (backend.handler(), conductor.clone());
        // It is set once, here.
        let _ = unpacking.call.set(Box::new(move || caller.call(handler)));
        let fault = move |index, _: &Finished| unpacking.streams().get(&index)?.result.get()?.clone().err();
        Ok(transfer((name, &hosts), (terms.policy, terms.rollout), (&backend, conductor), fault))
    }
}

/// What comes from one host, and where it goes.
struct Arrival {
    token: String,
    into: bool,
    destination: PathBuf,
}

/// Unpacks what comes from all hosts, each on a thread of its own.
struct Unpacking {
    arrivals: Box<[Arrival]>,
    verify: bool,
    streams: Mutex<HashMap<usize, Stream>>,
    /// Has the backend look whether something has been delivered.
    call: OnceLock<Box<dyn Fn() + Send + Sync>>,
}

/// What comes from one host in one run.
struct Stream {
    /// To the thread; `None` when it is at its end.
    sender: Option<Sender<Vec<u8>>>,
    /// Set by the thread; one that belongs to an earlier run has another.
    result: Arc<OnceLock<Result<(), String>>>,
}

impl Stream {
    fn failed(reason: String) -> Self {
        Self { sender: None, result: Arc::new(Err(reason).into()) }
    }
}

/// What a thread reads.
struct Chunks {
    receiver: Receiver<Vec<u8>>,
    chunk: Vec<u8>,
    read: usize,
}

impl Read for Chunks {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.read == self.chunk.len() {
            // No sender any more is the end of the stream.
            self.chunk = self.receiver.recv().unwrap_or_default();
            self.read = 0;
        }
        let count = buffer.len().min(self.chunk.len() - self.read);
        buffer[..count].copy_from_slice(&self.chunk[self.read..self.read + count]);
        self.read += count;
        Ok(count)
    }
}

/// The threads hold it too.
struct Shared(Arc<Unpacking>);

impl Unpacking {
    fn streams(&self) -> MutexGuard<'_, HashMap<usize, Stream>> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to unpack what comes from a member.
    fn begin(self: &Arc<Self>, member: usize) -> Stream {
        let (sender, receiver) = mpsc::channel();
        let ours = Arc::clone(self);
        let result = Arc::new(OnceLock::new());
        let outcome = Arc::clone(&result);
        let work = move || {
            let Arrival { token, into, destination } = &ours.arrivals[member];
            let from = Chunks { receiver, chunk: Vec::new(), read: 0 };
            let received = receive(from, token, ours.verify, (destination, *into), &Counters::default());
            let received = received.map_err(|fault| match fault {
                Fault::Cut => "what the host sent has no end, and was thrown away".to_owned(),
                Fault::Here(reason) | Fault::There(reason) => reason,
            });
            // Nobody else sets it.
            let _ = outcome.set(received);
            if let Some(call) = ours.call.get() {
                call();
            }
        };
        match thread::Builder::new().name(format!("taktuk get {member}")).spawn(work) {
            Ok(_) => Stream { sender: Some(sender), result },
            Err(error) => Stream::failed(format!("cannot begin to unpack: {error}")),
        }
    }
}

impl Freight for Shared {
    fn embark(&self, members: &[usize]) -> Result<Option<String>, String> {
        let mut streams = self.0.streams();
        members.iter().for_each(|member| drop(streams.remove(member)));
        Ok(None)
    }

    fn take(&self, member: usize, bytes: &[u8]) -> bool {
        let mut streams = self.0.streams();
        let stream = streams.entry(member).or_insert_with(|| self.0.begin(member));
        if let Some(sender) = &stream.sender {
            // A thread that has given up has said why.
            let _ = sender.send(bytes.to_vec());
        }
        true
    }

    fn last(&self, member: usize) {
        let nothing = || Stream::failed("the host sent nothing".to_owned());
        self.0.streams().entry(member).or_insert_with(nothing).sender = None;
    }

    fn delivered(&self, member: usize) -> Option<Result<(), String>> {
        self.0.streams().get(&member)?.result.get().cloned()
    }

    fn disembark(&self, members: &[usize]) {
        members.iter().for_each(|member| self.last(*member));
    }
}
