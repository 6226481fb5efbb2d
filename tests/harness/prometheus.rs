//! Prometheus, scraping the operator under test.

use super::binaries;
use super::cluster::Cluster;
use super::eventually::eventually;
use super::metrics::get;
use super::operator::Operator;
use super::process::Process;
use serde_json::{Value, json};
use std::process::Command;
use std::time::Duration;

/// A running Prometheus; dropping it kills it. Drop it before its cluster.
pub struct Prometheus {
    process: Process,
    port: u16,
}

impl Prometheus {
    /// Starts it with these rules, evaluated each second, and this one target, scraped
    /// every other second. Returns when it has scraped it.
    pub async fn start(cluster: &Cluster, operator: &Operator, rules: &Value) -> Self {
        let folder = cluster.directory().join("prometheus");
        std::fs::create_dir(&folder).expect("a folder for Prometheus");
        std::fs::write(folder.join("rules.yaml"), rules.to_string()).expect("a file of rules");
        let config = json!({
            "global": {"scrape_interval": "2s", "evaluation_interval": "1s"},
            "rule_files": [folder.join("rules.yaml")],
            "scrape_configs": [{
                "job_name": "zonespread",
                "honor_labels": true,
                "static_configs": [{"targets": [format!("127.0.0.1:{}", operator.port())]}],
            }],
        });
        let file = folder.join("prometheus.yaml");
        std::fs::write(&file, config.to_string()).expect("a configuration");
        let port = cluster.next_port();
        let mut command = Command::new(binaries::prometheus().join("prometheus"));
        command
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.tsdb.path={}", folder.join("data").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"));
        let process =
            Process::start("prometheus", command, cluster.directory(), cluster.watchdog());
        let mut prometheus = Self { process, port };
        eventually(Duration::from_mins(1), "Prometheus to scrape the operator", async || {
            prometheus.process.assert_running();
            match get(port, "/api/v1/query?query=zonespread_build_info").await {
                Ok((200, body)) if body.contains("\"zonespread_build_info\"") => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })
        .await;
        prometheus
    }

    /// What its API says of a path below `/api/v1/`.
    pub async fn api(&self, path: &str) -> Value {
        let answer = get(self.port, &format!("/api/v1/{path}")).await;
        let (code, body) = answer.unwrap_or_else(|error| panic!("{path}: {error}"));
        assert_eq!(code, 200, "{path}: {body}");
        let mut answer: Value = serde_json::from_str(&body).expect("JSON");
        answer["data"].take()
    }

    /// The values of a label of the series that a query finds, in order. The query is as in
    /// an address: with `%7B` for an opening brace.
    pub async fn values(&self, query: &str, label: &str) -> Vec<String> {
        let data = self.api(&format!("query?query={query}")).await;
        let series = data["result"].as_array().expect("a vector");
        let mut values: Vec<String> = series
            .iter()
            .filter_map(|series| series["metric"][label].as_str().map(str::to_owned))
            .collect();
        values.sort();
        values
    }
}
