//! `cargo +nightly fuzz run hosts`
#![no_main]

#[path = "../checks/hosts.rs"]
mod hosts;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    hosts::any_bytes(input);
    hosts::any_inventory(input);
});
