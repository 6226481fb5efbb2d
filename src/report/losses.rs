//! What the loss of a zone does to a policy's tiers: what the status, the column SURVIVES and
//! the condition SafeToLoseZone say of it.

use std::cmp::Reverse;

use crate::api::text::{bounded, cut};
use crate::api::{LossReason, TierStatus, ZoneLoss, limit};
use crate::observe::Zone;
use crate::outlook::{PolicyForecast, TierForecast};
use crate::plan::{TierView, zone_loss};

use super::status::TierReport;

/// The reason of the condition while nothing is wrong.
const SAFE: &str = "Safe";
/// The most bytes of a message.
const MESSAGE: usize = 500;

/// What a status may still say of losses of zones.
#[derive(Debug)]
pub(super) struct Told(usize);

impl Default for Told {
    fn default() -> Self {
        Self(limit::TOLD_LOSSES)
    }
}

/// What is left of a tier if a zone is lost, and as far as it is known and there is room to
/// tell it, what becomes of the rest.
pub(super) fn zone_losses(
    view: &TierView,
    forecast: Option<&PolicyForecast>,
    told: &mut Told,
) -> Vec<ZoneLoss> {
    let mut losses: Vec<ZoneLoss> = zone_loss(view).into_iter().take(limit::ZONES).collect();
    let Some(known) = forecast.and_then(|forecast| forecast.get(&view.name)) else {
        return losses;
    };
    let mut worst: Option<(usize, &TierForecast)> = None;
    for (at, loss) in losses.iter_mut().enumerate() {
        let of_zone = |(zone, _): &&(Zone, TierForecast)| zone.as_str() == loss.zone;
        let Some((_, forecast)) = known.iter().find(of_zone) else { continue };
        if forecast.is_harmless() || loss.surviving >= view.pods() || told.0 == 0 {
            continue;
        }
        told.0 -= 1;
        if forecast.pending > 0 {
            (loss.pending, loss.fits) = (Some(forecast.pending), Some(forecast.fits));
        }
        loss.reason = forecast.reason.as_ref().map(|(reason, _)| *reason);
        if worst.is_none_or(|(_, known)| forecast.rank() < known.rank()) {
            worst = Some((at, forecast));
        }
    }
    // In words for the worst: the others are much alike, and a status must not grow too large.
    if let Some((at, forecast)) = worst
        && let Some((_, Some(message))) = &forecast.reason
    {
        losses[at].message = Some(bounded(cut(message, MESSAGE)));
    }
    losses
}

/// The tier that loses most with a zone, and how many tiers are left out as they are
/// accepted.
pub(super) fn survives_column(reports: &[TierReport], tiers: &[TierStatus]) -> String {
    let judged = judged(reports, tiers).filter(|(_, tier, _)| tier.pods > 0);
    let worst = judged.min_by_key(|(_, _, loss)| (loss.percent, Reverse(loss.pending)));
    let worst = worst.map_or_else(
        || "-".to_owned(),
        |(_, tier, loss)| match loss.pending {
            Some(pending) => format!("{}: {}%, {pending} Pending", tier.name, loss.percent),
            None => format!("{}: {}%", tier.name, loss.percent),
        },
    );
    match reports.iter().filter(|tier| tier.view.settings.single_zone.is_some()).count() {
        0 => worst,
        accepted => format!("{worst} ({accepted} accepted)"),
    }
}

/// What the condition says: whether any zone may be lost, why not, and what would help.
pub(super) fn safe_to_lose(
    reports: &[TierReport],
    tiers: &[TierStatus],
) -> (bool, &'static str, String) {
    let unsafe_ones = judged(reports, tiers)
        .filter(|(report, _, loss)| {
            let accepted = &report.view.settings.accepted_losses;
            loss.reason.is_some_and(|reason| !accepted.contains(&reason))
        })
        .filter_map(|(_, tier, loss)| Some((loss.reason?, loss.percent, tier, loss)));
    let worst = unsafe_ones.min_by_key(|(reason, percent, tier, loss)| {
        // Of those that are alike, the one that is told in words.
        (*reason, *percent, Reverse(loss.pending), loss.message.is_none(), &tier.name)
    });
    let Some((reason, _, tier, loss)) = worst else {
        return (true, SAFE, "every tier goes on without any one of the zones".to_owned());
    };
    let mut own = tier.zone_loss.iter().filter(|known| known.reason == Some(reason));
    let message = own.find_map(|known| known.message.as_deref());
    let message = message.map_or_else(|| words(reason).to_owned(), str::to_owned);
    (false, reason.as_str(), format!("{} without zone {}: {message}", tier.name, loss.zone))
}

/// Every loss of a zone, but for tiers whose single zone is accepted.
fn judged<'a>(
    reports: &'a [TierReport],
    tiers: &'a [TierStatus],
) -> impl Iterator<Item = (&'a TierReport, &'a TierStatus, &'a ZoneLoss)> {
    let judged = reports.iter().zip(tiers);
    let judged = judged.filter(|(report, _)| report.view.settings.single_zone.is_none());
    judged.flat_map(|(report, tier)| tier.zone_loss.iter().map(move |loss| (report, tier, loss)))
}

const fn words(reason: LossReason) -> &'static str {
    match reason {
        LossReason::QuorumLost => "the majority is lost with the zone",
        LossReason::SingleZone => "all pods are in the zone",
        LossReason::WouldPend => "a constraint keeps pods Pending",
        LossReason::NoRoom => "there is no room for all pods in the other zones",
        LossReason::PinnedVolume => "volumes cannot leave the zone",
        LossReason::BudgetBlocks => "a disruption budget would keep pods from coming back",
        LossReason::Unpredictable => "where pods would land cannot be predicted",
    }
}
