//! From the zone's return to the end: what the policy showed, and what it cost.

use crate::harness::{Cluster, Operator, Spread, evictions};
use crate::narrator::Narrator;
use crate::petclinic::{self, MANAGED, TIERS, UNMANAGED, minimum_moves};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Hold-down, three moves of a few seconds, and patience.
const LIMIT: Duration = Duration::from_secs(75);

/// What came of it.
pub struct Recovery {
    took: Duration,
    evictions: usize,
    minimum: usize,
    fewest_ready: BTreeMap<&'static str, usize>,
    managed: BTreeMap<&'static str, Spread>,
    unmanaged: BTreeMap<&'static str, Spread>,
}

/// Follows the policy, a line for each change, until it is balanced or the time is over.
pub async fn watch(cluster: &Cluster, operator: &mut Operator, say: &mut Narrator) -> Recovery {
    let began = Instant::now();
    let before = evictions(cluster);
    let minimum = spreads(cluster, MANAGED).await.values().map(minimum_moves).sum();
    let mut fewest_ready: BTreeMap<&str, usize> = TIERS.into();
    let mut shown: Vec<String> = Vec::new();
    say.gap();
    loop {
        for (tier, fewest) in &mut fewest_ready {
            *fewest = petclinic::ready(cluster, MANAGED, tier).await.min(*fewest);
        }
        let managed = spreads(cluster, MANAGED).await;
        let (header, cells) = policy_row(cluster).await;
        if shown.is_empty() {
            say.watched(None, &header);
        }
        if cells != shown {
            say.watched(Some(began.elapsed().as_secs_f64()), &cells);
        }
        let done = cells.iter().any(|cell| cell == "Balanced") && managed.values().all(is_even);
        shown = cells;
        if done || began.elapsed() > LIMIT || operator.exited().is_some() {
            return Recovery {
                took: began.elapsed(),
                evictions: evictions(cluster) - before,
                minimum,
                fewest_ready,
                managed,
                unmanaged: spreads(cluster, UNMANAGED).await,
            };
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

impl Recovery {
    /// Whether every tier of the policy is spread as evenly as its pods allow.
    pub fn is_balanced(&self) -> bool {
        self.managed.values().all(is_even)
    }

    /// The counts, the cost and the time, in words.
    pub fn tell(&self, say: &Narrator) {
        say.gap();
        if self.is_balanced() {
            let seconds = self.took.as_secs_f64();
            say.succeeded(&format!(
                "{MANAGED} is balanced {seconds:.0} s after the zone came back, 10 s of them hold-down."
            ));
        }
        let cost = format!("Evictions: {}. The minimum is {}.", self.evictions, self.minimum);
        if self.evictions == self.minimum {
            say.line(&cost);
        } else {
            say.failed(&cost);
        }
        let fewest = TIERS
            .map(|(tier, replicas)| format!("{tier} {} of {replicas}", self.fewest_ready[tier]));
        say.line(&format!("Ready pods at the worst moment: {}.", fewest.join(", ")));
        let stayed = TIERS.iter().filter(|(tier, _)| !is_even(&self.unmanaged[tier]));
        let stayed = stayed.map(|(tier, _)| {
            let counts = self.unmanaged[tier].values().map(ToString::to_string);
            format!("{tier} {}", counts.collect::<Vec<_>>().join("/"))
        });
        let stayed = stayed.collect::<Vec<_>>().join(", ");
        say.line(&format!("Without a policy it stays as the outage left it: {stayed}. Spread"));
        say.line("constraints act only when a pod is created, so that lasts until a deployment.");
    }
}

async fn spreads(cluster: &Cluster, namespace: &str) -> BTreeMap<&'static str, Spread> {
    let mut spreads = BTreeMap::new();
    for (tier, _) in TIERS {
        spreads.insert(tier, petclinic::spread(cluster, namespace, tier).await);
    }
    spreads
}

fn is_even(spread: &Spread) -> bool {
    let most = spread.values().max().copied().unwrap_or(0);
    most - spread.values().min().copied().unwrap_or(0) <= 1
}

/// Columns that are no news: there is one policy, and it keeps its tiers.
const NO_NEWS: [&str; 3] = ["NAME", "TIERS", "AGE"];

/// Header and cells of `kubectl get`, without those that are no news.
pub async fn policy_row(cluster: &Cluster) -> (Vec<String>, Vec<String>) {
    let arguments = ["get", "zonespreadpolicies", "-n", MANAGED];
    let output = cluster.kubectl(&arguments).await;
    let output = output.unwrap_or_else(|error| panic!("{error}"));
    let mut lines = output.lines();
    let (header, row) = (lines.next().unwrap_or(""), lines.next().unwrap_or(""));
    let names: Vec<&str> = header.split_whitespace().collect();
    // A cell may be empty or have spaces in it, so it is what stands below its header.
    let starts: Vec<usize> = names.iter().filter_map(|name| header.find(name)).collect();
    let ends = starts.iter().skip(1).copied().chain([usize::MAX]);
    let cells = starts.iter().zip(ends).map(|(start, end)| {
        let cell = row.get(*start..end.min(row.len())).unwrap_or("");
        cell.trim().to_owned()
    });
    let told = names.into_iter().map(str::to_owned).zip(cells);
    told.filter(|(name, _)| !NO_NEWS.contains(&name.as_str())).unzip()
}
