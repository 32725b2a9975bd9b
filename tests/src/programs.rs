//! Where the programs are that tests run: the `phalanx` binary and our own children.
//!
//! Cargo tells a test only where the binaries of its own package are (`CARGO_BIN_EXE_…`), and it builds no other. So
//! the program is built once per test process, which costs a moment when nothing changed; `cargo xtask test` builds
//! everything beforehand and says where with `PHALANX_BINARIES`.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The `phalanx` binary, never older than its source.
///
/// # Panics
/// When it does not compile.
pub fn phalanx() -> &'static Path {
    static PHALANX: OnceLock<PathBuf> = OnceLock::new();
    PHALANX.get_or_init(|| built("phalanx-cli").join("phalanx"))
}

/// One of our own children, by the name of its file in `tests/src/bin`.
///
/// # Panics
/// When the children do not compile, or none has this name.
pub fn child(name: &str) -> PathBuf {
    static CHILDREN: OnceLock<PathBuf> = OnceLock::new();
    let path = CHILDREN.get_or_init(|| built("phalanx-tests")).join(name);
    assert!(path.is_file(), "no helper child is called {name}: {} does not exist", path.display());
    path
}

/// Where `program` is: `$PATH`, then the directories of system programs, which an ordinary user's `$PATH` lacks.
pub fn find_program(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let system = ["/usr/sbin", "/sbin", "/usr/local/sbin"].map(PathBuf::from);
    std::env::split_paths(&path)
        .chain(system)
        .map(|directory| directory.join(program))
        .find(|candidate| candidate.is_file())
}

/// The directory that holds the binaries of `package`, up to date.
fn built(package: &str) -> PathBuf {
    if let Some(directory) = std::env::var_os("PHALANX_BINARIES") {
        return PathBuf::from(directory);
    }
    let directory = own_profile_directory();
    let mut build = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    build.args(["build", "--quiet", "--bins", "--package", package]).current_dir(env!("CARGO_MANIFEST_DIR"));
    if directory.ends_with("release") {
        build.arg("--release");
    }
    let status = build.status().expect("cargo built this test, so it can be started again");
    assert!(status.success(), "the binaries of {package} do not compile");
    directory
}

/// `target/debug` or `target/release`: the test itself is in its `deps`.
fn own_profile_directory() -> PathBuf {
    let own = std::env::current_exe().expect("Linux tells a process where its program is");
    let directory = own.parent().expect("a program is in a directory");
    let profile = if directory.ends_with("deps") { directory.parent() } else { Some(directory) };
    profile.expect("deps is in a profile directory").to_path_buf()
}
