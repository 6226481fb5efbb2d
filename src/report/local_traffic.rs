//! Tiers whose Services keep traffic in its zone: the first pod that comes back to a zone is
//! alone with it.
//!
//! Each ready endpoint of such a Service is hinted to its own zone, however few there are
//! (`k8s.io/endpointslice/trafficdist`, 1.33 to 1.37); without one, traffic goes to all.

use crate::observe::Index;

use super::status::TierReport;

/// So many tiers are named.
const NAMED: usize = 3;

/// Says of which unbalanced tiers a pod would be alone with the traffic of a zone.
pub fn local_traffic_note(index: &Index, tiers: &[TierReport]) -> Option<String> {
    let told = tiers.iter().filter_map(|tier| note_of(index, tier));
    let told: Vec<String> = told.take(NAMED).collect();
    (!told.is_empty()).then(|| told.join("; "))
}

fn note_of(index: &Index, tier: &TierReport) -> Option<String> {
    let view = &tier.view;
    if view.is_balanced() {
        return None;
    }
    let (zone, _) = view.zones.iter().find(|(_, counted)| counted.pods.is_empty())?;
    let mut pods = view.zones.values().flat_map(|counted| &counted.pods);
    let pod = pods.find_map(|id| index.cluster().pod(*id))?;
    let mut services = index.cluster().services_in(&pod.namespace);
    let (service, distribution) = services.find_map(|service| {
        let distribution = service.traffic_distribution.as_ref()?;
        service.selects(&pod.labels).then_some((service, distribution))
    })?;
    Some(format!(
        "Service {} keeps traffic in its zone (trafficDistribution: {distribution}): the first pod of tier {} in zone {zone} takes all that starts there",
        service.name, view.name
    ))
}
