//! Pipes to children, read and written without blocking.
//!
//! Only *our* end is made non-blocking. The flag lives on the open file description, so setting it on the child's
//! end, or on an inherited terminal, would change it for other programs.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};

/// The two ends of a pipe, both closed on exec.
#[derive(Debug)]
pub struct Pipe {
    /// The end that is read.
    pub reader: OwnedFd,
    /// The end that is written.
    pub writer: OwnedFd,
}

impl Pipe {
    /// Makes a pipe, with both ends blocking.
    ///
    /// # Errors
    /// `EMFILE` and `ENFILE` when descriptors have run out.
    pub fn new() -> io::Result<Self> {
        let (reader, writer) = nix::unistd::pipe2(OFlag::O_CLOEXEC)?;
        Ok(Self { reader, writer })
    }
}

/// Makes the end of a pipe fresh from [`Pipe::new`] non-blocking.
///
/// # Errors
/// What `fcntl(2)` says.
pub fn set_fresh_nonblocking(fd: impl AsFd) -> io::Result<()> {
    // It has no other status flag, so there is nothing to ask for before.
    fcntl(fd.as_fd(), FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    Ok(())
}

/// Makes `fd` non-blocking.
///
/// # Errors
/// When it is not a descriptor that can be.
pub fn set_nonblocking(fd: impl AsFd) -> io::Result<()> {
    // A fresh pipe end has no other status flag to preserve, but a terminal or a socket given by a caller may.
    let flags = OFlag::from_bits_truncate(fcntl(fd.as_fd(), FcntlArg::F_GETFL)?);
    fcntl(fd.as_fd(), FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
    Ok(())
}

/// A flag for opening files: a terminal must not become the controlling one of a program that has none.
pub const NO_CONTROLLING_TERMINAL: i32 = libc::O_NOCTTY;

/// A flag for opening files: does not wait for the other end of a named pipe.
pub const NON_BLOCKING: i32 = libc::O_NONBLOCK;

/// The result of one read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadOutcome {
    /// This many bytes, at the start of the buffer; never zero.
    Bytes(usize),
    /// Nothing to read now.
    WouldBlock,
    /// The end of the stream.
    EndOfFile,
}

/// Reads once.
///
/// `EIO` is an end of file: that is how Linux tells the master of a pty that the last slave was closed.
///
/// # Errors
/// What `read(2)` says, apart from interruptions and the above.
pub fn read(fd: impl AsFd, buffer: &mut [u8]) -> io::Result<ReadOutcome> {
    loop {
        return match nix::unistd::read(fd.as_fd(), buffer) {
            Ok(0) | Err(Errno::EIO) => Ok(ReadOutcome::EndOfFile),
            Ok(count) => Ok(ReadOutcome::Bytes(count)),
            Err(Errno::EAGAIN) => Ok(ReadOutcome::WouldBlock),
            Err(Errno::EINTR) => continue,
            Err(error) => Err(error.into()),
        };
    }
}

/// Writes once; `None` when there is no room now.
///
/// # Errors
/// `EPIPE` when no reader is left, and what else `write(2)` says. A SIGPIPE is not raised for Rust
/// programs, which ignore it from the start; other callers must do likewise.
pub fn write(fd: impl AsFd, bytes: &[u8]) -> io::Result<Option<usize>> {
    loop {
        return match nix::unistd::write(fd.as_fd(), bytes) {
            Ok(count) => Ok(Some(count)),
            Err(Errno::EAGAIN) => Ok(None),
            Err(Errno::EINTR) => continue,
            Err(error) => Err(error.into()),
        };
    }
}

/// Borrows a descriptor that `owner` keeps open, where a foreign crate only offers the number.
pub(crate) fn borrow_for<T>(raw: RawFd, owner: &T) -> BorrowedFd<'_> {
    let _ = owner;
    #[expect(unsafe_code, reason = "mio offers its epoll descriptor as a number only")]
    // SAFETY: the caller passes the owner of `raw`, and the result cannot outlive that borrow.
    unsafe {
        BorrowedFd::borrow_raw(raw)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_pipe_is_told_from_a_closed_one() {
        let pipe = Pipe::new().unwrap();
        set_nonblocking(&pipe.reader).unwrap();
        let mut buffer = [0; 8];
        assert_eq!(read(&pipe.reader, &mut buffer).unwrap(), ReadOutcome::WouldBlock);
        assert_eq!(write(&pipe.writer, b"abc").unwrap(), Some(3));
        assert_eq!(read(&pipe.reader, &mut buffer).unwrap(), ReadOutcome::Bytes(3));
        drop(pipe.writer);
        assert_eq!(read(&pipe.reader, &mut buffer).unwrap(), ReadOutcome::EndOfFile);
    }

    #[test]
    fn a_full_pipe_has_no_room_and_a_closed_one_is_an_error() {
        let pipe = Pipe::new().unwrap();
        set_nonblocking(&pipe.writer).unwrap();
        let chunk = [0; 65536];
        while write(&pipe.writer, &chunk).unwrap().is_some() {}
        drop(pipe.reader);
        assert_eq!(write(&pipe.writer, &chunk).unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }
}
