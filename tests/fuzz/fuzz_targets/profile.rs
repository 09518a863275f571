//! Loading is total: no text, whatever it holds, makes reading, merging, checking or planning panic.
#![no_main]

#[path = "../total.rs"]
mod total;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| total::total(bytes));
