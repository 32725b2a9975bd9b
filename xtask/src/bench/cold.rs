//! New ssh connections, one per command, on the private fleet: the cost is OpenSSH's, and we add nothing that can be
//! seen.

use phalanx_tests::Fleet;

use super::Row;
use super::contest::{Goal, against_tool, pairwise};
use super::measure::{fed, quiet};
use super::workshop::Workshop;

pub(super) const ROW: Row =
    Row { name: "cold", work: "100 cold ssh connections, fan-out 64, on the private fleet", run };

fn run(workshop: &Workshop) -> Result<(), String> {
    let phalanx = workshop.phalanx()?;
    let fleet = Fleet::start().map_err(|missing| missing.to_string())?;
    let config = fleet.ssh_config().display().to_string();
    let list = workshop.list("node", 100)?;
    let ours = || phalanx.run(&["-F", &config, "-w", "node[1-100]", "-f", "64", "-q", "true"]);
    let xargs = || {
        let mut xargs = fed("xargs", &list);
        xargs.args(["-P64", "-I%", "ssh", "-F", &config, "-o", "BatchMode=yes", "%", "true"]);
        xargs
    };
    pairwise("xargs -P64 ssh", Goal::AtMost(1.05), 7, ours, xargs)?;
    let clush = || {
        let mut clush = quiet("clush");
        clush.args(["-O", &format!("ssh_options=-F {config}"), "-f", "64", "-w", "node[1-100]", "-q", "true"]);
        clush
    };
    against_tool("clush", "clustershell", Goal::Told, 3, ours, clush)
}
