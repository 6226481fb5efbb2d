//! `cargo +nightly fuzz run offline`: files for `plan -f`.

#![no_main]

#[allow(dead_code, reason = "each target takes one door")]
#[path = "../entries.rs"]
mod entries;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| entries::offline(bytes));
