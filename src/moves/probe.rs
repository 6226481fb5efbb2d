//! Replacements that got stuck in a recovered zone. They stay there, and each shows whether
//! pods can start in the zone: as long as one waits, no second pod is risked (law 9).

use jiff::Timestamp;

use crate::observe::{Index, Name, Pod, PodPhase, Zone};

use super::tracked_move::Move;

/// What became of a replacement that got stuck.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProbeEnd {
    /// It became Available after all: the zone is proven.
    Up(Zone),
    /// It is gone, or was up before anybody looked: it shows nothing any more.
    Over,
}

impl Move {
    /// Looks after a replacement that got stuck: what became of it, once it no longer waits.
    pub fn follow_probe(
        &mut self,
        index: &Index,
        namespace: &Name,
        now: Timestamp,
    ) -> Option<ProbeEnd> {
        if !self.is_probe {
            return None;
        }
        // After a restart nobody knows whether it became Available in this recovery.
        let was_seen = self.replacement_uid().is_some();
        let (end, uid) = match self.probe(index, namespace) {
            None => (Some(ProbeEnd::Over), None),
            Some(pod) => {
                let min_ready =
                    index.workload_of(pod).map_or(0, |workload| workload.min_ready_seconds);
                let zone = index.cluster().zone_of(pod).filter(|_| was_seen);
                let is_up = pod.is_available(min_ready, now);
                let end = zone.map_or(ProbeEnd::Over, |zone| ProbeEnd::Up(zone.clone()));
                (is_up.then_some(end), Some(pod.uid.clone()))
            }
        };
        if let Some(replacement) = &mut self.replacement {
            replacement.uid = uid.or(replacement.uid.take());
        }
        self.is_probe = end.is_none();
        end
    }

    /// The zone in which its stuck replacement waits, and that pod.
    #[must_use]
    pub fn probed_zone<'a>(
        &self,
        index: &'a Index,
        namespace: &Name,
    ) -> Option<(&'a Zone, &'a Pod)> {
        let pod = self.probe(index, namespace).filter(|_| self.is_probe)?;
        Some((index.cluster().zone_of(pod)?, pod))
    }

    /// The stuck replacement, while it is there.
    fn probe<'a>(&self, index: &'a Index, namespace: &Name) -> Option<&'a Pod> {
        let known = self.replacement.as_ref()?;
        let pod = index.cluster().pod(index.cluster().pod_id(namespace, &known.name)?)?;
        let is_it = known.uid.as_ref().is_none_or(|uid| *uid == pod.uid);
        (is_it && !pod.terminating && pod.phase != PodPhase::Finished).then_some(pod)
    }
}
