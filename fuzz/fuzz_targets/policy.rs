//! `cargo +nightly fuzz run policy`: windows, durations and selectors.

#![no_main]

#[allow(dead_code, reason = "each target takes one door")]
#[path = "../entries.rs"]
mod entries;

libfuzzer_sys::fuzz_target!(|text: &str| entries::policy(text));
