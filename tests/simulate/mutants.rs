//! Operators that are broken on purpose: the checker must catch each of them, for the law
//! that it goes against.

use crate::objects::{MARKS, TAINTED, spec};
use crate::script::{Right, Script, Trouble};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::ResourceExt;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use zonespread::act::{Answer, Request};
use zonespread::api::{
    Mode, MoveState, PAUSED, PROBE, Trigger, ZoneSpreadPolicyStatus, ZoneStatus,
};
use zonespread::moves::StatusWrite;
use zonespread::observe::{Change, WatchEvent};
use zonespread::operator::{ProbeAnswer, ProbeAsk, ProbeVerb};

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
    /// Takes for granted that replacements go where they should.
    MovesBlindly,
    /// Begins moves though others are still to land, and may land elsewhere because of them.
    TurnsLandings,
    /// Begins moves before what steers their replacements is in force.
    RushesSteering,
    /// Makes scale-downs take from the emptiest zones.
    InvertsCosts,
    /// Takes one move more than the allowed skew needs.
    MovesOneTooMany,
    /// Evicts without a dry run.
    SkipsTheDryRun,
    /// Moves pods that are marked as not to be disturbed.
    IgnoresMarks,
    /// Shows other numbers than there are.
    LiesInTheStatus,
    /// Evicts pods whose moves are written nowhere.
    SkipsTheWrite,
    /// Moves pods of tiers that use a zone which people hold.
    IgnoresHolds,
    /// Forgets after a restart that a pod got stuck in a recovered zone.
    ForgetsProbes,
    /// Calls a move stuck that nobody needs any more.
    CallsItStuck,
    /// Takes nodes that somebody has just tainted for those of another pool.
    TakesFaultsForPools,
    /// Moves pods at once after a scale-down, whatever people want to be moved.
    IgnoresSettle,
    /// Takes released pods for given back, and for evicted, without asking.
    LeavesReleasedPods,
    /// Releases pods without trying the fence.
    SkipsTheFence,
    /// Takes probe pods for removed without asking.
    LeavesProbes,
    /// Takes a probe pod for Ready as soon as it has a node.
    TrustsProbes,
}

impl Mutant {
    /// All of them, and the laws that each goes against.
    pub const ALL: [(Self, &[usize]); 29] = [
        (Self::SkipsTheHold, &[1]),
        (Self::ForgetsMisses, &[5]),
        (Self::ForgetsMoves, &[3, 4, 5, 9]),
        (Self::SkipsTheCanary, &[9]),
        (Self::IgnoresTheLease, &[8]),
        (Self::MissesSuspensions, &[8]),
        (Self::TrustsStaleViews, &[1, 3]),
        (Self::IgnoresTheFloor, &[3]),
        (Self::IgnoresPauses, &[6]),
        (Self::IgnoresWindows, &[6]),
        (Self::ApprovesItself, &[6]),
        (Self::MovesBlindly, &[2]),
        (Self::TurnsLandings, &[2, 4]),
        (Self::RushesSteering, &[2, 4]),
        (Self::InvertsCosts, &[4]),
        (Self::MovesOneTooMany, &[4]),
        (Self::SkipsTheDryRun, &[6]),
        (Self::IgnoresMarks, &[6]),
        (Self::LiesInTheStatus, &[10]),
        (Self::SkipsTheWrite, &[7]),
        (Self::IgnoresHolds, &[1]),
        (Self::ForgetsProbes, &[9]),
        (Self::CallsItStuck, &[10]),
        (Self::TakesFaultsForPools, &[1]),
        (Self::IgnoresSettle, &[6]),
        (Self::LeavesReleasedPods, &[11]),
        (Self::SkipsTheFence, &[6]),
        (Self::LeavesProbes, &[11]),
        (Self::TrustsProbes, &[2]),
    ];

    /// Whether there is any hope to catch it in this world. Only where few are fit, not all
    /// are tried.
    pub fn may_show_in(self, script: &Script) -> bool {
        match self {
            Self::TurnsLandings => {
                script.kind.is_calm() && script.tiers.iter().any(|tier| tier.likes.is_some())
            }
            Self::LeavesReleasedPods | Self::SkipsTheFence => script.right == Right::Fenced,
            Self::InvertsCosts => {
                let mut troubles = script.troubles.iter();
                troubles.any(|(_, trouble)| matches!(trouble, Trouble::ScaleIn(..)))
            }
            Self::LeavesProbes | Self::TrustsProbes => {
                script.opening.is_some() && !script.kind.is_calm()
            }
            Self::TakesFaultsForPools => {
                let mut troubles = script.troubles.iter();
                troubles.any(|(_, trouble)| matches!(trouble, Trouble::Taint(_, 1.., false)))
            }
            Self::RushesSteering => {
                let is_steered_past = script.steers && script.avoided_as_empty;
                is_steered_past && script.kind.is_calm() && script.avoided.is_some()
            }
            _ => true,
        }
    }

    /// What it sees instead of what is.
    pub fn event(self, mut event: WatchEvent) -> WatchEvent {
        match &mut event {
            WatchEvent::Failed(kind) if self == Self::TrustsStaleViews => {
                return WatchEvent::Alive(*kind);
            }
            WatchEvent::Change(_, change) => self.sees(change),
            _ => {}
        }
        event
    }

    fn sees(self, change: &mut Change) {
        match change {
            Change::Policy(policy) => {
                let spec = &mut policy.spec;
                match self {
                    Self::IgnoresPauses => {
                        let annotations = policy.metadata.annotations.as_mut();
                        annotations.map(|annotations| annotations.remove(PAUSED));
                    }
                    Self::IgnoresSettle => {
                        spec.rebalance.settle = Some(Duration::ZERO);
                        spec.rebalance.trigger = Some(Trigger::Always);
                    }
                    Self::IgnoresWindows => spec.rebalance.windows = None,
                    Self::ApprovesItself => spec.mode = Mode::Auto,
                    Self::MovesOneTooMany => spec.max_skew = (spec.max_skew - 1).max(1),
                    Self::SkipsTheHold => spec.rebalance.hold_down = Some(Duration::ZERO),
                    Self::IgnoresTheFloor => {
                        use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
                        spec.rebalance.max_unavailable = Some(IntOrString::Int(100));
                    }
                    _ => {}
                }
            }
            Change::Node(node) if self == Self::TakesFaultsForPools => {
                // As good as a node that no tier may use.
                let labels = node.metadata.labels.get_or_insert_default();
                if labels.contains_key(TAINTED) {
                    labels.insert("type".to_owned(), "virtual-kubelet".to_owned());
                }
            }
            Change::Zone(zone) if self == Self::IgnoresHolds => zone.spec.hold = None,
            Change::Pod(pod) if self == Self::IgnoresMarks => unmark(&mut pod.metadata),
            Change::Pod(pod)
                if self == Self::TrustsProbes
                    && pod.labels().contains_key(PROBE)
                    && pod.spec.node_name.is_some() =>
            {
                let ready = json!({"phase": "Running", "conditions": [{"type": "Ready",
                    "status": "True", "lastTransitionTime": pod.creation_timestamp()}]});
                pod.status = serde_json::from_value(ready).expect("a status");
            }
            Change::Pod(pod) if self == Self::MovesBlindly => {
                // A scheduler that must even out the zones, whatever else it would like.
                let app = pod.labels().get("app").cloned().unwrap_or_default();
                let node = pod.spec.node_name.take();
                pod.spec = serde_json::from_value(spec(&app, true, None)).expect("a spec");
                pod.spec.node_name = node;
            }
            _ => {}
        }
    }

    /// What it asks instead; what it believes, if it does not ask at all.
    pub fn asks(self, request: &mut Request) -> Option<Answer> {
        match request {
            Request::Act { dry_run: true, .. } if self == Self::SkipsTheDryRun => {
                Some(Answer::Acted(Ok(())))
            }
            Request::Act { request, dry_run: false }
                if self == Self::LeavesReleasedPods && !request.verb.begins() =>
            {
                Some(Answer::Acted(Ok(())))
            }
            Request::Fence { .. } if self == Self::SkipsTheFence => Some(Answer::Acted(Ok(()))),
            Request::Steering { .. } if self == Self::RushesSteering => Some(Answer::Acted(Ok(()))),
            Request::WriteStatus(StatusWrite { status, .. }) if self == Self::SkipsTheWrite => {
                let moves = status.moves.iter().any(|moved| moved.state.is_under_way());
                moves.then_some(Answer::Written)
            }
            Request::WriteStatus(StatusWrite { status, .. }) if self == Self::LiesInTheStatus => {
                for tier in &mut Arc::make_mut(status).tiers {
                    if let Some(zone) = tier.zones.first_mut() {
                        zone.pods += 1;
                    }
                }
                None
            }
            Request::WriteStatus(StatusWrite { status, .. }) if self == Self::CallsItStuck => {
                for moved in &mut Arc::make_mut(status).moves {
                    if moved.state == MoveState::Discarded {
                        moved.state = MoveState::Stuck;
                        // It is to have waited for as long as it may.
                        let long = k8s_openapi::jiff::SignedDuration::from_mins(2);
                        moved.finished_at = moved.finished_at.take().map(|at| Time(at.0 + long));
                    }
                }
                None
            }
            _ => None,
        }
    }

    /// What it believes of a probe without asking.
    pub fn keeps(self, ask: &ProbeAsk) -> Option<ProbeAnswer> {
        let is_left = self == Self::LeavesProbes && matches!(ask.what, ProbeVerb::Remove { .. });
        is_left.then_some(ProbeAnswer::Done)
    }

    /// What it takes an answer for.
    pub fn hears(self, answer: &mut Answer) {
        if let (Self::IgnoresMarks, Answer::Pods(pods)) = (self, answer) {
            for pod in pods {
                unmark(&mut pod.metadata);
            }
        }
    }

    /// What it remembers instead of what was written.
    pub fn restored(self, status: &mut ZoneSpreadPolicyStatus) {
        match self {
            Self::ForgetsMisses => status.tiers.iter_mut().for_each(|tier| {
                tier.misses = 0;
                tier.retry_at = None;
            }),
            Self::ForgetsMoves => status.moves.clear(),
            Self::ForgetsProbes => status.moves.retain(|moved| moved.state != MoveState::Stuck),
            _ => {}
        }
    }

    /// The same of a zone.
    pub fn restored_zone(self, status: &mut ZoneStatus) {
        if self == Self::SkipsTheCanary {
            status.proven = true;
        }
    }
}

fn unmark(metadata: &mut ObjectMeta) {
    if let Some(annotations) = &mut metadata.annotations {
        annotations.retain(|key, _| MARKS.iter().all(|(mark, _)| mark != key));
    }
}
