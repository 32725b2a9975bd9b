//! `cargo +nightly fuzz run document`
#![no_main]

#[path = "../checks/document.rs"]
mod document;

libfuzzer_sys::fuzz_target!(|input: &[u8]| document::any_bytes(input));
