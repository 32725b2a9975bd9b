//! Feeds one host from here: a thread that packs the sources, and leaves out what the host has already.

use std::io::{self, Write};
use std::net::{Shutdown, TcpStream, ToSocketAddrs as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use sha2::{Digest as _, Sha256};

use super::protocol::greeting;
use super::topology::Total;
use crate::files::pack::{self, Packing};
use crate::files::sources::Source;
use crate::files::{Counters, Fault};

/// What is to be sent, and to whom.
pub(super) struct SendJob {
    pub(super) sources: Arc<[Source]>,
    pub(super) packing: Packing,
    pub(super) address: String,
    pub(super) port: u16,
    pub(super) offset: u64,
    pub(super) token: String,
    pub(super) timeout: Duration,
}

/// How an errand ended.
#[derive(Debug)]
pub(super) enum Outcome {
    /// All was packed, and what was asked for was sent. Of one that says it has more than there is, nothing was.
    Sent(Total),
    /// The host could not be fed.
    NotFed(String),
    /// Something here could not be read.
    SourceFailed(String),
}

/// An errand under way. Dropping it ends it.
#[derive(Debug)]
pub(super) struct Sender(Arc<Mutex<State>>);

#[derive(Debug)]
enum State {
    Connecting,
    Connected(TcpStream),
    Over(Option<Outcome>),
    Stopped,
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Sender {
    pub(super) fn start(errand: SendJob) -> Self {
        let state = Arc::new(Mutex::new(State::Connecting));
        let (shared, name) = (Arc::clone(&state), format!("chain {}", errand.address));
        let run = move || {
            let (outcome, stream) = catch_unwind(AssertUnwindSafe(|| errand.run(&shared))).unwrap_or_else(|_| {
                let why = "a thread of phalanx has panicked, which is a defect of it";
                (Outcome::SourceFailed(why.to_owned()), None)
            });
            {
                let mut state = lock(&shared);
                if !matches!(*state, State::Stopped) {
                    *state = State::Over(Some(outcome));
                }
            }
            // Not before: the host says at once that the stream has ended, and then it must be known here why.
            drop(stream);
        };
        if let Err(error) = thread::Builder::new().name(name).spawn(run) {
            *lock(&state) = State::Over(Some(Outcome::NotFed(format!("there is no thread left for it here: {error}"))));
        }
        Self(state)
    }

    /// How it ended, once.
    pub(super) fn outcome(&self) -> Option<Outcome> {
        match &mut *lock(&self.0) {
            State::Over(outcome) => outcome.take(),
            State::Connecting | State::Connected(_) | State::Stopped => None,
        }
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        if let State::Connected(stream) = std::mem::replace(&mut *lock(&self.0), State::Stopped) {
            // Whoever waits for it to take more need not wait any longer.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl SendJob {
    fn run(&self, state: &Mutex<State>) -> (Outcome, Option<TcpStream>) {
        let not_fed = |error: io::Error| Outcome::NotFed(format!("from here, {}:{}: {error}", self.address, self.port));
        let (stream, copy) = match self.connect().and_then(|stream| Ok((stream.try_clone()?, stream))) {
            Ok(both) => both,
            Err(error) => return (not_fed(error), None),
        };
        {
            let mut state = lock(state);
            if !matches!(*state, State::Connecting) {
                return (Outcome::NotFed("it was called off".to_owned()), None);
            }
            *state = State::Connected(copy);
        }
        let outcome = match self.send(&stream) {
            Ok(total) => Outcome::Sent(total),
            Err(Fault::Disconnected) => not_fed(io::ErrorKind::ConnectionAborted.into()),
            Err(Fault::Local(why) | Fault::Remote(why)) => Outcome::SourceFailed(why),
        };
        (outcome, Some(stream))
    }

    fn connect(&self) -> io::Result<TcpStream> {
        let mut last = io::Error::new(io::ErrorKind::NotFound, "it has no address");
        for address in (self.address.as_str(), self.port).to_socket_addrs()? {
            match TcpStream::connect_timeout(&address, self.timeout) {
                Ok(stream) => return Ok(stream),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    fn send(&self, mut stream: &TcpStream) -> Result<Total, Fault> {
        stream.write_all(greeting(&self.token, self.offset).as_bytes()).map_err(|_| Fault::Disconnected)?;
        let mut sieve = Sieve { out: stream, skip: self.offset, length: 0, sum: Sha256::new() };
        pack::pack(&self.sources, &self.packing, &mut sieve, &Counters::default())?;
        Ok(Total { length: sieve.length, sum: sieve.sum.finalize().into() })
    }
}

/// Measures and sums up all that is written, and lets through what comes after so many bytes.
struct Sieve<W> {
    out: W,
    skip: u64,
    length: u64,
    sum: Sha256,
}

impl<W: Write> Write for Sieve<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let skipped = usize::try_from(self.skip).unwrap_or(usize::MAX).min(bytes.len());
        self.out.write_all(&bytes[skipped..])?;
        self.skip -= skipped as u64;
        self.length += bytes.len() as u64;
        self.sum.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_counts_all_the_same() {
        let data: Vec<u8> = (0..=255).cycle().take(1000).collect();
        for (skip, chunk) in [(0, 7), (1, 1000), (500, 3), (999, 10), (1000, 64)] {
            let mut out = Vec::new();
            let mut sieve = Sieve { out: &mut out, skip, length: 0, sum: Sha256::new() };
            data.chunks(chunk).for_each(|chunk| sieve.write_all(chunk).unwrap());
            let (length, sum) = (sieve.length, sieve.sum.finalize());
            assert_eq!((length, sum), (1000, Sha256::digest(&data)));
            assert_eq!(out, data[usize::try_from(skip).unwrap()..]);
        }
    }
}
