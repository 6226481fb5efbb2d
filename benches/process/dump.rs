//! A cluster as `kubectl get … -o json` prints it, with all that a pod has
//! and zonespread does not look at.

use std::io::{self, Write};

use serde_json::{Value, json};

use crate::cluster::{Size, node, policy};

/// Writes the cluster; nothing of it is held in memory.
pub fn write(size: Size, to: impl Write) -> io::Result<()> {
    let mut out = io::BufWriter::with_capacity(1 << 20, to);
    write!(out, "{{\n    \"apiVersion\": \"v1\",\n    \"items\": [\n")?;
    let mut first = true;
    let mut item = |api_version: &str, kind: &str, mut object: Value| -> io::Result<()> {
        object["apiVersion"] = json!(api_version);
        object["kind"] = json!(kind);
        if !std::mem::take(&mut first) {
            out.write_all(b",\n")?;
        }
        let formatter = serde_json::ser::PrettyFormatter::with_indent(b"    ");
        serde::Serialize::serialize(
            &object,
            &mut serde_json::Serializer::with_formatter(&mut out, formatter),
        )?;
        Ok(())
    };
    for at in 0..size.nodes {
        item("v1", "Node", node(at, true))?;
    }
    for at in 0..size.tiers.div_ceil(size.tiers_per_policy) {
        item("zonespread.io/v1alpha1", "ZoneSpreadPolicy", policy(at))?;
    }
    let replicas = size.pods / size.tiers;
    for tier in 0..size.tiers {
        item("apps/v1", "ReplicaSet", size.workload(tier, replicas))?;
        for at in 0..replicas {
            item("v1", "Pod", in_full(size.pod(tier, at, true)))?;
        }
    }
    write!(
        out,
        "\n    ],\n    \"kind\": \"List\",\n    \"metadata\": {{\"resourceVersion\": \"\"}}\n}}\n"
    )?;
    out.flush()
}

/// The pod with what else the API server says of one.
pub fn in_full(mut pod: Value) -> Value {
    let name = pod["metadata"]["name"].clone();
    pod["metadata"]["generateName"] = json!("tier-6d4f9c8b7-");
    pod["metadata"]["resourceVersion"] = json!("123456789");
    pod["metadata"]["annotations"] = json!({
        "kubectl.kubernetes.io/restartedAt": "2026-05-04T08:29:57Z",
        "prometheus.io/scrape": "true", "prometheus.io/port": "9090",
        "cluster-autoscaler.kubernetes.io/safe-to-evict": "true",
    });
    let probe = |path: &str| {
        json!({
            "failureThreshold": 3, "periodSeconds": 10, "successThreshold": 1, "timeoutSeconds": 1,
            "httpGet": {"path": path, "port": 8080, "scheme": "HTTP"},
        })
    };
    let container = &mut pod["spec"]["containers"][0];
    container["env"] = (0..12)
        .map(
            |at| json!({"name": format!("SETTING_{at}"), "value": format!("value {at} of {name}")}),
        )
        .collect();
    container["imagePullPolicy"] = json!("IfNotPresent");
    container["livenessProbe"] = probe("/livez");
    container["readinessProbe"] = probe("/readyz");
    container["ports"] = json!([{"containerPort": 8080, "name": "http", "protocol": "TCP"}]);
    container["terminationMessagePath"] = json!("/dev/termination-log");
    container["terminationMessagePolicy"] = json!("File");
    let image = container["image"].clone();
    let spec = &mut pod["spec"];
    for (field, value) in [
        ("dnsPolicy", json!("ClusterFirst")),
        ("enableServiceLinks", json!(true)),
        ("preemptionPolicy", json!("PreemptLowerPriority")),
        ("priority", json!(0)),
        ("restartPolicy", json!("Always")),
        ("securityContext", json!({"runAsNonRoot": true, "runAsUser": 65532})),
        ("serviceAccount", json!("default")),
        ("serviceAccountName", json!("default")),
        ("terminationGracePeriodSeconds", json!(30)),
    ] {
        spec[field] = value;
    }
    let status = &mut pod["status"];
    status["containerStatuses"] = json!([{
        "containerID": format!("containerd://{:064x}", 0xabcd_u32), "image": image,
        "imageID": format!("images.example/tier@sha256:{:064x}", 0xef01_u32),
        "lastState": {}, "name": "main", "ready": true, "restartCount": 0, "started": true,
        "state": {"running": {"startedAt": "2026-05-04T08:30:05Z"}},
    }]);
    status["hostIP"] = json!("10.0.1.17");
    status["hostIPs"] = json!([{"ip": "10.0.1.17"}]);
    status["podIPs"] = json!([{"ip": "10.1.2.3"}]);
    status["qosClass"] = json!("Burstable");
    status["startTime"] = json!("2026-05-04T08:30:00Z");
    pod
}
