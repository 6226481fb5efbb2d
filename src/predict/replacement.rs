//! The pod that a controller makes in place of another: its template, with what admission
//! adds.
//!
//! What admission adds (sidecars, tolerations, defaults of a `LimitRange`, the overhead of a
//! `RuntimeClass`) shows on the live pod, and there alone. What was changed on the live pod
//! itself (a resize in place, another image) is lost with it. Which of the two a difference
//! is cannot be told: a webhook may give every new pod another size (a vertical autoscaler).
//! So where the two differ there are two replacements, and a move has to land for both.

use std::sync::Arc;

use crate::observe::{
    Cluster, Container, Labels, Name, Pod, PodAffinityTerm, PodRequests, SpreadConstraint,
    Template, Workload,
};

use super::in_flight::PendingPod;
use super::revision::REVISION_LABEL;

/// The API server writes the node's zone and region on a pod when it is bound (the admission
/// plugin `PodTopologyLabels`, 1.35).
const BOUND_LABELS: [&str; 2] = ["topology.kubernetes.io/zone", "topology.kubernetes.io/region"];

/// The pod in place of `pod`, made from the same revision of the template.
pub(super) fn next_pod(cluster: &Cluster, pod: &Pod) -> PendingPod {
    let like = PendingPod::like(pod);
    let Some(owner) = cluster.owner_of(pod) else {
        return PendingPod { labels: without_bound(&pod.labels), ..like };
    };
    // Below a partition a set makes its next pod from a revision that its template does not
    // show any more: the pod itself does.
    let mut next = owner.revisions.iter().map(|revisions| (revisions.of(&pod.name), revisions));
    if next.any(|(next, revisions)| next.is_some_and(|next| *next != revisions.update)) {
        let unknown = size_is_unknown(cluster, pod);
        return PendingPod { labels: without_bound(&pod.labels), unknown, ..like };
    }
    let labels = labels(owner, &pod.labels);
    if Arc::ptr_eq(&owner.template, &pod.template) {
        return PendingPod { labels, ..like };
    }
    let live = like.template;
    let template = from_template(owner, &live);
    let as_now = (template != live).then_some(live);
    PendingPod { labels, template, as_now, ..like }
}

/// Why the size of a revision that the set shows no more is not known: its pods tell, unless
/// they were resized in place.
fn size_is_unknown(cluster: &Cluster, pod: &Pod) -> Option<String> {
    let revision = pod.labels.get(REVISION_LABEL);
    let mut others = cluster
        .pods_in(&pod.namespace)
        .map(|(_, other)| other)
        .filter(|other| other.owner == pod.owner && other.labels.get(REVISION_LABEL) == revision);
    if let Some(other) = others.find(|other| other.template.asked != pod.template.asked) {
        return Some(format!(
            "pods {} and {} are of one revision, which their set shows no more, and of two sizes: one of them was resized in place",
            pod.name, other.name
        ));
    }
    pod.changed.then(|| {
        format!(
            "pod {} was changed after it was made (its metadata.generation is above 1), and its replacement is made from a revision that its set shows no more: to know the size, finish or undo the rollout",
            pod.name
        )
    })
}

/// The labels of the pod that is there, but those of its node, and as the template has them.
fn labels(owner: &Workload, live: &Arc<Labels>) -> Arc<Labels> {
    let bound = without_bound(live);
    let differs = |(key, value): &(&String, &String)| bound.get(*key) != Some(*value);
    if !owner.pod_labels.iter().any(|label| differs(&label)) {
        return bound;
    }
    let mut labels = Labels::clone(&bound);
    labels.extend(owner.pod_labels.iter().map(|(key, value)| (key.clone(), value.clone())));
    Arc::new(labels)
}

fn without_bound(live: &Arc<Labels>) -> Arc<Labels> {
    if !BOUND_LABELS.iter().any(|label| live.contains_key(*label)) {
        return Arc::clone(live);
    }
    let mut labels = Labels::clone(live);
    labels.retain(|label, _| !BOUND_LABELS.contains(&label.as_str()));
    Arc::new(labels)
}

/// What the owner's template makes, with what the live pod has besides; the same as `live`
/// where they do not differ.
fn from_template(owner: &Workload, live: &Arc<Template>) -> Arc<Template> {
    let template = &*owner.template;
    // The template of a Deployment's ReplicaSet never changes: nor does a revision.
    let is_fixed = owner.owner.is_some() || owner.revisions.is_some();
    if has_sizes_of(template, live) && (is_fixed || has_rest_of(template, live)) {
        return Arc::clone(live);
    }
    let mut made = Template::clone(live);
    made.set_requests(requests(&template.asked, &live.asked));
    made.containers = made.asked.containers.len();
    made.images = images(template, live, &made.asked.containers);
    made.gated |= template.gated;
    made.claims_devices |= template.claims_devices;
    made.special = made.special.or(template.special);
    if made.unreadable.is_none() {
        made.unreadable.clone_from(&template.unreadable);
    }
    if !is_fixed {
        take_rest(&mut made, template);
    }
    Arc::new(made)
}

/// Whether the containers of the live pod are as large as in the template, and of the same
/// images, and nothing holds the next pod back that no longer holds this one.
fn has_sizes_of(template: &Template, live: &Template) -> bool {
    let has = |container: &Container| {
        live.asked.containers.iter().any(|known| {
            known.name == container.name
                && known.image == container.image
                && container.requests.is_part_of(&known.requests)
        })
    };
    let is_as_large = match (&template.asked.whole, &live.asked.whole) {
        (Some(whole), Some(live)) => whole.is_part_of(live),
        (Some(_), None) => false,
        (None, _) => true,
    };
    is_as_large
        && template.asked.containers.iter().all(has)
        && (live.gated || !template.gated)
        && (live.claims_devices || !template.claims_devices)
        && (live.special.is_some() || template.special.is_none())
        && (live.unreadable.is_some() || template.unreadable.is_none())
}

/// Whether the live pod has all else that the template asks for.
fn has_rest_of(template: &Template, live: &Template) -> bool {
    has_node_choice_of(template, live)
        && has_terms_of(template, live)
        && is_part(&template.spread, &live.spread, is_same_constraint)
        && is_part(&template.host_ports, &live.host_ports, PartialEq::eq)
        && is_part(&template.volumes, &live.volumes, PartialEq::eq)
        && template.ephemeral_classes == live.ephemeral_classes
}

fn has_node_choice_of(template: &Template, live: &Template) -> bool {
    let selects = |(key, value): (&String, &String)| live.node_selector.get(key) == Some(value);
    template.node_selector.iter().all(selects)
        && (template.node_affinity.is_none() || template.node_affinity == live.node_affinity)
        && is_part(&template.tolerations, &live.tolerations, PartialEq::eq)
}

fn has_terms_of(template: &Template, live: &Template) -> bool {
    is_part(&template.required_affinity, &live.required_affinity, is_same_term)
        && is_part(&template.required_anti_affinity, &live.required_anti_affinity, is_same_term)
        && is_part(&template.preferred_affinity, &live.preferred_affinity, |one, other| {
            one.weight == other.weight && is_same_term(&one.term, &other.term)
        })
        && is_part(
            &template.preferred_anti_affinity,
            &live.preferred_anti_affinity,
            |one, other| one.weight == other.weight && is_same_term(&one.term, &other.term),
        )
}

fn is_part<T>(some: &[T], all: &[T], is_same: impl Fn(&T, &T) -> bool) -> bool {
    some.iter().all(|one| all.iter().any(|other| is_same(one, other)))
}

/// The API server merges `matchLabelKeys` into the selector of the pod.
fn is_same_constraint(of_template: &SpreadConstraint, live: &SpreadConstraint) -> bool {
    if of_template.match_label_keys.is_empty() {
        return of_template == live;
    }
    let selector = live.selector.clone();
    SpreadConstraint { selector, ..of_template.clone() } == *live
}

fn is_same_term(of_template: &PodAffinityTerm, live: &PodAffinityTerm) -> bool {
    if of_template.match_label_keys.is_empty() && of_template.mismatch_label_keys.is_empty() {
        return of_template == live;
    }
    let selector = live.selector.clone();
    PodAffinityTerm { selector, ..of_template.clone() } == *live
}

/// Somebody has changed the template of a `ReplicaSet` that nobody owns: of what it does not
/// have any more and what admission adds, the live pod shows both.
fn take_rest(made: &mut Template, template: &Template) {
    let live = made.clone();
    if !has_node_choice_of(template, &live) {
        made.node_selector.clone_from(&template.node_selector);
        made.node_affinity.clone_from(&template.node_affinity);
        let added = live.tolerations.iter().filter(|one| !template.tolerations.contains(one));
        made.tolerations = template.tolerations.iter().chain(added).cloned().collect();
    }
    if !has_terms_of(template, &live) {
        made.required_affinity.clone_from(&template.required_affinity);
        made.preferred_affinity.clone_from(&template.preferred_affinity);
        made.required_anti_affinity.clone_from(&template.required_anti_affinity);
        made.preferred_anti_affinity.clone_from(&template.preferred_anti_affinity);
    }
    if !is_part(&template.spread, &live.spread, is_same_constraint) {
        made.spread.clone_from(&template.spread);
    }
    if !is_part(&template.host_ports, &live.host_ports, PartialEq::eq) {
        made.host_ports.clone_from(&template.host_ports);
    }
    if !is_part(&template.volumes, &live.volumes, PartialEq::eq) {
        made.volumes.clone_from(&template.volumes);
    }
    made.ephemeral_classes.clone_from(&template.ephemeral_classes);
}

/// What the template's containers ask for, completed by what the live pod's ask for, and the
/// containers that only the live pod has.
fn requests(template: &PodRequests, live: &PodRequests) -> PodRequests {
    let of = |containers: &[Container], name: &Name| {
        containers.iter().find(|known| known.name == *name).cloned()
    };
    let mut containers: Vec<Container> = live.containers.clone();
    for container in &mut containers {
        if let Some(mut known) = of(&template.containers, &container.name) {
            known.requests.complete(&container.requests);
            *container = known;
        }
    }
    let missing = template.containers.iter();
    let missing = missing.filter(|container| of(&live.containers, &container.name).is_none());
    containers.extend(missing.cloned());
    let whole = match (&template.whole, &live.whole) {
        (Some(whole), Some(live)) => {
            let mut whole = whole.clone();
            whole.complete(live);
            Some(whole)
        }
        (whole, live) => whole.as_ref().or(live.as_ref()).cloned(),
    };
    PodRequests { containers, whole, overhead: live.overhead.clone() }
}

/// The images of these containers, and of the volumes that are images.
fn images(template: &Template, live: &Template, containers: &[Container]) -> Vec<Name> {
    let of_volumes = |template: &Template| {
        let mut images = template.images.clone();
        for image in template.asked.containers.iter().filter_map(|known| known.image.as_ref()) {
            if let Some(at) = images.iter().position(|known| known == image) {
                images.remove(at);
            }
        }
        images
    };
    let mut volumes = of_volumes(live);
    if volumes.is_empty() {
        volumes = of_volumes(template);
    }
    containers.iter().filter_map(|container| container.image.clone()).chain(volumes).collect()
}
