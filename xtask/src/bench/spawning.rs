//! Starting processes here: `phalanx run -R exec` against nothing but posix_spawn and waitpid, and against its peers.

use std::process::Command;

use super::Row;
use super::contest::{Goal, against_tool, pairwise};
use super::measure::{fed, quiet};
use super::workshop::Workshop;

pub(super) const ROW: Row =
    Row { name: "spawn", work: "10,000 × /bin/true, 64 in flight, all three pipes captured (-R exec)", run };

/// The peers are several times slower, and as slow per process with fewer of them.
const FEWER: usize = 1_000;

fn run(workshop: &Workshop) -> Result<(), String> {
    let phalanx = workshop.phalanx()?;
    let limit = workshop.limit("spawn_limit")?;
    let ours = |count: usize| {
        let nodes = format!("n[1-{count}]");
        phalanx.run(&["-R", "exec", "-w", &nodes, "-f", "64", "-q", "/bin/true"])
    };
    let theirs = || arguments(quiet(&limit), &["10000", "64", "/bin/true"]);
    pairwise("posix_spawn + waitpid", Goal::AtMost(1.15), 5, || ours(10_000), theirs)?;

    let nodes = format!("n[1-{FEWER}]");
    let exec = ["-R", "exec", "-f", "64", "-w", &nodes, "/bin/true"];
    against_tool("pdsh", "pdsh", Goal::Told, 3, || ours(FEWER), || arguments(quiet("pdsh"), &exec))?;
    against_tool("clush", "clustershell", Goal::Told, 3, || ours(FEWER), || arguments(quiet("clush"), &exec))?;
    let list = workshop.list("", FEWER)?;
    let parallel = || arguments(fed("parallel", &list), &["--will-cite", "-j64", "-N0", "/bin/true"]);
    against_tool("parallel", "parallel", Goal::Told, 3, || ours(FEWER), parallel)
}

fn arguments(mut command: Command, arguments: &[&str]) -> Command {
    command.args(arguments);
    command
}
