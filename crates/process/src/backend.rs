//! Processes that somebody else than this machine's kernel runs: a launcher for many hosts, an agent at the far end of
//! a stream.
//!
//! To the [table](crate::table) such a process is one like any other, and so it is to whoever holds a [`Process`]: it
//! has streams, a status, a timeout, handlers, and can be expected things of and killed. Only who performs its effects
//! differs: a handler, its *backend*.
//!
//! ```text
//!                    effects                        Handler::on_effect
//!  table ──────────▶ engine ──┬─▶ children, devices
//!    ▲                        └─▶ backend ─▶ whatever it talks to: a child, a connection
//!    └───────────── inputs ◀──────────┘
//!                    Context::answer
//! ```
//!
//! # What a backend owes
//! * Every [`Effect`](crate::event::Effect) it is given is answered by at least one
//!   [`Input`](crate::event::Input), sooner or later, as the description of the effect says. The last of a process that ran are
//!   the [`Eof`](crate::event::Input::Eof) of both streams and [`Exited`](crate::event::Input::Exited).
//! * A signal may come after the end of a process, just before its release: it means what the process left behind.
//! * An answer that cannot be (of a process that it does not run, or that has ended) is ignored, with a debug line in the log.
//!
//! # What holds although it may not do so
//! * A backend that panics over an effect, or that is gone, fails the process: a start error, or the status
//!   [`Lost`](phalanx_core::ExitStatus::Lost).
//! * A backend that falls silent keeps its processes running: nobody here can know better. But a process that was told
//!   the last word, by SIGKILL or before it ran, and does not answer within
//!   [`abandon`](crate::spec::Policy::abandon), is given up. So no wait lasts for ever after a kill.
//!
//! # What it cannot do
//! Its output comes to us as messages, so [`Output::Read`](crate::spec::Output::Read),
//! [`Null`](crate::spec::Output::Null) and, for stderr, [`WithStdout`](crate::spec::Output::WithStdout) are possible, and
//! everything else is a start error: a handler can copy it anywhere. There is no back-pressure.
//!
//! [`Process`]: crate::Process

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::engine::{EngineHandle, WeakEngineHandle};
use crate::handler::Handler;
use crate::id::{BackendId, HandlerId};
use crate::spec::HostedBy;

/// How long a backend may take to answer the last word, unless the policy of the process says otherwise.
pub const GIVE_UP_AFTER: Duration = Duration::from_secs(10);

/// A handler that runs processes. It lives as long as a handle to one of its processes
/// ([`Process::hosted_by`](crate::Process::hosted_by)) or one of them has not ended.
#[derive(Clone)]
pub struct Backend {
    inner: Arc<Attached>,
}

struct Attached {
    handler: HandlerId,
    /// A process that runs must not keep the engine from ending.
    engine: WeakEngineHandle,
}

impl Backend {
    /// Gives a handler to the engine that will drive its processes.
    #[must_use]
    pub fn attach(handler: impl Handler + 'static, engine: &EngineHandle) -> Self {
        Self { inner: Arc::new(Attached { handler: engine.attach(handler), engine: engine.downgrade() }) }
    }

    /// Returns its name.
    #[must_use]
    pub fn id(&self) -> BackendId {
        BackendId(self.inner.handler)
    }

    /// Describes the process that the handler knows by this number, for [`Launch::hosted`](crate::spec::Launch::hosted).
    /// That is a number only: what starts the process must keep the backend.
    #[must_use]
    pub fn member(&self, member: usize) -> HostedBy {
        HostedBy { backend: self.id(), member }
    }

    /// Returns the handler.
    #[must_use]
    pub fn handler(&self) -> HandlerId {
        self.inner.handler
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        self.engine.release(self.handler);
    }
}

impl fmt::Debug for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Backend({:?})", self.inner.handler)
    }
}
