//! What the rows need made before they measure: our program, the small C programs of the limits, big files, an execo of
//! our own.

use std::fs;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use tempfile::TempDir;

use super::measure::{fed, quiet};
use crate::step::{cargo, root, target, typed};

/// Builds things when they are first asked for, and removes what is big at the end.
pub(super) struct Workshop {
    files: TempDir,
    phalanx: OnceLock<Result<Phalanx, String>>,
    execo: OnceLock<Result<PathBuf, String>>,
}

impl Workshop {
    /// A place for the files; everything else is made on demand.
    pub(super) fn open() -> Result<Workshop, String> {
        // Memory where there is some, so that no disk takes part in the measurement.
        let place = if shared_memory_has(3 << 30) { PathBuf::from("/dev/shm") } else { target() };
        let mut builder = tempfile::Builder::new();
        let files = builder.prefix("phalanx-bench-").tempdir_in(&place);
        let files = files.map_err(|error| format!("cannot make a directory in {}: {error}", place.display()))?;
        Ok(Workshop { files, phalanx: OnceLock::new(), execo: OnceLock::new() })
    }

    /// Our own program, built for speed.
    pub(super) fn phalanx(&self) -> Result<&Phalanx, String> {
        let build = || {
            run(&mut cargo(["build", "--quiet", "--release", "--package", "phalanx-cli"]))?;
            Phalanx(target().join("release/phalanx")).that_works()
        };
        self.phalanx.get_or_init(build).as_ref().map_err(Clone::clone)
    }

    /// A program of `xtask/bench/NAME.c`, compiled.
    pub(super) fn limit(&self, name: &str) -> Result<PathBuf, String> {
        let directory = target().join("bench");
        fs::create_dir_all(&directory).map_err(|error| format!("cannot create {}: {error}", directory.display()))?;
        let program = directory.join(name);
        let source = root().join("xtask/bench").join(name).with_extension("c");
        run(Command::new("cc").args(["-O2", "-Wall", "-o"]).arg(&program).arg(source))?;
        Ok(program)
    }

    /// An example of ours (`examples/`), built for speed.
    pub(super) fn example(&self, name: &str) -> Result<PathBuf, String> {
        run(&mut cargo(["build", "--quiet", "--release", "--package", "phalanx-examples", "--example", name]))?;
        Ok(target().join("release/examples").join(name))
    }

    /// A file of `count` lines, `prefix` and a number each: what xargs and parallel read their arguments from.
    pub(super) fn list(&self, prefix: &str, count: usize) -> Result<PathBuf, String> {
        let path = self.files.path().join(format!("list-{prefix}{count}"));
        let text: String = (1..=count).map(|number| format!("{prefix}{number}\n")).collect();
        fs::write(&path, text).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
        Ok(path)
    }

    /// A file of `size` bytes in lines of 64.
    pub(super) fn text(&self, size: usize) -> Result<PathBuf, String> {
        let path = self.files.path().join(format!("text-{size}"));
        if !path.exists() {
            let line = [&[b'x'; 63][..], b"\n"].concat();
            let write = |file| {
                let mut file = BufWriter::with_capacity(1 << 20, file);
                (0..size / line.len()).try_for_each(|_| file.write_all(&line))?;
                file.flush()
            };
            fs::File::create(&path)
                .and_then(write)
                .map_err(|error| format!("cannot write {}: {error}", path.display()))?;
        }
        Ok(path)
    }

    /// Where a row may put its output.
    pub(super) fn files(&self) -> &Path {
        self.files.path()
    }

    /// A Python that has execo, in an environment of our own; tried once.
    pub(super) fn execo(&self) -> Result<&Path, String> {
        let made = self.execo.get_or_init(|| {
            let directory = target().join("bench/execo");
            let python = directory.join("bin/python");
            if !quiet(&python)
                .args(["-c", "import execo"])
                .stderr(Stdio::null())
                .status()
                .is_ok_and(|status| status.success())
            {
                run(quiet("python3").args(["-m", "venv"]).arg(&directory))?;
                run(quiet(&python).args(["-m", "pip", "install", "--quiet", "execo"]))?;
            }
            Ok(python)
        });
        made.as_deref().map_err(Clone::clone)
    }
}

/// The `phalanx` under measurement.
pub(super) struct Phalanx(PathBuf);

impl Phalanx {
    /// `phalanx run` with `arguments`, its output unwanted.
    pub(super) fn run(&self, arguments: &[&str]) -> Command {
        let mut phalanx = self.verb(&["run"]);
        phalanx.args(arguments);
        phalanx
    }

    /// `phalanx` with any verb, its output unwanted.
    pub(super) fn verb(&self, arguments: &[&str]) -> Command {
        let mut phalanx = quiet(&self.0);
        phalanx.args(arguments);
        phalanx
    }

    /// Where it is, for those who are run within something else.
    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// `phalanx nodeset`, reading the file or nothing, its output unwanted.
    pub(super) fn nodeset(&self, input: Option<&Path>) -> Command {
        let mut phalanx = input.map_or_else(|| quiet(&self.0), |input| fed(&self.0, input));
        phalanx.arg("nodeset");
        phalanx
    }

    /// A program that did nothing would win every contest.
    fn that_works(self) -> Result<Phalanx, String> {
        let mut trial = self.run(&["-R", "exec", "-w", "n[1-3]", "-S", "-q", "exit 7"]);
        let end = trial.stderr(Stdio::null()).status().map_err(|error| format!("cannot start phalanx: {error}"))?;
        if end.code() == Some(7) { Ok(self) } else { Err(format!("{} should exit with 7: {end}", typed(&trial))) }
    }
}

fn shared_memory_has(bytes: u64) -> bool {
    let space = nix::sys::statvfs::statvfs("/dev/shm");
    space.is_ok_and(|space| space.blocks_available() * space.fragment_size() >= bytes)
}

fn run(command: &mut Command) -> Result<(), String> {
    let status = command.status().map_err(|error| format!("cannot start {}: {error}", typed(command)))?;
    if status.success() { Ok(()) } else { Err(format!("{} ended with {status}", typed(command))) }
}
