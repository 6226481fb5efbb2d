//! What was decided and is not begun yet: a work queue keyed by policy, as client-go's is
//! keyed by object. A newer status takes the place of an older one that nobody has begun
//! to write, so the queue holds at most one status per policy, however slow the API server
//! is, and drops nothing.
//!
//! An eviction waits until a status that holds its move is stored (law 7), and until the
//! eviction before it in its tier is over: each is judged by what that one has left.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::moves::{ActionError, ActionRequest, Effect, StatusWrite, Verb};
use crate::observe::{Name, PolicyKey};

/// What was decided and is not begun yet, and what is under way.
#[derive(Clone, Debug, Default)]
pub(super) struct Pending {
    /// The newest status of each policy, if nobody has begun to write it.
    writes: BTreeMap<PolicyKey, (Turn, StatusWrite)>,
    /// Whose status is next.
    turns: BTreeMap<Turn, PolicyKey>,
    last_turn: u64,
    /// Policies whose status is being written.
    writing: BTreeSet<PolicyKey>,
    /// Evictions whose move is in no stored status yet, oldest first.
    unstored: VecDeque<ActionRequest>,
    /// Evictions that may begin, oldest first.
    ready: VecDeque<ActionRequest>,
    /// Deletion costs to be written, oldest first. They wait for all that evicts.
    costs: VecDeque<ActionRequest>,
    /// How many of these are under way.
    setting_costs: usize,
    /// Tiers with an eviction under way.
    evicting: BTreeMap<PolicyKey, BTreeSet<Name>>,
}

/// The order in which statuses are written: first those that an eviction waits for, then
/// as they came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Turn {
    urgency: Urgency,
    number: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Urgency {
    EvictionsWait,
    NobodyWaits,
}

impl Pending {
    /// Something more to do.
    pub fn push(&mut self, effect: Effect) {
        match effect {
            Effect::WriteStatus(write) => self.push_write(write),
            Effect::Act(request) if request.verb == Verb::SetCost => self.costs.push_back(request),
            // What follows in a move: the pod itself says that it was begun.
            Effect::Act(request) if !request.verb.begins() => self.ready.push_back(request),
            Effect::Act(request) => {
                self.hurry(&request.policy);
                self.unstored.push_back(request);
            }
        }
    }

    fn push_write(&mut self, mut write: StatusWrite) {
        if let Some((_, waiting)) = self.writes.get_mut(&write.policy) {
            if waiting.uid == write.uid {
                // The events of both, in their order.
                drop(write.events.splice(..0, std::mem::take(&mut waiting.events)));
            }
            *waiting = write;
            return;
        }
        self.last_turn += 1;
        let turn = Turn { urgency: Urgency::NobodyWaits, number: self.last_turn };
        self.turns.insert(turn, write.policy.clone());
        self.writes.insert(write.policy.clone(), (turn, write));
    }

    /// An eviction waits for the policy's status.
    fn hurry(&mut self, policy: &PolicyKey) {
        let Some((turn, _)) = self.writes.get_mut(policy) else { return };
        if let Some(policy) = self.turns.remove(turn) {
            turn.urgency = Urgency::EvictionsWait;
            self.turns.insert(*turn, policy);
        }
    }

    /// The status to be written next: of a policy, one after the other.
    pub fn next_write(&mut self) -> Option<StatusWrite> {
        let is_free = |(_, policy): &(&Turn, &PolicyKey)| !self.writing.contains(*policy);
        let (turn, _) = self.turns.iter().find(is_free)?;
        let turn = *turn;
        let policy = self.turns.remove(&turn)?;
        let (_, write) = self.writes.remove(&policy)?;
        self.writing.insert(policy);
        Some(write)
    }

    /// A status is stored: the evictions whose moves it holds may begin. Those that no
    /// stored status will hold are given back.
    pub fn stored(&mut self, write: &StatusWrite) -> Vec<ActionRequest> {
        self.writing.remove(&write.policy);
        let moves = write.status.moves.iter().filter(|moved| moved.state.is_under_way());
        let held: BTreeSet<&str> = moves.map(|moved| moved.uid.as_str()).collect();
        let is_held = |request: &ActionRequest| {
            request.policy == write.policy && held.contains(&*request.uid)
        };
        let (ready, unstored): (VecDeque<_>, _) = self.unstored.drain(..).partition(is_held);
        self.unstored = unstored;
        self.ready.extend(ready);
        self.without_a_write(&write.policy)
    }

    /// A status could not be written. The evictions that waited for it are given back,
    /// unless a newer status is to be written, which holds their moves as well.
    pub fn not_stored(&mut self, failed: StatusWrite) -> Vec<ActionRequest> {
        self.writing.remove(&failed.policy);
        if let Some((_, newer)) = self.writes.get_mut(&failed.policy)
            && newer.uid == failed.uid
        {
            drop(newer.events.splice(..0, failed.events));
        }
        self.without_a_write(&failed.policy)
    }

    /// Evictions of the policy that wait for a status that nobody will write.
    fn without_a_write(&mut self, policy: &PolicyKey) -> Vec<ActionRequest> {
        if self.writes.contains_key(policy) {
            return Vec::new();
        }
        let of_policy = |request: &ActionRequest| request.policy == *policy;
        let (given_back, unstored): (VecDeque<_>, _) = self.unstored.drain(..).partition(of_policy);
        self.unstored = unstored;
        given_back.into()
    }

    /// The eviction to begin next, given how many may be under way at once. No policy
    /// takes more than half of the places that the others have left: where one hangs, all
    /// of its evictions do.
    pub fn next_eviction(&mut self, places: usize) -> Option<ActionRequest> {
        let all = self.evicting();
        if all >= places {
            return None;
        }
        let may_begin = |request: &ActionRequest| {
            let own = self.evicting.get(&request.policy);
            let tiers = own.map_or(0, BTreeSet::len);
            let is_free = own.is_none_or(|tiers| !tiers.contains(&request.tier));
            is_free && tiers < (places - (all - tiers)).div_ceil(2)
        };
        let at = self.ready.iter().position(may_begin)?;
        let request = self.ready.remove(at)?;
        let tiers = self.evicting.entry(request.policy.clone()).or_default();
        tiers.insert(Name::clone(&request.tier));
        Some(request)
    }

    /// The deletion cost to be written next, given how many may be under way at once: none
    /// while an eviction waits.
    pub fn next_cost(&mut self, places: usize) -> Option<ActionRequest> {
        let evictions_wait = !(self.unstored.is_empty() && self.ready.is_empty());
        if evictions_wait || self.setting_costs >= places {
            return None;
        }
        let request = self.costs.pop_front()?;
        self.setting_costs += 1;
        Some(request)
    }

    /// What was begun is over: an eviction, or the writing of a cost.
    pub fn ended(&mut self, request: &ActionRequest) {
        if request.verb == Verb::SetCost {
            self.setting_costs = self.setting_costs.saturating_sub(1);
            return;
        }
        if let Some(tiers) = self.evicting.get_mut(&request.policy) {
            tiers.remove(&request.tier);
            if tiers.is_empty() {
                self.evicting.remove(&request.policy);
            }
        }
    }

    /// Gives up the evictions that must not be begun any more, and says why not.
    pub fn give_up(
        &mut self,
        holds: impl Fn(&ActionRequest) -> Result<(), ActionError>,
    ) -> Vec<(ActionRequest, ActionError)> {
        let mut given_up = Vec::new();
        for waiting in [&mut self.unstored, &mut self.ready, &mut self.costs] {
            for request in std::mem::take(waiting) {
                match holds(&request) {
                    Ok(()) => waiting.push_back(request),
                    Err(refusal) => given_up.push((request, refusal)),
                }
            }
        }
        given_up
    }

    /// Forgets what is not begun.
    pub fn clear(&mut self) {
        self.writes.clear();
        self.turns.clear();
        self.unstored.clear();
        self.ready.clear();
        self.costs.clear();
    }

    /// How many statuses are being written.
    pub fn writing(&self) -> usize {
        self.writing.len()
    }

    /// How many evictions are under way.
    pub fn evicting(&self) -> usize {
        self.evicting.values().map(BTreeSet::len).sum()
    }

    /// How many statuses, evictions and costs nobody has begun.
    pub fn waiting(&self) -> usize {
        self.writes.len() + self.unstored.len() + self.ready.len() + self.costs.len()
    }
}
