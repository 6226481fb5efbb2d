//! Whether a node that is gone was removed in order, or lost.

use crate::observe::object::node::Node;
use crate::observe::object::pod::Pod;

/// Whether an autoscaler removed the node in order: it said so by its taint, the node worked
/// until then, and no pod was left on it but those that go with the node. What cannot be told,
/// such as a node that was deleted by hand, or while nobody looked, was not.
#[must_use]
pub fn left_in_order<'p>(node: &Node, pods: impl IntoIterator<Item = &'p Pod>) -> bool {
    let goes_with_node = |pod: &Pod| {
        let owner = pod.owner.as_ref().map(|owner| &*owner.kind);
        // Pods of a DaemonSet, and those that the kubelet runs by itself.
        matches!(owner, Some("DaemonSet" | "Node")) || pod.terminating || pod.is_finished()
    };
    node.removal().is_some() && pods.into_iter().all(goes_with_node)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::fixtures::{node, pod};

    #[test]
    fn a_node_that_was_drained_by_an_autoscaler_left_in_order() {
        let worked = || node("c1").zone("c");
        for key in ["karpenter.sh/disrupted", "ToBeDeletedByClusterAutoscaler"] {
            let drained = worked().taint(key, "NoSchedule").build();
            assert!(left_in_order(&drained, []), "{key}");
            let agent = pod("agent").owner("DaemonSet", "agent").on("c1").build();
            assert!(left_in_order(&drained, [&agent]), "{key}");
            let web = pod("web-1").owner("ReplicaSet", "web").on("c1").build();
            assert!(!left_in_order(&drained, [&agent, &web]), "{key}: a pod was lost");
            let failed = worked().taint(key, "NoSchedule").not_ready().build();
            assert!(!left_in_order(&failed, []), "{key}: nobody knows what became of its pods");
        }
        // Its finalizer keeps a node of Karpenter until it is drained.
        let deleted = worked().deleting();
        assert!(!left_in_order(&deleted.clone().build(), []), "nobody drains it");
        let claimed = deleted.label("karpenter.sh/nodepool", "general");
        assert!(left_in_order(&claimed.clone().build(), []));
        assert!(!left_in_order(&claimed.not_ready().build(), []));
        assert!(!left_in_order(&worked().build(), []), "somebody deleted it");
        assert!(!left_in_order(&worked().cordoned().build(), []), "a cordon is no removal");
    }
}
