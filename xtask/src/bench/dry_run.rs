//! What a dry run of a hundred thousand hosts costs: expanding, checking and showing every command, and starting none.

use super::Row;
use super::measure::measure;
use super::workshop::Workshop;

pub(super) const ROW: Row =
    Row { name: "dry-run", work: "-w n[1-100000] -R exec --dry-run: every command shown, nothing started", run };

fn run(workshop: &Workshop) -> Result<(), String> {
    let phalanx = workshop.phalanx()?;
    let arguments = ["-R", "exec", "--dry-run", "-w", "n[1-100000]", "echo %h"];
    let turn = |_| measure(&mut phalanx.run(&arguments)).map(|cost| cost.processor);
    let mut turns = (0..5).map(turn).collect::<Result<Vec<f64>, String>>()?;
    turns.sort_by(f64::total_cmp);
    let median = turns[turns.len() / 2];
    let word = if median < 1.0 { "REACHED" } else { "MISSED" };
    println!("  {median:7.2} s of processor                               goal < 1 s         {word}");
    Ok(())
}
