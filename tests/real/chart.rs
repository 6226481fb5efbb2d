//! The chart of `deploy/helm`, with the real Helm: the same as kustomize, its errors, and a
//! life on a cluster from its installation to the end.

use crate::harness::{
    Cluster, OPERATOR_ACCOUNT, OPERATOR_NAMESPACE, ScheduleAnyway, deployment, eventually, helm,
};
use crate::policy::{self, phase, policy, ready, zone_object};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use zonespread::api::{Phase, ZoneState};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn chart() -> PathBuf {
    root().join("deploy/helm")
}

/// What Helm printed, or complained about.
fn run_helm(arguments: &[&str], kubeconfig: Option<&Path>) -> Result<String, String> {
    let home = tempfile::tempdir().unwrap();
    let mut command = Command::new(helm());
    command.args(arguments).stdin(Stdio::null());
    // Habits of the person at the keyboard stay out.
    for folder in ["HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"] {
        command.env(folder, home.path());
    }
    command.env("KUBECONFIG", kubeconfig.unwrap_or(Path::new("/dev/null")));
    let output = command.output().expect("helm starts");
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

/// `helm template` with these settings, in the namespace that kustomize uses.
fn template(settings: &[&str]) -> Result<String, String> {
    template_in(OPERATOR_NAMESPACE, settings)
}

fn template_in(namespace: &str, settings: &[&str]) -> Result<String, String> {
    let chart = chart().display().to_string();
    let mut arguments = vec!["template", "zonespread", &chart, "--namespace", namespace];
    arguments.extend(settings.iter().flat_map(|setting| ["--set", setting]));
    run_helm(&arguments, None)
}

/// Objects by kind, namespace and name.
type Objects = BTreeMap<String, Value>;

fn objects(documents: &str) -> Objects {
    let says = |text: &&str| text.lines().any(|line| !line.is_empty() && !line.starts_with('#'));
    let documents = documents.split("\n---").filter(says);
    let values = documents.map(|text| serde_saphyr::from_str::<Value>(text).unwrap());
    let named = values.map(|value| {
        let text = |path: &str| value.pointer(path).and_then(Value::as_str).unwrap_or("-");
        let (namespace, name) = (text("/metadata/namespace"), text("/metadata/name"));
        (format!("{} {namespace}/{name}", text("/kind")), value)
    });
    named.collect()
}

/// What kustomize makes of an overlay, without the namespace, which Helm leaves to its user.
fn kustomized(overlay: &str) -> Objects {
    let directory = root().join("deploy").join(overlay);
    let kubectl = Cluster::binaries().join("kubectl");
    let output = Command::new(kubectl).arg("kustomize").arg(&directory).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut all = objects(&String::from_utf8(output.stdout).unwrap());
    all.remove("Namespace -/zonespread-system");
    all
}

/// The same of the chart, without the annotation that keeps CRDs.
fn templated(settings: &[&str]) -> Objects {
    let text = template(settings).unwrap_or_else(|error| panic!("{error}"));
    let mut all = objects(&text);
    for (name, object) in &mut all {
        if name.starts_with("CustomResourceDefinition ") {
            let kept = object["metadata"].as_object_mut().unwrap().remove("annotations").unwrap();
            assert_eq!(kept["helm.sh/resource-policy"], "keep", "{name}");
        }
    }
    all
}

#[track_caller]
fn assert_same(chart: &Objects, kustomize: &Objects) {
    let names = |objects: &Objects| objects.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(chart), names(kustomize));
    for (name, object) in chart {
        let (one, other) = (with_plain_numbers(object), with_plain_numbers(&kustomize[name]));
        assert!(one == other, "{name} differs:\n{one:#}\n{other:#}");
    }
}

/// kustomize writes 1 where the CRD has 1.0.
fn with_plain_numbers(value: &Value) -> Value {
    match value {
        Value::Number(number) => number.as_f64().into(),
        Value::Array(all) => all.iter().map(with_plain_numbers).collect(),
        Value::Object(all) => {
            all.iter().map(|(key, value)| (key.clone(), with_plain_numbers(value))).collect()
        }
        other => other.clone(),
    }
}

#[test]
fn the_chart_is_what_kustomize_makes() {
    assert_same(&templated(&[]), &kustomized("base"));
    for overlay in ["observe", "surge", "opening", "drill"] {
        assert_same(&templated(&[&format!("layers.{overlay}=true")]), &kustomized(overlay));
    }
    let mut with_steering = kustomized("base");
    with_steering.extend(kustomized("steering"));
    assert_same(&templated(&["layers.steering=true"]), &with_steering);
}

/// All switches at once.
const EVERYTHING: [&str; 14] = [
    "image.repository=registry.example/zonespread",
    "layers.surge=true",
    "layers.steering=true",
    "layers.opening=true",
    "layers.drill=true",
    "monitoring.serviceMonitor.enabled=true",
    "monitoring.serviceMonitor.labels.release=prometheus",
    "monitoring.prometheusRule.enabled=true",
    "monitoring.prometheusRule.runbooks=https://wiki.example/zonespread",
    "monitoring.dashboard.enabled=true",
    "networkPolicy.enabled=true",
    "schedulerConfig=kind: KubeSchedulerConfiguration",
    "args={--max-concurrent-moves=50}",
    "imagePullSecrets[0].name=pull",
];

#[test]
fn every_switch_of_the_chart_does_what_it_says() {
    let path = chart().display().to_string();
    run_helm(&["lint", "--strict", &path], None).unwrap_or_else(|error| panic!("{error}"));
    let text = template_in("elsewhere", &EVERYTHING).unwrap_or_else(|error| panic!("{error}"));
    assert!(!text.contains(OPERATOR_NAMESPACE), "it is not in the namespace of the release");
    let all = objects(&text);
    let operator = &all["Deployment elsewhere/zonespread"]["spec"]["template"]["spec"];
    let container = &operator["containers"][0];
    let arguments = serde_json::json!([
        "run",
        "--namespace=elsewhere",
        "--scheduler-config=/etc/zonespread/scheduler.yaml",
        "--max-concurrent-moves=50",
    ]);
    assert_eq!(container["args"], arguments);
    assert_eq!(container["image"], "registry.example/zonespread:0.1.0");
    assert_eq!(operator["imagePullSecrets"][0]["name"], "pull");
    let scheduler = &all["ConfigMap elsewhere/zonespread-scheduler"]["data"]["scheduler.yaml"];
    assert_eq!(scheduler.as_str().unwrap().trim_end(), "kind: KubeSchedulerConfiguration");
    let monitor = &all["ServiceMonitor elsewhere/zonespread"];
    assert_eq!(monitor["metadata"]["labels"]["release"], "prometheus");
    assert_eq!(monitor["spec"]["endpoints"][0]["honorLabels"], true);
    // The text of the rules is theirs: Helm fills in nothing.
    let rules = all["PrometheusRule elsewhere/zonespread"].to_string();
    assert!(rules.contains("{{ $labels.zone }}") && rules.contains("https://wiki.example/zones"));
    assert!(!rules.contains("zonespread.io/runbooks"), "{rules}");
    let dashboard = &all["ConfigMap elsewhere/zonespread-dashboard"];
    let shown: Value =
        serde_json::from_str(dashboard["data"]["zonespread.json"].as_str().unwrap()).unwrap();
    assert_eq!(shown["uid"], "zonespread");
    assert_eq!(dashboard["metadata"]["labels"]["grafana_dashboard"], "1");
    let fence = all["ValidatingAdmissionPolicy -/zonespread-surge"].to_string();
    assert!(fence.contains("system:serviceaccount:elsewhere:zonespread"));
    assert_eq!(
        all["NetworkPolicy elsewhere/zonespread"]["spec"]["ingress"][0]["ports"][0]["port"],
        "http"
    );
}

/// Wrong settings, and what the complaint must contain: the field and what helps.
const WRONG: [(&[&str], &[&str]); 8] = [
    (&["replica=3"], &["replica'", "not allowed"]),
    (&["layers.surg=true"], &["/layers", "surg'", "not allowed"]),
    (&["layers.surge=yes-please"], &["/layers/surge", "want boolean"]),
    (&["replicas=0"], &["/replicas", "want 1"]),
    (&["replicas=9"], &["/replicas", "want 5"]),
    (&["image.pullPolicy=Sometimes"], &["/image/pullPolicy", "'IfNotPresent'"]),
    (
        &["layers.observe=true", "layers.surge=true"],
        &["layers.observe and layers.surge", "Set layers.observe or layers.surge to false"],
    ),
    (&["image.repository="], &["/image/repository", "minLength"]),
];

#[test]
fn wrong_settings_are_refused_with_the_field_and_the_remedy() {
    for (settings, expected) in WRONG {
        let complaint = template(settings).unwrap_err();
        for text in expected {
            assert!(complaint.contains(text), "{settings:?}: no {text:?} in {complaint}");
        }
    }
    let chart = chart().display().to_string();
    let older = ["template", &chart, "--kube-version", "1.35", "--set", "layers.steering=true"];
    let complaint = run_helm(&older, None).unwrap_err();
    assert!(complaint.contains("Set layers.steering to false"), "{complaint}");
    let oldest = ["template", &chart, "--kube-version", "1.32"];
    let complaint = run_helm(&oldest, None).unwrap_err();
    assert!(complaint.contains("kubeVersion: >=1.33"), "{complaint}");
}

/// The chart as an older version was: its CRD of Zones has no short name yet.
fn an_older_chart(folder: &Path) -> PathBuf {
    let older = folder.join("older");
    let copied = Command::new("cp").arg("-RL").arg(chart()).arg(&older).status().unwrap();
    assert!(copied.success());
    let edit = |file: &str, from: &str, to: &str| {
        let path = older.join(file);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{file} has no {from:?}");
        std::fs::remove_file(&path).unwrap();
        std::fs::write(path, text.replace(from, to)).unwrap();
    };
    edit("files/crds.yaml", "    shortNames:\n    - zsz\n", "");
    edit("Chart.yaml", "version: 0.1.0", "version: 0.0.9");
    older
}

/// What of ours is in the cluster, as kubectl names it: by the name, the group or the namespace.
async fn ours(cluster: &Cluster) -> Vec<String> {
    let kinds = cluster.kubectl(&["api-resources", "--verbs=list", "-o", "name"]).await.unwrap();
    // Events end by themselves.
    let kinds: Vec<&str> = kinds.lines().filter(|kind| !kind.starts_with("events")).collect();
    let columns = "NAMESPACE:.metadata.namespace,KIND:.kind,NAME:.metadata.name";
    let columns = format!("custom-columns={columns}");
    let arguments = ["get", &kinds.join(","), "-A", "--no-headers", "-o", &columns];
    let all = cluster.kubectl(&arguments).await.unwrap_or_else(|error| panic!("{error}"));
    let words = all.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
    let kind_of_ours = |line: &str| line.contains(" Zone ") || line.contains(" ZoneSpreadPolicy ");
    words.filter(|line| line.contains("zonespread") || kind_of_ours(line)).collect()
}

async fn helm_on(cluster: &Cluster, arguments: &[&str]) -> String {
    let arguments = arguments.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    let kubeconfig = cluster.admin_kubeconfig().to_owned();
    let ran = tokio::task::spawn_blocking(move || {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        run_helm(&arguments, Some(&kubeconfig))
    });
    ran.await.unwrap().unwrap_or_else(|error| panic!("{error}"))
}

async fn kubectl(cluster: &Cluster, command: &str) -> String {
    let arguments: Vec<&str> = command.split(' ').collect();
    cluster.kubectl(&arguments).await.unwrap_or_else(|error| panic!("{error}"))
}

/// Who made the policy, when, and what it says: none of it may change.
async fn policy_as_written(cluster: &Cluster) -> String {
    let wanted = "jsonpath={.metadata.uid} {.metadata.generation} {.spec}";
    let arguments = ["get", "zonespreadpolicies", "market", "-n", "market", "-o", wanted];
    cluster.kubectl(&arguments).await.unwrap_or_else(|error| panic!("{error}"))
}

/// Waits until both replicas of the Deployment are up. The namespace refuses what the
/// restricted Pod Security Standard does.
async fn replicas_run(cluster: &Cluster) {
    let wanted = "jsonpath={.status.availableReplicas}";
    eventually(Duration::from_mins(2), "both replicas", async || {
        let arguments = ["get", "deployment", "zonespread", "-n", OPERATOR_NAMESPACE, "-o", wanted];
        match cluster.kubectl(&arguments).await {
            Ok(count) if count == "2" => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
}

#[tokio::test]
async fn a_release_is_installed_upgraded_and_uninstalled() {
    let cluster = Cluster::start().await;
    for zone in ["a", "b", "c"] {
        cluster.add_zone(zone, 1).await;
    }
    cluster.namespace("market").await;
    let web = deployment("market", "web", 3).label("part-of", "market").spread(ScheduleAnyway);
    cluster.apply(web.to_string()).await;
    ready(&cluster, "market", "app=web", 3).await;

    let folder = tempfile::tempdir().unwrap();
    let older = an_older_chart(folder.path()).display().to_string();
    let newer = chart().display().to_string();
    let namespace = root().join("deploy/base/namespace.yaml").display().to_string();
    kubectl(&cluster, &format!("apply -f {namespace}")).await;
    let wait = ["--namespace", OPERATOR_NAMESPACE, "--wait"];
    let install = ["install", "zonespread", &older];
    let said = helm_on(&cluster, &[&install[..], &wait].concat()).await;
    assert!(said.contains("image.repository is still"), "{said}");
    replicas_run(&cluster).await;
    assert!(cluster.kubectl(&["get", "zsz"]).await.is_err(), "the older CRD has no short name");

    // The binary that the pods would run, with their account.
    let kubeconfig = cluster.service_account_kubeconfig(OPERATOR_NAMESPACE, OPERATOR_ACCOUNT).await;
    let mut operator = policy::replica(&cluster, &kubeconfig, &[]).await;
    cluster.apply(policy("market", "market", "")).await;
    phase(&cluster, "market", "market", Phase::Balanced).await;
    let before = policy_as_written(&cluster).await;

    let layers = "layers.surge=true,layers.steering=true,layers.opening=true";
    let more = ["--reset-then-reuse-values", "--set", layers, "--set"];
    let switches = ["networkPolicy.enabled=true,monitoring.dashboard.enabled=true"];
    let upgrade = ["upgrade", "zonespread", &newer];
    helm_on(&cluster, &[&upgrade[..], &wait, &more, &switches].concat()).await;
    eventually(policy::SOON, "the newer CRD", async || cluster.kubectl(&["get", "zsz"]).await)
        .await;
    replicas_run(&cluster).await;
    assert_eq!(policy_as_written(&cluster).await, before);
    assert_eq!(zone_object(&cluster, "a").await.state, Some(ZoneState::Ready));
    let new_rights =
        "auth can-i patch pods -A --as system:serviceaccount:zonespread-system:zonespread";
    assert_eq!(kubectl(&cluster, new_rights).await.trim(), "yes");

    operator.terminate().await;
    helm_on(&cluster, &[&["uninstall", "zonespread"][..], &wait].concat()).await;
    assert_eq!(policy_as_written(&cluster).await, before);
    let left = ours(&cluster).await;
    // The API server makes an APIService for each group that has a CRD.
    let kept = [
        "CustomResourceDefinition",
        "APIService",
        "Zone",
        "ZoneSpreadPolicy",
        "Namespace",
        "Lease",
    ];
    for line in &left {
        let kind = line.split(' ').nth(1).unwrap();
        let comes_with_it = line.starts_with("zonespread-system ")
            && (line.ends_with(" kube-root-ca.crt") || line.ends_with(" default"));
        assert!(kept.contains(&kind) || comes_with_it, "left behind: {line}\n{left:#?}");
    }
    // As docs/uninstall.md says.
    kubectl(
        &cluster,
        "delete crd zonespreadpolicies.zonespread.io zones.zonespread.io zonedrills.zonespread.io",
    )
    .await;
    kubectl(&cluster, "delete namespace zonespread-system").await;
    eventually(policy::SOON, "nothing of ours", async || {
        let left = ours(&cluster).await;
        if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) }
    })
    .await;
    ready(&cluster, "market", "app=web", 3).await;
}

#[tokio::test]
async fn helm_takes_over_from_kustomize_and_policies_stay() {
    let cluster = Cluster::start().await;
    for zone in ["a", "b", "c"] {
        cluster.add_zone(zone, 1).await;
    }
    let base = root().join("deploy/base").display().to_string();
    kubectl(&cluster, &format!("apply --server-side -k {base}")).await;
    replicas_run(&cluster).await;
    cluster.namespace("market").await;
    cluster.apply(policy("market", "market", "")).await;
    let before = policy_as_written(&cluster).await;
    let newer = chart().display().to_string();
    let install = ["install", "zonespread", &newer, "--namespace", OPERATOR_NAMESPACE, "--wait"];
    let take = ["--take-ownership", "--force-conflicts"];
    helm_on(&cluster, &[&install[..], &take].concat()).await;
    assert_eq!(policy_as_written(&cluster).await, before);
    let of = ["list", "--namespace", OPERATOR_NAMESPACE, "-o", "json"];
    let listed: Value = serde_json::from_str(&helm_on(&cluster, &of).await).unwrap();
    assert_eq!(listed[0]["status"], "deployed");
}
