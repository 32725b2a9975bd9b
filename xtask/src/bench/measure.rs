//! One run of one program: how long, how much processor, how much memory. Knows nothing of what the program does.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};

use crate::step::typed;

/// What one run cost.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cost {
    /// Seconds from start to end.
    pub(super) wall: f64,
    /// Seconds of processor time, user and system, of the program and all of its children.
    pub(super) processor: f64,
    /// The most memory the program itself had resident, in MiB.
    pub(super) peak: f64,
}

/// Runs the command to its end, its output going where the command says, by default nowhere.
pub(super) fn measure(command: &mut Command) -> Result<Cost, String> {
    let before = processor_of_children();
    let begin = Instant::now();
    let child = start(command)?;
    let peak = watch_memory(child.id());
    let output = child.wait_with_output().map_err(|error| format!("cannot wait for {}: {error}", typed(command)))?;
    let wall = begin.elapsed().as_secs_f64();
    let peak = peak.finish();
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let last: Vec<_> = said.lines().rev().take(3).collect();
        return Err(format!("{} ended with {}: {}", typed(command), output.status, last.join(" / ")));
    }
    Ok(Cost { wall, processor: processor_of_children() - before, peak })
}

/// Starts the command with no input and nobody listening to its output; standard error is kept for the sentence about a
/// failure.
#[expect(clippy::disallowed_methods, reason = "the measured must not be started by what is measured")]
pub(super) fn start(command: &mut Command) -> Result<Child, String> {
    command.stderr(Stdio::piped());
    command.spawn().map_err(|error| format!("cannot start {}: {error}", typed(command)))
}

/// A command with no input, whose output nobody wants.
pub(super) fn quiet(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(program);
    command.stdin(Stdio::null()).stdout(Stdio::null());
    command
}

/// A command whose input is the file, and whose output nobody wants.
pub(super) fn fed(program: impl AsRef<std::ffi::OsStr>, input: &Path) -> Command {
    let mut command = quiet(program);
    command.stdin(File::open(input).expect("the workshop made the file"));
    command
}

/// Of all that were waited for so far.
fn processor_of_children() -> f64 {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).expect("RUSAGE_CHILDREN is valid");
    let seconds = |time: nix::sys::time::TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
    seconds(usage.user_time()) + seconds(usage.system_time())
}

/// A thread that reads the kernel's own high-water mark (`VmHWM`, proc(5)) until it is told to finish.
///
/// The mark only rises, so that the last look is exact but for the last hundredth of a second. The alternative,
/// `ru_maxrss` of wait4(2), would be the greatest among the program and its children.
struct Memory {
    stop: std::sync::mpsc::Sender<()>,
    thread: std::thread::JoinHandle<f64>,
}

impl Memory {
    fn finish(self) -> f64 {
        drop(self.stop);
        self.thread.join().unwrap_or(0.0)
    }
}

fn watch_memory(pid: u32) -> Memory {
    let (stop, stopped) = channel();
    Memory { stop, thread: std::thread::spawn(move || highest(pid, &stopped)) }
}

fn highest(pid: u32, stopped: &Receiver<()>) -> f64 {
    let mut highest = 0.0;
    loop {
        highest = peak_of(pid).unwrap_or(0.0).max(highest);
        if stopped.recv_timeout(Duration::from_millis(10)) != Err(RecvTimeoutError::Timeout) {
            return highest;
        }
    }
}

/// The most memory that a living process has had resident so far, in MiB.
pub(super) fn peak_of(pid: u32) -> Option<f64> {
    mebibytes(pid, "VmHWM:")
}

/// The memory that a living process has resident now, in MiB.
pub(super) fn resident(pid: u32) -> Option<f64> {
    mebibytes(pid, "VmRSS:")
}

fn mebibytes(pid: u32, name: &str) -> Option<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let field = status.lines().find_map(|line| line.strip_prefix(name))?;
    let kibibytes: f64 = field.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kibibytes / 1024.0)
}
