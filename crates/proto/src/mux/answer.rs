//! What a master may say, and how that is read. What it says is not believed here: whether it fits what was asked is judged
//! by [`Client`](super::Client).

use super::request::HELLO;
use super::wire::{Malformed, Reader, Writer};
use super::{ProtocolError, RequestId, SessionId, VERSION};

const OK: u32 = 0x8000_0001;
const PERMISSION_DENIED: u32 = 0x8000_0002;
const FAILURE: u32 = 0x8000_0003;
const EXIT_MESSAGE: u32 = 0x8000_0004;
const ALIVE: u32 = 0x8000_0005;
const SESSION_OPENED: u32 = 0x8000_0006;
const REMOTE_PORT: u32 = 0x8000_0007;
const TTY_ALLOC_FAIL: u32 = 0x8000_0008;

/// A message of a master.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MasterMessage {
    /// The first message, once.
    Hello {
        /// The version of the protocol that the master speaks.
        version: u32,
        /// The names of its extensions; since OpenSSH 10 there is one, `info`.
        extensions: Vec<String>,
    },
    /// The answer to a request.
    Answer {
        /// The request.
        id: RequestId,
        /// What the answer is.
        answer: Answer,
    },
    /// The far side allocated no terminal. The session goes on without one.
    TtyRefused {
        /// The session.
        session: SessionId,
    },
    /// The command of a session has ended.
    Exited {
        /// The session.
        session: SessionId,
        /// The exit status, as the server says it: up to 255 from Unix, any number from elsewhere.
        status: u32,
    },
}

/// How a request is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It is done.
    Ok,
    /// A person who was asked, or a rule, does not permit it.
    PermissionDenied {
        /// The master's words.
        reason: String,
    },
    /// It cannot be done.
    Failure {
        /// The master's words.
        reason: String,
    },
    /// The master is there.
    Alive {
        /// Its process id.
        pid: u32,
    },
    /// The session is open.
    SessionOpened {
        /// The name under which its end will be told.
        session: SessionId,
    },
    /// The server listens on this port.
    RemotePort {
        /// The port that it has chosen.
        port: u32,
    },
}

impl MasterMessage {
    /// Reads the body of a frame, without its length.
    ///
    /// # Errors
    /// When it is no message of version 4, is cut, or goes on behind its end.
    pub fn decode(body: &[u8]) -> Result<Self, ProtocolError> {
        let mut reader = Reader::new(body);
        let kind = reader.number().map_err(|_| ProtocolError::FrameTooShort { length: body.len() })?;
        let message = Self::of_kind(kind, &mut reader).and_then(|message| reader.end().map(|()| message));
        match message {
            Ok(Some(message)) => Ok(message),
            // Its end was not looked for: an unknown message has no form.
            _ if !is_known(kind) => Err(ProtocolError::UnknownMessage { kind }),
            _ => Err(ProtocolError::Malformed { kind }),
        }
    }

    fn of_kind(kind: u32, reader: &mut Reader<'_>) -> Result<Option<Self>, Malformed> {
        Ok(Some(match kind {
            HELLO => Self::hello(reader)?,
            EXIT_MESSAGE => Self::Exited { session: SessionId(reader.number()?), status: reader.number()? },
            TTY_ALLOC_FAIL => Self::TtyRefused { session: SessionId(reader.number()?) },
            _ if is_known(kind) => {
                let id = RequestId(reader.number()?);
                Self::Answer { id, answer: Answer::of_kind(kind, reader)? }
            }
            _ => return Ok(None),
        }))
    }

    /// Another version may have another form behind its number, which is not looked at.
    fn hello(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let version = reader.number()?;
        let mut extensions = Vec::new();
        while !reader.is_empty() {
            let name = reader.string();
            let value = reader.string();
            match (name, value) {
                (Ok(name), Ok(_)) => extensions.push(String::from_utf8_lossy(name).into_owned()),
                _ if version == VERSION => return Err(Malformed),
                _ => *reader = Reader::new(&[]),
            }
        }
        Ok(Self::Hello { version, extensions })
    }

    /// Returns the frame of this message: for masters that tests play.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new(self.kind());
        match self {
            Self::Hello { version, extensions } => {
                writer.number(*version);
                extensions.iter().for_each(|name| {
                    writer.string(name.as_bytes()).string(b"0");
                });
            }
            Self::TtyRefused { session } => {
                writer.number(session.0);
            }
            Self::Exited { session, status } => {
                writer.number(session.0).number(*status);
            }
            Self::Answer { id, answer } => answer.encode(writer.number(id.0)),
        }
        writer.finish()
    }

    fn kind(&self) -> u32 {
        match self {
            Self::Hello { .. } => HELLO,
            Self::Exited { .. } => EXIT_MESSAGE,
            Self::TtyRefused { .. } => TTY_ALLOC_FAIL,
            Self::Answer { answer, .. } => answer.kind(),
        }
    }
}

fn is_known(kind: u32) -> bool {
    kind == HELLO || (OK..=TTY_ALLOC_FAIL).contains(&kind)
}

impl Answer {
    fn of_kind(kind: u32, reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(match kind {
            OK => Self::Ok,
            PERMISSION_DENIED => Self::PermissionDenied { reason: reason(reader)? },
            FAILURE => Self::Failure { reason: reason(reader)? },
            ALIVE => Self::Alive { pid: reader.number()? },
            SESSION_OPENED => Self::SessionOpened { session: SessionId(reader.number()?) },
            REMOTE_PORT => Self::RemotePort { port: reader.number()? },
            _ => return Err(Malformed),
        })
    }

    fn kind(&self) -> u32 {
        match self {
            Self::Ok => OK,
            Self::PermissionDenied { .. } => PERMISSION_DENIED,
            Self::Failure { .. } => FAILURE,
            Self::Alive { .. } => ALIVE,
            Self::SessionOpened { .. } => SESSION_OPENED,
            Self::RemotePort { .. } => REMOTE_PORT,
        }
    }

    fn encode(&self, writer: &mut Writer) {
        match self {
            Self::Ok => {}
            Self::PermissionDenied { reason } | Self::Failure { reason } => {
                writer.string(reason.as_bytes());
            }
            Self::Alive { pid } => {
                writer.number(*pid);
            }
            Self::SessionOpened { session } => {
                writer.number(session.0);
            }
            Self::RemotePort { port } => {
                writer.number(*port);
            }
        }
    }
}

/// The words of a master, as text whatever they are; a frame bounds their length.
fn reason(reader: &mut Reader<'_>) -> Result<String, Malformed> {
    Ok(String::from_utf8_lossy(reader.string()?).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn every_message() -> Vec<MasterMessage> {
        let reason = || "no: é".to_owned();
        let answers = [
            Answer::Ok,
            Answer::PermissionDenied { reason: reason() },
            Answer::Failure { reason: reason() },
            Answer::Alive { pid: u32::MAX },
            Answer::SessionOpened { session: SessionId(2) },
            Answer::RemotePort { port: 40000 },
        ];
        let answers = (0..).zip(answers).map(|(id, answer)| MasterMessage::Answer { id: RequestId(id), answer });
        let others = [
            MasterMessage::Hello { version: 4, extensions: vec![] },
            MasterMessage::Hello { version: 4, extensions: vec!["info".to_owned(), "x".to_owned()] },
            MasterMessage::TtyRefused { session: SessionId(0) },
            MasterMessage::Exited { session: SessionId(1), status: 0xC000_0005 },
        ];
        answers.chain(others).collect()
    }

    #[test]
    fn every_message_comes_back_as_it_was() {
        for message in every_message() {
            assert_eq!(MasterMessage::decode(&message.encode()[4..]), Ok(message));
        }
    }

    #[test]
    fn a_message_that_is_cut_or_continued_is_an_error() {
        for message in every_message() {
            let frame = message.encode();
            for end in 4..frame.len() {
                let decoded = MasterMessage::decode(&frame[4..end]);
                // A hello without its last extensions is a hello.
                let shorter_hello = matches!((&message, &decoded), (MasterMessage::Hello { .. }, Ok(_)));
                assert!(decoded.is_err() || shorter_hello, "{message:?} up to {end}");
            }
            let longer: Vec<u8> = frame[4..].iter().copied().chain([0]).collect();
            assert!(matches!(MasterMessage::decode(&longer), Err(ProtocolError::Malformed { .. })), "{message:?}");
        }
    }

    #[test]
    fn an_unknown_message_is_named_whatever_its_form() {
        for kind in [0, 2, 0x1000_0002, 0x8000_0000, 0x8000_0009, 0x8000_000f, 0x9000_0001, u32::MAX] {
            let body = [&kind.to_be_bytes()[..], b"anything"].concat();
            assert_eq!(MasterMessage::decode(&body), Err(ProtocolError::UnknownMessage { kind }));
        }
        assert_eq!(MasterMessage::decode(b"\0\0\0"), Err(ProtocolError::FrameTooShort { length: 3 }));
    }

    #[test]
    fn a_hello_of_another_version_is_read_as_far_as_its_number() {
        let body = b"\0\0\0\x01\0\0\0\x05whatever";
        assert_eq!(MasterMessage::decode(body), Ok(MasterMessage::Hello { version: 5, extensions: vec![] }));
        let body = b"\0\0\0\x01\0\0\0\x04whatever";
        assert_eq!(MasterMessage::decode(body), Err(ProtocolError::Malformed { kind: HELLO }));
    }

    #[test]
    fn reasons_that_are_no_text_are_shown_as_text() {
        let body = b"\x80\0\0\x03\0\0\0\x07\0\0\0\x02a\xff";
        let answer = Answer::Failure { reason: "a\u{fffd}".to_owned() };
        assert_eq!(MasterMessage::decode(body), Ok(MasterMessage::Answer { id: RequestId(7), answer }));
    }
}
