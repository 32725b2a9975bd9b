//! A bounded run of the fuzz targets: the corpus of `fuzz/`, what once went wrong or might, and random texts of the characters that mean
//! something.

#[path = "../../../fuzz/checks/text.rs"]
mod text;

use proptest::prelude::*;
use std::fs;
use std::path::Path;

fn corpus(target: &str) -> Vec<String> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
    let entries = fs::read_dir(&directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    let paths = entries.map(|entry| entry.expect("a directory can be read").path());
    let texts: Vec<String> = paths.map(|path| fs::read_to_string(path).expect("the corpus is text")).collect();
    assert!(!texts.is_empty(), "{} is empty", directory.display());
    texts
}

#[test]
fn the_corpus_of_node_sets_holds() {
    corpus("nodeset").iter().for_each(|input| text::node_set(input));
}

#[test]
fn the_corpus_of_range_sets_holds() {
    corpus("rangeset").iter().for_each(|input| text::range_set(input));
}

/// Each wants more memory or time than any machine has, if taken literally.
#[test]
fn hostile_texts_get_an_error_or_a_lazy_set() {
    let many_boxes: Vec<String> =
        (0..120).map(|at| format!("a[{at}-{}]b[{}]c[{at}-{}]", at + 120, at * 2, at + 120)).collect();
    let many_axes = "a[1-9]".repeat(65);
    let long_product = "a[1-9]".repeat(64);
    let nested = "[".repeat(10_000);
    let differences: Vec<String> = (0..1_000).map(|at| format!("a{}b{}", at * 2, at * 3)).collect();
    for input in [
        "[0-99999999999999999999]",
        "a[1-1000000]b[1-1000000]",
        "a[0-999999999/2]",
        "a[0-999999999/3]b[0-999999999/3]c[0-999999999]",
        "a[1-999999999][1-999999999]",
        "a[1-999999999]5[1-9]",
        "a[-9999-0/3]b[-9999-0/3]",
        &"[-1]x".repeat(60),
        &"9".repeat(100_000),
        &"a1".repeat(5_000),
        &many_axes,
        &long_product,
        &nested,
        &many_boxes.join(","),
        &format!("a[1-100000]b[1-100000]!{}", differences.join("!")),
        &format!("{}^{}", many_boxes[..60].join("^"), many_boxes[..60].join("&")),
    ] {
        text::node_set(input);
    }
}

#[test]
fn a_lazy_set_is_counted_and_cut_without_being_expanded() {
    let set: phalanx_nodeset::NodeSet = "a[1-1000000]b[1-1000000]!a5b5".parse().unwrap();
    assert_eq!(set.count(), 999_999_999_999);
    assert_eq!(set.slice(&"0-1,999999999998".parse().unwrap()).len(), 3);
    assert_eq!(set.split(2).map(|half| half.count()).collect::<Vec<_>>(), [500_000_000_000, 499_999_999_999]);
}

fn nearly_a_set() -> impl Strategy<Value = String> {
    let token = prop::sample::select(vec![
        "[",
        "]",
        "[1-3]",
        "[01-10/3]",
        "-",
        "/",
        ",",
        "!",
        "&",
        "^",
        "@",
        ":",
        "*",
        "?",
        "%",
        "%s",
        " ",
        "\n",
        "#",
        "a",
        "n",
        "0",
        "1",
        "9",
        "10",
        "007",
        "99999999999",
        "é",
        "[fe80::",
        "::1",
        "+",
        "[1-2][3-4]",
        "[-1]",
        "--",
        "1-2-3",
        "\u{a0}",
    ]);
    prop::collection::vec(token, 0..14).prop_map(|tokens| tokens.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn nearly_node_sets_hold(input in nearly_a_set()) {
        text::node_set(&input);
    }

    #[test]
    fn any_texts_hold(input in "\\PC{0,30}") {
        text::node_set(&input);
        text::range_set(&input);
    }

    #[test]
    fn nearly_range_sets_hold(input in "[-0-9,/+ ]{0,16}") {
        text::range_set(&input);
    }
}
