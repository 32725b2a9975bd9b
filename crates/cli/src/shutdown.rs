//! How far a job has been stopped, by the user or because what it shows cannot be written; the same for a run and for a
//! plan. Knows neither: stopping is their business.
//!
//! ```text
//!  No ──signal──▶ Asked ──signal──▶ Killed
//!   │                │                 │
//!   └────────────────┴── output ───────┴──▶ OutputClosed, OutputFailed
//! ```

use std::time::{Duration, Instant};

use phalanx_process::Signal;

use crate::exit;
use crate::output::OutputError;

/// The signals that are watched for. XFSZ only so that a limit on the size of files is an error of the write, not our
/// death.
pub(crate) const SIGNALS: [Signal; 4] = [Signal::INT, Signal::TERM, Signal::HUP, Signal::XFSZ];

/// How long a job that was killed waits for its output to be written.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(1);

/// How far a job has been stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ShutdownState {
    No,
    /// By this signal, politely.
    Asked(Signal),
    /// By this signal, at once.
    Killed(Signal),
    /// Our output is not read any more.
    OutputClosed,
    /// Our output cannot be written.
    OutputFailed,
}

impl ShutdownState {
    /// Takes note of what became of showing something. Returns whether that ends the job, which is then to be killed: when
    /// what it shows is not read, as after `| head`, going on would be in vain.
    pub(crate) fn is_forced_by(&mut self, shown: Result<(), OutputError>, what: &str) -> bool {
        match shown {
            Ok(()) => false,
            Err(error) if matches!(self, Self::OutputClosed | Self::OutputFailed) => {
                log::debug!("{error}");
                false
            }
            Err(error) if error.is_broken_pipe() => {
                *self = Self::OutputClosed;
                true
            }
            Err(error) => {
                log::error!("{error}; the {what} is stopped");
                *self = Self::OutputFailed;
                true
            }
        }
    }

    /// Returns until when the last output is waited for, if not for ever.
    pub(crate) fn drain_deadline(self) -> Option<Instant> {
        matches!(self, Self::Killed(_)).then(|| Instant::now() + DRAIN_TIMEOUT)
    }

    /// Takes note of a signal while the last output is waited for. Returns whether it ends the waiting: the second one does,
    /// or the first if the job was stopped politely before.
    pub(crate) fn ends_waiting(&mut self, signal: Signal) -> bool {
        match self {
            _ if signal == Signal::XFSZ => false,
            Self::No => {
                *self = Self::Asked(signal);
                false
            }
            _ => true,
        }
    }

    /// Returns the exit status that this makes, if any.
    pub(crate) fn status(self) -> Option<u8> {
        match self {
            Self::No => None,
            Self::Asked(signal) | Self::Killed(signal) => Some(exit::of_signal(signal.number())),
            Self::OutputClosed => Some(exit::of_signal(exit::BROKEN_PIPE)),
            Self::OutputFailed => Some(exit::INTERNAL),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_signal_ends_the_waiting_for_the_last_output() {
        let mut stop = ShutdownState::No;
        assert!(!stop.ends_waiting(Signal::XFSZ) && stop == ShutdownState::No);
        assert!(!stop.ends_waiting(Signal::TERM) && stop == ShutdownState::Asked(Signal::TERM));
        assert!(stop.ends_waiting(Signal::INT) && stop == ShutdownState::Asked(Signal::TERM));
    }

    #[test]
    fn only_what_was_killed_has_a_drain_deadline() {
        assert!(ShutdownState::Killed(Signal::INT).drain_deadline().is_some());
        for stop in [
            ShutdownState::No,
            ShutdownState::Asked(Signal::INT),
            ShutdownState::OutputClosed,
            ShutdownState::OutputFailed,
        ] {
            assert_eq!(stop.drain_deadline(), None, "{stop:?}");
        }
    }

    #[test]
    fn every_stop_has_its_exit_status() {
        let table = [
            (ShutdownState::No, None),
            (ShutdownState::Asked(Signal::INT), Some(130)),
            (ShutdownState::Killed(Signal::TERM), Some(143)),
            (ShutdownState::OutputClosed, Some(141)),
            (ShutdownState::OutputFailed, Some(3)),
        ];
        for (stop, status) in table {
            assert_eq!(stop.status(), status, "{stop:?}");
        }
    }
}
