//! What of an outlook is kept: by policy and tier, what each zone would take with it.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use crate::api::{LossReason, ZoneLoss};
use crate::observe::{Name, Zone};

use super::TierOutlook;

/// What the loss of each zone would do to the tiers of one policy, by tier and zone.
pub type PolicyForecast = BTreeMap<Name, Vec<(Zone, TierForecast)>>;

/// What the loss of one zone would do to one tier.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TierForecast {
    /// Pods that would stay Pending, in the worse phase.
    pub pending: i32,
    /// Pods of the zone that would find a place elsewhere in that phase.
    pub fits: i32,
    /// Why the zone is not safe to lose for the tier, and what would help.
    pub reason: Option<(LossReason, Option<Arc<str>>)>,
}

impl TierForecast {
    /// What is kept of an outlook.
    #[must_use]
    pub fn of(tier: &TierOutlook) -> Self {
        let fits = [&tier.unreachable, &tier.gone].map(|phase| {
            let nowhere = phase.pending + phase.absent + phase.unknown;
            tier.lost.saturating_sub(nowhere)
        });
        // Who is absent while the nodes are unreachable comes back once they are deleted.
        let worse = if tier.gone.pending > tier.unreachable.pending { fits[1] } else { fits[0] };
        Self {
            pending: count(tier.pending()),
            fits: count(worse),
            reason: tier
                .reason
                .as_ref()
                .map(|(reason, message)| (*reason, Some(Arc::from(message.as_str())))),
        }
    }

    /// Whether there is nothing to tell.
    #[must_use]
    pub const fn is_harmless(&self) -> bool {
        self.pending == 0 && self.reason.is_none()
    }

    /// The worst comes first.
    #[must_use]
    pub fn rank(&self) -> (bool, Option<LossReason>, Reverse<i32>) {
        let reason = self.reason.as_ref().map(|(reason, _)| *reason);
        (reason.is_none(), reason, Reverse(self.pending))
    }

    /// Of several zones the worst is told in words: the others are much alike.
    pub fn keep_one_message(zones: &mut [(Zone, Self)]) {
        let worst = zones.iter().enumerate().min_by_key(|(_, (_, forecast))| forecast.rank());
        let worst = worst.map(|(at, _)| at);
        for (at, (_, forecast)) in zones.iter_mut().enumerate() {
            if let Some((_, message)) = forecast.reason.as_mut().filter(|_| Some(at) != worst) {
                *message = None;
            }
        }
    }

    /// What a status says of it.
    #[must_use]
    pub fn told(loss: &ZoneLoss) -> Self {
        Self {
            pending: loss.pending.unwrap_or_default(),
            fits: loss.fits.unwrap_or_default(),
            reason: loss.reason.map(|reason| (reason, loss.message.as_deref().map(Arc::from))),
        }
    }
}

fn count(pods: usize) -> i32 {
    i32::try_from(pods).unwrap_or(i32::MAX)
}
