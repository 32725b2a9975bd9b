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

use phalanx_core::inbox::Sender;

use crate::conductor::Conductor;
use crate::engine::Message;
use crate::handler::Handler;
use crate::id::HandlerId;

/// How long a backend may take to answer the last word, unless the policy of the process says otherwise.
pub const ABANDON_AFTER: Duration = Duration::from_secs(10);

/// A handler that runs processes. It lives as long as some description of a process names it, or one of its processes
/// has not ended.
#[derive(Clone)]
pub struct Backend {
    inner: Arc<Attached>,
}

struct Attached {
    handler: HandlerId,
    /// Not the conductor itself: a process that runs must not keep the engine from stopping.
    sender: Sender<Message>,
}

impl Backend {
    /// Gives a handler to the conductor that will drive its processes.
    #[must_use]
    pub fn attach(handler: impl Handler + 'static, conductor: &Conductor) -> Self {
        let handler = conductor.attach(handler);
        Self { inner: Arc::new(Attached { handler, sender: conductor.sender() }) }
    }

    /// The process that the handler knows by this number, for [`Launch::hosted`](crate::spec::Launch::hosted).
    #[must_use]
    pub fn member(&self, member: usize) -> Hosted {
        Hosted { backend: self.clone(), member }
    }

    /// The handler.
    #[must_use]
    pub fn handler(&self) -> HandlerId {
        self.inner.handler
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        self.sender.send(Message::Disown(self.handler));
    }
}

impl fmt::Debug for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Backend({:?})", self.inner.handler)
    }
}

/// Who runs a process, and what it calls it.
#[derive(Debug, Clone)]
pub struct Hosted {
    /// Who.
    pub backend: Backend,
    /// The backend's own number for it; another run of the same process has the same.
    pub member: usize,
}
