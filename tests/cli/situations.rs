//! Situations that people report, from files: what is planned, and why no more.

use rstest::rstest;
use serde_json::Value;

use super::run::{fixture, zonespread};

/// The moves of the only tier, as zones, and the reason why there are no more.
fn plan(situation: &str) -> (Vec<(String, String)>, Option<String>, Value) {
    let file = fixture(&format!("situations/{situation}.json"));
    let ran = zonespread(&["plan", "-A", "-f", &file, "-o", "json"]);
    assert!(matches!(ran.code, Some(0 | 3)), "{ran:?}");
    let answer: Value = serde_json::from_str(&ran.out).unwrap();
    let tier = answer["policies"][0]["tiers"][0].clone();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let moves = tier["moves"].as_array().unwrap().iter();
    let moves = moves.map(|moved| (text(&moved["from"]), text(&moved["to"]))).collect();
    (moves, tier["blocked"]["reason"].as_str().map(str::to_owned), tier)
}

/// What is right was asked of kube-scheduler 1.37.1: the replacement stayed Pending, or
/// landed in the zone that it came from.
#[rstest]
#[case::a_neighbour_still_holds_what_it_gives_back("resize-downsize-not-done", "NoRoom")]
#[case::a_neighbour_asks_for_what_it_never_gets("resize-infeasible", "WouldNotLand")]
#[case::the_template_is_larger_than_the_pods("resize-own-pods-shrunk", "NoRoom")]
fn nothing_is_moved_that_would_not_land(#[case] situation: &str, #[case] reason: &str) {
    let (moves, blocked, tier) = plan(situation);
    assert_eq!((moves, blocked.as_deref()), (vec![], Some(reason)), "{tier}");
}

/// Asked of kube-scheduler 1.37.1: the pod of priority -10 is preempted.
#[test]
fn headroom_is_room_and_the_plan_says_whose() {
    let (moves, blocked, tier) = plan("headroom-pods");
    assert_eq!((moves, blocked), (vec![("z-a".into(), "z-c".into())], None), "{tier}");
    let victim = "headroom/pause-6b7f8c9d5-bbc10";
    assert_eq!(tier["moves"][0]["preempts"], serde_json::json!([victim]));
    let file = fixture("situations/headroom-pods.json");
    let table = zonespread(&["plan", "-A", "-f", &file]).out;
    assert!(table.contains("PREEMPTS") && table.contains(victim), "{table}");
    let pod = tier["moves"][0]["pod"].as_str().unwrap();
    let told = zonespread(&["predict", pod, "-f", &file]).out;
    // Without the widths of columns.
    let told = told.split_whitespace().collect::<Vec<_>>().join(" ");
    for expected in [
        format!("PREEMPTS {victim}, of negative priority"),
        "LANDS IN zone z-c HOW SURE certain".into(),
    ] {
        assert!(told.contains(&expected), "{told}");
    }
}
