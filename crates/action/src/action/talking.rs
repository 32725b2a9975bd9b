//! Talking with all processes of an action at once: expecting something of them, and writing to them.

use phalanx_process::Process;
use phalanx_process::engine::assert_may_block;
use phalanx_process::event::Stream;
use phalanx_process::expect::{InvalidPattern, MatchResult};
use phalanx_process::process::{IntoExpect, expect_all};
use phalanx_process::watch::Timeout;

use super::Action;

impl Action {
    /// Waits until each of its processes says on stdout what is expected, all at once, but no longer than the default: the
    /// verdicts, in the order of the processes. Who has not been started yet is waited for too; the end of a stream is a
    /// verdict at once.
    ///
    /// ```
    /// # use phalanx_action::remote::Remote;
    /// # use std::time::Duration;
    /// # let params = phalanx_process::ssh::SshOptions { ssh: Some("echo".into()), ..Default::default() };
    /// let servers = Remote::new("echo ready; sleep 1000", ["n1", "n2"]).params(params).build()?;
    /// let servers = servers.default_expect_timeout(Some(Duration::from_secs(60))).start();
    /// let verdicts = servers.expect("ready")?;
    /// assert!(verdicts.iter().all(Result::is_ok));
    /// servers.kill();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// When a pattern is malformed.
    ///
    /// # Panics
    /// When it was never started, or inside a handler.
    pub fn expect(&self, patterns: impl IntoExpect) -> Result<Vec<MatchResult>, InvalidPattern> {
        self.expect_on(Stream::Stdout, Timeout::Default, patterns)
    }

    /// As [`Action::expect`], on either stream and with a limit of its own.
    ///
    /// # Errors
    /// When a pattern is malformed.
    ///
    /// # Panics
    /// As [`Action::expect`].
    pub fn expect_on(
        &self,
        stream: Stream,
        limit: impl Into<Timeout>,
        patterns: impl IntoExpect,
    ) -> Result<Vec<MatchResult>, InvalidPattern> {
        assert_may_block("expect something of an action");
        assert!(self.started(), "an action must be started before something can be expected of it");
        let limit = match (limit.into(), self.settings().expect_timeout) {
            (Timeout::Default, Some(timeout)) => Timeout::After(timeout),
            (limit, _) => limit,
        };
        expect_all(self.processes(), stream, limit, patterns)
    }

    /// Writes to all its processes, each within its own bound: waits for those that read slowly, after all others have
    /// been given theirs. For those whose turn has not come it is kept until then. See [`Process::write`].
    ///
    /// # Panics
    /// Inside a handler, and when it was never started.
    pub fn write(&self, bytes: impl AsRef<[u8]>) {
        assert_may_block("write to an action");
        assert!(self.started(), "an action must be started before it can be written to");
        let bytes = bytes.as_ref();
        let slow: Vec<_> = self.processes().iter().filter(|process| process.try_write(bytes).is_err()).collect();
        slow.into_iter().for_each(|process| process.write(bytes));
    }

    /// Closes the stdin of all its processes, once everything has been written.
    pub fn close_stdin(&self) {
        self.processes().iter().for_each(Process::close_stdin);
    }
}
