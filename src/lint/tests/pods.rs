//! Checks that look at pods where they are.

use rstest::rstest;

use super::*;

const HARD: &str = "DoNotSchedule";
const SOFT: &str = "ScheduleAnyway";
const THREE: &str = "a1 a2 b1 b2 c1 c2";

fn with_nodes(names: &str, documents: Vec<String>) -> Vec<String> {
    nodes(names).into_iter().chain(documents).collect()
}

/// `web` with a volume of each pod, in these zones.
fn with_volumes(on: &str, zones: &str) -> Vec<String> {
    let mut documents = running("StatefulSet", on, "");
    for (at, zone) in zones.split(' ').enumerate() {
        let pod = documents.iter_mut().find(|known| known.contains(&format!("uid: uid-web-{at},")));
        let pod = pod.unwrap();
        *pod = pod.replace(
            "spec: {nodeName",
            &format!("spec: {{volumes: [{{name: data, persistentVolumeClaim: {{claimName: data-{at}}}}}], nodeName"),
        );
        documents.push(format!(
            "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {{name: data-{at}, namespace: shop}}\nspec: {{volumeName: pv-{at}, storageClassName: disk}}\n"
        ));
        documents.push(format!(
            "apiVersion: v1\nkind: PersistentVolume\nmetadata: {{name: pv-{at}}}\nspec: {{nodeAffinity: {{required: {{nodeSelectorTerms: [{{matchExpressions: [{{key: topology.kubernetes.io/zone, operator: In, values: [{zone}]}}]}}]}}}}}}\n"
        ));
    }
    documents
}

/// Zone c is there and wants no pods.
fn shunned(mut documents: Vec<String>) -> Vec<String> {
    for node in &mut documents {
        if node.contains("kind: Node") && node.contains("name: c") {
            *node = format!("{node}spec: {{taints: [{{key: busy, effect: PreferNoSchedule}}]}}\n");
        }
    }
    documents
}

const ONE_PER_HOST: &str = "affinity: {podAntiAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [{topologyKey: kubernetes.io/hostname, labelSelector: {matchLabels: {app: web}}}]}}";

#[rstest]
#[case::all_in_one_zone(
    Check::AllInOneZone,
    with_nodes(THREE, running("Deployment", "a1 a2", "")),
    with_nodes(THREE, running("Deployment", "a1 b1", ""))
)]
#[case::one_zone_is_all_there_is(
    Check::AllInOneZone,
    with_nodes("a1 b1", running("Deployment", "a1 a1", "")),
    with_nodes("a1 a2", running("Deployment", "a1 a2", ""))
)]
#[case::more_than_half(
    Check::MoreThanHalfInOneZone,
    with_nodes(THREE, running("Deployment", "a1 a2 a1 b1", "")),
    with_nodes(THREE, running("Deployment", "a1 a2 b1 b2", ""))
)]
#[case::quorum(
    Check::QuorumInOneZone,
    with_nodes(THREE, running("StatefulSet", "a1 a2 b1", "")),
    with_nodes(THREE, running("StatefulSet", "a1 b1 c1", ""))
)]
#[case::one_node(
    Check::AllOnOneNode,
    with_nodes(THREE, running("Deployment", "a1 a1", "")),
    with_nodes(THREE, running("Deployment", "a1 a2", ""))
)]
#[case::volumes(
    Check::VolumesInOneZone,
    with_nodes(THREE, with_volumes("a1 a2", "a a")),
    with_nodes(THREE, with_volumes("a1 b1", "a b"))
)]
#[case::pinned_volume(
    Check::WouldStayPending,
    with_nodes(THREE, with_volumes("a1 b1 c1", "a b c")),
    with_nodes(THREE, running("StatefulSet", "a1 b1 c1", ""))
)]
#[case::hard_constraint(Check::WouldStayPending, with_nodes(THREE, running("Deployment", "a1 a2 b1 b2 c1 c2", &spread(HARD, ""))), with_nodes(THREE, running("Deployment", "a1 a2 b1 b2 c1 c2", &spread(SOFT, ""))))]
#[case::key_that_no_node_has(Check::UnknownTopologyKey, with_nodes(THREE, running("Deployment", "a1 b1", &spread(SOFT, "topologyKey: example.com/rack"))), with_nodes(THREE, running("Deployment", "a1 b1", &spread(SOFT, ""))))]
#[case::soft_loses(Check::SoftConstraintLoses, shunned(with_nodes(THREE, running("Deployment", "a1 a2 b1 b2", &spread(SOFT, "")))), with_nodes(THREE, running("Deployment", "a1 a2 b1 b2", &spread(SOFT, ""))))]
#[case::soft_is_kept(Check::SoftConstraintLoses, shunned(with_nodes(THREE, running("Deployment", "a1 a2 b1 b2", &spread(SOFT, "")))), shunned(with_nodes(THREE, running("Deployment", "a1 b1", &spread(SOFT, "")))))]
#[case::zones_of_two_sizes(Check::ConstraintsLock, with_nodes("a1 a2 a3 b1 b2 b3 c1", running("Deployment", "a1 b1 c1 a2 b2 a3", &format!("{}, {ONE_PER_HOST}", spread(HARD, "")))), with_nodes("a1 a2 b1 b2 c1 c2", running("Deployment", "a1 b1 c1 a2 b2 c2", &format!("{}, {ONE_PER_HOST}", spread(HARD, "")))))]
#[case::min_domains_of_nodes(Check::MinDomainsAboveZones, with_nodes("a1 b1", running("Deployment", "a1 b1", &spread(HARD, "minDomains: 3"))), with_nodes(THREE, running("Deployment", "a1 b1", &spread(HARD, "minDomains: 3"))))]
fn a_check_of_pods_fires_and_is_silent(
    #[case] check: Check,
    #[case] fires: Vec<String>,
    #[case] silent: Vec<String>,
) {
    let found = messages(check, &fires, None);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(messages(check, &silent, None), Vec::<String>::new());
}

#[test]
fn a_budget_that_never_synced_says_it_in_its_controllers_words() {
    let failed = budget("minAvailable: 1")
        + "status: {conditions: [{type: DisruptionAllowed, status: 'False', reason: SyncFailed, message: found no controller ref for pod bare, lastTransitionTime: '2026-01-01T00:00:00Z'}]}\n";
    let found = messages(Check::BudgetNeverSyncs, &[deployment("web", 2, ""), failed], None);
    assert_eq!(
        found,
        [
            "PodDisruptionBudget/web: its controller cannot count its pods: found no controller ref for pod bare"
        ]
    );
}

#[test]
fn pods_of_owners_of_unknown_kinds_are_looked_at_too() {
    let mut documents = with_nodes(THREE, running("StatefulSet", "a1 a2", ""));
    documents.retain(|known| !known.contains("kind: StatefulSet\nmetadata"));
    for pod in &mut documents {
        *pod = pod.replace("kind: StatefulSet, name: web", "kind: Cluster, name: pg");
    }
    let found = messages(Check::AllInOneZone, &documents, None);
    assert_eq!(found, ["Cluster/pg: all 2 pods are in zone a"]);
}
