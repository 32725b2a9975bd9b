//! The threads at the pipes of transfers: one packs what a put sends, another unpacks what a get receives.
//!
//! ```text
//!  worker ──end: result noted──▶ pipes closed ──▶ the remote end can end ──▶ the process ends ──▶ finished() looks
//! ```
//!
//! In that order, so that a result is there when it is looked for. A worker that panics has a result, too.

use std::io::{self, PipeReader, PipeWriter, Read, Write as _};
use std::os::fd::AsFd as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use phalanx_process::host::Host;

use super::Fault;
use super::arrival::Arrival;
use super::pack::{Packing, pack};
use super::progress::Counters;
use super::sources::Source;

/// How long workers may take, after the end of all processes, to remove what they have made.
const JOIN_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the remote end of a get may say nothing of it before its stdin is closed. By then, something there reads what
/// is meant for the script (a login script, perhaps), and would wait for more for ever. One that is just slow notices
/// nothing but the end of its stdin, which it has no need of.
const SILENCE: Duration = Duration::from_secs(10);

/// The workers of a set of transfers.
#[derive(Debug, Default)]
pub(super) struct Workers {
    running: Mutex<usize>,
    changed: Condvar,
}

/// One attempt at a transfer.
#[derive(Debug, Default)]
pub(super) struct Attempt(Mutex<AttemptState>);

#[derive(Debug, Default)]
struct AttemptState {
    result: Option<Result<(), Fault>>,
    /// Its process has ended, and was judged.
    is_over: bool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Workers {
    /// Starts a worker, whose part ends with the result of `work`.
    pub(super) fn start(
        self: &Arc<Self>,
        host: &Host,
        work: impl FnOnce(&Attempt) + Send + 'static,
    ) -> io::Result<Arc<Attempt>> {
        let attempt = Arc::new(Attempt::default());
        let counted = Counted::new(self);
        let (shared, host) = (Arc::clone(&attempt), host.to_string());
        let run = move || {
            let _counted = counted;
            work(&shared);
            if let Some(Err(Fault::Local(reason) | Fault::Remote(reason))) = &lock(&shared.0).result {
                log::info!("{host}: {reason}");
            }
        };
        thread::Builder::new().name("copy".to_owned()).spawn(run)?;
        Ok(attempt)
    }

    pub(super) fn are_idle(&self) -> bool {
        *lock(&self.running) == 0
    }

    /// Waits until none is left, for a few seconds.
    pub(super) fn join(&self) {
        let waited = self.changed.wait_timeout_while(lock(&self.running), JOIN_TIMEOUT, |running| *running > 0);
        let (running, waited) = waited.unwrap_or_else(PoisonError::into_inner);
        if waited.timed_out() {
            log::warn!("{running} transfers have ended, and something here still waits for a file");
        }
    }
}

/// A worker that is counted until it is gone, in whatever way.
struct Counted(Arc<Workers>);

impl Counted {
    fn new(workers: &Arc<Workers>) -> Self {
        *lock(&workers.running) += 1;
        Self(Arc::clone(workers))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        *lock(&self.0.running) -= 1;
        self.0.changed.notify_all();
    }
}

impl Attempt {
    /// Returns an attempt that has failed before it began.
    pub(super) fn failed(fault: Fault) -> Arc<Self> {
        Arc::new(Self(Mutex::new(AttemptState { result: Some(Err(fault)), is_over: false })))
    }

    /// Notes how the worker's part of it went. To be called before its pipes are closed.
    fn note(&self, work: impl FnOnce() -> Result<(), Fault>) -> bool {
        let result = catch_unwind(AssertUnwindSafe(work));
        let result = result.unwrap_or_else(|panic| Err(Fault::Local(described(&*panic))));
        let is_ok = result.is_ok();
        lock(&self.0).result = Some(result);
        is_ok
    }

    /// Whether what came may be put into place: not when the transfer was judged to have failed already.
    fn may_install(&self) -> Result<(), Fault> {
        if lock(&self.0).is_over { Err(Fault::Disconnected) } else { Ok(()) }
    }

    /// Ends it, and returns the result of its worker, which is that it was disconnected if it has none.
    pub(super) fn end(&self) -> Result<(), Fault> {
        let mut state = lock(&self.0);
        state.is_over = true;
        state.result.clone().unwrap_or(Err(Fault::Disconnected))
    }
}

fn described(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("it does not say why");
    format!("a thread of phalanx has panicked, which is a defect of it: {text}")
}

/// What the worker of a put has.
pub(super) struct Put {
    pub(super) script: Vec<u8>,
    pub(super) sources: Arc<[Source]>,
    pub(super) packing: Packing,
    pub(super) feed: PipeWriter,
    pub(super) counters: Arc<Counters>,
}

impl Put {
    pub(super) fn run(self, attempt: &Attempt) {
        let Self { script, sources, packing, mut feed, counters } = self;
        attempt.note(|| {
            feed.write_all(&script).map_err(|_| Fault::Disconnected)?;
            pack(&sources, &packing, &mut feed, &counters)
        });
    }
}

/// What the worker of a get has.
pub(super) struct Get {
    pub(super) script: Vec<u8>,
    pub(super) arrival: Arrival,
    pub(super) feed: PipeWriter,
    pub(super) drain: PipeReader,
    pub(super) counters: Arc<Counters>,
}

impl Get {
    pub(super) fn run(self, attempt: &Attempt) {
        let Self { script, arrival, mut feed, drain, counters } = self;
        let written = feed.write_all(&script);
        let mut remote = Remote {
            drain,
            feed: Some(feed),
            expected: format!("phalanx-get {} ", arrival.token).into_bytes(),
            closes_at: Some(Instant::now() + SILENCE),
        };
        let is_ok = attempt.note(|| {
            written.map_err(|_| Fault::Disconnected)?;
            arrival.receive(&mut remote, &counters, || attempt.may_install())
        });
        if let Some(mut feed) = remote.feed {
            // If it has ended, it needs no answer.
            let _ = feed.write_all(if is_ok { b"ok\n" } else { b"no\n" });
        }
    }
}

/// The remote end of a get.
struct Remote {
    drain: PipeReader,
    feed: Option<PipeWriter>,
    /// What its first word begins with.
    expected: Vec<u8>,
    /// When the feed is closed, as long as the first word has not come.
    closes_at: Option<Instant>,
}

impl Remote {
    /// Waits for something to read, or for the time to close the feed.
    fn wait(&mut self, closes_at: Instant) {
        let left = closes_at.saturating_duration_since(Instant::now());
        // Rounded up, so that it does not wait for nothing at all.
        let timeout = PollTimeout::try_from(left + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX);
        let readable = poll(&mut [PollFd::new(self.drain.as_fd(), PollFlags::POLLIN)], timeout);
        if readable == Ok(0) && Instant::now() >= closes_at {
            log::info!("the far end of a get says nothing: its stdin is closed, for it may wait for that");
            (self.feed, self.closes_at) = (None, None);
        }
    }
}

impl Read for Remote {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let Some(closes_at) = self.closes_at {
            self.wait(closes_at);
        }
        let count = self.drain.read(buffer)?;
        if self.closes_at.is_some() && memchr::memmem::find(&buffer[..count], &self.expected).is_some() {
            self.closes_at = None;
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn started(workers: &Arc<Workers>, work: impl FnOnce() -> Result<(), Fault> + Send + 'static) -> Arc<Attempt> {
        workers
            .start(&Host::new("n"), move |attempt| {
                attempt.note(work);
            })
            .unwrap()
    }

    #[test]
    fn a_worker_that_panics_is_a_fault_and_is_gone_at_once() {
        let workers = Arc::new(Workers::default());
        let attempt = started(&workers, || panic!("for a reason"));
        let begun = Instant::now();
        workers.join();
        assert!(begun.elapsed() < JOIN_TIMEOUT / 2);
        assert!(matches!(attempt.end(), Err(Fault::Local(reason)) if reason.contains("for a reason")));
    }

    #[test]
    fn one_without_a_result_is_disconnected_and_may_install_nothing_later() {
        let workers = Arc::new(Workers::default());
        let (sender, receiver) = std::sync::mpsc::channel::<()>();
        let attempt = started(&workers, move || {
            let _ = receiver.recv();
            Ok(())
        });
        assert_eq!(attempt.may_install(), Ok(()));
        assert_eq!(attempt.end(), Err(Fault::Disconnected));
        assert_eq!(attempt.may_install(), Err(Fault::Disconnected));
        drop(sender);
        workers.join();
        assert_eq!(*lock(&workers.running), 0);
    }
}
