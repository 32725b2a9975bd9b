//! Serial lines as processes: what is written to one is sent, what arrives is its stdout. Here, with the device opened
//! by this program ([`Serial`]), or on another host through ssh ([`SerialSsh`]).
//!
//! A line has no end of its own: its process runs until it is killed, runs out of time, or the line vanishes (an
//! adapter pulled out, the other end of a pty closed). Then it is not ok, its exit code is 1, and its stderr says why.

mod far;

use std::path::PathBuf;

pub use phalanx_core::serial::{DataBits, FlowControl, LineSettings as Settings, Parity, StopBits};

pub use self::far::SerialSsh;
use crate::engine::EngineHandle;
use crate::process::Process;
use crate::spec::{Command, Device, Policy, Spec};

/// A serial line of this machine: builds the [`Process`] that is one.
///
/// ```no_run
/// use phalanx_process::serial::Serial;
///
/// let console = Serial::new("/dev/ttyUSB0", 115_200).process().start();
/// console.write("\r");
/// // … until its prompt is there
/// console.kill();
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Serial {
    device: Device,
    policy: Policy,
}

impl Serial {
    /// The line of `device`, at `speed` bits per second: raw, 8 bits, no parity, one stop bit, no flow control, and for
    /// us alone. The device is opened when the process starts; what is wrong with it is a start error.
    #[must_use]
    pub fn new(device: impl Into<PathBuf>, speed: u32) -> Self {
        Self { device: Device { path: device.into(), settings: Settings::at(speed) }, policy: Policy::default() }
    }

    /// Set up in another way.
    #[must_use]
    pub fn settings(self, settings: Settings) -> Self {
        Self { device: Device { settings, ..self.device }, ..self }
    }

    /// How the process is treated.
    #[must_use]
    pub fn policy(self, policy: Policy) -> Self {
        Self { policy, ..self }
    }

    /// What is started.
    #[must_use]
    pub fn spec(&self) -> Spec {
        Spec { policy: self.policy.clone(), ..Spec::from(Command::Device(self.device.clone())) }
    }

    /// The process, not started, to be run by the default engine.
    #[must_use]
    pub fn process(&self) -> Process {
        self.process_on(EngineHandle::global())
    }

    /// The process, not started, to be run by `engine`.
    #[must_use]
    pub fn process_on(&self, engine: &EngineHandle) -> Process {
        Process::from_spec(self.spec(), engine)
    }
}
