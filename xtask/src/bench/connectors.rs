//! Starting connectors: everything about remote commands but the network, against xargs doing the same, and against
//! execo.

use super::Row;
use super::contest::{Goal, pairwise};
use super::measure::{fed, quiet};
use super::workshop::Workshop;
use crate::step::root;

pub(super) const ROW: Row = Row {
    name: "connectors",
    work: "2,000 hosts over a connector that only runs sh -c (--ssh PROGRAM), 64 in flight",
    run,
};

fn run(workshop: &Workshop) -> Result<(), String> {
    let phalanx = workshop.phalanx()?;
    let connector = workshop.limit("connector")?;
    let program = connector.display().to_string();
    let ours = |count: usize| {
        let nodes = format!("n[1-{count}]");
        phalanx.run(&["--ssh", &program, "-w", &nodes, "-f", "64", "-q", "true"])
    };
    let list = workshop.list("n", 2_000)?;
    let xargs = || {
        let mut xargs = fed("xargs", &list);
        xargs.args(["-P64", "-I%"]).arg(&connector).args(["%", "true"]);
        xargs
    };
    pairwise("xargs -P64", Goal::AtMost(1.15), 5, || ours(2_000), xargs)?;

    // execo has no window: it starts all at once.
    match workshop.execo() {
        Ok(python) => pairwise(
            "execo (300 hosts)",
            Goal::Told,
            3,
            || ours(300),
            || {
                let mut execo = quiet(python);
                execo.arg(root().join("xtask/bench/execo_remote.py")).arg(&connector).args(["300", "true"]);
                execo
            },
        ),
        Err(sentence) => {
            println!("  execo: cannot be installed, left out: {sentence}");
            Ok(())
        }
    }
}
