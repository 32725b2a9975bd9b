//! One transfer for every host: the ssh process, the worker thread that feeds or drains it, and what went wrong.
//!
//! The one who drives an engine starts the process that [`TransferSet::spec`] describes, and asks
//! [`TransferSet::finished`] when it has ended; neither waits for anything. [`TransferSet::into_action`] does that with a
//! engine. At the end of all, [`TransferSet::join`] waits for workers that have something to tidy up.
//!
//! Neither has to wait because the remote end does: a put ends with a word that everything is in place, and the remote end
//! of a get ends when the worker has told it that everything is in place here, and has noted that before. A process that
//! ends without such a word is a transfer that has failed, whatever its exit status.

use std::fmt;
use std::io::{self, PipeReader, PipeWriter};
use std::os::unix::ffi::OsStrExt as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use phalanx_process::engine::EngineHandle;
use phalanx_process::host::Host;
use phalanx_process::outcome::Finished;
use phalanx_process::output::Capture;
use phalanx_process::spec::{Command, Launch, Output, Stdin};
use phalanx_process::ssh::SshProcess;
use phalanx_process::{Process, Spec};

use super::Fault;
use super::acknowledgement::{Acknowledgement, token};
use super::copy::CopyOptions;
use super::pack::Packing;
use super::progress::{Counters, Progress, size_of_tree};
use super::remote_script::{self, GetScript, PutScript};
use super::sources::Source;
use super::transfer::{GetTransfer, PutTransfer, Transfer};
use super::worker::{Attempt, Get, Put, Workers};
use crate::action::Action;

/// How much of what the remote end of a put says is kept: its last words say how it went.
const KEPT_OF_STDOUT: usize = 16 * 1024;

/// A put or a get for each of some hosts, ready to begin. Cloning gives another handle to the same.
#[derive(Clone)]
pub struct TransferSet {
    inner: Arc<Inner>,
}

struct Inner {
    name: String,
    options: CopyOptions,
    members: Vec<Member>,
    counters: Arc<Counters>,
    workers: Arc<Workers>,
}

/// The transfer of one host.
struct Member {
    host: Host,
    transfer: Transfer,
    state: Mutex<State>,
}

/// The present attempt.
#[derive(Default)]
struct State {
    attempt: Option<Arc<Attempt>>,
    /// What a put is to hear.
    acknowledgement: Option<Acknowledgement>,
}

impl fmt::Debug for TransferSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TransferSet({:?}, {} hosts)", self.inner.name, self.inner.members.len())
    }
}

impl TransferSet {
    pub(super) fn new(name: String, transfers: Vec<(Host, Transfer)>, options: CopyOptions) -> Self {
        let member = |(host, transfer)| Member { host, transfer, state: Mutex::default() };
        let members = transfers.into_iter().map(member).collect();
        let (counters, workers) = Default::default();
        Self { inner: Arc::new(Inner { name, options, members, counters, workers }) }
    }

    /// Starts what is needed here for the transfer at `index`, and describes the ssh process that is to be started now.
    ///
    /// A transfer that cannot begin has a process that cannot start, and a fault when that has [ended](Self::finished).
    #[must_use]
    pub fn spec(&self, index: usize) -> Spec {
        let member = &self.inner.members[index];
        self.try_spec(member).unwrap_or_else(|error| {
            let fault = format!("cannot begin the transfer: {error}");
            let attempt = Attempt::failed(Fault::Local(fault.clone()));
            *member.state() = State { attempt: Some(attempt), acknowledgement: None };
            let launch = Launch { command: Command::Arguments(Vec::new()), name: Some(fault), ..Launch::default() };
            Spec { launch, policy: self.inner.options.policy.clone() }
        })
    }

    fn try_spec(&self, member: &Member) -> io::Result<Spec> {
        let (stdin, feed) = io::pipe()?;
        let mut spec = match &member.transfer {
            Transfer::Put(put) => self.spec_of_put(member, put, feed)?,
            Transfer::Get(get) => self.spec_of_get(member, get, feed)?,
        };
        spec.launch.stdin = Stdin::Descriptor(Arc::new(stdin.into()));
        Ok(spec)
    }

    fn spec_of_put(&self, member: &Member, transfer: &PutTransfer, feed: PipeWriter) -> io::Result<Spec> {
        let options = &self.inner.options;
        let (token, receipt) = (token(), token());
        let script = PutScript { token: &token, verify: options.verify, transfer }.text();
        let mut spec = self.spec_of(member, &script);
        spec.policy.capture_stdout = Capture::Last(KEPT_OF_STDOUT);
        let sources = Arc::clone(&transfer.sources);
        let acknowledgement = Acknowledgement { token, sources: sources.len(), receipt: receipt.clone() };
        let packing = Packing { verify: options.verify, keep_setid: options.keep_setid, receipt };
        let put = Put { script, sources, packing, feed, counters: Arc::clone(&self.inner.counters) };
        let attempt = self.inner.workers.start(&member.host, move |attempt| put.run(attempt))?;
        *member.state() = State { attempt: Some(attempt), acknowledgement: Some(acknowledgement) };
        Ok(spec)
    }

    fn spec_of_get(&self, member: &Member, transfer: &GetTransfer, feed: PipeWriter) -> io::Result<Spec> {
        let options = &self.inner.options;
        let token = token();
        let sources = transfer.sources.iter().map(|source| source.as_bytes()).collect();
        let script = GetScript { token: &token, verify: options.verify, sources }.text();
        let mut spec = self.spec_of(member, &script);
        let (drain, stdout): (PipeReader, _) = io::pipe()?;
        spec.launch.stdout = Output::Descriptor(Arc::new(stdout.into()));
        let arrival = transfer.arrival(token, options);
        let get = Get { script, arrival, feed, drain, counters: Arc::clone(&self.inner.counters) };
        let attempt = self.inner.workers.start(&member.host, move |attempt| get.run(attempt))?;
        *member.state() = State { attempt: Some(attempt), acknowledgement: None };
        Ok(spec)
    }

    fn spec_of(&self, member: &Member, script: &[u8]) -> Spec {
        let options = &self.inner.options;
        let mut spec =
            SshProcess::new(remote_script::command(script), &member.host).params(options.params.clone()).spec();
        spec.policy = options.policy.clone();
        spec.launch.name = Some(self.inner.name.clone());
        spec
    }

    /// Judges the transfer at `index`, whose process has ended so: returns what was wrong with it, and nothing only if
    /// everything is known to be in place. To be asked once for every [start](Self::spec).
    #[must_use]
    pub fn finished(&self, index: usize, finished: &Finished) -> Option<Fault> {
        let State { attempt, acknowledgement } = &*self.inner.members[index].state();
        let result = attempt.as_ref().map_or(Err(Fault::Disconnected), |attempt| attempt.end());
        match (acknowledgement, result) {
            (_, Err(fault @ (Fault::Local(_) | Fault::Remote(_)))) => Some(fault),
            // What could not be sent was not wanted any more, and the remote end says why.
            (Some(acknowledgement), _) => acknowledgement.check(finished.stdout.bytes()).err(),
            (None, result) => result.err(),
        }
    }

    /// Waits until the workers are gone, with what they have made for transfers that failed, but not for longer than a few
    /// seconds. Not to be called by a handler.
    pub fn join(&self) {
        self.inner.workers.join();
    }

    /// Whether no worker has anything to do.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.inner.workers.are_idle()
    }

    /// How much has been transferred so far.
    #[must_use]
    pub fn progress(&self) -> Progress {
        self.inner.counters.progress()
    }

    /// Returns how much there is to be put in all. Looks at every file; of a get, it cannot be known.
    #[must_use]
    pub fn total(&self) -> Option<Progress> {
        let mut known: Vec<(*const Source, Progress)> = Vec::new();
        let mut total = Progress::default();
        for member in &self.inner.members {
            let Transfer::Put(PutTransfer { sources, .. }) = &member.transfer else { return None };
            let found = known.iter().find(|(pointer, _)| *pointer == sources.as_ptr()).map(|(_, size)| *size);
            let size = found.unwrap_or_else(|| {
                let size = sources.iter().map(|source| size_of_tree(&source.path, true)).sum();
                known.push((sources.as_ptr(), size));
                size
            });
            total = [total, size].into_iter().sum();
        }
        Some(total)
    }

    /// What it is called in reports.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// Says what the transfer at `index` would do.
    #[must_use]
    pub fn describe(&self, index: usize) -> String {
        self.inner.members[index].transfer.to_string()
    }

    /// Makes the action that does all of them.
    #[must_use]
    pub fn into_action(self, engine: &EngineHandle) -> Action {
        let options = &self.inner.options;
        let process = |member: &Member| {
            let launch = Launch { name: Some(self.inner.name.clone()), ..Launch::default() };
            let spec = Spec { launch, policy: options.policy.clone() };
            Process::from_spec(spec, engine).on_host(member.host.address())
        };
        let processes = self.inner.members.iter().map(process).collect();
        let (name, rollout) = (self.inner.name.clone(), options.rollout.clone());
        Action::prepared(name, processes, rollout, engine, Arc::new(self))
    }
}

impl Member {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
