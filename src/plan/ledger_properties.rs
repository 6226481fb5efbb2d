//! A plan is what then happens, where nothing else does.

use std::collections::VecDeque;

use proptest::prelude::*;

use super::TierPlan;
use super::properties::{Case, Small, Spread, cases};
use crate::api::Reason;
use crate::observe::fixtures::PodFixture;

/// Moves, as `a to c`.
fn ways(plan: &TierPlan) -> Vec<String> {
    plan.moves.iter().map(|planned| format!("{} to {}", planned.from, planned.to[0])).collect()
}

impl Small {
    /// Lets a tier be moved, as many moves at once as it may, the first to begin the first to
    /// be over, until nothing is planned any more. None once a landing is not certain.
    fn live(&mut self) -> Option<Vec<String>> {
        let mut made = Vec::new();
        let mut leaving: VecDeque<String> = VecDeque::new();
        loop {
            while leaving.len() >= self.case.at_once {
                self.remove_pod(&leaving.pop_front()?);
            }
            let view = self.view()?;
            let plan = self.plan(&view);
            let Some(next) = plan.moves.first() else {
                let Some(gone) = leaving.pop_front() else { break };
                self.remove_pod(&gone);
                continue;
            };
            if next.to.len() > 1 {
                return None;
            }
            made.extend(ways(&plan).into_iter().next());
            let name = self.index.cluster().pod(next.pod)?.name.to_string();
            self.show_again(&name, PodFixture::terminating);
            // What has moved is done: a plan cannot hold pods that are still to be made.
            self.add_pod(&next.nodes[0], true);
            leaving.push_back(name);
        }
        Some(made)
    }
}

/// The nodes of a and b are full, and c is avoided: a replacement lands there only as long as
/// nobody has made room elsewhere.
fn full_but_for_an_avoided_zone(at_once: usize) -> Small {
    let on = |node: usize| (node, false);
    Small::new(Case {
        room: [vec![3], vec![3], vec![3]],
        pods: [0, 0, 0, 1, 1, 1].map(on).to_vec(),
        spread: Spread::Soft,
        max_skew: 1,
        at_once,
        avoided: Some(2),
    })
}

#[test]
fn room_that_a_move_leaves_behind_is_where_the_next_replacement_would_go() {
    let mut small = full_but_for_an_avoided_zone(1);
    let plan = small.plan(&small.view().unwrap());
    assert_eq!(ways(&plan), ["a to c"], "the next one would go where the first was");
    assert_eq!(plan.reachable_skew, 2);
    assert_eq!(plan.obstacle.map(|blocked| blocked.reason), Some(Reason::WouldNotLand));
    assert_eq!(small.live().unwrap(), ["a to c"]);
}

#[test]
fn pods_that_leave_together_hold_their_room_until_both_have_landed() {
    let mut small = full_but_for_an_avoided_zone(2);
    let plan = small.plan(&small.view().unwrap());
    assert_eq!(ways(&plan), ["a to c", "b to c"]);
    assert_eq!((plan.reachable_skew, plan.obstacle), (0, None));
    assert_eq!(small.live().unwrap(), ["a to c", "b to c"]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn a_plan_is_what_then_happens(case in cases()) {
        let mut small = Small::new(case);
        let Some(view) = small.view() else { return Ok(()) };
        let plan = small.plan(&view);
        if plan.moves.iter().any(|planned| planned.to.len() > 1) {
            return Ok(());
        }
        let Some(made) = small.live() else { return Ok(()) };
        prop_assert_eq!(made.len(), plan.moves.len(), "{:?} instead of {:?}", made, ways(&plan));
        prop_assert_eq!(small.view().unwrap().skew(), plan.reachable_skew);
    }
}
