//! One transfer for every host: the ssh process, the thread that feeds or drains it, and what went wrong.
//!
//! Whoever drives an engine starts the process that [`Transfers::begin`] describes, and asks [`Transfers::fault`] when
//! it has ended. [`Transfers::into_action`] does that with a conductor.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs::{self, DirBuilder};
use std::hash::{BuildHasher as _, RandomState};
use std::io::{self, PipeReader, PipeWriter, Read, Write as _};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use phalanx_process::conductor::Conductor;
use phalanx_process::host::Host;
use phalanx_process::outcome::Finished;
use phalanx_process::output::Capture;
use phalanx_process::result::Delivery;
use phalanx_process::spec::{Command, Launch, Output, Stdin};
use phalanx_process::{Process, Spec};

use super::script::{self, GetScript, PutScript};
use super::sources::{self, Source};
use super::{pack, place, unpack};
use crate::action::{Action, Preparation};
use crate::substitute::{Lists, SubstituteError};
use crate::terms::Terms;

/// How much of what the far end of a put says is kept: its last line says how it went.
const KEPT_OF_STDOUT: usize = 4096;
/// How long a thread may take to notice that its ssh has ended, and to remove what it has made.
const PATIENCE: Duration = Duration::from_secs(5);

/// A put or a get for each of some hosts, ready to begin. Cloning gives another handle to the same.
#[derive(Clone)]
pub struct Transfers {
    inner: Arc<Inner>,
}

struct Inner {
    name: String,
    terms: Terms,
    verify: bool,
    members: Vec<Arc<Member>>,
    counters: Arc<Counters>,
}

/// The transfer of one host.
struct Member {
    host: Host,
    job: Job,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// How many threads work for it: more than one when it is tried again before the last one has noticed its failure.
    running: usize,
    /// How often it was begun. Only the last attempt may say what was wrong.
    attempts: u32,
    fault: Option<Fault>,
}

/// What is to be done.
#[derive(Debug)]
pub(crate) enum Job {
    Put { sources: Arc<[Source]>, into: bool, destination: OsString },
    Get { sources: Vec<OsString>, into: bool, destination: PathBuf },
}

/// All that a put or a get has decided.
pub(crate) struct Parts {
    /// What is to be done for every host.
    pub(crate) jobs: Vec<(Host, Job)>,
    pub(crate) name: String,
    pub(crate) terms: Terms,
    pub(crate) verify: bool,
}

/// Why the thread of a transfer gave up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Its ssh ended too early, and knows why.
    Cut,
    /// Something here.
    Here(String),
    /// The far end said so.
    There(String),
}

/// How much has been transferred, by all hosts together.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    bytes: AtomicU64,
    files: AtomicU64,
}

impl Counters {
    pub(crate) fn add_bytes(&self, count: usize) {
        self.bytes.fetch_add(count as u64, Ordering::Relaxed);
    }

    pub(crate) fn add_file(&self) {
        self.files.fetch_add(1, Ordering::Relaxed);
    }
}

/// How much has been transferred, by all hosts together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// Bytes of files: sent, of a put, which may be more than has arrived; written, of a get.
    pub bytes: u64,
    /// Files of which all bytes were.
    pub files: u64,
}

impl fmt::Debug for Transfers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Transfers({:?}, {} hosts)", self.inner.name, self.inner.members.len())
    }
}

impl Transfers {
    pub(super) fn new(parts: Parts) -> Self {
        let Parts { jobs, name, terms, verify } = parts;
        let member = |(host, job)| Member { host, job, state: Mutex::default(), changed: Condvar::new() };
        let inner = Inner {
            name,
            terms,
            verify,
            members: jobs.into_iter().map(member).map(Arc::new).collect(),
            counters: Arc::default(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Starts what is needed here for the transfer at `index`, and describes the ssh process that is to be started now.
    ///
    /// A transfer that cannot begin has a process that cannot start, and a [fault](Transfers::fault).
    #[must_use]
    pub fn begin(&self, index: usize) -> Spec {
        let member = &self.inner.members[index];
        self.try_begin(member).unwrap_or_else(|error| {
            let fault = format!("cannot begin the transfer: {error}");
            member.end(member.begin(), Err(Fault::Here(fault.clone())));
            let launch = Launch { command: Command::Arguments(Vec::new()), name: Some(fault), ..Launch::default() };
            Spec { launch, policy: self.inner.terms.policy.clone() }
        })
    }

    fn try_begin(&self, member: &Arc<Member>) -> io::Result<Spec> {
        let token = token();
        let inner = &self.inner;
        let text = match &member.job {
            Job::Put { sources, into, destination } => {
                let names = sources.iter().map(|source| source.name.as_bytes()).collect();
                let destination = destination.as_bytes();
                PutScript { token: &token, into: *into, verify: inner.verify, destination, names }.text()
            }
            Job::Get { sources, .. } => {
                let sources = sources.iter().map(|source| source.as_bytes()).collect();
                GetScript { token: &token, verify: inner.verify, sources }.text()
            }
        };
        let mut spec = inner.terms.params.spec(&member.host, &script::command(&text));
        spec.policy = inner.terms.policy.clone();
        spec.launch.name = Some(inner.name.clone());
        let (stdin, feed) = io::pipe()?;
        spec.launch.stdin = Stdin::Descriptor(Arc::new(stdin.into()));
        if let Job::Get { .. } = member.job {
            let (drain, stdout) = io::pipe()?;
            spec.launch.stdout = Output::Descriptor(Arc::new(stdout.into()));
            let work = Work { member: Arc::clone(member), inner: Arc::clone(inner), token, text };
            work.start(move |work| work.get(feed, drain))?;
        } else {
            spec.policy.capture_stdout = Capture::Last(KEPT_OF_STDOUT);
            let work = Work { member: Arc::clone(member), inner: Arc::clone(inner), token, text };
            work.start(move |work| work.put(feed))?;
        }
        Ok(spec)
    }

    /// What was wrong with the transfer at `index`, whose process has ended so; nothing if nothing was, or if it is
    /// the connection or the process that went wrong, which `finished` says.
    ///
    /// Waits for a moment until what was made here for it is removed. Not to be called by a handler, since the end of
    /// the process must have been told to all before.
    #[must_use]
    pub fn fault(&self, index: usize, finished: &Finished) -> Option<String> {
        let member = &self.inner.members[index];
        member.settle();
        match &member.state().fault {
            Some(Fault::Here(reason) | Fault::There(reason)) => return Some(reason.clone()),
            Some(Fault::Cut) | None => {}
        }
        match (&member.job, finished.outcome.exit_code()) {
            (_, None | Some(0)) => None,
            (Job::Put { .. }, Some(_)) => {
                let said = finished.stdout.text();
                let last = said.lines().map(str::trim_end).rfind(|line| !line.is_empty())?;
                Some(last.to_owned())
            }
            (Job::Get { .. }, Some(_)) => None,
        }
    }

    /// Returns what is known of the files of the transfer at `index`, whose process has ended so. Waits as
    /// [`Transfers::fault`] does, and is not to be called by a handler either.
    #[must_use]
    pub fn delivery(&self, index: usize, finished: &Finished) -> Delivery {
        Delivery::of_fault(self.fault(index, finished), finished)
    }

    /// How much has been transferred so far.
    #[must_use]
    pub fn progress(&self) -> Progress {
        let counters = &self.inner.counters;
        Progress { bytes: counters.bytes.load(Ordering::Relaxed), files: counters.files.load(Ordering::Relaxed) }
    }

    /// How much there is to be put in all. Looks at every file; of a get, nobody knows.
    #[must_use]
    pub fn total(&self) -> Option<Progress> {
        let mut known: Vec<(*const Source, Progress)> = Vec::new();
        let mut total = Progress::default();
        for member in &self.inner.members {
            let Job::Put { sources, .. } = &member.job else { return None };
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

    /// What the transfer at `index` would do, in words.
    #[must_use]
    pub fn describe(&self, index: usize) -> String {
        let member = &self.inner.members[index];
        let join =
            |words: Vec<&OsStr>| words.iter().map(|word| format!("`{}`", word.display())).collect::<Vec<_>>().join(" ");
        match &member.job {
            Job::Put { sources, into, destination } => {
                let sources = join(sources.iter().map(|source| source.path.as_os_str()).collect());
                format!("put {sources} {} `{}`", if *into { "into" } else { "at" }, destination.display())
            }
            Job::Get { sources, into, destination } => {
                let sources = join(sources.iter().map(OsString::as_os_str).collect());
                format!("get {sources} {} `{}`", if *into { "into" } else { "at" }, destination.display())
            }
        }
    }

    /// The action that does all of them.
    #[must_use]
    pub fn into_action(self, conductor: &Conductor) -> Action {
        let process = |member: &Arc<Member>| {
            let launch = Launch { name: Some(self.inner.name.clone()), ..Launch::default() };
            let spec = Spec { launch, policy: self.inner.terms.policy.clone() };
            Process::from_spec(spec, conductor).on_host(member.host.address())
        };
        let processes = self.inner.members.iter().map(process).collect();
        let (name, rollout) = (self.inner.name.clone(), self.inner.terms.rollout.clone());
        Action::prepared(name, processes, rollout, conductor, Arc::new(self))
    }
}

impl Preparation for Transfers {
    fn prepare(&self, index: usize) -> Spec {
        self.begin(index)
    }

    fn settle(&self) {
        for member in &self.inner.members {
            member.settle();
        }
    }

    fn delivery(&self, index: usize, finished: &Finished) -> Option<Delivery> {
        Some(Self::delivery(self, index, finished))
    }
}

impl Member {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self) -> u32 {
        let mut state = self.state();
        state.running += 1;
        state.attempts += 1;
        state.fault = None;
        state.attempts
    }

    fn end(&self, attempt: u32, result: Result<(), Fault>) {
        let mut state = self.state();
        state.running -= 1;
        if attempt == state.attempts {
            state.fault = result.err();
        }
        self.changed.notify_all();
    }

    fn settle(&self) {
        let state = self.state();
        let waited = self.changed.wait_timeout_while(state, PATIENCE, |state| state.running > 0);
        if waited.unwrap_or_else(PoisonError::into_inner).1.timed_out() {
            log::warn!("{}: the transfer has ended, and something here still waits for a file", self.host);
        }
    }
}

/// What a thread works with.
struct Work {
    member: Arc<Member>,
    inner: Arc<Inner>,
    token: String,
    text: Vec<u8>,
}

impl Work {
    fn start(self, work: impl FnOnce(&Self) -> Result<(), Fault> + Send + 'static) -> io::Result<()> {
        let member = Arc::clone(&self.member);
        let attempt = member.begin();
        let name = format!("files {}", member.host);
        let run = move || {
            let result = work(&self);
            if let Err(Fault::Here(reason) | Fault::There(reason)) = &result {
                log::info!("{}: {reason}", self.member.host);
            }
            self.member.end(attempt, result);
        };
        let started = thread::Builder::new().name(name).spawn(run).map(drop);
        started.inspect_err(|error| member.end(attempt, Err(Fault::Here(error.to_string()))))
    }

    fn put(&self, mut feed: PipeWriter) -> Result<(), Fault> {
        let Job::Put { sources, .. } = &self.member.job else { unreachable!("the job is a put") };
        feed.write_all(&self.text).map_err(|_| Fault::Cut)?;
        pack::pack(sources, self.inner.verify, feed, &self.inner.counters)
    }

    fn get(&self, mut feed: PipeWriter, drain: PipeReader) -> Result<(), Fault> {
        let Job::Get { into, destination, .. } = &self.member.job else { unreachable!("the job is a get") };
        feed.write_all(&self.text).map_err(|_| Fault::Cut)?;
        receive(drain, &self.token, self.inner.verify, (destination, *into), &self.inner.counters)?;
        feed.write_all(b"ok\n").map_err(|_| Fault::Cut)
    }
}

/// Unpacks what the script of a get sends, and moves it to where it belongs when all of it has come: a path, and whether
/// that is a directory they go into.
pub(crate) fn receive(
    from: impl Read,
    token: &str,
    verify: bool,
    (destination, into): (&Path, bool),
    counters: &Counters,
) -> Result<(), Fault> {
    let stream = unpack::await_stream(from, token)?;
    if let Some(failure) = stream.failure() {
        return Err(failure);
    }
    let directory = landing(destination, into).map_err(Fault::Here)?;
    let temporary = Temporary::new(directory, token)?;
    for name in stream.unpack(verify, &temporary.0, counters)? {
        let target = if into { destination.join(&name) } else { destination.to_owned() };
        place::place(&temporary.0.join(&name), &target).map_err(Fault::Here)?;
    }
    Ok(())
}

/// The directory that files come into, made if it may be.
fn landing(destination: &Path, into: bool) -> Result<&Path, String> {
    let failed = |error: io::Error| format!("cannot make the directory `{}`: {error}", destination.display());
    if into {
        fs::create_dir_all(destination).map_err(failed)?;
        return Ok(destination);
    }
    let parent = destination.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if parent.is_dir() {
        return Ok(parent);
    }
    let parent = parent.display();
    Err(format!("there is no directory `{parent}` here: make it, or end the destination with a slash to have it made"))
}

/// A private directory that is removed with all that is left in it.
struct Temporary(PathBuf);

impl Temporary {
    fn new(parent: &Path, token: &str) -> Result<Self, Fault> {
        let path = parent.join(format!(".phalanx-get-{token}"));
        let made = DirBuilder::new().mode(0o700).create(&path);
        made.map_err(|error| Fault::Here(format!("cannot write into `{}`: {error}", parent.display())))?;
        Ok(Self(path))
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if let Err(error) = place::remove(&self.0) {
            log::warn!("cannot remove `{}`: {error}", self.0.display());
        }
    }
}

impl std::iter::Sum for Progress {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        let add = |sum: Self, one: Self| Self { bytes: sum.bytes + one.bytes, files: sum.files + one.files };
        all.fold(Self::default(), add)
    }
}

/// How much there is; what cannot be read counts nothing, and is complained about when its turn comes.
pub(crate) fn size_of_tree(path: &Path, follow: bool) -> Progress {
    let meta = if follow { fs::metadata(path) } else { fs::symlink_metadata(path) };
    match meta {
        Ok(meta) if meta.is_file() => Progress { bytes: meta.len(), files: 1 },
        Ok(meta) if meta.is_dir() => {
            let entries = fs::read_dir(path).into_iter().flatten().flatten();
            entries.map(|entry| size_of_tree(&entry.path(), false)).sum()
        }
        _ => Progress::default(),
    }
}

/// Names a private directory. It need not be a secret, since a directory that is there already is refused.
pub(crate) fn token() -> String {
    format!("{:016x}", RandomState::new().hash_one(std::process::id()))
}

/// `text` for one host. What is not UTF-8 stays as it is.
pub(crate) fn substitute(lists: &Lists, text: &OsStr, host: &Host, index: usize) -> Result<OsString, SubstituteError> {
    let mut result = Vec::new();
    for chunk in text.as_bytes().utf8_chunks() {
        result.extend_from_slice(lists.substitute(chunk.valid(), host, index)?.as_bytes());
        result.extend_from_slice(chunk.invalid());
    }
    Ok(OsString::from_vec(result))
}

/// Whether the sources need a directory to go into.
pub(crate) fn goes_into(sources: &[OsString], destination: &OsStr) -> bool {
    let bytes = destination.as_bytes();
    let ends_like_one = [&b"/"[..], b"/.", b"/.."].iter().any(|end| bytes.ends_with(end));
    sources::are_many(sources) || ends_like_one || [&b""[..], b".", b"..", b"~"].contains(&bytes)
}
