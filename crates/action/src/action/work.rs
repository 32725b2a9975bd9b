//! What an action does: the seam between the handle that everybody holds and the many ways of running processes.

use std::fmt;
use std::sync::Arc;

use phalanx_process::Process;
use phalanx_process::event::Kill;
use phalanx_process::outcome::Finished;
use phalanx_process::result::Delivery;
use phalanx_process::stats::Stats;

/// Work that can be begun, ended and begun again: processes within a rollout, actions side by side or one after the
/// other, a chain of transfers…
///
/// ```text
///  Action::start ──▶ begin(over) ──▶ … processes run … ──▶ over.tell() ──▶ handlers of the end ──▶ who waits
///  Action::kill  ──▶ kill
/// ```
pub trait Work: Send + Sync {
    /// Its processes, in the order of their hosts. The same every time.
    fn processes(&self) -> Vec<Process>;

    /// Begins, on the engine's thread: it must not wait. Sees to it that `over` is told when all processes have ended
    /// and nothing more will happen. When it was [killed](Work::kill) already, since the last reset, that is at once.
    fn begin(self: Arc<Self>, over: Over);

    /// Starts nothing more, and ends what runs. Called on any thread, also more than once and before or while it begins;
    /// returns at once.
    fn kill(&self, kill: Kill);

    /// Makes it ready to begin again. Called when it is over.
    fn reset(&self) {
        self.processes().into_iter().for_each(|process| drop(process.reset()));
    }

    /// Its figures as they are now.
    fn stats(&self, name: &str) -> Stats {
        let parts = self.processes().iter().map(Process::stats).collect();
        Stats { parts: Vec::new(), ..Stats::sum(name, parts) }
    }

    /// Returns what is known of the files of the process at `index`, which has ended so, if it transfers some. Asked when
    /// all is over.
    fn delivery(&self, _index: usize, _finished: &Finished) -> Option<Delivery> {
        None
    }
}

/// Tells that a work is over. Dropping it tells so too: what was to tell it is gone, with its engine or by a panic, and the
/// work with it.
#[must_use = "an action whose end is not told ends at once"]
pub struct Over(Option<Box<dyn FnOnce() + Send>>);

impl Over {
    /// Does `tell` when it is told.
    pub fn new(tell: impl FnOnce() + Send + 'static) -> Self {
        Self(Some(Box::new(tell)))
    }

    /// It is over. May be called on any thread.
    pub fn tell(self) {
        drop(self);
    }
}

impl Drop for Over {
    fn drop(&mut self) {
        if let Some(tell) = self.0.take() {
            tell();
        }
    }
}

impl fmt::Debug for Over {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Over")
    }
}
