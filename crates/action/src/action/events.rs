//! An action as an iterator of what happens to its processes.

use std::collections::HashMap;

use phalanx_process::Process;
use phalanx_process::engine::{EngineHandle, assert_may_block};
use phalanx_process::event::Event;
use phalanx_process::id::{HandlerId, ProcessId};
use phalanx_process::subscription;

use super::Action;

/// What happens to the processes of an action, in order, each with the place of its process among
/// [`Action::processes`]. It ends with the action. Who reads slowly is felt by the processes: no more than some megabytes
/// wait here.
#[derive(Debug)]
pub struct Events {
    action: Action,
    events: subscription::Events,
    tap: Tap,
    places: HashMap<ProcessId, usize>,
    /// Where the next start is looked for first: they come in order, mostly.
    next: usize,
}

/// Lets go of the tap when nobody reads any more, or when the action has ended.
#[derive(Debug, Clone)]
struct Tap {
    engine: EngineHandle,
    handler: HandlerId,
}

impl Action {
    /// Starts it, and tells everything that happens to its processes. Waiting for the next event is waiting for the
    /// action: as with [`Action::wait`], not within a handler.
    ///
    /// ```
    /// use phalanx_action::local::Local;
    /// use phalanx_process::event::Event;
    ///
    /// for (place, event) in Local::new("echo hello").build().events() {
    ///     if let Event::Output { bytes, .. } = event {
    ///         print!("{place}: {}", String::from_utf8_lossy(&bytes));
    ///     }
    /// }
    /// ```
    ///
    /// # Panics
    /// When it was started before.
    #[must_use]
    pub fn events(self) -> Events {
        let engine = self.engine().clone();
        let (handler, events) = engine.subscribe_filtered();
        for process in self.processes() {
            drop(process.clone().heard_by(handler));
        }
        let tap = Tap { engine, handler };
        let last = tap.clone();
        let action = self.start();
        let processes = action.processes().to_vec();
        action.when_ended(move || last.let_go_of(&processes));
        Events { action, events, tap, places: HashMap::new(), next: 0 }
    }
}

impl Tap {
    /// Also by the processes: they would present it to the engine at every later start.
    fn let_go_of(&self, processes: &[Process]) {
        processes.iter().for_each(|process| process.unheard_by(self.handler));
        self.engine.release(self.handler);
    }
}

impl Events {
    /// The action itself.
    #[must_use]
    pub fn action(&self) -> &Action {
        &self.action
    }

    /// The process at a place.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn process(&self, place: usize) -> &Process {
        &self.action.processes()[place]
    }

    fn place(&mut self, id: ProcessId) -> Option<usize> {
        if let Some(place) = self.places.get(&id) {
            return Some(*place);
        }
        let processes = self.action.processes();
        let mut order = (self.next..processes.len()).chain(0..self.next);
        let place = order.find(|place| processes[*place].id() == Some(id))?;
        self.next = place + 1;
        self.places.insert(id, place);
        Some(place)
    }
}

impl Iterator for Events {
    type Item = (usize, Event);

    fn next(&mut self) -> Option<Self::Item> {
        assert_may_block("wait for an event of an action");
        loop {
            let event = self.events.next()?;
            if let Some(place) = event.process().and_then(|id| self.place(id)) {
                if let Event::Ended { id, .. } = &event {
                    self.places.remove(id);
                }
                return Some((place, event));
            }
        }
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        self.tap.let_go_of(self.action.processes());
    }
}
