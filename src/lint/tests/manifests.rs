//! Checks that manifests alone can answer, or manifests and the number of zones.

use rstest::rstest;

use super::*;

const HARD: &str = "DoNotSchedule";
const SOFT: &str = "ScheduleAnyway";
const APART: &str = "affinity: {podAntiAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [{topologyKey: topology.kubernetes.io/zone, labelSelector: {matchLabels: {app: web}}}]}}";
const NEVER_READY: &str =
    "containers: [{name: slow, startupProbe: {failureThreshold: 60, periodSeconds: 10}}]";

/// The spec of pods with another container.
fn with_containers(containers: &str) -> String {
    let pods = deployment("web", 3, "");
    let begin = pods.find("spec: {containers").unwrap();
    format!("{}spec: {{{containers}}}\n", &pods[..begin])
}

#[rstest]
#[case::no_zone_constraint(Check::NoZoneConstraint, None, deployment("web", 3, ""), deployment("web", 3, &spread(SOFT, "")))]
#[case::anti_affinity_is_one(Check::NoZoneConstraint, None, deployment("web", 3, &APART.replace("/zone", "/region")), deployment("web", 3, APART))]
#[case::one_pod_needs_none(
    Check::NoZoneConstraint,
    None,
    deployment("web", 2, ""),
    deployment("web", 1, "")
)]
#[case::one_zone_needs_none(Check::NoZoneConstraint, Some(1), deployment("web", 2, "").replace("name: web", "name: x") + "---\n" + &nodes("a1 b1").join("---\n"), deployment("web", 2, ""))]
#[case::selector_misses(Check::SelectorMissesOwnPods, None, deployment("web", 3, &spread(SOFT, "labelSelector: {matchLabels: {app: wbe}}")), deployment("web", 3, &spread(SOFT, "")))]
#[case::selector_lacks(Check::SelectorMissesOwnPods, None, deployment("web", 3, &spread(HARD, "").replace(", labelSelector: {matchLabels: {app: web}}", "")), deployment("web", 3, &spread(HARD, "")))]
#[case::selector_matches_others(Check::SelectorMatchesOthers, None, deployment("web", 3, &spread(SOFT, "labelSelector: {matchLabels: {part-of: shop}}")) + "---\n" + &deployment("was", 2, ""), deployment("web", 3, &spread(SOFT, "")) + "---\n" + &deployment("was", 2, ""))]
#[case::revisions_tell_others_apart(Check::SelectorMatchesOthers, None, deployment("web", 3, &spread(SOFT, "labelSelector: {matchLabels: {part-of: shop}}, matchLabelKeys: [part-of]")) + "---\n" + &deployment("was", 2, ""), deployment("web", 3, &spread(SOFT, "labelSelector: {matchLabels: {part-of: shop}}, matchLabelKeys: [pod-template-hash]")) + "---\n" + &deployment("was", 2, ""))]
#[case::removed_key(Check::UnknownTopologyKey, None, deployment("web", 3, &spread(SOFT, "topologyKey: failure-domain.beta.kubernetes.io/zone")), deployment("web", 3, &spread(SOFT, "")))]
#[case::misspelled_key(Check::UnknownTopologyKey, None, deployment("web", 3, &spread(SOFT, "topologyKey: topology.kubernetes.io/zones")), deployment("web", 3, &spread(SOFT, "topologyKey: example.com/rack")))]
#[case::max_skew(Check::MaxSkewWithoutEffect, None, deployment("web", 3, &spread(HARD, "maxSkew: 3")), deployment("web", 3, &spread(HARD, "maxSkew: 2")))]
#[case::max_skew_of_few(Check::MaxSkewWithoutEffect, None, deployment("web", 3, &spread(HARD, "maxSkew: 5")) + "---\n" + &autoscaler(3, 5), deployment("web", 3, &spread(HARD, "maxSkew: 5")) + "---\n" + &autoscaler(3, 12))]
#[case::min_domains(Check::MinDomainsAboveZones, Some(2), deployment("web", 3, &spread(HARD, "minDomains: 3")), deployment("web", 3, &spread(HARD, "minDomains: 2")))]
#[case::match_label_keys(Check::NoMatchLabelKeys, None, deployment("web", 3, &spread(HARD, "")), deployment("web", 3, &spread(HARD, "matchLabelKeys: [pod-template-hash]")))]
#[case::sets_need_none(Check::NoMatchLabelKeys, None, workload("Rollout", "web", 3, &spread(HARD, "")), workload("StatefulSet", "web", 3, &spread(HARD, "")))]
#[case::anti_affinity(
    Check::AntiAffinityAboveZones,
    Some(3),
    deployment("web", 4, APART),
    deployment("web", 3, APART)
)]
#[case::pinned(
    Check::PinnedToZone,
    None,
    deployment("web", 2, "nodeSelector: {topology.kubernetes.io/zone: a}"),
    deployment("web", 2, "nodeSelector: {pool: a}")
)]
#[case::pinned_by_affinity(
    Check::PinnedToZone,
    None,
    deployment(
        "web",
        2,
        "affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [{matchExpressions: [{key: topology.kubernetes.io/zone, operator: In, values: [a]}]}]}}}"
    ),
    deployment(
        "web",
        2,
        "affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [{matchExpressions: [{key: topology.kubernetes.io/zone, operator: In, values: [a, b]}]}]}}}"
    )
)]
#[case::other_scheduler(
    Check::OtherScheduler,
    None,
    deployment("web", 2, "schedulerName: volcano"),
    deployment("web", 2, "schedulerName: default-scheduler")
)]
#[case::no_budget(Check::NoBudget, None, deployment("web", 2, ""), deployment("web", 2, "") + "---\n" + &budget("maxUnavailable: 1"))]
#[case::no_budget_of_one(Check::NoBudget, None, deployment("web", 1, "") + "---\n" + &autoscaler(1, 5), deployment("web", 1, ""))]
#[case::never_allows(Check::BudgetNeverAllows, None, deployment("web", 2, "") + "---\n" + &budget("minAvailable: 2"), deployment("web", 3, "") + "---\n" + &budget("minAvailable: 2"))]
#[case::never_allows_a_share(Check::BudgetNeverAllows, None, deployment("web", 3, "") + "---\n" + &budget("minAvailable: 67%"), deployment("web", 3, "") + "---\n" + &budget("minAvailable: 66%"))]
#[case::none_unavailable(Check::BudgetNeverAllows, None, deployment("web", 3, "") + "---\n" + &budget("maxUnavailable: 0%"), deployment("web", 3, "") + "---\n" + &budget("maxUnavailable: 1%"))]
#[case::never_syncs(Check::BudgetNeverSyncs, None, workload("DaemonSet", "web", 1, "") + "---\n" + &budget("maxUnavailable: 1"), workload("DaemonSet", "web", 1, "") + "---\n" + &budget("minAvailable: 1"))]
#[case::two_budgets(Check::TwoBudgets, None, deployment("web", 3, "") + "---\n" + &budget("maxUnavailable: 1") + "---\n" + &named_budget("old", "minAvailable: 1"), deployment("web", 3, "") + "---\n" + &budget("maxUnavailable: 1"))]
#[case::unhealthy(Check::BudgetKeepsUnhealthyPods, None, deployment("web", 3, "") + "---\n" + &budget("maxUnavailable: 1"), deployment("web", 3, "") + "---\n" + &budget("maxUnavailable: 1, unhealthyPodEvictionPolicy: AlwaysAllow"))]
#[case::above_autoscaler(Check::MinAvailableAboveAutoscaler, None, deployment("web", 5, "") + "---\n" + &budget("minAvailable: 2") + "---\n" + &autoscaler(2, 9), deployment("web", 5, "") + "---\n" + &budget("minAvailable: 2") + "---\n" + &autoscaler(3, 9))]
#[case::single(Check::SingleReplica, None, deployment("web", 1, ""), deployment("web", 2, ""))]
#[case::single_at_least(Check::SingleReplica, None, deployment("web", 4, "") + "---\n" + &autoscaler(1, 9), deployment("web", 1, "") + "---\n" + &autoscaler(2, 9))]
#[case::fewer_than_zones(
    Check::FewerReplicasThanZones,
    Some(3),
    deployment("web", 2, ""),
    deployment("web", 3, "")
)]
#[case::no_requests(
    Check::NoRequests,
    None,
    with_containers("containers: [{name: main}]"),
    with_containers("containers: [{name: main, resources: {limits: {memory: 1Gi}}}]")
)]
#[case::no_requests_of_a_pod(
    Check::NoRequests,
    None,
    with_containers("containers: [{name: main, resources: {requests: {ephemeral-storage: 1Gi}}}]"),
    with_containers("resources: {requests: {cpu: 1}}, containers: [{name: main}]")
)]
#[case::slow(Check::SlowStart, None, with_containers(NEVER_READY), with_containers(&NEVER_READY.replace("60", "30")))]
#[case::same_zone(Check::SameZoneTraffic, Some(3), deployment("web", 2, "") + "---\n" + &service(", trafficDistribution: PreferClose"), deployment("web", 3, "") + "---\n" + &service(", trafficDistribution: PreferClose"))]
#[case::would_pend(Check::WouldStayPending, Some(3), deployment("web", 6, &spread(HARD, "")), deployment("web", 6, &spread(HARD, "nodeTaintsPolicy: Honor")))]
#[case::would_pend_by_anti_affinity(Check::WouldStayPending, Some(3), deployment("web", 3, APART), deployment("web", 3, &APART.replace("required", "preferred").replace("[{topologyKey", "[{weight: 1, podAffinityTerm: {topologyKey").replace("app: web}}}]", "app: web}}}}]")))]
fn a_check_fires_and_is_silent(
    #[case] check: Check,
    #[case] zones: Option<usize>,
    #[case] fires: String,
    #[case] silent: String,
) {
    let found = messages(check, &[fires], zones);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].contains('/') && found[0].contains(": "), "the object first: {found:?}");
    assert_eq!(messages(check, &[silent], zones), Vec::<String>::new());
}

/// The number is the outlook's.
#[test]
fn the_pods_that_would_wait_are_counted() {
    let found =
        messages(Check::WouldStayPending, &[deployment("web", 6, &spread(HARD, ""))], Some(3));
    assert!(
        found[0].starts_with("Deployment/web: without zone 1 of 3, from an even spread, 2 pods would stay Pending while the nodes are unreachable: "),
        "{found:?}"
    );
    assert!(found[0].ends_with("set nodeTaintsPolicy: Honor"), "{found:?}");
}

/// `defaultMode: 0644`, as many charts have it: no number of YAML 1.2.
#[test]
fn fields_that_nobody_looks_at_may_say_anything() {
    let odd = deployment("web", 1, "volumes: [{name: x, configMap: {name: x, defaultMode: 0644}}]");
    assert_eq!(messages(Check::SingleReplica, &[odd], None).len(), 1);
}

#[test]
fn a_daemon_set_is_spread_by_its_nature() {
    let report = report(&workload("DaemonSet", "web", 1, ""), Some(3));
    assert_eq!((report.findings, report.workloads), (vec![], 0));
}

#[test]
fn what_manifests_cannot_answer_is_said_with_the_flag_that_does() {
    let documents = deployment("web", 2, &spread(HARD, "minDomains: 3"));
    let open = report(&documents, None);
    let told: Vec<Check> = open.not_checked.iter().map(|known| known.check).collect();
    assert_eq!(
        told,
        [Check::WouldStayPending, Check::MinDomainsAboveZones, Check::FewerReplicasThanZones]
    );
    assert!(open.not_checked.iter().all(|known| known.why.contains("--zones N")), "{open:?}");
    assert_eq!(report(&documents, Some(3)).not_checked, []);
}

#[test]
fn nodes_and_neighbours_that_are_not_known_are_said() {
    let documents = [
        deployment("web", 2, "nodeSelector: {pool: fast}"),
        deployment(
            "was",
            2,
            "affinity: {podAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [{topologyKey: kubernetes.io/hostname, labelSelector: {matchLabels: {app: db}}}]}}",
        ),
    ];
    let report = report(&documents.join("---\n"), Some(3));
    let whys: Vec<&str> = report.not_checked.iter().map(|known| known.why.as_str()).collect();
    assert_eq!(whys.len(), 2, "{whys:?}");
    assert!(whys[0].contains("near other pods") && whys[1].contains("which nodes"), "{whys:?}");
}
