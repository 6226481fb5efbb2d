//! Pods that are in no zone: on nodes without the zone label, or on nodes that are gone.

use crate::api::ZONE_LABEL;
use crate::api::text::counted;
use crate::observe::Index;

use super::status::TierReport;

/// The column of pods in no zone, where zones have theirs.
pub const NO_ZONE: &str = "none";

/// Says how many pods of these tiers are in no zone, and names one, its node and what
/// is wrong with that.
pub fn unzoned_note(index: &Index, tiers: &[TierReport]) -> Option<String> {
    let cluster = index.cluster();
    let mut pods = tiers.iter().flat_map(|tier| &tier.view.unzoned);
    let count = pods.clone().count();
    let pod = cluster.pod(*pods.next()?)?;
    let node = pod.node.as_deref().unwrap_or_default();
    let what = if cluster.node(node).is_some() {
        format!("which has no label {ZONE_LABEL}")
    } else {
        "which is gone".to_owned()
    };
    let (are, such) = if count == 1 { ("is", "") } else { ("are", "such as ") };
    Some(format!(
        "{} {are} in no zone: {such}{} on node {node}, {what}",
        counted(count, "pod"),
        pod.name
    ))
}
