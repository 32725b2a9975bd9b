//! Names processes, handlers and timers. A name is never reused, so a late event finds nothing instead of a stranger.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

/// A process of this program, from its description to its end. A restarted process gets a new name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProcessId(pub(crate) u64);

/// An engine: what drives a table of processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EngineId(u64);

/// A handler that was given to an engine. It means nothing to any other engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HandlerId {
    engine: EngineId,
    number: u64,
}

/// A handler that runs processes, instead of the kernel of this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BackendId(pub HandlerId);

/// A timer that a handler asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TimerId(pub(crate) u64);

/// One counter for all names: at a million a second it lasts half a million years. Zero is kept for the engine.
static NEXT: AtomicU64 = AtomicU64::new(1);

fn reserve(count: u64) -> u64 {
    NEXT.fetch_add(count, Ordering::Relaxed)
}

impl ProcessId {
    /// A new name.
    #[expect(clippy::new_without_default, reason = "every name is different, so there is no default one")]
    #[must_use]
    pub fn new() -> Self {
        Self(reserve(1))
    }

    /// Returns it as a number, for a token of the reactor or a tag in an environment.
    #[must_use]
    pub fn number(self) -> u64 {
        self.0
    }

    /// Returns the process with this number, as [`ProcessId::number`] gave it.
    #[must_use]
    pub fn from_number(number: u64) -> Self {
        Self(number)
    }

    /// `count` new names in a row, for those who want to compute an index from a name.
    #[must_use]
    pub fn block(count: usize) -> ProcessIds {
        let count = count as u64;
        ProcessIds { first: reserve(count), count }
    }
}

/// Names in a row, made by [`ProcessId::block`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProcessIds {
    first: u64,
    count: u64,
}

impl ProcessIds {
    /// The name at `index`.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn at(&self, index: usize) -> ProcessId {
        assert!((index as u64) < self.count, "index {index} of a block of {} names", self.count);
        ProcessId(self.first + index as u64)
    }

    /// Where in the row `id` stands.
    #[must_use]
    pub fn index(&self, id: ProcessId) -> Option<usize> {
        let index = id.0.checked_sub(self.first).filter(|index| *index < self.count)?;
        usize::try_from(index).ok()
    }
}

impl EngineId {
    /// Makes a new name.
    #[expect(clippy::new_without_default, reason = "every name is different, so there is no default one")]
    #[must_use]
    pub fn new() -> Self {
        Self(reserve(1))
    }
}

impl HandlerId {
    /// Makes a new name for a handler of that engine.
    #[must_use]
    pub fn new(engine: EngineId) -> Self {
        Self { engine, number: reserve(1) }
    }

    /// Returns the engine that it was given to.
    #[must_use]
    pub fn engine(self) -> EngineId {
        self.engine
    }
}

impl TimerId {
    /// Makes a new name.
    #[expect(clippy::new_without_default, reason = "every name is different, so there is no default one")]
    #[must_use]
    pub fn new() -> Self {
        Self(reserve(1))
    }
}

impl fmt::Display for ProcessId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {}", self.0)
    }
}
