//! What a probe pod looks like: sized and tolerating like a pod that waits, kept in its zone
//! and on its node, allowed where pods are restricted, and with nothing that needs a right.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{NodeAffinity, Pod, Toleration as ApiToleration};
use serde_json::{Value, json};

use crate::api::{PROBE, ZONE_LABEL};
use crate::observe::{Resources, Template, Toleration, Zone};

/// Should nobody lead any more, the kubelet ends the probe after this long, and its node is
/// free. No hold-down is longer than 6 h.
const ENDS_AFTER_SECONDS: i64 = 7 * 60 * 60;
/// The service account of probe pods, in `deploy/opening`: it has no rights.
const SERVICE_ACCOUNT: &str = "zonespread-probe";

/// The image of probe pods, and the secrets that it is pulled with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// As a pod names it.
    pub name: String,
    /// Names of secrets.
    pub pull_secrets: Vec<String>,
}

/// The probe pod of a zone.
pub fn probe_pod(
    name: &str,
    zone: &Zone,
    image: &Image,
    like: &Template,
    requests: &Resources,
) -> Pod {
    let mut selector = like.node_selector.clone();
    selector.insert(ZONE_LABEL.to_owned(), zone.to_string());
    let required = like
        .node_affinity
        .as_ref()
        .and_then(|affinity| affinity.required_during_scheduling_ignored_during_execution.clone());
    let affinity = required.map(|required| {
        json!({"nodeAffinity": NodeAffinity {
            required_during_scheduling_ignored_during_execution: Some(required),
            ..NodeAffinity::default()
        }})
    });
    let secrets: Vec<Value> = image.pull_secrets.iter().map(|name| json!({"name": name})).collect();
    let tolerations: Vec<ApiToleration> = like.tolerations.iter().map(toleration).collect();
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": name,
            // Not the operator's own: its budget and its Service select by that.
            "labels": {"app.kubernetes.io/name": "zonespread-probe", PROBE: "true"},
            "annotations": {
                "karpenter.sh/do-not-disrupt": "true",
                "cluster-autoscaler.kubernetes.io/safe-to-evict": "false",
            },
        },
        "spec": {
            "nodeSelector": selector,
            "affinity": affinity,
            "tolerations": tolerations,
            "serviceAccountName": SERVICE_ACCOUNT,
            "enableServiceLinks": false,
            "activeDeadlineSeconds": ENDS_AFTER_SECONDS,
            "terminationGracePeriodSeconds": 1,
            "imagePullSecrets": secrets,
            "securityContext": {
                "runAsNonRoot": true, "runAsUser": 65532, "runAsGroup": 65532,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [{
                "name": "probe",
                "image": image.name,
                "args": ["probe"],
                "ports": [{"name": "http", "containerPort": 8080}],
                "readinessProbe": {
                    "httpGet": {"path": "/readyz", "port": "http"},
                    "periodSeconds": 2, "timeoutSeconds": 2,
                },
                "resources": {"requests": amounts(requests), "limits": limits(requests)},
                "securityContext": {
                    "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true,
                    "capabilities": {"drop": ["ALL"]},
                },
            }],
        },
    });
    // Made of the fields above, it is a pod.
    serde_json::from_value(pod).unwrap_or_default()
}

fn amounts(requests: &Resources) -> BTreeMap<String, String> {
    let Resources { cpu_milli, memory, ephemeral_storage, extended } = requests;
    let known = [
        ("cpu", *cpu_milli, "m"),
        ("memory", *memory, ""),
        ("ephemeral-storage", *ephemeral_storage, ""),
    ];
    let known = known.into_iter().filter(|(_, amount, _)| *amount > 0);
    let mut amounts: BTreeMap<String, String> =
        known.map(|(name, amount, unit)| (name.to_owned(), format!("{amount}{unit}"))).collect();
    amounts.extend(
        limits(requests)
            .into_iter()
            .filter(|(name, _)| extended.iter().any(|(known, _)| **known == **name)),
    );
    amounts
}

/// Of extended resources and huge pages, limit and request must be the same.
fn limits(requests: &Resources) -> BTreeMap<String, String> {
    let extended = requests.extended.iter().filter(|(_, amount)| *amount > 0);
    extended.map(|(name, amount)| (name.to_string(), amount.to_string())).collect()
}

fn toleration(known: &Toleration) -> ApiToleration {
    let operator = if known.value.is_some() { "Equal" } else { "Exists" };
    ApiToleration {
        key: known.key.as_ref().map(ToString::to_string),
        operator: Some(operator.to_owned()),
        value: known.value.as_ref().map(ToString::to_string),
        effect: known.effect.map(|effect| effect.as_str().to_owned()),
        toleration_seconds: known.seconds,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::fixtures::pod;

    #[test]
    fn a_probe_waits_like_the_pod_and_may_run_where_pods_are_restricted() {
        let web = pod("web-1")
            .requests("cpu", "1500m")
            .requests("memory", "2Gi")
            .requests("nvidia.com/gpu", "1")
            .spec("nodeSelector", json!({"pool": "web"}))
            .tolerates("team", "NoSchedule")
            .build();
        let image =
            Image { name: "registry.example/zonespread:1".to_owned(), pull_secrets: vec![] };
        let made = probe_pod(
            "zonespread-probe-c",
            &Zone::new("c"),
            &image,
            &web.template,
            &web.template.requests,
        );
        let spec = serde_json::to_value(made.spec.unwrap()).unwrap();
        let selector = json!({"pool": "web", "topology.kubernetes.io/zone": "c"});
        assert_eq!(spec["nodeSelector"], selector);
        assert_eq!(spec["tolerations"][0]["key"], "team");
        assert_eq!(spec["tolerations"][0]["effect"], "NoSchedule");
        let resources = &spec["containers"][0]["resources"];
        let requests = json!({"cpu": "1500m", "memory": "2147483648", "nvidia.com/gpu": "1"});
        assert_eq!(resources["requests"], requests);
        assert_eq!(resources["limits"], json!({"nvidia.com/gpu": "1"}));
        let marks = made.metadata.annotations.unwrap();
        assert_eq!(marks["karpenter.sh/do-not-disrupt"], "true");
        assert!(!made.metadata.labels.unwrap().values().any(|value| value == "zonespread"));
    }

    #[test]
    fn a_probe_for_pods_that_ask_for_nothing_asks_for_nothing() {
        let web = pod("web-1").build();
        let image = Image { name: "zonespread".to_owned(), pull_secrets: vec!["pull".to_owned()] };
        let made = probe_pod("p", &Zone::new("c"), &image, &web.template, &Resources::default());
        let spec = made.spec.unwrap();
        let resources = spec.containers[0].resources.clone().unwrap();
        assert!(resources.requests.unwrap_or_default().is_empty());
        assert_eq!(spec.image_pull_secrets.unwrap()[0].name, "pull");
        assert!(spec.affinity.is_none());
    }
}
