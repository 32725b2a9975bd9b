//! Whole conversations with a master that is played: every answer to every request, and every way in which a master can be
//! confused or hostile.

use proptest::prelude::*;

use super::wire::Frames;
use super::*;

const ID: RequestId = RequestId(7);
const SESSION: SessionId = SessionId(2);

fn hello() -> MasterMessage {
    MasterMessage::Hello { version: VERSION, extensions: vec!["info".to_owned()] }
}

fn answer(id: RequestId, answer: Answer) -> MasterMessage {
    MasterMessage::Answer { id, answer }
}

fn command(command: &str) -> Request {
    Request::Session(Session { command: command.into(), ..Session::default() })
}

fn local() -> Forward {
    Forward::Local { listen: Endpoint::port("", 8022), connect: Endpoint::port("inner", 22) }
}

fn remote(port: u16) -> Forward {
    Forward::Remote { listen: Endpoint::port("", port), connect: Endpoint::port("localhost", 22) }
}

/// A master that reads as OpenSSH's does: whole messages, and behind some of them descriptors, one by one.
struct PlayedMaster {
    frames: Frames,
    received: Vec<ClientMessage>,
    awaited: Vec<Descriptor>,
}

impl PlayedMaster {
    fn new() -> Self {
        Self { frames: Frames::new(LONGEST_REQUEST), received: Vec::new(), awaited: Vec::new() }
    }

    /// Takes all that the client has to send, `most` bytes at a time.
    fn take(&mut self, client: &mut Client, most: usize) {
        while let Some(transmit) = client.poll_transmit() {
            match transmit {
                Transmit::Bytes(bytes) => {
                    assert!(!bytes.is_empty() && self.awaited.is_empty(), "descriptors come before anything else");
                    let taken = &bytes[..bytes.len().min(most)];
                    self.read(taken);
                    let count = taken.len();
                    client.handle_written(count);
                }
                Transmit::Descriptor(_, descriptor) => {
                    assert!(self.frames.is_between(), "a descriptor never cuts a message");
                    assert_eq!(self.awaited.remove(0), descriptor);
                    client.handle_passed();
                }
            }
        }
        assert!(self.awaited.is_empty(), "the master would wait for ever for {:?}", self.awaited);
    }

    fn read(&mut self, bytes: &[u8]) {
        let Self { frames, received, awaited } = self;
        let read = frames.push::<ProtocolError>(bytes, |body| {
            let message = ClientMessage::decode(body).expect("a client of ours is understood");
            if let ClientMessage::Request { request, .. } = &message {
                awaited.extend(request.descriptors());
            }
            received.push(message);
            Ok(())
        });
        assert_eq!(read, Ok(()));
    }
}

fn client(requests: &[(RequestId, Request)]) -> Client {
    let mut client = Client::new();
    requests.iter().for_each(|(id, request)| client.request(*id, request).unwrap());
    PlayedMaster::new().take(&mut client, usize::MAX);
    client
}

fn events(client: &mut Client) -> Vec<Event> {
    std::iter::from_fn(|| client.poll_event()).collect()
}

/// What becomes of `requests` when a master says `messages` and closes; without the hello.
fn outcome(requests: &[(RequestId, Request)], messages: &[MasterMessage]) -> Vec<Event> {
    let mut client = client(requests);
    client.handle_bytes(&hello().encode());
    messages.iter().for_each(|message| client.handle_bytes(&message.encode()));
    client.handle_eof();
    let mut events = events(&mut client);
    assert_eq!(events.remove(0), Event::Hello { extensions: vec!["info".to_owned()] });
    events
}

fn closed(result: Result<(), ProtocolError>) -> Event {
    Event::Closed { result }
}

#[test]
fn hello_and_requests_are_sent_at_once_and_descriptors_behind_their_request() {
    for most in [1, 3, usize::MAX] {
        let (mut client, mut master) = (Client::new(), PlayedMaster::new());
        client.request(RequestId(1), &command("true")).unwrap();
        client.request(RequestId(2), &Request::AliveCheck).unwrap();
        client.request(RequestId(3), &Request::StdioForward { host: "h".to_owned(), port: 1 }).unwrap();
        master.take(&mut client, most);
        let ids = master.received.iter().map(|message| match message {
            ClientMessage::Hello { version } => (0, *version),
            ClientMessage::Request { id, .. } => (1, id.0),
        });
        assert_eq!(ids.collect::<Vec<_>>(), [(0, VERSION), (1, 1), (1, 2), (1, 3)]);
    }
}

#[test]
fn a_session_opens_and_tells_its_status_and_the_end_of_the_connection_is_clean() {
    let messages =
        [answer(ID, Answer::SessionOpened { session: SESSION }), MasterMessage::Exited { session: SESSION, status: 7 }];
    let expected = [
        Event::SessionOpened { request: ID, session: SESSION },
        Event::Exited { session: SESSION, status: 7 },
        closed(Ok(())),
    ];
    assert_eq!(outcome(&[(ID, command("exit 7"))], &messages), expected);
}

#[test]
fn a_refused_terminal_is_told_and_the_session_goes_on() {
    let messages = [
        answer(ID, Answer::SessionOpened { session: SESSION }),
        MasterMessage::TtyRefused { session: SESSION },
        MasterMessage::Exited { session: SESSION, status: 0 },
    ];
    let events = outcome(&[(ID, command(""))], &messages);
    assert_eq!(
        events[1..],
        [Event::TtyRefused { session: SESSION }, Event::Exited { session: SESSION, status: 0 }, closed(Ok(())),]
    );
}

#[test]
fn a_session_without_a_status_is_told_apart_from_one_with_status_zero() {
    let opened = [answer(ID, Answer::SessionOpened { session: SESSION })];
    let end = [Event::SessionClosed { session: SESSION }, closed(Ok(()))];
    assert_eq!(outcome(&[(ID, command("kill $$"))], &opened)[1..], end);
    // So does every stdio forward end.
    assert_eq!(outcome(&[(ID, Request::StdioForward { host: "h".to_owned(), port: 1 })], &opened)[1..], end);
}

#[test]
fn every_request_has_its_answer_and_only_that() {
    let bound = || Answer::RemotePort { port: 40000 };
    let opened = || Answer::SessionOpened { session: SESSION };
    let answers = [Answer::Ok, Answer::Alive { pid: 5 }, opened(), bound()];
    let done = Event::Done { request: ID };
    let table = [
        (Request::AliveCheck, 1, Event::Alive { request: ID, pid: 5 }),
        (command("x"), 2, Event::SessionOpened { request: ID, session: SESSION }),
        (Request::OpenForward(local()), 0, done.clone()),
        (Request::OpenForward(remote(9)), 0, done.clone()),
        (Request::OpenForward(remote(0)), 3, Event::Bound { request: ID, port: 40000 }),
        (Request::OpenForward(Forward::Dynamic { host: String::new(), port: 1080 }), 0, done.clone()),
        (Request::CloseForward(remote(0)), 0, done.clone()),
        (Request::StopListening, 0, done.clone()),
        (Request::Terminate, 0, done),
    ];
    for (request, right, event) in table {
        for (index, said) in answers.iter().enumerate() {
            let events = outcome(&[(ID, request.clone())], &[answer(ID, said.clone())]);
            if index == right {
                assert_eq!(events[0], event, "{request:?} {said:?}");
            } else {
                let wrong = ProtocolError::WrongAnswer { id: ID };
                assert_eq!(events, [Event::Unanswered { request: ID }, closed(Err(wrong))], "{request:?} {said:?}");
            }
        }
        for permission_denied in [true, false] {
            let reason = "no".to_owned();
            let refusal = Refusal { permission_denied, reason: reason.clone() };
            let said = if permission_denied { Answer::PermissionDenied { reason } } else { Answer::Failure { reason } };
            let events = outcome(&[(ID, request.clone())], &[answer(ID, said)]);
            assert_eq!(events, [Event::Refused { request: ID, refusal }, closed(Ok(()))]);
        }
        let events = outcome(&[(ID, request)], &[]);
        assert_eq!(events, [Event::Unanswered { request: ID }, closed(Ok(()))]);
    }
}

#[test]
fn a_server_that_opens_no_more_sessions_is_told_from_other_refusals() {
    let refusal = |permission_denied, reason: &str| Refusal { permission_denied, reason: reason.to_owned() };
    assert!(refusal(false, "Session open refused by peer").is_session_limit());
    assert!(!refusal(true, "Session open refused by peer").is_session_limit());
    assert!(!refusal(false, "Multiple sessions not supported").is_session_limit());
}

#[test]
fn what_no_master_says_ends_the_connection_with_its_name() {
    let opened = answer(ID, Answer::SessionOpened { session: SESSION });
    let exited = MasterMessage::Exited { session: SESSION, status: 0 };
    let tty = MasterMessage::TtyRefused { session: SESSION };
    let (unknown, wrong) =
        (ProtocolError::UnknownSession { session: SESSION }, ProtocolError::WrongEnd { session: SESSION });
    let other = RequestId(8);
    let table: [(&[MasterMessage], ProtocolError); 11] = [
        (&[hello()], ProtocolError::HelloTwice),
        (&[answer(other, Answer::Ok)], ProtocolError::UnknownRequest { id: other }),
        (&[opened.clone(), opened.clone()], ProtocolError::UnknownRequest { id: ID }),
        (
            &[opened.clone(), answer(RequestId(9), Answer::SessionOpened { session: SESSION })],
            ProtocolError::SessionTwice { session: SESSION },
        ),
        (std::slice::from_ref(&exited), unknown),
        (std::slice::from_ref(&tty), unknown),
        (&[opened.clone(), exited.clone(), exited.clone()], wrong),
        (&[opened.clone(), exited.clone(), tty.clone()], wrong),
        (&[opened.clone(), tty.clone(), tty.clone()], wrong),
        (
            &[opened, MasterMessage::Exited { session: SessionId(3), status: 0 }],
            ProtocolError::UnknownSession { session: SessionId(3) },
        ),
        (&[answer(RequestId(10), Answer::RemotePort { port: 65536 })], ProtocolError::NoPort { port: 65536 }),
    ];
    let requests = [(ID, command("a")), (RequestId(9), command("b")), (RequestId(10), Request::OpenForward(remote(0)))];
    for (messages, error) in table {
        let events = outcome(&requests, messages);
        assert_eq!(events.last(), Some(&closed(Err(error))), "{messages:?}");
    }
}

#[test]
fn a_forward_over_stdio_has_no_status() {
    let messages =
        [answer(ID, Answer::SessionOpened { session: SESSION }), MasterMessage::Exited { session: SESSION, status: 0 }];
    let events = outcome(&[(ID, Request::StdioForward { host: "h".to_owned(), port: 1 })], &messages);
    assert_eq!(
        events[1..],
        [Event::SessionClosed { session: SESSION }, closed(Err(ProtocolError::WrongEnd { session: SESSION }))]
    );
}

#[test]
fn what_is_no_master_is_found_out_at_its_first_words() {
    let first = |bytes: &[u8]| {
        let mut client = client(&[(ID, command("true"))]);
        client.handle_bytes(bytes);
        client.handle_eof();
        assert_eq!(client.poll_event(), Some(Event::Unanswered { request: ID }));
        match events(&mut client).as_slice() {
            [Event::Closed { result: Err(error) }] => *error,
            events => panic!("{events:?}"),
        }
    };
    assert_eq!(first(b""), ProtocolError::NoHello);
    assert_eq!(first(b"\0\0\0\x08\0\0"), ProtocolError::FrameCut);
    assert_eq!(first(b"\0\0\0\x03abc"), ProtocolError::FrameTooShort { length: 3 });
    assert_eq!(first(b"HTTP/1.1 400 Bad Request\r\n"), ProtocolError::FrameTooLong { length: 0x4854_5450 });
    assert_eq!(first(&answer(ID, Answer::Ok).encode()), ProtocolError::NotHello);
    assert_eq!(
        first(&MasterMessage::Hello { version: 5, extensions: vec![] }.encode()),
        ProtocolError::Version { version: 5 }
    );
    assert_eq!(first(b"\0\0\0\x04\x7f\0\0\0"), ProtocolError::UnknownMessage { kind: 0x7f00_0000 });
}

#[test]
fn after_its_end_a_client_takes_nothing_and_says_nothing() {
    let mut client = client(&[]);
    client.handle_bytes(b"\xff\xff\xff\xff");
    assert!(client.is_closed());
    client.handle_bytes(&hello().encode());
    client.handle_eof();
    assert_eq!(events(&mut client), [closed(Err(ProtocolError::FrameTooLong { length: u32::MAX }))]);
    assert_eq!(client.request(ID, &Request::AliveCheck), Err(RequestError::Closed));
    assert_eq!(client.poll_transmit(), None);
    assert_eq!(client.poll_event(), None);
}

#[test]
fn a_master_that_takes_nothing_more_is_still_heard() {
    let mut client = Client::new();
    client.request(ID, &command("true")).unwrap();
    client.handle_written(3);
    client.handle_write_failed();
    assert_eq!(client.poll_transmit(), None);
    let later = RequestId(8);
    client.request(later, &Request::AliveCheck).unwrap();
    assert_eq!(client.poll_transmit(), None);
    client.handle_bytes(&hello().encode());
    client.handle_bytes(&answer(ID, Answer::Failure { reason: "going away".to_owned() }).encode());
    client.handle_eof();
    let refusal = Refusal { permission_denied: false, reason: "going away".to_owned() };
    assert_eq!(
        events(&mut client)[1..],
        [Event::Refused { request: ID, refusal }, Event::Unanswered { request: later }, closed(Ok(())),]
    );
}

#[test]
fn a_number_names_one_request_at_a_time() {
    let mut client = client(&[(ID, Request::AliveCheck)]);
    assert_eq!(client.request(ID, &Request::Terminate), Err(RequestError::IdInUse { id: ID }));
    client.handle_bytes(&hello().encode());
    client.handle_bytes(&answer(ID, Answer::Alive { pid: 1 }).encode());
    assert_eq!(client.request(ID, &Request::Terminate), Ok(()));
}

#[test]
fn a_request_that_cannot_be_sent_leaves_no_trace() {
    let mut client = client(&[]);
    assert!(client.request(ID, &command("a\0b")).is_err());
    assert_eq!(client.poll_transmit(), None);
    client.handle_bytes(&hello().encode());
    client.handle_eof();
    assert_eq!(events(&mut client)[1..], [closed(Ok(()))]);
}

#[test]
fn confirmations_of_what_was_not_asked_for_change_nothing() {
    let mut client = Client::new();
    client.handle_passed();
    assert!(matches!(client.poll_transmit(), Some(Transmit::Bytes(_))));
    client.handle_written(usize::MAX);
    client.handle_written(1);
    assert_eq!(client.poll_transmit(), None);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    /// Sessions of many numbers, opened and ended in any order, with the stream cut anywhere.
    #[test]
    fn every_session_has_its_own_status_wherever_the_stream_is_cut(
        statuses in prop::collection::vec(prop::option::of(any::<u32>()), 1..30),
        order in any::<prop::sample::Index>(),
        cuts in prop::collection::vec(1_usize..40, 1..50),
    ) {
        let sessions = || (0_u32..).zip(&statuses);
        let requests: Vec<_> = sessions().map(|(id, _)| (RequestId(id), command("x"))).collect();
        let mut client = client(&requests);
        let opened = sessions().map(|(id, _)| answer(RequestId(id), Answer::SessionOpened { session: SessionId(id + 100) }));
        let mut ends: Vec<_> = sessions()
            .filter_map(|(id, status)| status.map(|status| MasterMessage::Exited { session: SessionId(id + 100), status }))
            .collect();
        if !ends.is_empty() {
            let by = order.index(ends.len());
            ends.rotate_left(by);
        }
        let stream: Vec<u8> = std::iter::once(hello()).chain(opened).chain(ends).flat_map(|message| message.encode()).collect();
        let (mut rest, mut cuts) = (&stream[..], cuts.iter().cycle());
        while !rest.is_empty() {
            let (chunk, later) = rest.split_at(rest.len().min(*cuts.next().unwrap()));
            client.handle_bytes(chunk);
            rest = later;
        }
        client.handle_eof();
        let events = events(&mut client);
        for (id, status) in sessions() {
            let session = SessionId(id + 100);
            let end = status.map_or(Event::SessionClosed { session }, |status| Event::Exited { session, status });
            prop_assert_eq!(events.iter().filter(|event| **event == end).count(), 1);
        }
        prop_assert_eq!(events.len(), 2 + 2 * statuses.len());
        prop_assert_eq!(events.last(), Some(&closed(Ok(()))));
    }
}
