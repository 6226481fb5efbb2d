//! What puts the laws in danger: a law that nobody wanted to break was not tested.

use zonespread::api::Reason;

/// How often each law was in danger: somebody wanted what it forbids.
pub type Danger = [u64; 12];

/// Which laws are in danger when this is told.
pub fn endangered(reason: Reason, message: &str) -> &'static [usize] {
    match reason {
        Reason::ZoneImpaired
        | Reason::ZoneHeld
        | Reason::ZoneRecovering
        | Reason::ClusterUnstable => &[1],
        Reason::StaleView => &[1, 3],
        Reason::ZoneSuspect => &[1, 9],
        Reason::MovesUnderWay if message.contains("has to become Available") => &[9],
        Reason::TierUnavailable
        | Reason::SingleReplica
        | Reason::RolloutInProgress
        | Reason::MovesUnderWay => &[3],
        Reason::BudgetExhausted
        | Reason::Forbidden
        | Reason::Throttled
        | Reason::Paused
        | Reason::OutsideWindow
        | Reason::Settling
        | Reason::NotARecovery
        | Reason::AwaitingApproval => &[6],
        Reason::NoRoom | Reason::WouldNotLand | Reason::Pinned | Reason::Unpredictable => &[2],
        Reason::Backoff | Reason::MissedTooOften => &[5],
        _ => &[],
    }
}
