//! What a client may ask of a master, and how that is written.

use std::fmt;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use super::wire::{Malformed, Reader, Writer};
use super::{LONGEST_REQUEST, MOST_VARIABLES, RequestError, RequestId, VERSION};

pub(super) const HELLO: u32 = 0x0000_0001;
const NEW_SESSION: u32 = 0x1000_0002;
const ALIVE_CHECK: u32 = 0x1000_0004;
const TERMINATE: u32 = 0x1000_0005;
const OPEN_FORWARD: u32 = 0x1000_0006;
const CLOSE_FORWARD: u32 = 0x1000_0007;
const NEW_STDIO_FORWARD: u32 = 0x1000_0008;
const STOP_LISTENING: u32 = 0x1000_0009;

const LOCAL: u32 = 1;
const REMOTE: u32 = 2;
const DYNAMIC: u32 = 3;

/// Stands for a port where a path of a unix socket stands for a host: -2.
const PORT_OF_A_PATH: u32 = u32::MAX - 1;

/// Stands for "no escape character".
const NO_ESCAPE: u32 = u32::MAX;

/// What a client asks of a master.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Is the master there, and which process is it? Answered with [`Event::Alive`](super::Event::Alive).
    AliveCheck,
    /// Run a command. Three descriptors are passed behind it.
    Session(Session),
    /// Connect descriptors with a port that the far side can reach. Two descriptors are passed behind it, stdin and stdout.
    StdioForward {
        /// The host to connect to, as the far side knows it.
        host: String,
        /// Its port.
        port: u16,
    },
    /// Begin to listen, and to forward what connects.
    OpenForward(Forward),
    /// Stop that. The forward must be given as it was opened: with port 0 if the server chose the port.
    CloseForward(Forward),
    /// Remove the control socket and accept no further client; those that are connected stay.
    StopListening,
    /// End the connection, and everything that runs over it.
    Terminate,
}

/// A command to be run over the connection.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Session {
    /// The command, which the login shell interprets; empty for that shell itself. With `subsystem`, the name of one.
    pub command: Vec<u8>,
    /// The terminal type, when the far side is to allocate a terminal. Its size and modes are those of the descriptor that
    /// is passed for stdin.
    pub terminal: Option<String>,
    /// Whether X11 is forwarded, if the master's own options allow that.
    pub x11: bool,
    /// Whether the agent is forwarded, if the master's own options allow that.
    pub agent: bool,
    /// Whether `command` names a subsystem, such as `sftp`.
    pub subsystem: bool,
    /// Variables as `NAME=value`. A master drops those that no `SendEnv` of its own options names, and does not say so.
    pub environment: Vec<Vec<u8>>,
}

/// A port or path that is listened on, and where what connects to it goes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Forward {
    /// Listens on this machine, and connects from the far side.
    Local {
        /// Where the master listens.
        listen: Endpoint,
        /// Where the server connects to.
        connect: Endpoint,
    },
    /// Listens on the far side, and connects from this machine.
    Remote {
        /// Where the server listens. Port 0 lets it choose; it is then told with [`Event::Bound`](super::Event::Bound).
        listen: Endpoint,
        /// Where the master connects to.
        connect: Endpoint,
    },
    /// Listens on this machine as a SOCKS proxy.
    Dynamic {
        /// The address to listen on; empty for the loopback addresses, unless the options say `GatewayPorts`.
        host: String,
        /// The port to listen on.
        port: u16,
    },
}

/// An address of either kind.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// A host and a port. An empty host to listen on stands for the loopback addresses.
    Port {
        /// The name or address of the host.
        host: String,
        /// The number of the port.
        port: u16,
    },
    /// The path of a unix socket.
    Path(PathBuf),
}

impl Endpoint {
    /// Returns the endpoint of this host and port.
    #[must_use]
    pub fn port(host: impl Into<String>, port: u16) -> Self {
        Self::Port { host: host.into(), port }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Port { host, port } if host.contains(':') => write!(formatter, "[{host}]:{port}"),
            Self::Port { host, port } => write!(formatter, "{host}:{port}"),
            Self::Path(path) => write!(formatter, "{}", path.display()),
        }
    }
}

impl fmt::Display for Forward {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local { listen, connect } => write!(formatter, "the forward from {listen} here to {connect} there"),
            Self::Remote { listen, connect } => write!(formatter, "the forward from {listen} there to {connect} here"),
            Self::Dynamic { host, port } => write!(formatter, "the SOCKS proxy on {}", Endpoint::port(host, *port)),
        }
    }
}

/// One of the descriptors that are passed behind a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Descriptor {
    /// What the command reads.
    Stdin,
    /// Where its results go.
    Stdout,
    /// Where its complaints go.
    Stderr,
}

impl Request {
    /// Returns the descriptors that a master waits for behind this request, in their order.
    #[must_use]
    pub fn descriptors(&self) -> &'static [Descriptor] {
        match self {
            Self::Session(_) => &[Descriptor::Stdin, Descriptor::Stdout, Descriptor::Stderr],
            Self::StdioForward { .. } => &[Descriptor::Stdin, Descriptor::Stdout],
            _ => &[],
        }
    }

    /// Returns the frame of this request.
    ///
    /// # Errors
    /// When a master would have to drop the connection for it, or would lose a part of it silently.
    pub(super) fn encode(&self, id: RequestId) -> Result<Vec<u8>, RequestError> {
        self.check()?;
        let mut writer = Writer::new(self.kind());
        writer.number(id.0);
        match self {
            Self::AliveCheck | Self::StopListening | Self::Terminate => {}
            Self::Session(session) => session.encode(&mut writer),
            Self::StdioForward { host, port } => {
                writer.string(b"").string(host.as_bytes()).number((*port).into());
            }
            Self::OpenForward(forward) | Self::CloseForward(forward) => forward.encode(&mut writer),
        }
        let frame = writer.finish();
        match frame.len() - 4 {
            length if length <= LONGEST_REQUEST => Ok(frame),
            length => Err(RequestError::TooLong { length }),
        }
    }

    fn kind(&self) -> u32 {
        match self {
            Self::AliveCheck => ALIVE_CHECK,
            Self::Session(_) => NEW_SESSION,
            Self::StdioForward { .. } => NEW_STDIO_FORWARD,
            Self::OpenForward(_) => OPEN_FORWARD,
            Self::CloseForward(_) => CLOSE_FORWARD,
            Self::StopListening => STOP_LISTENING,
            Self::Terminate => TERMINATE,
        }
    }

    fn check(&self) -> Result<(), RequestError> {
        match self {
            Self::AliveCheck | Self::StopListening | Self::Terminate => Ok(()),
            Self::Session(session) => session.check(),
            Self::StdioForward { host, .. } => no_nul("the host", host.as_bytes()),
            Self::OpenForward(forward) | Self::CloseForward(forward) => forward.check(),
        }
    }

    fn decode(kind: u32, reader: &mut Reader<'_>) -> Result<Option<Self>, Malformed> {
        Ok(Some(match kind {
            ALIVE_CHECK => Self::AliveCheck,
            NEW_SESSION => Self::Session(Session::decode(reader)?),
            NEW_STDIO_FORWARD => {
                reader.string()?;
                let host = text(reader)?;
                Self::StdioForward { host, port: port(reader.number()?)? }
            }
            OPEN_FORWARD => Self::OpenForward(Forward::decode(reader)?),
            CLOSE_FORWARD => Self::CloseForward(Forward::decode(reader)?),
            STOP_LISTENING => Self::StopListening,
            TERMINATE => Self::Terminate,
            _ => return Ok(None),
        }))
    }
}

impl Session {
    fn check(&self) -> Result<(), RequestError> {
        no_nul("the command", &self.command)?;
        no_nul("the terminal type", self.terminal.as_deref().unwrap_or_default().as_bytes())?;
        if self.environment.len() > MOST_VARIABLES {
            return Err(RequestError::TooManyVariables { count: self.environment.len() });
        }
        self.environment.iter().try_for_each(|variable| no_nul("a variable", variable))
    }

    fn encode(&self, writer: &mut Writer) {
        writer.string(b"").flag(self.terminal.is_some()).flag(self.x11).flag(self.agent).flag(self.subsystem);
        // Escapes are for people at a keyboard; what passes through a pipe or a pty of ours passes as it is.
        writer.number(NO_ESCAPE);
        writer.string(self.terminal.as_deref().unwrap_or_default().as_bytes()).string(&self.command);
        self.environment.iter().for_each(|variable| {
            writer.string(variable);
        });
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        reader.string()?;
        let has_terminal = reader.flag()?;
        let (x11, agent, subsystem) = (reader.flag()?, reader.flag()?, reader.flag()?);
        reader.number()?;
        let terminal = text(reader)?;
        let terminal = has_terminal.then_some(terminal);
        let command = reader.string()?.to_vec();
        let mut environment = Vec::new();
        while !reader.is_empty() {
            environment.push(reader.string()?.to_vec());
        }
        Ok(Self { command, terminal, x11, agent, subsystem, environment })
    }
}

impl Forward {
    /// Returns the kind, and the two ends as the protocol has them. A proxy connects to what its clients name, and yet a master
    /// refuses one without a host: ssh says "socks" there, and so do we.
    fn ends(&self) -> (u32, Endpoint, Endpoint) {
        match self {
            Self::Local { listen, connect } => (LOCAL, listen.clone(), connect.clone()),
            Self::Remote { listen, connect } => (REMOTE, listen.clone(), connect.clone()),
            Self::Dynamic { host, port } => (DYNAMIC, Endpoint::port(host, *port), Endpoint::port("socks", 0)),
        }
    }

    /// Whether the server is to choose the port it listens on.
    pub(super) fn chooses_port(&self) -> bool {
        matches!(self, Self::Remote { listen: Endpoint::Port { port: 0, .. }, .. })
    }

    fn check(&self) -> Result<(), RequestError> {
        let (_, listen, connect) = self.ends();
        listen.check("the address to listen on")?;
        connect.check("the address to connect to")?;
        let connects_somewhere = match &connect {
            _ if matches!(self, Self::Dynamic { .. }) => true,
            Endpoint::Port { host, port } => !host.is_empty() && *port != 0,
            Endpoint::Path(path) => !path.as_os_str().is_empty(),
        };
        if connects_somewhere { Ok(()) } else { Err(RequestError::NowhereToConnect) }
    }

    fn encode(&self, writer: &mut Writer) {
        let (kind, listen, connect) = self.ends();
        writer.number(kind);
        listen.encode(writer);
        connect.encode(writer);
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let kind = reader.number()?;
        match (kind, Endpoint::decode(reader)?, Endpoint::decode(reader)?) {
            (LOCAL, listen, connect) => Ok(Self::Local { listen, connect }),
            (REMOTE, listen, connect) => Ok(Self::Remote { listen, connect }),
            (DYNAMIC, Endpoint::Port { host, port }, _) => Ok(Self::Dynamic { host, port }),
            _ => Err(Malformed),
        }
    }
}

impl Endpoint {
    fn check(&self, what: &'static str) -> Result<(), RequestError> {
        match self {
            Self::Port { host, .. } => no_nul(what, host.as_bytes()),
            // An empty path would be read as no path at all.
            Self::Path(path) if path.as_os_str().is_empty() => Err(RequestError::EmptyPath),
            Self::Path(path) => no_nul(what, path.as_os_str().as_bytes()),
        }
    }

    fn encode(&self, writer: &mut Writer) {
        match self {
            Self::Port { host, port } => writer.string(host.as_bytes()).number((*port).into()),
            Self::Path(path) => writer.string(path.as_os_str().as_bytes()).number(PORT_OF_A_PATH),
        };
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let name = reader.string()?.to_vec();
        match reader.number()? {
            PORT_OF_A_PATH => Ok(Self::Path(std::ffi::OsString::from_vec(name).into())),
            number => Ok(Self::Port { host: String::from_utf8(name).map_err(|_| Malformed)?, port: port(number)? }),
        }
    }
}

/// A NUL inside a string makes a master drop the connection without a word.
fn no_nul(what: &'static str, bytes: &[u8]) -> Result<(), RequestError> {
    if bytes.contains(&0) { Err(RequestError::Nul { what }) } else { Ok(()) }
}

fn port(number: u32) -> Result<u16, Malformed> {
    number.try_into().map_err(|_| Malformed)
}

fn text(reader: &mut Reader<'_>) -> Result<String, Malformed> {
    String::from_utf8(reader.string()?.to_vec()).map_err(|_| Malformed)
}

/// What a master receives: the other direction of this module, for masters that tests play.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientMessage {
    /// The first message, once.
    Hello {
        /// The version of the protocol that the client speaks.
        version: u32,
    },
    /// Any other.
    Request {
        /// The name that the answer must have.
        id: RequestId,
        /// What is asked.
        request: Request,
    },
}

impl ClientMessage {
    /// Returns the frame of the hello of a client.
    pub(super) fn hello() -> Vec<u8> {
        let mut writer = Writer::new(HELLO);
        writer.number(VERSION);
        writer.finish()
    }

    /// Reads the body of a frame, without its length; `None` for what is no message that a client of ours sends.
    #[must_use]
    pub fn decode(body: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(body);
        let message = match reader.number().ok()? {
            HELLO => Self::Hello { version: reader.number().ok()? },
            kind => {
                let id = RequestId(reader.number().ok()?);
                Self::Request { id, request: Request::decode(kind, &mut reader).ok()?? }
            }
        };
        reader.end().ok()?;
        Some(message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(command: &str) -> Session {
        Session { command: command.into(), ..Session::default() }
    }

    /// One of every kind, and of every form of its parts.
    fn every_request() -> Vec<Request> {
        let (port, path) = (Endpoint::port("::1", 22), Endpoint::Path("/run/a b".into()));
        let full = Session {
            command: b"printf '\\377' # \xff".to_vec(),
            terminal: Some("xterm".to_owned()),
            x11: true,
            agent: true,
            subsystem: true,
            environment: vec![b"LANG=C".to_vec(), b"EMPTY=".to_vec()],
        };
        vec![
            Request::AliveCheck,
            Request::Session(session("")),
            Request::Session(full),
            Request::StdioForward { host: "inner".to_owned(), port: 65535 },
            Request::OpenForward(Forward::Local { listen: Endpoint::port("", 0), connect: port.clone() }),
            Request::OpenForward(Forward::Remote { listen: path.clone(), connect: path.clone() }),
            Request::CloseForward(Forward::Local { listen: path, connect: port }),
            Request::CloseForward(Forward::Dynamic { host: "127.0.0.1".to_owned(), port: 1080 }),
            Request::StopListening,
            Request::Terminate,
        ]
    }

    #[test]
    fn every_request_comes_back_as_it_was() {
        for (id, request) in (7..).zip(every_request()) {
            let frame = request.encode(RequestId(id)).unwrap();
            let expected = ClientMessage::Request { id: RequestId(id), request };
            assert_eq!(ClientMessage::decode(&frame[4..]), Some(expected));
        }
        assert_eq!(ClientMessage::decode(&ClientMessage::hello()[4..]), Some(ClientMessage::Hello { version: 4 }));
    }

    #[test]
    fn a_request_that_is_cut_or_continued_is_none() {
        for request in every_request() {
            let frame = request.encode(RequestId(1)).unwrap();
            let with_variables = matches!(&request, Request::Session(session) if !session.environment.is_empty());
            for end in 4..frame.len() {
                let decoded = ClientMessage::decode(&frame[4..end]);
                assert!(decoded.is_none() || with_variables, "{request:?} up to {end}");
            }
            let longer: Vec<u8> = frame[4..].iter().copied().chain([0]).collect();
            assert_eq!(ClientMessage::decode(&longer), None, "{request:?}");
        }
    }

    #[test]
    fn a_session_is_written_as_the_protocol_has_it() {
        let frame = Request::Session(session("true")).encode(RequestId(3)).unwrap();
        let expected = b"\0\0\0\x2c\x10\0\0\x02\0\0\0\x03\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\xff\xff\xff\xff\0\0\0\0\0\0\0\x04true";
        assert_eq!(frame, expected);
        assert_eq!(Request::Session(session("true")).descriptors().len(), 3);
    }

    #[test]
    fn a_path_has_the_port_minus_two() {
        let forward = Forward::Local { listen: Endpoint::Path("/s".into()), connect: Endpoint::port("h", 9) };
        let frame = Request::OpenForward(forward).encode(RequestId(0)).unwrap();
        assert!(frame.ends_with(b"\0\0\0\x01\0\0\0\x02/s\xff\xff\xff\xfe\0\0\0\x01h\0\0\0\x09"));
    }

    #[test]
    fn what_a_master_would_drop_or_lose_is_refused_before_it_is_sent() {
        let encode = |request: Request| request.encode(RequestId(0)).map(|_| ());
        let nul = |what| Err(RequestError::Nul { what });
        assert_eq!(encode(Request::Session(session("a\0b"))), nul("the command"));
        let terminal = Session { terminal: Some("\0".to_owned()), ..Session::default() };
        assert_eq!(encode(Request::Session(terminal)), nul("the terminal type"));
        let variable = Session { environment: vec![b"A=\0".to_vec()], ..Session::default() };
        assert_eq!(encode(Request::Session(variable)), nul("a variable"));
        let many = Session { environment: vec![b"A=1".to_vec(); MOST_VARIABLES + 1], ..Session::default() };
        assert_eq!(encode(Request::Session(many)), Err(RequestError::TooManyVariables { count: MOST_VARIABLES + 1 }));
        assert_eq!(encode(Request::StdioForward { host: "\0".to_owned(), port: 1 }), nul("the host"));
        let to = |connect| Request::OpenForward(Forward::Local { listen: Endpoint::port("", 1), connect });
        assert_eq!(encode(to(Endpoint::port("", 1))), Err(RequestError::NowhereToConnect));
        assert_eq!(encode(to(Endpoint::port("h", 0))), Err(RequestError::NowhereToConnect));
        assert_eq!(encode(to(Endpoint::Path("".into()))), Err(RequestError::EmptyPath));
        assert_eq!(encode(to(Endpoint::Path("a\0".into()))), nul("the address to connect to"));
    }

    #[test]
    fn the_longest_request_is_sent_and_one_byte_more_is_not() {
        let overhead = Request::Session(session("")).encode(RequestId(0)).unwrap().len() - 4;
        let of_length = |length: usize| Request::Session(session(&"x".repeat(length - overhead))).encode(RequestId(0));
        assert_eq!(of_length(LONGEST_REQUEST).map(|frame| frame.len()), Ok(LONGEST_REQUEST + 4));
        let length = LONGEST_REQUEST + 1;
        assert_eq!(of_length(length), Err(RequestError::TooLong { length }));
    }
}
