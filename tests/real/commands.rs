//! The commands as people with few rights run them, and what is said when the cluster
//! cannot be reached.

use crate::harness::{Cluster, OPERATOR_NAMESPACE, Operator, ScheduleAnyway, deployment, install};
use crate::policy::{self, phase, policy, ready, until};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;
use zonespread::api::{Phase, ZoneState};
use zonespread::observe::Kind;

/// What a command printed, and its exit code.
#[derive(Debug)]
struct Ran {
    code: Option<i32>,
    out: String,
    err: String,
}

/// Runs `zonespread` with this access.
async fn zonespread(kubeconfig: &Path, command: &str) -> Ran {
    let output = Command::new(env!("CARGO_BIN_EXE_zonespread"))
        .args(command.split(' '))
        .env("KUBECONFIG", kubeconfig)
        .stdin(Stdio::null())
        .output()
        .await
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ran { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

/// A service account with these roles in the namespace `shop`, and these in the cluster.
pub async fn account(cluster: &Cluster, name: &str, shop: &[&str], everywhere: &[&str]) -> PathBuf {
    let subjects = json!([{"kind": "ServiceAccount", "name": name, "namespace": "shop"}]);
    let binding = |kind: &str, role: &str| {
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind,
            "metadata": {"name": format!("{name}-{role}"), "namespace": "shop"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
            "subjects": subjects,
        })
    };
    let account = json!({"apiVersion": "v1", "kind": "ServiceAccount",
                         "metadata": {"name": name, "namespace": "shop"}});
    let mut items = vec![account];
    items.extend(shop.iter().map(|role| binding("RoleBinding", role)));
    items.extend(everywhere.iter().map(|role| binding("ClusterRoleBinding", role)));
    cluster.apply(json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string()).await;
    cluster.service_account_kubeconfig("shop", name).await
}

/// Six pods at 3/3/0, zone c usable again, and a plan that waits for approval.
async fn a_plan_that_waits(cluster: &Cluster) -> Operator {
    for zone in ["a", "b", "c"] {
        cluster.add_zone(zone, 2).await;
    }
    cluster.namespace("shop").await;
    let web = deployment("shop", "web", 6).label("part-of", "shop").spread(ScheduleAnyway);
    cluster.cordon_zone("c").await;
    cluster.apply(web.start_delay("1s").to_string()).await;
    ready(cluster, "shop", "app=web", 6).await;
    cluster.uncordon_zone("c").await;
    let operator = policy::operator(cluster).await;
    let rest = "  mode: Approve\n  rebalance: {holdDown: 1s}\n";
    cluster.apply(policy("shop", "shop", rest)).await;
    phase(cluster, "shop", "shop", Phase::AwaitingApproval).await;
    operator
}

/// The commands of `docs/rights.md`, each by somebody who has the rights that are named
/// there and no others.
#[tokio::test]
async fn each_command_runs_with_the_rights_that_the_documentation_names() {
    let cluster = Cluster::start().await;
    let _operator = a_plan_that_waits(&cluster).await;

    let viewer = account(&cluster, "viewer", &["view"], &[]).await;
    let ran = zonespread(&viewer, "status -n shop").await;
    assert!(ran.code == Some(0) && ran.out.contains("AwaitingApproval"), "{ran:?}");
    assert!(!ran.out.contains("OUTAGES") && ran.err.is_empty(), "no zones: {ran:?}");
    let ran = zonespread(&viewer, "history -n shop").await;
    assert!(ran.code == Some(0) && ran.err == "no recovery yet\n", "{ran:?}");
    let ran = zonespread(&viewer, "status zsp/shop -n shop").await;
    assert!(ran.code == Some(0) && ran.out.contains("waits for approval"), "{ran:?}");
    let ran = zonespread(&viewer, "status -A").await;
    assert!(ran.code == Some(1) && ran.err.contains("at the cluster scope"), "{ran:?}");
    assert!(
        ran.err.contains("docs/rights.md lists the rights") && !ran.err.contains('{'),
        "{ran:?}"
    );
    for (command, verb) in [
        ("pause shop -n shop", "patch"),
        ("approve shop -n shop", "patch"),
        ("hold c --for 1h --reason x", "patch"),
        ("plan -n shop", "list"),
    ] {
        let ran = zonespread(&viewer, command).await;
        let forbids = format!("cannot {verb} resource");
        assert!(ran.code == Some(1) && ran.err.contains(&forbids), "{command}: {ran:?}");
    }

    let planner = account(&cluster, "planner", &["view"], &["zonespread-plan"]).await;
    let ran = zonespread(&planner, "plan shop -n shop").await;
    assert!(ran.code == Some(3) && ran.out.contains("AwaitingApproval"), "{ran:?}");
    assert_eq!(ran.err, "blocked: 1 tier\n", "all rights are there");
    let ran = zonespread(&planner, "predict deploy/web -n shop").await;
    assert!(ran.code == Some(0) && ran.out.contains("zone c"), "{ran:?}");
    assert!(!ran.err.contains("may not list"), "{ran:?}");

    whoever_looks_ahead(&cluster, &planner).await;

    let on_call = account(&cluster, "on-call", &[], &["zonespread-hold"]).await;
    let ran = zonespread(&on_call, "hold c --for 1h --reason x").await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    policy::zone_until(&cluster, "c", "zone c to be held", |zone| {
        zone.state == Some(ZoneState::Held)
    })
    .await;
    let ran = zonespread(&on_call, "release c").await;
    assert_eq!(ran.code, Some(0), "{ran:?}");

    let editor = account(&cluster, "editor", &["edit"], &[]).await;
    people_say_when(&cluster, &editor).await;
    let whole = account(&cluster, "whole", &[], &["view"]).await;
    let ran = zonespread(&whole, "status -A").await;
    assert!(ran.code == Some(0) && ran.out.contains("OUTAGES"), "with zones: {ran:?}");
}

/// `outlook` looks at all namespaces.
async fn whoever_looks_ahead(cluster: &Cluster, planner: &Path) {
    let ran = zonespread(planner, "outlook").await;
    let lacks = "you may not list deployments: the answer may differ";
    assert!(ran.code == Some(0) && ran.err.contains(lacks), "{ran:?}");
    assert!(!ran.err.contains("nodes") && !ran.err.contains("pods:"), "these it may: {ran:?}");
    let everywhere = ["view", "zonespread-plan"];
    let ahead = account(cluster, "ahead", &[], &everywhere).await;
    let ran = zonespread(&ahead, "outlook").await;
    assert!(ran.code == Some(0) && ran.out.contains("SAFE TO LOSE"), "{ran:?}");
    assert_eq!(ran.err, "", "all rights are there");
    let lint = "lint -A --fail-on never";
    let ran = zonespread(&ahead, lint).await;
    let lacks = "you may not list validatingwebhookconfigurations: checks of them are left out";
    assert!(ran.code == Some(0) && ran.err.contains(lacks), "{ran:?}");
    let everything = ["view", "zonespread-plan", "zonespread-lint"];
    let linter = account(cluster, "linter", &[], &everything).await;
    let ran = zonespread(&linter, lint).await;
    assert!(ran.code == Some(0) && ran.out.contains("NoBudget"), "{ran:?}");
    assert_eq!(ran.err, "", "all rights are there");
    let ran = zonespread(&linter, "lint -n shop").await;
    assert!(ran.code == Some(3) && ran.err.contains("warning"), "{ran:?}");
}

async fn people_say_when(cluster: &Cluster, editor: &Path) {
    let ran = zonespread(editor, "pause shop -n shop").await;
    assert!(ran.code == Some(0) && ran.out.starts_with("policy shop is paused: "), "{ran:?}");
    until(cluster, "shop", "shop", "the pause", |status| {
        status.message.contains("policy shop is paused")
    })
    .await;
    let ran = zonespread(editor, "approve shop -n shop").await;
    assert_eq!(ran.err, "error: policy shop: no plan waits for approval\n", "it is paused");
    let ran = zonespread(editor, "resume shop -n shop").await;
    assert_eq!(ran.out, "policy shop is not paused any more\n");
    phase(cluster, "shop", "shop", Phase::AwaitingApproval).await;
    let ran = zonespread(editor, "approve shop -n shop --plan 0123456789").await;
    assert!(ran.code == Some(1) && ran.err.contains("is not the one that waits"), "{ran:?}");
    let ran = zonespread(editor, "approve zsp/shop -n shop").await;
    assert!(ran.code == Some(0) && ran.out.ends_with("is approved: 2 listed moves\n"), "{ran:?}");
    phase(cluster, "shop", "shop", Phase::Balanced).await;
    let ran = zonespread(editor, "approve nope -n shop").await;
    assert_eq!(ran.err, "error: no ZoneSpreadPolicy nope in namespace shop\n");
}

#[test]
fn the_documented_rights_name_every_kind_that_is_read() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = |path: &str| std::fs::read_to_string(root.join(path)).unwrap();
    let (documented, roles) = (text("docs/rights.md"), text("deploy/base/rbac-users.yaml"));
    for kind in Kind::ALL {
        assert!(documented.contains(kind.resource()), "docs/rights.md: no {}", kind.resource());
        let is_given = roles.contains(kind.resource());
        assert!(is_given || kind.is_namespaced(), "zonespread-plan lacks {}", kind.resource());
    }
}

/// The access of `kubeconfig`, changed.
fn changed(kubeconfig: &Path, name: &str, change: impl Fn(&mut Value)) -> PathBuf {
    let mut config: Value =
        serde_json::from_str(&std::fs::read_to_string(kubeconfig).unwrap()).unwrap();
    change(&mut config);
    let path = kubeconfig.with_file_name(format!("{name}.kubeconfig"));
    std::fs::write(&path, config.to_string()).unwrap();
    path
}

#[tokio::test]
async fn an_unreachable_cluster_is_told_with_address_cause_and_remedy() {
    let cluster = Cluster::start_api_server_only().await;
    install(&cluster).await;
    let admin = cluster.admin_kubeconfig();
    let server = |address: &'static str| {
        move |config: &mut Value| config["clusters"][0]["cluster"]["server"] = address.into()
    };
    let refused = changed(admin, "refused", server("https://127.0.0.1:1"));
    let unknown = changed(admin, "unknown", server("https://no-such-host.invalid:6443"));
    let untrusted = changed(admin, "untrusted", |config| {
        let cluster = config["clusters"][0]["cluster"].as_object_mut().unwrap();
        cluster.remove("certificate-authority");
    });
    let stranger = changed(admin, "stranger", |config| {
        config["users"][0]["user"]["token"] = "nobody".into();
    });
    for (kubeconfig, said, remedy) in [
        (&refused, "https://127.0.0.1:1 refuses the connection: ", "--context"),
        (&unknown, "the host of https://no-such-host.invalid:6443 is unknown: ", "DNS"),
        (&untrusted, "is not trusted (", "certificate-authority"),
        (&stranger, "does not accept the credentials (401 Unauthorized): ", "log in again"),
    ] {
        for command in ["status", "plan", "predict x", "pause x", "hold a --for 1h --reason x"] {
            let ran = zonespread(kubeconfig, command).await;
            let Ran { code, err, .. } = &ran;
            assert!(
                *code == Some(1) && err.contains(said) && err.contains(remedy),
                "{command}: {ran:?}"
            );
            assert!(
                err.starts_with("error: cannot ") && err.lines().count() == 1,
                "{command}: {ran:?}"
            );
            for rust in ["Error(", "Some(", "{ ", "Status", "ApiError", "ServiceError"] {
                assert!(!err.contains(rust), "{command}: {err}");
            }
        }
    }
}

/// Each of the watched kinds fails every few seconds: nobody reads that 400 times.
#[tokio::test]
async fn an_operator_without_rights_says_so_once_and_which_file_gives_them() {
    let cluster = Cluster::start().await;
    cluster.namespace(OPERATOR_NAMESPACE).await;
    let kubeconfig = cluster.service_account_kubeconfig(OPERATOR_NAMESPACE, "default").await;
    let binary = env!("CARGO_BIN_EXE_zonespread");
    let operator = Operator::start(&cluster, binary, &kubeconfig, &[]);
    tokio::time::sleep(Duration::from_secs(15)).await;
    let log = operator.log();
    let lines: Vec<&str> = log.lines().collect();
    assert!(lines.len() <= 12, "{} lines:\n{log}", lines.len());
    let rights: Vec<&&str> =
        lines.iter().filter(|line| line.contains("deploy/base/rbac.yaml gives")).collect();
    assert_eq!(rights.len(), 1, "{log}");
    // The policies' CRD is not even there; all else is forbidden.
    for kind in [Kind::Pod, Kind::Node, Kind::Budget] {
        assert!(rights[0].contains(kind.resource()), "{log}");
    }
    assert!(log.contains("the lease could not be renewed, and nothing is evicted"), "{log}");
    for rust in ["Status {", "ApiError", "Some("] {
        assert!(!log.contains(rust), "{rust}:\n{log}");
    }
}
