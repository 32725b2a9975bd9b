//! What goes wrong, and how it is told apart on the wire.

use phalanx_core::pty::{Pty, TerminalSettings};
use phalanx_proto::mux::{Descriptor, Event, Refusal, Request, Session};
use phalanx_tests::{shared_fleet, wait_until};

use super::{Connection, Master, REQUEST, Running, unix};

#[test]
fn a_session_beyond_the_limit_of_the_server_is_refused_and_the_others_go_on() {
    let Some(fleet) = shared_fleet() else { return };
    let master = Master::of_server_with(fleet, &["MaxSessions=2"]);
    let mut open: Vec<_> = (0..2).map(|_| Running::command(&master.socket(), "cat")).collect();
    for running in &mut open {
        assert!(matches!(running.connection.answer(), Some(Event::SessionOpened { .. })));
    }
    let left = Running::command(&master.socket(), "true").finish();
    let [Event::Refused { refusal, .. }, Event::Closed { result: Ok(()) }] = &left.events[..] else {
        panic!("{left:?}")
    };
    assert!(refusal.is_session_limit(), "{refusal:?}");
    for mut running in open {
        running.write(b"still here");
        assert_eq!(running.finish().stdout, b"still here");
    }
    let after = Running::command(&master.socket(), "exit 3").finish();
    assert_eq!(after.status(), Some(3), "{after:?}");
}

#[test]
fn a_command_that_a_signal_ended_has_no_status_and_its_master_lives() {
    let Some(fleet) = shared_fleet() else { return };
    let master = Master::of(fleet);
    let left = Running::command(&master.socket(), "echo before; kill -9 $$").finish();
    assert!(left.has_no_status() && left.stdout == b"before\n", "{left:?}");
    let mut connection = Connection::to(&master.socket());
    connection.ask(&Request::AliveCheck);
    assert_eq!(connection.answer(), Some(Event::Alive { request: REQUEST, pid: master.pid() }));
}

#[test]
fn a_master_that_is_killed_leaves_a_session_without_status_and_a_socket_that_refuses() {
    let Some(fleet) = shared_fleet() else { return };
    let mut master = Master::of(fleet);
    let mut running = Running::command(&master.socket(), "cat");
    assert!(matches!(running.connection.answer(), Some(Event::SessionOpened { .. })));
    master.kill();
    let left = running.finish();
    assert!(matches!(left.events[..], [Event::SessionClosed { .. }, Event::Closed { result: Ok(()) }]), "{left:?}");
    let error = unix::connect_nonblocking(&master.socket()).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
}

#[test]
fn a_master_whose_server_is_gone_ends_and_removes_its_socket() {
    let Some(fleet) = shared_fleet() else { return };
    let mut master = Master::of(fleet);
    // The parent of the command's shell is the server's process for this connection.
    let mut running = Running::command(&master.socket(), "echo before; read word; kill -9 $PPID; cat");
    wait_until("the command has said something", || running.stdout.so_far() == b"before\n");
    running.write(b"word\n");
    let left = running.finish();
    assert!(left.has_no_status(), "{left:?}");
    let mut status = None;
    wait_until("the master has ended", || {
        status = master.status();
        status.is_some()
    });
    assert_eq!(status, Some(255));
    assert_eq!(unix::connect_nonblocking(&master.socket()).unwrap_err().kind(), std::io::ErrorKind::NotFound);
}

#[test]
fn a_subsystem_that_the_server_does_not_know_has_no_status_and_its_master_lives() {
    let Some(fleet) = shared_fleet() else { return };
    let master = Master::of(fleet);
    let session = Session { command: b"no-such".to_vec(), subsystem: true, ..Session::default() };
    let left = Running::start(&master.socket(), session).finish();
    assert!(left.has_no_status(), "{left:?}");
    let after = Running::command(&master.socket(), "exit 3").finish();
    assert_eq!(after.status(), Some(3), "{after:?}");
}

#[test]
fn a_terminal_that_the_server_does_not_allocate_is_told_and_the_command_runs_without() {
    let Some(fleet) = shared_fleet() else { return };
    let master = Master::of_server_with(fleet, &["PermitTTY=no"]);
    let left = on_a_terminal(&master, "if tty >/dev/null; then exit 1; else exit 2; fi");
    let refused = left.iter().any(|event| matches!(event, Event::TtyRefused { .. }));
    assert!(refused && left.iter().any(|event| matches!(event, Event::Exited { status: 2, .. })), "{left:?}");
}

#[test]
fn a_terminal_is_allocated_when_it_is_asked_for() {
    let Some(fleet) = shared_fleet() else { return };
    let master = Master::of(fleet);
    let left = on_a_terminal(&master, "tty >/dev/null && test \"$TERM\" = vt100 && exit 5");
    assert!(left.iter().any(|event| matches!(event, Event::Exited { status: 5, .. })), "{left:?}");
}

fn on_a_terminal(master: &Master, command: &str) -> Vec<Event> {
    let session = Session { command: command.into(), terminal: Some("vt100".to_owned()), ..Session::default() };
    let mut connection = Connection::to(&master.socket());
    let pty = Pty::open(&TerminalSettings::default()).expect("ptys are left");
    for which in [Descriptor::Stdin, Descriptor::Stdout, Descriptor::Stderr] {
        let terminal = std::fs::File::options().read(true).write(true).open(pty.slave()).expect("it is there");
        connection.descriptors.insert((REQUEST, which), terminal.into());
    }
    connection.ask(&Request::Session(session));
    connection.rest()
}

#[test]
fn a_second_session_on_one_connection_is_refused() {
    let Some(fleet) = shared_fleet() else { return };
    let master = Master::of(fleet);
    let mut running = Running::command(&master.socket(), "cat");
    let second = phalanx_proto::mux::RequestId(2);
    let connection = &mut running.connection;
    for which in [Descriptor::Stdin, Descriptor::Stdout, Descriptor::Stderr] {
        let null = std::fs::File::options().read(true).write(true).open("/dev/null").unwrap();
        connection.descriptors.insert((second, which), null.into());
    }
    connection.client.request(second, &Request::Session(Session::default())).unwrap();
    connection.send();
    let opened = connection.answer();
    assert!(matches!(opened, Some(Event::SessionOpened { .. })), "{opened:?}");
    let reason = "Multiple sessions not supported".to_owned();
    let refusal = Refusal { permission_denied: false, reason };
    assert_eq!(connection.answer(), Some(Event::Refused { request: second, refusal }));
}
