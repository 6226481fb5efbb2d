use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::observe::fixtures::pod;
use crate::observe::{Change, Index, Kind, Name, PolicyEntry, PolicyKey};

/// A policy, made at a second of the year 2026.
fn policy(name: &str, second: u32, selector: &Value) -> Change {
    let policy = json!({
        "apiVersion": "zonespread.io/v1alpha1", "kind": "ZoneSpreadPolicy",
        "metadata": {
            "name": name, "namespace": "default", "uid": format!("uid-{name}"),
            "creationTimestamp": format!("2026-01-01T00:00:{second:02}Z"), "generation": 1,
        },
        "spec": {"selector": selector, "tierLabel": "tier"},
    });
    Change::Policy(serde_json::from_value(policy).unwrap())
}

fn workload(name: &str, labels: &Value) -> Change {
    let set = json!({
        "metadata": {"name": name, "namespace": "default", "uid": format!("uid-{name}")},
        "spec": {"replicas": 2, "template": {"metadata": {"labels": labels}, "spec": {"containers": []}}},
    });
    Change::ReplicaSet(serde_json::from_value(set).unwrap())
}

fn gone(kind: Kind, name: &str) -> Change {
    Change::Gone(kind, Name::from("default"), Name::from(name))
}

fn selectors() -> impl Strategy<Value = Value> {
    prop_oneof![
        (0..3_u8).prop_map(|app| json!({"matchLabels": {"app": format!("app-{app}")}})),
        (0..3_u8, 0..2_u8).prop_map(|(app, part)| {
            json!({"matchLabels": {"app": format!("app-{app}"), "part": format!("{part}")}})
        }),
        (0..3_u8).prop_map(|app| {
            let values = [format!("app-{app}"), "app-0".to_owned()];
            json!({"matchExpressions": [{"key": "app", "operator": "In", "values": values}]})
        }),
        Just(json!({"matchExpressions": [{"key": "tier", "operator": "Exists"}]})),
        Just(json!({"matchExpressions": [{"key": "part", "operator": "NotIn", "values": ["1"]}]})),
    ]
}

fn changes() -> impl Strategy<Value = Change> {
    let labels = |app: u8, part: u8, tier: u8| {
        let mut labels = json!({"app": format!("app-{app}"), "part": format!("{part}")});
        if tier < 2 {
            labels["tier"] = json!(format!("tier-{tier}"));
        }
        labels
    };
    prop_oneof![
        3 => (0..8_u8, 0..3_u8, 0..2_u8, 0..3_u8).prop_map(move |(name, app, part, tier)| {
            let mut shown = pod(&format!("pod-{name}"));
            for (label, value) in labels(app, part, tier).as_object().unwrap() {
                shown = shown.label(label, value.as_str().unwrap());
            }
            Change::Pod(shown.watched())
        }),
        1 => (0..8_u8).prop_map(|name| gone(Kind::Pod, &format!("pod-{name}"))),
        2 => (0..4_u8, 0..3_u32, selectors()).prop_map(|(name, second, selector)| {
            policy(&format!("policy-{name}"), second, &selector)
        }),
        1 => (0..4_u8).prop_map(|name| gone(Kind::Policy, &format!("policy-{name}"))),
        1 => (0..3_u8, 0..3_u8, 0..2_u8, 0..3_u8).prop_map(move |(name, app, part, tier)| {
            workload(&format!("set-{name}"), &labels(app, part, tier))
        }),
        1 => (0..3_u8).prop_map(|name| gone(Kind::ReplicaSet, &format!("set-{name}"))),
    ]
}

/// What a policy should have: the names of its pods by tier, those without the
/// label, and how many an older policy owns.
type Share = (BTreeMap<String, BTreeSet<String>>, BTreeSet<String>, usize);

/// Every pod asks every policy, the oldest first.
fn recounted(index: &Index) -> BTreeMap<PolicyKey, Share> {
    let mut policies: Vec<&PolicyEntry> = index.policies().collect();
    policies.sort_by_key(|policy| (policy.created, policy.key.clone()));
    let mut shares: BTreeMap<PolicyKey, Share> =
        policies.iter().map(|policy| (policy.key.clone(), Share::default())).collect();
    for (_, pod) in index.cluster().pods() {
        let mut owned = false;
        for policy in policies.iter().filter(|policy| policy.selects(&pod.labels)) {
            let (tiers, untiered, contested) = shares.get_mut(&policy.key).unwrap();
            match policy.tier_name(&pod.labels) {
                _ if owned => *contested += 1,
                Some(tier) => {
                    tiers.entry(tier.to_owned()).or_default().insert(pod.name.to_string());
                }
                None => {
                    untiered.insert(pod.name.to_string());
                }
            }
            owned = true;
        }
    }
    shares
}

fn share_of(index: &Index, policy: &PolicyEntry) -> Share {
    let name = |id| index.cluster().pod(id).unwrap().name.to_string();
    let tiers = policy.tiers.iter();
    let tiers =
        tiers.map(|(tier, pods)| (tier.to_string(), pods.iter().copied().map(name).collect()));
    let untiered = policy.untiered.iter().copied().map(name).collect();
    (tiers.collect(), untiered, policy.contested.count())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]
    #[test]
    fn every_pod_is_where_asking_all_policies_would_put_it(
        changes in prop::collection::vec(changes(), 1..40),
    ) {
        let mut index = Index::default();
        for change in changes {
            index.apply(change);
            let shares = recounted(&index);
            for policy in index.policies() {
                prop_assert_eq!(&share_of(&index, policy), &shares[&policy.key]);
                if let Some((id, older)) = policy.contested.example() {
                    let older = index.policy(older).unwrap();
                    let is_in = |tier: &BTreeSet<_>| tier.contains(&id);
                    prop_assert!(older.tiers.values().chain([&older.untiered]).any(is_in));
                }
                let workloads: Vec<_> = index.workloads_of(policy).map(|set| &set.key).collect();
                let mut selected: Vec<_> = index
                    .known(Kind::ReplicaSet)
                    .into_iter()
                    .filter_map(|(namespace, name)| index.workload_named(&namespace, &name))
                    .filter(|set| policy.selects(&set.pod_labels))
                    .map(|set| &set.key)
                    .collect();
                selected.sort_unstable();
                prop_assert_eq!(workloads, selected);
            }
        }
    }
}

#[test]
fn of_ten_thousand_policies_a_pod_asks_only_its_own() {
    let mut index = Index::default();
    for number in 0..10_000 {
        // What all share comes first: it tells nothing apart.
        let selector =
            json!({"matchLabels": {"a-part-of": "shop", "app": format!("app-{number}")}});
        index.apply(policy(&format!("policy-{number}"), 0, &selector));
    }
    let shown = pod("app-77-x").label("a-part-of", "shop").label("app", "app-77");
    index.take_changed();
    index.apply(Change::Pod(shown.watched()));
    let asked = index.selector_indexes["default"]
        .candidates(&index.cluster().pods().next().unwrap().1.labels);
    assert!(asked.len() <= 2, "{} were asked", asked.len());
    let changed: Vec<_> = index.take_changed().policies.into_iter().collect();
    assert_eq!(changed.iter().map(|key| &*key.name).collect::<Vec<_>>(), ["policy-77"]);
    // Nor does a new policy disturb the others.
    index.apply(policy("late", 30, &json!({"matchLabels": {"app": "app-77"}})));
    let mut changed: Vec<_> =
        index.take_changed().policies.into_iter().map(|key| key.name.to_string()).collect();
    changed.sort();
    assert_eq!(changed, ["late", "policy-77"]);
}

#[test]
fn a_policy_names_few_of_the_pods_that_others_own() {
    let mut index = Index::default();
    let selector = json!({"matchLabels": {"app": "web"}});
    index.apply(policy("older", 0, &selector));
    index.apply(policy("younger", 1, &selector));
    for number in 0..1_000 {
        index.apply(Change::Pod(pod(&format!("web-{number}")).watched()));
    }
    let key = |name: &str| PolicyKey { namespace: Name::from("default"), name: Name::from(name) };
    let contested = &index.policy(&key("younger")).unwrap().contested;
    assert_eq!(contested.count(), 1_000);
    assert!(contested.named() <= 8, "{}", contested.named());
    // All that were known by name go; the count stays right, and an example is found again.
    for number in 0..999 {
        index.apply(gone(Kind::Pod, &format!("web-{number}")));
    }
    assert_eq!(index.policy(&key("younger")).unwrap().contested.count(), 1);
    index.apply(gone(Kind::Policy, "older"));
    let younger = index.policy(&key("younger")).unwrap();
    assert_eq!((younger.contested.count(), younger.untiered.len()), (0, 1));
}
