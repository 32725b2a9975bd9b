//! Describing a process: every method takes effect at the next start.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::Process;
use crate::backend::Backend;
use crate::duration::IntoDuration;
use crate::event::{Event, Stream};
use crate::handler::{Context, Handler};
use crate::id::HandlerId;
use crate::lines::Line;
use crate::listeners::{ChunkHandler, CopyHandler, LifecycleHandler, LineHandler, Sink};
use crate::outcome::Finished;
use crate::output::Capture;
use crate::spec::{Environment, Faults, Output, Policy, Spec, Stdin, Terminal};

impl Process {
    fn describe(self, change: impl FnOnce(&mut Spec)) -> Self {
        change(&mut self.state().spec);
        self
    }

    /// Changes anything about its description.
    #[must_use]
    pub fn with(self, change: impl FnOnce(&mut Spec)) -> Self {
        self.describe(change)
    }

    /// How long it may run before it is killed, in any [format](crate::duration). One that is none makes its start
    /// fail.
    #[must_use]
    pub fn timeout(self, timeout: impl IntoDuration) -> Self {
        self.describe(|spec| match timeout.into_duration() {
            Ok(timeout) => spec.policy.timeout = Some(timeout),
            Err(invalid) => spec.launch.defect = Some(format!("its timeout: {invalid}")),
        })
    }

    /// How long it is waited for by default when something is expected of it; for ever unless set.
    #[must_use]
    pub fn default_expect_timeout(self, timeout: Option<Duration>) -> Self {
        self.state().expect_timeout = timeout;
        self
    }

    /// How it is treated, as a whole.
    #[must_use]
    pub fn policy(self, policy: Policy) -> Self {
        self.describe(|spec| spec.policy = policy)
    }

    /// Faults that do not make it "not ok".
    #[must_use]
    pub fn ignore(self, faults: Faults) -> Self {
        self.describe(|spec| spec.policy.ignore = faults)
    }

    /// Faults that are not worth a warning in the log.
    #[must_use]
    pub fn nolog(self, faults: Faults) -> Self {
        self.describe(|spec| spec.policy.nolog = faults)
    }

    /// How much of its stdout is kept.
    #[must_use]
    pub fn capture_stdout(self, capture: Capture) -> Self {
        self.describe(|spec| spec.policy.capture_stdout = capture)
    }

    /// How much of its stderr is kept.
    #[must_use]
    pub fn capture_stderr(self, capture: Capture) -> Self {
        self.describe(|spec| spec.policy.capture_stderr = capture)
    }

    /// Where its stdin comes from.
    #[must_use]
    pub fn stdin(self, stdin: Stdin) -> Self {
        self.describe(|spec| spec.launch.stdin = stdin)
    }

    /// Where its stdout goes.
    #[must_use]
    pub fn stdout_to(self, output: Output) -> Self {
        self.describe(|spec| spec.launch.stdout = output)
    }

    /// Where its stderr goes.
    #[must_use]
    pub fn stderr_to(self, output: Output) -> Self {
        self.describe(|spec| spec.launch.stderr = output)
    }

    /// Gives it a terminal of its own, cooked and with echo; it can be written to.
    ///
    /// ```
    /// use phalanx_process::Process;
    ///
    /// let shell = Process::new("sh -c 'test -t 0 && test -t 1 && tty'").pty().run().check()?;
    /// assert!(shell.stdout().starts_with(b"/dev/pts/"));
    /// # Ok::<(), phalanx_process::process::ProcessesFailed>(())
    /// ```
    #[must_use]
    pub fn pty(self) -> Self {
        self.terminal(Terminal::default())
    }

    /// Gives it a terminal of its own, set up like this; it can be written to. See [`crate::spec::Launch::terminal`] for
    /// the rules.
    #[must_use]
    pub fn terminal(self, terminal: Terminal) -> Self {
        self.describe(|spec| {
            spec.launch.terminal = Some(terminal);
            if matches!(spec.launch.stdin, Stdin::Null) {
                spec.launch.stdin = Stdin::Pipe;
            }
        })
    }

    /// One variable more, or another value for it, in its environment.
    #[must_use]
    pub fn env(self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.describe(|spec| {
            let environment = spec.launch.environment.take().map_or_else(Environment::inherited, Arc::unwrap_or_clone);
            spec.launch.environment = Some(Arc::new(environment.with(name, value)));
        })
    }

    /// Its working directory.
    #[must_use]
    pub fn directory(self, directory: impl Into<PathBuf>) -> Self {
        self.describe(|spec| spec.launch.directory = Some(directory.into()))
    }

    /// What to call it in messages.
    #[must_use]
    pub fn named(self, name: impl Into<String>) -> Self {
        self.describe(|spec| spec.launch.name = Some(name.into()))
    }

    /// On which host it runs, where that is not this one.
    #[must_use]
    pub fn on_host(self, host: &str) -> Self {
        self.state().host = Some(host.into());
        self
    }

    /// Lets `handler` hear its events, output included. It runs on the engine's thread, and lives as long as the
    /// process or a handle to it.
    #[must_use]
    pub fn on(self, handler: impl Handler + 'static) -> Self {
        let id = self.inner.engine.attach(handler);
        self.state().owned.push(id);
        self.heard_by(id)
    }

    /// Lets a handler hear its events that was given to the same engine ([`EngineHandle::attach`]) and may hear those of
    /// other processes too.
    ///
    /// [`EngineHandle::attach`]: crate::engine::EngineHandle::attach
    #[must_use]
    pub fn heard_by(self, handler: HandlerId) -> Self {
        {
            let mut state = self.state();
            if handler.engine() == self.engine().id() {
                state.handlers.push(handler);
            } else {
                let defect =
                    "a handler of another engine was given to it: attach the handler to the engine of the process";
                state.spec.launch.defect = Some(defect.to_owned());
            }
        }
        self
    }

    /// Makes its output into events for those who [subscribe](crate::engine::EngineHandle::subscribe), although no handler
    /// of its own hears it.
    #[must_use]
    pub fn emit_output(self) -> Self {
        self.state().emits_output = true;
        self
    }

    /// Lets a [backend](crate::backend) run it, which knows it by this number, and keeps the backend as long as it can be
    /// started.
    #[must_use]
    pub fn hosted_by(self, backend: &Backend, member: usize) -> Self {
        self.state().backend = Some(backend.clone());
        self.describe(|spec| spec.launch.hosted = Some(backend.member(member)))
    }

    /// Takes a handler away from it, from its next start on; one that it does not have is no matter.
    pub fn unheard_by(&self, handler: HandlerId) {
        self.state().handlers.retain(|one| *one != handler);
    }

    /// How many handlers it has.
    #[must_use]
    pub fn handlers(&self) -> usize {
        self.state().handlers.len()
    }

    /// Calls back when it runs, with its process id.
    #[must_use]
    pub fn on_start(self, mut callback: impl FnMut(&mut Context<'_>, u32) + Send + 'static) -> Self {
        self.on(move |context: &mut Context<'_>, event: &Event| {
            if let Event::Started { pid, .. } = event {
                callback(context, *pid);
            }
        })
    }

    /// Calls back when it is over; before anybody who waits for it goes on.
    #[must_use]
    pub fn on_end(self, mut callback: impl FnMut(&mut Context<'_>, &Finished) + Send + 'static) -> Self {
        self.on(move |context: &mut Context<'_>, event: &Event| {
            if let Event::Ended { finished, .. } = event {
                callback(context, finished);
            }
        })
    }

    /// Calls back when it was reset.
    #[must_use]
    pub fn on_reset(self, callback: impl FnMut(&mut Context<'_>) + Send + 'static) -> Self {
        self.on(LifecycleHandler(OnReset(callback)))
    }

    /// Calls back with everything it says, as it arrives.
    #[must_use]
    pub fn on_chunk(self, mut callback: impl FnMut(&mut Context<'_>, Stream, &[u8]) + Send + 'static) -> Self {
        self.on(ChunkHandler(move |context: &mut Context<'_>, _, stream, bytes: &[u8]| {
            callback(context, stream, bytes)
        }))
    }

    /// Calls back with every line it says; see [`LineHandler`].
    #[must_use]
    pub fn on_line(self, mut callback: impl FnMut(&mut Context<'_>, Stream, Line<'_>) + Send + 'static) -> Self {
        let lines = LineHandler::new(move |context: &mut Context<'_>, _, stream, line: Line<'_>| {
            callback(context, stream, line)
        });
        self.on(lines)
    }

    /// Copies what it says on a stream, besides keeping it and telling handlers.
    #[must_use]
    pub fn copy_to(self, stream: Stream, sink: Sink) -> Self {
        self.on(CopyHandler::new(stream, sink))
    }
}

struct OnReset<F>(F);

impl<F: FnMut(&mut Context<'_>) + Send> crate::listeners::Lifecycle for OnReset<F> {
    fn reset(&mut self, context: &mut Context<'_>, _id: crate::id::ProcessId) {
        (self.0)(context);
    }
}
