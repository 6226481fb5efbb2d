//! What the scheduler itself says of its scores: the other side of a mismatch.

use crate::harness::Cluster;
use std::path::PathBuf;
use zonespread::predict::Prediction;

/// Makes the scheduler write down the score of each plugin for each node.
pub const FLAG: &str = "--vmodule=schedule_one=10";

/// The scheduler's log.
pub struct SchedulerLog(PathBuf);

/// What a plugin gave a node, weighted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Score {
    pub plugin: String,
    pub node: String,
    pub points: i64,
}

impl SchedulerLog {
    pub fn of(cluster: &Cluster) -> Self {
        Self(cluster.directory().join("kube-scheduler.log"))
    }

    /// The scores of the last attempt to place a pod, by namespace and name.
    pub fn scores(&self, pod: &str) -> Vec<Score> {
        let log = String::from_utf8_lossy(&std::fs::read(&self.0).unwrap()).into_owned();
        let mine = format!("pod=\"{pod}\"");
        let mut scores = Vec::new();
        for line in log.lines().filter(|line| line.contains(&mine)) {
            if line.contains("Attempting to schedule pod") {
                scores.clear();
            }
            scores.extend(score(line));
        }
        scores
    }
}

fn score(line: &str) -> Option<Score> {
    line.contains("Plugin scored node for pod").then_some(())?;
    let quoted = |field: &str| {
        let (_, rest) = line.split_once(&format!("{field}=\""))?;
        Some(rest.split_once('"')?.0.to_owned())
    };
    let (_, score) = line.rsplit_once("score=")?;
    Some(Score {
        plugin: quoted("plugin")?,
        node: quoted("node")?,
        points: score.trim().parse().ok()?,
    })
}

/// Where the scheduler's scores are not the predicted ones, for a human.
pub fn differences(scores: &[Score], prediction: &Prediction) -> Vec<String> {
    let Prediction::Lands(landing) = prediction else { return Vec::new() };
    let mut lines = Vec::new();
    for told in scores {
        let predicted = landing.scores.iter().find(|score| *score.node == *told.node);
        let Some(predicted) = predicted else {
            lines.push(format!("{} is scored, and was not expected to take the pod", told.node));
            continue;
        };
        let ours = predicted.by_plugin.iter().find(|(plugin, _)| plugin.as_str() == told.plugin);
        let ours = ours.map_or(0, |(_, score)| *score);
        if ours != told.points {
            lines.push(format!(
                "{} of {}: {} by the scheduler, {ours} predicted",
                told.plugin, told.node, told.points
            ));
        }
    }
    let scored = |node: &str| scores.iter().any(|told| told.node == node);
    if !scores.is_empty() {
        let missing = landing.scores.iter().filter(|score| !scored(&score.node));
        lines.extend(missing.map(|score| {
            format!("{} is not scored, and was expected to take the pod", score.node)
        }));
    }
    lines.dedup();
    lines
}
