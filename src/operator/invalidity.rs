//! Policies that cannot be followed.

use crate::api::limit;
use crate::observe::{Index, PolicyEntry};
use crate::plan::tier_count;

/// Why a policy cannot be followed, if so.
pub(super) fn invalidity(index: &Index, policy: &PolicyEntry) -> Option<String> {
    if let Err(error) = &policy.selector {
        return Some(error.clone());
    }
    if let Err(error) = &policy.calendar {
        return Some(error.clone());
    }
    let tiers = tier_count(index, policy);
    if tiers > limit::TIERS {
        return Some(format!(
            "spec.tierLabel: the pods carry {tiers} values of it, and a policy can have {} tiers: choose a label with fewer values, or several policies",
            limit::TIERS
        ));
    }
    let contested = policy.contested.count();
    if contested == 0 {
        return None;
    }
    let example = policy.contested.example();
    let example = example.and_then(|(id, older)| Some((&index.cluster().pod(id)?.name, older)));
    let whose = example.map_or_else(
        || "belong to older policies".to_owned(),
        |(pod, older)| format!("such as {pod}, belong to the older policy {}", older.name),
    );
    let comma = if example.is_some() { "," } else { "" };
    Some(format!(
        "spec.selector: {contested} of the selected pods{comma} {whose}: narrow one of the two selectors"
    ))
}
