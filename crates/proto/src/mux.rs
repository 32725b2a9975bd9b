//! OpenSSH's multiplexing protocol: how a client asks an ssh master, over a unix socket, to run commands over the
//! connection that the master has.
//!
//! A cold ssh connection costs tens of milliseconds of CPU and several round trips; a session on a master costs one message, and
//! no process. The protocol is version 4, described in `PROTOCOL.mux` of OpenSSH's source tree; this module speaks the part
//! for "passengers", whose descriptors the master reads and writes itself.
//!
//! [`Client`] is the machine for one connection, [`Request`] what it can ask, [`Event`] what comes of it.
//! [`ClientMessage`] and [`MasterMessage`] are the two directions on the wire, for tests that play a master.
//!
//! # What the document does not say
//!
//! From the source of OpenSSH 9.2 to 10.x (`mux.c`, `channels.c`, `clientloop.c`), and from masters of 9.2 (`tests/it/warm`):
//! * The flags of a session, "bool" in the document, are 32-bit numbers, and so is the port of a stdio forward.
//! * A master takes frames of up to 256 KiB. It drops the connection, without a word, for a longer one, a malformed one, and for
//!   a string with a NUL; for an unknown kind it answers with a failure.
//! * A master reads the body of a session request, and then, *blocking*, three messages of one byte with one descriptor each.
//!   Until they are there it serves no other client and no session. So they are sent at once, one per message: two in one
//!   message are lost, since it has room for one. A master sets descriptors that are no terminals to non-blocking, which
//!   their other holders notice: pass pipes, never the caller's own stdin.
//! * After a session request, or one for a remote forward, it reads no further message of that client until the server has
//!   answered. So answers come in the order of the requests.
//! * One connection has one session; a second request is answered with "Multiple sessions not supported".
//! * Variables that no `SendEnv` of the master names are dropped silently.
//! * The document's `MUX_S_OK` after the descriptors is not sent: `MUX_S_SESSION_OPENED` is the only answer.
//! * Only "exit-status" of the server becomes an exit message. When a signal ends the command the server says
//!   "exit-signal", which a master ignores: the connection is closed, and no message says why. The same happens when the
//!   server refuses a command or a subsystem: what the master means to write to its stderr about that is lost (9.2).
//! * A dynamic forward must name a host to connect to, which is not used.
//! * The queue of a control socket has room for 64 connections; beyond that `connect` says `EAGAIN`.
//! * Masters of one user accept that user and root, by the credentials of the peer.
//! * A client that closes its connection closes the session: it must read on after the exit message, until the master closes,
//!   or output that is under way is lost.
//! * A remote forward with port 0 is known by port 0, not by the port that the server chose, when it is closed.
//!
//! # What ends a session, seen by a client
//!
//! | what happened | what comes |
//! |---|---|
//! | the command ended | [`Event::Exited`], then the end of the connection, which is in order |
//! | a signal ended the command, or the server refused it | [`Event::SessionClosed`]; the master answers an alive check |
//! | the master was killed | [`Event::SessionClosed`]; its socket is there and refuses connections |
//! | the server or the network is gone | [`Event::SessionClosed`]; the master ends with status 255, and its socket is removed |
//! | `MaxSessions` are open | [`Event::Refused`], see [`Refusal::is_session_limit`]; the other sessions go on |
//!
//! A master notices a dead network only by its own `ServerAliveInterval`, or when TCP gives up.
//!
//! # The end of a master
//!
//! A master that is told to terminate may exit before its "ok" is out: then the end of the connection is the
//! answer, and whether the process is gone is for the caller to see. Its exit status is 255, as when its server is gone.

mod answer;
mod client;
mod error;
mod request;
#[cfg(test)]
mod tests;
mod wire;

pub use answer::{Answer, MasterMessage};
pub use client::{Client, Event, Refusal, Transmit};
pub use error::{ProtocolError, RequestError};
pub use request::{ClientMessage, Descriptor, Endpoint, Forward, Request, Session};

/// The version of the protocol that is spoken here, the only one since OpenSSH 5.4 (2010).
pub const VERSION: u32 = 4;

/// The longest body of a request that a master takes, in bytes.
pub const LONGEST_REQUEST: usize = 256 * 1024;

/// The longest body of an answer that is taken from a master, in bytes. The longest that OpenSSH sends names a forward and the
/// reason why there is none.
pub const LONGEST_ANSWER: usize = 16 * 1024;

/// The variables that a master takes with one session.
pub const MOST_VARIABLES: usize = 4096;

/// Names a request; its answer has the same name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u32);

/// Names a session that was opened, as the master does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub u32);
