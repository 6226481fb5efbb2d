//! Operators that are broken on purpose: the checker must catch each of them.

use std::time::Duration;
use zonespread::api::{Mode, PAUSED, ZoneSpreadPolicyStatus};
use zonespread::observe::{Change, Feed};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutant {
    /// Moves pods as soon as a zone is back.
    SkipsTheHold,
    /// Begins with no misses after a restart.
    ForgetsMisses,
    /// Knows of no moves under way after a restart.
    ForgetsMoves,
    /// Takes every zone for proven after a restart.
    SkipsTheCanary,
    /// Acts whoever leads.
    IgnoresTheLease,
    /// Believes a clock that stands still while the machine is suspended.
    MissesSuspensions,
    /// Trusts watches that fail or are silent, and asks for no fresh look.
    TrustsStaleViews,
    /// Moves as many pods at once as there are.
    IgnoresTheFloor,
    /// Moves pods of what is paused.
    IgnoresPauses,
    /// Moves pods outside the windows.
    IgnoresWindows,
    /// Needs nobody's approval.
    ApprovesItself,
}

impl Mutant {
    pub const ALL: [Self; 11] = [
        Self::SkipsTheHold,
        Self::ForgetsMisses,
        Self::ForgetsMoves,
        Self::SkipsTheCanary,
        Self::IgnoresTheLease,
        Self::MissesSuspensions,
        Self::TrustsStaleViews,
        Self::IgnoresTheFloor,
        Self::IgnoresPauses,
        Self::IgnoresWindows,
        Self::ApprovesItself,
    ];

    /// What it sees instead of what is.
    pub fn feed(self, mut feed: Feed) -> Feed {
        if let (Self::TrustsStaleViews, Feed::Failed(kind)) = (self, &feed) {
            return Feed::Alive(*kind);
        }
        if let Feed::Change(_, change) = &mut feed
            && let Change::Policy(policy) = &mut **change
        {
            let rebalance = &mut policy.spec.rebalance;
            match self {
                Self::IgnoresPauses => {
                    let annotations = policy.metadata.annotations.as_mut();
                    annotations.map(|annotations| annotations.remove(PAUSED));
                }
                Self::IgnoresWindows => rebalance.windows = None,
                Self::ApprovesItself => policy.spec.mode = Mode::Auto,
                Self::SkipsTheHold => rebalance.hold_down = Some(Duration::ZERO.into()),
                Self::IgnoresTheFloor => {
                    use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
                    rebalance.max_unavailable = Some(IntOrString::Int(100));
                }
                _ => {}
            }
        }
        feed
    }

    /// What it remembers instead of what was written.
    pub fn restored(self, status: &mut ZoneSpreadPolicyStatus) {
        match self {
            Self::ForgetsMisses => status.tiers.iter_mut().for_each(|tier| {
                tier.misses = 0;
                tier.retry_at = None;
            }),
            Self::ForgetsMoves => status.moves.clear(),
            Self::SkipsTheCanary => status.zones.iter_mut().for_each(|zone| zone.proven = true),
            _ => {}
        }
    }
}
