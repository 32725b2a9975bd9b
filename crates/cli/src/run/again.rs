//! `--failed-from`: runs again on the hosts that failed in a record, or are not known to have ended.

use std::path::{Path, PathBuf};

use phalanx_record::Step;

use super::RunArgs;
use crate::args::values::Worker;
use crate::hosts::HostsError;
use crate::report::{self, RecordFileError};

/// What records call a put or a get: no command, so it cannot be run again as one.
pub(super) const FILES: &str = "files";

/// Why a record does not say what is to be run again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AgainError {
    #[error(transparent)]
    Record(#[from] RecordFileError),
    #[error("nothing is recorded in `{}` (--failed-from)", .0.display())]
    Empty(PathBuf),
    #[error("the record `{}` (--failed-from) does not say its command: give one after the options", .0.display())]
    NoCommand(PathBuf),
    #[error("the record `{}` (--failed-from) is one of files that were copied: give a command after the options", .0.display())]
    Files(PathBuf),
    #[error(
        "the command of the record `{}` (--failed-from) was run with -R {recorded}: say -R {recorded} again, or give a command",
        .path.display()
    )]
    Worker { path: PathBuf, recorded: String },
    #[error(transparent)]
    Hosts(#[from] HostsError),
}

/// The hosts to run on again, perhaps none, and the command: the one that was typed, else the last of the record.
pub(super) fn hosts_and_command(path: &Path, args: &RunArgs) -> Result<(Vec<String>, String), AgainError> {
    let record = report::read(path)?;
    let last = record.steps.last().ok_or_else(|| AgainError::Empty(path.to_owned()))?;
    let command = if args.command.is_empty() { recorded(path, last, args.worker)? } else { args.command.join(" ") };
    // The names come from a file: they are looked at like typed ones.
    Ok((args.hosts.among(record.failed_hosts())?, command))
}

/// A command meant for one place could do harm in the other.
fn recorded(path: &Path, step: &Step, worker: Worker) -> Result<String, AgainError> {
    let command = step.command.clone().ok_or_else(|| AgainError::NoCommand(path.to_owned()))?;
    if step.worker.as_deref() == Some(FILES) {
        return Err(AgainError::Files(path.to_owned()));
    }
    let typed = match worker {
        Worker::Ssh => "ssh",
        Worker::Exec => "exec",
    };
    match &step.worker {
        Some(recorded) if recorded != typed => {
            Err(AgainError::Worker { path: path.to_owned(), recorded: recorded.clone() })
        }
        _ => Ok(command),
    }
}
