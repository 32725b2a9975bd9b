//! Five thousand children that live and say nothing: what each costs while nothing happens.

use std::fs;
use std::process::Child;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use phalanx_tests::wait_until;

use super::Row;
use super::measure::{peak_of, start};
use super::workshop::Workshop;

pub(super) const ROW: Row =
    Row { name: "silent", work: "5,000 live silent children: memory of ours, and processor while idle", run };

const CHILDREN: usize = 5_000;

/// How long to look whether nothing happens.
const LOOK: Duration = Duration::from_secs(2);

fn run(workshop: &Workshop) -> Result<(), String> {
    let count = CHILDREN.to_string();
    let nodes = format!("n[1-{count}]");
    let mut phalanx =
        start(&mut workshop.phalanx_run(&["-R", "exec", "-w", &nodes, "-f", &count, "-q", "sleep 1000"]))?;
    let found = observe(&mut phalanx);
    // Politely, so that it takes its children along. It may have ended already, which was observed.
    let _ = kill(pid(&phalanx), Signal::SIGTERM);
    phalanx.wait().map_err(|error| format!("cannot wait for it: {error}"))?;
    let (peak, idle) = found?;
    let word = |reached: bool| if reached { "REACHED" } else { "MISSED" };
    println!(
        "  {peak:7.1} MiB resident at most, {:.2} KiB per child       goal ≤ 25 MB       {}",
        peak * 1024.0 / CHILDREN as f64,
        word(peak * 1.048_576 <= 25.0)
    );
    println!(
        "  {:7.2} ms of processor in {LOOK:?} of silence           goal none          {}",
        idle * 1e3,
        word(idle < 1e-3)
    );
    Ok(())
}

fn pid(child: &Child) -> Pid {
    Pid::from_raw(i32::try_from(child.id()).expect("the kernel's pids are below 2^22"))
}

/// The peak in MiB and the seconds of processor while all children live.
#[expect(clippy::disallowed_methods, reason = "what is measured is a stretch of time in which nothing happens")]
fn observe(phalanx: &mut Child) -> Result<(f64, f64), String> {
    let mut ended = false;
    wait_until("all children live", || {
        ended = phalanx.try_wait().is_ok_and(|status| status.is_some());
        ended || children(phalanx.id()) >= CHILDREN
    });
    let before = processor(phalanx.id());
    std::thread::sleep(LOOK);
    let after = processor(phalanx.id());
    match (peak_of(phalanx.id()), before, after) {
        (Some(peak), Some(before), Some(after)) if !ended => Ok((peak, after - before)),
        _ => Err("phalanx run ended before its children".into()),
    }
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
