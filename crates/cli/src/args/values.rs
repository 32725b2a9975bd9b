//! Values of options that several verbs take.

use std::time::Duration;

use clap::ValueEnum;
use phalanx_process::duration;

/// How a command gets to its hosts: on each host, through ssh; or here, once for each host name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Worker {
    Ssh,
    Exec,
}

/// Reads a span of time in any of the formats.
pub(crate) fn time(text: &str) -> Result<Duration, String> {
    duration::parse(text).map_err(|error| error.to_string())
}
