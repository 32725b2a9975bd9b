//! Sessions that go well.

use phalanx_proto::mux::{Event, Session};
use phalanx_tests::{shared_fleet, wait_until};

use super::{Connection, Master, Running, unix};

#[test]
fn a_command_has_its_status_and_its_streams_apart() {
    let Some(fleet) = shared_fleet() else { return };
    let master = Master::of(fleet);
    for status in [0, 1, 7, 255] {
        let left = Running::command(&master.socket(), format!("echo out; echo err >&2; exit {status}")).finish();
        assert_eq!((&left.stdout[..], &left.stderr[..]), (&b"out\n"[..], &b"err\n"[..]));
        assert_eq!(left.status(), Some(status), "{left:?}");
    }
}

#[test]
fn every_byte_passes_in_both_directions_and_in_any_amount() {
    let Some(fleet) = shared_fleet() else { return };
    let master = Master::of(fleet);
    let every_byte: Vec<u8> = (0..=255).cycle().take(3 << 20).collect();
    let mut running = Running::command(&master.socket(), "tee /dev/stderr");
    running.write(&every_byte);
    let left = running.finish();
    assert_eq!(left.status(), Some(0), "{:?}", left.events);
    assert!(left.stdout == every_byte && left.stderr == every_byte);
}

#[test]
fn a_command_need_not_be_text_and_a_subsystem_is_no_command() {
    let Some(fleet) = shared_fleet() else { return };
    let master = Master::of(fleet);
    let left = Running::command(&master.socket(), &b"printf %s '\xff\xfe'"[..]).finish();
    assert_eq!((&left.stdout[..], left.status()), (&b"\xff\xfe"[..], Some(0)), "{left:?}");
    let session = Session { command: b"sftp".to_vec(), subsystem: true, ..Session::default() };
    let mut running = Running::start(&master.socket(), session);
    // SSH_FXP_INIT of version 3, which is answered with SSH_FXP_VERSION.
    running.write(b"\0\0\0\x05\x01\0\0\0\x03");
    // It does not answer once it sees the end of its input.
    wait_until("the subsystem answers", || running.stdout.so_far().len() >= 9);
    let left = running.finish();
    assert_eq!((left.stdout.get(4..9), left.status()), (Some(&b"\x02\0\0\0\x03"[..]), Some(0)), "{left:?}");
}

#[test]
fn a_hundred_sessions_run_at_once_and_none_gets_the_output_of_another() {
    let Some(fleet) = shared_fleet() else { return };
    let master = Master::of(fleet);
    // Each waits for its input, so that all are open before the first ends.
    let start = |index: u32| Running::command(&master.socket(), format!("read word; echo {index} $word; exit {index}"));
    let mut running: Vec<_> = (0..100).map(start).collect();
    for running in &mut running {
        assert!(matches!(running.connection.answer(), Some(Event::SessionOpened { .. })));
    }
    running.iter_mut().for_each(|running| running.write(b"word\n"));
    for (index, running) in running.into_iter().enumerate() {
        let left = running.finish();
        assert_eq!(left.stdout, format!("{index} word\n").as_bytes());
        let status = u32::try_from(index).unwrap();
        assert!(
            matches!(left.events[..], [Event::Exited { status: told, .. }, Event::Closed { result: Ok(()) }] if told == status)
        );
    }
}

#[test]
fn the_peer_of_a_control_socket_is_the_master() {
    let Some(fleet) = shared_fleet() else { return };
    let master = Master::of(fleet);
    let connection = Connection::to(&master.socket());
    let peer = unix::peer(&connection.stream).unwrap();
    assert_eq!(peer.pid.unsigned_abs(), master.pid());
    assert_eq!(peer.uid, nix::unistd::geteuid().as_raw());
}

/// The bytes that ssh itself sends for a session are those that we send.
#[test]
fn a_session_is_requested_as_ssh_does() {
    use std::io::{Read, Write};
    use std::os::unix::net::UnixListener;

    use phalanx_proto::mux::{Answer, Client, ClientMessage, MasterMessage, Request, RequestId, Transmit};
    let Some(fleet) = shared_fleet() else { return };
    let master = Master::of(fleet);
    let path = master.directory().join("played");
    let listener = UnixListener::bind(&path).unwrap();
    let mut ssh = fleet.ssh_command();
    ssh.args(["-e", "none", "-o", "SendEnv=none", "-S"]).arg(&path).args(["node1", "echo", "a b"]).env_remove("TERM");
    let waiting = std::thread::spawn(move || ssh.output().unwrap());
    let (stream, _) = listener.accept().unwrap();
    let frame = || {
        let mut length = [0; 4];
        (&stream).read_exact(&mut length).unwrap();
        let mut body = vec![0; u32::from_be_bytes(length) as usize];
        (&stream).read_exact(&mut body).unwrap();
        body
    };
    let hello = frame();
    let say = |message: MasterMessage| (&stream).write_all(&message.encode()).unwrap();
    say(MasterMessage::Hello { version: 4, extensions: vec![] });
    let Some(ClientMessage::Request { id, request: Request::AliveCheck }) = ClientMessage::decode(&frame()) else {
        panic!()
    };
    say(MasterMessage::Answer { id, answer: Answer::Alive { pid: 1 } });
    let theirs = frame();
    drop(stream);
    waiting.join().unwrap();
    let mut client = Client::new();
    let session = Session { command: b"echo a b".to_vec(), ..Session::default() };
    client.request(RequestId(1), &Request::Session(session)).unwrap();
    let mut ours = Vec::new();
    while let Some(Transmit::Bytes(bytes)) = client.poll_transmit() {
        ours.push(bytes[4..].to_vec());
        let count = bytes.len();
        client.handle_written(count);
    }
    assert_eq!(ours, [hello, theirs]);
}
