//! What must hold before a zone is lost on purpose. Each check says nothing, or names the
//! object, the fact and the remedy.

use crate::api::text::counted;
use crate::api::{DrillReason, DrillRefusal, ZoneDrillSpec, ZoneState, limit};
use crate::outlook::ZoneOutlook;

use super::facts::{DrillFacts, TierFacts, names};
use super::forecast::facts_of;

/// All that speaks against the drill, in the order of [`DrillReason`]. Without an outlook no
/// node is in the zone.
#[must_use]
pub fn refusals(
    spec: &ZoneDrillSpec,
    facts: &DrillFacts,
    outlook: Option<&ZoneOutlook>,
) -> Vec<DrillRefusal> {
    let mut found = Vec::new();
    if !spec.dry_run {
        found.extend(cannot_close(facts));
    }
    let Some(outlook) = outlook else {
        let message = format!(
            "no node is in zone {}: compare with `kubectl get nodes -L topology.kubernetes.io/zone`",
            spec.zone
        );
        found.push(refusal(DrillReason::UnknownZone, message));
        return found;
    };
    of_the_cluster(spec, facts, &mut found);
    for tier in &facts.tiers {
        of_a_tier(tier, &mut found);
        if !tier.is_accepted(&spec.accept_risk) {
            found.extend(stays(tier));
        }
    }
    let losses = outlook.tiers.iter().filter(|loss| loss.lost > 0);
    found.extend(losses.filter_map(|loss| {
        let tier = facts_of(facts, loss)?;
        let (reason, why) = loss.reason.as_ref()?;
        let message = format!(
            "tier {}: {reason}: {why}; or accept it (acceptRisk: {})",
            tier.full_name(),
            tier.name
        );
        let is_accepted = tier.is_accepted(&spec.accept_risk);
        (!is_accepted).then(|| refusal(DrillReason::NotSafeToLose, message))
    }));
    // Of one reason they stay in the order of the tiers.
    found.sort_by_key(|refusal| refusal.reason);
    found
}

fn refusal(reason: DrillReason, message: impl Into<String>) -> DrillRefusal {
    DrillRefusal { reason, message: message.into() }
}

/// What speaks against closing a zone at all.
fn cannot_close(facts: &DrillFacts) -> impl Iterator<Item = DrillRefusal> {
    let too_many = (facts.policies.len() > limit::DRILL_POLICIES).then(|| {
        let count = counted(facts.policies.len(), "policy");
        format!("{count} are too many for one drill: choose some by spec.policies")
    });
    let why = facts.cannot_close.clone().into_iter().chain(too_many);
    let cannot = why.map(|why| refusal(DrillReason::CannotClose, why));
    let other = facts.other_drill.as_ref().map(|other| {
        let message = format!(
            "drill {other} runs: wait until it is over, or abort it (`zonespread drill abort {other}`)"
        );
        refusal(DrillReason::AnotherDrill, message)
    });
    cannot.chain(other)
}

fn of_the_cluster(spec: &ZoneDrillSpec, facts: &DrillFacts, found: &mut Vec<DrillRefusal>) {
    let zone = &spec.zone;
    if !facts.others_are_usable {
        let message = format!("no zone but {zone} has a node that can take pods: add nodes there");
        found.push(refusal(DrillReason::OnlyZone, message));
    }
    if facts.tiers.iter().all(|tier| tier.in_zone == 0) {
        let which = if spec.policies.is_some() { "that spec.policies selects" } else { "at all" };
        let message = format!(
            "no tier of a ZoneSpreadPolicy {which} has a pod in zone {zone}: choose another zone or other policies"
        );
        found.push(refusal(DrillReason::NothingToDrill, message));
    }
    for accepted in &spec.accept_risk {
        let known = facts.tiers.iter().map(|tier| (&tier.policy, &tier.name));
        let mut known = known.chain(facts.elsewhere.iter().map(|(policy, name)| (policy, name)));
        if !known.any(|(policy, tier)| names(accepted, policy, tier)) {
            let message = format!(
                "spec.acceptRisk names {accepted:?}, and no drilled policy has such a tier: write tier, policy/tier or namespace/policy/tier"
            );
            found.push(refusal(DrillReason::UnknownTier, message));
        }
    }
    for (policy, why) in &facts.invalid {
        let message = format!("policy {}/{} is Invalid: {why}", policy.namespace, policy.name);
        found.push(refusal(DrillReason::PolicyInvalid, message));
    }
    for (zone, state) in &facts.not_ready {
        let message = match state {
            ZoneState::Held => {
                format!("zone {zone} is held by hand: `zonespread release {zone}` ends the hold")
            }
            ZoneState::Impaired => format!("zone {zone} is out: bring its nodes back"),
            state => format!(
                "zone {zone} is {}: wait until it is Ready (`kubectl get zones.zonespread.io`)",
                state.as_str()
            ),
        };
        found.push(refusal(DrillReason::ZoneNotReady, message));
    }
    let unstable = facts.unstable.iter().chain(facts.tiers.iter().flat_map(|tier| &tier.unstable));
    let mut said: Vec<&String> = unstable.collect();
    said.dedup();
    found.extend(said.into_iter().map(|why| refusal(DrillReason::ClusterUnstable, why.clone())));
    if let Some(stale) = &facts.stale {
        found.push(refusal(DrillReason::StaleView, stale.clone()));
    }
}

fn of_a_tier(tier: &TierFacts, found: &mut Vec<DrillRefusal>) {
    let name = tier.full_name();
    let mut say = |reason, message| found.push(refusal(reason, message));
    if let Some(paused) = &tier.paused {
        say(DrillReason::Paused, format!("tier {name}: {paused}"));
    }
    if tier.observed {
        let message = format!("tier {name} is in mode Observe, and would not be brought back");
        say(DrillReason::ObserveOnly, format!("{message}: set its mode to Auto"));
    }
    if tier.missing > 0 {
        let (missing, desired) = (tier.missing, tier.desired);
        let message = format!("tier {name}: {missing} of {desired} pods are not Available");
        say(DrillReason::TierUnavailable, format!("{message}: `kubectl describe pod` says why"));
    }
    if let Some(workload) = &tier.rolling_out {
        let message = format!("tier {name}: {workload} is rolling out: wait for it, or undo it");
        say(DrillReason::RolloutInProgress, message);
    }
    if tier.moves > 0 {
        let message = format!("tier {name}: {} under way", counted(tier.moves, "move"));
        say(DrillReason::MovesUnderWay, format!("{message}: wait until its policy is Balanced"));
    }
    if tier.skew > tier.max_skew && !tier.is_single_zone {
        let (skew, max) = (tier.skew, tier.max_skew);
        let message = format!("tier {name} is not balanced: skew {skew}, maxSkew {max}");
        say(DrillReason::Unbalanced, format!("{message}; `zonespread plan` says why"));
    }
    if let Some(DrillRefusal { reason, message }) = &tier.budget {
        say(*reason, format!("tier {name}: {message}"));
    }
}

fn stays(tier: &TierFacts) -> Option<DrillRefusal> {
    let why = tier.why_it_stays.as_ref().filter(|_| tier.stays > 0)?;
    let stay = if tier.stays == 1 {
        "1 pod would stay in the zone".to_owned()
    } else {
        format!("{} pods would stay in the zone", tier.stays)
    };
    let message = format!(
        "tier {}: {stay}: {why}; or accept it (acceptRisk: {})",
        tier.full_name(),
        tier.name
    );
    Some(refusal(DrillReason::PodsStay, message))
}
