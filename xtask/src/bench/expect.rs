//! What arrives, searched and cut into lines as it arrives: the pure parts of expect and of the line handlers, behind a
//! pipe, against the best tools for the same job. (grep knows that no match is longer than a line, and looks for the `@`
//! alone; a stream has no such promise to make.) `cargo run --release -p phalanx-process --example expect_speed` has
//! the rates pattern by pattern, and whether they stay flat over the length of a stream.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::Row;
use super::contest::{Goal, median, pairwise};
use super::measure::quiet;
use super::workshop::Workshop;
use crate::step::{cargo, target};

pub(super) const SEARCH: Row = Row {
    name: "expect",
    work: "1 GiB through a pipe, searched for a regular expression that comes last",
    run: |workshop| {
        against(
            "expect_speed",
            workshop,
            "grep -aE",
            "LC_ALL=C grep -aqE '[a-z]+@[a-z]+:[^ ]*[$#] $'; true",
            Goal::Told,
        )
    },
};

pub(super) const PROCESS: Row = Row {
    name: "expect-process",
    work: "1 GiB that a process says, searched by process.expect for a regular expression that comes last",
    run: through_a_process,
};

pub(super) const LINES: Row = Row {
    name: "cut-lines",
    work: "1 GiB through a pipe, cut into lines of 64 bytes",
    run: |workshop| against("line_speed", workshop, "wc -l", "wc -l", Goal::AtLeast(0.5)),
};

fn against(example: &str, workshop: &Workshop, name: &str, tool: &str, goal: Goal) -> Result<(), String> {
    let example = built(example)?;
    let file = workshop.text(1 << 30)?;
    let piped = |consumer: &str| -> Command {
        let mut shell = quiet("sh");
        shell.args(["-c", &format!("cat \"$1\" | {consumer}"), "sh"]).arg(&file);
        shell
    };
    let ours = || {
        let mut ours = piped("\"$2\" -");
        ours.arg(&example);
        ours
    };
    pairwise(name, goal, 5, ours, || piped(tool))
}

/// The rate, and whether a byte costs the same in a stream of a quarter of the length.
fn through_a_process(workshop: &Workshop) -> Result<(), String> {
    let example = built("prompt_speed")?;
    let rate = |size: usize| -> Result<f64, String> {
        let mut search = quiet(&example);
        search.arg("search").arg(workshop.text(size)?).stdout(Stdio::piped());
        let output = search.output().map_err(|error| format!("cannot start the example: {error}"))?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let rate = said.split(' ').next().and_then(|number| number.parse().ok());
        rate.ok_or_else(|| format!("it failed: {}", String::from_utf8_lossy(&output.stderr).trim()))
    };
    let (mut long, mut short) = (Vec::new(), Vec::new());
    for _ in 0..5 {
        long.push(rate(1 << 30)?);
        short.push(rate(1 << 28)?);
    }
    let (long, short) = (median(long.into_iter()), median(short.into_iter()));
    let word = if long >= 300.0 { "REACHED" } else { "MISSED" };
    println!("  {long:7.0} MB/s, at 256 MiB {short:.0} MB/s        goal ≥ 300 MB/s    {word}, 5 rounds");
    Ok(())
}

/// An example of the process crate: it is that crate alone which is measured here.
pub(super) fn built(example: &str) -> Result<PathBuf, String> {
    let mut build = cargo(["build", "--quiet", "--release", "--package", "phalanx-process", "--example", example]);
    match build.status() {
        Ok(status) if status.success() => Ok(target().join("release/examples").join(example)),
        Ok(status) => Err(format!("cargo build of {example}: {status}")),
        Err(error) => Err(format!("cannot start cargo: {error}")),
    }
}
