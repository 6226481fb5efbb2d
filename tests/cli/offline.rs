//! plan and predict from files.

use serde_json::Value;

use super::run::{fixture, zonespread, zonespread_with};

#[test]
fn the_plan_of_a_recovered_zone_is_told_from_a_file() {
    let ran = zonespread(&["plan", "-f", &fixture("petclinic.yaml")]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    insta::assert_snapshot!(ran.out);
    assert_eq!(
        ran.err,
        "ignored kinds: 1 ConfigMap\npredictions are those of kube-scheduler 1.37 (the newest kubelet is v1.37.1); --scheduler-version says otherwise\n"
    );
}

#[test]
fn programs_get_the_plan_in_the_documented_form() {
    let ran = zonespread(&["plan", "-f", &fixture("petclinic.yaml"), "-o", "json"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    insta::assert_snapshot!(ran.out);
}

#[test]
fn the_loss_of_each_zone_is_told_from_a_file() {
    let ran = zonespread(&["outlook", "-f", &fixture("petclinic.yaml")]);
    insta::assert_snapshot!(ran.out);
    assert!(ran.code == Some(0) && ran.err.starts_with("ignored kinds: 1 ConfigMap\n"), "{ran:?}");
}

#[test]
fn a_zone_that_is_not_safe_to_lose_ends_the_outlook_with_3() {
    let file = fixture("outlook.yaml");
    let ran = zonespread(&["outlook", "-f", &file]);
    assert_eq!(ran.code, Some(3), "{ran:?}");
    insta::assert_snapshot!(ran.out);
    let ran = zonespread(&["outlook", "--zone", "c", "-f", &file, "-o", "json"]);
    insta::assert_snapshot!(ran.out);
    let ran = zonespread(&["outlook", "--zone", "d", "-f", &file]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(1), ""));
    assert!(ran.err.contains("no node is in zone d"), "{}", ran.err);
}

#[test]
fn what_a_drill_would_do_and_what_speaks_against_it_is_told_from_a_file() {
    let file = fixture("outlook.yaml");
    let ran = zonespread(&["drill", "a", "--dry-run", "-f", &file]);
    assert_eq!(ran.code, Some(3), "{ran:?}");
    insta::assert_snapshot!(ran.out);
    assert!(ran.err.ends_with("the drill would be refused: Unbalanced\n"), "{}", ran.err);
    let ran = zonespread(&["drill", "d", "--dry-run", "-f", &file]);
    assert!(ran.code == Some(3) && ran.out.contains("UnknownZone: no node is in"), "{ran:?}");
    let ran = zonespread(&["drill", "a", "-f", &file]);
    assert!(ran.code == Some(2) && ran.err.contains("--dry-run"), "nothing else: {ran:?}");
    // A file is no cluster to be drilled.
    let ran = zonespread(&["drill", "a", "--yes", "-f", &file]);
    assert!(ran.code == Some(2) && ran.err.contains("cannot be used with"), "{ran:?}");
}

#[test]
fn the_outlook_compares_each_scenario_with_the_recommended_constraint() {
    let file = fixture("outlook.yaml");
    let ran = zonespread(&["outlook", "--if-spread", "--zone", "a", "-f", &file]);
    assert_eq!(ran.code, Some(3), "{ran:?}");
    let table = ran.out.split("\n\n").last().unwrap();
    insta::assert_snapshot!(table);
    let ran = zonespread(&["outlook", "--scenarios", "-f", &file, "-o", "json"]);
    let answer: Value = serde_json::from_str(&ran.out).unwrap();
    let web = &answer["scenarios"][2];
    assert_eq!((&web["tier"], &web["ifSpread"]), (&"web".into(), &Value::Null));
    let told: Vec<&str> = web["today"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|told| told["scenario"].as_str())
        .collect();
    assert_eq!(told, ["normal", "restart", "scaleOut", "lost", "lost", "lost"]);
    assert_eq!(web["today"][0]["zones"], serde_json::json!({"a": 1, "b": 1, "c": 1}));
}

#[test]
fn the_comparison_is_in_the_ticket_and_on_the_page_as_well() {
    let file = fixture("outlook.yaml");
    let ask = |format| zonespread(&["outlook", "--if-spread", "-f", &file, "-o", format]);
    let ran = ask("markdown");
    let (_, told) = ran.out.split_once("## Scenarios\n\n").unwrap();
    insta::assert_snapshot!(told);
    let page = ask("html").out;
    let rows = page.split("<h2>Scenarios</h2>").nth(1).unwrap().matches("<tr>").count();
    assert_eq!(rows + 1, told.lines().count(), "a line of Markdown is its rule");
    assert!(page.contains("<td class=\"better\">"), "{page}");
    assert!(!ask("table").out.contains("<td"));
}

#[test]
fn the_outlook_is_told_as_markdown_for_a_ticket() {
    let ran = zonespread(&["outlook", "-f", &fixture("outlook.yaml"), "-o", "markdown"]);
    assert_eq!(ran.code, Some(3), "{ran:?}");
    insta::assert_snapshot!(ran.out);
}

#[test]
fn the_outlook_is_a_page_that_needs_nothing_else() {
    let file = fixture("outlook.yaml");
    let ran = zonespread(&["outlook", "-f", &file, "-o", "html"]);
    assert_eq!(ran.code, Some(3), "{ran:?}");
    let page = &ran.out;
    assert!(page.starts_with("<!doctype html>") && page.ends_with("</html>\n"), "{page}");
    for needed in ["http", "<script", "src=", "@import", "url("] {
        assert!(!page.contains(needed), "{needed}");
    }
    // Every tier and every zone is in the picture: a part of the bar for each fate.
    let waits = "<rect class=\"wait\" x=\"2\" width=\"1\"";
    for part in ["Without a", "Without c", "shop/shop web", waits, "QuorumLost"] {
        assert!(page.contains(part), "{part} is not in {page}");
    }
    // Whatever opens is closed, also where names are hostile.
    let text = std::fs::read_to_string(&file).unwrap();
    let hostile = text.replace("app: web", "app: '<b>&web'").replace("zone: b", "zone: '<i>'");
    let odd = std::env::temp_dir().join(format!("zonespread-page-{}.yaml", std::process::id()));
    std::fs::write(&odd, hostile).unwrap();
    let ran = zonespread(&["outlook", "-f", odd.to_str().unwrap(), "-o", "html"]);
    std::fs::remove_file(&odd).unwrap();
    assert!(ran.out.contains("&lt;b&gt;&amp;web") && ran.out.contains("Without &lt;i&gt;"));
    assert!(!ran.out.contains("<i>") && !ran.out.contains("<b>&web"), "{}", ran.out);
    for tag in
        ["b", "td", "tr", "th", "p", "div", "span", "table", "ul", "li", "small", "svg", "rect"]
    {
        let opened = ran.out.matches(&format!("<{tag}>")).count()
            + ran.out.matches(&format!("<{tag} ")).count();
        assert_eq!(opened, ran.out.matches(&format!("</{tag}>")).count(), "{tag}");
    }
}

const DRILL: [&str; 3] = ["drill", "eu-west-2c", "--dry-run"];

#[test]
fn json_and_yaml_say_the_same() {
    let file = fixture("petclinic.yaml");
    for command in [&["plan"][..], &["predict", "was-6d4-4"], &["outlook"], &DRILL] {
        let say = |format: &str| {
            let mut arguments = command.to_vec();
            arguments.extend(["-f", &file, "-o", format]);
            zonespread(&arguments).out
        };
        let json: Value = serde_json::from_str(&say("json")).unwrap();
        let yaml: Value = serde_saphyr::from_str(&say("yaml")).unwrap();
        assert_eq!(json, yaml);
    }
}

#[test]
fn a_prediction_is_told_on_one_screen() {
    let ran = zonespread(&["predict", "was-6d4-4", "-f", &fixture("petclinic.yaml")]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    insta::assert_snapshot!(ran.out);
}

#[test]
fn programs_get_the_prediction_in_the_documented_form() {
    let file = fixture("petclinic.yaml");
    let ran = zonespread(&["predict", "petclinic/was-6d4-4", "-f", &file, "-o", "json"]);
    let answer: Value = serde_json::from_str(&ran.out).unwrap();
    let keys: Vec<&String> = answer.as_object().unwrap().keys().collect();
    assert_eq!(
        keys,
        ["certain", "filtered", "nodes", "pod", "probability", "scheduler", "scores", "zones"]
    );
    assert_eq!(answer["probability"], serde_json::json!({"eu-west-2c": 1.0}));
    assert_eq!(answer["pod"], "was-6d4-4");
    assert_eq!(answer["zones"], serde_json::json!(["eu-west-2c"]));
    let best = &answer["scores"][0];
    assert!(best["node"].is_string() && best["total"].is_i64() && best["byPlugin"].is_object());
}

#[test]
fn plan_and_predict_heed_the_schedulers_configuration() {
    let file = fixture("petclinic.yaml");
    let ask = |command: &[&str], config: &str| -> Value {
        let config = fixture(config);
        let with = ["-f", &file, "-o", "json", "--scheduler-config", &config];
        let ran = zonespread(&[command, &with].concat());
        assert!(matches!(ran.code, Some(0 | 3)), "{ran:?}");
        serde_json::from_str(&ran.out).unwrap()
    };
    let answer = ask(&["predict", "was-6d4-4"], "scheduler-extender.yaml");
    assert_eq!(answer["unpredictable"], "the scheduler's configuration: extenders");
    let answer = ask(&["predict", "was-6d4-4"], "scheduler-scores-nothing.yaml");
    assert_eq!(answer["scores"][0]["byPlugin"]["TaintToleration"], 0, "{answer}");
    let answer = ask(&["plan"], "scheduler-extender.yaml");
    let tiers = answer["policies"][0]["tiers"].as_array().unwrap();
    let blocked = tiers.iter().filter(|tier| tier["blocked"]["reason"] == "Unpredictable");
    assert!(blocked.count() > 0, "{answer}");
}

/// The fixture, with the nodes of a zone cordoned.
fn without_zone_c() -> String {
    let text = std::fs::read_to_string(fixture("petclinic.yaml")).unwrap();
    let (before, after) = text.split_once("eu-west-2c").unwrap();
    format!("{before}eu-west-2c{}", after.replacen("spec: {}", "spec: {unschedulable: true}", 2))
}

#[test]
fn a_zone_that_is_out_in_the_file_freezes_the_plan() {
    let ran = zonespread_with(&without_zone_c(), &["plan", "-f", "-", "-o", "json"]);
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert!(ran.err.ends_with("\nblocked: 1 tier\n"), "{ran:?}");
    let answer: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(answer["policies"][0]["phase"], "Frozen");
    let was = &answer["policies"][0]["tiers"][0];
    assert_eq!(was["blocked"]["reason"], "ZoneImpaired");
    assert_eq!(was["moves"], serde_json::json!([]));
}

#[test]
fn a_hold_that_the_status_tells_of_is_heeded() {
    let text = std::fs::read_to_string(fixture("petclinic.yaml")).unwrap();
    let since = jiff::Timestamp::now();
    let status = format!(
        "    tierLabel: tier\n  status:\n    phase: Holding\n    zones:\n    - {{name: eu-west-2c, state: Recovering, since: \"{since}\", outages: 1, usableNodes: 2, nodes: 2}}\n"
    );
    let text = text.replace("    tierLabel: tier\n", &status);
    let ran = zonespread_with(&text, &["plan", "-f", "-", "-o", "json"]);
    let answer: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(answer["policies"][0]["phase"], "Holding", "{ran:?}");
    assert_eq!(answer["policies"][0]["tiers"][0]["blocked"]["reason"], "ZoneRecovering");
}

#[test]
fn who_is_asked_and_who_said_wait_are_told_offline_too() {
    let text = std::fs::read_to_string(fixture("petclinic.yaml")).unwrap();
    let now = |text: &str| {
        let ran = zonespread_with(text, &["plan", "-f", "-", "-o", "json"]);
        let answer: Value = serde_json::from_str(&ran.out).unwrap();
        let policy = &answer["policies"][0];
        let blocked = policy["tiers"][0]["blocked"].clone();
        (policy["phase"].clone(), blocked["reason"].clone(), blocked["message"].to_string())
    };
    let (phase, reason, message) = now(&text.replace("mode: Auto", "mode: Approve"));
    assert_eq!((phase, reason), ("AwaitingApproval".into(), "AwaitingApproval".into()));
    assert!(
        message.contains("(2 moves) waits for approval: kubectl annotate zsp petclinic -n petclinic zonespread.io/approve="),
        "{message}"
    );
    let paused = "metadata:\n    annotations: {zonespread.io/paused: \"true\"}\n    creationTimestamp: \"2026-05-04T08:10:00Z\"\n    generation: 1\n    name: petclinic\n    namespace";
    let plain = paused.replacen("    annotations: {zonespread.io/paused: \"true\"}\n", "", 1);
    let (_, reason, _) = now(&text.replace(&plain, paused));
    assert_eq!(reason, "Paused");
    let later = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(12);
    let schedule = later.strftime("%M %H * * *");
    let night =
        format!("mode: Auto\n    rebalance: {{windows: [{{schedule: {schedule}, duration: 1h}}]}}");
    let (phase, reason, message) = now(&text.replace("mode: Auto", &night));
    assert_eq!((phase, reason), ("Blocked".into(), "OutsideWindow".into()), "{message}");
}

#[test]
fn a_namespace_can_be_named() {
    let file = fixture("petclinic.yaml");
    let ran = zonespread(&["plan", "-f", &file, "-n", "other", "-o", "json"]);
    assert_eq!(ran.code, Some(0));
    assert_eq!(serde_json::from_str::<Value>(&ran.out).unwrap()["policies"], Value::Array(vec![]));
    assert!(ran.err.contains("no ZoneSpreadPolicies in namespace other"), "{ran:?}");
    let ran = zonespread(&["plan", "-f", &file, "-A"]);
    assert!(ran.out.starts_with("petclinic/petclinic: "), "{ran:?}");
    for named in ["petclinic", "zsp/petclinic", "petclinic/petclinic"] {
        let one = zonespread(&["plan", named, "-f", &file]);
        assert_eq!(one.out, ran.out, "{named}");
    }
    let ran = zonespread(&["plan", "pet", "-f", &file]);
    assert!(
        ran.code == Some(1) && ran.err.ends_with("error: no ZoneSpreadPolicy pet\n"),
        "{ran:?}"
    );
    let ran = zonespread(&["plan", "deploy/web", "-f", &file]);
    assert_eq!(ran.err, "error: \"deploy/web\" is no NAME or zsp/NAME\n");
}

#[test]
fn what_is_missing_is_named_with_what_to_add() {
    let pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\n";
    let ran = zonespread_with(pod, &["plan", "-f", "-"]);
    assert_eq!(ran.code, Some(1));
    assert_eq!(ran.out, "");
    assert_eq!(
        ran.err,
        "error: no nodes and no zonespreadpolicies in stdin: add the output of `kubectl get nodes,zonespreadpolicies -A -o yaml` with another -f\n"
    );
    let ran = zonespread_with(pod, &["predict", "a", "-f", "-"]);
    assert!(ran.err.contains("no nodes in stdin"), "{ran:?}");
}

/// The dump lacks what `kubectl` was not asked for: a paused namespace looks like any other.
#[test]
fn kinds_that_the_dump_lacks_and_that_matter_are_named() {
    let text = std::fs::read_to_string(fixture("petclinic.yaml")).unwrap();
    let namespace = "  kind: Namespace\n  metadata:\n    name: petclinic\n";
    let paused = format!("{namespace}    annotations: {{zonespread.io/paused: \"true\"}}\n");
    let ran = zonespread_with(&text.replace(namespace, &paused), &["plan", "-f", "-"]);
    assert!(ran.out.contains("Paused"), "{ran:?}");
    assert!(!ran.err.contains("may differ"), "{ran:?}");
    let without = text.replace(&format!("- apiVersion: v1\n{namespace}"), "");
    let ran = zonespread_with(&without, &["plan", "-f", "-"]);
    assert!(
        ran.err.contains("no namespaces in stdin: the answer may differ; `kubectl get nodes,"),
        "{ran:?}"
    );
}

#[test]
fn the_documented_dump_holds_every_kind_that_is_looked_at() {
    let command = zonespread::observe::Kind::dump_command();
    let readme = include_str!("../../README.md");
    assert!(readme.contains(&format!("\n{command} > cluster.json\n")), "README lacks: {command}");
    for asked in ["plan", "predict"] {
        let ran = zonespread(&[asked, "--help"]);
        let words: Vec<&str> = ran.out.split_whitespace().collect();
        assert!(words.join(" ").contains(&command), "{}", ran.out);
    }
}

#[test]
fn several_files_are_one_cluster() {
    let node = "apiVersion: v1\nkind: Node\nmetadata: {name: z1, labels: {topology.kubernetes.io/zone: eu-west-2z}}\nstatus: {conditions: [{type: Ready, status: \"True\"}], allocatable: {cpu: \"4\", memory: 16Gi, pods: \"110\"}}\n";
    let arguments = ["plan", "-f", &fixture("petclinic.yaml"), "-f", "-", "-o", "json"];
    let ran = zonespread_with(node, &arguments);
    let answer: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(answer["policies"][0]["tiers"][0]["zones"]["eu-west-2z"], 0, "{ran:?}");
}

#[test]
fn pods_of_one_name_are_told_apart_by_namespace() {
    let file = fixture("petclinic.yaml");
    let twin = "apiVersion: v1\nkind: Pod\nmetadata: {name: was-6d4-4, namespace: other}\nspec: {nodeName: a1, containers: [{name: c, image: i}]}\n";
    let ran = zonespread_with(twin, &["predict", "was-6d4-4", "-f", &file, "-f", "-"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.err.contains("in the namespaces other, petclinic: say which with -n"), "{ran:?}");
    let named = ["predict", "was-6d4-4", "-n", "other", "-f", &file, "-f", "-"];
    let ran = zonespread_with(twin, &named);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.out.contains("has no controller that would re-create it"), "{ran:?}");
}

#[test]
fn usage_errors_have_their_own_exit_code() {
    for arguments in [
        &["plan", "-n", "a", "-A"][..],
        &["plan", "-o", "wide"],
        &["predict"],
        &["predict", "a", "b"],
        &["bogus"],
        &[],
    ] {
        let ran = zonespread(arguments);
        assert_eq!(ran.code, Some(2), "{arguments:?}: {ran:?}");
        assert_eq!(ran.out, "", "{arguments:?}");
    }
}

#[test]
fn failures_are_told_on_stderr_in_one_line() {
    for arguments in [
        &["plan", "-f", "/nonexistent/cluster.yaml"][..],
        &["plan", "--kubeconfig", "/nonexistent/config"],
        &["predict", "a"],
        &["status"],
        &["status", "--context", "nowhere"],
        &["predict", "nope", "-f", &fixture("petclinic.yaml")],
    ] {
        let ran = zonespread(arguments);
        assert_eq!(ran.code, Some(1), "{arguments:?}: {ran:?}");
        assert_eq!(ran.out, "", "{arguments:?}");
        let errors = ran.err.lines().filter(|line| line.starts_with("error: ")).count();
        assert_eq!(errors, 1, "{arguments:?}: {ran:?}");
    }
}

#[test]
fn nothing_in_a_file_reaches_the_terminal_as_a_command() {
    let evil = r"was-6d4-4\u001b[2J\u009b31m";
    let text = std::fs::read_to_string(fixture("petclinic.yaml")).unwrap();
    let text = text.replace("name: was-6d4-4\n", &format!("name: \"{evil}\"\n"));
    for format in ["table", "json", "yaml"] {
        let ran = zonespread_with(&text, &["plan", "-f", "-", "-o", format]);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        assert!(ran.out.contains("was-6d4-4\\"), "{format}: the pod is named: {}", ran.out);
        let said = format!("{}{}", ran.out, ran.err);
        let control = said.chars().find(|letter| letter.is_control() && *letter != '\n');
        assert_eq!(control, None, "{format}: {said}");
    }
}

#[test]
fn a_policy_that_cannot_be_followed_or_protects_nothing_is_no_success() {
    let text = std::fs::read_to_string(fixture("petclinic.yaml")).unwrap();
    let typo = text.replace("tierLabel: tier", "tierLabel: teir");
    let ran = zonespread_with(&typo, &["plan", "-f", "-"]);
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert!(ran.err.ends_with("\nInvalid or Ineffective: 1 policy\n"), "{ran:?}");
    assert!(ran.out.starts_with("petclinic/petclinic: Ineffective: "), "{}", ran.out);
    assert!(ran.out.contains("set spec.tierLabel to a label that the pods carry"), "{}", ran.out);
}

#[test]
fn a_workload_stands_for_one_of_its_pods_and_a_pod_that_is_never_moved_is_told() {
    let file = fixture("petclinic.yaml");
    let ran = zonespread(&["predict", "rs/was-6d4", "-f", &file]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.err.contains("\nof rs/was-6d4 this is asked about pod was-6d4-"), "{ran:?}");
    assert!(!ran.out.contains("NEVER MOVED"), "{ran:?}");
    let ran = zonespread(&["predict", "deploy/nope", "-f", &file]);
    assert!(ran.err.ends_with("error: no running pod of Deployment nope\n"), "{ran:?}");
    let bare = "apiVersion: v1\nkind: Pod\nmetadata: {name: bare, namespace: petclinic, uid: u, labels: {app: petclinic, tier: was}}\nspec: {nodeName: a1, containers: [{name: c, image: i}]}\nstatus: {phase: Running}\n";
    let ran = zonespread_with(bare, &["predict", "pod/bare", "-f", &file, "-f", "-"]);
    assert!(
        ran.out.contains("NEVER MOVED   pod bare has no controller that would re-create it"),
        "{ran:?}"
    );
}

#[test]
fn a_missing_kubeconfig_is_told_by_its_path_and_what_to_do() {
    let missing = "cannot read /nonexistent/.kube/config: No such file or directory (os error 2)";
    let ran = zonespread(&["status"]);
    let remedy = "set --kubeconfig or KUBECONFIG, or run in a pod";
    assert_eq!(ran.err, format!("error: no cluster: {missing}; {remedy}\n"));
    let ran = zonespread(&["status", "--context", "nowhere"]);
    assert_eq!(ran.err, format!("error: --context nowhere: {missing}\n"));
}

#[test]
fn a_plan_knows_whether_the_operator_can_surge() {
    let file = fixture("two-replicas.yaml");
    let ran = zonespread(&["plan", "-n", "shop", "-f", &file]);
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert!(ran.out.contains("BudgetExhausted"), "{}", ran.out);
    assert!(ran.err.contains("--surge plans as if it could"), "{}", ran.err);
    let ran = zonespread(&["plan", "-n", "shop", "-f", &file, "--surge"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.out.contains("KIND") && ran.out.contains("Surge"), "{}", ran.out);
    assert!(!ran.err.contains("--surge"), "{}", ran.err);

    // What the operator has proven is in the policies' status.
    let told = std::fs::read_to_string(&file).unwrap() + "  status: {canSurge: true}\n";
    let told_file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(told_file.path(), told).unwrap();
    let path = told_file.path().display().to_string();
    let told = zonespread(&["plan", "-n", "shop", "-f", &path]);
    assert_eq!((told.code, &told.out), (Some(0), &ran.out), "{}", told.err);
}
