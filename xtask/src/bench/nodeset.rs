//! Node sets against ClusterShell's: folding, and what it costs to start at all.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::Row;
use super::contest::{Goal, against_tool};
use super::measure::{fed, measure, quiet};
use super::workshop::{Phalanx, Workshop};

pub(super) const ROW: Row =
    Row { name: "nodeset", work: "node sets folded and counted, against ClusterShell's nodeset", run };

const ROUNDS: usize = 3;

fn run(workshop: &Workshop) -> Result<(), String> {
    let phalanx = workshop.phalanx()?;
    let irregular = irregular_names(workshop.files())?;
    contest(phalanx, "a range of 1,000,000", 100.0, None, &["-f", "a[1-1000000]"])?;
    contest(phalanx, "100,000 irregular names", 50.0, Some(&irregular), &["-f"])?;
    contest(phalanx, "two boxes of 300 × 300", 100.0, None, &["-f", "a[1-300]b[1-300]", "a[151-450]b[151-450]"])?;
    contest(phalanx, "ten names", 30.0, None, &["-c", "n[1-10]"])?;
    memory(phalanx)?;
    start_up(phalanx)
}

fn contest(phalanx: &Phalanx, work: &str, times: f64, input: Option<&Path>, arguments: &[&str]) -> Result<(), String> {
    println!("  {work}:");
    let with = |mut command: Command| {
        command.args(arguments);
        command
    };
    let ours = || with(phalanx.nodeset(input));
    let theirs = || with(input.map_or_else(|| quiet("nodeset"), |input| fed("nodeset", input)));
    against_tool("nodeset", "clustershell", Goal::AtLeast(times), ROUNDS, ours, theirs)
}

/// Numbers without any order, in the manner of a linear congruential generator, so that every run has the same.
fn irregular_names(directory: &Path) -> Result<PathBuf, String> {
    let mut text = String::new();
    let mut state = 7_u64;
    for _ in 0..100_000 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        writeln!(text, "node{}", (state >> 33) % 1_000_000).expect("writing to a String cannot fail");
    }
    let path = directory.join("irregular-names");
    fs::write(&path, text).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    Ok(path)
}

/// The folded million is over before anybody could look, so a set that is expanded, name by name, stands for it.
fn memory(phalanx: &Phalanx) -> Result<(), String> {
    let cost = measure(phalanx.nodeset(None).args(["-e", "a[1-3000000]"]))?;
    let word = if cost.peak <= 10.0 { "REACHED" } else { "MISSED" };
    println!("  {:7.2} MiB for three million names, one by one        goal ≤ 10 MiB      {word}", cost.peak);
    Ok(())
}

fn start_up(phalanx: &Phalanx) -> Result<(), String> {
    let turn = |_| measure(phalanx.nodeset(None).args(["-c", "n[1-10]"])).map(|cost| cost.wall * 1e3);
    let mut turns = (0..21).map(turn).collect::<Result<Vec<f64>, String>>()?;
    turns.sort_by(f64::total_cmp);
    let median = turns[turns.len() / 2];
    let word = if median <= 3.0 { "REACHED" } else { "MISSED" };
    println!("  {median:7.2} ms from start to end of -c n[1-10]           goal ≤ 3 ms        {word}");
    Ok(())
}
