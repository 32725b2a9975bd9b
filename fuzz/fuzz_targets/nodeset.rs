//! `cargo +nightly fuzz run nodeset`
#![no_main]

#[path = "../checks/text.rs"]
mod text;

libfuzzer_sys::fuzz_target!(|input: &str| text::node_set(input));
