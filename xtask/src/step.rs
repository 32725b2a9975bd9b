//! One command of a longer job: shown before it runs, its end remembered, all failures told together.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;

/// The root of the workspace.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask is a directory of the workspace")
}

/// Where this program, and so every binary of the same profile, was built: `target/debug`.
pub fn binaries() -> PathBuf {
    let own = std::env::current_exe().expect("Linux tells a process where its program is");
    let directory = own.parent().expect("a program is in a directory");
    // A test that calls us is one deeper.
    if directory.ends_with("deps") { directory.parent().map(Path::to_path_buf) } else { Some(directory.to_path_buf()) }
        .expect("deps is in a profile directory")
}

/// The target directory, wherever the user's configuration put it.
pub fn target() -> PathBuf {
    binaries().parent().expect("a profile directory is in a target directory").to_path_buf()
}

/// `cargo` with `arguments`, in the root of the workspace.
pub fn cargo<I: IntoIterator<Item: AsRef<OsStr>>>(arguments: I) -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(arguments).current_dir(root());
    cargo
}

/// The command as a user would type it.
pub fn typed(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or(command.get_program());
    let words = std::iter::once(program).chain(command.get_args());
    words.map(|word| quoted(&word.to_string_lossy())).collect::<Vec<_>>().join(" ")
}

fn quoted(word: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_=./,:+@%".contains(&byte);
    if !word.is_empty() && word.bytes().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// The steps of a job so far, and which of them failed.
#[derive(Debug, Default)]
pub struct Steps {
    passed: Vec<String>,
    failed: Vec<String>,
}

impl Steps {
    /// Shows the command, runs it with the terminal as it is, and remembers under `name` how it ended.
    pub fn command(&mut self, name: &str, command: &mut Command) {
        eprintln!("\n--- {name}: {}", typed(command));
        let begin = Instant::now();
        let end = match command.status() {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(status.to_string()),
            Err(error) => Err(format!("cannot start: {error}")),
        };
        self.record(&format!("{name} ({:.0} s)", begin.elapsed().as_secs_f64()), end);
    }

    /// Remembers the end of a step that is no command.
    pub fn record(&mut self, name: &str, end: Result<(), String>) {
        match end {
            Ok(()) => self.passed.push(name.to_owned()),
            Err(why) => self.failed.push(format!("{name}: {why}")),
        }
    }

    /// Says what passed and what failed; failure if anything did.
    pub fn verdict(self, job: &str) -> ExitCode {
        if self.failed.is_empty() {
            eprintln!("\n{job}: all passed: {}", self.passed.join(", "));
            return ExitCode::SUCCESS;
        }
        eprintln!("\n{job}: {} of {} failed", self.failed.len(), self.failed.len() + self.passed.len());
        for failure in &self.failed {
            eprintln!("  FAILED {failure}");
        }
        ExitCode::FAILURE
    }
}
