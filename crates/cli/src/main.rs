//! The `phalanx` binary: what was typed, what it means, doing it, showing it, and the exit status.

mod args;
mod config;
mod connect;
mod execution;
mod exit;
mod forward;
mod hosts;
mod logging;
mod manual;
mod nodeset;
mod output;
mod play;
mod report;
mod run;
mod serial;
mod shutdown;
mod transfer;
mod work;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser as _};
use phalanx_config::configuration::Configuration;

fn main() -> ExitCode {
    if let Some((name, arguments)) = called_as_nodeset() {
        return nodeset::run(&name, arguments);
    }
    let args = match args::Args::try_parse() {
        Ok(args) => args,
        Err(error) => return exit::after_parsing(&error),
    };
    let configuration = match args.preset().map(config::load).transpose() {
        Ok(loaded) => loaded.map_or_else(Configuration::default, |loaded| loaded.configuration),
        Err(error) => return exit::usage(&error),
    };
    configuration.apply();
    logging::start(args.verbosity(), &configuration);
    match args.verb {
        args::Verb::Run(typed) => run::run(&typed, &configuration),
        args::Verb::Put(typed) => transfer::put(&typed, &configuration),
        args::Verb::Get(typed) => transfer::get(&typed, &configuration),
        args::Verb::Play(typed) => play::run(&typed, &configuration),
        args::Verb::Report(typed) => report::run(&typed),
        args::Verb::Forward(typed) => forward::run(&typed),
        args::Verb::Serial(typed) => serial::run(&typed, &configuration),
        args::Verb::Config(typed) => config::run(&typed),
        args::Verb::Completions(typed) => manual::completions(&typed, args::Args::command()),
        args::Verb::Man(typed) => manual::man(&typed, args::Args::command()),
        args::Verb::Nodeset { arguments } => nodeset::run("nodeset", arguments),
    }
}

/// Under the name `nodeset` or `cluset` (a link to this program), it is that program.
fn called_as_nodeset() -> Option<(String, Vec<OsString>)> {
    let mut arguments = std::env::args_os();
    let name = Path::new(&arguments.next()?).file_name()?.to_str()?.to_owned();
    (name == "nodeset" || name == "cluset").then(|| (name, arguments.collect()))
}
