//! What `deploy/drill` adds to new pods of the tiers of a zone that a drill closes: a required
//! node affinity that keeps them out of it. It is none of the workload's own, and is taken off a
//! pod that is read: the next pod is made when the zone is open again.

use k8s_openapi::api::core::v1::{NodeAffinity, NodeSelectorTerm};

use crate::api::{DRILLED, ZONE_LABEL};

use super::template::Template;

fn terms(affinity: &NodeAffinity) -> impl Iterator<Item = &NodeSelectorTerm> {
    let required = affinity.required_during_scheduling_ignored_during_execution.iter();
    required.flat_map(|required| &required.node_selector_terms)
}

fn is_marked(term: &NodeSelectorTerm) -> bool {
    term.match_expressions.iter().flatten().any(|ask| ask.key == DRILLED)
}

/// Whether a drill added to it.
pub(super) fn is_kept_out(affinity: &NodeAffinity) -> bool {
    terms(affinity).any(is_marked)
}

/// Takes the zone and the mark behind it off a term; whether anything is left of it.
fn take_off(term: &mut NodeSelectorTerm) -> bool {
    let Some(asks) = &mut term.match_expressions else { return true };
    let Some(mark) = asks.iter().position(|ask| ask.key == DRILLED) else { return true };
    asks.remove(mark);
    let is_ours = |at: &usize| asks[*at].key == ZONE_LABEL && asks[*at].operator == "NotIn";
    if let Some(zone) = mark.checked_sub(1).filter(is_ours) {
        asks.remove(zone);
    }
    if asks.is_empty() {
        term.match_expressions = None;
    }
    *term != NodeSelectorTerm::default()
}

impl Template {
    /// Takes off what a drill has added.
    pub(super) fn take_off_drill(&mut self) {
        let Some(affinity) = self.node_affinity.as_mut().filter(|known| is_kept_out(known)) else {
            return;
        };
        let required = &mut affinity.required_during_scheduling_ignored_during_execution;
        let mut is_left = false;
        for terms in required.iter_mut().map(|required| &mut required.node_selector_terms) {
            terms.retain_mut(take_off);
            is_left |= !terms.is_empty();
        }
        if !is_left {
            *required = None;
            // `nodeAffinityPolicy: Ignore` is added only where the pod chooses no nodes by
            // itself: there it makes no difference any more.
            if self.node_selector.is_empty() {
                self.spread.iter_mut().for_each(|constraint| constraint.honor_affinity = true);
            }
        }
        if *affinity == NodeAffinity::default() {
            self.node_affinity = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::observe::fixtures::pod;
    use rstest::rstest;
    use serde_json::{Value, json};

    fn required(terms: &Value) -> Value {
        json!({"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {
            "nodeSelectorTerms": terms}}})
    }

    #[rstest]
    #[case::nothing_of_its_own(&[])]
    #[case::a_choice_of_its_own(&[json!({"key": "disk", "operator": "Exists"})])]
    #[case::another_zone_that_it_avoids(
        &[json!({"key": "topology.kubernetes.io/zone", "operator": "NotIn", "values": ["b"]})]
    )]
    fn what_a_drill_added_to_a_pod_is_not_read(#[case] own: &[Value]) {
        let mut asks = own.to_vec();
        asks.push(
            json!({"key": "topology.kubernetes.io/zone", "operator": "NotIn", "values": ["c"]}),
        );
        asks.push(json!({"key": "zonespread.io/drilled", "operator": "DoesNotExist"}));
        let kept_out =
            pod("web-1").spec("affinity", required(&json!([{"matchExpressions": asks}])));
        let plain = if own.is_empty() {
            pod("web-1")
        } else {
            pod("web-1").spec("affinity", required(&json!([{"matchExpressions": own}])))
        };
        let (kept_out, plain) = (kept_out.build(), plain.build());
        assert_eq!(kept_out.template, plain.template);
        assert_eq!((kept_out.kept_out, plain.kept_out), (true, false));
    }
}
