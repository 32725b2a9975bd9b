//! Maps what happened to an exit status.
//!
//! 1. a signal stopped the run: 128 + its number (130 for SIGINT, 143 for SIGTERM)
//! 2. Phalanx itself failed: 3
//! 3. `-S`: the largest remote status, where a timeout, a host that cannot be reached and a process that could not be
//!    started count 255, and a death by signal counts 128 + its number
//! 4. some process not ok, or something that could not be recorded (`--record`): 1
//! 5. otherwise: 0
//!
//! What was typed is wrong: 2, and nothing was started.

use std::fmt::Display;
use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::error::ErrorKind;
use phalanx_process::result::{HostResult, ResultKind};
use phalanx_process::visible::visible;

/// All processes are ok.
pub(crate) const OK: u8 = 0;
/// Some process is not ok.
pub(crate) const FAILED: u8 = 1;
/// Wrong usage or configuration; nothing was started.
pub(crate) const USAGE: u8 = 2;
/// A defect or a shortage of Phalanx itself.
pub(crate) const INTERNAL: u8 = 3;
/// What timeouts and unreachable hosts count under `-S`, as with ssh.
pub(crate) const UNREACHABLE: u8 = 255;

/// SIGPIPE, which is what ends others in our place.
pub(crate) const BROKEN_PIPE: i32 = 13;

/// The status of a run that was stopped by this signal, or of a process that died of it.
pub(crate) fn of_signal(number: i32) -> u8 {
    u8::try_from(128 + number).unwrap_or(UNREACHABLE)
}

/// Returns what the result of a host counts under `-S`.
pub(crate) fn of_result(result: &HostResult) -> u8 {
    match result {
        HostResult::Exited(code) => u8::try_from(*code).unwrap_or(UNREACHABLE),
        HostResult::Signaled(Some(number)) => of_signal(*number),
        _ => match result.kind() {
            ResultKind::Ok => OK,
            ResultKind::NotTransferred
            | ResultKind::ExpectFailed
            | ResultKind::StdinNotRead
            | ResultKind::HandlerFailed => FAILED,
            _ => UNREACHABLE,
        },
    }
}

/// What clap has to say: help and version are answers, all else is wrong usage, said in one sentence.
pub(crate) fn after_parsing(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() || error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        // When even this cannot be written, the exit status must do.
        let _ = error.print();
        return ExitCode::from(if error.use_stderr() { USAGE } else { OK });
    }
    let text = error.to_string();
    let said = text.split("\n\nUsage:").next().unwrap_or_default().split("\n\nFor more").next().unwrap_or_default();
    let said = said.replace("\n\n", "; ");
    let sentence = said.split_whitespace().collect::<Vec<_>>().join(" ");
    usage(&format!("{} (see --help)", sentence.strip_prefix("error: ").unwrap_or(&sentence)))
}

/// Returns the status of a verb whose output, which is all it does, was written so. That it is not read is no failure.
pub(crate) fn after_writing(written: io::Result<()>) -> ExitCode {
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            internal(&format!("cannot write to stdout: {error}"))
        }
        _ => ExitCode::from(OK),
    }
}

/// Writes one sentence to stderr, or several, each on its line. Whatever they quote is made visible.
pub(crate) fn eprint(sentence: &impl Display) {
    let said: String = sentence.to_string().lines().map(|line| format!("phalanx: {}\n", visible(line))).collect();
    // When even this cannot be written, the exit status must do.
    let _ = io::stderr().write_all(said.as_bytes());
}

/// One sentence on stderr, and the status for wrong usage.
pub(crate) fn usage(error: &impl Display) -> ExitCode {
    eprint(error);
    ExitCode::from(USAGE)
}

/// One sentence on stderr; all is well.
pub(crate) fn nothing_to_do(sentence: &impl Display) -> ExitCode {
    eprint(sentence);
    ExitCode::from(OK)
}

/// One sentence on stderr, and the status for a failure of Phalanx itself.
pub(crate) fn internal(error: &impl Display) -> ExitCode {
    eprint(error);
    ExitCode::from(INTERNAL)
}

/// One sentence on stderr, and the status for a process that is not ok.
pub(crate) fn failed(error: &impl Display) -> ExitCode {
    eprint(error);
    ExitCode::from(FAILED)
}
