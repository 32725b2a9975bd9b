//! A bounded run of the fuzz target `document`: its corpus, what is hostile, and random texts of what means something in TOML.

#[path = "../../../fuzz/checks/document.rs"]
mod document;

use std::fs;
use std::path::Path;

use proptest::prelude::*;

#[test]
fn the_corpus_of_documents_holds() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/document");
    let entries = fs::read_dir(&directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    let paths: Vec<_> = entries.map(|entry| entry.expect("a directory can be read").path()).collect();
    assert!(!paths.is_empty(), "{} is empty", directory.display());
    paths.iter().for_each(|path| document::any_bytes(&fs::read(path).expect("ours")));
}

#[test]
fn hostile_documents_get_an_answer() {
    let deep = ["[".repeat(100_000), "{a=".repeat(50_000), "a.".repeat(100_000), "[a]\n[[a".repeat(10_000)];
    let keys: String = (0..3_000).map(|number| format!("k{number}.a = 1\n")).collect();
    let headers: String = (0..2_000).map(|number| format!("[[a{}]]\n", ".b".repeat(number % 60))).collect();
    for text in deep.iter().flat_map(|text| [text.clone(), format!("a = {text}")]).chain([keys, headers]) {
        document::any_bytes(text.as_bytes());
    }
    document::any_bytes("9".repeat(100_000).as_bytes());
    document::any_bytes(format!("a = {}", "9".repeat(100_000)).as_bytes());
}

fn nearly_a_document() -> impl Strategy<Value = String> {
    let token = prop::sample::select(vec![
        "a",
        "b",
        "c",
        "d",
        "'a'",
        "\"\"",
        "=",
        " = ",
        ".",
        ",",
        "[",
        "]",
        "[[",
        "]]",
        "{",
        "}",
        "\n",
        "\n",
        "\r\n",
        "#",
        "[a]\n",
        "[[c]]\n",
        "a = 1\n",
        "b.c = 2\n",
        "c = [1, 'x']\n",
        "d = {a = 1}\n",
        "true",
        "-1",
        "0x1f",
        "1_0",
        "1e9",
        "inf",
        "nan",
        "'''",
        "\"\"\"",
        "\\u00e9",
        "\\",
        "1979-05-27",
        "07:32:00",
        "é",
        "\u{feff}",
        "fanout = ",
        "port_range = ",
        "connection.",
        "host_rewrite = ",
        "options = ",
        "styles.host = ",
        "[presets.a]\n",
        "preset = 'a'\n",
        "\0",
        "\t",
    ]);
    prop::collection::vec(token, 0..20).prop_map(|tokens| tokens.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn nearly_documents_hold(input in nearly_a_document()) {
        document::any_bytes(input.as_bytes());
    }

    #[test]
    fn any_bytes_hold(input in prop::collection::vec(any::<u8>(), 0..40)) {
        document::any_bytes(&input);
    }
}
