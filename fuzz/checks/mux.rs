//! What must hold for any bytes at all that stand at the other end of a control socket, shared by the fuzz target and by the
//! tests of `phalanx-proto`.

use std::collections::{BTreeMap, BTreeSet};

use phalanx_proto::mux::{
    Client, ClientMessage, Endpoint, Event, Forward, MasterMessage, Request, RequestId, Session, SessionId, Transmit,
};

/// Bytes read as what a master says, after the requests that the bits of the first byte select: no panic, every request has
/// one answer, every session one end, the connection one; and where chunks are cut does not matter.
pub(crate) fn any_bytes(input: &[u8]) {
    let Some((selected, bytes)) = input.split_first() else { return };
    let events = conversation(*selected, bytes, bytes.len().max(1));
    for chunk in [1, 7] {
        assert_eq!(conversation(*selected, bytes, chunk), events);
    }
    check_ends(*selected, &events);
    check_codec(bytes);
}

fn requests(selected: u8) -> impl Iterator<Item = (RequestId, Request)> {
    let local = Forward::Local { listen: Endpoint::port("", 8022), connect: Endpoint::port("inner", 22) };
    let remote = Forward::Remote { listen: Endpoint::port("", 0), connect: Endpoint::Path("/run/socket".into()) };
    let all = [
        Request::AliveCheck,
        Request::Session(Session { command: b"true".to_vec(), ..Session::default() }),
        Request::Session(Session { terminal: Some("vt100".to_owned()), ..Session::default() }),
        Request::StdioForward { host: "inner".to_owned(), port: 22 },
        Request::OpenForward(local),
        Request::OpenForward(remote),
        Request::StopListening,
        Request::Terminate,
    ];
    (0_u32..).zip(all).filter(move |(bit, _)| selected & (1 << bit) != 0).map(|(id, request)| (RequestId(id), request))
}

fn conversation(selected: u8, bytes: &[u8], chunk: usize) -> Vec<Event> {
    let (mut client, mut events) = (Client::new(), Vec::new());
    for (id, request) in requests(selected) {
        client.request(id, &request).expect("it is well formed");
    }
    while let Some(transmit) = client.poll_transmit() {
        match transmit {
            Transmit::Bytes(bytes) => client.handle_written(bytes.len().div_ceil(2)),
            Transmit::Descriptor(..) => client.handle_passed(),
        }
    }
    for chunk in bytes.chunks(chunk) {
        client.handle_bytes(chunk);
        events.extend(std::iter::from_fn(|| client.poll_event()));
        // Only requests, sessions and the connection itself have events, whatever a master sends.
        assert!(events.len() <= 2 + 3 * 8);
    }
    client.handle_eof();
    client.handle_eof();
    events.extend(std::iter::from_fn(|| client.poll_event()));
    client.handle_bytes(bytes);
    assert_eq!((client.poll_event(), client.is_closed()), (None, true));
    assert_eq!(client.poll_transmit(), None);
    events
}

fn check_ends(selected: u8, events: &[Event]) {
    let mut answered = BTreeSet::new();
    let mut sessions: BTreeMap<SessionId, bool> = BTreeMap::new();
    for event in events {
        match event {
            Event::SessionOpened { request, session } => {
                assert!(answered.insert(*request) && sessions.insert(*session, false).is_none(), "{events:?}");
            }
            Event::Alive { request, .. }
            | Event::Done { request }
            | Event::Bound { request, .. }
            | Event::Refused { request, .. }
            | Event::Unanswered { request } => assert!(answered.insert(*request), "{events:?}"),
            Event::Exited { session, .. } | Event::SessionClosed { session } => {
                assert_eq!(sessions.insert(*session, true), Some(false), "{events:?}");
            }
            Event::TtyRefused { session } => assert_eq!(sessions.get(session), Some(&false), "{events:?}"),
            Event::Hello { .. } | Event::Closed { .. } => {}
        }
    }
    let asked: BTreeSet<_> = requests(selected).map(|(id, _)| id).collect();
    assert_eq!(answered, asked, "{events:?}");
    assert!(sessions.values().all(|has_ended| *has_ended), "{events:?}");
    let closed = events.iter().position(|event| matches!(event, Event::Closed { .. }));
    assert_eq!(closed, Some(events.len() - 1), "{events:?}");
}

/// Both directions of the codec take any bytes, and what a master's message means is what is written again.
fn check_codec(bytes: &[u8]) {
    let _ = ClientMessage::decode(bytes);
    if let Ok(message) = MasterMessage::decode(bytes) {
        assert_eq!(MasterMessage::decode(&message.encode()[4..]), Ok(message));
    }
}
