//! A forwarded port as a step: begun on a thread of its own, since beginning one waits, and told of through a channel.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use phalanx_action::substitute::Lists;
use phalanx_process::Process;
use phalanx_process::forward::PortForwarder;
use phalanx_process::host::Host;
use phalanx_process::ssh::ConnectionParams;

use crate::model::Forward;
use crate::workflow::StepRun;

/// What became of a port.
#[derive(Debug)]
pub(super) enum News {
    /// It is forwarded.
    Ready {
        /// From this port here.
        port: u16,
    },
    /// It is forwarded no longer, or never was; why.
    Over(String),
}

/// What the threads of all ports have to tell.
#[derive(Debug)]
pub(super) struct Tidings {
    sender: Sender<(StepRun, News)>,
    receiver: Receiver<(StepRun, News)>,
}

impl Default for Tidings {
    fn default() -> Self {
        let (sender, receiver) = mpsc::channel();
        Self { sender, receiver }
    }
}

impl Tidings {
    pub(super) fn sender(&self) -> Sender<(StepRun, News)> {
        self.sender.clone()
    }

    /// What has been told and not been heard.
    pub(super) fn next(&self) -> Option<(StepRun, News)> {
        self.receiver.try_recv().ok()
    }
}

/// A port that is forwarded, or is about to be.
#[derive(Debug)]
pub(super) struct Tunnel {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    called_off: AtomicBool,
    process: Mutex<Option<Process>>,
}

impl Tunnel {
    /// Begins it. `tell` wakes the one who reads the other end of `sender`.
    ///
    /// # Errors
    /// What is wrong with it now.
    pub(super) fn begin(
        turn: StepRun,
        forward: &Forward,
        limit: Option<Duration>,
        lists: &Lists,
        params: &ConnectionParams,
        sender: Sender<(StepRun, News)>,
        tell: impl Fn() + Send + 'static,
    ) -> Result<Self, String> {
        let forwarder = forwarder(forward, limit, lists, params)?;
        let shared = Arc::new(Shared::default());
        let theirs = Arc::clone(&shared);
        let say = move |news| {
            // Nobody listens any more when the plan is over.
            let _ = sender.send((turn, news));
            tell();
        };
        let work = move || match forwarder.start() {
            Err(error) => say(News::Over(error.to_string())),
            Ok(forwarding) => {
                *theirs.process.lock().unwrap_or_else(PoisonError::into_inner) = Some(forwarding.process().clone());
                // Asked for between the two: whoever comes later finds the process.
                if theirs.called_off.load(Ordering::SeqCst) {
                    forwarding.process().kill();
                }
                say(News::Ready { port: forwarding.local_port() });
                let lost = forwarding.wait();
                say(News::Over(format!("the port is forwarded no longer: {lost}")));
            }
        };
        let thread = std::thread::Builder::new().name("phalanx-forward".to_owned());
        thread.spawn(work).map_err(|error| format!("cannot start a thread for it: {error}"))?;
        Ok(Self { shared })
    }

    /// Ends it. It is told of when it has ended; one that is still being begun is not waited for.
    pub(super) fn end(&self) -> bool {
        self.shared.called_off.store(true, Ordering::SeqCst);
        let process = self.shared.process.lock().unwrap_or_else(PoisonError::into_inner);
        process.iter().for_each(Process::kill);
        process.is_some()
    }
}

/// What is forwarded, in words.
pub(super) fn describe(forward: &Forward, lists: &Lists) -> String {
    let Forward { host, local_port, bind, .. } = forward;
    let target = target(forward, lists).unwrap_or_else(|error| error);
    let port = local_port.map_or_else(|| "a free port".to_owned(), |port| format!("port {port}"));
    let bind = bind.as_ref().map(|bind| format!(" of {bind}")).unwrap_or_default();
    format!("forward {port}{bind} here to {target} through {host}")
}

fn target(forward: &Forward, lists: &Lists) -> Result<String, String> {
    lists.substitute(&forward.target, &Host::from(&*forward.host), 0).map_err(|error| error.to_string())
}

fn forwarder(
    forward: &Forward,
    limit: Option<Duration>,
    lists: &Lists,
    params: &ConnectionParams,
) -> Result<PortForwarder, String> {
    let target = target(forward, lists)?;
    let wrong = || format!("`{target}` is not HOST:PORT");
    let (name, port) = target.rsplit_once(':').ok_or_else(wrong)?;
    let port = port.parse().map_err(|_| wrong())?;
    let host: Host = forward.host.parse().map_err(|error| format!("{error}"))?;
    let mut params = params.clone();
    if let Some(user) = &forward.user {
        params.user = Some(lists.substitute(user, &host, 0).map_err(|error| error.to_string())?);
    }
    params.forwarding_timeout = limit.or(params.forwarding_timeout);
    let mut forwarder = PortForwarder::new(host, name.trim_matches(['[', ']']), port).params(params);
    if let Some(port) = forward.local_port {
        forwarder = forwarder.local_port(port);
    }
    if let Some(bind) = &forward.bind {
        forwarder = forwarder.bind_address(bind.clone());
    }
    Ok(forwarder)
}
