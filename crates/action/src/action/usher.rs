//! What runs on the engine's thread for every action: its beginning, its end, and who is to be told of them. User code is
//! told as any handler is, so that it may panic, and is refused to wait.

use std::sync::{Arc, Weak};

use phalanx_process::Process;
use phalanx_process::event::{Event, Notification};
use phalanx_process::handler::{Context, Handler};
use phalanx_process::id::HandlerId;

use super::{Action, Inner, Over};

/// Begins the work on the engine's thread, after the handlers of the start, and ends the action there, after those of
/// the end: called for each, and calls are answered in order.
pub(super) struct Usher {
    action: Action,
    has_begun: bool,
    has_ended: bool,
}

impl Usher {
    pub(super) fn new(action: &Action) -> Self {
        Self { action: action.clone(), has_begun: false, has_ended: false }
    }

    fn end(&mut self) {
        if std::mem::replace(&mut self.has_ended, true) {
            return;
        }
        if self.action.engine().ended().is_some() {
            // Each gets the reason as its start error.
            self.action.processes().iter().for_each(|process| drop(process.clone().start()));
        }
        // A wait for a process whose turn never came ends.
        self.action.processes().iter().for_each(Process::call_off);
        self.action.inner.phase.end();
    }

    fn begin(&self, me: HandlerId) {
        let (engine, on_end) = (self.action.engine().clone(), self.action.settings().on_end.clone());
        let over = Over::new(move || on_end.into_iter().chain([me]).for_each(|handler| engine.wake_handler(handler)));
        Arc::clone(&self.action.inner.work).begin(over);
    }
}

impl Handler for Usher {
    fn on_event(&mut self, _context: &mut Context<'_>, _event: &Event) {}

    fn on_notification(&mut self, context: &mut Context<'_>, _notice: &Notification) {
        if !std::mem::replace(&mut self.has_begun, true) {
            return self.begin(context.handler());
        }
        context.detach();
        self.end();
    }
}

impl Drop for Usher {
    /// The engine has ended, and with it the action.
    fn drop(&mut self) {
        self.end();
    }
}

/// Something to be told of an action.
pub(super) struct Callback<F> {
    pub(super) action: Weak<Inner>,
    pub(super) callback: F,
}

impl<F: FnMut(&mut Context<'_>, &Action) + Send> Handler for Callback<F> {
    fn on_event(&mut self, _context: &mut Context<'_>, _event: &Event) {}

    fn on_notification(&mut self, context: &mut Context<'_>, _notice: &Notification) {
        if let Some(inner) = self.action.upgrade() {
            (self.callback)(context, &Action { inner });
        }
    }
}
