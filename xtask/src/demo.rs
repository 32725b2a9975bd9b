//! `cargo xtask demo`: the main job, on a fleet of ssh hosts that lives as long as the demonstration.
//!
//! One node of sixteen fails, because how a tool tells of a failure is what one wants to see of it. Where no ssh server
//! can be had, the same is shown with `-R exec`, which runs the commands here.

use std::path::PathBuf;
use std::process::{Command, ExitCode};

use phalanx_tests::Fleet;

use crate::install;
use crate::step::{cargo, target, typed};

/// What every node does: it works for a second, and node13 is in trouble.
const JOB: &str = "echo checking the disk; sleep 1; \
    case {{{host}}} in node13) echo disk is full >&2; exit 3;; *) echo disk is fine;; esac";

/// `cargo xtask demo`.
pub fn run(_: &[String]) -> ExitCode {
    let Some(phalanx) = build() else {
        return ExitCode::FAILURE;
    };
    let fleet = fleet();
    let worker: Vec<String> = match &fleet {
        Some(fleet) => vec!["-F".into(), fleet.ssh_config().display().to_string()],
        None => vec!["-R".into(), "exec".into()],
    };
    let shows = [
        ("Sixteen nodes at once, every line with its node as it comes. One of them is in trouble.", &[][..]),
        ("Identical output gathered under one header of folded nodes.", &["-b"]),
        ("The same with the report at the end.", &["-b", "--report"]),
    ];
    for (title, options) in shows {
        let mut command = Command::new(&phalanx);
        command.args(["run", "-w", "node[1-16]"]).args(&worker).args(options).args(["--", JOB]);
        // The demonstrated exit status is 1, for one node failed; anything else is a failure of the demonstration.
        if show(title, &mut command) != Some(1) {
            return ExitCode::FAILURE;
        }
    }
    println!("\nNext: cargo xtask test, and phalanx run --help. The program is {}", phalanx.display());
    ExitCode::SUCCESS
}

fn build() -> Option<PathBuf> {
    eprintln!("Building phalanx …");
    let built = cargo(["build", "--release", "--package", "phalanx-cli"]).status();
    built.is_ok_and(|status| status.success()).then(|| target().join("release/phalanx"))
}

fn fleet() -> Option<Fleet> {
    install::provide(install::FLEET);
    match Fleet::start() {
        Ok(fleet) => {
            println!("A private sshd on 127.0.0.1 plays the hosts node*, with keys and a configuration of its own.");
            Some(fleet)
        }
        Err(missing) => {
            println!(
                "There can be no fleet of ssh hosts here: {missing}\nThe same is shown with -R exec, which runs it all here."
            );
            None
        }
    }
}

fn show(title: &str, command: &mut Command) -> Option<i32> {
    println!("\n=== {title}\n$ {}\n", typed(command));
    match command.status() {
        Ok(status) => {
            println!("\n(exit status {})", status.code().map_or_else(|| status.to_string(), |code| code.to_string()));
            status.code()
        }
        Err(error) => {
            eprintln!("demo: cannot start {}: {error}", command.get_program().display());
            None
        }
    }
}
