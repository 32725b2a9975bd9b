//! A forwarded port as a step, set up and ended on the engine of the plan.

use std::sync::mpsc::{self, Receiver, Sender};
use std::time::Duration;

use phalanx_action::substitute::Lists;
use phalanx_process::engine::Engine;
use phalanx_process::forward::{Forwarding, PendingForwarding, PortForwarder};
use phalanx_process::host::Host;
use phalanx_process::ssh::SshOptions;

use crate::model::Forward;
use crate::workflow::StepRun;

/// What happens to a port.
#[derive(Debug)]
pub(super) enum PortEvent {
    /// Setting it up has come to an end; [`PortForwardStep::settle`] says to which.
    Settled,
    /// It is forwarded no longer, for this reason.
    Lost(String),
}

/// What happens to all ports of a plan. Events come from inside of the engine, and are read between its turns.
#[derive(Debug)]
pub(super) struct PortEvents {
    sender: Sender<(StepRun, PortEvent)>,
    receiver: Receiver<(StepRun, PortEvent)>,
}

impl Default for PortEvents {
    fn default() -> Self {
        let (sender, receiver) = mpsc::channel();
        Self { sender, receiver }
    }
}

impl PortEvents {
    /// Returns what has happened and was not read.
    pub(super) fn next(&self) -> Option<(StepRun, PortEvent)> {
        self.receiver.try_recv().ok()
    }
}

/// A port that is forwarded, or is being set up.
#[derive(Debug)]
pub(super) enum PortForwardStep {
    Pending(PendingForwarding),
    Established(Forwarding),
}

impl PortForwardStep {
    /// Begins to set it up on `engine`. What happens to it goes to `events`, and wakes the engine's loop.
    ///
    /// # Errors
    /// What is wrong with it now.
    pub(super) fn begin(
        turn: StepRun,
        forwarder: &PortForwarder,
        events: &PortEvents,
        engine: &Engine,
    ) -> Result<Self, String> {
        let pending = forwarder.begin_on(&engine.handle()).map_err(|error| error.to_string())?;
        let (sender, wake) = (events.sender.clone(), engine.waker());
        let tell = move |_| {
            // Nothing reads it any more when the plan is over.
            let _ = sender.send((turn, PortEvent::Settled));
            wake();
        };
        pending.settled().on_complete(tell).keep();
        Ok(Self::Pending(pending))
    }

    /// Takes what came of setting it up: the port here.
    ///
    /// # Errors
    /// Why it is not forwarded.
    pub(super) fn settle(&mut self, turn: StepRun, events: &PortEvents, engine: &Engine) -> Result<u16, String> {
        let Self::Pending(pending) = self else { return Err("it was set up already".to_owned()) };
        let result = pending.take().unwrap_or_else(|| unreachable!("it has settled, and is taken once"));
        let forwarding = result.map_err(|error| error.to_string())?;
        let (sender, wake) = (events.sender.clone(), engine.waker());
        let tell = move |lost: Result<_, _>| {
            let reason = lost.map_or_else(|_| "its engine has ended".to_owned(), |lost| format!("{lost}"));
            let _ = sender.send((turn, PortEvent::Lost(format!("the port is forwarded no longer: {reason}"))));
            wake();
        };
        forwarding.lost().on_complete(tell).keep();
        let port = forwarding.local_port();
        *self = Self::Established(forwarding);
        Ok(port)
    }

    /// Ends it. Returns whether its end is still to come; one that is being set up is given up at once.
    pub(super) fn end(&self) -> bool {
        match self {
            Self::Pending(_) => false,
            Self::Established(forwarding) => {
                forwarding.process().kill();
                true
            }
        }
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

/// Returns what sets the port up.
///
/// # Errors
/// What is wrong with its description.
pub(super) fn forwarder(
    forward: &Forward,
    limit: Option<Duration>,
    lists: &Lists,
    params: &SshOptions,
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
