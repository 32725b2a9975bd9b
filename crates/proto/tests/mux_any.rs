//! A bounded run of the fuzz target `mux`: its corpus, messages of masters in any order, and such messages with a few bytes
//! changed.

#[path = "../../../fuzz/checks/mux.rs"]
mod mux;

use std::fs;
use std::path::Path;

use phalanx_proto::mux::{Answer, MasterMessage, RequestId, SessionId};
use proptest::prelude::*;

#[test]
fn the_corpus_of_what_masters_say_holds() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/mux");
    let entries = fs::read_dir(&directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    let paths: Vec<_> = entries.map(|entry| entry.expect("a directory can be read").path()).collect();
    assert!(!paths.is_empty(), "{} is empty", directory.display());
    paths.iter().for_each(|path| mux::any_bytes(&fs::read(path).expect("ours")));
}

/// Messages whose numbers are small, so that they often name what was asked.
fn any_message() -> impl Strategy<Value = MasterMessage> {
    let answer = prop_oneof![
        Just(Answer::Ok),
        "[a-z]{0,3}".prop_map(|reason| Answer::Failure { reason }),
        "[a-z]{0,3}".prop_map(|reason| Answer::PermissionDenied { reason }),
        any::<u32>().prop_map(|pid| Answer::Alive { pid }),
        (0_u32..3).prop_map(|session| Answer::SessionOpened { session: SessionId(session) }),
        prop_oneof![0_u32..3, any::<u32>()].prop_map(|port| Answer::RemotePort { port }),
    ];
    prop_oneof![
        1 => (3_u32..5).prop_map(|version| MasterMessage::Hello { version, extensions: vec![] }),
        8 => (0_u32..8, answer).prop_map(|(id, answer)| MasterMessage::Answer { id: RequestId(id), answer }),
        2 => (0_u32..3).prop_map(|session| MasterMessage::TtyRefused { session: SessionId(session) }),
        3 => (0_u32..3, any::<u32>())
            .prop_map(|(session, status)| MasterMessage::Exited { session: SessionId(session), status }),
    ]
}

fn stream(selected: u8, messages: &[MasterMessage]) -> Vec<u8> {
    let hello = MasterMessage::Hello { version: 4, extensions: vec!["info".to_owned()] };
    let frames = std::iter::once(&hello).chain(messages).flat_map(MasterMessage::encode);
    std::iter::once(selected).chain(frames).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn messages_in_any_order_hold(selected: u8, messages in prop::collection::vec(any_message(), 0..20)) {
        mux::any_bytes(&stream(selected, &messages));
    }

    #[test]
    fn messages_with_a_few_bytes_changed_hold(
        selected: u8,
        messages in prop::collection::vec(any_message(), 0..8),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
    ) {
        let mut stream = stream(selected, &messages);
        for (index, byte) in changes {
            let at = index.index(stream.len());
            stream[at] = byte;
        }
        mux::any_bytes(&stream);
    }

    #[test]
    fn any_bytes_hold(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        mux::any_bytes(&bytes);
    }
}
