//! Law 11: what truly becomes of released pods. And what the other laws say of surges.

use crate::eviction::Eviction;
use crate::laws::Laws;
use crate::objects::Pod;
use crate::script::{Millis, SECOND};
use std::collections::{BTreeMap, BTreeSet};
use zonespread::api::Strategy;
use zonespread::moves::Verb;

/// A pod that nothing keeps from being given back, or from being evicted, is so after its
/// deadline within a lease, and what an operator takes to learn of its right, and to ask
/// again for what was refused.
const ENDS_WITHIN: Millis = (15 + 20 + 40) * SECOND;

/// Released pods, and what was asked for them.
#[derive(Default)]
pub struct Releases {
    pods: BTreeMap<String, Release>,
    /// The fence was found to stand, by operator and pod.
    fences: BTreeSet<(usize, String)>,
    /// When something was last refused, by pod.
    refused: BTreeMap<String, Millis>,
}

struct Release {
    deadline: Millis,
    /// When something was last in the way of its end.
    hindered: Millis,
}

impl Laws {
    pub fn fence_stands(&mut self, operator: usize, uid: &str) {
        self.releases.fences.insert((operator, uid.to_owned()));
    }

    /// Law 6: nothing is released that was not asked for, or without a fence.
    pub fn judge_way(
        &mut self,
        operator: usize,
        verb: Verb,
        uid: &str,
        strategy: Strategy,
        now: Millis,
    ) {
        match (verb, strategy) {
            (Verb::Evict, Strategy::Surge) => {
                self.breaks(6, now, format!("{uid} is evicted, and its policy wants surges"));
            }
            (Verb::Release, Strategy::Evict) => {
                self.breaks(6, now, format!("{uid} is released, and its policy wants evictions"));
            }
            _ => {}
        }
        let fence = (operator, uid.to_owned());
        if verb == Verb::Release && !self.releases.fences.remove(&fence) {
            self.breaks(6, now, format!("{uid} is released, and nobody tried the fence"));
        }
    }

    /// A follow-up was refused: it is not asked for again at once.
    pub fn follow_up_refused(&mut self, verb: Verb, uid: &str, now: Millis) {
        let last = self.releases.refused.insert(uid.to_owned(), now);
        if let Some(last) = last.filter(|last| now < last + 1_800) {
            let how = format!("{verb:?} of {uid} was refused {} ms ago", now - last);
            self.breaks(6, now, how);
        }
    }

    pub fn released(&mut self, pod: &Pod, deadline: Millis, now: Millis) {
        self.danger[11] += 1;
        self.releases.pods.insert(pod.uid.clone(), Release { deadline, hindered: now });
    }

    pub fn release_over(&mut self, uid: &str) {
        self.releases.pods.remove(uid);
    }

    fn surge_mut(&mut self, uid: &str) -> Option<&mut Eviction> {
        self.evictions.iter_mut().rev().find(|eviction| eviction.released && eviction.uid == uid)
    }

    pub fn released_at(&self, uid: &str) -> Option<Millis> {
        let mut surges = self.evictions.iter().rev();
        Some(surges.find(|eviction| eviction.released && eviction.uid == uid)?.at)
    }

    /// A pod has left, whoever wanted that.
    pub fn left(&mut self, uid: &str) {
        if let Some(surge) = self.surge_mut(uid) {
            surge.left = true;
        }
    }

    /// The pod is given back; whether nobody wants it replaced any more.
    pub fn restored(&mut self, uid: &str, unwanted: bool, now: Millis) {
        let Some(surge) = self.surge_mut(uid) else { return };
        surge.undone = Some(now);
        surge.counts &= !unwanted;
        if !surge.replaced {
            (surge.replaced, surge.discarded) = (true, Some(now));
        }
    }

    /// A workload is made again: which of its pods are for those that were moved before, nobody
    /// can tell.
    pub fn made_again(&mut self, tier: usize, now: Millis) {
        let own = self.evictions.iter_mut().filter(|eviction| eviction.tier == tier);
        for eviction in own.filter(|eviction| !eviction.is_over(now)) {
            (eviction.has_twins, eviction.counts) = (true, false);
        }
    }

    /// Released pods of a tier that are still there.
    pub fn surging(&self, tier: usize) -> usize {
        let own = self.evictions.iter().filter(|eviction| eviction.tier == tier);
        own.filter(|eviction| eviction.released && !eviction.left && eviction.undone.is_none())
            .count()
    }

    /// Laws 1 and 3: the released pod is evicted, and its tier misses nothing by that.
    pub fn retired(&mut self, operator: usize, pod: &Pod, is_wanted: bool, now: Millis) {
        if self.released_at(&pod.uid).is_none() || !pod.released {
            self.breaks(11, now, format!("{} was never released", pod.name));
        }
        if is_wanted {
            self.judge_sight(operator, pod, usize::from(pod.is_available()), now);
            self.judge_holds(pod.tier, now);
        }
    }

    pub fn judge_overdue(&mut self, pod: &Pod, hindered: Option<&str>, now: Millis) {
        let Some(known) = self.releases.pods.get_mut(&pod.uid) else { return };
        if hindered.is_some() || now < known.deadline {
            known.hindered = now;
            return;
        }
        self.danger[11] += 1;
        let (since, deadline) = (known.hindered.max(known.deadline), known.deadline);
        if now > since + ENDS_WITHIN {
            let how = format!("{} is released, and should not be since {deadline}", pod.name);
            self.breaks(11, now, how);
        }
    }

    /// Whether no zone of the tier is out, or held, or has been of late.
    pub fn zones_rest(&self, tier: usize, now: Millis) -> bool {
        let hold_down = self.hold_down_of(tier);
        self.zones.iter().all(|zone| {
            let by_hand = zone.held_by_hand().is_some_and(|(_, until)| now < until);
            let is_out = zone.out_since().is_some() || now < zone.since() + 20 * SECOND;
            !is_out && !by_hand && zone.is_held(hold_down, now).is_none()
        })
    }
}
