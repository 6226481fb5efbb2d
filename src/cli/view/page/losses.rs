//! What the loss of each zone would do to the tiers, as the operator says it.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use super::{ROWS, Shown};
use crate::api::{TierStatus, ZoneLoss};
use crate::cli::ui::BoardPolicy;
use crate::cli::view::html::{FATES, Html};

/// A tier, and whose it is.
type Tier<'a> = (&'a BoardPolicy, &'a TierStatus);

/// The picture: a bar for each tier and each zone, and in words what is wrong.
pub fn losses(html: &mut Html, shown: &Shown<'_>) {
    let mut tiers: Vec<Tier<'_>> = Vec::new();
    for (policy, status) in shown.statuses() {
        tiers.extend(status.tiers.iter().map(|tier| (policy, tier)));
    }
    tiers.retain(|(_, tier)| !tier.zone_loss.is_empty());
    if tiers.is_empty() {
        return;
    }
    // Those in danger first.
    tiers.sort_by_key(|tier| Reverse(worst(tier).is_some()));
    let zones: BTreeSet<&str> =
        tiers.iter().flat_map(|(_, tier)| &tier.zone_loss).map(|loss| &*loss.zone).collect();
    html.raw("<h2>Losing a zone now</h2>");
    html.legend(|class| ["stay", "go", "wait"].contains(&class));
    let without: Vec<String> = zones.iter().map(|zone| format!("Without {zone}")).collect();
    let columns = ["Tier"].into_iter().chain(without.iter().map(String::as_str));
    let columns: Vec<&str> = columns.collect();
    html.table("losses-table", "Losing a zone now", &columns, |html| {
        for tier in tiers.iter().take(ROWS) {
            html.raw("<tr>");
            html.element("th", &[("scope", "row")], &name(tier));
            for zone in &zones {
                let loss = tier.1.zone_loss.iter().find(|loss| loss.zone == *zone);
                match loss {
                    Some(loss) => cell(html, tier, loss),
                    None => html.raw("<td></td>"),
                }
            }
            html.raw("</tr>");
        }
    });
    let told = tiers.iter().filter_map(|tier| Some((tier, worst(tier)?)));
    let told: Vec<_> = told.take(ROWS).collect();
    if told.is_empty() {
        return;
    }
    html.raw("<ul>");
    for (tier, loss) in told {
        html.raw("<li>");
        html.element("b", &[], &name(tier));
        html.text(&format!(" without {}", loss.zone));
        html.raw("<br>");
        html.text(loss.message.as_deref().unwrap_or_default());
        html.raw("</li>");
    }
    html.raw("</ul>");
}

fn name((policy, tier): &Tier<'_>) -> String {
    format!("{}/{} {}", policy.known.namespace, policy.known.name, tier.name)
}

fn is_accepted((policy, tier): &Tier<'_>, loss: &ZoneLoss) -> bool {
    loss.reason.is_some_and(|reason| policy.accepts(&tier.name, reason))
}

/// The loss that puts a tier in danger, the one that is told in words first.
fn worst<'a>(tier: &Tier<'a>) -> Option<&'a ZoneLoss> {
    let bad = tier.1.zone_loss.iter().filter(|loss| loss.reason.is_some());
    let bad = bad.filter(|loss| !is_accepted(tier, loss));
    bad.min_by_key(|loss| (loss.message.is_none(), loss.reason))
}

fn cell(html: &mut Html, tier: &Tier<'_>, loss: &ZoneLoss) {
    let count = |pods: i32| usize::try_from(pods).unwrap_or_default();
    let (all, stay) = (count(tier.1.pods), count(loss.surviving));
    let wait = count(loss.pending.unwrap_or(0));
    let parts: [usize; FATES.len()] = [stay, all.saturating_sub(stay + wait), 0, 0, wait];
    html.raw("<td class=\"cell\">");
    html.bar(parts);
    let pending = if wait > 0 { format!(", {wait} Pending") } else { String::new() };
    html.element("small", &[], &format!("{stay}/{all} left{pending}"));
    if let Some(reason) = loss.reason {
        if is_accepted(tier, loss) {
            html.element("small", &[], &format!("{reason} (accepted)"));
        } else {
            html.element("small", &[("class", "bad")], reason.as_str());
        }
    }
    html.raw("</td>");
}
