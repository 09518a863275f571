//! The inputs that fuzzing has kept: each reached something that no other did.

#[path = "../fuzz/total.rs"]
mod total;

use std::path::PathBuf;

#[test]
fn every_kept_input_is_read_without_a_panic() {
    // Asked for at run time: the tests may run from a copy.
    let sources = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
    let folder = sources.join("tests/fuzz/corpus/profile");
    let mut inputs = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        total::total(&std::fs::read(entry.unwrap().path()).unwrap());
        inputs += 1;
    }
    assert!(inputs >= 100, "{inputs} inputs");
}
