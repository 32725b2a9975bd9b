//! What the documents tell a reader to type really works, and the help texts in them are the real ones.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use phalanx_tests::{Fleet, phalanx, shared_fleet};
use xtask::help;
use xtask::step::{binaries, cargo, root};
use xtask::tidy::{DocumentCommand, commands};

/// The README and everything in `docs`.
fn documents() -> Vec<(PathBuf, String)> {
    let docs = fs::read_dir(root().join("docs")).expect("there are documents");
    let mut paths: Vec<PathBuf> = docs.map(|entry| entry.expect("a directory can be read").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "md"));
    paths.push(root().join("README.md"));
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).expect("a document is UTF-8");
        (path, text)
    };
    paths.into_iter().map(read).collect()
}

/// A shell as the reader of a document has it: `phalanx` in the path, and `node*` known to ssh.
struct Reader {
    home: tempfile::TempDir,
    path: OsString,
}

impl Reader {
    fn new(fleet: &Fleet) -> Reader {
        let home = tempfile::tempdir().expect("a directory can be made");
        let ssh = home.path().join("ssh");
        // Where the user's own ssh would read ~/.ssh/config: ours must not be touched, and ssh does not look at $HOME
        // for it.
        let real = phalanx_tests::find_program("ssh").expect("the fleet needed it");
        let wrapper = format!("#!/bin/sh\nexec {} -F {} \"$@\"\n", real.display(), fleet.ssh_config().display());
        fs::write(&ssh, wrapper)
            .and_then(|()| fs::set_permissions(&ssh, PermissionsExt::from_mode(0o755)))
            .expect("ours");
        std::os::unix::fs::symlink(root().join("examples"), home.path().join("examples")).expect("ours");
        let before = std::env::var_os("PATH").unwrap_or_default();
        let own = [home.path().to_path_buf(), phalanx().parent().expect("a program is in a directory").to_path_buf()];
        let path = std::env::join_paths(own.into_iter().chain(std::env::split_paths(&before))).expect("no colon in it");
        Reader { home, path }
    }

    fn runs(&self, program: impl AsRef<OsStr>, arguments: &[&str]) -> Output {
        let mut command = Command::new(program);
        command.args(arguments).env("PATH", &self.path).current_dir(self.home.path()).stdin(Stdio::null());
        command.output().expect("it is there")
    }

    /// What went wrong with the command, if anything did.
    fn complaint_about(&self, command: &DocumentCommand) -> Option<String> {
        let output = self.runs("bash", &["-c", &command.text]);
        let promised =
            command.text.rsplit_once("# exit status ").map_or(0, |(_, status)| status.trim().parse().unwrap_or(-1));
        let said = String::from_utf8_lossy(&output.stderr);
        (output.status.code() != Some(promised)).then(|| {
            format!(
                "{}:{}: «{}» ended with {}\n{said}",
                command.path.display(),
                command.line,
                command.text,
                output.status
            )
        })
    }
}

#[test]
fn every_command_of_the_documents_runs() {
    let Some(fleet) = shared_fleet() else { return };
    let reader = Reader::new(fleet);
    let all: Vec<DocumentCommand> = documents().iter().flat_map(|(path, text)| commands(path, text)).collect();
    let ours: Vec<&DocumentCommand> = all.iter().filter(|command| !command.text.starts_with("cargo xtask")).collect();
    let examples = ours.iter().filter(|command| command.path.ends_with("README.md")).count();
    assert!(examples >= 4, "the README has six examples, one of them in Rust; these were found: {ours:?}");
    let complaints: Vec<String> = ours.into_iter().filter_map(|command| reader.complaint_about(command)).collect();
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

#[test]
fn the_rust_of_the_readme_is_an_example_that_runs() {
    let Some(fleet) = shared_fleet() else { return };
    let readme = fs::read_to_string(root().join("README.md")).expect("there is a README");
    let rust = readme.split("```rust,no_run\n").nth(1).and_then(|rest| rest.split("```").next());
    let source = fs::read_to_string(root().join("examples/many_hosts.rs")).expect("there is an example");
    assert!(
        rust.is_some_and(|rust| source.contains(rust)),
        "the README shows something else than examples/many_hosts.rs"
    );
    let built = cargo(["build", "--quiet", "--package", "phalanx-examples", "--example", "many_hosts"]).status();
    assert!(built.expect("cargo built this").success());
    let output = Reader::new(fleet).runs(binaries().join("examples/many_hosts"), &[]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.starts_with("node1: Linux ") && said.lines().count() == 3, "{said}");
}

#[test]
fn the_document_of_the_command_line_has_the_help_texts_of_the_program() {
    let document = fs::read_to_string(root().join(help::DOCUMENT)).expect("there is a document of the command line");
    let texts = help::help_texts(phalanx()).unwrap_or_else(|sentence| panic!("{sentence}"));
    let blessed = help::with_help(&document, &texts).unwrap_or_else(|sentence| panic!("{sentence}"));
    assert!(blessed == document, "the help has changed: cargo xtask bless writes it into {}", help::DOCUMENT);
}

#[test]
fn the_document_of_the_configuration_has_the_keys_of_the_program() {
    let document = fs::read_to_string(root().join(help::KEYS_DOCUMENT)).expect("there is a document of them");
    let keys = help::keys(phalanx()).unwrap_or_else(|sentence| panic!("{sentence}"));
    let blessed = help::with_keys(&document, &keys).unwrap_or_else(|sentence| panic!("{sentence}"));
    assert!(blessed == document, "the keys have changed: cargo xtask bless writes them into {}", help::KEYS_DOCUMENT);
}
