//! `phalanx config`: what is configured, and where it comes from. And the configuration of every other verb.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use phalanx_config::configuration::{LoadError, Loaded, Loader, template};

use crate::exit;

/// What `phalanx config --help` says below the options.
const HELP: &str = "\
A value is that of the first that has one: what a host says about itself (user@host:port), the flags, the environment \
(PHALANX_FANOUT, PHALANX_COMMAND_TIMEOUT, PHALANX_CONNECT_TIMEOUT, PHALANX_USER, PHALANX_SSH, PHALANX_SSH_CONFIG), the \
preset, the file, the default. Lists of options are joined.

The file is $PHALANX_CONFIG, or phalanx/config.toml in $XDG_CONFIG_HOME or ~/.config. The preset is that of --preset, of \
$PHALANX_PRESET, or of the key preset of the file. See docs/configuration.md.

Exit status: 0 all is right; 2 something is wrong, with file, line and key; 3 internal error.";

/// What `phalanx config` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(crate) struct ConfigArgs {
    /// Show what would be in force with this preset
    #[arg(long, value_name = "NAME")]
    preset: Option<String>,

    /// Show every key there is instead, with what it does, as a file to begin with
    #[arg(long, conflicts_with_all = ["preset", "file"])]
    keys: bool,

    /// Look at this file instead of the user's own
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
}

/// The configuration of a verb, with the preset that was asked for.
///
/// # Errors
/// All that is wrong with it.
pub(crate) fn load(preset: Option<&str>) -> Result<Loaded, LoadError> {
    loader(preset).load()
}

fn loader(preset: Option<&str>) -> Loader {
    preset.into_iter().fold(Loader::standard(), |loader, name| loader.preset(name))
}

/// `phalanx config`, from what was typed to the exit status.
pub(crate) fn run(args: &ConfigArgs) -> ExitCode {
    if args.keys {
        return show(&template());
    }
    let loader = args.file.iter().fold(loader(args.preset.as_deref()), |loader, file| loader.file(file));
    let path = loader.path().map(|path| path.display().to_string());
    match loader.load() {
        Ok(loaded) => show(&format!("{}\n{}", heading(&loaded, path.as_deref()), loaded.to_toml())),
        Err(error) => exit::usage(&error),
    }
}

/// Which file and preset there are, as comments.
fn heading(loaded: &Loaded, path: Option<&str>) -> String {
    let file = match (&loaded.file, path) {
        (Some(file), _) => file.display().to_string(),
        (None, Some(path)) => format!("none; it would be {path}"),
        (None, None) => "none; $PHALANX_CONFIG may name one".to_owned(),
    };
    let preset = loaded.preset.as_deref().unwrap_or("none");
    // A comment ends with its line.
    format!("# file: {}\n# preset: {}\n", file.replace(char::is_control, "?"), preset.replace(char::is_control, "?"))
}

fn show(text: &str) -> ExitCode {
    match io::stdout().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::from(exit::OK),
        Err(error) => exit::internal(&format!("cannot write to stdout: {error}")),
    }
}
