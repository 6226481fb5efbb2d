//! A move: one pod leaves, its replacement lands. What must survive a restart is in its
//! status.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::api::{MoveKind, MoveState, MoveStatus, seconds};
use crate::observe::{Index, MoveMark, Name, Pod, PodId, Uid, Zone};
use crate::plan::{OpenLanding, PlannedMove};
use crate::predict::{PendingPod, Rival};

use super::follow::Ending;
use super::owner_name::OwnerName;
use super::owner_snapshot::OwnerSnapshot;
use super::request::Verb;
use super::surge::{DEADLINE_AFTER_LANDING, Refusal, SurgeProgress};

/// A move that this process made, or took over from the one before.
#[derive(Clone, Debug, PartialEq)]
pub struct Move {
    /// How the pod is moved.
    pub kind: MoveKind,
    /// The tier.
    pub tier: Name,
    /// The pod that is moved.
    pub pod: Name,
    /// Its uid.
    pub uid: Uid,
    /// The controller that makes the replacement.
    pub owner: Option<OwnerName>,
    /// The zone that the pod leaves.
    pub from: Zone,
    /// The zone that its replacement is expected in; once it has landed, the zone it is in.
    pub to: Zone,
    /// Zones in which a landing is as good.
    pub alternatives: Vec<Zone>,
    /// The pod that replaces it, once it is there.
    pub replacement: Option<Replacement>,
    /// When it was decided, in whole seconds.
    pub decided: Timestamp,
    /// When the API server granted it; before that, when it was decided or taken over.
    pub started: Timestamp,
    /// When it ended, in whole seconds.
    pub finished: Option<Timestamp>,
    /// Whether its replacement got stuck in the target zone and is still there: until it is
    /// up or gone it is the zone's probe, and no second pod is risked (law 9).
    pub is_probe: bool,
    /// Pods that the owner had when the move was decided. Unknown after a restart.
    pub snapshot: Option<Arc<OwnerSnapshot>>,
    /// What is expected to land, and on which nodes. Unknown after a restart, until it is
    /// predicted again.
    pub expected: Option<ExpectedLanding>,
    /// How far a surge is.
    pub(super) surge: SurgeProgress,
    /// Where schedulers would put it that the cluster may have instead of the assumed one;
    /// those that choose otherwise. Unknown after a restart.
    pub rivals: Vec<(Rival, Vec<Zone>)>,
    state: MoveState,
    request: RequestState,
    /// What was asked for after the beginning.
    follow_up: FollowUp,
    message: String,
}

/// Where a replacement is expected to land.
#[derive(Clone, Debug, PartialEq)]
pub struct ExpectedLanding {
    /// The replacement.
    pub pod: PendingPod,
    /// The nodes that tied for best, at most the first few by name: at least one.
    pub nodes: Vec<Name>,
    /// By how many points they beat the nodes of other zones.
    pub margin: i64,
    /// How many nodes others may take until it is by less.
    pub spare: usize,
}

/// The pod that replaces one that was moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replacement {
    /// Its name.
    pub name: Name,
    /// Its uid; unknown after a restart, until it is seen.
    pub uid: Option<Uid>,
    /// The node it is on.
    pub node: Option<Name>,
}

/// What is known of the request that a move waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestState {
    /// To be made.
    Due,
    /// On its way.
    Waiting,
    /// Whether it was made is not known: a time-out, or a restart.
    Unknown,
    /// The API server said yes.
    Granted,
}

/// What is known of the last request after the one that the move began with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FollowUp {
    /// There is none.
    #[default]
    None,
    /// It is on its way.
    Waiting,
    /// It was answered: the same is not asked again before this time.
    Answered(Verb, Timestamp),
}

/// What takes a move further.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transition {
    /// The request that was due is on its way.
    Asked,
    /// The API server said yes.
    Granted,
    /// Whether the API server said yes is not known.
    Unanswered,
    /// The pod was surely evicted: its replacement is awaited.
    Evicted,
    /// The pod was surely released: its replacement is awaited.
    Released,
    /// The surge does not help, as the ending says: the pod goes back to its owner.
    Undoing(Ending, String),
    /// A request after the first is on its way.
    FollowUpAsked,
    /// It was answered. The same is not asked again before this time.
    FollowUpAnswered {
        /// What was asked.
        verb: Verb,
        /// Whether it was refused.
        refusal: Refusal,
        /// When it may be asked again, should there still be a need.
        again: Timestamp,
    },
    /// It is over, with a message for a human.
    Ended(Ending, String),
}

impl Move {
    /// A move that is about to be made; `replacement` is the pod that is expected.
    #[must_use]
    pub fn begin(
        tier: &Name,
        pod: &Pod,
        planned: &PlannedMove,
        replacement: PendingPod,
        snapshot: Arc<OwnerSnapshot>,
        now: Timestamp,
    ) -> Option<Self> {
        let (to, alternatives) = planned.to.split_first()?;
        Some(Self {
            kind: planned.kind,
            tier: Name::clone(tier),
            pod: Name::clone(&pod.name),
            uid: pod.uid.clone(),
            owner: pod.owner.as_deref().map(OwnerName::from),
            from: planned.from.clone(),
            to: to.clone(),
            alternatives: alternatives.to_vec(),
            replacement: None,
            decided: seconds(now).0,
            started: now,
            finished: None,
            is_probe: false,
            snapshot: Some(snapshot),
            rivals: Vec::new(),
            expected: (!planned.nodes.is_empty()).then(|| ExpectedLanding {
                pod: replacement,
                nodes: planned.nodes.clone(),
                margin: planned.margin,
                spare: planned.spare,
            }),
            surge: SurgeProgress::default(),
            state: match planned.kind {
                MoveKind::Evict => MoveState::Evicting,
                MoveKind::Surge => MoveState::Releasing,
            },
            request: RequestState::Due,
            follow_up: FollowUp::None,
            message: String::new(),
        })
    }

    /// Its replacement must have landed so long after the beginning.
    pub fn must_land_within(&mut self, timeout: Duration) {
        let deadline = self
            .started
            .saturating_add(timeout)
            .and_then(|lands| lands.checked_add(DEADLINE_AFTER_LANDING));
        self.surge.deadline = deadline.ok().map(|at| seconds(at).0);
    }

    /// A move that an earlier process recorded.
    #[must_use]
    pub fn from_status(status: &MoveStatus, now: Timestamp) -> Self {
        let is_confirmed = !matches!(status.state, MoveState::Evicting | MoveState::Releasing);
        let name = |text: &String| Name::from(text.as_str());
        Self {
            kind: status.kind,
            tier: name(&status.tier),
            pod: name(&status.pod),
            uid: Uid::new(&status.uid),
            owner: OwnerName::parse(&status.owner),
            from: Zone::new(&status.from),
            to: Zone::new(&status.to),
            alternatives: status.alternatives.iter().map(|zone| Zone::new(zone)).collect(),
            replacement: status.replacement.as_ref().map(|replacement| Replacement {
                name: name(replacement),
                uid: None,
                node: status.node.as_ref().map(name),
            }),
            decided: status.started_at.0,
            started: if is_confirmed { status.started_at.0 } else { now },
            finished: status.finished_at.as_ref().map(|at| at.0),
            is_probe: status.state == MoveState::Stuck && status.node.is_some(),
            snapshot: None,
            expected: None,
            surge: SurgeProgress::default(),
            rivals: Vec::new(),
            state: status.state,
            request: if is_confirmed { RequestState::Granted } else { RequestState::Unknown },
            follow_up: FollowUp::None,
            message: status.message.clone(),
        }
    }

    /// A surge of which only the mark on a pod is left: on the pod that is moved, or on its
    /// replacement.
    #[must_use]
    pub fn from_mark(mark: &MoveMark, pod: &Pod) -> Self {
        let is_moved = pod.uid == *mark.uid;
        let mut to = mark.to.iter().map(|zone| Zone::new(zone));
        let replacement = (!is_moved).then(|| Replacement {
            name: Name::clone(&pod.name),
            uid: Some(pod.uid.clone()),
            node: pod.node.clone(),
        });
        Self {
            kind: MoveKind::Surge,
            tier: Name::from(mark.tier.as_str()),
            pod: Name::from(mark.pod.as_str()),
            uid: Uid::new(&mark.uid),
            owner: OwnerName::parse(&mark.owner),
            from: Zone::new(&mark.from),
            to: to.next().unwrap_or_else(|| Zone::new(&mark.from)),
            alternatives: to.collect(),
            replacement,
            decided: seconds(mark.started_at).0,
            started: mark.started_at,
            finished: None,
            snapshot: None,
            expected: None,
            is_probe: false,
            surge: SurgeProgress::due(mark.deadline),
            rivals: Vec::new(),
            state: if is_moved { MoveState::Released } else { MoveState::Undoing },
            request: RequestState::Granted,
            follow_up: FollowUp::None,
            message: String::new(),
        }
    }

    /// What users see, and what is restored.
    #[must_use]
    pub fn to_status(&self) -> MoveStatus {
        let replacement = self.replacement.as_ref();
        MoveStatus {
            kind: self.kind,
            tier: self.tier.to_string(),
            pod: self.pod.to_string(),
            uid: self.uid.to_string(),
            owner: self.owner.as_ref().map_or_else(String::new, OwnerName::to_string),
            from: self.from.to_string(),
            to: self.to.to_string(),
            alternatives: self.alternatives.iter().map(Zone::to_string).collect(),
            replacement: replacement.map(|known| known.name.to_string()),
            node: replacement.and_then(|known| known.node.as_ref()).map(Name::to_string),
            state: self.state,
            started_at: seconds(self.decided),
            finished_at: self.finished.map(seconds),
            message: self.message.clone(),
        }
    }

    /// Takes it further: the only place where its state changes.
    pub fn apply(&mut self, transition: Transition, now: Timestamp) {
        match transition {
            Transition::Asked => self.request = RequestState::Waiting,
            Transition::Granted => {
                self.request = RequestState::Granted;
                // From now on it has time to land.
                self.started = now;
            }
            Transition::Unanswered => self.request = RequestState::Unknown,
            Transition::Evicted => self.state = MoveState::Evicted,
            Transition::Released => self.state = MoveState::Released,
            Transition::Undoing(ending, message) => {
                self.state = MoveState::Undoing;
                self.surge.verdict = Some(ending);
                self.message = message;
            }
            Transition::FollowUpAsked => self.follow_up = FollowUp::Waiting,
            Transition::FollowUpAnswered { verb, refusal, again } => {
                self.follow_up = FollowUp::Answered(verb, again);
                self.surge.answered(verb, refusal);
            }
            Transition::Ended(ending, message) => {
                self.state = ending.state();
                self.is_probe = ending == Ending::Stuck { in_target_zone: true };
                self.message = message;
                self.finished = Some(seconds(now).0);
            }
        }
    }

    /// What is known of the request that it waits for.
    #[must_use]
    pub const fn request(&self) -> RequestState {
        self.request
    }

    /// Whether its request is on its way, or not known to have been made.
    #[must_use]
    pub const fn is_unconfirmed(&self) -> bool {
        matches!(self.state, MoveState::Evicting | MoveState::Releasing)
    }

    /// Whether its replacement is started before its pod stops.
    #[must_use]
    pub const fn is_surge(&self) -> bool {
        matches!(self.kind, MoveKind::Surge)
    }

    /// Whether a surge is being undone.
    #[must_use]
    pub const fn is_undoing(&self) -> bool {
        matches!(self.state, MoveState::Undoing)
    }

    /// What the end of it says so far.
    pub(super) fn message(&self) -> &str {
        &self.message
    }

    /// Whether an answer is waited for before this is asked.
    pub(super) fn must_wait_to_ask(&self, verb: Verb, now: Timestamp) -> bool {
        match self.follow_up {
            FollowUp::None => false,
            FollowUp::Waiting => true,
            // After a refusal nothing is asked for a while, nor after an eviction, which has to
            // show; else only not the same.
            FollowUp::Answered(known, again) => {
                (known == verb || self.surge.refused > 0 || known.evicts()) && now < again
            }
        }
    }

    /// How many requests in a row were refused.
    #[must_use]
    pub const fn refusals(&self) -> u32 {
        self.surge.refused
    }

    /// When something may be asked again.
    pub(super) fn asks_again_at(&self) -> Option<Timestamp> {
        match self.follow_up {
            FollowUp::Answered(_, again) => Some(again),
            FollowUp::None | FollowUp::Waiting => None,
        }
    }

    /// Whether its pod has left, and the replacement is awaited.
    #[must_use]
    pub const fn is_evicted(&self) -> bool {
        matches!(self.state, MoveState::Evicted)
    }

    /// Whether its replacement is still awaited.
    #[must_use]
    pub const fn is_under_way(&self) -> bool {
        self.state.is_under_way()
    }

    /// Whether something of it is still waited for: its replacement, or what becomes of one
    /// that got stuck.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.is_under_way() || self.is_probe
    }

    /// How it ended, in words, if it missed or got stuck.
    #[must_use]
    pub fn miss(&self) -> Option<&str> {
        matches!(self.state, MoveState::Missed | MoveState::Stuck).then_some(&self.message)
    }

    /// How long it took, in whole seconds, if it landed.
    #[must_use]
    pub fn landed_after(&self) -> Option<jiff::SignedDuration> {
        let finished = self.finished.filter(|_| self.state == MoveState::Landed)?;
        Some(finished.duration_since(self.decided))
    }

    /// Its landing, while its replacement is still to be scheduled and it is known what is
    /// expected.
    #[must_use]
    pub fn open_landing(&self, index: &Index, namespace: &str) -> Option<OpenLanding<'_>> {
        let expected =
            self.expected.as_ref().filter(|_| self.is_under_way() && !self.is_placed())?;
        Some(OpenLanding {
            leaves: &self.pod,
            victim: self.pod(index, namespace).map(|(id, _)| id),
            from: &self.from,
            pod: &expected.pod,
            to: std::iter::once(&self.to).chain(&self.alternatives).collect(),
            nodes: &expected.nodes,
            margin: expected.margin,
            spare: expected.spare,
        })
    }

    /// The pod that is moved, while it is there.
    #[must_use]
    pub fn pod<'a>(&self, index: &'a Index, namespace: &str) -> Option<(PodId, &'a Pod)> {
        let id = index.cluster().pod_id(namespace, &self.pod)?;
        let pod = index.cluster().pod(id)?;
        (pod.uid == self.uid).then_some((id, pod))
    }

    /// The uid of the replacement, if that was seen.
    #[must_use]
    pub fn replacement_uid(&self) -> Option<&Uid> {
        self.replacement.as_ref()?.uid.as_ref()
    }

    /// Whether the replacement has a node, as far as is known.
    #[must_use]
    pub fn is_placed(&self) -> bool {
        self.replacement.as_ref().is_some_and(|known| known.node.is_some())
    }

    /// The uid of the pod that replaced its pod, as far as is known: no other
    /// move's pod was replaced by it.
    #[must_use]
    pub fn claims(&self, index: &Index, namespace: &str) -> Option<Uid> {
        let known = self.replacement.as_ref()?;
        if known.uid.is_some() {
            return known.uid.clone();
        }
        // After a restart there is the name only. A StatefulSet gives it to each
        // pod in turn, so there it says nothing.
        if known.name == self.pod {
            return None;
        }
        let pod = index.cluster().pod(index.cluster().pod_id(namespace, &known.name)?)?;
        Some(pod.uid.clone())
    }

    /// Whether a landing in `zone` is what was expected.
    #[must_use]
    pub fn is_expected_in(&self, zone: &Zone) -> bool {
        self.to == *zone || self.alternatives.contains(zone)
    }
}
