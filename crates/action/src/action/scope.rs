//! An action that does not outlive a scope.

use std::ops::Deref;

use super::Action;

/// Kills its action when it is dropped. Does not wait for its end: whoever wants that calls [`Action::wait`] first.
#[derive(Debug)]
#[must_use = "dropping it kills the action"]
pub struct Scoped(Action);

impl Action {
    /// Ties it to a scope: it is killed when the result is dropped, also by a panic or a `?`. Starts it if it was not.
    pub fn scoped(self) -> Scoped {
        self.begin();
        Scoped(self)
    }
}

impl Deref for Scoped {
    type Target = Action;

    fn deref(&self) -> &Action {
        &self.0
    }
}

impl Drop for Scoped {
    fn drop(&mut self) {
        self.0.kill();
    }
}
