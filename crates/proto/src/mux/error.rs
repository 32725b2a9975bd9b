//! What can be wrong with a request of ours, and with what a master says.

use super::{LONGEST_ANSWER, LONGEST_REQUEST, MOST_VARIABLES, RequestId, SessionId, VERSION};

/// A request that is not sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// The master would drop the connection.
    #[error("the request has {length} bytes, and an ssh master takes no more than {LONGEST_REQUEST}")]
    TooLong {
        /// The bytes of the message.
        length: usize,
    },
    /// The master would drop the connection.
    #[error("{what} has a NUL byte, which no ssh master takes")]
    Nul {
        /// The part of the request.
        what: &'static str,
    },
    /// The master would drop some of them.
    #[error("{count} variables are more than the {MOST_VARIABLES} that an ssh master takes")]
    TooManyVariables {
        /// The number of variables.
        count: usize,
    },
    /// The master would take it for none.
    #[error("the path of a unix socket is empty")]
    EmptyPath,
    /// The master would refuse it.
    #[error("the forward names no host, or port 0, to connect to")]
    NowhereToConnect,
    /// Two answers could not be told apart.
    #[error("request {} waits for its answer: another one needs another number", id.0)]
    IdInUse {
        /// The name of both.
        id: RequestId,
    },
    /// There is no connection any more.
    #[error("the connection to the ssh master is closed")]
    Closed,
}

/// What no master of version 4 says: the other end is broken, hostile, of another version, or no master at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProtocolError {
    /// No room is made for it.
    #[error("it announces a message of {length} bytes, and no answer has more than {LONGEST_ANSWER}")]
    FrameTooLong {
        /// The length that was announced.
        length: u32,
    },
    /// A message has no kind.
    #[error("it sent a message of {length} bytes, too short to say what it is")]
    FrameTooShort {
        /// The bytes of the message.
        length: usize,
    },
    /// The end came inside a message.
    #[error("it closed the connection in the middle of a message")]
    FrameCut,
    /// The end came before anything.
    #[error("it closed the connection before it said which version of the protocol it speaks")]
    NoHello,
    /// Anything but a hello came first.
    #[error("it did not begin by saying which version of the protocol it speaks")]
    NotHello,
    /// The hello came again.
    #[error("it said hello twice")]
    HelloTwice,
    /// Another version of the protocol.
    #[error("it speaks version {version} of the multiplexing protocol, and this program speaks {VERSION}")]
    Version {
        /// The version of the master.
        version: u32,
    },
    /// A kind of message that a master does not send.
    #[error("it sent a message of the unknown kind {kind:#010x}")]
    UnknownMessage {
        /// The number of the kind.
        kind: u32,
    },
    /// A message is cut, or goes on behind its end.
    #[error("it sent a malformed message of the kind {kind:#010x}")]
    Malformed {
        /// The number of the kind.
        kind: u32,
    },
    /// An answer to what was not asked, or was answered before.
    #[error("it answered request {}, which does not wait for an answer", id.0)]
    UnknownRequest {
        /// The request it named.
        id: RequestId,
    },
    /// An answer to another question.
    #[error("its answer to request {} does not answer what was asked", id.0)]
    WrongAnswer {
        /// The request.
        id: RequestId,
    },
    /// A forward is open on a port that does not exist.
    #[error("it says that the server listens on port {port}, which is none")]
    NoPort {
        /// The number it named.
        port: u32,
    },
    /// News of a session that was not opened.
    #[error("it told something of session {}, which is not open", session.0)]
    UnknownSession {
        /// The session it named.
        session: SessionId,
    },
    /// Two sessions have one name.
    #[error("it opened session {} twice", session.0)]
    SessionTwice {
        /// The name of both.
        session: SessionId,
    },
    /// A second end, a second refusal of a terminal, or the exit status of a forward.
    #[error("it told of session {} what cannot be true now", session.0)]
    WrongEnd {
        /// The session.
        session: SessionId,
    },
}
