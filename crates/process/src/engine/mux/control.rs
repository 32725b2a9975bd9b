//! One control connection to an ssh master: its socket, and the machine that knows what to say on it.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;

use phalanx_core::pipe::{self, ReadOutcome};
use phalanx_core::unix::{self, Peer};
use phalanx_core::{Interest, Reactor};
use phalanx_proto::mux::{Client, Descriptor, Event, Request, RequestError, RequestId, Transmit};

use super::super::tokens::{Source, key};
use crate::id::ProcessId;

/// Every connection has one request.
const REQUEST: RequestId = RequestId(0);

/// A connection, on which one thing is asked.
pub(super) struct Control {
    client: Client,
    socket: OwnedFd,
    peer: Peer,
}

/// Why there is no connection.
pub(super) enum ConnectFailed {
    System(io::Error),
    /// Another user's process listens.
    Stranger(Peer),
    Request(RequestError),
}

impl From<io::Error> for ConnectFailed {
    fn from(error: io::Error) -> Self {
        Self::System(error)
    }
}

impl Control {
    /// Connects to the master that listens at `path`, and asks; `None` while its queue of connections is full. Nothing is
    /// sent yet.
    pub(super) fn open(
        path: &Path,
        request: &Request,
        id: ProcessId,
        reactor: &Reactor,
    ) -> Result<Option<Self>, ConnectFailed> {
        let mut client = Client::new();
        client.request(REQUEST, request).map_err(ConnectFailed::Request)?;
        let Some(socket) = unix::connect_nonblocking(path)? else { return Ok(None) };
        let peer = unix::peer(&socket)?;
        // Descriptors, commands and variables are for masters of ours only, whatever the path has become.
        if !peer.is_same_user() {
            return Err(ConnectFailed::Stranger(peer));
        }
        reactor.register(&socket, key(id, Source::Exit), Interest::Both)?;
        Ok(Some(Self { client, socket, peer }))
    }

    /// Returns the process id of the master.
    pub(super) fn pid(&self) -> i32 {
        self.peer.pid
    }

    /// Sends what is to be sent; whether nothing is left. A master that takes nothing more is not an error here: it is
    /// read on, and says why, or ends.
    pub(super) fn send<'a>(&mut self, descriptor: impl Fn(Descriptor) -> Option<BorrowedFd<'a>>) -> bool {
        while let Some(transmit) = self.client.poll_transmit() {
            let sent = match transmit {
                Transmit::Bytes(bytes) => pipe::write(&self.socket, bytes)
                    .map(|count| count.map(|count| self.client.handle_written(count)).is_some()),
                Transmit::Descriptor(_, which) => match descriptor(which) {
                    Some(fd) => unix::pass_descriptor(&self.socket, fd).inspect(|passed| {
                        if *passed {
                            self.client.handle_passed();
                        }
                    }),
                    None => Err(io::ErrorKind::InvalidInput.into()),
                },
            };
            match sent {
                Ok(true) => {}
                Ok(false) => return false,
                Err(error) => {
                    log::debug!("cannot write to the ssh master with pid {}: {error}", self.peer.pid);
                    self.client.handle_write_failed();
                }
            }
        }
        true
    }

    /// Reads what the master has said, as far as it is there. No master can say more than a few messages without breaking
    /// the protocol, so there is no bound but that.
    pub(super) fn receive(&mut self, buffer: &mut [u8]) {
        while !self.client.is_closed() {
            match pipe::read(&self.socket, buffer) {
                Ok(ReadOutcome::Bytes(count)) => self.client.handle_bytes(&buffer[..count]),
                Ok(ReadOutcome::WouldBlock) => return,
                Ok(ReadOutcome::EndOfFile) | Err(_) => self.client.handle_eof(),
            }
        }
    }

    /// Returns what has happened, in order.
    pub(super) fn next_event(&mut self) -> Option<Event> {
        self.client.poll_event()
    }
}
