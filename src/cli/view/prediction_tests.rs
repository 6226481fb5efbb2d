use std::collections::BTreeMap;

use super::*;
use crate::cli::view::PredictedScheduler;

fn scored(node: &str, zone: &str, spread: i64, fit: i64) -> Scored {
    Scored {
        node: node.to_owned(),
        total: spread + fit + 300,
        by_plugin: BTreeMap::from([
            ("PodTopologySpread", spread),
            ("NodeResourcesFit", fit),
            ("TaintToleration", 300),
        ]),
        zone: Some(zone.to_owned()),
        note: None,
    }
}

fn filtered(node: &str, zone: &str, plugin: &'static str, message: &str) -> Filtered {
    Filtered {
        node: node.to_owned(),
        plugin,
        message: message.to_owned(),
        held_by: None,
        zone: Some(zone.to_owned()),
    }
}

fn answer(zones: &[&str], nodes: &[&str], certain: bool, scores: Vec<Scored>) -> Answer {
    let owned = |names: &[&str]| names.iter().map(ToString::to_string).collect();
    Answer {
        pod: "web-1".to_owned(),
        zones: owned(zones),
        nodes: owned(nodes),
        certain,
        probability: BTreeMap::new(),
        preempts: Vec::new(),
        steered: None,
        unless: None,
        unpredictable: None,
        never_moved: None,
        filtered: Vec::new(),
        scores,
        scheduler: PredictedScheduler::default(),
        title: "shop/web-1, now on node a1 in zone a".to_owned(),
    }
}

#[test]
fn a_certain_landing_is_told_with_its_runner_up_and_what_decided() {
    let scores = vec![
        scored("c1", "c", 200, 94),
        scored("c2", "c", 200, 94),
        scored("b1", "b", 132, 97),
        scored("a1", "a", 132, 90),
    ];
    let mut answer = answer(&["c"], &["c1", "c2"], true, scores);
    answer.scores[2].note = Some("untolerated taint maintenance:PreferNoSchedule".to_owned());
    answer.filtered = vec![filtered("a2", "a", "NodeResourcesFit", "Insufficient cpu")];
    insta::assert_snapshot!(PredictionTable::of(&answer));
}

#[test]
fn a_pod_that_fits_in_one_zone_only_is_told_what_keeps_it_from_the_others() {
    let mut answer = answer(&["a"], &["a1"], true, vec![scored("a1", "a", 200, 94)]);
    answer.filtered = vec![
        filtered("b1", "b", "NodeResourcesFit", "Insufficient cpu"),
        filtered("b2", "b", "NodeResourcesFit", "Insufficient cpu"),
        filtered("c1", "c", "TaintToleration", "untolerated taint spot:NoSchedule"),
    ];
    insta::assert_snapshot!(PredictionTable::of(&answer));
}

#[test]
fn zones_that_tie_are_not_certain() {
    let scores = vec![scored("b1", "b", 200, 94), scored("c1", "c", 200, 94)];
    let answer = answer(&["b", "c"], &["b1", "c1"], false, scores);
    insta::assert_snapshot!(PredictionTable::of(&answer));
}

#[test]
fn what_a_sample_decides_is_told_with_its_probability() {
    let scores = vec![scored("c1", "c", 200, 94), scored("b1", "b", 190, 94)];
    let mut answer = answer(&["b", "c"], &["c1"], false, scores);
    answer.probability = BTreeMap::from([("b".to_owned(), 0.17), ("c".to_owned(), 0.83)]);
    insta::assert_snapshot!(PredictionTable::of(&answer));
}

#[test]
fn a_pod_that_fits_nowhere_would_stay_pending() {
    let mut answer = answer(&[], &[], false, Vec::new());
    answer.filtered = vec![filtered("a1", "a", "NodeAffinity", "node(s) didn't match")];
    insta::assert_snapshot!(PredictionTable::of(&answer));
}

#[test]
fn what_cannot_be_known_is_told_as_such() {
    let mut answer = answer(&[], &[], false, Vec::new());
    answer.unpredictable = Some("schedulerName fancy: another scheduler".to_owned());
    insta::assert_snapshot!(PredictionTable::of(&answer));
}
