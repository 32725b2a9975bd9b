//! `cargo +nightly fuzz run taktuk`
#![no_main]

#[path = "../checks/taktuk.rs"]
mod taktuk;

libfuzzer_sys::fuzz_target!(|input: &[u8]| taktuk::any_bytes(input));
