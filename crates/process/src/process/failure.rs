//! Failed processes as an error that says which, why, and what to do about it.

use std::fmt;
use std::sync::Arc;

use super::Process;
use crate::result::{Delivery, Evidence, HostResult, ResultKind, Route};

/// How many failures the message of [`ProcessesFailed`] lists; all are in [`ProcessesFailed::failures`].
const LISTED: usize = 32;

/// Processes that are not ok: which, and why.
///
/// ```
/// use phalanx_process::Process;
///
/// let failed = Process::shell("echo disk is full >&2; exit 3").named("backup").run().check().unwrap_err();
/// assert_eq!(failed.to_string(), "backup: exited with exit code 3: disk is full");
/// assert_eq!(failed.failures()[0].last_words(), Some("disk is full"));
/// ```
#[derive(Clone)]
pub struct ProcessesFailed {
    failures: Vec<Failure>,
    total: usize,
}

/// One process that is not ok.
#[derive(Clone)]
pub struct Failure {
    process: Process,
    result: HostResult,
    last_words: Option<String>,
}

impl ProcessesFailed {
    /// Returns the error of these failures, of `total` processes.
    #[must_use]
    pub fn new(failures: Vec<Failure>, total: usize) -> Self {
        Self { failures, total }
    }

    /// Returns what failed, in the order of the processes.
    #[must_use]
    pub fn failures(&self) -> &[Failure] {
        &self.failures
    }

    /// Returns how many processes there were, failed or not.
    #[must_use]
    pub fn total(&self) -> usize {
        self.total
    }
}

impl Failure {
    /// Returns the process, with everything that is known of it.
    #[must_use]
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// Returns the host it was to run on, where that is not this one.
    #[must_use]
    pub fn host(&self) -> Option<Arc<str>> {
        self.process.host()
    }

    /// Returns what became of it.
    #[must_use]
    pub fn result(&self) -> &HostResult {
        &self.result
    }

    /// Returns what kind of failure it is.
    #[must_use]
    pub fn kind(&self) -> ResultKind {
        self.result.kind()
    }

    /// Returns what happened, in words that follow the name of the host.
    #[must_use]
    pub fn sentence(&self) -> String {
        self.result.sentence()
    }

    /// Returns what to do about it, where that is known.
    #[must_use]
    pub fn advice(&self) -> Option<&str> {
        self.result.advice()
    }

    /// Returns the last line of its stderr, unless the sentence has it already.
    #[must_use]
    pub fn last_words(&self) -> Option<&str> {
        self.last_words.as_deref()
    }
}

impl fmt::Display for Failure {
    /// Writes one line: the host, or the name of the process; the sentence; its last words.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host() {
            Some(host) => write!(f, "{host}: {}", self.result)?,
            None => write!(f, "{}: {}", self.process.name(), self.result)?,
        }
        self.last_words.iter().try_for_each(|words| write!(f, ": {words}"))
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for ProcessesFailed {
    /// Writes a line for each failure, below how many there are of how many; of a single process its line alone.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let ([failure], 1) = (&self.failures[..], self.total) {
            return fmt::Display::fmt(failure, f);
        }
        write!(f, "{} of {} failed:", self.failures.len(), self.total)?;
        self.failures.iter().take(LISTED).try_for_each(|failure| write!(f, "\n  {failure}"))?;
        match self.failures.len().saturating_sub(LISTED) {
            0 => Ok(()),
            more => write!(f, "\n  and {more} more"),
        }
    }
}

impl fmt::Debug for ProcessesFailed {
    /// Writes the same as `Display`, which is what a `main` that returns the error prints.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for ProcessesFailed {}

impl Process {
    /// Returns what became of it, once it has ended.
    #[must_use]
    pub fn result(&self) -> Option<HostResult> {
        self.result_of(None)
    }

    /// Returns what became of it, once it has ended, given what the transfer of files says whose process it is.
    #[must_use]
    pub fn result_of(&self, delivery: Option<Delivery>) -> Option<HostResult> {
        let finished = self.finished()?;
        Some(Evidence::new(&finished, self.route()).delivery(delivery).judge())
    }

    /// Returns why it failed, given the result that it has with all that is known of it.
    #[must_use]
    pub fn failure(&self, result: HostResult) -> Failure {
        let last_words = self.finished().and_then(|finished| result.last_words(&finished));
        Failure { process: self.clone(), result, last_words }
    }

    /// A process that runs on another host is one of ssh, unless something else runs it there.
    fn route(&self) -> Route {
        let state = self.state();
        if state.host.is_some() && state.spec.launch.hosted.is_none() { Route::Ssh } else { Route::Direct }
    }

    /// Returns a failed process as an error.
    ///
    /// # Errors
    /// When it has ended and is not ok.
    pub fn check(self) -> Result<Self, ProcessesFailed> {
        if self.ok() {
            return Ok(self);
        }
        let result = self.result().expect("a process that has not ended is ok");
        Err(ProcessesFailed::new(vec![self.failure(result)], 1))
    }
}
