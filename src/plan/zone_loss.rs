//! How many pods survive the loss of a zone now.

use crate::api::ZoneLoss;

use super::tier::TierView;

/// The pods of a tier that survive the loss of each of its zones. A zone that people hold counts as lost, too.
#[must_use]
pub fn zone_loss(tier: &TierView) -> Vec<ZoneLoss> {
    let pods = tier.pods();
    tier.zones
        .iter()
        .map(|(zone, count)| {
            let held = tier.zones.iter().filter(|(other, count)| count.held && *other != zone);
            let lost = held.map(|(_, count)| count.pods.len()).sum::<usize>() + count.pods.len();
            let surviving = pods - i32::try_from(lost).unwrap_or(i32::MAX);
            ZoneLoss {
                zone: zone.to_string(),
                surviving,
                percent: percent(surviving, pods),
                ..ZoneLoss::default()
            }
        })
        .collect()
}

fn percent(part: i32, whole: i32) -> i32 {
    // An empty tier loses nothing.
    if whole <= 0 {
        return 100;
    }
    i32::try_from(i64::from(part) * 100 / i64::from(whole)).unwrap_or(0)
}
