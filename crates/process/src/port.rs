//! TCP ports that are free, from a range, each one handed out as rarely as possible.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::io::{Error, ErrorKind, Result};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener};
use std::ops::Range;
use std::sync::{Arc, LazyLock, Mutex, PoisonError, RwLock};

/// Hands out the ports of a range one after the other, beginning anywhere, and from the beginning again after the last;
/// see [`Ports::get`].
#[derive(Debug)]
pub struct Ports {
    range: Range<u16>,
    next: Mutex<u16>,
}

impl Ports {
    /// The range unless another is given, its end excluded: below the ports that Linux gives to outgoing connections.
    pub const RANGE: Range<u16> = 25_500..26_700;

    /// Ports of this range.
    #[must_use]
    pub fn new(range: Range<u16>) -> Self {
        // Two programs that begin at the same time shall not ask for the same ports. Hash keys are the randomness that
        // std has.
        let random = RandomState::new().hash_one(0) % u64::from(range.end.saturating_sub(range.start)).max(1);
        let first = range.start.saturating_add(random as u16);
        Self { range, next: Mutex::new(first) }
    }

    /// The next port of the range on which nobody listens, on any address of this machine.
    ///
    /// It is free when it is looked at; another program may take it before the caller does. Whoever can listen on port
    /// 0 should do that, and ask which port it became.
    ///
    /// # Errors
    ///
    /// When all ports of the range are taken, or the range is empty.
    pub fn get(&self) -> Result<u16> {
        (0..self.range.len()).map(|_| self.step()).find(|&port| is_free(port)).ok_or_else(|| {
            let (first, end) = (self.range.start, self.range.end);
            Error::new(
                ErrorKind::AddrInUse,
                format!("cannot find a free TCP port: all of {first}..{end} are taken; give a larger range"),
            )
        })
    }

    /// The next port in turn, free or not. The lock is not held while a port is tried, so two threads never try the
    /// same one.
    fn step(&self) -> u16 {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let port = *next;
        *next = if port.saturating_add(1) < self.range.end { port + 1 } else { self.range.start };
        port
    }
}

static PORTS: LazyLock<RwLock<Arc<Ports>>> = LazyLock::new(|| RwLock::new(Arc::new(Ports::new(Ports::RANGE))));

/// The next free port of the program's own [`Ports`], over [`Ports::RANGE`] unless [`set_range`] chose another.
///
/// # Errors
///
/// As [`Ports::get`].
pub fn get_port() -> Result<u16> {
    let ports = Arc::clone(&PORTS.read().unwrap_or_else(PoisonError::into_inner));
    ports.get()
}

/// Sets the range of [`get_port`] from now on. For the author of a script; a library has [`Ports`] of its own.
pub fn set_range(range: Range<u16>) {
    *PORTS.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(Ports::new(range));
}

/// Whether nobody listens on a port: neither on all addresses nor on one of them, by either version of IP.
fn is_free(port: u16) -> bool {
    let any = [IpAddr::from(Ipv4Addr::UNSPECIFIED), IpAddr::from(Ipv6Addr::UNSPECIFIED)];
    any.iter().all(|&address| match TcpListener::bind((address, port)) {
        Ok(_) => true,
        // A machine may well have one version only.
        Err(error) => !matches!(error.kind(), ErrorKind::AddrInUse | ErrorKind::PermissionDenied),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    /// D3, item 173.
    #[test]
    fn ports_come_in_turn_and_wrap_around() {
        let ports = Ports { range: 5..8, next: Mutex::new(6) };
        assert_eq!([(); 5].map(|()| ports.step()), [6, 7, 5, 6, 7]);
        let last = Ports { range: 65_533..65_535, next: Mutex::new(65_534) };
        assert_eq!([(); 3].map(|()| last.step()), [65_534, 65_533, 65_534]);
    }

    #[test]
    fn a_range_begins_anywhere_within_itself() {
        for _ in 0..100 {
            let first = Ports::new(40..44).step();
            assert!((40..44).contains(&first));
        }
        assert!(Ports::new(40..40).get().is_err());
    }

    #[test]
    fn a_port_somebody_listens_on_is_not_handed_out() {
        for address in ["127.0.0.1:0", "0.0.0.0:0"] {
            let taken = TcpListener::bind(address).expect("loopback");
            let port = taken.local_addr().expect("bound").port();
            if port < u16::MAX {
                let error = Ports::new(port..port + 1).get().expect_err("taken");
                assert!(error.to_string().contains(&format!("all of {port}..")), "{error}");
            }
        }
    }

    #[test]
    fn threads_get_different_ports_that_can_be_listened_on() {
        let ports = Ports::new(Ports::RANGE);
        let got: Vec<u16> = std::thread::scope(|scope| {
            let threads: Vec<_> =
                (0..8).map(|_| scope.spawn(|| [(); 20].map(|()| ports.get().expect("free")))).collect();
            threads.into_iter().flat_map(|thread| thread.join().expect("no panic")).collect()
        });
        assert_eq!(got.iter().collect::<HashSet<_>>().len(), got.len());
        assert!(TcpListener::bind(("127.0.0.1", get_port().expect("free"))).is_ok());
    }
}
