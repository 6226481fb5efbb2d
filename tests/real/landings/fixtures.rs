//! Landings that were once predicted wrongly. `FIXTURES=directory` replays others.
//!
//! `a-pod-deleted-by-its-name` was no fault of the model: the test deleted a
//! StatefulSet's evicted pod by its name, and hit the replacement, which came
//! early and was still counted when the next one was placed. With the pod that
//! the mirror did not show (`w6-44`), the scheduler's choice is the predicted one.

use super::landing::{Outcome, explain, replay};
use serde_json::Value;
use std::path::PathBuf;

#[test]
fn landings_once_predicted_wrongly_are_predicted_now() {
    let ours = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/real/landings/fixtures");
    let directory = std::env::var_os("FIXTURES").map_or_else(|| PathBuf::from(ours), PathBuf::from);
    let mut seen = 0;
    let mut wrong = 0;
    for file in std::fs::read_dir(directory).unwrap() {
        let path = file.unwrap().path();
        let fixture: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let (_, prediction, outcome) = replay(&fixture);
        if !matches!(outcome, Outcome::Hit { .. } | Outcome::Pending) {
            let explained = explain(&prediction, fixture["landed"].as_str());
            println!("{outcome:?} of {}: {explained}", path.display());
            wrong += 1;
        }
        seen += 1;
    }
    assert!(wrong == 0 && seen > 0, "{wrong} of {seen} are wrong");
}
