//! Our own children do what their headers say: other tests take their word for it.

#![expect(
    clippy::disallowed_methods,
    reason = "the children are tested without the library that they are there to test"
)]

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use phalanx_tests::{child, wait_until};

fn start(name: &str, arguments: &[&str]) -> Child {
    let mut command = Command::new(child(name));
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().expect("it was just built")
}

fn run(name: &str, arguments: &[&str]) -> Output {
    start(name, arguments).wait_with_output().expect("it was started")
}

/// Reads one line of its stdout, and no more.
fn line(child: &mut Child) -> String {
    let stdout = child.stdout.as_mut().expect("piped");
    let (mut line, mut byte) = (String::new(), [0]);
    // Byte by byte, because the rest is for somebody else.
    while stdout.read(&mut byte).expect("a pipe can be read") == 1 && byte != *b"\n" {
        line.push(char::from(byte[0]));
    }
    line
}

fn signal(pid: u32, name: &str) {
    let status = Command::new("kill").args(["-s", name, &pid.to_string()]).status().expect("kill is there");
    assert!(status.success());
}

#[test]
fn flood_says_exactly_what_it_promises() {
    let lines = run("flood", &["lines", "3", "me"]);
    assert_eq!(lines.stdout, b"me out 0\nme out 1\nme out 2\n");
    assert_eq!(lines.stderr, b"me err 0\nme err 1\nme err 2\n");
    assert_eq!(run("flood", &["short", "3"]).stdout, b"0\n1\n2\n");
    assert_eq!(run("flood", &["bytes", "100000"]).stdout, vec![b'x'; 100_000]);
    let binary = run("flood", &["binary"]);
    assert_eq!(binary.stdout, (0..=255).collect::<Vec<u8>>());
    assert_eq!(binary.stderr, (0..=255).rev().collect::<Vec<u8>>());
}

#[test]
fn closer_lives_on_with_its_output_closed() {
    let mut closer = start("closer", &["7"]);
    let mut said = String::new();
    closer.stdout.take().expect("piped").read_to_string(&mut said).expect("UTF-8");
    assert_eq!(said, "closing\n");
    assert!(closer.try_wait().expect("it was started").is_none(), "it waits for the end of its stdin");
    drop(closer.stdin.take());
    assert_eq!(closer.wait().expect("it was started").code(), Some(7));
}

#[test]
fn orphan_ends_and_its_grandchild_keeps_the_pipe() {
    for arguments in [&["1000"][..], &["1000", "session"]] {
        let mut orphan = start("orphan", arguments);
        let grandchild: u32 = line(&mut orphan).parse().expect("it says a pid");
        assert!(orphan.wait().expect("it was started").success());
        assert!(Path::new(&format!("/proc/{grandchild}/fd/1")).exists());
        signal(grandchild, "KILL");
        // The pipe ends with the grandchild, and not before.
        let rest = BufReader::new(orphan.stdout.take().expect("piped")).lines().count();
        assert_eq!(rest, 0);
    }
}

#[test]
fn deaf_never_reads() {
    let mut deaf = start("deaf", &[]);
    assert_eq!(line(&mut deaf), "deaf");
    deaf.stdin.as_mut().expect("piped").write_all(b"hello").expect("a pipe has room for this");
    assert!(deaf.try_wait().expect("it was started").is_none());
    signal(deaf.id(), "TERM");
    let end = deaf.wait().expect("it was started");
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&end), Some(15));
}

#[test]
fn trap_catches_what_is_polite_as_often_as_it_was_told() {
    let mut trap = start("trap", &["2", "9"]);
    assert_eq!(line(&mut trap), "ready");
    signal(trap.id(), "TERM");
    assert_eq!(line(&mut trap), "caught TERM");
    signal(trap.id(), "INT");
    assert_eq!(line(&mut trap), "caught INT");
    assert_eq!(trap.wait().expect("it was started").code(), Some(9));
}

#[test]
fn describe_knows_its_pid_and_its_descriptors() {
    let describe = start("describe", &["one", "two words"]);
    let pid = describe.id();
    let output = describe.wait_with_output().expect("it was started");
    let text = String::from_utf8_lossy(&output.stdout);
    // What else is open here depends on who started the tests.
    for expected in
        [format!("pid={pid}\n"), "argument=two words\n".into(), "descriptors=0,1,2".into(), "tty=none".into()]
    {
        assert!(text.contains(&expected), "«{expected}» in\n{text}");
    }
    wait_until("it is gone", || !Path::new(&format!("/proc/{pid}")).exists());
}
