//! The `phalanx` binary.

mod nodeset;

use std::ffi::OsString;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments: Vec<OsString> = std::env::args_os().collect();
    let called = arguments
        .first()
        .map(std::path::Path::new)
        .and_then(|path| path.file_name())
        .map(|name| name.to_string_lossy());
    let program = called.map(|name| name.into_owned()).unwrap_or_default();
    if program == "nodeset" || program == "cluset" {
        return nodeset::run(&program, arguments.split_off(1));
    }
    if arguments.get(1).is_some_and(|word| word == "nodeset") {
        return nodeset::run("nodeset", arguments.split_off(2));
    }
    ExitCode::from(2)
}
