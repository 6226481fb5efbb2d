//! Soft constraints that lose on this cluster.

use crate::observe::Zone;
use crate::predict::{InFlightPods, Landing, PendingPod, Prediction};

use super::check::Check;
use super::workload::Workload;
use super::{Context, Findings};

pub(super) fn check(context: &Context<'_>, findings: &mut Findings) {
    for (at, workload) in context.workloads() {
        if let Some(message) = loses(context, workload) {
            findings.of_workload(Check::SoftConstraintLoses, context, at, message);
        }
    }
}

/// How a workload's soft constraint loses: its pods are more uneven than it asks for, and the
/// next pod would not go where it wants it.
fn loses(context: &Context<'_>, workload: &Workload<'_>) -> Option<String> {
    let mut of_zones = workload.template.spread.iter().filter(|own| own.is_of_zones());
    let soft = of_zones.next().filter(|own| !own.hard)?;
    if of_zones.next().is_some() || workload.placed() < 2 {
        return None;
    }
    let pods = |zone: &Zone| workload.zones.get(zone).copied().unwrap_or(0);
    let fewest = workload.may_use.keys().map(pods).min()?;
    let (fullest, most) = workload.fullest()?;
    if most.saturating_sub(fewest) <= usize::try_from(soft.max_skew).ok()? {
        return None;
    }
    let landing = next_landing(context, workload, fullest)?;
    // Whether a zone with the fewest pods has a node that could take it.
    let is_emptiest = |zone: &Zone| pods(zone) == fewest;
    let could = landing.scores.iter().any(|score| score.zone.as_ref().is_some_and(is_emptiest));
    let lands = landing.zones.first().filter(|_| !landing.zones.iter().any(is_emptiest))?;
    if !could || (*lands != *fullest && pods(lands) + 1 < most) {
        return None;
    }
    let mut note =
        landing.scores.iter().filter(|score| score.zone.as_ref().is_some_and(is_emptiest));
    let note = note.find_map(|score| score.note.as_deref());
    let note = note.map(|note| format!(" ({note} there)")).unwrap_or_default();
    Some(format!(
        "{}: its ScheduleAnyway constraint has maxSkew {}, its pods are {} and the next would go to zone {lands} again{note}",
        workload.object.title(),
        soft.max_skew,
        workload.spread(),
    ))
}

/// Where the replacement of a pod of the fullest zone would land.
fn next_landing(context: &Context<'_>, workload: &Workload<'_>, fullest: &Zone) -> Option<Landing> {
    let cluster = context.input.index.cluster();
    let in_zone = |id: &&crate::observe::PodId| cluster.zone_of_slot(**id) == Some(fullest);
    let id = workload.pods.iter().find(in_zone)?;
    let mut in_flight = InFlightPods::default();
    in_flight.evict(*id);
    let pending = PendingPod::replacing(cluster, cluster.pod(*id)?);
    match context.input.scheduler.predict(&in_flight, &pending) {
        Prediction::Lands(landing) => Some(landing),
        Prediction::Pending(_) | Prediction::Unpredictable(_) => None,
    }
}
