//! Sets a forwarding up: a handler that reads the log of ssh and goes on as it says, so that nothing waits on a thread.
//!
//! ```text
//!  Connecting ──listening──▶ Probing ──through──▶ Established ──ssh ends──▶ lost
//!     │  ▲                      │
//!     │  └ port in use, chosen  ├─ refused, time over, ssh ends ──▶ settled with an error
//!     └─ not listening, …  ─────┘
//! ```

use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::error::advice_about_target;
use super::log::ForwardLog;
use super::{ForwardError, Forwarding, Lost, PortForwarder, not_reached, reachable_addresses};
use crate::completion::{Completer, Completion};
use crate::engine::{EngineHandle, WeakEngineHandle, assert_may_block};
use crate::event::{Event, Notification, Request, Stream};
use crate::handler::{Context, Handler};
use crate::host::bracketed;
use crate::id::{HandlerId, ProcessId, TimerId};
use crate::lines::Lines;
use crate::outcome::{Finished, StartError};
use crate::port::get_port;
use crate::process::Process;

/// How many chosen ports are tried when another program is always faster.
const ATTEMPTS: usize = 8;

/// A forwarding that is being set up. Dropping it cancels that.
#[must_use = "dropping it cancels the forwarding"]
pub struct PendingForwarding {
    shared: Arc<Shared>,
    settled: Completion<()>,
    engine: EngineHandle,
    handler: HandlerId,
    host: String,
}

#[derive(Default)]
struct Shared {
    result: Mutex<Option<Result<Forwarding, ForwardError>>>,
    cancelled: AtomicBool,
}

impl Shared {
    fn result(&self) -> MutexGuard<'_, Option<Result<Forwarding, ForwardError>>> {
        self.result.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PendingForwarding {
    pub(super) fn begin(forwarder: PortForwarder, timeout: Duration, engine: &EngineHandle) -> Self {
        let shared: Arc<Shared> = Arc::default();
        let (completer, settled) = Completion::pair();
        let host = forwarder.host.to_string();
        let setup = Setup {
            forwarder,
            engine: engine.downgrade(),
            timeout,
            timer: None,
            tried: 0,
            attempt: None,
            unsettled: Some((Arc::clone(&shared), completer)),
            established: None,
        };
        Self { handler: engine.attach(setup), shared, settled, engine: engine.clone(), host }
    }

    /// Returns what is completed when the port is forwarded, or cannot be.
    #[must_use]
    pub fn settled(&self) -> &Completion<()> {
        &self.settled
    }

    /// Waits until the port is forwarded.
    ///
    /// # Errors
    /// When it is not; then nothing is left behind.
    ///
    /// # Panics
    /// Inside a handler.
    pub fn wait(self) -> Result<Forwarding, ForwardError> {
        assert_may_block("wait for a forwarded port");
        // An engine that ends abandons it, and leaves no result.
        let _ = self.engine.wait_for("wait for a forwarded port", &self.settled, None);
        self.take().unwrap_or_else(|| {
            let reason = self.engine.ended().map_or_else(|| "its engine has ended".to_owned(), |it| it.to_string());
            let error = StartError { program: "ssh".to_owned(), reason, errno: None };
            Err(ForwardError::Start { host: self.host.clone(), error })
        })
    }

    /// Takes what became of it, once it has settled; `None` before, and after it was taken.
    #[must_use]
    pub fn take(&self) -> Option<Result<Forwarding, ForwardError>> {
        self.shared.result().take()
    }

    /// Gives it up. It settles with [`ForwardError::Cancelled`], unless it has settled already.
    pub fn cancel(&self) {
        self.shared.cancelled.store(true, Ordering::SeqCst);
        self.engine.wake_handler(self.handler);
    }
}

impl Drop for PendingForwarding {
    fn drop(&mut self) {
        if self.settled.is_pending() {
            self.cancel();
        }
    }
}

impl std::fmt::Debug for PendingForwarding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PendingForwarding(through {}, {:?})", self.host, self.settled)
    }
}

/// The handler.
struct Setup {
    forwarder: PortForwarder,
    engine: WeakEngineHandle,
    timeout: Duration,
    timer: Option<TimerId>,
    tried: usize,
    attempt: Option<Attempt>,
    /// Where the result goes, until there is one.
    unsettled: Option<(Arc<Shared>, Completer<()>)>,
    /// The ssh of an established forwarding, and what is completed when it ends.
    established: Option<(ProcessId, Completer<Lost>)>,
}

/// One ssh, asked to listen on one port.
struct Attempt {
    id: ProcessId,
    process: Process,
    port: u16,
    log: ForwardLog,
    lines: Lines,
    /// The connection that shows whether the target is reached.
    probe: Option<TcpStream>,
}

impl Setup {
    fn begin(&mut self, context: &mut Context<'_>) {
        let host = || self.forwarder.host.to_string();
        let port = match self.forwarder.local_port.map_or_else(get_port, Ok) {
            Ok(port) => port,
            Err(error) => return self.settle(context, Err(ForwardError::NoPort { host: host(), error })),
        };
        // Without a handle left, the engine is about to end, and this handler with it.
        let Some(engine) = self.engine.upgrade() else { return };
        self.tried += 1;
        let process = Process::from_spec(self.forwarder.spec(port), &engine).on_host(self.forwarder.host.address());
        let Some(id) = process.start_within(context) else { return };
        context.request(id, Request::EmitOutput);
        let (log, lines) = (ForwardLog::default(), Lines::default());
        self.attempt = Some(Attempt { id, process, port, log, lines, probe: None });
    }

    fn settle(&mut self, context: &mut Context<'_>, result: Result<Forwarding, ForwardError>) {
        if result.is_err() {
            self.attempt.take().into_iter().for_each(|attempt| attempt.process.kill());
            context.detach();
        }
        if let Some((shared, completer)) = self.unsettled.take() {
            *shared.result() = Some(result);
            completer.complete(());
        }
    }

    fn read_log(&mut self, context: &mut Context<'_>, bytes: &[u8]) {
        let Some(attempt) = &mut self.attempt else { return };
        for line in attempt.lines.feed(bytes) {
            attempt.log.line(&String::from_utf8_lossy(line.bytes), attempt.port);
        }
        self.go_on(context);
    }

    /// Goes on as the log says.
    fn go_on(&mut self, context: &mut Context<'_>) {
        let Some(attempt) = &mut self.attempt else { return };
        let probes = self.forwarder.probe;
        if probes && attempt.probe.is_none() && attempt.log.listening {
            match connect(&self.forwarder, attempt.port) {
                Ok(connection) => attempt.probe = Some(connection),
                Err(error) => return self.settle(context, Err(error)),
            }
        }
        if attempt.log.listening && (attempt.log.through || !probes) {
            return self.establish(context);
        }
        if let Some(reason) = attempt.log.refused.clone() {
            let (host, target) = (self.forwarder.host.to_string(), self.forwarder.target.clone());
            let advice = advice_about_target(&reason);
            self.settle(context, Err(ForwardError::TargetRefused { host, target, reason, advice }));
        }
    }

    fn establish(&mut self, context: &mut Context<'_>) {
        let Some(Attempt { id, process, port, .. }) = self.attempt.take() else { return };
        let (completer, lost) = Completion::pair();
        self.established = Some((id, completer));
        let (host, bind_address) = (self.forwarder.host.to_string(), self.forwarder.bind_address.clone());
        self.settle(context, Ok(Forwarding { process, lost, host, bind_address, port }));
    }

    /// Returns why there was no way to listen, if the log says so.
    fn not_listening(&self) -> Option<ForwardError> {
        let attempt = self.attempt.as_ref()?;
        let reason = attempt.log.not_listening.clone()?;
        let host = self.forwarder.host.to_string();
        let local = format!("{}:{}", bracketed(&self.forwarder.bind_address), attempt.port);
        Some(if reason.contains("in use") {
            ForwardError::PortInUse { host, local }
        } else {
            ForwardError::NotListening { host, local, reason }
        })
    }

    fn ended(&mut self, context: &mut Context<'_>, id: ProcessId, finished: &Finished) {
        if let Some((_, completer)) = self.established.take_if(|(established, _)| *established == id) {
            completer.complete(Lost::of(finished));
            return context.detach();
        }
        if self.attempt.as_ref().is_none_or(|attempt| attempt.id != id) {
            return;
        }
        match self.not_listening() {
            // It was free when it was chosen: another program was faster.
            Some(ForwardError::PortInUse { .. }) if self.forwarder.local_port.is_none() && self.tried < ATTEMPTS => {
                self.attempt = None;
                self.begin(context);
            }
            Some(error) => self.settle(context, Err(error)),
            None => {
                let error = not_reached(self.forwarder.host.to_string(), finished);
                self.settle(context, Err(error));
            }
        }
    }

    fn time_is_over(&mut self, context: &mut Context<'_>) {
        if self.unsettled.is_none() {
            return;
        }
        let is_listening = self.attempt.as_ref().is_some_and(|attempt| attempt.log.listening);
        let waited_for = if is_listening { "a connection to the target" } else { "the connection to the host" };
        let error = self.not_listening().unwrap_or_else(|| ForwardError::TimedOut {
            host: self.forwarder.host.to_string(),
            target: self.forwarder.target.clone(),
            waited_for,
            timeout: self.timeout,
        });
        self.settle(context, Err(error));
    }
}

impl Handler for Setup {
    fn on_event(&mut self, context: &mut Context<'_>, event: &Event) {
        match event {
            Event::Attached => {
                self.timer = (!self.timeout.is_zero()).then(|| context.timer(self.timeout));
                self.begin(context);
            }
            Event::Output { id, stream: Stream::Stderr, bytes }
                if self.attempt.as_ref().is_some_and(|attempt| attempt.id == *id) =>
            {
                self.read_log(context, bytes);
            }
            Event::Ended { id, finished } => self.ended(context, *id, finished),
            Event::Timer { timer } if Some(*timer) == self.timer => self.time_is_over(context),
            _ => {}
        }
    }

    fn on_notification(&mut self, context: &mut Context<'_>, notification: &Notification) {
        let is_cancelled = self.unsettled.as_ref().is_some_and(|(shared, _)| shared.cancelled.load(Ordering::SeqCst));
        if *notification == Notification::Woken && is_cancelled {
            let host = self.forwarder.host.to_string();
            self.settle(context, Err(ForwardError::Cancelled { host }));
        }
    }
}

/// Connects to the port here: that is accepted at once, which says nothing yet.
fn connect(forwarder: &PortForwarder, port: u16) -> Result<TcpStream, ForwardError> {
    let tried = reachable_addresses(&forwarder.bind_address, port).into_iter().map(TcpStream::connect);
    let mut reason = "its name has no address".to_owned();
    for connected in tried {
        match connected {
            Ok(connection) => return Ok(connection),
            Err(error) => reason = format!("a connection to it fails: {error}"),
        }
    }
    let local = format!("{}:{port}", bracketed(&forwarder.bind_address));
    Err(ForwardError::NotListening { host: forwarder.host.to_string(), local, reason })
}
