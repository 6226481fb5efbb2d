//! What truly becomes of evictions: which pod makes up for which, where it is placed, and
//! whether it comes up.

use crate::eviction::Eviction;
use crate::laws::{Laws, TierTruth};
use crate::objects::millis;
use crate::script::{Millis, SECOND};
use zonespread::api::{MoveState, ZoneSpreadPolicyStatus};

impl Laws {
    /// The eviction that a new pod makes up for: a StatefulSet's pod is known by its
    /// name, others come in the order in which those before them left.
    pub fn replaced(
        &mut self,
        (tier, revision): (usize, u32),
        name: Option<&str>,
        now: Millis,
    ) -> Option<usize> {
        let find = |fits: &dyn Fn(&Eviction) -> bool| {
            self.evictions.iter().position(|eviction| {
                let is_of = name.is_none_or(|name| eviction.pod == name);
                let is_own = (eviction.tier, eviction.revision) == (tier, revision);
                is_own && is_of && fits(eviction)
            })
        };
        // An owner that wanted fewer pods and wants more again makes the one that is still
        // awaited, by those who have not noticed. Others have ended the move.
        let is_of_late =
            |eviction: &Eviction| eviction.discarded.is_some() && !eviction.is_late(now);
        let at = find(&|eviction| !eviction.replaced).or_else(|| find(&is_of_late))?;
        let eviction = &mut self.evictions[at];
        eviction.replaced = true;
        if eviction.discarded.take().is_some() {
            (eviction.placed, eviction.helps) = (None, None);
            (eviction.forgotten, eviction.counts) = (true, false);
        }
        Some(at)
    }

    /// A ReplicaSet has as many pods as it wants: an eviction without a replacement by now was
    /// of one too many, and no later pod makes up for it.
    pub fn all_replaced(&mut self, (tier, revision): (usize, u32), now: Millis) {
        self.discard(now, |eviction| (eviction.tier, eviction.revision) == (tier, revision));
    }

    /// A StatefulSet makes no more pods of these names.
    pub fn unwanted(&mut self, tier: usize, wanted: impl Fn(&str) -> bool, now: Millis) {
        self.discard(now, |eviction| eviction.tier == tier && !wanted(&eviction.pod));
    }

    fn discard(&mut self, now: Millis, which: impl Fn(&Eviction) -> bool) {
        let awaited = self.evictions.iter_mut().filter(|eviction| !eviction.replaced);
        for eviction in awaited.filter(|eviction| which(eviction)) {
            (eviction.replaced, eviction.discarded) = (true, Some(now));
        }
    }

    /// Their replacements were made with other pods.
    pub fn have_twins(&mut self, evictions: &[usize]) {
        for eviction in evictions {
            self.evictions[*eviction].has_twins = true;
        }
    }

    /// A replacement is gone before it came up: the next pod makes up for the eviction.
    pub fn lost(&mut self, eviction: usize) {
        self.evictions[eviction].replaced &= self.evictions[eviction].up.is_some();
        self.evictions[eviction].was_lost = true;
    }

    /// A replacement is gone before it came up, and nobody makes up for it.
    pub fn discarded(&mut self, eviction: usize, now: Millis) {
        let eviction = &mut self.evictions[eviction];
        // Gone before a watch, up to a second late, could show where it was.
        eviction.counts &= now >= eviction.placed_at + 1_500;
        eviction.discarded = eviction.up.is_none().then_some(now);
    }

    /// Worth it if the zone that got the pod has now no more than the one that gave it.
    pub fn helps(&self, eviction: usize, zone: usize, spread: &[i32]) -> bool {
        let from = self.evictions[eviction].from;
        from != Some(zone) && spread[zone] <= from.map_or(0, |from| spread[from]) + 1
    }

    /// A replacement was placed; `spread` counts it already.
    pub fn placed(&mut self, eviction: usize, zone: usize, spread: &[i32], now: Millis) {
        let helps = self.helps(eviction, zone, spread);
        let eviction = &mut self.evictions[eviction];
        let is_first = eviction.helps.is_none();
        if is_first {
            eviction.helps = Some(helps);
            eviction.placed = Some(zone);
            eviction.placed_at = now;
        }
        let (tier, left) = (eviction.tier, eviction.at);
        // Where nothing else happens, every replacement goes where it was predicted to; one that
        // a replacement gets in its turn, since its zone was lost, is nobody's prediction. Nor
        // did anybody predict that a zone would be lost meanwhile.
        let is_foreseen =
            self.zones.iter().all(|zone| zone.out_since().is_none_or(|out| out < left));
        if is_first && self.is_calm() && is_foreseen && !helps {
            let how = format!("tier {tier} gets a pod in zone {zone}, where it does not help");
            self.breaks(2, now, how);
        }
        self.count_futile(tier, now);
    }

    pub fn came_up(&mut self, eviction: usize, zone: usize, now: Millis) {
        self.evictions[eviction].up = Some((zone, now));
        self.zones[zone].is_proven(now);
    }

    /// An eviction was granted of a pod that somebody had deleted already: to whoever
    /// asked for it, that pod's replacement is the move's.
    pub fn granted_in_vain(&mut self, tier: usize, now: Millis) {
        self.tiers[tier].granted_in_vain = Some(now);
    }

    /// A pod came up that makes up for none. A StatefulSet's may have the name of one that
    /// was moved, and be taken for the replacement, if that was lost before it was seen.
    pub fn came_up_besides(&mut self, tier: usize, name: &str, zone: usize, now: Millis) {
        let TierTruth { granted_in_vain, timeout, .. } = &self.tiers[tier];
        if granted_in_vain.is_some_and(|at| now < at + timeout) {
            self.zones[zone].is_proven(now);
        }
        // A Deployment that is made again makes pods anew: one of them is taken for the
        // replacement, and shows as much.
        let is_awaited = |surge: &Eviction| {
            surge.released && surge.tier == tier && surge.undone.is_none() && surge.to == zone
        };
        if self.evictions.iter().any(|surge| is_awaited(surge) && !surge.is_over(now)) {
            self.zones[zone].is_proven(now);
        }
        let is_awaited = |eviction: &&Eviction| eviction.pod == name && !eviction.is_over(now);
        if let Some(at) = self.evictions.iter().rposition(|eviction| is_awaited(&eviction)) {
            self.came_up(at, zone, now);
        }
    }

    /// Law 5.
    pub fn count_futile(&mut self, tier: usize, now: Millis) {
        let futile = self
            .evictions
            .iter()
            .filter(|eviction| eviction.tier == tier && eviction.counts && eviction.is_futile(now))
            .count();
        if futile > 3 {
            self.breaks(
                5,
                now,
                format!("{futile} futile evictions of tier {tier} in one recovery"),
            );
        }
    }

    /// Law 9: one pod at a time goes to a zone that is still to be proven; one that got stuck
    /// there is its probe until it is up or gone.
    pub fn judge_canary(&mut self, to: usize, now: Millis) {
        let Some(from) = self.zones[to].needs_canary() else { return };
        let returned = self.zones[to].since();
        let first = self.evictions.iter().find(|eviction| {
            let is_known = eviction.to == to && !eviction.forgotten && !eviction.has_twins;
            let is_first = eviction.at >= from
                && eviction.placed.is_none_or(|zone| zone == to)
                && eviction.is_under_way(now);
            is_known && (is_first || eviction.at >= returned && eviction.is_stuck(now))
        });
        if let Some(first) = first {
            let how = format!("a second pod goes to zone {to}, the first left at {}", first.at);
            self.breaks(9, now, how);
        }
    }

    /// Law 10: a move that nobody needs any more is not called stuck. Troubles that hide that
    /// were over at `clear_since`.
    pub fn judge_discarded(
        &mut self,
        status: &ZoneSpreadPolicyStatus,
        clear_since: Millis,
        now: Millis,
    ) {
        for moved in &status.moves {
            let of_it = |eviction: &&mut Eviction| *eviction.uid == *moved.uid;
            let known = self.evictions.iter_mut().find(of_it);
            let given_up = known.and_then(|known| match moved.state {
                MoveState::Undoing => Some(*known.given_up.get_or_insert(now)),
                _ => known.given_up,
            });
            if moved.state != MoveState::Stuck {
                continue;
            }
            let known = self.evictions.iter().find(|eviction| *eviction.uid == *moved.uid);
            let discarded = known
                .filter(|known| !known.has_twins && known.undone.is_none())
                .and_then(|known| known.discarded);
            // What a surge is undone for was so while it was needed.
            let finished = moved.finished_at.as_ref().map_or(now, |at| millis(at.0));
            let ended = given_up.unwrap_or(finished);
            if let Some(at) = discarded
                && at.max(clear_since) + 10 * SECOND < ended
            {
                let how = format!("{} is called stuck, nobody needs it since {at}", moved.pod);
                self.breaks(10, now, how);
            }
        }
    }
}
