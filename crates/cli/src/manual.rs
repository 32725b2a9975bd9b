//! `phalanx completions` and `phalanx man`: what the definition of the command line says, for shells and for `man`.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Command;
use clap_complete::Shell;

use crate::exit;

/// What `phalanx completions --help` says below the options.
const COMPLETIONS_HELP: &str = "\
For bash: phalanx completions bash > ~/.local/share/bash-completion/completions/phalanx. For zsh: into a file _phalanx in a \
directory of $fpath. For fish: phalanx completions fish > ~/.config/fish/completions/phalanx.fish.";

/// What `phalanx completions` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = COMPLETIONS_HELP)]
pub(crate) struct CompletionsArgs {
    /// For which shell
    shell: Shell,
}

/// What `phalanx man` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct ManArgs {
    /// Write the pages of all verbs into this directory, as phalanx.1, phalanx-run.1 and so on
    #[arg(long, value_name = "DIR", conflicts_with = "verb")]
    output_dir: Option<PathBuf>,

    /// The page of this verb instead of that of phalanx itself
    #[arg(value_name = "VERB")]
    verb: Option<String>,
}

/// `phalanx completions`, for this program.
pub(crate) fn completions(args: &CompletionsArgs, mut program: Command) -> ExitCode {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut program, "phalanx", &mut script);
    show(&script)
}

/// `phalanx man`, from what was typed to the exit status, for this program.
pub(crate) fn man(args: &ManArgs, program: Command) -> ExitCode {
    if let Some(directory) = &args.output_dir {
        return match write_all(directory, program) {
            Ok(()) => ExitCode::from(exit::OK),
            Err(sentence) => exit::failed(&sentence),
        };
    }
    let wanted = args.verb.as_ref().map_or_else(|| "phalanx".to_owned(), |verb| format!("phalanx-{verb}"));
    let pages = pages(program);
    match pages.iter().find(|page| name(page) == wanted) {
        Some(page) => show(&rendered(page.clone())),
        None => {
            let known = pages.iter().filter_map(|page| name(page).strip_prefix("phalanx-").map(str::to_owned));
            let verb = args.verb.as_deref().unwrap_or_default();
            exit::usage(&format!("there is no verb `{verb}`; known are {}", known.collect::<Vec<_>>().join(", ")))
        }
    }
}

/// The commands that have a page: the program, and each verb under a name of its own, as git does it.
pub(crate) fn pages(program: Command) -> Vec<Command> {
    // Its page would only repeat what every page says.
    let mut program = program.disable_help_subcommand(true);
    program.build();
    let verbs: Vec<Command> = program.get_subcommands().cloned().collect();
    let verbs = verbs.into_iter().map(|verb| verb.version(env!("CARGO_PKG_VERSION")));
    std::iter::once(program).chain(verbs).collect()
}

/// The name of a page: clap has given every verb one, with that of the program before it.
pub(crate) fn name(page: &Command) -> &str {
    page.get_display_name().unwrap_or(page.get_name())
}

pub(crate) fn rendered(page: Command) -> Vec<u8> {
    let mut text = Vec::new();
    clap_mangen::Man::new(page)
        .source(concat!("phalanx ", env!("CARGO_PKG_VERSION")))
        .render(&mut text)
        .expect("memory can be written to");
    text
}

fn write_all(directory: &Path, program: Command) -> Result<(), String> {
    fs::create_dir_all(directory)
        .map_err(|error| format!("cannot make the directory {}: {error}", directory.display()))?;
    for page in pages(program) {
        let path = directory.join(format!("{}.1", name(&page)));
        fs::write(&path, rendered(page)).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    }
    Ok(())
}

fn show(text: &[u8]) -> ExitCode {
    match io::stdout().write_all(text) {
        Ok(()) => ExitCode::from(exit::OK),
        // The rest is not read, as after `| head`.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::from(exit::of_signal(exit::BROKEN_PIPE)),
        Err(error) => exit::internal(&format!("cannot write to stdout: {error}")),
    }
}
