//! Five thousand children that live and say nothing: what each costs while nothing happens.

use std::fs;
use std::process::{Child, Command};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use phalanx_tests::wait_until;

use super::Row;
use super::measure::{peak_of, quiet, resident, start};
use super::workshop::Workshop;

pub(super) const ROW: Row =
    Row { name: "silent", work: "5,000 live silent children: memory of ours, and processor while idle", run };

const CHILDREN: usize = 5_000;

/// How long to look whether nothing happens.
const LOOK: Duration = Duration::from_secs(2);

fn run(workshop: &Workshop) -> Result<(), String> {
    let count = CHILDREN.to_string();
    report("the library", quiet(workshop.example("silent_children")?).arg(&count))?;
    let nodes = format!("n[1-{count}]");
    let run = ["-R", "exec", "-w", &nodes, "-f", &count, "-q", "sleep 1000"];
    report("phalanx run", &mut workshop.phalanx()?.run(&run))
}

/// Observes the program while all its children live, and ends it.
fn report(name: &str, command: &mut Command) -> Result<(), String> {
    let mut program = start(command)?;
    let found = observe(&mut program);
    if matches!(program.try_wait(), Ok(None)) {
        // Politely, so that it takes its children along.
        kill(pid(&program), Signal::SIGTERM).map_err(|error| format!("cannot end {name}: {error}"))?;
    }
    program.wait().map_err(|error| format!("cannot wait for {name}: {error}"))?;
    let Silence { resident, peak, idle } = found?;
    let word = |reached: bool| if reached { "REACHED" } else { "MISSED" };
    let each = resident * 1024.0 / CHILDREN as f64;
    let (small, still) = (word(resident * 1.048_576 <= 25.0), word(idle < 1e-3));
    println!("  {resident:7.1} MiB resident, {each:.2} KiB a child        {name:20} goal ≤ 25 MB       {small}");
    println!("          at most {peak:.1} MiB while they were started");
    println!("  {:7.2} ms of processor in {LOOK:?} of silence     {name:20} goal none          {still}", idle * 1e3);
    Ok(())
}

fn pid(child: &Child) -> Pid {
    Pid::from_raw(i32::try_from(child.id()).expect("the kernel's pids are below 2^22"))
}

/// What it costs to have children.
struct Silence {
    /// MiB while they live.
    resident: f64,
    /// MiB at most, their start included.
    peak: f64,
    /// Seconds of processor while nothing happens.
    idle: f64,
}

#[expect(clippy::disallowed_methods, reason = "what is measured is a stretch of time in which nothing happens")]
fn observe(program: &mut Child) -> Result<Silence, String> {
    let mut ended = false;
    wait_until("all children live", || {
        ended = program.try_wait().is_ok_and(|status| status.is_some());
        ended || children(program.id()) >= CHILDREN
    });
    let before = processor(program.id());
    std::thread::sleep(LOOK);
    let after = processor(program.id());
    let look = || {
        let (resident, peak) = (resident(program.id())?, peak_of(program.id())?);
        Some(Silence { resident, peak, idle: after? - before? })
    };
    look().filter(|_| !ended).ok_or_else(|| "it ended before its children".to_owned())
}

/// Of all threads, by `/proc/PID/task/TID/children` (proc(5)).
fn children(pid: u32) -> usize {
    let of_thread = |path: std::path::PathBuf| {
        fs::read_to_string(path.join("children")).unwrap_or_default().split_whitespace().count()
    };
    threads(pid).map(of_thread).sum()
}

/// Seconds of processor of all threads, to the nanosecond, by `/proc/PID/task/TID/schedstat` (first field;
/// Documentation/scheduler/sched-stats).
fn processor(pid: u32) -> Option<f64> {
    let of_thread = |path: std::path::PathBuf| -> Option<f64> {
        fs::read_to_string(path.join("schedstat")).ok()?.split_whitespace().next()?.parse().ok()
    };
    let nanoseconds: Option<f64> = threads(pid).map(of_thread).sum();
    nanoseconds.map(|nanoseconds| nanoseconds / 1e9)
}

fn threads(pid: u32) -> impl Iterator<Item = std::path::PathBuf> {
    let entries = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    entries.map(|entry| entry.path())
}
