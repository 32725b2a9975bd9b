//! A bounded run of the fuzz target `taktuk`: its corpus, and random lines of what means something in it.

#[path = "../../../fuzz/checks/taktuk.rs"]
mod taktuk;

use std::fs;
use std::path::Path;

use proptest::prelude::*;

#[test]
fn the_corpus_of_what_taktuk_says_holds() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/taktuk");
    let entries = fs::read_dir(&directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    let paths: Vec<_> = entries.map(|entry| entry.expect("a directory can be read").path()).collect();
    assert!(!paths.is_empty(), "{} is empty", directory.display());
    paths.iter().for_each(|path| taktuk::any_bytes(&fs::read(path).expect("ours")));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nearly_what_taktuk_says_holds(words in prop::collection::vec(prop::sample::select(vec![
        "on", "o-", "en", "x", "s", "c", " ", " ", " ", "\n", "\n", "0", "1", "5", "-", ":", "4294967296", "n1:2", "\0", "é",
    ]), 0..60)) {
        taktuk::any_bytes(words.concat().as_bytes());
    }

    #[test]
    fn any_bytes_hold(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        taktuk::any_bytes(&bytes);
    }
}
