//! Why a transfer is not ok.

use std::fmt;

use phalanx_process::result::Delivery;

/// What was wrong with the transfer of a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The remote end ended, or the connection to it did, before it said that everything is in place. Why, the status of
    /// its process may tell.
    Disconnected,
    /// Something on this side, in a sentence.
    Local(String),
    /// The remote end said so, or said something that cannot be.
    Remote(String),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disconnected => f.write_str("the far end ended without a word that it has everything"),
            Self::Local(reason) | Self::Remote(reason) => f.write_str(reason),
        }
    }
}

impl Fault {
    /// Returns what a transfer with this fault, or without one, says about its process.
    #[must_use]
    pub fn delivery(fault: Option<Self>) -> Delivery {
        match fault {
            None => Delivery::Confirmed,
            Some(Self::Disconnected) => Delivery::Unconfirmed,
            Some(Self::Local(reason) | Self::Remote(reason)) => Delivery::Failed(reason),
        }
    }

    /// The fault that the remote end states in `reason`, which may be empty.
    pub(crate) fn stated(reason: &[u8]) -> Self {
        match String::from_utf8_lossy(reason).trim() {
            "" => Self::Remote("the far end gave up, and gave no reason".to_owned()),
            reason => Self::Remote(reason.to_owned()),
        }
    }
}
