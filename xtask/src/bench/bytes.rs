//! Output of one process: captured whole, or counted by lines, against a pipe between two `cat`s.
//!
//! The command line shows lines and keeps none, so that our side is an example that uses the Rust interface.

use std::process::Command;

use super::Row;
use super::contest::{Goal, pairwise};
use super::measure::quiet;
use super::workshop::Workshop;

pub(super) const WHOLE: Row = Row {
    name: "bytes",
    work: "1 GiB from one process, captured whole",
    run: |workshop| against_cat(workshop, "whole", Goal::AtLeast(0.5)),
};

pub(super) const LINES: Row = Row {
    name: "lines",
    work: "1 GiB from one process, counted by lines of 64 bytes",
    run: |workshop| against_cat(workshop, "lines", Goal::AtLeast(0.7)),
};

fn against_cat(workshop: &Workshop, way: &str, goal: Goal) -> Result<(), String> {
    let example = workshop.example("one_gibibyte")?;
    let file = workshop.text(1 << 30)?;
    let ours = || {
        let mut ours = quiet(&example);
        ours.arg(way).arg(&file);
        ours
    };
    let cats = || -> Command {
        let mut shell = quiet("sh");
        shell.args(["-c", "cat \"$1\" | cat >/dev/null", "sh"]).arg(&file);
        shell
    };
    pairwise("cat | cat >/dev/null", goal, 5, ours, cats)
}
