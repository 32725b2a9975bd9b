//! Connections to unix sockets: made without waiting, to a peer whose user is known, and with descriptors passed over them.
//!
//! Reading and writing are those of [`pipe`](crate::pipe). What is said over a connection is not known here.

use std::io::{self, IoSlice};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, ControlMessage, MsgFlags, SockFlag, SockType, UnixAddr, connect, getsockopt, sendmsg, socket,
    sockopt,
};

/// The longest path of a unix socket, in bytes: `sun_path` without its NUL.
pub const LONGEST_PATH: usize = 107;

/// Connects to the socket at `path`, without blocking now or later; `None` while its queue of connections is full, of which no
/// readiness tells the end.
///
/// # Errors
/// `NotFound` and `ConnectionRefused` when nothing listens there, `EMFILE` without descriptors, `ENAMETOOLONG` for a path
/// beyond [`LONGEST_PATH`].
pub fn connect_nonblocking(path: &Path) -> io::Result<Option<OwnedFd>> {
    let address = UnixAddr::new(path)?;
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let stream = socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
    loop {
        // A unix socket is connected or is not: there is no EINPROGRESS, and after EINTR nothing goes on by itself.
        return match connect(stream.as_raw_fd(), &address) {
            Ok(()) => Ok(Some(stream)),
            Err(Errno::EAGAIN) => Ok(None),
            Err(Errno::EINTR) => continue,
            Err(error) => Err(error.into()),
        };
    }
}

/// The process at the other end of a connection: for a socket that was listened on, the one that listened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// Its effective user, when it listened.
    pub uid: u32,
    /// Its process id, which may be another's by now.
    pub pid: i32,
}

impl Peer {
    /// Reports whether it ran as the effective user of this program.
    #[must_use]
    pub fn is_same_user(&self) -> bool {
        self.uid == nix::unistd::geteuid().as_raw()
    }
}

/// Returns the process at the other end of `stream`, as the kernel knows it.
///
/// # Errors
/// When it is no connected unix socket.
pub fn peer(stream: impl AsFd) -> io::Result<Peer> {
    let credentials = getsockopt(&stream.as_fd(), sockopt::PeerCredentials)?;
    Ok(Peer { uid: credentials.uid(), pid: credentials.pid() })
}

/// Passes a copy of `descriptor` over `stream`, with one NUL byte, in a message of its own; `false` when there is no room now.
///
/// # Errors
/// `EPIPE` and `ECONNRESET` when the other end is closed, `ETOOMANYREFS` when the descriptors under way are too many.
pub fn pass_descriptor(stream: impl AsFd, descriptor: impl AsFd) -> io::Result<bool> {
    let descriptors = [descriptor.as_fd().as_raw_fd()];
    let message = [ControlMessage::ScmRights(&descriptors)];
    let byte = [IoSlice::new(&[0])];
    loop {
        return match sendmsg::<()>(stream.as_fd().as_raw_fd(), &byte, &message, MsgFlags::MSG_NOSIGNAL, None) {
            Ok(_) => Ok(true),
            Err(Errno::EAGAIN) => Ok(false),
            Err(Errno::EINTR) => continue,
            Err(error) => Err(error.into()),
        };
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::{IoSliceMut, Read, Write};
    use std::os::fd::RawFd;
    use std::os::unix::net::{UnixListener, UnixStream};

    use nix::sys::socket::{ControlMessageOwned, recvmsg};

    use super::*;
    use crate::pipe::{self, Pipe};

    /// Returns the bytes and the descriptors of one message.
    fn receive(stream: &UnixStream) -> (Vec<u8>, Vec<RawFd>) {
        let (mut buffer, mut space) = ([0; 64], nix::cmsg_space!([RawFd; 4]));
        let mut slices = [IoSliceMut::new(&mut buffer)];
        let message = recvmsg::<()>(stream.as_raw_fd(), &mut slices, Some(&mut space), MsgFlags::empty()).unwrap();
        let descriptors = message.cmsgs().unwrap().flat_map(|message| match message {
            ControlMessageOwned::ScmRights(descriptors) => descriptors,
            other => panic!("{other:?}"),
        });
        let (descriptors, count) = (descriptors.collect(), message.bytes);
        (buffer[..count].to_vec(), descriptors)
    }

    #[test]
    fn a_descriptor_arrives_open_and_alone_with_its_byte() {
        let (here, mut there) = UnixStream::pair().unwrap();
        let (first, second) = (Pipe::new().unwrap(), Pipe::new().unwrap());
        (&here).write_all(b"before").unwrap();
        assert!(pass_descriptor(&here, &first.writer).unwrap());
        assert!(pass_descriptor(&here, &second.writer).unwrap());
        (&here).write_all(b"behind").unwrap();
        let mut before = [0; 6];
        there.read_exact(&mut before).unwrap();
        for pipe in [first, second] {
            let (bytes, descriptors) = receive(&there);
            assert_eq!((&bytes[..], descriptors.len()), (&b"\0"[..], 1));
            drop(pipe.writer);
            File::options()
                .write(true)
                .open(format!("/proc/self/fd/{}", descriptors[0]))
                .unwrap()
                .write_all(b"x")
                .unwrap();
            let mut buffer = [0; 8];
            assert_eq!(pipe::read(&pipe.reader, &mut buffer).unwrap(), pipe::ReadOutcome::Bytes(1));
        }
        assert_eq!(receive(&there), (b"behind".to_vec(), vec![]));
    }

    #[test]
    fn a_full_stream_has_no_room_and_a_closed_one_is_an_error() {
        let (here, there) = UnixStream::pair().unwrap();
        here.set_nonblocking(true).unwrap();
        let pipe = Pipe::new().unwrap();
        let passed = (0..100_000).take_while(|_| matches!(pass_descriptor(&here, &pipe.reader), Ok(true))).count();
        assert!((1..100_000).contains(&passed), "{passed}");
        drop(there);
        assert!(pass_descriptor(&here, &pipe.reader).is_err());
    }

    #[test]
    fn a_connection_names_the_process_that_listens() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        assert_eq!(connect_nonblocking(&path).unwrap_err().kind(), io::ErrorKind::NotFound);
        let listener = UnixListener::bind(&path).unwrap();
        let stream = connect_nonblocking(&path).unwrap().unwrap();
        let peer = peer(&stream).unwrap();
        assert_eq!(peer, Peer { uid: nix::unistd::geteuid().as_raw(), pid: nix::unistd::getpid().as_raw() });
        assert!(peer.is_same_user());
        assert!(!Peer { uid: peer.uid + 1, ..peer }.is_same_user());
        assert_eq!(pipe::read(&stream, &mut [0; 1]).unwrap(), pipe::ReadOutcome::WouldBlock);
        drop(listener);
        assert_eq!(connect_nonblocking(&path).unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
    }

    #[test]
    fn a_full_queue_of_connections_is_no_error() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let listener = socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).unwrap();
        nix::sys::socket::bind(listener.as_raw_fd(), &UnixAddr::new(&path).unwrap()).unwrap();
        nix::sys::socket::listen(&listener, nix::sys::socket::Backlog::new(1).unwrap()).unwrap();
        let mut connected = Vec::new();
        while let Some(stream) = connect_nonblocking(&path).unwrap() {
            connected.push(stream);
            assert!(connected.len() < 10, "the queue has no end");
        }
        assert!(!connected.is_empty());
    }

    #[test]
    fn the_longest_path_is_as_long_as_is_said() {
        let of_length = |length: usize| connect_nonblocking(Path::new(&format!("/{}", "x".repeat(length - 1))));
        assert_eq!(of_length(LONGEST_PATH).unwrap_err().kind(), io::ErrorKind::NotFound);
        assert_eq!(of_length(LONGEST_PATH + 1).unwrap_err().raw_os_error(), Some(Errno::ENAMETOOLONG as i32));
    }
}
