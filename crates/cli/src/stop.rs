//! How far work has been stopped, by the user or because what it says cannot be shown; the same for a run and for a plan.
//! Knows neither: who is stopped does the stopping.
//!
//! ```text
//!  No ──signal──▶ Asked ──signal──▶ Killed
//!   │                │                 │
//!   └────────────────┴── output ───────┴──▶ OutputClosed, OutputFailed
//! ```

use std::time::{Duration, Instant};

use phalanx_process::Signal;

use crate::exit;
use crate::show::ShowError;

/// The signals that are watched for. XFSZ only so that a limit on the size of files is an error of the write, not our
/// death.
pub(crate) const SIGNALS: [Signal; 4] = [Signal::INT, Signal::TERM, Signal::HUP, Signal::XFSZ];

/// How long work that was killed waits for its output to be read.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// How far work has been stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    No,
    /// By this signal, politely.
    Asked(Signal),
    /// By this signal, at once.
    Killed(Signal),
    /// Nobody reads our output any more.
    OutputClosed,
    /// Our output cannot be written.
    OutputFailed,
}

impl Stop {
    /// Takes note of what became of showing something. True when that ends the work, which is then to be killed: when
    /// nobody reads what we show, as after `| head`, going on would be work for nobody.
    pub(crate) fn is_forced_by(&mut self, shown: Result<(), ShowError>, what: &str) -> bool {
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

    /// Until when the last output is waited for, if not for ever.
    pub(crate) fn last_moment(self) -> Option<Instant> {
        matches!(self, Self::Killed(_)).then(|| Instant::now() + LAST_WORDS)
    }

    /// A signal while the last output is waited for. True when it ends the waiting: the second one, or the first if the
    /// work was stopped politely before.
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

    /// The exit status that this makes, if any.
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
        let mut stop = Stop::No;
        assert!(!stop.ends_waiting(Signal::XFSZ) && stop == Stop::No);
        assert!(!stop.ends_waiting(Signal::TERM) && stop == Stop::Asked(Signal::TERM));
        assert!(stop.ends_waiting(Signal::INT) && stop == Stop::Asked(Signal::TERM));
    }

    #[test]
    fn only_what_was_killed_has_a_last_moment() {
        assert!(Stop::Killed(Signal::INT).last_moment().is_some());
        for stop in [Stop::No, Stop::Asked(Signal::INT), Stop::OutputClosed, Stop::OutputFailed] {
            assert_eq!(stop.last_moment(), None, "{stop:?}");
        }
    }

    #[test]
    fn every_stop_has_its_exit_status() {
        let table = [
            (Stop::No, None),
            (Stop::Asked(Signal::INT), Some(130)),
            (Stop::Killed(Signal::TERM), Some(143)),
            (Stop::OutputClosed, Some(141)),
            (Stop::OutputFailed, Some(3)),
        ];
        for (stop, status) in table {
            assert_eq!(stop.status(), status, "{stop:?}");
        }
    }
}
