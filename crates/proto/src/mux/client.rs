//! The client's side of one connection to a master, as a machine without I/O.

use std::collections::{BTreeMap, VecDeque};

use super::answer::{Answer, MasterMessage};
use super::request::{ClientMessage, Descriptor, Request};
use super::wire::Frames;
use super::{LONGEST_ANSWER, ProtocolError, RequestError, RequestId, SessionId, VERSION};

/// One connection to a master.
///
/// Fed with [`request`](Self::request), [`handle_bytes`](Self::handle_bytes), [`handle_eof`](Self::handle_eof) and what
/// became of each [`Transmit`]; asked with [`poll_transmit`](Self::poll_transmit) and [`poll_event`](Self::poll_event).
///
/// Every request that was accepted has exactly one answer among the events: its own, [`Event::Refused`] or
/// [`Event::Unanswered`]. Every session that was opened has exactly one end: [`Event::Exited`] or
/// [`Event::SessionClosed`]. [`Event::Closed`] is the last event, and comes once.
#[derive(Debug)]
pub struct Client {
    frames: Frames,
    outgoing: VecDeque<Outgoing>,
    asked: BTreeMap<RequestId, Asked>,
    sessions: BTreeMap<SessionId, SessionState>,
    events: VecDeque<Event>,
    phase: Phase,
    /// Whether the master still takes what is written.
    is_writable: bool,
}

#[derive(Debug)]
enum Outgoing {
    /// The rest of a frame, from this place on.
    Bytes(Vec<u8>, usize),
    Descriptor(RequestId, Descriptor),
}

/// What answers a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    Alive,
    Session(Kind),
    /// Anything that is done or not.
    Ok,
    Port,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Command,
    /// Ends with the connection, and has no status.
    StdioForward,
}

#[derive(Debug, Clone, Copy)]
struct SessionState {
    kind: Kind,
    has_exited: bool,
    tty_refused: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The master has not said hello.
    Greeting,
    Open,
    Closed,
}

/// What is to be done next with the socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transmit<'a> {
    /// Write these bytes, or as many as the socket takes; then [`Client::handle_written`].
    Bytes(&'a [u8]),
    /// Pass this descriptor of the request, with a message of its own that has one byte; then [`Client::handle_passed`].
    ///
    /// Do not wait before it: the master reads nothing else from then on, from any client, until the descriptor is there.
    Descriptor(RequestId, Descriptor),
}

/// What has become of what was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The master speaks this protocol.
    Hello {
        /// The names of the extensions it offers.
        extensions: Vec<String>,
    },
    /// The answer to [`Request::AliveCheck`].
    Alive {
        /// The request.
        request: RequestId,
        /// The process id of the master.
        pid: u32,
    },
    /// A forward is open or closed, the master listens no more, or ends.
    Done {
        /// The request.
        request: RequestId,
    },
    /// A remote forward is open, on a port that the server chose.
    Bound {
        /// The request.
        request: RequestId,
        /// The port.
        port: u16,
    },
    /// A session is open. That says nothing about whether its command could be started.
    SessionOpened {
        /// The request.
        request: RequestId,
        /// The name under which its end is told.
        session: SessionId,
    },
    /// What was asked is not done.
    Refused {
        /// The request.
        request: RequestId,
        /// Why not.
        refusal: Refusal,
    },
    /// The connection ended before this request was answered. Whether it was carried out is unknown.
    Unanswered {
        /// The request.
        request: RequestId,
    },
    /// The far side allocated no terminal; the session goes on without one.
    TtyRefused {
        /// The session.
        session: SessionId,
    },
    /// The command of a session has ended with this status. Its output may still be under way.
    Exited {
        /// The session.
        session: SessionId,
        /// The status as the server told it.
        status: u32,
    },
    /// A session ended without a status.
    ///
    /// For a stdio forward that is how it ends. For a command it means that a signal ended it, that the server closed the
    /// channel, or that the master or the network is lost; the protocol does not tell these apart, and a caller asks
    /// whether the master still lives.
    SessionClosed {
        /// The session.
        session: SessionId,
    },
    /// The connection has ended; nothing follows. An error means that what was at the other end does not keep the
    /// protocol, and must be neither written to nor read any more.
    Closed {
        /// What was wrong.
        result: Result<(), ProtocolError>,
    },
}

/// Why a request was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Whether it is not permitted, rather than not possible.
    pub permission_denied: bool,
    /// The words of the master. They come from outside, and may hold anything.
    pub reason: String,
}

impl Refusal {
    /// Whether the server opened no further session, which OpenSSH says once `MaxSessions` are open. Another connection may
    /// open one.
    #[must_use]
    pub fn is_session_limit(&self) -> bool {
        !self.permission_denied && self.reason == "Session open refused by peer"
    }
}

impl Default for Client {
    fn default() -> Self {
        Self::new()
    }
}

impl Client {
    /// Returns a connection at whose other end a master has just accepted. Its hello is the first thing to be written.
    ///
    /// Requests may follow at once, without waiting for the hello of the master: one that speaks another version drops the
    /// connection at our hello, before it reads what follows.
    #[must_use]
    pub fn new() -> Self {
        Self {
            frames: Frames::new(LONGEST_ANSWER),
            outgoing: [Outgoing::Bytes(ClientMessage::hello(), 0)].into(),
            asked: BTreeMap::new(),
            sessions: BTreeMap::new(),
            events: VecDeque::new(),
            phase: Phase::Greeting,
            is_writable: true,
        }
    }

    /// Asks something of the master, under a name that no unanswered request has.
    ///
    /// # Errors
    /// When it cannot be asked; then nothing is sent.
    pub fn request(&mut self, id: RequestId, request: &Request) -> Result<(), RequestError> {
        if self.phase == Phase::Closed {
            return Err(RequestError::Closed);
        }
        if self.asked.contains_key(&id) {
            return Err(RequestError::IdInUse { id });
        }
        let frame = request.encode(id)?;
        self.asked.insert(id, Asked::by(request));
        if self.is_writable {
            self.outgoing.push_back(Outgoing::Bytes(frame, 0));
            let descriptors = request.descriptors().iter();
            self.outgoing.extend(descriptors.map(|descriptor| Outgoing::Descriptor(id, *descriptor)));
        }
        Ok(())
    }

    /// Returns what is to be done next with the socket; the same until it has been done.
    #[must_use]
    pub fn poll_transmit(&self) -> Option<Transmit<'_>> {
        self.outgoing.front().map(|front| match front {
            Outgoing::Bytes(bytes, from) => Transmit::Bytes(&bytes[*from..]),
            Outgoing::Descriptor(request, descriptor) => Transmit::Descriptor(*request, *descriptor),
        })
    }

    /// So many of the bytes of [`Transmit::Bytes`] were written.
    pub fn handle_written(&mut self, count: usize) {
        let Some(Outgoing::Bytes(bytes, from)) = self.outgoing.front_mut() else { return };
        *from = bytes.len().min(*from + count);
        if *from == bytes.len() {
            self.outgoing.pop_front();
        }
    }

    /// The descriptor of [`Transmit::Descriptor`] was passed.
    pub fn handle_passed(&mut self) {
        if let Some(Outgoing::Descriptor(..)) = self.outgoing.front() {
            self.outgoing.pop_front();
        }
    }

    /// The master takes nothing any more. What it has said already is still to be read, up to its end: it may say why.
    pub fn handle_write_failed(&mut self) {
        self.is_writable = false;
        self.outgoing.clear();
    }

    /// The master said this.
    pub fn handle_bytes(&mut self, bytes: &[u8]) {
        if self.phase == Phase::Closed {
            return;
        }
        let mut frames = std::mem::replace(&mut self.frames, Frames::new(LONGEST_ANSWER));
        let result = frames.push(bytes, |body| MasterMessage::decode(body).and_then(|message| self.handle(message)));
        self.frames = frames;
        if let Err(error) = result {
            self.close(Err(error));
        }
    }

    /// The master says no more.
    pub fn handle_eof(&mut self) {
        let result = match self.phase {
            Phase::Closed => return,
            _ if !self.frames.is_between() => Err(ProtocolError::FrameCut),
            Phase::Greeting => Err(ProtocolError::NoHello),
            Phase::Open => Ok(()),
        };
        self.close(result);
    }

    /// Returns what has happened, in order.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Whether [`Event::Closed`] is among the events or was: the socket is to be closed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.phase == Phase::Closed
    }

    fn close(&mut self, result: Result<(), ProtocolError>) {
        self.phase = Phase::Closed;
        self.handle_write_failed();
        let unanswered = std::mem::take(&mut self.asked).into_keys();
        self.events.extend(unanswered.map(|request| Event::Unanswered { request }));
        let sessions = std::mem::take(&mut self.sessions).into_iter();
        let without_status = sessions.filter(|(_, state)| !state.has_exited);
        self.events.extend(without_status.map(|(session, _)| Event::SessionClosed { session }));
        self.events.push_back(Event::Closed { result });
    }

    fn handle(&mut self, message: MasterMessage) -> Result<(), ProtocolError> {
        let event = match (self.phase, message) {
            (Phase::Greeting, MasterMessage::Hello { version, .. }) if version != VERSION => {
                return Err(ProtocolError::Version { version });
            }
            (Phase::Greeting, MasterMessage::Hello { extensions, .. }) => {
                self.phase = Phase::Open;
                Event::Hello { extensions }
            }
            (Phase::Greeting, _) => return Err(ProtocolError::NotHello),
            (_, MasterMessage::Hello { .. }) => return Err(ProtocolError::HelloTwice),
            (_, MasterMessage::Answer { id, answer }) => self.answer(id, answer)?,
            (_, MasterMessage::TtyRefused { session }) => self.tty_refused(session)?,
            (_, MasterMessage::Exited { session, status }) => self.exited(session, status)?,
        };
        self.events.push_back(event);
        Ok(())
    }

    fn answer(&mut self, request: RequestId, answer: Answer) -> Result<Event, ProtocolError> {
        let asked = *self.asked.get(&request).ok_or(ProtocolError::UnknownRequest { id: request })?;
        let event = match (asked, answer) {
            (Asked::Alive, Answer::Alive { pid }) => Event::Alive { request, pid },
            (Asked::Ok, Answer::Ok) => Event::Done { request },
            (Asked::Port, Answer::RemotePort { port }) => {
                let number = u16::try_from(port).ok().filter(|number| *number != 0);
                Event::Bound { request, port: number.ok_or(ProtocolError::NoPort { port })? }
            }
            (Asked::Session(kind), Answer::SessionOpened { session }) => {
                self.opened(session, kind)?;
                Event::SessionOpened { request, session }
            }
            (_, Answer::PermissionDenied { reason }) => {
                Event::Refused { request, refusal: Refusal { permission_denied: true, reason } }
            }
            (_, Answer::Failure { reason }) => {
                Event::Refused { request, refusal: Refusal { permission_denied: false, reason } }
            }
            _ => return Err(ProtocolError::WrongAnswer { id: request }),
        };
        self.asked.remove(&request);
        Ok(event)
    }

    fn opened(&mut self, session: SessionId, kind: Kind) -> Result<(), ProtocolError> {
        let state = SessionState { kind, has_exited: false, tty_refused: false };
        match self.sessions.insert(session, state) {
            None => Ok(()),
            Some(before) => {
                // Its end is still to be told.
                self.sessions.insert(session, before);
                Err(ProtocolError::SessionTwice { session })
            }
        }
    }

    fn tty_refused(&mut self, session: SessionId) -> Result<Event, ProtocolError> {
        let state = self.sessions.get_mut(&session).ok_or(ProtocolError::UnknownSession { session })?;
        if state.has_exited || state.tty_refused {
            return Err(ProtocolError::WrongEnd { session });
        }
        state.tty_refused = true;
        Ok(Event::TtyRefused { session })
    }

    fn exited(&mut self, session: SessionId, status: u32) -> Result<Event, ProtocolError> {
        let state = self.sessions.get_mut(&session).ok_or(ProtocolError::UnknownSession { session })?;
        if state.has_exited || state.kind == Kind::StdioForward {
            return Err(ProtocolError::WrongEnd { session });
        }
        state.has_exited = true;
        Ok(Event::Exited { session, status })
    }
}

impl Asked {
    fn by(request: &Request) -> Self {
        match request {
            Request::AliveCheck => Self::Alive,
            Request::Session(_) => Self::Session(Kind::Command),
            Request::StdioForward { .. } => Self::Session(Kind::StdioForward),
            Request::OpenForward(forward) if forward.chooses_port() => Self::Port,
            Request::OpenForward(_) | Request::CloseForward(_) | Request::StopListening | Request::Terminate => {
                Self::Ok
            }
        }
    }
}
