//! Writes our stdout and stderr on a thread of its own, so that whoever reads them slowly, or not at all, cannot keep us
//! from timeouts, signals and the ends of processes.
//!
//! ```text
//!  engine's thread: Console ──pieces, in order──▶ queue ──▶ writer's thread ──▶ write(2), which may block for ever
//!        ▲                                         │
//!        └── stops reading the hosts while it is long; woken when it is short again
//! ```

use std::collections::VecDeque;
use std::io::{self, Write as _};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::OutputError;

/// Past this, the hosts are not read any more.
const CONGESTED: usize = 1 << 20;

/// Where a piece goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    Stdout,
    Stderr,
}

/// Called on the writer's thread when the queue has become short.
type Wake = Box<dyn Fn() + Send>;

/// The queue's near end.
pub(crate) struct Writer {
    shared: Arc<Shared>,
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer").field("waiting", &self.shared.state().bytes).finish()
    }
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    more: Condvar,
}

#[derive(Default)]
struct State {
    queue: VecDeque<(Target, Vec<u8>)>,
    /// In the queue and under way.
    bytes: usize,
    failure: Option<OutputError>,
    wake: Option<Wake>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics while the lock is held.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Writer {
    /// Starts the thread. It ends with the program.
    ///
    /// # Errors
    /// When the system has no thread left for it.
    pub(crate) fn start() -> io::Result<Self> {
        let shared: Arc<Shared> = Arc::default();
        let theirs = Arc::clone(&shared);
        std::thread::Builder::new().name("phalanx-writer".to_owned()).spawn(move || write_for_ever(&theirs))?;
        Ok(Self { shared })
    }

    /// Calls `wake` whenever the queue has become short or empty.
    pub(crate) fn on_progress(&self, wake: impl Fn() + Send + 'static) {
        self.shared.state().wake = Some(Box::new(wake));
    }

    /// Puts a piece at the end of the queue.
    pub(crate) fn push(&self, target: Target, bytes: Vec<u8>) {
        if bytes.is_empty() {
            return;
        }
        let mut state = self.shared.state();
        state.bytes += bytes.len();
        state.queue.push_back((target, bytes));
        self.shared.more.notify_one();
    }

    /// The first thing that went wrong since the last look.
    pub(crate) fn take_failure(&self) -> Option<OutputError> {
        self.shared.state().failure.take()
    }

    /// Whether more should not be pushed now.
    pub(crate) fn is_congested(&self) -> bool {
        self.shared.state().bytes > CONGESTED
    }

    /// Whether everything has been written, or cannot be.
    pub(crate) fn is_drained(&self) -> bool {
        self.shared.state().bytes == 0
    }
}

fn write_for_ever(shared: &Shared) {
    loop {
        let empty = |state: &mut State| state.queue.is_empty();
        let waited = shared.more.wait_while(shared.state(), empty);
        let piece = waited.unwrap_or_else(PoisonError::into_inner).queue.pop_front();
        let (target, bytes) = piece.expect("the queue was waited for");
        let written = write(target, &bytes);
        let mut state = shared.state();
        let before = state.bytes;
        state.bytes -= bytes.len();
        if let Err(error) = written {
            let to = if target == Target::Stdout { "stdout" } else { "stderr" };
            state.failure.get_or_insert(OutputError { to, error });
        }
        let short = before > CONGESTED && state.bytes <= CONGESTED;
        if (short || state.bytes == 0 || state.failure.is_some())
            && let Some(wake) = &state.wake
        {
            wake();
        }
    }
}

fn write(target: Target, bytes: &[u8]) -> io::Result<()> {
    match target {
        Target::Stdout => {
            let mut stdout = io::stdout().lock();
            stdout.write_all(bytes).and_then(|()| stdout.flush())
        }
        Target::Stderr => io::stderr().lock().write_all(bytes),
    }
}
