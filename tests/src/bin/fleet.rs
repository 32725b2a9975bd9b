//! A fleet to play with by hand: `cargo run -p phalanx-tests --bin fleet`.
//!
//! Says how to use it, as one line `ssh -F CONFIG`, and lives until its stdin ends or it is killed, in whatever way.

use std::io::{self, Read, Write};
use std::process::ExitCode;

fn main() -> ExitCode {
    let fleet = match phalanx_tests::Fleet::start() {
        Ok(fleet) => fleet,
        Err(missing) => {
            let _ = writeln!(io::stderr(), "fleet: {missing}");
            return ExitCode::FAILURE;
        }
    };
    let _ = writeln!(io::stdout(), "ssh -F {}", fleet.ssh_config().display());
    let _ = io::stdin().lock().read_to_end(&mut Vec::new());
    ExitCode::SUCCESS
}
