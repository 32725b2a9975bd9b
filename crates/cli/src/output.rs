//! Shows a job while it runs: lines with labels, gathered, as JSON, into files; a status line, a report.
//!
//! ```text
//!  run, put, get ─┐                            ┌─▶ lines, or json  ─▶ console ─▶ writer's thread ─▶ stdout, stderr
//!                 ├─ JobEvent ──▶ Reporter ────┼─▶ gather: at the end
//!  play ──────────┘                  │         ├─▶ files: a directory
//!                                    ▼         └─▶ record: a file of events
//!                             StepState: what is known of every step; the status line, the summary and the report
//! ```
//!
//! A run is a job of one step without a name; a plan has many, with names. That is all the difference there is here. The
//! parts behind the [`Reporter`] do not know each other, and none of them knows what runs.

mod console;
mod event;
mod files;
mod gather;
mod json;
mod line_buffer;
mod lines;
mod progress;
mod record;
mod reporter;
mod status;
mod step_state;
mod writer;

use std::io;
use std::path::{Path, PathBuf};

use phalanx_config::configuration::Configuration;

pub(crate) use self::event::{JobEvent, StepDescription, StepId};
pub(crate) use self::progress::FileProgress;
pub(crate) use self::record::RecordError;
pub(crate) use self::reporter::{Conclusion, Reporter};
pub(crate) use self::step_state::StepState;

/// What a verb wants to be shown.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OutputOptions<'a> {
    pub(crate) configuration: &'a Configuration,
    /// Every line behind its host (not `-N`).
    pub(crate) label: bool,
    pub(crate) quiet: bool,
    pub(crate) verbose: bool,
    pub(crate) gather: bool,
    pub(crate) json: bool,
    pub(crate) report: bool,
    /// A status line, where there is a terminal for it.
    pub(crate) status_line: bool,
    pub(crate) output_dir: Option<&'a Path>,
    pub(crate) record: Option<&'a Path>,
}

/// Nothing can be shown any more.
#[derive(Debug, thiserror::Error)]
#[error("cannot write to {to}: {error}")]
pub(crate) struct OutputError {
    to: &'static str,
    error: io::Error,
}

impl OutputError {
    pub(crate) fn is_broken_pipe(&self) -> bool {
        self.error.kind() == io::ErrorKind::BrokenPipe
    }
}

/// A job cannot be shown as was asked for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    #[error("cannot write into `{}` (--output-dir): {error}", .directory.display())]
    OutputDir { directory: PathBuf, error: io::Error },
    #[error("cannot start a thread for the output: {0}")]
    Thread(io::Error),
    #[error(transparent)]
    Record(#[from] RecordError),
}
