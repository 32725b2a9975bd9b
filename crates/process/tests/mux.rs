//! Commands over masters that are played: whatever listens at a control socket, a process has one stated end, in time.
#![expect(clippy::unwrap_used, reason = "a test says what went wrong by failing there")]

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::thread;
use std::time::Duration;

use phalanx_process::engine::EngineHandle;
use phalanx_process::mux::{Answer, MasterMessage, RequestId, Session, SessionId};
use phalanx_process::result::{Evidence, HostResult, ResultKind, Route};
use phalanx_process::spec::{Command, MuxSession, Output, Terminal};
use phalanx_process::{Process, Spec};
use tempfile::TempDir;

const HELLO: MasterMessage = MasterMessage::Hello { version: 4, extensions: Vec::new() };
const SESSION: SessionId = SessionId(2);

fn opened() -> MasterMessage {
    MasterMessage::Answer { id: RequestId(0), answer: Answer::SessionOpened { session: SESSION } }
}

fn exited(status: u32) -> MasterMessage {
    MasterMessage::Exited { session: SESSION, status }
}

fn spec(socket: &Path, open_timeout: Duration) -> Spec {
    let request = Session { command: b"true".to_vec(), ..Session::default() };
    Spec::from(Command::MuxSession(MuxSession { socket: socket.to_owned(), request, open_timeout }))
}

fn process(spec: Spec) -> Process {
    Process::from_spec(spec, EngineHandle::global())
}

fn result(process: &Process) -> HostResult {
    Evidence::new(&process.finished().unwrap(), Route::Direct).judge()
}

/// A master that plays one part after another, one for each connection.
fn play(parts: Vec<fn(&mut UnixStream)>) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let listener = UnixListener::bind(directory.path().join("socket")).unwrap();
    thread::spawn(move || {
        for part in parts {
            part(&mut listener.accept().unwrap().0);
        }
    });
    directory
}

/// Reads the hello, the request and the bytes of three descriptors, which are closed thereby.
fn hear(stream: &mut UnixStream) {
    for _ in 0..2 {
        let mut length = [0; 4];
        stream.read_exact(&mut length).unwrap();
        let mut body = vec![0; u32::from_be_bytes(length) as usize];
        stream.read_exact(&mut body).unwrap();
    }
    for _ in 0..3 {
        stream.read_exact(&mut [0]).unwrap();
    }
}

fn say(stream: &mut UnixStream, messages: &[MasterMessage]) {
    messages.iter().for_each(|message| stream.write_all(&message.encode()).unwrap());
}

/// What becomes of a process whose master plays these parts.
fn outcome(parts: Vec<fn(&mut UnixStream)>) -> HostResult {
    let directory = play(parts);
    result(&process(spec(&directory.path().join("socket"), Duration::from_secs(60))).run())
}

#[test]
fn a_master_that_keeps_the_protocol_is_believed() {
    let status = outcome(vec![|stream| {
        hear(stream);
        say(stream, &[HELLO, opened(), exited(7)]);
    }]);
    assert_eq!(status, HostResult::Exited(7));
}

#[test]
fn what_is_no_master_makes_a_start_error() {
    let garbage = outcome(vec![|stream| stream.write_all(b"SSH-2.0-OpenSSH_9.2\r\n").unwrap()]);
    assert!(garbage.sentence().contains("announces a message of"), "{garbage:?}");
    let version = outcome(vec![|stream| say(stream, &[MasterMessage::Hello { version: 5, extensions: vec![] }])]);
    assert!(version.sentence().contains("speaks version 5"), "{version:?}");
    let hung_up = outcome(vec![|stream| {
        hear(stream);
        say(stream, &[HELLO]);
    }]);
    assert!(hung_up.sentence().contains("closed the connection without an answer"), "{hung_up:?}");
    for result in [garbage, version, hung_up] {
        assert_eq!(result.kind(), ResultKind::NotStartable);
    }
}

#[test]
fn a_refusal_is_shown_with_nothing_that_a_terminal_would_obey() {
    let refused = outcome(vec![|stream| {
        hear(stream);
        let answer = Answer::PermissionDenied { reason: "no\u{1b}[2J".to_owned() };
        say(stream, &[HELLO, MasterMessage::Answer { id: RequestId(0), answer }]);
    }]);
    assert!(refused.sentence().ends_with(r"refused the session: no\u{1b}[2J"), "{}", refused.sentence());
}

#[test]
fn a_session_without_a_status_is_lost_unless_the_same_master_says_that_it_lives() {
    fn ends_without_status(stream: &mut UnixStream) {
        hear(stream);
        say(stream, &[HELLO, opened()]);
    }
    fn is(stream: &mut UnixStream, pid: u32) {
        say(stream, &[HELLO, MasterMessage::Answer { id: RequestId(0), answer: Answer::Alive { pid } }]);
        stream.read_to_end(&mut Vec::new()).unwrap();
    }
    let alive = outcome(vec![ends_without_status, |stream| is(stream, std::process::id())]);
    assert_eq!(alive, HostResult::Signaled(None));
    let another = outcome(vec![ends_without_status, |stream| is(stream, std::process::id() + 1)]);
    assert!(another.sentence().contains("is another by now"), "{another:?}");
    // The listener is gone with the thread.
    let gone = outcome(vec![ends_without_status]);
    for result in [another, gone] {
        assert_eq!(result.kind(), ResultKind::Lost, "{result:?}");
    }
}

#[test]
fn a_master_that_breaks_the_protocol_later_loses_its_session() {
    let twice = outcome(vec![|stream| {
        hear(stream);
        say(stream, &[HELLO, opened(), opened()]);
    }]);
    assert!(twice.kind() == ResultKind::Lost && twice.sentence().contains("does not wait for an answer"), "{twice:?}");
}

#[test]
fn a_silent_master_is_given_up_and_a_start_can_be_killed_before() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("socket");
    let _listener = UnixListener::bind(&socket).unwrap();
    let given_up = process(spec(&socket, Duration::from_millis(50))).run();
    assert!(result(&given_up).sentence().contains("does not answer"), "{given_up:?}");
    let killed = process(spec(&socket, Duration::from_secs(600))).start();
    killed.kill();
    assert_eq!(result(&killed.wait()), HostResult::NotStarted);
}

#[test]
fn what_cannot_be_passed_or_reached_is_a_start_error() {
    let directory = tempfile::tempdir().unwrap();
    let _listener = UnixListener::bind(directory.path().join("socket")).unwrap();
    let long = spec(&directory.path().join("socket"), Duration::from_secs(60));
    let inherits = Spec {
        launch: phalanx_process::spec::Launch { stdout: Output::Inherit, ..long.launch.clone() },
        ..long.clone()
    };
    let terminal = Spec {
        launch: phalanx_process::spec::Launch { terminal: Some(Terminal::default()), ..long.launch.clone() },
        ..long.clone()
    };
    let missing = spec(&directory.path().join("missing"), Duration::from_secs(60));
    let path = spec(&directory.path().join("x".repeat(200)), Duration::from_secs(60));
    for (spec, says) in [
        (inherits, "inherited"),
        (terminal, "no terminal"),
        (missing, "cannot be reached: No such file"),
        (path, "cannot be reached: File name too long"),
    ] {
        let process = process(spec).run();
        let sentence = result(&process).sentence();
        assert!(sentence.contains(says), "{sentence}");
    }
}
