//! A shortest way from what is to what should be, move after move as the scheduler allows it.

use std::collections::{BTreeMap, BTreeSet};

use crate::api::{Blocked, MoveKind};
use crate::observe::{Index, Pod, PodId, Zone};
use crate::predict::{PendingPod, Scheduler};

use super::blocked;
use super::forecasts::{Forecasts, is_alike};
use super::planner::{Planner, Victim};
use super::skew::{Minimum, ZoneRange, minimum_moves};
use super::surge::Departure;
use super::tier_plan::PlannedMove;

/// How many different victims of one zone are tried before it is given up.
const VICTIMS_TRIED: usize = 8;
/// How many other first moves are tried where the best leads to less than the goal.
const OTHER_BEGINNINGS: usize = 4;

/// Pods of one zone that might move, and the zones to which one would have to go.
struct Try<'p> {
    from: &'p Zone,
    targets: BTreeSet<&'p Zone>,
    victims: Vec<(&'p Victim, &'p Pod)>,
}

pub(super) struct Walk {
    pub moves: Vec<PlannedMove>,
    pub stuck: Option<Stuck>,
}

pub(super) struct Stuck {
    pub blocked: Blocked,
    /// Zones that took no more pods, by position, with their pod counts then.
    pub full: Vec<(usize, i32)>,
}

impl Planner<'_> {
    /// Chooses move after move, each a step on a shortest way. The way that leads furthest may
    /// begin with another pod than the best victim: the room it leaves is on another node.
    pub(super) fn walk(
        &self,
        index: &Index,
        scheduler: &Scheduler<'_>,
        goal: Minimum,
        max_skew: i32,
    ) -> Walk {
        let mut best = self.walk_from(index, scheduler, (goal, max_skew), &[]);
        let pod_of = |walk: &Walk| index.cluster().pod(walk.moves.first()?.pod);
        let mut begun: Vec<&Pod> = pod_of(&best).into_iter().collect();
        while best.stuck.is_some() && (1..=OTHER_BEGINNINGS).contains(&begun.len()) {
            let other = self.walk_from(index, scheduler, (goal, max_skew), &begun);
            let Some(pod) = pod_of(&other) else { break };
            begun.push(pod);
            // Each move is a step to the goal: the way with more of them comes nearer.
            if other.stuck.is_none() || other.moves.len() > best.moves.len() {
                best = other;
            }
        }
        best
    }

    /// The same, without the ways that begin with a pod like one of these, on the same node.
    fn walk_from(
        &self,
        index: &Index,
        scheduler: &Scheduler<'_>,
        (goal, max_skew): (Minimum, i32),
        begun: &[&Pod],
    ) -> Walk {
        let mut ranges = self.ranges();
        let mut forecasts = Forecasts::new(scheduler, self.ledger.clone());
        let mut moved: BTreeSet<PodId> = BTreeSet::new();
        let mut proven: BTreeSet<usize> = BTreeSet::new();
        let mut moves = Vec::new();
        let mut steering = self.steering.clone();
        for left in (1..=goal.moves).rev() {
            let useful = useful_targets(&ranges, Minimum { moves: left, ..goal }, max_skew);
            let begun = if moves.is_empty() { begun } else { &[] };
            let tries = self.tries(index, &ranges, &useful, |pod| {
                moved.contains(&pod.0) || begun.iter().any(|known| is_like(known, pod.1))
            });
            let poorest = self.poorest(&ranges, &useful);
            // Where there is no room yet, the moves under way make some when they are over.
            let next = loop {
                let mut choices = steering.choices(poorest.iter().copied());
                let next = choices.find_map(|zone| next_move(&tries, &mut forecasts, zone));
                if next.is_some() || forecasts.wait().is_none() {
                    break next;
                }
            };
            let Some(step) = next else {
                let full: BTreeMap<usize, i32> =
                    useful.values().flatten().map(|to| (*to, ranges[*to].count)).collect();
                let steered = steering.zone.as_ref();
                let blocked = self.why_stuck(index, &tries, &mut forecasts, steered);
                let stuck = Stuck { blocked, full: full.into_iter().collect() };
                return Walk { moves, stuck: Some(stuck) };
            };
            steering.zone.clone_from(&step.steered);
            let at = |zone: &Zone| self.zones.iter().position(|known| known.zone == *zone);
            let (from, to) = (at(&step.from), step.to.first().and_then(at));
            if let (Some(from), Some(to)) = (from, to) {
                ranges[from].count -= 1;
                ranges[to].count += 1;
                if self.zones[to].needs_canary && proven.insert(to) {
                    forecasts.finish(step.pod);
                }
            }
            moved.insert(step.pod);
            moves.push(step);
        }
        Walk { moves, stuck: None }
    }

    /// The zones that pods may be steered to, those with the fewest first.
    fn poorest(
        &self,
        ranges: &[ZoneRange],
        useful: &BTreeMap<usize, BTreeSet<usize>>,
    ) -> Vec<&Zone> {
        let mut zones: Vec<usize> = useful.values().flatten().copied().collect();
        zones.sort_unstable_by_key(|at| (ranges[*at].count, *at));
        zones.dedup();
        zones.into_iter().map(|at| &self.zones[at].zone).collect()
    }

    /// The moves that would help, those from the fullest zone first; last those whose
    /// disruption budgets do not allow them now.
    fn tries<'p>(
        &'p self,
        index: &'p Index,
        ranges: &[ZoneRange],
        useful: &BTreeMap<usize, BTreeSet<usize>>,
        is_out: impl Fn((PodId, &Pod)) -> bool,
    ) -> Vec<Try<'p>> {
        let mut sources: Vec<usize> = useful.keys().copied().collect();
        sources.sort_by_key(|at| (-ranges[*at].count, *at));
        let victims = sources.iter().map(|from| (*from, &self.zones[*from].victims));
        let refused_now = sources.iter().map(|from| (*from, &self.zones[*from].refused));
        let tries = victims.chain(refused_now).map(|(from, victims)| Try {
            from: &self.zones[from].zone,
            targets: useful[&from].iter().map(|to| &self.zones[*to].zone).collect(),
            victims: victims
                .iter()
                .filter_map(|victim| Some((victim, index.cluster().pod(victim.id)?)))
                .filter(|(victim, pod)| !is_out((victim.id, pod)))
                .take(VICTIMS_TRIED)
                .collect(),
        });
        tries.collect()
    }

    /// Why none of the moves that would help can be made.
    fn why_stuck(
        &self,
        index: &Index,
        tries: &[Try<'_>],
        forecasts: &mut Forecasts<'_>,
        steered: Option<&Zone>,
    ) -> Blocked {
        let mut obstacles: Vec<Blocked> = Vec::new();
        for Try { targets, victims, .. } in tries {
            // Explained once for equal pods: an explanation takes longer than
            // all tries.
            let mut explained: Vec<PendingPod> = Vec::new();
            for (victim, pod) in victims {
                let pending = PendingPod::replacing(index.cluster(), pod);
                if explained.iter().any(|known| is_alike(known, &pending)) {
                    continue;
                }
                explained.push(pending);
                let Some(how) = victim.ways.departures().next() else { continue };
                let prediction = forecasts.explain(victim.id, pod, &how, steered);
                let can_be_steered = self.steering.available;
                let why = blocked::would_not_land(pod, targets, &prediction, can_be_steered);
                obstacles.push(why);
            }
        }
        let first = obstacles.into_iter().min_by_key(|blocked| blocked.reason);
        first.unwrap_or_else(|| blocked::none_evictable(index, &self.blockers()))
    }
}

/// The first of the moves whose replacement, steered like that, lands where it has to.
fn next_move(
    tries: &[Try<'_>],
    forecasts: &mut Forecasts<'_>,
    steered: Option<&Zone>,
) -> Option<PlannedMove> {
    tries.iter().find_map(|Try { from, targets, victims }| {
        let mut victims = victims.iter();
        victims
            .find_map(|(victim, pod)| landing_in(targets, from, (victim, pod), forecasts, steered))
    })
}

/// The move of a pod, in the best of its ways, if its replacement lands in one of these zones.
fn landing_in(
    targets: &BTreeSet<&Zone>,
    from: &Zone,
    (victim, pod): (&Victim, &Pod),
    forecasts: &mut Forecasts<'_>,
    steered: Option<&Zone>,
) -> Option<PlannedMove> {
    let (how, landing) = victim.ways.departures().find_map(|how| {
        let landing = forecasts.landing_of(victim.id, pod, &how, steered).filter(|landing| {
            !landing.unzoned
                && !landing.may_wait
                && !landing.zones.is_empty()
                && landing.zones.iter().all(|zone| targets.contains(zone))
        })?;
        Some((how, landing))
    })?;
    let waits = forecasts.ledger().is_awaited();
    forecasts.book(victim.id, pod, &how, (landing.nodes.first(), steered));
    let kind = match how {
        Departure::Evicted => MoveKind::Evict,
        Departure::Released(_) => MoveKind::Surge,
    };
    Some(PlannedMove {
        kind,
        pod: victim.id,
        from: from.clone(),
        to: landing.zones,
        nodes: landing.nodes,
        tied: landing.tied,
        margin: landing.margin,
        spare: landing.spare,
        preempts: landing.preempts,
        waits,
        steered: steered.cloned(),
    })
}

/// Whether moving one is the same to the scheduler as moving the other.
fn is_like(one: &Pod, other: &Pod) -> bool {
    one.node == other.node && one.template == other.template && one.labels == other.labels
}

/// For each zone that can give a pod, the zones that can take it such that one
/// move less is needed.
fn useful_targets(
    ranges: &[ZoneRange],
    goal: Minimum,
    max_skew: i32,
) -> BTreeMap<usize, BTreeSet<usize>> {
    let mut useful: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
    let mut after = ranges.to_vec();
    for from in 0..ranges.len() {
        for to in 0..ranges.len() {
            let fits =
                ranges[from].count > ranges[from].floor && ranges[to].count < ranges[to].ceiling;
            // A move between zones that differ by less than two lowers nothing.
            if !fits || ranges[from].count - ranges[to].count < 2 {
                continue;
            }
            after[from].count -= 1;
            after[to].count += 1;
            let then = minimum_moves(&after, max_skew);
            if then.moves < goal.moves && then.skew <= goal.skew.max(max_skew) {
                useful.entry(from).or_default().insert(to);
            }
            after[from] = ranges[from];
            after[to] = ranges[to];
        }
    }
    useful
}
