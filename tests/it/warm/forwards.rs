//! Forwards over a master, and the end of masters.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;

use phalanx_proto::mux::{Endpoint, Event, Forward, Request};
use phalanx_tests::{shared_fleet, wait_until};

use super::{Connection, Master, REQUEST};

/// Listens on a port of this machine, and answers the first connection with what it says.
fn echo() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
    let port = listener.local_addr().expect("it is bound").port();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("it listens");
        let mut word = [0; 4];
        stream.read_exact(&mut word).expect("the other end speaks");
        stream.write_all(&word).expect("the other end listens");
    });
    port
}

fn answers(mut stream: impl Read + Write) {
    stream.write_all(b"ping").expect("the other end listens");
    let mut word = [0; 4];
    stream.read_exact(&mut word).expect("the other end speaks");
    assert_eq!(&word, b"ping");
}

fn ask(master: &Master, request: &Request) -> Option<Event> {
    let mut connection = Connection::to(&master.socket());
    connection.ask(request);
    connection.answer()
}

const DONE: Option<Event> = Some(Event::Done { request: REQUEST });

#[test]
fn a_local_forward_opens_forwards_and_closes() {
    let Some(fleet) = shared_fleet() else { return };
    let master = Master::of(fleet);
    let path = master.directory().join("forward");
    let listen = Endpoint::Path(path.clone());
    let forward = Forward::Local { listen, connect: Endpoint::port("127.0.0.1", echo()) };
    assert_eq!(ask(&master, &Request::OpenForward(forward.clone())), DONE);
    answers(UnixStream::connect(&path).unwrap());
    assert_eq!(ask(&master, &Request::CloseForward(forward.clone())), DONE);
    assert!(UnixStream::connect(&path).is_err());
    let again = ask(&master, &Request::CloseForward(forward));
    assert!(
        matches!(&again, Some(Event::Refused { refusal, .. }) if refusal.reason == "port not forwarded"),
        "{again:?}"
    );
}

#[test]
fn the_server_chooses_a_port_and_says_which() {
    let Some(fleet) = shared_fleet() else { return };
    let master = Master::of(fleet);
    let forward =
        Forward::Remote { listen: Endpoint::port("127.0.0.1", 0), connect: Endpoint::port("127.0.0.1", echo()) };
    let bound = ask(&master, &Request::OpenForward(forward.clone()));
    let Some(Event::Bound { port, .. }) = bound else { panic!("{bound:?}") };
    answers(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap());
    // It is known by the port that was asked for, not by the one that was given.
    assert_eq!(ask(&master, &Request::CloseForward(forward)), DONE);
    wait_until("the server listens no more", || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err());
}

#[test]
fn a_port_in_use_is_refused_on_either_side() {
    let Some(fleet) = shared_fleet() else { return };
    let master = Master::of(fleet);
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let listen = || Endpoint::port("127.0.0.1", taken.local_addr().unwrap().port());
    let connect = || Endpoint::port("127.0.0.1", 9);
    let table = [
        Forward::Local { listen: listen(), connect: connect() },
        Forward::Remote { listen: listen(), connect: connect() },
        Forward::Dynamic { host: "127.0.0.1".to_owned(), port: taken.local_addr().unwrap().port() },
    ];
    for forward in table {
        let answer = ask(&master, &Request::OpenForward(forward.clone()));
        assert!(matches!(answer, Some(Event::Refused { .. })), "{forward}: {answer:?}");
    }
}

#[test]
fn a_socks_proxy_opens_and_closes() {
    let Some(fleet) = shared_fleet() else { return };
    let master = Master::of(fleet);
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr()).unwrap().port();
    let forward = Forward::Dynamic { host: "127.0.0.1".to_owned(), port: free };
    assert_eq!(ask(&master, &Request::OpenForward(forward.clone())), DONE);
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, free)).unwrap();
    // SOCKS 5, no authentication; connect to 127.0.0.1 and the port of the echo.
    stream.write_all(b"\x05\x01\0").unwrap();
    let mut chosen = [0; 2];
    stream.read_exact(&mut chosen).unwrap();
    assert_eq!(&chosen, b"\x05\0");
    stream.write_all(&[&b"\x05\x01\0\x01\x7f\0\0\x01"[..], &echo().to_be_bytes()].concat()).unwrap();
    let mut connected = [0; 10];
    stream.read_exact(&mut connected).unwrap();
    assert_eq!(connected[1], 0);
    answers(stream);
    assert_eq!(ask(&master, &Request::CloseForward(forward)), DONE);
}

#[test]
fn a_stdio_forward_connects_descriptors_and_ends_without_a_status() {
    use phalanx_core::pipe::Pipe;
    use phalanx_proto::mux::Descriptor;
    use std::fs::File;
    let Some(fleet) = shared_fleet() else { return };
    let master = Master::of(fleet);
    let mut connection = Connection::to(&master.socket());
    let (stdin, stdout) = (Pipe::new().unwrap(), Pipe::new().unwrap());
    connection.descriptors.insert((REQUEST, Descriptor::Stdin), stdin.reader);
    connection.descriptors.insert((REQUEST, Descriptor::Stdout), stdout.writer);
    connection.ask(&Request::StdioForward { host: "127.0.0.1".to_owned(), port: echo() });
    File::from(stdin.writer).write_all(b"ping").unwrap();
    let mut said = Vec::new();
    File::from(stdout.reader).read_to_end(&mut said).unwrap();
    assert_eq!(said, b"ping");
    let events = connection.rest();
    assert!(
        matches!(
            events[..],
            [Event::SessionOpened { .. }, Event::SessionClosed { .. }, Event::Closed { result: Ok(()) }]
        ),
        "{events:?}"
    );
}

#[test]
fn a_master_that_listens_no_more_has_no_socket_and_keeps_its_clients() {
    let Some(fleet) = shared_fleet() else { return };
    let master = Master::of(fleet);
    let mut connection = Connection::to(&master.socket());
    connection.ask(&Request::StopListening);
    assert_eq!(connection.answer(), DONE);
    assert!(!master.socket().exists());
    connection.ask(&Request::AliveCheck);
    assert!(matches!(connection.answer(), Some(Event::Alive { .. })));
}

#[test]
fn a_master_that_is_told_to_terminate_ends_with_or_without_an_answer() {
    let Some(fleet) = shared_fleet() else { return };
    let mut master = Master::of(fleet);
    let mut connection = Connection::to(&master.socket());
    connection.ask(&Request::Terminate);
    let events = connection.rest();
    let closed = Event::Closed { result: Ok(()) };
    let answers = [Event::Done { request: REQUEST }, Event::Unanswered { request: REQUEST }];
    assert!(events.len() == 2 && answers.contains(&events[0]) && events[1] == closed, "{events:?}");
    let mut status = None;
    wait_until("the master has ended", || {
        status = master.status();
        status.is_some()
    });
    // As when its server is gone: the status does not tell the two apart.
    assert_eq!(status, Some(255));
    assert!(!master.socket().exists());
}
