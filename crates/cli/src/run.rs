//! `phalanx run`, `put` and `get`: a plan of one step, made of what was typed.

mod again;
mod args;
mod request;

use std::process::ExitCode;

use phalanx_config::configuration::Configuration;

pub(crate) use self::args::RunArgs;
pub(crate) use self::request::Request;
use crate::execution::{Shape, execute};
use crate::exit;
use crate::output::{FileProgress, OutputOptions, Reporter};
use crate::work::WorkArgs;

/// `phalanx run`, from what was typed to the exit status.
pub(crate) fn run(args: &RunArgs, configuration: &Configuration) -> ExitCode {
    let request = match Request::new(args, configuration) {
        Ok(request) => request,
        Err(error) => return exit::usage(&error),
    };
    if request.hosts.is_empty() {
        return exit::nothing_to_do(&"no host that was asked for failed in the record: nothing is run again");
    }
    start(&request, &args.output(configuration), &args.work)
}

impl RunArgs {
    fn output<'a>(&'a self, configuration: &'a Configuration) -> OutputOptions<'a> {
        let (output_dir, record) = (self.output_dir.as_deref(), self.record.as_deref());
        let options = self.work.output(configuration);
        OutputOptions { label: !self.no_label, gather: self.gather, output_dir, record, ..options }
    }
}

/// Does what was asked for, and shows it.
pub(crate) fn start(request: &Request, options: &OutputOptions<'_>, work: &WorkArgs) -> ExitCode {
    if work.dry_run {
        return request.show();
    }
    let files = request.carries_files().then_some(request as &dyn FileProgress);
    match Reporter::open(options, Some(&request.event()), files) {
        Ok(reporter) => execute(Shape::Run, request.plan(), reporter, work.max_status),
        Err(error) => exit::usage(&error),
    }
}
