//! `cargo +nightly fuzz run rangeset`
#![no_main]

#[path = "../checks/text.rs"]
mod text;

libfuzzer_sys::fuzz_target!(|input: &str| text::range_set(input));
