//! A prediction for a person, on one screen: where, how sure, the runner-up,
//! and what decided.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::shortened;
use crate::cli::predict::{Answer, Filtered, Otherwise, Scored};
use crate::cli::table::Grid;

/// Reasons that are named of the many for which nodes are rejected.
const REASONS_SHOWN: usize = 4;

/// A prediction for a person.
pub struct PredictionTable<'a> {
    answer: &'a Answer,
    best: Option<&'a Scored>,
    /// The best node of a zone in which the pod does not land.
    runner_up: Option<&'a Scored>,
}

impl<'a> PredictionTable<'a> {
    /// The table of an answer.
    pub fn of(answer: &'a Answer) -> Self {
        let elsewhere = |score: &&Scored| {
            !answer.nodes.contains(&score.node)
                && !score.zone.as_ref().is_some_and(|zone| answer.zones.contains(zone))
        };
        let best = answer.scores.iter().find(|score| answer.nodes.contains(&score.node));
        Self { answer, best, runner_up: answer.scores.iter().find(elsewhere) }
    }

    fn lands_in(&self) -> String {
        let Answer { zones, nodes, unpredictable, .. } = self.answer;
        match (unpredictable, &zones[..]) {
            (Some(_), _) => "unknown".to_owned(),
            (None, [zone]) => format!("zone {zone}"),
            (None, []) if nodes.is_empty() => "nowhere: it would stay Pending".to_owned(),
            (None, []) => "nodes without a zone".to_owned(),
            (None, several) => format!("one of the zones {}", several.join(", ")),
        }
    }

    fn how_sure(&self) -> String {
        let Answer { zones, nodes, certain, unpredictable, .. } = self.answer;
        if let Some(reason) = unpredictable {
            return format!("it cannot be known: {reason}");
        }
        match &zones[..] {
            _ if nodes.is_empty() => "certain: every node is rejected".to_owned(),
            _ if *certain => "certain".to_owned(),
            _ if let Some(unless) = &self.answer.unless => otherwise(unless),
            [] => "the nodes that tie carry no zone label".to_owned(),
            [_] if self.ties_without_zone() => {
                "not certain: nodes without a zone label tie".to_owned()
            }
            several if several.iter().all(|zone| self.ties_in(zone)) => {
                "not certain: nodes of these zones tie".to_owned()
            }
            _ => format!(
                "not certain: the scheduler scores only some of so many nodes ({})",
                self.probability()
            ),
        }
    }

    fn ties_in(&self, zone: &str) -> bool {
        let tied = |score: &&Scored| self.answer.nodes.contains(&score.node);
        let mut zones = self.answer.scores.iter().filter(tied).map(|score| score.zone.as_deref());
        zones.any(|tied| tied == Some(zone))
    }

    /// `about 83 % c, 17 % b`
    fn probability(&self) -> String {
        let mut zones: Vec<(&String, &f64)> = self.answer.probability.iter().collect();
        zones.sort_by(|(_, one), (_, other)| other.total_cmp(one));
        let shares: Vec<String> =
            zones.iter().map(|(zone, share)| format!("{:.0} % {zone}", *share * 100.0)).collect();
        format!("about {}", shares.join(", "))
    }

    fn ties_without_zone(&self) -> bool {
        let tied = |score: &&Scored| self.answer.nodes.contains(&score.node);
        self.answer.scores.iter().filter(tied).any(|score| score.zone.is_none())
    }

    fn runner_up(&self) -> Option<String> {
        let best = self.best?;
        let Some(second) = self.runner_up else {
            let others = self.answer.filtered.iter().any(|filtered| !self.is_home(filtered));
            return Some(if others {
                "none: no node of another zone can take it".to_owned()
            } else {
                "none: there is no other zone".to_owned()
            });
        };
        let zone =
            second.zone.as_deref().map_or("no zone".to_owned(), |zone| format!("zone {zone}"));
        let behind = best.total - second.total;
        Some(format!(
            "{zone} (node {}), {behind} points behind: {} to {}",
            second.node, second.total, best.total
        ))
    }

    /// What made the difference: scores, or what rejects the nodes elsewhere.
    fn decided_by(&self) -> Option<String> {
        if let (Some(best), Some(second)) = (self.best, self.runner_up) {
            let mut differences: Vec<(&str, i64)> = best
                .by_plugin
                .iter()
                .map(|(plugin, points)| {
                    (*plugin, points - second.by_plugin.get(plugin).copied().unwrap_or_default())
                })
                .filter(|(_, difference)| *difference != 0)
                .collect();
            differences.sort_by_key(|(plugin, difference)| (-difference, *plugin));
            let words: Vec<String> = differences
                .iter()
                .map(|(plugin, difference)| format!("{plugin} {difference:+}"))
                .collect();
            return Some(if words.is_empty() {
                "nothing: every score is the same".to_owned()
            } else {
                words.join(", ")
            });
        }
        reasons(self.answer.filtered.iter().filter(|filtered| !self.is_home(filtered)))
    }

    /// Whether a node that cannot take the pod is in a zone where it lands.
    fn is_home(&self, filtered: &Filtered) -> bool {
        filtered.zone.as_ref().is_some_and(|zone| self.answer.zones.contains(zone))
    }

    /// One row per zone: its best node, and what each plugin gave it.
    fn zones(&self) -> Option<String> {
        let Answer { filtered, scores, .. } = self.answer;
        let names: BTreeSet<Option<&str>> = scores
            .iter()
            .map(|score| score.zone.as_deref())
            .chain(filtered.iter().map(|filtered| filtered.zone.as_deref()))
            .collect();
        let best: BTreeMap<Option<&str>, &Scored> =
            scores.iter().rev().map(|score| (score.zone.as_deref(), score)).collect();
        // A plugin that gives all of them the same decides nothing.
        let plugins: BTreeSet<&str> = best
            .values()
            .flat_map(|score| score.by_plugin.iter())
            .filter(|(plugin, points)| {
                best.values().any(|other| other.by_plugin.get(*plugin) != Some(points))
            })
            .map(|(plugin, _)| *plugin)
            .collect();
        if names.is_empty() {
            return None;
        }
        let columns = ["ZONE", "NODES", "CAN TAKE IT", "BEST NODE", "POINTS"];
        let mut grid =
            Grid::new(columns.into_iter().chain(plugins.iter().copied()).chain(["REMARK"]));
        for zone in names {
            let able = scores.iter().filter(|score| score.zone.as_deref() == zone).count();
            let rejected = || filtered.iter().filter(|other| other.zone.as_deref() == zone);
            let first = best.get(&zone);
            let mut cells = vec![
                zone.unwrap_or("(none)").to_owned(),
                (able + rejected().count()).to_string(),
                able.to_string(),
                first.map_or("-", |score| &score.node).to_owned(),
                first.map_or("-".to_owned(), |score| score.total.to_string()),
            ];
            cells.extend(plugins.iter().map(|plugin| {
                let points = first.and_then(|score| score.by_plugin.get(plugin));
                points.map_or("-".to_owned(), i64::to_string)
            }));
            let remark = first.and_then(|score| score.note.clone());
            cells.push(remark.or_else(|| reasons(rejected())).unwrap_or_default());
            grid.row(cells);
        }
        Some(grid.print())
    }
}

/// What becomes of it if it is made otherwise.
fn otherwise(unless: &Otherwise) -> String {
    let there = match &unless.zones[..] {
        [] => "it would stay Pending".to_owned(),
        zones => format!("it may land in {}", zones.join(", ")),
    };
    format!("not certain: if {}, {there}", unless.what)
}

/// For what reasons nodes are rejected, the most frequent first.
fn reasons<'a>(rejected: impl Iterator<Item = &'a Filtered>) -> Option<String> {
    let mut counts: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for filtered in rejected {
        *counts.entry((filtered.plugin, &filtered.message)).or_default() += 1;
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let mut words: Vec<String> = counts
        .iter()
        .take(REASONS_SHOWN)
        .map(|((plugin, message), count)| format!("{plugin} rejects {count}: {message}"))
        .collect();
    if counts.len() > REASONS_SHOWN {
        words.push(format!("{} other reasons", counts.len() - REASONS_SHOWN));
    }
    (!words.is_empty()).then(|| words.join("; "))
}

impl fmt::Display for PredictionTable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut summary = Grid::new(["POD", &self.answer.title]);
        summary.row(["LANDS IN", &self.lands_in()]);
        summary.row(["HOW SURE", &self.how_sure()]);
        if let Some(zone) = &self.answer.steered {
            summary.row(["STEERED TO", &format!("zone {zone}, as the tier's new pods are now")]);
        }
        if let Some(why) = &self.answer.never_moved {
            summary.row(["NEVER MOVED", why]);
        }
        if !self.answer.nodes.is_empty() {
            summary.row(["NODES", &shortened(&self.answer.nodes, self.answer.nodes.len())]);
        }
        if !self.answer.preempts.is_empty() {
            let pods = shortened(&self.answer.preempts, self.answer.preempts.len());
            summary.row(["PREEMPTS", &format!("{pods}, of negative priority")]);
        }
        if let Some(held_by) = self.answer.filtered.iter().find_map(|other| other.held_by.as_ref())
            && self.answer.nodes.is_empty()
        {
            summary.row(["NOT TAKEN", &format!("the room of pods of lower priority: {held_by}")]);
        }
        if let Some(runner_up) = self.runner_up() {
            summary.row(["RUNNER-UP", &runner_up]);
        }
        if let Some(decided_by) = self.decided_by() {
            summary.row(["DECIDED BY", &decided_by]);
        }
        f.write_str(&summary.print())?;
        match self.zones() {
            Some(zones) => write!(f, "\n{zones}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
#[path = "prediction_tests.rs"]
mod tests;
