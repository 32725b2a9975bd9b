//! The `phalanx` binary: what was typed, what it means, doing it, showing it, and the exit status.

mod args;
mod exit;
mod run;
mod show;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    let args = match args::Args::try_parse() {
        Ok(args) => args,
        Err(error) => return exit::after_parsing(&error),
    };
    args::start_logging(args.verbosity());
    match args.verb {
        args::Verb::Run(typed) => run::run(&typed),
    }
}
