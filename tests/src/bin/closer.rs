//! Closes its output and goes on.
//!
//! ```text
//! closer [STATUS]
//! ```
//!
//! Says "closing" on stdout, closes stdout and stderr, and then lives until its stdin ends; it exits with STATUS (0).
//! Whoever takes the end of output for the end of the process is wrong about it.

use std::io::{self, Read, Write};
use std::process::ExitCode;

fn main() -> ExitCode {
    let status = std::env::args().nth(1).map_or(0, |word| word.parse().expect("STATUS is a number below 256"));
    let mut out = io::stdout();
    let _ = out.write_all(b"closing\n").and_then(|()| out.flush());
    nix::unistd::close(1).expect("stdout was open");
    nix::unistd::close(2).expect("stderr was open");
    let _ = io::stdin().lock().read_to_end(&mut Vec::new());
    ExitCode::from(status)
}
