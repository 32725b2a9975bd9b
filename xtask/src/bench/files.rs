//! Files to one host of the private fleet: one large, and many small ones, against scp of the same OpenSSH.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use phalanx_tests::Fleet;

use super::Row;
use super::contest::{Goal, pairwise};
use super::measure::quiet;
use super::workshop::Workshop;

pub(super) const LARGE: Row = Row { name: "put-large", work: "put one file of 1 GiB to one host", run: large };
pub(super) const SMALL: Row = Row { name: "put-small", work: "put 10,000 small files to one host", run: small };

const GIBIBYTE: usize = 1 << 30;
const SMALL_FILES: usize = 10_000;

fn large(workshop: &Workshop) -> Result<(), String> {
    let file = workshop.text(GIBIBYTE)?;
    against_scp(workshop, &file, Goal::AtMost(1.05), 5)
}

fn small(workshop: &Workshop) -> Result<(), String> {
    let tree = workshop.files().join("tree");
    make_tree(&tree).map_err(|error| format!("cannot fill {}: {error}", tree.display()))?;
    against_scp(workshop, &tree, Goal::AtLeast(5.0), 3)
}

/// A hundred files in each of a hundred directories, of 100 to 1,100 bytes.
fn make_tree(tree: &Path) -> std::io::Result<()> {
    for number in 0..SMALL_FILES {
        let directory = tree.join((number % 100).to_string());
        fs::create_dir_all(&directory)?;
        fs::write(directory.join(number.to_string()), vec![b'x'; 100 + number % 1000])?;
    }
    Ok(())
}

fn against_scp(workshop: &Workshop, source: &Path, goal: Goal, rounds: usize) -> Result<(), String> {
    let phalanx = workshop.phalanx()?;
    let fleet = Fleet::start().map_err(|missing| missing.to_string())?;
    let config = fleet.ssh_config().display().to_string();
    let landing = workshop.files().join("landing");
    let ours = || {
        let mut put = phalanx.verb(&["put", "-F", &config, "-w", "node1", "-q"]);
        put.arg(source).arg(fresh(&landing));
        put
    };
    let theirs = || {
        let mut scp = quiet("scp");
        scp.args(["-q", "-r", "-p", "-F", &config]).arg(source);
        scp.arg(format!("node1:{}", fresh(&landing).display()));
        scp
    };
    pairwise("scp -rp", goal, rounds, ours, theirs)?;
    let plain = || {
        let mut shell = Command::new("sh");
        let name = source.file_name().unwrap_or_default();
        shell.args(["-c", "tar -C \"$1\" -cf - \"$2\" | ssh -F \"$3\" node1 tar -C \"$4\" -xf -", "tar"]);
        shell.arg(workshop.files()).arg(name).arg(&config).arg(fresh(&landing));
        shell
    };
    pairwise("tar | ssh tar", Goal::Told, rounds, ours, plain)
}

/// Made anew for every turn, so that nobody overwrites what the other has copied. A trailing slash is for neither.
fn fresh(landing: &Path) -> PathBuf {
    // What cannot be removed or made is complained about by whoever copies.
    let _ = fs::remove_dir_all(landing);
    let _ = fs::create_dir_all(landing);
    landing.to_owned()
}
