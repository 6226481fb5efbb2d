//! Watching a landing: from the eviction to the replacement's Availability.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::api::{MoveState, seconds};
use crate::observe::{Index, Name, Pod, Uid};

use super::tracked_move::{Asked, Move};

/// After this long an eviction that was not confirmed, and whose pod is still
/// there, is taken as not made.
const UNCONFIRMED_FOR: SignedDuration = SignedDuration::from_secs(30);
/// After a restart, a replacement may be this much older than the move: the
/// API server's clock may be behind ours.
const CLOCK_TOLERANCE: SignedDuration = SignedDuration::from_secs(5);

/// For so long it is waited until every pod that left beside the evicted one has its
/// replacement, where it is not known how many the owner wants.
const SETTLES_WITHIN: SignedDuration = SignedDuration::from_secs(10);

/// A policy's other moves: what of their pods must not be taken for ours.
#[derive(Clone, Debug, Default)]
pub struct OtherMoves {
    /// Pods that they take for their replacements.
    pub claimed: BTreeSet<Uid>,
    /// Pods that left because they, or we, evicted them.
    pub evicted: BTreeSet<Uid>,
}

/// How a move ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Available in the target zone.
    Landed,
    /// In another zone.
    Missed,
    /// Not Available in time; whether the replacement is in the target zone.
    Stuck {
        /// Then the zone itself is in doubt.
        in_target_zone: bool,
    },
    /// Not made.
    Refused,
}

/// Brings a move up to what the index shows.
pub fn follow(
    index: &Index,
    namespace: &Name,
    moved: &mut Move,
    others: &OtherMoves,
    timeout: Duration,
    now: Timestamp,
) -> Option<Ending> {
    let stays = moved.pod(index, namespace).is_some_and(|(_, pod)| !pod.terminating);
    if moved.status.state == MoveState::Evicting {
        let confirmed = match moved.asked {
            Asked::Granted => true,
            Asked::Unknown => !stays,
            // Somebody else may have deleted it: the answer will tell.
            Asked::Waiting => false,
        };
        if confirmed {
            moved.status.state = MoveState::Evicted;
        } else if moved.asked == Asked::Unknown
            && now.duration_since(moved.started) >= UNCONFIRMED_FOR
        {
            return Some(end(moved, Ending::Refused, "the eviction was not made".to_owned(), now));
        } else {
            return None;
        }
    }
    if moved.status.state != MoveState::Evicted {
        return None;
    }
    // What there is before it is seen to leave was made for something else.
    let replacement = if stays { None } else { replacement(index, namespace, moved, others, now) };
    moved.replacement = replacement.map(|pod| pod.uid.clone());
    moved.status.replacement = replacement.map(|pod| pod.name.to_string());
    moved.status.node = replacement.and_then(|pod| pod.node.as_deref()).map(str::to_owned);
    let zone = replacement.and_then(|pod| index.cluster().zone_of(pod));
    if let (Some(pod), Some(zone)) = (replacement, zone) {
        if !moved.is_expected_in(zone.as_str()) {
            let message = format!(
                "{} landed on {} in zone {zone}, expected in {}",
                pod.name,
                pod.node.as_deref().unwrap_or_default(),
                moved.status.to
            );
            return Some(end(moved, Ending::Missed, message, now));
        }
        let min_ready = index.workload_of(pod).map_or(0, |workload| workload.min_ready_seconds);
        if pod.is_available(min_ready, now) {
            let took = now.duration_since(moved.started).as_secs();
            let message = format!("{} is Available in zone {zone} after {took}s", pod.name);
            zone.as_str().clone_into(&mut moved.status.to);
            return Some(end(moved, Ending::Landed, message, now));
        }
    }
    let timeout = SignedDuration::try_from(timeout).unwrap_or(SignedDuration::MAX);
    if now.duration_since(moved.started) < timeout {
        return None;
    }
    let in_target_zone = zone.is_some();
    let message = match (replacement, zone) {
        (Some(pod), Some(zone)) => {
            format!("{} in zone {zone} is not Available after {}s", pod.name, timeout.as_secs())
        }
        (Some(pod), None) => format!("{} has no node after {}s", pod.name, timeout.as_secs()),
        (None, _) => format!("no replacement was made within {}s", timeout.as_secs()),
    };
    Some(end(moved, Ending::Stuck { in_target_zone }, message, now))
}

fn end(moved: &mut Move, ending: Ending, message: String, now: Timestamp) -> Ending {
    moved.status.state = match ending {
        Ending::Landed => MoveState::Landed,
        Ending::Missed => MoveState::Missed,
        Ending::Stuck { .. } => MoveState::Stuck,
        Ending::Refused => MoveState::Refused,
    };
    moved.status.message = message;
    moved.status.finished_at = Some(seconds(now));
    ending
}

/// The pod that the owner made in place of the evicted one: of those that were not there
/// before, and that no other move claims, the first after those for pods that left before.
fn replacement<'a>(
    index: &'a Index,
    namespace: &Name,
    moved: &mut Move,
    others: &OtherMoves,
    now: Timestamp,
) -> Option<&'a Pod> {
    let status = &moved.status;
    let (kind, owner) = status.owner.split_once('/')?;
    let is_new = |pod: &Pod| match &moved.siblings {
        Some(siblings) => !siblings.has(&pod.uid),
        None => pod.created.time() >= status.started_at.0 - CLOCK_TOLERANCE,
    };
    let owned: Vec<&Pod> = index
        .cluster()
        .pods_in(namespace)
        .map(|(_, pod)| pod)
        .filter(|pod| {
            pod.owner.as_ref().is_some_and(|known| &*known.kind == kind && &*known.name == owner)
        })
        .filter(|pod| pod.uid != *status.uid && !pod.terminating)
        .collect();
    let mut new: Vec<&Pod> = owned
        .iter()
        .filter(|pod| !others.claimed.contains(&pod.uid) && is_new(pod))
        .copied()
        .collect();
    // A StatefulSet gives the new pod the name of the one before.
    if kind == "StatefulSet" {
        return new.into_iter().find(|pod| *pod.name == *status.pod);
    }
    let mut there: BTreeSet<&Uid> = owned.iter().map(|pod| &pod.uid).collect();
    let is_known = |pod: &&Pod| moved.replacement.as_ref() == Some(&pod.uid);
    if let Some(known) = new.iter().copied().find(is_known) {
        // Should it go, its own replacement is none of those that are there now.
        if let Some(siblings) = &mut moved.siblings {
            there.remove(&known.uid);
            Arc::make_mut(siblings).meet(index, namespace, &there);
        }
        return Some(known);
    }
    if let Some(siblings) = &mut moved.siblings {
        // The pod that was moved, or the replacement that was taken for its own.
        let has_parted = |pod: &&Pod| match &moved.replacement {
            Some(replacement) => pod.uid == *replacement,
            None => pod.uid == *status.uid,
        };
        let mut pods = index.cluster().pods_in(namespace).map(|(_, pod)| pod);
        let left = pods.find(has_parted).and_then(|pod| pod.seen_leaving);
        Arc::make_mut(siblings).part(&there, left);
    }
    new.sort_by_key(|pod| (pod.seen, pod.created, &pod.name));
    let (left, is_certain, older) = match &moved.siblings {
        Some(siblings) => {
            let (left, is_certain) = siblings.left(index, namespace, &there, &others.evicted);
            let older = new.iter().filter(|pod| siblings.is_older(pod)).count();
            (left, is_certain, older)
        }
        None => (0, true, 0),
    };
    let settled = !is_certain && now.duration_since(moved.started) >= SETTLES_WITHIN;
    let left = if settled { left.min(new.len().saturating_sub(1)) } else { left };
    // Who makes more pods than have left is scaled up.
    let ours = new.get(left.max(older)).copied()?;
    if moved.siblings.is_some() {
        return Some(ours);
    }
    // After a restart all that is known is the time, in whole seconds: of those of the same
    // one, any may be ours, and one that is where it was expected is the likelier.
    let mut of_its_second = new.into_iter().filter(|pod| pod.created == ours.created);
    let is_expected = |pod: &&Pod| {
        let zone = index.cluster().zone_of(pod);
        zone.is_some_and(|zone| moved.is_expected_in(zone.as_str()))
    };
    of_its_second.find(is_expected).or(Some(ours))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::Siblings;
    use super::*;
    use crate::observe::fixtures::{node, pod};
    use crate::observe::{Change, Kind, Zone};
    use crate::plan::PlannedMove;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn show(index: &mut Index, name: &str, node: &str, created: i64) {
        let shown = pod(name).on(node).owner("ReplicaSet", "web").created(at(created));
        index.apply(Change::Pod(shown.watched()));
    }

    fn starting(index: &mut Index, name: &str, node: &str, created: i64) {
        let shown = pod(name).on(node).owner("ReplicaSet", "web").created(at(created));
        index.apply(Change::Pod(shown.not_ready().watched()));
    }

    fn leaving(index: &mut Index, name: &str, node: &str) {
        let shown = pod(name).on(node).owner("ReplicaSet", "web").created(at(-100));
        index.apply(Change::Pod(shown.terminating().watched()));
    }

    fn gone(index: &mut Index, name: &str) {
        index.apply(Change::Gone(Kind::Pod, Name::from("default"), Name::from(name)));
    }

    /// Web has three pods; web-1 is evicted for zone c, and a user deletes web-2.
    struct Scene {
        index: Index,
        moved: Move,
    }

    impl Scene {
        fn new() -> Self {
            Self::of(Index::default())
        }

        /// At the decision the owner wants fewer pods than there are.
        fn in_a_scale_down(wanted: i32) -> Self {
            let mut index = Index::default();
            let owner = json!({
                "metadata": {"name": "web", "namespace": "default", "uid": "uid-web"},
                "spec": {"replicas": wanted, "selector": {"matchLabels": {}}, "template": {}},
            });
            index.apply(Change::ReplicaSet(serde_json::from_value(owner).unwrap()));
            Self::of(index)
        }

        fn of(mut index: Index) -> Self {
            for zone in ["a", "b", "c"] {
                index.apply(Change::Node(node(&format!("{zone}1")).zone(zone).watched()));
            }
            for (name, node) in [("web-1", "a1"), ("web-2", "a1"), ("web-3", "b1")] {
                show(&mut index, name, node, -100);
            }
            let cluster = index.cluster();
            let id = cluster.pod_id("default", "web-1").unwrap();
            let evicted = cluster.pod(id).unwrap();
            let planned = PlannedMove {
                pod: id,
                from: Zone::new("a"),
                to: vec![Zone::new("c")],
                nodes: vec![Name::from("c1")],
                tied: 1,
            };
            let siblings = Arc::new(Siblings::of(&index, evicted));
            let mut moved = Move::begin("web", evicted, &planned, siblings, at(0));
            moved.asked = Asked::Granted;
            gone(&mut index, "web-1");
            gone(&mut index, "web-2");
            Self { index, moved }
        }

        /// In an event of its own.
        fn seen(&mut self, show: impl Fn(&mut Index)) {
            self.index.advance();
            show(&mut self.index);
        }

        /// How the move is at that time, and who replaces its pod.
        fn after(&mut self, second: i64) -> (Option<Ending>, Option<String>) {
            let timeout = Duration::from_mins(1);
            let evicted = [Uid::new(&self.moved.status.uid)].into();
            let others = OtherMoves { evicted, ..OtherMoves::default() };
            let default = Name::from("default");
            let ending =
                follow(&self.index, &default, &mut self.moved, &others, timeout, at(second));
            (ending, self.moved.status.replacement.clone())
        }
    }

    #[test]
    fn of_two_new_pods_the_first_is_for_the_one_that_left_besides() {
        let mut scene = Scene::new();
        show(&mut scene.index, "web-4", "c1", 0);
        assert_eq!(scene.after(1), (None, None), "whose it is, nobody knows yet");
        show(&mut scene.index, "web-5", "a1", 1);
        assert_eq!(scene.after(2), (Some(Ending::Missed), Some("web-5".to_owned())));
    }

    #[test]
    fn of_two_pods_of_one_second_the_one_that_is_where_it_was_expected_is_ours() {
        let mut scene = Scene::new();
        scene.moved = Move::restore(scene.moved.status.clone(), at(1));
        scene.moved.status.state = MoveState::Evicted;
        for (name, node) in [("web-4", "a1"), ("web-5", "c1"), ("web-6", "b1")] {
            show(&mut scene.index, name, node, 0);
        }
        assert_eq!(scene.after(2), (Some(Ending::Landed), Some("web-5".to_owned())));
    }

    #[test]
    fn a_pod_that_leaves_later_is_replaced_later() {
        let mut scene = Scene::new();
        show(&mut scene.index, "web-2", "a1", -100);
        assert_eq!(scene.after(1), (None, None));
        gone(&mut scene.index, "web-2");
        show(&mut scene.index, "web-4", "c1", 1);
        assert_eq!(scene.after(2), (Some(Ending::Landed), Some("web-4".to_owned())));
    }

    #[test]
    fn what_a_scale_down_takes_that_had_begun_before_is_not_waited_for() {
        let mut scene = Scene::in_a_scale_down(2);
        show(&mut scene.index, "web-4", "c1", 0);
        assert_eq!(scene.after(1), (Some(Ending::Landed), Some("web-4".to_owned())));
        let mut scene = Scene::in_a_scale_down(3);
        show(&mut scene.index, "web-4", "c1", 0);
        assert_eq!(scene.after(20), (None, None), "it may be that of web-2");
    }

    #[test]
    fn a_pod_that_goes_before_the_api_server_answers_may_not_be_ours() {
        let mut scene = Scene::new();
        scene.moved.asked = Asked::Waiting;
        show(&mut scene.index, "web-4", "c1", 0);
        show(&mut scene.index, "web-5", "c1", 0);
        assert_eq!(scene.after(20), (None, None));
        assert_eq!(scene.moved.status.state, MoveState::Evicting);
        scene.moved.asked = Asked::Unknown;
        assert_eq!(scene.after(21), (Some(Ending::Landed), Some("web-5".to_owned())));
    }

    #[test]
    fn a_replacement_that_goes_is_not_made_up_for_by_a_pod_that_was_there() {
        let mut scene = Scene::new();
        show(&mut scene.index, "web-4", "a1", 0);
        starting(&mut scene.index, "web-5", "c1", 1);
        assert_eq!(scene.after(2), (None, Some("web-5".to_owned())));
        gone(&mut scene.index, "web-3");
        show(&mut scene.index, "web-6", "b1", 3);
        assert_eq!(scene.after(4), (None, Some("web-5".to_owned())));
        gone(&mut scene.index, "web-5");
        assert_eq!(scene.after(20), (None, None));
        show(&mut scene.index, "web-7", "c1", 21);
        assert_eq!(scene.after(22), (Some(Ending::Landed), Some("web-7".to_owned())));
    }

    #[test]
    fn what_a_scale_up_made_before_the_pod_left_is_not_its_replacement() {
        let mut scene = Scene::new();
        show(&mut scene.index, "web-2", "a1", -100);
        show(&mut scene.index, "web-1", "a1", -100);
        // In this order, all within one second.
        scene.seen(|index| show(index, "web-9", "c1", 0));
        scene.seen(|index| show(index, "web-8", "b1", 0));
        assert_eq!(scene.after(0), (None, None), "it was granted, and is still there");
        scene.seen(|index| leaving(index, "web-1", "a1"));
        assert_eq!(scene.after(1), (None, None));
        scene.seen(|index| starting(index, "web-7", "c1", 0));
        scene.seen(|index| show(index, "web-6", "b1", 0));
        assert_eq!(scene.after(1), (None, Some("web-7".to_owned())));
        scene.seen(|index| show(index, "web-7", "c1", 0));
        assert_eq!(scene.after(5), (Some(Ending::Landed), Some("web-7".to_owned())));
    }

    #[test]
    fn a_list_is_in_no_order() {
        let mut scene = Scene::new();
        show(&mut scene.index, "web-2", "a1", -100);
        scene.seen(|index| {
            show(index, "web-0", "c1", 0);
            leaving(index, "web-1", "a1");
        });
        assert_eq!(scene.after(1), (Some(Ending::Landed), Some("web-0".to_owned())));
    }

    #[test]
    fn a_pod_that_left_for_good_is_waited_for_ten_seconds() {
        let mut scene = Scene::new();
        show(&mut scene.index, "web-4", "c1", 0);
        assert_eq!(scene.after(9), (None, None));
        assert_eq!(scene.after(10), (Some(Ending::Landed), Some("web-4".to_owned())));
    }
}
