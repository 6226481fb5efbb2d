//! One sentence for a human: where a policy stands, and what would help.

use crate::api::{APPROVE, ApprovedPlan, PAUSED, Phase, Reason, Recovery};
use crate::observe::{Pause, PolicyEntry};

use super::effective::{Ineffective, untiered};
use super::local_traffic::local_traffic_note;
use super::status::{FREEZES, HOLDS, StatusInput, TierReport};
use super::unzoned::unzoned_note;

/// The sentence of a policy that can be followed.
pub(super) fn message_of(
    phase: Phase,
    input: &StatusInput<'_>,
    ineffective: Option<&Ineffective>,
    plan: Option<&str>,
) -> String {
    let mut parts = vec![main_part(phase, input.tiers, input.recovery.as_ref(), ineffective)];
    // What is said of the policy as a whole is said, too, while there is nothing to do.
    let is_said =
        |text: &Option<String>| text.as_ref().is_some_and(|text| !parts[0].contains(text.as_str()));
    let pause = Some(input.index.pauses().of(&input.policy.key))
        .flatten()
        .map(|pause| paused(input.policy, pause))
        .filter(|_| !input.tiers.is_empty());
    let partly = ineffective.filter(|what| !what.is_all).map(|what| what.message.clone());
    let ignored = wrong_approval(input.policy, input.tiers, input.approved.as_ref(), plan);
    let some_untiered = untiered(input.policy).filter(|_| !input.tiers.is_empty());
    let unzoned = unzoned_note(input.index, input.tiers);
    let local = local_traffic_note(input.index, input.tiers);
    let more: Vec<String> = [pause, ignored, partly, some_untiered, unzoned, local]
        .into_iter()
        .filter(is_said)
        .flatten()
        .collect();
    parts.extend(more);
    parts.join("; ")
}

fn main_part(
    phase: Phase,
    tiers: &[TierReport],
    recovery: Option<&Recovery>,
    ineffective: Option<&Ineffective>,
) -> String {
    match phase {
        Phase::Frozen => why_stopped(tiers, &FREEZES).unwrap_or_else(|| worst(phase, tiers)),
        Phase::Holding => why_stopped(tiers, &HOLDS).unwrap_or_else(|| worst(phase, tiers)),
        Phase::Rebalancing => {
            let done = recovery.map_or_else(
                || "pods are being moved".to_owned(),
                |recovery| {
                    format!("{} of {} moves done", recovery.moves_done, recovery.moves_total)
                },
            );
            // Other tiers may have to wait meanwhile.
            let others = [&FREEZES[..], &HOLDS[..]].concat();
            why_stopped(tiers, &others).map_or(done.clone(), |why| format!("{done}; {why}"))
        }
        Phase::Ineffective => ineffective.map_or_else(String::new, |what| what.message.clone()),
        Phase::Balanced if tiers.is_empty() => {
            "the selected workloads have no pods: they are scaled to 0".to_owned()
        }
        Phase::Balanced => "every tier is within its skew".to_owned(),
        Phase::AwaitingApproval | Phase::Observing | Phase::Blocked | Phase::Invalid => {
            worst(phase, tiers)
        }
    }
}

/// Why the worst tier is not moved.
fn worst(phase: Phase, tiers: &[TierReport]) -> String {
    // Where somebody is asked for an approval, that is what to say.
    let is_asked = |tier: &&TierReport| {
        phase != Phase::AwaitingApproval || tier.stopped_by(&[Reason::AwaitingApproval]).is_some()
    };
    let worst = tiers
        .iter()
        .filter(|tier| !tier.is_content())
        .filter(is_asked)
        .max_by_key(|tier| tier.view.skew() - tier.view.settings.max_skew);
    let Some((tier, blocked)) = worst.and_then(|tier| Some((tier, tier.blocked.as_ref()?))) else {
        return String::new();
    };
    let name = &tier.view.name;
    match blocked.reason {
        // The phase says it already.
        Reason::AwaitingApproval | Reason::ObserveOnly => format!("{name}: {}", blocked.message),
        reason => format!("{name}: {reason}: {}", blocked.message),
    }
}

/// Why tiers are stopped by one of these reasons: the first of them, by the order of the
/// reasons. Names the tiers unless all are stopped like that.
fn why_stopped(tiers: &[TierReport], reasons: &[Reason]) -> Option<String> {
    let stopped = tiers.iter().filter_map(|tier| Some((tier, tier.stopped_by(reasons)?)));
    let (_, first) = stopped.clone().min_by_key(|(_, blocked)| blocked.reason)?;
    let alike: Vec<&str> = stopped
        .filter(|(_, blocked)| *blocked == first)
        .map(|(tier, _)| &*tier.view.name)
        .collect();
    if alike.len() == tiers.len() {
        return Some(first.message.clone());
    }
    Some(format!("{}: {}", alike.join(", "), first.message))
}

fn paused(policy: &PolicyEntry, pause: Pause) -> String {
    let (kind, name) = match pause {
        Pause::Policy => ("policy", &policy.key.name),
        Pause::Namespace => ("namespace", &policy.key.namespace),
    };
    format!("{kind} {name} is paused ({PAUSED}): nothing is moved until that annotation is removed")
}

/// What to say of an approval that approves nothing: none of the policy's plans has the id
/// that the annotation names. `plan` is the one that waits.
#[must_use]
pub fn wrong_approval(
    policy: &PolicyEntry,
    tiers: &[TierReport],
    approved: Option<&ApprovedPlan>,
    plan: Option<&str>,
) -> Option<String> {
    let named = policy.approve.as_deref().filter(|_| approved.is_none())?;
    if !tiers.iter().any(TierReport::needs_approval) {
        return (!tiers.is_empty()).then(|| {
            format!("the annotation {APPROVE} approves nothing: no tier has the mode Approve")
        });
    }
    match plan {
        Some(plan) if plan == named => None,
        Some(plan) => Some(format!(
            "the annotation {APPROVE} names {named}, which is not the plan that waits: that is {plan}"
        )),
        None => Some(format!(
            "the annotation {APPROVE} names {named}, and no plan waits for approval: remove the annotation"
        )),
    }
}
