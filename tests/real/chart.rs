//! The chart of `deploy/helm`, with the real Helm: the same as kustomize, and its errors.

use crate::harness::{Cluster, OPERATOR_NAMESPACE, helm};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

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
    settings.iter().for_each(|setting| arguments.extend(["--set", setting]));
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
    for overlay in ["observe", "surge", "opening"] {
        assert_same(&templated(&[&format!("layers.{overlay}=true")]), &kustomized(overlay));
    }
    let mut with_steering = kustomized("base");
    with_steering.extend(kustomized("steering"));
    assert_same(&templated(&["layers.steering=true"]), &with_steering);
}

/// All switches at once.
const EVERYTHING: [&str; 13] = [
    "image.repository=registry.example/zonespread",
    "layers.surge=true",
    "layers.steering=true",
    "layers.opening=true",
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
