//! Waits for readiness, and reports which token, chosen by the caller, is ready for what.
//!
//! Built on mio, so readiness is *edge triggered*: a caller that is told "readable" must read until the descriptor would
//! block, or remember that it did not. The reactor knows no processes, only tokens and descriptors. A token may be
//! reported after its descriptor was closed; callers use tokens that are never reused and ignore unknown ones.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::time::Duration;

use mio::unix::SourceFd;
use mio::{Events, Poll, Token};

/// What a descriptor is watched for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interest {
    /// There is something to read, or the other end is gone.
    Readable,
    /// There is room to write, or the other end is gone.
    Writable,
    /// Reading and writing.
    Both,
}

impl From<Interest> for mio::Interest {
    fn from(interest: Interest) -> Self {
        match interest {
            Interest::Readable => mio::Interest::READABLE,
            Interest::Writable => mio::Interest::WRITABLE,
            Interest::Both => mio::Interest::READABLE | mio::Interest::WRITABLE,
        }
    }
}

/// One descriptor that became ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ready {
    /// The token under which the descriptor was registered.
    pub token: u64,
    /// Reading will not block: there are bytes, or an end, or an error to be read.
    pub readable: bool,
    /// Writing will not block: there is room, or an error to be had.
    pub writable: bool,
    /// The other end is gone. There may be bytes left to read, and no further readiness will announce their end.
    pub closed: bool,
}

/// The number of events that one poll can return; the rest comes with the next.
const EVENTS_PER_WAIT: usize = 1024;

/// An epoll (or kqueue) instance.
#[derive(Debug)]
pub struct Reactor {
    poll: Poll,
    events: Events,
}

impl Reactor {
    /// Opens the instance.
    ///
    /// # Errors
    /// When the system has no descriptor left for it.
    pub fn new() -> io::Result<Self> {
        Ok(Self { poll: Poll::new()?, events: Events::with_capacity(EVENTS_PER_WAIT) })
    }

    /// Watches `fd` under `token`. Closing the descriptor ends the watch.
    ///
    /// # Errors
    /// What `epoll_ctl` says: a regular file is refused with `EPERM`, a full table with `ENOSPC`.
    pub fn register(&self, fd: impl AsFd, token: u64, interest: Interest) -> io::Result<()> {
        let raw = fd.as_fd().as_raw_fd();
        let token = Token(usize::try_from(token).expect("tokens are machine words"));
        self.poll.registry().register(&mut SourceFd(&raw), token, interest.into())
    }

    /// Changes what `fd`, which is registered, is watched for. What it is ready for by then is reported again.
    ///
    /// # Errors
    /// When it was not watched.
    pub fn reregister(&self, fd: impl AsFd, token: u64, interest: Interest) -> io::Result<()> {
        let raw = fd.as_fd().as_raw_fd();
        let token = Token(usize::try_from(token).expect("tokens are machine words"));
        self.poll.registry().reregister(&mut SourceFd(&raw), token, interest.into())
    }

    /// Stops watching `fd` without closing it.
    ///
    /// # Errors
    /// When it was not watched.
    pub fn deregister(&self, fd: impl AsFd) -> io::Result<()> {
        let raw = fd.as_fd().as_raw_fd();
        self.poll.registry().deregister(&mut SourceFd(&raw))
    }

    /// Makes a waker with which another thread can end [`Reactor::poll`] early, reported under `token`.
    ///
    /// # Errors
    /// When the system has no descriptor left for it. One per reactor.
    pub(crate) fn waker(&self, token: u64) -> io::Result<mio::Waker> {
        mio::Waker::new(self.poll.registry(), Token(usize::try_from(token).expect("tokens are machine words")))
    }

    /// Waits until a descriptor is ready or `timeout` has passed (`None`: for ever), and returns those that are.
    ///
    /// A signal may end the wait early with nothing to report, never with something left to report.
    ///
    /// # Errors
    /// What `epoll_wait` says, `EINTR` excepted.
    pub fn poll(&mut self, timeout: Option<Duration>) -> io::Result<impl Iterator<Item = Ready> + '_> {
        let mut timeout = timeout;
        loop {
            match self.poll.poll(&mut self.events, timeout) {
                // Time may have passed, above all when we were stopped and continued: what became ready meanwhile must
                // be reported before any caller looks at the clock.
                Err(error) if error.kind() == io::ErrorKind::Interrupted => timeout = Some(Duration::ZERO),
                other => break other?,
            }
        }
        Ok(self.events.iter().map(|event| Ready {
            token: event.token().0 as u64,
            readable: event.is_readable() || event.is_read_closed() || event.is_error(),
            writable: event.is_writable() || event.is_write_closed() || event.is_error(),
            closed: event.is_read_closed() || event.is_error(),
        }))
    }
}

impl AsFd for Reactor {
    /// Returns the epoll descriptor itself: readable when something is ready, so that a reactor nests in another loop.
    fn as_fd(&self) -> BorrowedFd<'_> {
        use std::os::fd::AsRawFd as _;
        let raw = self.poll.as_raw_fd();
        crate::pipe::borrow_for(raw, self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;
    use std::os::unix::net::UnixStream;

    #[test]
    fn reports_the_callers_token() {
        let mut reactor = Reactor::new().unwrap();
        let (mut ours, theirs) = UnixStream::pair().unwrap();
        reactor.register(&theirs, 77, Interest::Readable).unwrap();
        assert_eq!(reactor.poll(Some(Duration::ZERO)).unwrap().count(), 0);
        ours.write_all(b"x").unwrap();
        let ready: Vec<_> = reactor.poll(None).unwrap().collect();
        assert_eq!(ready.len(), 1);
        assert_eq!((ready[0].token, ready[0].readable), (77, true));
    }

    #[test]
    fn a_reactor_is_readable_inside_another() {
        let inner = Reactor::new().unwrap();
        let mut outer = Reactor::new().unwrap();
        outer.register(&inner, 1, Interest::Readable).unwrap();
        let (mut ours, theirs) = UnixStream::pair().unwrap();
        inner.register(&theirs, 2, Interest::Readable).unwrap();
        ours.write_all(b"x").unwrap();
        assert_eq!(outer.poll(None).unwrap().next().unwrap().token, 1);
    }

    #[test]
    fn a_regular_file_is_refused_not_ignored() {
        let reactor = Reactor::new().unwrap();
        let file = tempfile::tempfile().unwrap();
        assert!(reactor.register(&file, 1, Interest::Readable).is_err());
    }
}
