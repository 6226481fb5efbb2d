//! The page of `zonespread ui` through an outage and the recovery: it says what the API server
//! says, when it says it.

use crate::commands::account;
use crate::harness::{Cluster, Operator, ScheduleAnyway, deployment, eventually};
use crate::policy::{self, SOON, phase, policy, ready};
use serde_json::Value;
use std::path::Path;
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use zonespread::api::Phase;

/// A running `zonespread ui`; dropping it ends it.
struct Ui {
    port: u16,
    _child: Child,
}

impl Ui {
    async fn start(kubeconfig: &Path, arguments: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_zonespread"))
            .arg("ui")
            .args(arguments)
            .env("KUBECONFIG", kubeconfig)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = lines.next_line().await.unwrap().expect("an address");
        let port = line.strip_prefix("http://127.0.0.1:").unwrap().trim_end_matches('/');
        Self { port: port.parse().unwrap(), _child: child }
    }

    async fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await.unwrap();
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut said = String::new();
        stream.read_to_string(&mut said).await.unwrap();
        let (head, body) = said.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200"), "{path}: {head}");
        body.to_owned()
    }

    /// Waits until the page shows one of these.
    async fn shows(&self, parts: &[&str]) {
        eventually(SOON * 2, &format!("{} on the page", parts.join(" or ")), async || {
            let page = self.get("/").await;
            if parts.iter().any(|part| page.contains(part)) { Ok(()) } else { Err(page) }
        })
        .await;
    }

    async fn state(&self) -> Value {
        serde_json::from_str(&self.get("/state.json").await).unwrap()
    }

    /// Waits until the page says of policy and zones exactly what kubectl says, and gives it.
    async fn agrees(&self, cluster: &Cluster) -> Value {
        eventually(SOON, "the page to say what kubectl says", async || {
            let told = self.state().await;
            let (policies, zones) = (items(cluster, "zsp").await, items(cluster, "zsz").await);
            let same = told["policies"][0]["status"] == policies[0]["status"]
                && told["zones"].as_array().unwrap().len() == zones.len()
                && zones
                    .iter()
                    .zip(told["zones"].as_array().unwrap())
                    .all(|(real, told)| told["status"] == real["status"]);
            if same { Ok(told) } else { Err(format!("{told:#} is not {policies:#?} {zones:#?}")) }
        })
        .await
    }
}

/// The objects of a kind, as kubectl has them.
async fn items(cluster: &Cluster, kind: &str) -> Vec<Value> {
    let printed = cluster.kubectl(&["get", kind, "-A", "-o", "json"]).await;
    let list: Value = serde_json::from_str(&printed.unwrap()).unwrap();
    list["items"].as_array().unwrap().clone()
}

/// Six pods in three zones, and a policy that holds for ten seconds.
async fn a_shop(cluster: &Cluster) -> Operator {
    for zone in ["a", "b", "c"] {
        cluster.add_zone(zone, 2).await;
    }
    cluster.namespace("shop").await;
    let web = deployment("shop", "web", 6).label("part-of", "shop").spread(ScheduleAnyway);
    cluster.apply(web.start_delay("2s").to_string()).await;
    ready(cluster, "shop", "app=web", 6).await;
    let operator = policy::operator(cluster).await;
    cluster.apply(policy("shop", "shop", "  rebalance: {holdDown: 10s}\n")).await;
    phase(cluster, "shop", "shop", Phase::Balanced).await;
    operator
}

#[tokio::test]
async fn the_page_says_what_the_api_server_says_through_outage_and_recovery() {
    let cluster = Cluster::start().await;
    let _operator = a_shop(&cluster).await;
    let onlooker = account(&cluster, "onlooker", &["view"], &["view"]).await;
    let ui = Ui::start(&onlooker, &["-n", "shop"]).await;
    let told = ui.agrees(&cluster).await;
    assert_eq!(told["policies"][0]["status"]["phase"], "Balanced");

    cluster.cordon_zone("c").await;
    cluster.evacuate_zone("c").await;
    ready(&cluster, "shop", "app=web", 6).await;
    phase(&cluster, "shop", "shop", Phase::Frozen).await;
    let told = ui.agrees(&cluster).await;
    assert_eq!(told["policies"][0]["status"]["phase"], "Frozen");
    ui.shows(&["<div class=\"card Impaired\"><h3>c</h3>"]).await;

    cluster.uncordon_zone("c").await;
    let holding = phase(&cluster, "shop", "shop", Phase::Holding).await;
    let until = policy::zone(&holding, "c").hold_until.clone().unwrap().0;
    let countdown = format!(
        "Zone c is Recovering: nothing moves for <time datetime=\"{until}\" data-counts=\"down\">"
    );
    ui.shows(&[&countdown]).await;
    ui.shows(&["<span class=\"chip Evicting\">", "<span class=\"chip Evicted\">"]).await;

    phase(&cluster, "shop", "shop", Phase::Balanced).await;
    let told = ui.agrees(&cluster).await;
    let recovery = &told["recoveries"][0];
    assert_eq!((&recovery["zone"], &recovery["moves"]), (&"c".into(), &2.into()), "{told:#}");
    assert_eq!(recovery["outcome"], "Balanced");

    a_drill_shows_up(&cluster, &ui).await;
    // Whoever looks reads these kinds, and nothing else.
    let asked = cluster.requests_by_service_account("shop", "onlooker");
    let kinds = ["zonespreadpolicies", "zones", "zonedrills"];
    assert!(asked.len() > 6, "{asked:#?}");
    let other = asked.iter().find(|request| {
        request.is_write() || request.code != 200 || !kinds.contains(&&*request.resource)
    });
    assert_eq!(other, None);
}

/// With its forecast; the page of the policy has it all but that.
async fn a_drill_shows_up(cluster: &Cluster, ui: &Ui) {
    cluster
        .apply("apiVersion: zonespread.io/v1alpha1\nkind: ZoneDrill\nmetadata: {name: monday}\nspec: {zone: c, dryRun: true}\n")
        .await;
    ui.shows(&["Forecast of monday"]).await;
    let page = ui.get("/policy/shop/shop").await;
    assert!(page.contains("shop/shop") && !page.contains("monday"), "{page}");
}
