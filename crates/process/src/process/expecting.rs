//! Expecting something of a process, and conversing with it. The rules of what is found are those of [`crate::expect`].

use std::sync::Arc;

use super::{Process, Prospect, Run, State};
use crate::engine::assert_may_block;
use crate::event::Stream;
use crate::expect::{Expect, InvalidPattern, Match, MatchResult, Pattern, Script, ScriptOutcome};
use crate::watch::{ExpectFailed, Timeout, Watch, Watched};

/// What can be given where patterns are asked for: one pattern, several, or an [`Expect`] made earlier.
pub trait IntoExpect {
    /// The patterns, compiled.
    ///
    /// # Errors
    /// When a regular expression is malformed.
    fn into_expect(self) -> Result<Expect, InvalidPattern>;
}

impl IntoExpect for Expect {
    fn into_expect(self) -> Result<Expect, InvalidPattern> {
        Ok(self)
    }
}

impl IntoExpect for &Expect {
    fn into_expect(self) -> Result<Expect, InvalidPattern> {
        Ok(self.clone())
    }
}

impl IntoExpect for &str {
    fn into_expect(self) -> Result<Expect, InvalidPattern> {
        Expect::one(self)
    }
}

impl IntoExpect for Pattern {
    fn into_expect(self) -> Result<Expect, InvalidPattern> {
        Expect::one(self)
    }
}

impl<N: Into<Pattern>, const COUNT: usize> IntoExpect for [N; COUNT] {
    fn into_expect(self) -> Result<Expect, InvalidPattern> {
        Expect::new(self)
    }
}

impl<N: Into<Pattern>> IntoExpect for Vec<N> {
    fn into_expect(self) -> Result<Expect, InvalidPattern> {
        Expect::new(self)
    }
}

impl Process {
    /// Waits until it says on stdout what is expected, but no longer than its
    /// [default](Process::default_expect_timeout). Looks first at what was received and not yet consumed.
    ///
    /// A miss is logged, and makes the process "not ok" (see [`crate::spec::Faults::expect_failed`]).
    ///
    /// ```
    /// use std::time::Duration;
    /// use phalanx_process::{Process, expect::Pattern, spec::Output};
    ///
    /// // A shell writes its prompt to stderr, and only if that is a terminal too.
    /// let shell = Process::new("sh").pty().stderr_to(Output::WithStdout).env("PS1", "ready> ");
    /// let shell = shell.default_expect_timeout(Some(Duration::from_secs(60))).start();
    /// shell.expect("ready> ")?;
    /// shell.write("echo $((6 * 7))\n");
    /// let found = shell.expect(Pattern::regex(r"^(\d+)$"))?;
    /// assert_eq!(found.group_text(1).as_deref(), Some("42"));
    /// shell.close_stdin();
    /// # Ok::<(), phalanx_process::watch::ExpectFailed>(())
    /// ```
    ///
    /// # Errors
    /// When it did not come: the time was over, or stdout has ended. When a pattern is malformed.
    ///
    /// # Panics
    /// When the process was never started, or inside a handler; those use [`crate::watch::ExpectHandler`].
    pub fn expect(&self, patterns: impl IntoExpect) -> Result<Match, ExpectFailed> {
        self.expect_on(Stream::Stdout, Timeout::Default, patterns)
    }

    /// As [`Process::expect`], with a limit of its own. With no time at all it only looks at what was received, and a
    /// miss is no failure.
    ///
    /// # Errors
    /// As [`Process::expect`].
    ///
    /// # Panics
    /// As [`Process::expect`].
    pub fn expect_within(&self, limit: impl Into<Timeout>, patterns: impl IntoExpect) -> Result<Match, ExpectFailed> {
        self.expect_on(Stream::Stdout, limit.into(), patterns)
    }

    /// As [`Process::expect`], on either stream and with a limit of its own.
    ///
    /// # Errors
    /// As [`Process::expect`].
    ///
    /// # Panics
    /// As [`Process::expect`].
    pub fn expect_on(&self, stream: Stream, limit: Timeout, patterns: impl IntoExpect) -> Result<Match, ExpectFailed> {
        let patterns = patterns.into_expect()?;
        Ok(self.promise(stream, limit, patterns).wait(self.engine())?)
    }

    /// Consumes everything received so far: what is expected next must come after it.
    ///
    /// # Panics
    /// When the process was never started.
    pub fn skip_received(&self, stream: Stream) {
        self.with_watch(|watch| watch.skip_received(stream));
    }

    /// Every match from here on, one after the other, until the stream ends or one of them takes longer than the limit;
    /// neither is a failure.
    ///
    /// ```
    /// use phalanx_process::{Process, event::Stream, expect::Pattern, watch::Timeout};
    ///
    /// let process = Process::shell("echo a=1 b=2 c=3").start();
    /// let values = process.matches(Stream::Stdout, Timeout::Never, Pattern::regex(r"=(\d)"))?;
    /// let values: Vec<_> = values.map(|found| found.group_text(1).unwrap().into_owned()).collect();
    /// assert_eq!(values, ["1", "2", "3"]);
    /// # Ok::<(), phalanx_process::expect::InvalidPattern>(())
    /// ```
    ///
    /// # Errors
    /// When a pattern is malformed.
    pub fn matches(
        &self,
        stream: Stream,
        limit: Timeout,
        patterns: impl IntoExpect,
    ) -> Result<Matches, InvalidPattern> {
        Ok(Matches { process: self.clone(), stream, limit, patterns: patterns.into_expect()?, over: false })
    }

    /// Plays a script: answers what it says on stdout until the script has succeeded or failed. The limit is for each
    /// answer. Anything but success makes the process "not ok". Its stdin must be live: a [`pty`](Process::pty), or
    /// [`crate::spec::Stdin::Pipe`].
    ///
    /// # Errors
    /// When a pattern is malformed.
    ///
    /// # Panics
    /// As [`Process::expect`].
    pub fn run_script(&self, limit: Timeout, script: &Script) -> Result<ScriptOutcome, InvalidPattern> {
        assert_may_block("converse with a process");
        let limit = self.limit(limit);
        self.with_watch(|watch| watch.run_script(Stream::Stdout, script, limit))
    }

    fn limit(&self, limit: Timeout) -> Option<std::time::Duration> {
        match limit {
            Timeout::Default => self.state().expect_timeout,
            Timeout::Never => None,
            Timeout::After(limit) => Some(limit),
        }
    }

    fn promise(&self, stream: Stream, limit: Timeout, patterns: Expect) -> crate::watch::Promise {
        assert_may_block("expect something of a process");
        let limit = self.limit(limit);
        let strict = limit != Some(std::time::Duration::ZERO);
        self.with_watch(|watch| watch.expect(stream, patterns, limit, strict))
    }

    fn with_watch<T>(&self, with: impl FnOnce(&Watch) -> T) -> T {
        let run = {
            let mut state = self.state();
            let known = state.run.is_some() || state.prospect != Prospect::Unknown;
            assert!(known, "a process must be started before something can be expected of it");
            state.present_or_coming()
        };
        let result = with(self.watch(&run));
        // After the asking, so that it is not too early for a process that is called off just now.
        if self.state().prospect == Prospect::CalledOff {
            self.disappoint(&run);
        }
        result
    }

    /// Made under the lock: a run takes the watch along that it has when it begins.
    fn watch<'a>(&self, run: &'a Run) -> &'a Watch {
        let state = self.state();
        run.watch.get_or_init(|| {
            let make = if state.run.is_some() { Watch::new } else { Watch::early };
            make(&self.inner.engine, state.watched(run))
        })
    }
}

impl State {
    fn watched(&self, run: &Run) -> Watched {
        let (name, warns) = (self.spec.launch.name(), !self.spec.policy.nolog.expect_failed);
        Watched { id: run.id, name, slot: Arc::clone(&run.state), warns }
    }
}

/// Waits until each of several processes says what is expected, all at once: the verdicts, in the order of the
/// processes. Nobody is waited for longer than the limit. A process that is [announced](Process::announce) is waited for
/// as well.
///
/// ```
/// use std::time::Duration;
/// use phalanx_process::{Process, process::expect_all, event::Stream};
///
/// let servers: Vec<_> = (0..3).map(|n| Process::shell(format!("echo server {n} is up; sleep 100")).start()).collect();
/// let verdicts = expect_all(&servers, Stream::Stdout, Duration::from_secs(60), "is up")?;
/// assert!(verdicts.iter().all(Result::is_ok));
/// servers.iter().for_each(Process::kill);
/// # Ok::<(), phalanx_process::expect::InvalidPattern>(())
/// ```
///
/// # Errors
/// When a pattern is malformed.
///
/// # Panics
/// As [`Process::expect`].
pub fn expect_all(
    processes: &[Process],
    stream: Stream,
    limit: impl Into<Timeout>,
    patterns: impl IntoExpect,
) -> Result<Vec<MatchResult>, InvalidPattern> {
    let (limit, patterns) = (limit.into(), patterns.into_expect()?);
    let promises: Vec<_> = processes.iter().map(|process| process.promise(stream, limit, patterns.clone())).collect();
    Ok(promises.into_iter().zip(processes).map(|(promise, process)| promise.wait(process.engine())).collect())
}

/// Every match in a stream; see [`Process::matches`].
#[derive(Debug)]
pub struct Matches {
    process: Process,
    stream: Stream,
    limit: Timeout,
    patterns: Expect,
    over: bool,
}

impl Iterator for Matches {
    type Item = Match;

    fn next(&mut self) -> Option<Match> {
        if self.over {
            return None;
        }
        assert_may_block("wait for a match");
        let limit = self.process.limit(self.limit);
        let promise = self.process.with_watch(|watch| watch.expect(self.stream, self.patterns.clone(), limit, false));
        let found = promise.wait(self.process.engine()).ok();
        // An empty match would be found again for ever.
        self.over = found.as_ref().is_none_or(|found| found.position().is_empty());
        found
    }
}
