//! Many short lines shown with the label of their node, to a file, against pdsh.

use std::fs::File;
use std::process::Command;

use super::Row;
use super::contest::{Goal, against_tool};
use super::measure::quiet;
use super::workshop::Workshop;

pub(super) const ROW: Row =
    Row { name: "labels", work: "5 million short lines of 10 processes, shown with labels, to a file", run };

fn run(workshop: &Workshop) -> Result<(), String> {
    let phalanx = workshop.phalanx()?;
    let shown = workshop.files().join("shown");
    let to_file = |mut command: Command| {
        command.stdout(File::create(&shown).expect("the directory is ours"));
        command
    };
    let job = ["-R", "exec", "-w", "n[1-10]", "seq", "500000"];
    let ours = || to_file(phalanx.run(&job));
    let theirs = || {
        let mut pdsh = quiet("pdsh");
        pdsh.args(job);
        to_file(pdsh)
    };
    against_tool("pdsh", "pdsh", Goal::AtLeast(20.0), 3, ours, theirs)
}
