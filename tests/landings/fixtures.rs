//! Landings that were once predicted wrongly.

use crate::landing::{Outcome, explain, replay};
use serde_json::Value;
use std::path::Path;

#[test]
fn landings_once_predicted_wrongly_are_predicted_now() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/landings/fixtures");
    let mut seen = 0;
    for file in std::fs::read_dir(directory).unwrap() {
        let path = file.unwrap().path();
        let fixture: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let (_, prediction, outcome) = replay(&fixture);
        let landed = fixture["landed"].as_str();
        assert!(
            matches!(outcome, Outcome::Hit { .. } | Outcome::Pending),
            "{}: {}",
            path.display(),
            explain(&prediction, landed)
        );
        seen += 1;
    }
    assert!(seen > 0, "no fixtures were found");
}
