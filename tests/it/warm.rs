//! Sessions over a real OpenSSH master, spoken to in its own protocol: what the documents say, what they do not say, and
//! what each trouble looks like on the wire.
//!
//! The driver here is as simple as one can be, with blocking waits; that of the engine is tested with the engine.

mod engine;
mod forwards;
mod master;
mod sessions;
mod troubles;

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use phalanx_core::pipe::{self, Pipe, ReadOutcome};
use phalanx_core::unix;
use phalanx_proto::mux::{Client, Descriptor, Event, Request, RequestId, Session, Transmit};

use self::master::Master;

const REQUEST: RequestId = RequestId(1);

/// One connection to a master, and what is to be passed over it.
struct Connection {
    client: Client,
    stream: OwnedFd,
    descriptors: HashMap<(RequestId, Descriptor), OwnedFd>,
}

impl Connection {
    fn to(socket: &Path) -> Self {
        let mut stream = None;
        phalanx_tests::wait_until("the master has room for a connection", || {
            stream = unix::connect_nonblocking(socket).expect("the master listens");
            stream.is_some()
        });
        let stream = stream.expect("it was waited for");
        Self { client: Client::new(), stream, descriptors: HashMap::new() }
    }

    /// Asks, and sends what is to be sent.
    fn ask(&mut self, request: &Request) {
        self.client.request(REQUEST, request).expect("the request is sound");
        self.send();
    }

    fn send(&mut self) {
        while let Some(transmit) = self.client.poll_transmit() {
            match transmit {
                Transmit::Bytes(bytes) => match pipe::write(&self.stream, bytes) {
                    Ok(Some(count)) => self.client.handle_written(count),
                    Ok(None) => self.wait(PollFlags::POLLOUT),
                    Err(_) => self.client.handle_write_failed(),
                },
                Transmit::Descriptor(request, descriptor) => {
                    let passed = &self.descriptors[&(request, descriptor)];
                    match unix::pass_descriptor(&self.stream, passed) {
                        Ok(true) => {
                            self.descriptors.remove(&(request, descriptor));
                            self.client.handle_passed();
                        }
                        Ok(false) => self.wait(PollFlags::POLLOUT),
                        Err(_) => self.client.handle_write_failed(),
                    }
                }
            }
        }
    }

    fn wait(&self, flags: PollFlags) {
        poll(&mut [PollFd::new(self.stream.as_fd(), flags)], PollTimeout::NONE).expect("poll works");
    }

    /// Returns the next event; `None` after the last.
    fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.client.poll_event() {
                return Some(event);
            }
            if self.client.is_closed() {
                return None;
            }
            let mut buffer = [0; 4096];
            match pipe::read(&self.stream, &mut buffer) {
                Ok(ReadOutcome::Bytes(count)) => self.client.handle_bytes(&buffer[..count]),
                Ok(ReadOutcome::WouldBlock) => self.wait(PollFlags::POLLIN),
                Ok(ReadOutcome::EndOfFile) | Err(_) => self.client.handle_eof(),
            }
        }
    }

    /// Returns the events up to the end of the connection, without the hello.
    fn rest(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.next()).filter(|event| !matches!(event, Event::Hello { .. })).collect()
    }

    /// Returns the next event that is not the hello.
    fn answer(&mut self) -> Option<Event> {
        std::iter::from_fn(|| self.next()).find(|event| !matches!(event, Event::Hello { .. }))
    }
}

/// A command that runs over a master.
struct Running {
    connection: Connection,
    stdin: Option<File>,
    stdout: Output,
    stderr: Output,
}

/// What a command left behind.
#[derive(Debug)]
struct Left {
    events: Vec<Event>,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

impl Running {
    fn start(socket: &Path, session: Session) -> Self {
        let mut connection = Connection::to(socket);
        let [stdin, stdout, stderr] = [(); 3].map(|()| Pipe::new().expect("descriptors are left"));
        let passed = [
            (Descriptor::Stdin, stdin.reader),
            (Descriptor::Stdout, stdout.writer),
            (Descriptor::Stderr, stderr.writer),
        ];
        connection.descriptors = passed.into_iter().map(|(which, fd)| ((REQUEST, which), fd)).collect();
        connection.ask(&Request::Session(session));
        Self {
            connection,
            stdin: Some(stdin.writer.into()),
            stdout: Output::of(stdout.reader),
            stderr: Output::of(stderr.reader),
        }
    }

    fn command(socket: &Path, command: impl Into<Vec<u8>>) -> Self {
        Self::start(socket, Session { command: command.into(), ..Session::default() })
    }

    fn write(&mut self, bytes: &[u8]) {
        self.stdin.as_mut().expect("stdin is open").write_all(bytes).expect("the command reads");
    }

    /// Closes stdin and waits until the connection has ended.
    fn finish(mut self) -> Left {
        drop(self.stdin.take());
        let events = self.connection.rest();
        Left { events, stdout: self.stdout.finish(), stderr: self.stderr.finish() }
    }
}

impl Left {
    /// Returns the status, where the session was opened, ended with one, and the connection was closed in order.
    fn status(&self) -> Option<u32> {
        match self.events.as_slice() {
            [
                Event::SessionOpened { session, .. },
                Event::Exited { session: ended, status },
                Event::Closed { result: Ok(()) },
            ] if session == ended => Some(*status),
            _ => None,
        }
    }

    /// Whether the session was opened, and the connection closed in order and without a status.
    fn has_no_status(&self) -> bool {
        matches!(
            self.events.as_slice(),
            [Event::SessionOpened { .. }, Event::SessionClosed { .. }, Event::Closed { result: Ok(()) }]
        )
    }
}

/// What a thread has read from a pipe.
struct Output {
    bytes: Arc<Mutex<Vec<u8>>>,
    reader: JoinHandle<()>,
}

impl Output {
    fn of(fd: OwnedFd) -> Self {
        let bytes = Arc::<Mutex<Vec<u8>>>::default();
        let shared = Arc::clone(&bytes);
        let reader = thread::spawn(move || {
            let (mut pipe, mut buffer) = (File::from(fd), [0; 4096]);
            while let Ok(count @ 1..) = pipe.read(&mut buffer) {
                shared.lock().expect("no reader panics").extend_from_slice(&buffer[..count]);
            }
        });
        Self { bytes, reader }
    }

    fn so_far(&self) -> Vec<u8> {
        self.bytes.lock().expect("no reader panics").clone()
    }

    /// Returns all that came, once nothing more can.
    fn finish(self) -> Vec<u8> {
        self.reader.join().expect("no reader panics");
        std::mem::take(&mut self.bytes.lock().expect("no reader panics"))
    }
}
