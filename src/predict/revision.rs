//! The revision of its template that a `StatefulSet` makes the next pod from.
//!
//! Follows `newVersionedStatefulSetPod` in
//! `pkg/controller/statefulset/stateful_set_utils.go` (1.37). Between two
//! revisions (`OnDelete`, a partition, a rollout) the next pod may not be like
//! the one that is evicted.

use std::sync::Arc;

use crate::observe::{Cluster, Labels, Name, Pod, Template, VolumeSource, Workload};

use super::in_flight::PendingPod;

pub(super) const REVISION_LABEL: &str = "controller-revision-hash";
/// What the controller writes on each pod, whatever the template says.
const OWN_LABELS: [&str; 2] =
    ["statefulset.kubernetes.io/pod-name", "apps.kubernetes.io/pod-index"];
/// Taints that the API server makes every pod bear for a while
/// (the admission plugin `DefaultTolerationSeconds`).
const BORNE_BY_ALL: [&str; 2] = ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"];

/// The next pod in place of `pod`, where it is made from another revision.
///
/// Where it is made from the same one, the pod itself tells more than the
/// template: what admission has added is on it.
pub(super) fn next_pod(cluster: &Cluster, pod: &Pod) -> Option<PendingPod> {
    let owner = cluster.owner_of(pod)?;
    let revisions = owner.revisions.as_ref()?;
    let next = revisions.of(&pod.name)?;
    let own = pod.labels.get(REVISION_LABEL)?;
    if **own == **next {
        return None;
    }
    let like = PendingPod::like(pod);
    Some(if *next == revisions.update {
        PendingPod {
            labels: Arc::new(labels(owner, pod, next)),
            template: template(owner, pod),
            ..like
        }
    } else {
        let unknown = format!(
            "the replacement is made from revision {next}, which neither the pod nor its owner shows"
        );
        PendingPod { unknown: Some(unknown), ..like }
    })
}

fn labels(owner: &Workload, pod: &Pod, revision: &Name) -> Labels {
    let mut labels = Labels::clone(&owner.pod_labels);
    for label in OWN_LABELS {
        if let Some(value) = pod.labels.get(label) {
            labels.insert(label.to_owned(), value.clone());
        }
    }
    labels.insert(REVISION_LABEL.to_owned(), revision.to_string());
    labels
}

/// The owner's template, with what every pod of it gets: its claims, and what
/// admission adds.
fn template(owner: &Workload, pod: &Pod) -> Arc<Template> {
    let mut template = Template::clone(&owner.template);
    template.priority = pod.template.priority;
    let suffix = format!("-{}", pod.name);
    let is_own = |volume: &&VolumeSource| matches!(volume, VolumeSource::Claim(claim) if claim.ends_with(&suffix));
    template.volumes.extend(pod.template.volumes.iter().filter(is_own).cloned());
    let tolerations = pod.template.tolerations.iter();
    let given = tolerations.filter(|toleration| {
        toleration.key.as_deref().is_some_and(|key| BORNE_BY_ALL.contains(&key))
    });
    for toleration in given {
        if !template.tolerations.contains(toleration) {
            template.tolerations.push(toleration.clone());
        }
    }
    Arc::new(template)
}
