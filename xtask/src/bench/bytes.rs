//! Output of one process: captured whole, or counted by lines, against a pipe between two `cat`s.
//!
//! The command line shows lines and keeps none, so that our side is an example that uses the Rust interface.

use std::path::Path;

use super::Row;
use super::contest::{Goal, pairwise};
use super::measure::quiet;
use super::workshop::Workshop;

pub(super) const WHOLE: Row = Row { name: "bytes", work: "1 GiB from one process, captured whole", run: whole };

pub(super) const LINES: Row =
    Row { name: "lines", work: "1 GiB from one process, counted by lines of 64 bytes", run: lines };

const CATS: &str = "cat \"$1\" | cat >/dev/null";

fn whole(workshop: &Workshop) -> Result<(), String> {
    let limit = workshop.limit("capture_limit")?;
    against(workshop, "whole", "cat | cat >/dev/null", Goal::AtLeast(0.5), CATS)?;
    // What remains when nothing but the memory is counted.
    against(workshop, "whole", "cat | one growing buffer", Goal::Told, &format!("cat \"$1\" | {}", limit.display()))
}

fn lines(workshop: &Workshop) -> Result<(), String> {
    against(workshop, "lines", "cat | cat >/dev/null", Goal::AtLeast(0.7), CATS)
}

/// The example that takes it in in this `way`, against a pipeline of the shell that has the file as `$1`.
fn against(workshop: &Workshop, way: &str, name: &str, goal: Goal, pipeline: &str) -> Result<(), String> {
    let example = workshop.example("one_gibibyte")?;
    let file = workshop.text(1 << 30)?;
    let command = |program: &Path, arguments: &[&str]| {
        let mut command = quiet(program);
        command.args(arguments).arg(&file);
        command
    };
    let ours = || command(&example, &[way]);
    pairwise(name, goal, 5, ours, || command(Path::new("sh"), &["-c", pipeline, "sh"]))
}
