//! A file along a chain of hosts, against one plain netcat between two of them: check C7 of the inventory of execo.
//!
//! The hosts are network namespaces of this machine, and its few processors do what eight computers would. So their
//! links are limited to what a processor of a real host has no trouble with; what is measured is whether the chain keeps
//! a link busy, and what each further host costs.

use std::process::Command;

use phalanx_tests::Namespaces;

use super::Row;
use super::contest::{Goal, pairwise};
use super::workshop::{Phalanx, Workshop};

pub(super) const ROW: Row = Row { name: "chain", work: "pass a file of 256 MiB along a chain of hosts", run };

const SIZE: usize = 256 << 20;
const MEGABITS: u32 = 100;
const ROUNDS: usize = 3;

fn run(workshop: &Workshop) -> Result<(), String> {
    let phalanx = workshop.phalanx()?;
    let file = workshop.text(SIZE)?.display().to_string();
    let hosts = Namespaces::start(8).ok_or("network namespaces take root, and ip")?;
    hosts.limit(MEGABITS);
    println!("  links of {MEGABITS} Mbit/s between 8 network namespaces");
    let there = workshop.files().join("chain").display().to_string();
    let to = |last: usize| chain(&hosts, phalanx, last, &file, &there);
    let netcat = || {
        // It may be asked to connect before it listens.
        let script = "rm -rf \"$3\"; mkdir -p \"$3\"; ip netns exec \"$1\" nc -l -p 20001 </dev/null >\"$3/file\" &
            until ip netns exec \"$2\" nc -q 0 10.77.0.1 20001 <\"$4\"; do :; done 2>/dev/null; wait";
        let mut shell = Command::new("sh");
        shell.args(["-c", script, "sh", &hosts.name(1), &hosts.name(2), &there, &file]);
        shell
    };
    pairwise("one netcat (8 hosts)", Goal::AtMost(1.3), ROUNDS, || to(8), netcat)?;
    pairwise("a chain of 4 (8 hosts)", Goal::AtMost(1.1), ROUNDS, || to(8), || to(4))
}

/// To the first so many hosts. If any of them fails, so does the measurement.
fn chain(hosts: &Namespaces, phalanx: &Phalanx, last: usize, file: &str, there: &str) -> Command {
    let script = "rm -rf \"$1\"; ip netns exec \"$2\" \"$3\" put --chain -q --ssh \"$4\" -w \"10.77.0.[1-$5]\" \"$6\" \"$1/{{{host}}}/\"";
    let mut shell = Command::new("sh");
    shell.args(["-c", script, "sh", there, &hosts.name(0)]).arg(phalanx.path()).arg(hosts.connector());
    shell.args([&last.to_string(), file]);
    shell
}
