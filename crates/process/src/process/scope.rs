//! A process that does not outlive a scope.

use std::ops::Deref;

use super::Process;

/// Kills its process when it is dropped. Does not wait for its end: whoever wants that calls
/// [`Process::wait`] first.
#[derive(Debug)]
#[must_use = "dropping it kills the process"]
pub struct Scoped(Process);

impl Process {
    /// Ties it to a scope: it is killed, with everything that it started, when the result is dropped, also by a panic
    /// or a `?`. Starts it if it was not.
    ///
    /// ```
    /// use phalanx_process::Process;
    ///
    /// let process = Process::new("sleep 1000");
    /// {
    ///     let server = process.clone().scoped();
    ///     assert!(server.pid().is_some());
    /// }
    /// assert!(process.wait().killed());
    /// ```
    pub fn scoped(self) -> Scoped {
        Scoped(self.start())
    }
}

impl Deref for Scoped {
    type Target = Process;

    fn deref(&self) -> &Process {
        &self.0
    }
}

impl Drop for Scoped {
    fn drop(&mut self) {
        self.0.kill();
    }
}
