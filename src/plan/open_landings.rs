//! Replacements that are still to be scheduled, and whether a move turns one of them.
//!
//! A prediction is made for the cluster as it is after all moves under way. But kube-scheduler
//! places a replacement as soon as its owner has made it, and the moves beside it may be further
//! or less far by then: their pods still there, terminating or gone, their replacements placed or
//! not. And moves that begin later come on top. So a move may begin only if the replacements that
//! are still to be scheduled, its own included, land in their zones however far the others are.
//!
//! It is enough to look at the worst for each rival zone. What makes a zone worse for the
//! scheduler (pods of the same kind in it, less room) is what arrives there, and what makes it
//! better is what leaves it. So a rival wins, if ever, when all that leaves it is gone, nothing
//! has arrived there that may go elsewhere, and all that goes to the target zone is there already.
//! Moves between other zones make the difference smaller or larger: both are tried. Where pods
//! attract each other it is the other way round, which is tried as well.

use std::cell::Cell;

use crate::observe::{Cluster, Name, PodId, Zone};
use crate::predict::{Best, InFlightPods, Minding, PendingPod, Scheduler, Usage};

use super::touched::{Touched, TouchedNode};

/// A replacement that is still to be scheduled.
#[derive(Clone, Debug)]
pub struct OpenLanding<'a> {
    /// The name of the pod that leaves.
    pub leaves: &'a Name,
    /// The pod; none once it is gone.
    pub victim: Option<PodId>,
    /// Its zone.
    pub from: &'a Zone,
    /// Its replacement.
    pub pod: &'a PendingPod,
    /// The zones in which that is expected.
    pub to: Vec<&'a Zone>,
    /// The nodes that tied for best, at most the first few by name.
    pub nodes: &'a [Name],
    /// By how many points they beat the nodes of other zones.
    pub margin: i64,
    /// How many nodes others may take until it is by less.
    pub spare: usize,
}

impl OpenLanding<'_> {
    /// Whether this is in its zones, even if the best node loses so many points.
    fn is_sure(&self, best: &Best, lost: i64) -> bool {
        let is_expected = best.zones.iter().all(|zone| self.to.contains(&zone));
        is_expected && !best.unzoned && !best.may_wait && best.margin > lost
    }
}

/// What is under way besides a move that may begin.
#[derive(Clone, Debug, Default)]
pub struct OpenLandings<'a> {
    /// Replacements that are still to be scheduled.
    pub landings: Vec<OpenLanding<'a>>,
    /// Pods of which the replacements are placed, and which are not gone yet.
    pub leaving: Vec<PodId>,
    /// Pods that are gone when the next move begins: a probe gives its room up.
    pub gone: Vec<PodId>,
}

impl<'a> OpenLandings<'a> {
    /// The replacement that may land elsewhere, if there is one, once `next` has begun: it or
    /// one of those that are open.
    #[must_use]
    pub fn turned_by<'o>(
        &'o self,
        cluster: &Cluster,
        scheduler: &Scheduler<'_>,
        next: &'o OpenLanding<'a>,
    ) -> Option<&'o OpenLanding<'a>> {
        // Alone it is as the plan says.
        if self.landings.is_empty() && self.leaving.is_empty() {
            return None;
        }
        let all = Beside { cluster, scheduler, open: self, next, checks: Cell::new(0) };
        let touched = Touched::by(cluster, scheduler, self, next);
        let minding = scheduler.minding(next.pod);
        // A released pod counts until it is evicted.
        let counts = |id: &PodId| cluster.pod(*id).is_some_and(|pod| !pod.terminating);
        let still_counted = self.leaving.iter().any(counts);
        let is_turned = |landing: &&'o OpenLanding<'a>| {
            // For one that is open, only what `next` adds is new.
            let is_minded = if std::ptr::eq(*landing, next) {
                still_counted || self.landings.iter().any(|other| minding.minds(other.pod))
            } else {
                scheduler.minding(landing.pod).minds(next.pod)
            };
            if all.is_close(landing, &touched) {
                return !all.holds(landing, &touched);
            }
            is_minded
                && !all.holds_beside_minded(landing, &touched)
                && !all.holds(landing, &touched)
        };
        std::iter::once(next).chain(&self.landings).find(is_turned)
    }
}

/// So many landings are looked at closely before a move begins; if more would have to be, it
/// waits until fewer are open.
const CHECKS: usize = 64;

/// What makes a rival zone the most likely.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Worst {
    /// Its pods have left, and all others are where they go.
    Placed,
    /// Its pods have left, and no other has.
    NotBegun,
    /// Where pods attract each other: what goes there is there, and nothing has left.
    Attracted,
}

/// Which of the other moves are looked at one by one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Others {
    All,
    /// Those that the landing minds.
    Minded,
}

/// All moves that may be under way at once.
struct Beside<'o, 'a> {
    cluster: &'o Cluster,
    scheduler: &'o Scheduler<'o>,
    open: &'o OpenLandings<'a>,
    next: &'o OpenLanding<'a>,
    /// How many landings were looked at closely.
    checks: Cell<usize>,
}

impl<'o, 'a> Beside<'o, 'a> {
    fn all(&self) -> impl Iterator<Item = &'o OpenLanding<'a>> {
        self.open.landings.iter().chain([self.next])
    }

    fn others(&self, landing: &'o OpenLanding<'a>) -> impl Iterator<Item = &'o OpenLanding<'a>> {
        self.all().filter(move |other| !std::ptr::eq(*other, landing))
    }

    /// Whether the room that moves take and leave can decide where this one lands.
    fn is_close(&self, landing: &'o OpenLanding<'a>, touched: &Touched<'_>) -> bool {
        let arrivals = touched.arrivals(landing);
        let fall = touched.fall(arrivals, landing.spare);
        let lost = fall.saturating_add(touched.rise(landing));
        let left = landing.margin.saturating_sub(lost);
        left <= self.scheduler.most_image_score() && left <= self.image_gain(landing)
            || self.may_fill(landing, arrivals, touched)
    }

    /// Whether moves may fill a node, or make room on a full one, on which this one depends.
    fn may_fill(
        &self,
        landing: &'o OpenLanding<'a>,
        arrivals: usize,
        touched: &Touched<'_>,
    ) -> bool {
        let to = |zone: Option<&Zone>| zone.is_some_and(|zone| landing.to.contains(&zone));
        let is_next = std::ptr::eq(landing, self.next);
        let is_full =
            |name: &Name, coming: Option<&Usage>| self.scheduler.is_full(name, landing.pod, coming);
        // Of the nodes that tie for best, one gets no more than its share, whoever comes.
        let share = arrivals / landing.nodes.len().max(1);
        let may_fill = |name: &Name| {
            let node = touched.nodes.get(name);
            node.is_some_and(|node| is_full(name, Some(&node.coming.most_of(share))))
        };
        if arrivals >= landing.spare && landing.nodes.iter().any(may_fill) {
            return true;
        }
        // Who leaves a full node makes room for a rival; who fills one takes a rival away, by
        // which the others are measured.
        let makes_or_takes_room = |name: &Name, node: &TouchedNode<'_>| {
            let is_left = if is_next { node.left_by_others } else { node.left_by_next };
            !to(node.zone)
                && (is_left && is_full(name, None)
                    || !node.coming.is_empty()
                        && !is_full(name, None)
                        && is_full(name, Some(node.coming.all())))
        };
        if is_next {
            return touched.nodes.iter().any(|(name, node)| makes_or_takes_room(name, node));
        }
        let mut of_next = touched.of_next.iter();
        of_next
            .any(|name| touched.nodes.get(name).is_some_and(|node| makes_or_takes_room(name, node)))
    }

    /// By how many points any node may gain from images that others bring to more nodes.
    fn image_gain(&self, landing: &'o OpenLanding<'a>) -> i64 {
        let gains = self.others(landing);
        let gain: i64 =
            gains.map(|other| self.scheduler.most_image_gain(landing.pod, other.pod)).sum();
        gain.min(self.scheduler.most_image_score())
    }

    /// Whether it lands in one of its zones, however far the others are.
    fn holds(&self, landing: &'o OpenLanding<'a>, touched: &Touched<'_>) -> bool {
        self.checks.set(self.checks.get() + 1);
        if self.checks.get() > CHECKS {
            return false;
        }
        if self.scheduler.may_sample() {
            return self.holds_in_any_sample(landing, touched);
        }
        self.holds_in_worst_cases(landing, touched, Others::All)
    }

    /// Whether it is sure to land in one of its zones where those others alone are looked at on
    /// which that depends in more than room: what the room of all may change is taken off the
    /// margin. So a landing with a wide margin is judged by the moves of its own tier, however
    /// many tiers move.
    fn holds_beside_minded(&self, landing: &'o OpenLanding<'a>, touched: &Touched<'_>) -> bool {
        if self.scheduler.may_sample() {
            return false;
        }
        self.holds_in_worst_cases(landing, touched, Others::Minded)
    }

    /// Whether it lands in one of its zones whichever other zone is the most likely.
    fn holds_in_worst_cases(
        &self,
        landing: &'o OpenLanding<'a>,
        touched: &Touched<'_>,
        others: Others,
    ) -> bool {
        let minding = self.scheduler.minding(landing.pod);
        let is_rival = |zone: &&Zone| !landing.to.contains(zone);
        let with_terms = self.all().any(|other| other.pod.template.has_pod_terms());
        let attracted = with_terms.then_some(Worst::Attracted);
        let cases = || [Worst::Placed, Worst::NotBegun].into_iter().chain(attracted);
        let rivals = self.scheduler.zones().filter(is_rival);
        let mut worst = rivals.flat_map(|rival| cases().map(move |case| (rival, case)));
        worst.all(|worst| self.lands(landing, touched, worst, others, &minding).unwrap_or(false))
    }

    /// The same where a sample of the nodes is scored. What is certain of any sample does not
    /// become less certain step by step, so there is no worst state: all are tried, as far as
    /// others are more than room to this one.
    fn holds_in_any_sample(&self, landing: &'o OpenLanding<'a>, touched: &Touched<'_>) -> bool {
        let arrivals = touched.arrivals(landing);
        if self.may_fill(landing, arrivals, touched) {
            return false;
        }
        let minding = self.scheduler.minding(landing.pod);
        let minded: Vec<_> =
            self.others(landing).filter(|other| minding.minds(other.pod)).collect();
        let mut gone = InFlightPods::default();
        for id in &self.open.gone {
            gone.remove(*id);
        }
        let mut states = vec![gone];
        if let Some(id) = landing.victim {
            states.push(InFlightPods::default());
            states[0].evict(id);
            states[1].remove(id);
        }
        if !self.open.leaving.is_empty() {
            let mut gone = states.clone();
            for id in &self.open.leaving {
                for (terminating, gone) in states.iter_mut().zip(&mut gone) {
                    terminating.evict(*id);
                    gone.remove(*id);
                }
            }
            states.extend(gone);
        }
        for other in minded {
            states = states.iter().flat_map(|state| self.steps_of(other, state)).collect();
            if states.len() > CHECKS {
                return false;
            }
        }
        let lost = touched.rise(landing).saturating_add(self.image_gain(landing));
        states.iter().all(|state| {
            let simulation = self.scheduler.simulate(state, landing.pod).ok();
            simulation.and_then(|simulation| simulation.best()).is_some_and(|best| {
                let fall = touched.fall(arrivals, best.spare);
                landing.is_sure(&best, lost.saturating_add(fall))
            })
        })
    }

    /// How far another move may be.
    fn steps_of(&self, other: &OpenLanding<'a>, state: &InFlightPods) -> Vec<InFlightPods> {
        let mut begun = Vec::new();
        if let Some(id) = other.victim {
            let (mut terminating, mut gone) = (state.clone(), state.clone());
            terminating.evict(id);
            gone.remove(id);
            begun.extend([terminating, gone]);
        } else {
            begun.push(state.clone());
        }
        let nodes = other.to.iter().filter_map(|zone| self.node_in(other, zone));
        let placed: Vec<InFlightPods> = nodes
            .flat_map(|node| {
                begun.iter().map(|state| {
                    let mut state = state.clone();
                    state.assume(other.pod.clone(), Name::clone(node));
                    state
                })
            })
            .collect();
        let not_begun = other.victim.is_some().then(|| state.clone());
        not_begun.into_iter().chain(begun).chain(placed).collect()
    }

    /// Whether it lands in one of its zones when the rival is the most likely; none if it
    /// lands nowhere.
    fn lands(
        &self,
        landing: &'o OpenLanding<'a>,
        touched: &Touched<'_>,
        (rival, case): (&Zone, Worst),
        looked_at: Others,
        minding: &Minding<'_>,
    ) -> Option<bool> {
        let only = (looked_at == Others::Minded).then_some(minding);
        let (state, arrivals) = self.worst_for(landing, rival, case, only);
        let mut simulation = self.scheduler.simulate(&state, landing.pod).ok()?;
        let mut best = simulation.best()?;
        let (minded, others): (Vec<_>, Vec<_>) =
            arrivals.into_iter().partition(|(other, _)| minding.minds(other.pod));
        let crowded = others.len() >= best.spare;
        let (placed, shared) = if others.len() > CHECKS || !crowded {
            (minded, others.len())
        } else {
            (minded.into_iter().chain(others).collect(), 0)
        };
        let arrived = placed.len();
        let is_lost = best.spare <= arrived;
        for (other, node) in placed {
            // At worst it takes the best node.
            let may_take = |node: &&Name| {
                let zone = self.cluster.zone_of_node(node);
                zone.is_some_and(|zone| zone != rival && other.to.contains(&zone))
            };
            let taken = best.nodes.iter().find(may_take).filter(|_| is_lost).unwrap_or(node);
            simulation.assume(other.pod.clone(), Name::clone(taken));
            if is_lost {
                best = simulation.best()?;
            }
        }
        // Where they did not take the best nodes one by one, they may have hit any.
        let (best, shared) =
            if is_lost { (best, shared) } else { (simulation.best()?, shared + arrived) };
        // Those that were not looked at take and leave room, wherever they are.
        let (shared, rise) = match looked_at {
            Others::Minded => (touched.arrivals(landing), touched.rise(landing)),
            Others::All => (shared, 0),
        };
        let lost = touched.fall(shared, best.spare).saturating_add(self.image_gain(landing));
        Some(landing.is_sure(&best, lost.saturating_add(rise)))
    }

    /// The state in which the rival zone is most likely to get the pod, but for what has
    /// arrived by then in the zones where it is expected. With `only`, of those others that
    /// it minds.
    fn worst_for(
        &self,
        landing: &'o OpenLanding<'a>,
        rival: &Zone,
        case: Worst,
        only: Option<&Minding<'_>>,
    ) -> (InFlightPods, Vec<(&'o OpenLanding<'a>, &'o Name)>) {
        let counts_pod = |id: &PodId| {
            let pod = self.cluster.pod(*id);
            only.is_none_or(|minding| pod.is_none_or(|pod| minding.minds_pod(pod)))
        };
        let counts = |other: &&OpenLanding<'a>| {
            only.is_none_or(|minding| {
                minding.minds(other.pod) || other.victim.as_ref().is_some_and(counts_pod)
            })
        };
        let mut arrivals = Vec::new();
        let mut state = InFlightPods::default();
        for id in &self.open.gone {
            state.remove(*id);
        }
        let leave = |state: &mut InFlightPods, id: PodId| {
            if self.cluster.zone_of_slot(id) == Some(rival) {
                state.remove(id);
            } else {
                state.evict(id);
            }
        };
        for id in self.open.leaving.iter().filter(|id| counts_pod(id)) {
            leave(&mut state, *id);
        }
        for other in self.others(landing).filter(counts) {
            let leaves_rival = other.from == rival;
            let (begun, node) = match case {
                Worst::Attracted => {
                    let node = self.node_in(other, rival);
                    (node.is_some(), node)
                }
                Worst::Placed | Worst::NotBegun => {
                    let node = self.node_outside(other, rival, landing);
                    (leaves_rival || node.is_some() && case == Worst::Placed, node)
                }
            };
            if let Some(id) = other.victim.filter(|_| begun) {
                leave(&mut state, id);
            }
            let Some(node) = node.filter(|_| begun) else { continue };
            let zone = self.cluster.zone_of_node(node);
            if zone.is_some_and(|zone| landing.to.contains(&zone)) {
                arrivals.push((other, node));
            } else {
                state.assume(other.pod.clone(), Name::clone(node));
            }
        }
        // kube-scheduler gets the replacement as soon as the pod terminates: this is the last
        // that it hears of.
        if let Some(id) = landing.victim {
            state.evict(id);
        }
        (state, arrivals)
    }

    /// Where another's replacement may go but to the rival zone: best to where the landing is
    /// expected.
    fn node_outside(
        &self,
        other: &OpenLanding<'a>,
        rival: &Zone,
        landing: &OpenLanding<'_>,
    ) -> Option<&'o Name> {
        let zones = other.to.iter().filter(|zone| **zone != rival);
        let (near, far): (Vec<_>, Vec<_>) = zones.partition(|zone| landing.to.contains(zone));
        near.into_iter().chain(far).find_map(|zone| self.node_in(other, zone))
    }

    /// A node of a zone that another's replacement may go to, if it may go there.
    fn node_in(&self, other: &OpenLanding<'a>, zone: &Zone) -> Option<&'o Name> {
        if !other.to.contains(&zone) {
            return None;
        }
        let is_in = |node: &&'o Name| self.cluster.zone_of_node(node) == Some(zone);
        other.nodes.iter().find(is_in).or_else(|| {
            let mut names = self.cluster.nodes().map(|(node, _)| &node.name);
            names.find(is_in)
        })
    }
}
