//! How much the program says about itself, and in which colours (items 174, 175, 184 and 185).

use std::io::Read as _;
use std::process::{Command, Stdio};

use phalanx_tests::phalanx;

use crate::terminal::terminal;

/// What a run with these options says on a terminal of its own, as stderr.
#[expect(clippy::disallowed_methods, reason = "the program under test is an ordinary child of the test")]
fn says(options: &[&str], environment: &[(&str, &str)]) -> String {
    let (mut screen, terminal) = terminal();
    let mut command = Command::new(phalanx());
    command.args(["run", "-R", "exec", "-w", "a"]).args(options).arg("true").stdin(Stdio::null()).stdout(Stdio::null());
    for name in ["RUST_LOG", "RUST_LOG_STYLE", "NO_COLOR", "CLICOLOR_FORCE"] {
        command.env_remove(name);
    }
    command.env("TERM", "xterm").envs(environment.iter().copied()).stderr(terminal);
    let mut child = command.spawn().expect("the program can be started");
    // Our copy of the slave would keep the terminal open.
    drop(command);
    let mut said = Vec::new();
    // The end of a pty is an error.
    let _ = screen.read_to_end(&mut said);
    assert!(child.wait().expect("it is ours").success());
    String::from_utf8(said).expect("text")
}

#[test]
fn the_log_is_coloured_on_a_terminal_unless_the_user_wants_none() {
    let coloured = |options: &[&str], environment: &[(&str, &str)]| {
        let said = says(options, environment);
        assert!(said.contains("DEBUG"), "{said:?}");
        said.contains("\x1b[")
    };
    assert!(coloured(&["-vv"], &[]));
    assert!(!coloured(&["-vv"], &[("NO_COLOR", "1")]));
    assert!(coloured(&["-vv"], &[("NO_COLOR", "")]));
    assert!(!coloured(&["-vv"], &[("TERM", "dumb")]));
    assert!(coloured(&["-vv"], &[("NO_COLOR", "1"), ("RUST_LOG_STYLE", "always")]));
}

#[test]
fn nothing_is_said_unless_it_is_asked_for() {
    for options in [&[][..], &["-q"]] {
        assert_eq!(says(options, &[("NO_COLOR", "1")]), "");
    }
    assert!(says(&[], &[("RUST_LOG", "debug")]).contains("DEBUG"));
    assert!(!says(&["-vv"], &[("RUST_LOG", "error")]).contains("DEBUG"));
}
