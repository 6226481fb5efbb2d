//! Why a replacement is not Available in time.

use crate::observe::{Name, Pod, Zone};

use super::follow::View;

/// What is said of a replacement, or of none, that is not Available after so many seconds.
pub(super) fn why_stuck(
    view: &View<'_>,
    replacement: Option<&Pod>,
    zone: Option<&Zone>,
    timeout: u64,
) -> String {
    match (replacement, zone) {
        (Some(pod), Some(zone)) => {
            format!("{} in zone {zone} is not Available after {timeout}s", pod.name)
        }
        (Some(pod), None) => match nominated(view, pod) {
            // SchedulerAsyncPreemption: see docs/facts.md.
            Some(node) => format!(
                "{} has no node after {timeout}s: kube-scheduler makes room for it on {node}; if there is room already, delete the pod: the next one is placed at once",
                pod.name
            ),
            None => format!("{} has no node after {timeout}s", pod.name),
        },
        (None, _) => format!("no replacement was made within {timeout}s"),
    }
}

/// The node on which others are pushed out for the pod (`status.nominatedNodeName`).
fn nominated<'v>(view: &View<'v>, pod: &Pod) -> Option<&'v Name> {
    let mut reserved = view.index.cluster().reserved();
    reserved.find(|(_, waiting, _)| waiting.uid == pod.uid).map(|(_, _, node)| node)
}

#[cfg(test)]
mod tests {
    use super::super::follow::OtherMoves;
    use super::*;
    use crate::observe::fixtures::pod;
    use crate::observe::{Change, Index};
    use serde_json::json;

    #[test]
    fn a_replacement_that_waits_for_room_names_the_node() {
        let mut index = Index::default();
        let waiting = pod("web-2").phase("Pending").not_ready();
        index.apply(Change::Pod(waiting.clone().watched()));
        let others = OtherMoves::default();
        let namespace = Name::from("default");
        let said = |index: &Index| {
            let view = View::of_one(index, &namespace, &others);
            let cluster = index.cluster();
            let pod = cluster.pod(cluster.pod_id("default", "web-2").unwrap());
            why_stuck(&view, pod, None, 300)
        };
        assert_eq!(said(&index), "web-2 has no node after 300s");
        let nominated = waiting.status("nominatedNodeName", json!("c1"));
        index.apply(Change::Pod(nominated.watched()));
        assert_eq!(
            said(&index),
            "web-2 has no node after 300s: kube-scheduler makes room for it on c1; if there is room already, delete the pod: the next one is placed at once"
        );
    }
}
