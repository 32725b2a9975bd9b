//! `cargo +nightly fuzz run mux`
#![no_main]

#[path = "../checks/mux.rs"]
mod mux;

libfuzzer_sys::fuzz_target!(|input: &[u8]| mux::any_bytes(input));
