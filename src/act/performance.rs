//! Carries effects out, one after the other, without IO: says what to ask of
//! the API server, and what its answers amount to.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use crate::api::ZoneSpreadPolicyStatus;
use crate::moves::{Effect, EvictionRequest, Note, Outcome, Refusal};
use crate::observe::{HealthRules, Name, Pauses, PolicyKey, WatchedNode, WatchedPod};

use super::attempt::Attempt;

/// One request to the API server.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    /// Write a policy's status, and publish the events that tell of it.
    WriteStatus {
        /// The policy.
        policy: PolicyKey,
        /// Its uid: a policy of the same name made since then is another one.
        uid: Name,
        /// What to write.
        status: Arc<ZoneSpreadPolicyStatus>,
        /// The events.
        notes: Vec<Note>,
    },
    /// List the pods of a tier.
    Pods {
        /// Their namespace.
        namespace: Name,
        /// What selects them.
        selector: String,
    },
    /// Read one pod.
    Pod {
        /// Its namespace.
        namespace: Name,
        /// Its name.
        name: Name,
    },
    /// List all nodes.
    Nodes,
    /// Read one node.
    Node {
        /// Its name.
        name: Name,
    },
    /// Evict a pod, guarded by its uid.
    Evict {
        /// The pod.
        request: EvictionRequest,
        /// Whether to change nothing.
        dry_run: bool,
    },
}

/// What the API server said.
#[derive(Clone, Debug)]
pub enum Answer {
    /// The status is written.
    Written,
    /// The pods that were asked for; one that is not there is left out.
    Pods(Vec<WatchedPod>),
    /// The nodes that were asked for; one that is not there is left out.
    Nodes(Vec<WatchedNode>),
    /// What the eviction API said.
    Evicted(Result<(), Refusal>),
    /// No answer, or none that helps.
    Failed(String),
}

/// How an effect goes on.
#[derive(Clone, Debug)]
pub enum Next {
    /// Ask this, and tell [`Performance::answered`] of the answer.
    Ask(Box<Asking>),
    /// It is over.
    Done(Outcome),
}

/// A request, and what it is part of.
#[derive(Clone, Debug)]
pub struct Asking {
    /// The request.
    pub request: Request,
    part_of: Doing,
}

/// Carries out one effect after the other.
#[derive(Clone, Debug)]
pub struct Performance {
    rules: HealthRules,
    /// Policies whose last status could not be written: they evict nothing.
    unwritten: BTreeSet<PolicyKey>,
    /// When the API server last refused an eviction, by policy and tier: what
    /// was decided before that is not asked for.
    refused: BTreeMap<(PolicyKey, Name), Timestamp>,
    /// A decision is older than a pause that came after it.
    pauses: Arc<Pauses>,
}

#[derive(Clone, Debug)]
enum Doing {
    Writing(PolicyKey),
    Evicting(Box<Attempt>),
}

impl Performance {
    /// One that judges nodes by these rules.
    #[must_use]
    pub fn new(rules: HealthRules) -> Self {
        Self { rules, unwritten: BTreeSet::new(), refused: BTreeMap::new(), pauses: Arc::default() }
    }

    /// What is paused from now on; heeded by evictions that are on their way.
    pub fn heed(&mut self, pauses: &Arc<Pauses>) {
        self.pauses = Arc::clone(pauses);
    }

    /// Begins with an effect; `may_act` says whether this process still leads.
    pub fn begin(&mut self, effect: Effect, may_act: bool, now: Timestamp) -> Next {
        match effect {
            Effect::WriteStatus { policy, uid, status, notes } => {
                if !may_act {
                    return self.not_written(policy);
                }
                let part_of = Doing::Writing(policy.clone());
                let request = Request::WriteStatus { policy, uid, status, notes };
                Next::Ask(Box::new(Asking { request, part_of }))
            }
            Effect::Evict(request) if self.unwritten.contains(&request.policy) => {
                let why = "the status could not be written before it".to_owned();
                refused(&request, Refusal::Outdated(why))
            }
            Effect::Evict(request) if self.is_refused(&request) => {
                let why = "decided before the API server refused another".to_owned();
                refused(&request, Refusal::Outdated(why))
            }
            Effect::Evict(request) => match Attempt::begin(request.clone(), now) {
                Ok(attempt) => self.ask(attempt, may_act),
                Err(refusal) => refused(&request, refusal),
            },
        }
    }

    /// Goes on with the answer to what was asked.
    pub fn answered(
        &mut self,
        asked: Asking,
        answer: Answer,
        may_act: bool,
        now: Timestamp,
    ) -> Next {
        match asked.part_of {
            Doing::Writing(policy) if matches!(answer, Answer::Written) => {
                self.unwritten.remove(&policy);
                Next::Done(Outcome::Written { policy })
            }
            Doing::Writing(policy) => self.not_written(policy),
            Doing::Evicting(mut attempt) => match attempt.answered(answer, &self.rules, now) {
                Ok(false) => self.ask(*attempt, may_act),
                Ok(true) => {
                    let EvictionRequest { policy, uid, .. } = attempt.request().clone();
                    Next::Done(Outcome::Evicted { policy, uid })
                }
                Err(refusal) => {
                    self.note(attempt.request(), &refusal, now);
                    refused(attempt.request(), refusal)
                }
            },
        }
    }

    fn is_refused(&self, request: &EvictionRequest) -> bool {
        let tier = (request.policy.clone(), Name::clone(&request.tier));
        self.refused.get(&tier).is_some_and(|at| request.decided <= *at)
    }

    fn note(&mut self, request: &EvictionRequest, refusal: &Refusal, now: Timestamp) {
        // An answer is news for a minute; what was decided is carried out within seconds.
        let old = now - SignedDuration::from_mins(1);
        self.refused.retain(|_, at| *at > old);
        if !matches!(refusal, Refusal::Outdated(_) | Refusal::Gone) {
            let tier = (request.policy.clone(), Name::clone(&request.tier));
            self.refused.insert(tier, now);
        }
    }

    fn ask(&self, attempt: Attempt, may_act: bool) -> Next {
        let refuse = |why: &str| refused(attempt.request(), Refusal::Outdated(why.to_owned()));
        if !may_act {
            return refuse("this replica no longer leads");
        }
        if self.pauses.of(&attempt.request().policy).is_some() {
            return refuse("it has been paused since");
        }
        let request = attempt.asks();
        Next::Ask(Box::new(Asking { request, part_of: Doing::Evicting(Box::new(attempt)) }))
    }

    fn not_written(&mut self, policy: PolicyKey) -> Next {
        self.unwritten.insert(policy.clone());
        Next::Done(Outcome::NotWritten { policy })
    }
}

fn refused(request: &EvictionRequest, refusal: Refusal) -> Next {
    let (policy, uid) = (request.policy.clone(), request.uid.clone());
    Next::Done(Outcome::Refused { policy, uid, refusal })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::PAUSED;
    use crate::moves::Ground;
    use crate::observe::fixtures::{node, pod};
    use crate::observe::{Change, Index, Uid, Zone};
    use serde_json::json;

    fn now() -> Timestamp {
        Timestamp::from_second(1_800_000_000).unwrap()
    }

    fn eviction() -> Effect {
        let name = Name::from;
        Effect::Evict(EvictionRequest {
            policy: PolicyKey { namespace: name("default"), name: name("web") },
            tier: name("web"),
            pod: name("web-1"),
            uid: name(&Uid::new("uid-web-1").to_string()),
            node: name("a1"),
            target: name("c1"),
            zone: name("c"),
            ground: Ground {
                tier_selector: None,
                siblings: Arc::default(),
                awaited: 0,
                available: 1,
                coming: Box::default(),
                min_ready_seconds: 0,
                zones: vec![Zone::new("c")],
                all_nodes: false,
            },
            decided: now(),
            closes: None,
        })
    }

    #[test]
    fn a_pause_stops_an_eviction_that_is_on_its_way() {
        let mut index = Index::default();
        let namespace = json!({"metadata": {"name": "default", "annotations": {PAUSED: "true"}}});
        index.apply(Change::Namespace(serde_json::from_value(namespace).unwrap()));
        let answers = [
            Answer::Pods(vec![pod("web-1").on("a1").watched()]),
            Answer::Nodes(vec![node("c1").zone("c").watched()]),
            Answer::Evicted(Ok(())),
        ];
        for before in 0..=answers.len() {
            let mut performance = Performance::new(HealthRules::default());
            let mut next = performance.begin(eviction(), true, now());
            for (at, answer) in answers.iter().enumerate() {
                let Next::Ask(asked) = next else { panic!("{at}: {next:?}") };
                if at == before {
                    performance.heed(index.pauses());
                }
                next = performance.answered(*asked, answer.clone(), true, now());
                if at == before {
                    break;
                }
            }
            match next {
                Next::Ask(asked) => {
                    let real = matches!(asked.request, Request::Evict { dry_run: false, .. });
                    assert!(before == answers.len() && real, "{before}: {asked:?}");
                }
                Next::Done(Outcome::Refused { refusal: Refusal::Outdated(_), .. }) => {}
                Next::Done(outcome) => panic!("{before}: {outcome:?}"),
            }
        }
    }
}
