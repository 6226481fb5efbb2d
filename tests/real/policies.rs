//! Policies: what the API server refuses, what only the operator can refuse, and what
//! users see of the others.

use crate::harness::{Cluster, Operator, ScheduleAnyway, deployment, eventually, install};
use crate::policy::{self, SOON, evictions_in, phase, policy, ready};
use futures::future::join_all;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::jiff::Timestamp;
use kube::api::{Api, ApiResource, DynamicObject, Patch, PatchParams, PostParams};
use serde_json::json;
use zonespread::api::{
    FIELD_MANAGER, LossReason, Phase, TierStatus, TierZone, ZoneLoss, ZoneSpreadPolicy,
    ZoneSpreadPolicyStatus, limit,
};

/// Specs that are wrong, and what the answer must say: the field, and the remedy.
const REFUSED: [(&str, &[&str]); 31] = [
    ("{tierLabel: tier}", &["spec.selector", "Required value"]),
    ("{selector: {}}", &["spec.selector is empty", "name the pods with matchLabels"]),
    (
        "{selector: {matchExpressions: [{key: app, operator: In}]}}",
        &["spec.selector.matchExpressions", "In and NotIn need values"],
    ),
    (
        "{selector: {matchExpressions: [{key: app, operator: Exists, values: [web]}]}}",
        &["spec.selector.matchExpressions", "Exists and DoesNotExist take none"],
    ),
    (
        "{selector: {matchExpressions: [{key: app, operator: Equals, values: [web]}]}}",
        &["spec.selector.matchExpressions[0].operator", "supported values", "\"NotIn\""],
    ),
    (
        "{SELECT, tierLabel: no spaces}",
        &["spec.tierLabel", "such as tier or app.kubernetes.io/component"],
    ),
    ("{SELECT, maxSkew: 0}", &["spec.maxSkew", "greater than or equal to 1"]),
    ("{SELECT, maxSkew: wide}", &["spec.maxSkew", "must be of type integer"]),
    ("{SELECT, mode: Sometimes}", &["spec.mode", "supported values", "\"Observe\""]),
    ("{SELECT, maxskew: 2}", &["unknown field", "spec.maxskew"]),
    (
        "{SELECT, rebalance: {holdDown: 7h}}",
        &["spec.rebalance.holdDown", "from 0s to 6h, such as 90s"],
    ),
    (
        "{SELECT, rebalance: {holdDown: 10x}}",
        &["spec.rebalance.holdDown", "0s to 6h, such as 90s or 1h30m"],
    ),
    ("{SELECT, rebalance: {holdDown: 10}}", &["spec.rebalance.holdDown", "must be of type string"]),
    ("{SELECT, rebalance: {holdDown: -1m}}", &["spec.rebalance.holdDown", "from 0s to 6h"]),
    (
        "{SELECT, rebalance: {landingTimeout: 0s}}",
        &["spec.rebalance.landingTimeout", "from 1s to 6h"],
    ),
    ("{SELECT, rebalance: {maxUnavailable: 0}}", &MAX_UNAVAILABLE),
    ("{SELECT, rebalance: {maxUnavailable: 0%}}", &MAX_UNAVAILABLE),
    ("{SELECT, rebalance: {maxUnavailable: 150%}}", &MAX_UNAVAILABLE),
    ("{SELECT, rebalance: {maxUnavailable: '2'}}", &MAX_UNAVAILABLE),
    (
        "{SELECT, rebalance: {windows: [{schedule: 0 22 * *, duration: 1h}]}}",
        &["spec.rebalance.windows[0].schedule", "five fields (minute, hour,", "0 22 * * MON-FRI"],
    ),
    (
        "{SELECT, rebalance: {windows: [{schedule: '@daily', duration: 1h}]}}",
        &["spec.rebalance.windows[0].schedule", "five fields"],
    ),
    (
        "{SELECT, rebalance: {windows: [{schedule: 0 22 * * *, duration: 8d}]}}",
        &["spec.rebalance.windows[0].duration", "from 1m to 168h, such as 90m or 8h"],
    ),
    (
        "{SELECT, tiers: [{name: web, rebalance: {windows: [{schedule: 0 22 * * *, duration: 1h, timeZone: 'Europe/ London'}]}}]}",
        &["spec.tiers[0].rebalance.windows[0].timeZone", "such as Europe/London"],
    ),
    (
        "{SELECT, rebalance: {windows: [{schedule: 0 22 * * *}]}}",
        &["spec.rebalance.windows[0].duration", "Required value"],
    ),
    ("{SELECT, rebalance: {localStorage: Move}}", &["spec.rebalance.localStorage", "\"Keep\""]),
    (
        "{SELECT, tiers: [{name: web, rebalance: {holdDown: 7h}}]}",
        &["spec.tiers[0].rebalance.holdDown", "from 0s to 6h, such as 90s"],
    ),
    (
        "{SELECT, tiers: [{name: web, rebalance: {maxUnavailable: 10001}}]}",
        &["spec.tiers[0].rebalance.maxUnavailable", "less than or equal to 10000"],
    ),
    (
        "{SELECT, tiers: [{name: web, rebalance: {maxUnavailable: 101%}}]}",
        &["spec.tiers[0].rebalance.maxUnavailable", "a percentage from 1% to 100%"],
    ),
    (
        "{SELECT, tiers: [{name: web, singleZone: {accepted: true}}]}",
        &["spec.tiers[0].singleZone", "reason is missing: say why"],
    ),
    (
        "{SELECT, tiers: [{name: web}, {name: web, maxSkew: 2}]}",
        &["spec.tiers[1]", "Duplicate value", "web"],
    ),
    ("{SELECT, tiers: [{maxSkew: 2}]}", &["spec.tiers[0].name", "Required value"]),
];
const MAX_UNAVAILABLE: [&str; 2] =
    ["spec.rebalance.maxUnavailable", "at least 1, or a percentage from 1% to 100%"];

#[tokio::test]
async fn a_wrong_policy_is_refused_with_its_field_and_the_remedy() {
    let cluster = Cluster::start().await;
    install(&cluster).await;
    let documents: Vec<String> =
        REFUSED.iter().map(|(spec, _)| document("refused", spec)).collect();
    let answer = cluster.try_apply(documents.join("\n---\n")).await.unwrap_err();
    let complaints: Vec<&str> = answer.lines().collect();
    assert_eq!(complaints.len(), REFUSED.len(), "one line for each:\n{answer}");
    for (complaint, (spec, fragments)) in complaints.iter().zip(REFUSED) {
        for fragment in fragments {
            assert!(complaint.contains(fragment), "{spec}: no {fragment:?} in {complaint}");
        }
    }
}

/// Durations that people write, and some just past what the schema takes.
const DURATIONS: [&str; 22] = [
    "0s",
    "1s",
    "90s",
    "10m",
    "6h",
    "1h30m",
    "30m1h",
    "1m1m",
    "0.5h",
    "1s250.5ms",
    "999ms",
    "000000090s",
    "0.000000001h",
    "6h1ms",
    "0000000090s",
    "0.0000000001h",
    "90",
    "-1s",
    "1d",
    "1 m",
    ".5m",
    "1s1s1s1s1s1s1s1s1s1s1s1s1s1s1s10s",
];

/// A policy that the API server takes and the operator cannot read would blind it; one that
/// only the operator takes would be planned with from a file, and refused in a cluster.
#[tokio::test]
async fn the_operator_reads_the_durations_that_the_api_server_takes_and_no_others() {
    let cluster = Cluster::start().await;
    install(&cluster).await;
    let api: Api<DynamicObject> = Api::namespaced_with(
        cluster.client(),
        "default",
        &ApiResource::erase::<ZoneSpreadPolicy>(&()),
    );
    let dry_run = PostParams { dry_run: true, ..PostParams::default() };
    for duration in DURATIONS {
        for rebalance in [
            json!({"holdDown": duration}),
            json!({"landingTimeout": duration}),
            json!({"windows": [{"schedule": "0 22 * * *", "duration": duration}]}),
        ] {
            let policy = json!({
                "apiVersion": "zonespread.io/v1alpha1", "kind": "ZoneSpreadPolicy",
                "metadata": {"name": "p", "namespace": "default"},
                "spec": {"selector": {"matchLabels": {"a": "b"}}, "rebalance": rebalance},
            });
            let is_read = serde_json::from_value::<ZoneSpreadPolicy>(policy.clone()).is_ok();
            let answer = api.create(&dry_run, &serde_json::from_value(policy).unwrap()).await;
            assert_eq!(is_read, answer.is_ok(), "{rebalance}: {answer:?}");
        }
    }
}

fn document(name: &str, spec: &str) -> String {
    let spec = spec.replace("SELECT", "selector: {matchLabels: {app: web}}");
    format!(
        "{{apiVersion: zonespread.io/v1alpha1, kind: ZoneSpreadPolicy, \
         metadata: {{name: {name}, namespace: default}}, spec: {spec}}}"
    )
}

/// Who owns which field is stored with a status, and counts against what etcd takes.
#[tokio::test]
async fn a_status_with_all_tiers_and_zones_that_there_may_be_can_be_written() {
    let cluster = Cluster::start().await;
    install(&cluster).await;
    cluster.apply(document("large", "{SELECT}")).await;
    let zones = (0..limit::ZONES).map(|number| format!("eu-west-2{number:02}"));
    let tier = TierStatus {
        pods: 100,
        zones: zones.clone().map(|name| TierZone { name, pods: 10, available: 10 }).collect(),
        zone_loss: zones
            .map(|zone| ZoneLoss { zone, surviving: 90, percent: 90, ..ZoneLoss::default() })
            .collect(),
        ..TierStatus::default()
    };
    let mut told = limit::TOLD_LOSSES;
    let tiers: Vec<TierStatus> = (0..limit::TIERS)
        .map(|number| {
            let mut tier = TierStatus { name: format!("tier-{number}"), ..tier.clone() };
            for loss in &mut tier.zone_loss {
                if told > 0 {
                    told -= 1;
                    (loss.pending, loss.fits) = (Some(7), Some(3));
                    loss.reason = Some(LossReason::WouldPend);
                }
            }
            // Of several zones the worst is told in words.
            tier.zone_loss[0].message = Some("x".repeat(512));
            tier
        })
        .collect();
    let status = ZoneSpreadPolicyStatus { tiers, ..ZoneSpreadPolicyStatus::default() };
    let patch = json!({
        "apiVersion": "zonespread.io/v1alpha1",
        "kind": "ZoneSpreadPolicy",
        "status": status,
    });
    let api: Api<ZoneSpreadPolicy> = Api::namespaced(cluster.client(), "default");
    let parameters = PatchParams::apply(FIELD_MANAGER).force();
    let written = api.patch_status("large", &parameters, &Patch::Apply(&patch)).await.unwrap();
    assert_eq!(written.status.unwrap().tiers.len(), limit::TIERS);
    let owned = serde_json::to_vec(&written.metadata.managed_fields).unwrap().len();
    assert!(owned < 100_000, "who owns it takes {owned} bytes");
}

/// Odd, but right: the operator must be able to read whatever the API server lets through,
/// or one user could blind it for all.
const ACCEPTED: [&str; 7] = [
    "{SELECT, rebalance: {windows: [{schedule: '*/5  0-23 1,31 JAN-DEC 0#2,5L', duration: 60.0s, timeZone: etc/GMT+12}]}}",
    "{SELECT, rebalance: {holdDown: 0s, landingTimeout: 1h1h0.5h30.25m1ms, maxUnavailable: 100%}}",
    "{SELECT, rebalance: {holdDown: 0.000000001s, landingTimeout: 000000090s, maxUnavailable: 10000}}",
    "{SELECT, rebalance: null, tiers: null, mode: null, maxSkew: null, tierLabel: null}",
    "{selector: {matchLabels: {app: '', 'not a label!': 'neither is this'}}}",
    "{selector: {matchLabels: null, matchExpressions: [{key: a, operator: NotIn, values: ['', x]}]}}",
    "{SELECT, tierLabel: a.b/C_d.e-f, tiers: [{name: x, rebalance: null, singleZone: {accepted: false}}]}",
];

/// Windows that look right to the API server, and what the operator says of them.
const UNREADABLE: [(&str, &str, &str); 3] = [
    ("61 * * * *", "UTC", "spec.rebalance.windows[0].schedule: \"61 * * * *\" is no cron schedule"),
    ("0 0 30 FEB *", "UTC", "never fires (such as 30 February): choose a valid day"),
    ("0 0 * * *", "Mars/Olympus", "spec.rebalance.windows[0].timeZone: there is no time zone"),
];

const HOLD: &str = "  rebalance: {holdDown: 2s}\n";

#[tokio::test]
async fn what_only_the_operator_can_refuse_is_said_and_the_others_go_on() {
    let cluster = Cluster::start().await;
    three_zones(&cluster).await;
    let operator = policy::operator(&cluster).await;
    let odd = ACCEPTED.iter().enumerate().map(|(at, spec)| document(&format!("odd-{at}"), spec));
    cluster.apply(odd.collect::<Vec<_>>().join("\n---\n")).await;
    a_shop(&cluster).await;
    cluster.apply(policy("shop", "shop", HOLD)).await;
    phase(&cluster, "shop", "shop", Phase::Balanced).await;
    for at in 0..ACCEPTED.len() {
        phase(&cluster, "default", &format!("odd-{at}"), Phase::Ineffective).await;
    }

    // Older by age, not by name; of the same second the name decides.
    let made = policy::read(&cluster, "shop", "shop").await.metadata.creation_timestamp.unwrap();
    eventually(SOON, "another second", async || {
        (Timestamp::now().as_second() > made.0.as_second()).then_some(())
    })
    .await;
    let another = policy("shop", "another", HOLD).replace("part-of: another", "app: web");
    cluster.apply(&another).await;
    let invalid = phase(&cluster, "shop", "another", Phase::Invalid).await;
    let (start, end) = (
        "spec.selector: 6 of the selected pods, such as web-",
        ", belong to the older policy shop: narrow one of the two selectors",
    );
    let message = &invalid.message;
    assert!(message.starts_with(start) && message.ends_with(end), "{message}");
    a_crowd(&cluster, 201).await;
    cluster.apply(policy("crowd", "crowd", "")).await;
    let invalid = phase(&cluster, "crowd", "crowd", Phase::Invalid).await;
    let expected =
        "spec.tierLabel: the pods carry 201 values of it, and a policy can have 200 tiers";
    assert!(invalid.message.starts_with(expected), "{}", invalid.message);
    assert_eq!(phases(&operator, "crowd").await, ["Invalid"]);

    for (schedule, zone, complaint) in UNREADABLE {
        let windows =
            format!("windows: [{{schedule: {schedule}, duration: 1h, timeZone: {zone}}}]");
        cluster.apply(policy("crowd", "late", &format!("  rebalance: {{{windows}}}\n"))).await;
        let what = format!("{schedule} {zone} to be refused");
        policy::until(&cluster, "crowd", "late", &what, |status| {
            status.phase == Some(Phase::Invalid) && status.message.contains(complaint)
        })
        .await;
    }

    cluster.cordon_zone("eu-west-2c").await;
    cluster.evacuate_zone("eu-west-2c").await;
    ready(&cluster, "shop", "app=web", 6).await;
    phase(&cluster, "shop", "shop", Phase::Frozen).await;
    cluster.uncordon_zone("eu-west-2c").await;
    phase(&cluster, "shop", "shop", Phase::Balanced).await;
    assert_eq!(evictions_in(&cluster, "shop").len(), 2);
    assert_eq!(policy::status(&cluster, "shop", "another").await.phase, Some(Phase::Invalid));

    cluster.kubectl(&["delete", "zsp", "-n", "shop", "shop"]).await.unwrap();
    let heir = phase(&cluster, "shop", "another", Phase::Balanced).await;
    assert_eq!(heir.tiers[0].pods, 6, "the younger one takes over");
    eventually(SOON, "the series of a deleted policy to vanish", async || {
        let metrics = operator.metrics().await;
        let left = metrics
            .iter()
            .find(|sample| sample.labels.get("policy").is_some_and(|policy| policy == "shop"));
        left.map_or(Ok(()), |left| Err(format!("{left:?}")))
    })
    .await;
    assert_eq!(phases(&operator, "another").await, ["Balanced"]);

    cluster.apply(policy("shop", "shop", HOLD)).await;
    let invalid = phase(&cluster, "shop", "shop", Phase::Invalid).await;
    assert!(invalid.message.contains("the older policy another"), "{}", invalid.message);
    assert!(invalid.moves.is_empty() && invalid.recovery.is_none(), "a new life: {invalid:#?}");
    cluster.kubectl(&["delete", "zsp", "-n", "shop", "another"]).await.unwrap();
    phase(&cluster, "shop", "shop", Phase::Balanced).await;
    assert_eq!(phases(&operator, "shop").await, ["Balanced"]);
    assert_eq!(evictions_in(&cluster, "shop").len(), 2);
}

async fn three_zones(cluster: &Cluster) {
    for zone in ["eu-west-2a", "eu-west-2b", "eu-west-2c"] {
        cluster.add_zone(zone, 2).await;
    }
}

async fn a_shop(cluster: &Cluster) {
    cluster.namespace("shop").await;
    let web = deployment("shop", "web", 6).label("part-of", "shop").spread(ScheduleAnyway);
    cluster.apply(web.start_delay("1s").to_string()).await;
    ready(cluster, "shop", "app=web", 6).await;
}

/// Pods of which each is a tier. No scheduler looks at them.
async fn a_crowd(cluster: &Cluster, pods: usize) {
    cluster.namespace("crowd").await;
    let api: Api<Pod> = Api::namespaced(cluster.client(), "crowd");
    let made = (0..pods).map(async |number| {
        let pod = json!({
            "metadata": {"name": format!("pod-{number}"),
                         "labels": {"part-of": "crowd", "app": format!("app-{number}")}},
            "spec": {"schedulingGates": [{"name": "zonespread.test/never"}],
                     "containers": [{"name": "main", "image": "registry.invalid/app:1"}]},
        });
        let pod = serde_json::from_value(pod).unwrap();
        api.create(&PostParams::default(), &pod).await.unwrap();
    });
    join_all(made).await;
}

/// The phases that the metrics show of a policy.
async fn phases(operator: &Operator, policy: &str) -> Vec<String> {
    let shown = operator.metrics().await.into_iter().filter(|sample| {
        sample.is("zonespread_policy_phase", &[("policy", policy)]) && sample.value > 0.0
    });
    shown.map(|sample| sample.labels["phase"].clone()).collect()
}

/// An operator that is newer than the CRDs: nothing is evicted, and the log says which file to
/// apply, once.
#[tokio::test]
async fn an_operator_that_is_newer_than_the_crds_says_which_file_to_apply() {
    let cluster = Cluster::start().await;
    let kubeconfig = install(&cluster).await;
    three_zones(&cluster).await;
    a_shop(&cluster).await;
    let of_policies = "crd/zonespreadpolicies.zonespread.io";
    let status = "/spec/versions/0/schema/openAPIV3Schema/properties/status/properties";
    let without_a_field = json!([{"op": "remove", "path": format!("{status}/scheduler")}]);
    let without_values =
        json!([{"op": "replace", "path": format!("{status}/phase/enum"), "value": ["Frozen"]}]);
    for (older, says) in
        [(without_a_field, "field not declared in schema"), (without_values, "supported values")]
    {
        let older = older.to_string();
        cluster.kubectl(&["patch", of_policies, "--type=json", "-p", &older]).await.unwrap();
        cluster.apply(policy("shop", "shop", "")).await;
        the_crd_is_older(&cluster, says).await;
        let mut operator = policy::replica(&cluster, &kubeconfig, &[]).await;
        let said = eventually(SOON, "the file to apply", async || {
            let log = operator.log();
            let lines = log.lines().filter(|line| line.contains("apply its crds/zonespread.yaml"));
            let lines: Vec<String> = lines.map(str::to_owned).collect();
            if lines.is_empty() { Err(log) } else { Ok(lines) }
        })
        .await;
        assert!(said.len() == 1 && said[0].contains(says), "{said:?}");
        install(&cluster).await;
        phase(&cluster, "shop", "shop", Phase::Balanced).await;
        operator.terminate().await;
        cluster.kubectl(&["delete", "zsp", "shop", "-n", "shop"]).await.unwrap();
    }
}

/// Waits until a status like the operator's is refused: a CRD is in force a little later.
async fn the_crd_is_older(cluster: &Cluster, says: &str) {
    let api: Api<ZoneSpreadPolicy> = Api::namespaced(cluster.client(), "shop");
    let status = json!({"apiVersion": "zonespread.io/v1alpha1", "kind": "ZoneSpreadPolicy",
        "metadata": {"name": "shop"},
        "status": {"phase": "Balanced", "scheduler": {"version": "1.37"}}});
    let params = PatchParams { dry_run: true, ..PatchParams::apply("test").force() };
    eventually(SOON, "the older CRD to be in force", async || {
        match api.patch_status("shop", &params, &Patch::Apply(&status)).await {
            Err(error) if error.to_string().contains(says) => Ok(()),
            answer => Err(format!("{answer:?}")),
        }
    })
    .await;
}
