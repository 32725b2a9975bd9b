//! Files from many hosts to here, through taktuk.
//!
//! What hosts send comes through taktuk as their stdout, and taktuk looks at every line of it: for large files, ssh is
//! faster. (taktuk's own `get` would write to the final name, and does not say when it has; it is not used.) All hosts take
//! part at once, whatever the fan-out.

use std::collections::HashMap;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;

use phalanx_process::backend::Backend;
use phalanx_process::engine::EngineHandle;
use phalanx_process::host::Host;

use super::backend::{Freight, Plan, Taktuk};
use super::language::{self, Member};
use super::remote::transfer;
use super::{Reach, TaktukParams};
use crate::action::Action;
use crate::files::remote_script::GetScript;
use crate::files::{Arrival, CopyError, CopyOptions, Counters, Fault, GetTransfer, token};

/// Makes the action that gets these files.
pub(crate) fn action(
    name: String,
    gets: Vec<(Host, GetTransfer)>,
    options: CopyOptions,
    taktuk: &TaktukParams,
    engine: &EngineHandle,
) -> Result<Action, CopyError> {
    let hosts: Vec<_> = gets.iter().map(|(host, _)| host.clone()).collect();
    let Reach { arguments, addresses } = Reach::new(&hosts, &options.params, taktuk)?;
    let (mut members, mut arrivals) = (Vec::with_capacity(gets.len()), Vec::with_capacity(gets.len()));
    for ((_, get), (address, user)) in gets.iter().zip(addresses) {
        let token = token();
        let sources = get.sources.iter().map(|source| source.as_bytes()).collect();
        let script = GetScript { token: &token, verify: options.verify, sources }.text();
        // The remote end waits for a word that all is well here. It is said beforehand, and judged here.
        let line = language::script(&script, Some("echo ok"))?;
        members.push(Member { address, user, line });
        arrivals.push(get.arrival(token, &options));
    }
    let unpacking = Arc::new(Unpacking { arrivals: arrivals.into(), streams: Mutex::default(), call: OnceLock::new() });
    let plan = Plan { arguments, members, freight: Some(Arc::new(Shared(Arc::clone(&unpacking)))) };
    let backend = Backend::attach(Taktuk::new(plan), engine);
    let (handler, caller) = (backend.handler(), engine.clone());
    // It is set once, here.
    let _ = unpacking.call.set(Box::new(move || caller.wake_handler(handler)));
    Ok(transfer((name, &hosts), (options.policy, options.rollout), (&backend, engine), move |index, _| {
        let streams = unpacking.streams();
        match streams.get(&index).and_then(|stream| stream.result.get()) {
            Some(Ok(())) => None,
            Some(Err(reason)) => Some(Fault::Local(reason.clone())),
            None => Some(Fault::Disconnected),
        }
    }))
}

/// Unpacks what comes from all hosts, each on a thread of its own.
struct Unpacking {
    arrivals: Box<[Arrival]>,
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
            let from = Chunks { receiver, chunk: Vec::new(), read: 0 };
            let receive = || ours.arrivals[member].receive(from, &Counters::default(), || Ok(()));
            let received = catch_unwind(AssertUnwindSafe(receive)).unwrap_or_else(|_| {
                Err(Fault::Local("a thread of phalanx has panicked, which is a defect of it".to_owned()))
            });
            let received = received.map_err(|fault| match fault {
                Fault::Disconnected => "what the host sent has no end, and was thrown away".to_owned(),
                Fault::Local(reason) | Fault::Remote(reason) => reason,
            });
            // It is set once.
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
