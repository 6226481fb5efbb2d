//! Recoveries for a person.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::cli::age::age;
use crate::cli::history::{Recoveries, ToldRecovery};
use crate::cli::table::{Grid, or_dash};

/// The recoveries as text; nothing if there are none.
pub fn history_table(answer: &Recoveries, now: Timestamp) -> String {
    if answer.recoveries.is_empty() {
        return String::new();
    }
    let columns = [
        "POLICY",
        "ZONE",
        "BACK",
        "LOST-FOR",
        "HELD",
        "TOOK",
        "MOVES",
        "MISSED",
        "LOWEST-READY",
        "OUTCOME",
    ];
    let namespace = answer.with_namespace.then_some("NAMESPACE");
    let mut grid = Grid::new(namespace.into_iter().chain(columns)).with_notes(["LOWEST-READY"]);
    for told in &answer.recoveries {
        let since = |from: &Time, to: Option<&Time>| to.map(|to| age(to.0.duration_since(from.0)));
        let lost_for = told.lost_at.as_ref().and_then(|lost| since(lost, Some(&told.started_at)));
        let held = since(&told.started_at, told.held_until.as_ref());
        let took = since(&told.started_at, told.ended_at.as_ref());
        let mut cells: Vec<String> = Vec::new();
        cells.extend(answer.with_namespace.then(|| told.namespace.clone()));
        cells.push(told.policy.clone());
        cells.push(or_dash(told.zone.as_deref()).to_owned());
        cells.push(age(now.duration_since(told.started_at.0)));
        cells.extend([lost_for, held, took].map(|cell| or_dash(cell.as_deref()).to_owned()));
        cells.extend([told.moves.to_string(), told.misses.to_string()]);
        cells.push(lowest(told));
        cells.push(told.outcome.to_owned());
        grid.row(cells);
    }
    grid.print()
}

/// `web 4/6`: the tier, its pods that were Available at worst, and its replicas.
pub(super) fn lowest(told: &ToldRecovery) -> String {
    told.lowest.as_ref().map_or_else(
        || "-".to_owned(),
        |lowest| format!("{} {}/{}", lowest.tier, lowest.available, lowest.replicas),
    )
}
