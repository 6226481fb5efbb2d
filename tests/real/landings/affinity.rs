//! Random affinity to nodes and to pods.

use super::terrain::{NAMESPACES, TIERS, ZONE, ZONES};
use crate::dice::Dice;
use serde_json::{Value, json};

const KEYS: [&str; 5] = ["kubernetes.io/hostname", ZONE, ZONE, "rack", "disk"];

/// A label selector for pods: like oneself, or of a tier, or odd.
pub fn selector(dice: &mut Dice, app: &str) -> Value {
    match dice.below(20) {
        0..9 => json!({"matchLabels": {"app": app}}),
        9..14 => json!({"matchLabels": {"tier": dice.pick(&TIERS)}}),
        14 => json!({"matchExpressions": [
            {"key": "tier", "operator": "In", "values": [dice.pick(&TIERS), dice.pick(&TIERS)]}]}),
        15 => json!({"matchExpressions": [
            {"key": "tier", "operator": "NotIn", "values": [dice.pick(&TIERS)]}]}),
        16 => json!({"matchExpressions": [{"key": "tier", "operator": "Exists"}]}),
        17 => json!({"matchLabels": {"app": app},
            "matchExpressions": [{"key": "legacy", "operator": "DoesNotExist"}]}),
        18 => json!({}),
        _ => Value::Null,
    }
}

/// `affinity.podAffinity` and `podAntiAffinity` of pods of an app.
pub fn pod_affinity(dice: &mut Dice, app: &str) -> Value {
    let mut affinity = json!({"podAffinity": {}, "podAntiAffinity": {}});
    for (side, required, preferred) in [("podAffinity", 12, 35), ("podAntiAffinity", 18, 35)] {
        if dice.chance(required) {
            let mut term = term(dice, app);
            if side == "podAffinity" {
                // To be near others than its like is mostly impossible.
                if dice.chance(70) {
                    term = json!({"labelSelector": {"matchLabels": {"app": app}}});
                }
                term["topologyKey"] = json!(dice.pick(&[ZONE, ZONE, "disk", "rack"]));
            } else if dice.chance(80) {
                term["topologyKey"] = json!("kubernetes.io/hostname");
            }
            affinity[side]["requiredDuringSchedulingIgnoredDuringExecution"] = json!([term]);
        }
        if dice.chance(preferred) {
            let terms: Vec<Value> = (0..dice.between(1, 2))
                .map(|_| {
                    json!({"weight": dice.pick(&[1, 5, 50, 100]),
                        "podAffinityTerm": term(dice, app)})
                })
                .collect();
            affinity[side]["preferredDuringSchedulingIgnoredDuringExecution"] = json!(terms);
        }
    }
    affinity
}

fn term(dice: &mut Dice, app: &str) -> Value {
    let mut term = json!({"topologyKey": dice.pick(&KEYS)});
    let selector = selector(dice, app);
    let selects = selector.as_object().is_some_and(|selector| !selector.is_empty());
    term["labelSelector"] = selector;
    match dice.below(10) {
        0 => term["namespaces"] = json!([dice.pick(&NAMESPACES), dice.pick(&NAMESPACES)]),
        1 => term["namespaceSelector"] = json!({"matchLabels": {"warm": "yes"}}),
        2 => term["namespaceSelector"] = json!({}),
        3 => {
            term["namespaces"] = json!([dice.pick(&NAMESPACES)]);
            term["namespaceSelector"] = json!({"matchLabels": {"warm": "no"}});
        }
        _ => {}
    }
    if selects && dice.chance(10) {
        term[dice.pick(&["matchLabelKeys", "mismatchLabelKeys"])] = json!(["rev"]);
    }
    term
}

/// `affinity.nodeAffinity`.
pub fn node_affinity(dice: &mut Dice, nodes: &[String]) -> Value {
    let mut affinity = json!({});
    if dice.chance(35) {
        let terms: Vec<Value> =
            (0..dice.between(1, 2)).map(|_| node_term(dice, nodes, true)).collect();
        affinity["requiredDuringSchedulingIgnoredDuringExecution"] =
            json!({"nodeSelectorTerms": terms});
    }
    if dice.chance(60) {
        let terms: Vec<Value> = (0..dice.between(1, 3))
            .map(|_| {
                json!({"weight": dice.pick(&[1, 2, 10, 60, 100]),
                    "preference": node_term(dice, nodes, false)})
            })
            .collect();
        affinity["preferredDuringSchedulingIgnoredDuringExecution"] = json!(terms);
    }
    affinity
}

fn node_term(dice: &mut Dice, nodes: &[String], fields: bool) -> Value {
    if fields && dice.chance(20) {
        let name = &nodes[dice.below(nodes.len())];
        let operator = dice.pick(&["In", "NotIn", "NotIn"]);
        return json!({"matchFields":
            [{"key": "metadata.name", "operator": operator, "values": [name]}]});
    }
    let asks: Vec<Value> = (0..dice.between(1, 2))
        .map(|_| match dice.below(8) {
            0 => json!({"key": ZONE, "operator": "In", "values": &ZONES[..dice.between(1, 3)]}),
            1 => json!({"key": ZONE, "operator": "NotIn", "values": [dice.pick(&ZONES)]}),
            2 => json!({"key": "rack", "operator": "Exists"}),
            3 => json!({"key": "rack", "operator": "DoesNotExist"}),
            4 => json!({"key": "gen", "operator": "Gt", "values": [dice.pick(&["1", "2", "5"])]}),
            5 => json!({"key": "gen", "operator": "Lt", "values": [dice.pick(&["3", "10"])]}),
            6 => json!({"key": "disk", "operator": "In", "values": [dice.pick(&["ssd", "hdd"])]}),
            _ => json!({"key": "rack", "operator": "NotIn", "values": ["r1", "r2"]}),
        })
        .collect();
    json!({"matchExpressions": asks})
}
