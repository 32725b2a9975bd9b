//! What this thread has to do with engines: the current-thread engines that it owns, and the one that it turns now.
//!
//! An engine that is turned by the thread that waits must be found by a wait that knows only a handle. So its event loop
//! is kept here, and whatever turns it takes it out for that time, as tokio does with its core: turning it again from
//! within finds nothing, and can be refused.

use std::cell::{Cell, RefCell};

use super::current_thread::CurrentThread;
use crate::id::EngineId;

thread_local! {
    static OWNED: RefCell<Vec<(EngineId, Option<Box<CurrentThread>>)>> = const { RefCell::new(Vec::new()) };
    static TURNING: Cell<Option<EngineId>> = const { Cell::new(None) };
}

/// Keeps an engine for the thread that made it.
pub(super) fn insert(id: EngineId, engine: Box<CurrentThread>) {
    OWNED.with_borrow_mut(|owned| owned.push((id, Some(engine))));
}

/// Takes an engine away; what turns it now, if something does, drops it.
pub(super) fn remove(id: EngineId) -> Option<Box<CurrentThread>> {
    // At the end of the thread, it may have been dropped with everything that was kept here.
    let taken = OWNED.try_with(|owned| {
        let mut owned = owned.borrow_mut();
        let place = owned.iter().position(|(known, _)| *known == id)?;
        owned.swap_remove(place).1
    });
    taken.ok().flatten()
}

/// Whether this thread owns that engine.
pub(super) fn owns(id: EngineId) -> bool {
    OWNED.try_with(|owned| owned.borrow().iter().any(|(known, _)| *known == id)).unwrap_or(false)
}

/// Whether this thread turns that engine now: what it is asked, it will see before it waits.
pub(super) fn turns(id: EngineId) -> bool {
    TURNING.try_with(|turning| turning.get() == Some(id)).unwrap_or(false)
}

/// EnvTags this thread as turning an engine until the result is dropped.
pub(super) fn turning(id: EngineId) -> Turning {
    Turning { before: TURNING.try_with(|turning| turning.replace(Some(id))).ok().flatten() }
}

pub(super) struct Turning {
    before: Option<EngineId>,
}

impl Drop for Turning {
    fn drop(&mut self) {
        // At the end of the thread there is nothing left to be told apart.
        let _ = TURNING.try_with(|turning| turning.set(self.before));
    }
}

/// Uses an engine of this thread.
///
/// # Panics
/// Inside one of its handlers.
pub(super) fn with<T>(id: EngineId, act: impl FnOnce(&mut CurrentThread) -> T) -> T {
    let engine = OWNED.with_borrow_mut(|owned| {
        let (_, engine) = owned.iter_mut().find(|(known, _)| *known == id).expect("the engine is owned by this thread");
        engine.take()
    });
    let engine = engine.expect("an engine cannot be turned inside one of its handlers: it would wait for itself");
    let mut taken = Taken { id, engine: Some(engine), _turning: turning(id) };
    act(taken.engine.as_mut().expect("it was just taken"))
}

/// An engine in use; it is put back however the use ends.
struct Taken {
    id: EngineId,
    engine: Option<Box<CurrentThread>>,
    _turning: Turning,
}

impl Drop for Taken {
    fn drop(&mut self) {
        let mut engine = self.engine.take();
        OWNED.with_borrow_mut(|owned| {
            if let Some((_, place)) = owned.iter_mut().find(|(known, _)| *known == self.id) {
                std::mem::swap(place, &mut engine);
            }
        });
        // One that was dropped meanwhile is dropped here, where what it holds may ask for engines of this thread.
        drop(engine);
    }
}

/// Refuses to block a thread that is inside a handler: the engine that runs the handler would stand still, and may wait
/// for itself.
///
/// # Panics
/// Inside a handler, and wherever else an engine runs code of others: a waker, a logger, the drop of what a handler held.
pub fn assert_may_block(what: &str) {
    let turning = TURNING.try_with(Cell::get).ok().flatten();
    assert!(
        turning.is_none(),
        "a handler cannot {what}: its engine would wait for itself; ask through its Context instead"
    );
}

/// Whether this thread is inside a turn of some engine.
pub(super) fn turns_any() -> bool {
    TURNING.try_with(|turning| turning.get().is_some()).unwrap_or(false)
}
