//! `cargo +nightly fuzz run quantity`: amounts of resources.

#![no_main]

#[allow(dead_code, reason = "each target takes one door")]
#[path = "../entries.rs"]
mod entries;

libfuzzer_sys::fuzz_target!(|text: &str| entries::quantity(text));
