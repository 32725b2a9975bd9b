//! `cargo xtask VERB`: see `xtask::verbs`.

use std::process::ExitCode;

fn main() -> ExitCode {
    xtask::verbs::run(std::env::args().skip(1).collect())
}
