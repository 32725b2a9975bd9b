//! How a process is treated and judged: time limits, what is kept of its output, which faults count. All that the
//! [table](crate::table) needs to know of a process; what is started, and how, it does not know.

use std::time::Duration;

use crate::output::Capture;

/// The ways in which a process can fail, each on or off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Faults {
    /// It could not be started.
    pub error: bool,
    /// Its exit code was not zero, or a signal that we did not send ended it.
    pub exit_code: bool,
    /// It ran longer than it was allowed to.
    pub timeout: bool,
    /// It did not say what was expected of it.
    pub expect_failed: bool,
    /// It did not read all that was written to it.
    pub write_error: bool,
}

impl Faults {
    /// All of them.
    pub const ALL: Self = Self { error: true, exit_code: true, timeout: true, expect_failed: true, write_error: true };
}

/// What becomes of the rest of a process group when its leader has ended by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Leftovers {
    /// It lives on: the program may have meant to leave a daemon behind.
    #[default]
    Leave,
    /// It is killed.
    Kill,
}

/// How a process is treated: all that the table needs to know about it.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    /// How long it may run.
    pub timeout: Option<Duration>,
    /// How long it is given between a polite signal and SIGKILL; `None` for ever.
    pub grace: Option<Duration>,
    /// How long to go on reading after its end while a grandchild keeps its streams open.
    pub leak_timeout: Duration,
    /// How long the backend may take to confirm SIGKILL, or the cancelling of a start; then the process is given up, with [`Lost`](crate::signal::ExitStatus::Lost) as its status if it ran. `None`, to wait for ever, is right
    /// for children of ours: the kernel always answers. Processes of a backend are given
    /// `ABANDON_AFTER` if they have none.
    pub abandon: Option<Duration>,
    /// What becomes of the rest of its group after an end of its own; after a kill the rest is always killed.
    pub leftovers: Leftovers,
    /// How much of its stdout is kept.
    pub capture_stdout: Capture,
    /// How much of its stderr is kept.
    pub capture_stderr: Capture,
    /// Faults that do not make it "not ok".
    pub ignore: Faults,
    /// Faults that are not worth a warning in the log.
    pub nolog: Faults,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            timeout: None,
            // execo's kill_timeout.
            grace: Some(Duration::from_secs(60)),
            leak_timeout: Duration::from_millis(200),
            abandon: None,
            leftovers: Leftovers::Leave,
            capture_stdout: Capture::All,
            capture_stderr: Capture::All,
            ignore: Faults::default(),
            nolog: Faults::default(),
        }
    }
}
