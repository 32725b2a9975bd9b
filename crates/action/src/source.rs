//! How the members of a job are started: the seam between a job, which knows numbers, and what carries the work to the
//! hosts.
//!
//! ```text
//!  ssh, exec ─────────────────────┐
//!  copies by ssh ─────────────────┤                  spec, finished    ┌─ an action of the library
//!  copies along a chain ──────────┼─▶ MemberSource ◀──────────────────┤
//!  taktuk, for commands and files ┘                                    └─ a step of a plan: run, put, get, play
//! ```

use std::fmt;

use phalanx_process::Spec;
use phalanx_process::engine::EngineHandle;
use phalanx_process::outcome::Finished;
use phalanx_process::result::{Delivery, Route};

use crate::chain::Broadcast;
use crate::files::{Fault, Progress, TransferSet};

/// Makes the members of a job at the moment they start, for what should not be held before its turn, such as descriptors;
/// and judges them when they have ended.
pub trait MemberSource: fmt::Debug + Send + Sync {
    /// Prepares for members that are to run on this engine. Called before the first start.
    fn attach(&self, _engine: &EngineHandle) {}

    /// Describes the process at `index`, which is about to start. Called by a handler: it must not wait.
    fn spec(&self, index: usize) -> Spec;

    /// Returns what was wrong with the process at `index`, apart from how it ended. Called by a handler, once for every
    /// start: it must not wait.
    fn finished(&self, _index: usize, _finished: &Finished) -> Option<Fault> {
        None
    }

    /// Returns what is known of the files of the process at `index`, if it carries some. Called as
    /// [`finished`](MemberSource::finished) is, instead of it.
    fn delivery(&self, index: usize, finished: &Finished) -> Option<Delivery> {
        self.carries_files().then(|| Fault::delivery(self.finished(index, finished)))
    }

    /// Waits until what was made for the processes is gone, now that all have ended.
    fn join(&self) {}

    /// Reports whether there is nothing to wait for.
    fn is_idle(&self) -> bool {
        true
    }

    /// Returns what the process at `index` does, for people.
    fn describe(&self, index: usize) -> String {
        self.spec(index).launch.command.to_string()
    }

    /// Returns how the hosts are reached, and so what the exit status of a process means.
    fn route(&self) -> Route {
        Route::Ssh
    }

    /// Reports whether the processes carry files: their stdout is then a protocol, and not for people.
    fn carries_files(&self) -> bool {
        false
    }

    /// Returns how far the files have got.
    fn progress(&self) -> Progress {
        Progress::default()
    }

    /// Returns how far the files have to get, if that can be known. May look at every file.
    fn total(&self) -> Option<Progress> {
        None
    }

    /// Returns the chain, if the members feed each other and start in an order of their own.
    fn chain(&self) -> Option<&Broadcast> {
        None
    }
}

impl MemberSource for TransferSet {
    fn spec(&self, index: usize) -> Spec {
        Self::spec(self, index)
    }

    fn finished(&self, index: usize, finished: &Finished) -> Option<Fault> {
        Self::finished(self, index, finished)
    }

    fn join(&self) {
        Self::join(self);
    }

    fn is_idle(&self) -> bool {
        Self::is_idle(self)
    }

    fn describe(&self, index: usize) -> String {
        Self::describe(self, index)
    }

    fn carries_files(&self) -> bool {
        true
    }

    fn progress(&self) -> Progress {
        Self::progress(self)
    }

    fn total(&self) -> Option<Progress> {
        Self::total(self)
    }
}

impl MemberSource for Broadcast {
    /// Is not called: the chain's own handler starts its members.
    fn spec(&self, index: usize) -> Spec {
        unreachable!("member {index} of a chain is started by the chain")
    }

    fn finished(&self, index: usize, finished: &Finished) -> Option<Fault> {
        Self::finished(self, index, finished)
    }

    fn delivery(&self, index: usize, finished: &Finished) -> Option<Delivery> {
        Some(Self::delivery(self, index, finished))
    }

    fn describe(&self, index: usize) -> String {
        Self::describe(self, index)
    }

    fn carries_files(&self) -> bool {
        true
    }

    fn progress(&self) -> Progress {
        Self::progress(self)
    }

    fn total(&self) -> Option<Progress> {
        Some(Self::total(self))
    }

    fn chain(&self) -> Option<&Broadcast> {
        Some(self)
    }
}
