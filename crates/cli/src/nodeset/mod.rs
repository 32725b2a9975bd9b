//! `phalanx nodeset`, which answers like ClusterShell's `nodeset`: the same options, output, messages and exit statuses, so that scripts can
//! switch. What it adds: `--equal`, `--input-order`, and `--extended` for Phalanx's own rules, which the default refuses as ClusterShell does.
//!
//! What was typed ([`options`]) becomes a set ([`sets`]), which is shown ([`show`], [`listing`]). Exit status: 0, 1 for wrong data, 2 for
//! wrong usage.

mod complaint;
mod format;
mod listing;
mod options;
mod sets;
mod show;

use complaint::Complaint;
use options::{Command, NoRequest, Options};
use phalanx_config::groups::GroupResolver;
use phalanx_nodeset::Parser;
use sets::{Operands, Set};
use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

/// Runs the command with these arguments; `program` is the name that messages start with.
pub(crate) fn run(program: &str, arguments: Vec<OsString>) -> ExitCode {
    let mut out = io::BufWriter::with_capacity(1 << 16, io::stdout().lock());
    let result = answer(arguments, &mut out);
    // What was found before a mistake is shown before the mistake.
    let flushed = out.flush().map_err(Complaint::from);
    match result.and_then(|code| flushed.map(|()| code)) {
        Ok(code) => ExitCode::from(code),
        Err(Complaint::ReaderIsGone) => ExitCode::SUCCESS,
        Err(complaint) => {
            tell(&complaint.message(program));
            ExitCode::from(complaint.status())
        }
    }
}

#[expect(clippy::print_stderr, reason = "this is the command's own voice")]
fn tell(message: &str) {
    eprintln!("{message}");
}

fn answer(arguments: Vec<OsString>, out: &mut impl Write) -> Result<u8, Complaint> {
    let words = arguments.into_iter().map(|word| word.into_string().map_err(Complaint::NotUtf8));
    let options = match Options::read(&words.collect::<Result<Vec<String>, Complaint>>()?) {
        Ok(options) => options,
        Err(NoRequest::Help) => return Ok(out.write_all(options::help().as_bytes()).map(|()| 0)?),
        Err(NoRequest::Version) => return Ok(writeln!(out, "nodeset {}", env!("CARGO_PKG_VERSION")).map(|()| 0)?),
        Err(NoRequest::Usage(what)) => return Err(Complaint::Usage(what)),
    };
    let equal = matches!(options.command, Some(Command::Equal(_)));
    // A mistake must not look like a difference.
    obey(&options, out)
        .map_err(|complaint| if equal { Complaint::WhileComparing(Box::new(complaint)) } else { complaint })
}

fn obey(options: &Options, out: &mut impl Write) -> Result<u8, Complaint> {
    let groups = match &options.groups_file {
        Some(file) => GroupResolver::from_files([file.into()]),
        None => GroupResolver::standard(),
    };
    let parser = Parser::new().dialect(options.dialect).groups(&groups).default_source(options.source.clone());
    let context = Context { options, groups: &groups, parser: &parser };
    context.check_source()?;
    match options.command.as_ref().unwrap_or(&Command::Fold) {
        Command::ListSources => context.list_sources(out)?,
        Command::Completion => context.complete(out)?,
        Command::List { all_sources, detail } => context.list(*all_sources, *detail, out)?,
        Command::Index(name) => context.show_index(context.set()?, name, out)?,
        Command::Equal(other) => return context.compare(other),
        Command::Expand if options.input_order => context.expand_in_input_order(out)?,
        command => context.show(context.set()?, command, out)?,
    }
    Ok(0)
}

/// What every step of an answer needs.
struct Context<'a> {
    options: &'a Options,
    groups: &'a GroupResolver,
    parser: &'a Parser<'a>,
}

impl Context<'_> {
    fn check_source(&self) -> Result<(), Complaint> {
        use phalanx_nodeset::Groups;
        let Some(source) = &self.options.source else { return Ok(()) };
        if self.options.ranges && !self.options.quiet {
            tell(&format!("WARNING: option group source \"{source}\" ignored"));
        }
        self.groups.source(Some(source)).map(|_| ()).map_err(|error| Complaint::Set(error.into()))
    }

    fn set(&self) -> Result<Set, Complaint> {
        Operands::new(self).set()
    }

    fn compare(&self, other: &str) -> Result<u8, Complaint> {
        let operands = Operands::new(self);
        let left = operands.one(other)?;
        Ok(u8::from(left != self.picked(self.sliced(operands.set()?)?)?))
    }
}
