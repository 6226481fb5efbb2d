//! What a move does next.

use std::time::Duration;

use jiff::Timestamp;

use crate::api::MoveKind;
use crate::observe::PolicyKey;

use super::evict;
use super::follow::{Ending, View};
use super::request::{PodPatch, Verb};
use super::surge;
use super::tracked_move::{Move, Transition};

/// What a move does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing: the cluster or the API server is waited for.
    Wait,
    /// This is to be asked of the API server; [`Transition::Asked`] once that is done.
    Ask(Verb),
    /// It is over, and says so from now on.
    Ended(Ending),
}

impl Move {
    /// Brings it up to what the index shows, and says what comes next.
    pub fn step(&mut self, view: &View<'_>, now: Timestamp) -> Step {
        if !self.is_under_way() {
            return Step::Wait;
        }
        let next = match self.kind {
            MoveKind::Evict => evict::step(self, view, now),
            MoveKind::Surge => surge::step(self, view, now),
        };
        match next {
            Next::Wait => Step::Wait,
            Next::Ask(verb) if self.must_wait_to_ask(verb, now) => Step::Wait,
            Next::Ask(verb) => Step::Ask(verb),
            Next::End(ending, message) => {
                self.apply(Transition::Ended(ending, message), now);
                Step::Ended(ending)
            }
        }
    }

    /// What `verb` changes of which pod, if it does not evict one.
    #[must_use]
    pub fn patch(&self, verb: Verb, policy: &PolicyKey, view: &View<'_>) -> Option<PodPatch> {
        match verb {
            Verb::Demote | Verb::Promote => surge::replacement_patch(self, verb, policy, view),
            _ => surge::patch(self, verb, policy, view.index),
        }
    }

    /// When it may go on by time alone.
    #[must_use]
    pub fn wakes_at(&self, landing_timeout: Duration, now: Timestamp) -> Option<Timestamp> {
        let times = match self.kind {
            MoveKind::Evict => evict::wakes_at(self, landing_timeout),
            MoveKind::Surge => surge::wakes_at(self, landing_timeout),
        };
        times.into_iter().chain(self.asks_again_at()).filter(|at| *at > now).min()
    }
}

/// What a kind of move wants next.
pub(super) enum Next {
    Wait,
    Ask(Verb),
    End(Ending, String),
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::observe::fixtures::{node, pod};
    use crate::observe::{Change, Index, Kind, Name, Zone};
    use crate::plan::PlannedMove;
    use crate::predict::PendingPod;

    use super::super::{OtherMoves, OwnerSnapshot};

    const TIMEOUT: Duration = Duration::from_mins(5);

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    /// Web-1 is to move from zone a to zone c.
    fn decided() -> (Index, Move) {
        let mut index = Index::default();
        for zone in ["a", "c"] {
            index.apply(Change::Node(node(&format!("{zone}1")).zone(zone).watched()));
        }
        let owner = serde_json::json!({
            "metadata": {"name": "web", "namespace": "default", "uid": "uid-web"},
            "spec": {"replicas": 1, "selector": {"matchLabels": {}}, "template": {}},
        });
        index.apply(Change::ReplicaSet(serde_json::from_value(owner).unwrap()));
        index.apply(Change::Pod(pod("web-1").on("a1").owner("ReplicaSet", "web").watched()));
        let id = index.cluster().pod_id("default", "web-1").unwrap();
        let planned = PlannedMove {
            kind: MoveKind::Evict,
            pod: id,
            from: Zone::new("a"),
            to: vec![Zone::new("c"), Zone::new("d")],
            nodes: vec![Name::from("c1")],
            tied: 1,
            margin: 100,
            spare: 1,
            preempts: Vec::new(),
            waits: false,
            steered: None,
        };
        let pod = index.cluster().pod(id).unwrap();
        let snapshot = Arc::new(OwnerSnapshot::of(&index, pod));
        let moved =
            Move::begin(&Name::from("web"), pod, &planned, PendingPod::like(pod), snapshot, at(0))
                .unwrap();
        (index, moved)
    }

    fn leaves(index: &mut Index) {
        index.apply(Change::Gone(Kind::Pod, Name::from("default"), Name::from("web-1")));
    }

    fn step(index: &Index, moved: &mut Move, second: i64) -> Step {
        let view = View {
            index,
            namespace: &Name::from("default"),
            others: &OtherMoves::default(),
            landing_timeout: TIMEOUT,
            may_evict: true,
            is_wanted: true,
        };
        moved.step(&view, at(second))
    }

    #[test]
    fn a_move_is_asked_for_once_and_then_waited_for() {
        let (mut index, mut moved) = decided();
        assert_eq!(step(&index, &mut moved, 0), Step::Ask(Verb::Evict));
        moved.apply(Transition::Asked, at(0));
        assert_eq!(step(&index, &mut moved, 500), Step::Wait, "the answer will tell");
        moved.apply(Transition::Granted, at(501));
        assert_eq!(step(&index, &mut moved, 502), Step::Wait);
        assert!(moved.is_evicted());
        leaves(&mut index);
        let Step::Ended(ending) = step(&index, &mut moved, 801) else { panic!("{moved:?}") };
        assert_eq!(ending, Ending::Stuck { in_target_zone: false });
        assert_eq!(step(&index, &mut moved, 9_000), Step::Wait, "it is over");
    }

    #[test]
    fn a_move_wakes_exactly_when_time_alone_takes_it_further() {
        let (mut index, mut moved) = decided();
        moved.apply(Transition::Asked, at(0));
        assert_eq!(moved.wakes_at(TIMEOUT, at(0)), None, "an answer is waited for");
        let mut granted = moved.clone();
        moved.apply(Transition::Unanswered, at(5));
        let wakes = moved.wakes_at(TIMEOUT, at(5)).unwrap();
        assert_eq!(step_at(&index, &moved, wakes - second()), Step::Wait);
        assert_eq!(step_at(&index, &moved, wakes), Step::Ended(Ending::Refused));

        granted.apply(Transition::Granted, at(5));
        let shows = at(5 + 6 * 60);
        assert_eq!(step_at(&index, &granted, shows - second()), Step::Wait, "it is still seen");
        assert!(matches!(step_at(&index, &granted, shows), Step::Ended(Ending::Stuck { .. })));
        leaves(&mut index);
        let settles = granted.wakes_at(TIMEOUT, at(5)).unwrap();
        assert_eq!(step_at(&index, &granted, settles), Step::Wait);
        let wakes = granted.wakes_at(TIMEOUT, settles).unwrap();
        assert_eq!(step_at(&index, &granted, wakes - second()), Step::Wait);
        assert!(matches!(step_at(&index, &granted, wakes), Step::Ended(Ending::Stuck { .. })));
        assert_eq!(granted.wakes_at(TIMEOUT, wakes), Some(shows));
        assert_eq!(granted.wakes_at(TIMEOUT, shows), None);
    }

    fn step_at(index: &Index, moved: &Move, now: Timestamp) -> Step {
        step(index, &mut moved.clone(), now.as_second() - at(0).as_second())
    }

    fn second() -> jiff::SignedDuration {
        jiff::SignedDuration::from_secs(1)
    }

    #[test]
    fn a_status_gives_back_all_that_it_says() {
        let (index, mut moved) = decided();
        moved.apply(Transition::Asked, at(0));
        let mut statuses = vec![moved.to_status()];
        moved.apply(Transition::Granted, at(7));
        let _ = step(&index, &mut moved, 8);
        statuses.push(moved.to_status());
        let _ = step(&index, &mut moved, 400);
        statuses.push(moved.to_status());
        assert_eq!((&*statuses[2].owner, &*statuses[2].alternatives[0]), ("ReplicaSet/web", "d"));
        for status in statuses {
            assert_eq!(Move::from_status(&status, at(9_000)).to_status(), status);
        }
    }
}
