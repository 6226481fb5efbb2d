//! The API server: it answers requests, and keeps policies and the lease.

use crate::objects::{self, NAMESPACE};
use crate::process::{Call, Reply, fast_by};
use crate::script::Fault;
use crate::world::World;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::jiff::SignedDuration;
use zonespread::act::{Answer, LeaseAnswer, LeaseRequest, Request};
use zonespread::api::ZoneSpreadPolicyStatus;
use zonespread::moves::{ActionError, ActionRequest, StatusWrite, Verb};
use zonespread::observe::{Change, Kind, Name, PolicyKey};
use zonespread::operator::ProbeAnswer;

impl Call {
    /// What whoever asked makes of silence.
    pub fn no_answer(&self) -> Reply {
        let why = "no answer".to_owned();
        match self {
            Self::Act(request, _) => Reply::Act(match **request {
                Request::Act { .. }
                | Request::Fence { .. }
                | Request::RemoveProbe { .. }
                | Request::Steering { .. } => Answer::Acted(Err(ActionError::Unknown(why))),
                _ => Answer::Failed(why),
            }),
            Self::Lease(_) => Reply::Lease(None),
            Self::ReadPolicies => Reply::Policies(None),
            Self::WriteZone(_) => Reply::Zone(false),
            Self::Probe(_) => Reply::Probe(ProbeAnswer::Failed(why)),
        }
    }

    /// The answer of a server in trouble; nothing was carried out.
    pub fn refused(&self, fault: Fault) -> Reply {
        match self {
            Self::Act(request, _)
                if matches!(
                    **request,
                    Request::Act { .. }
                        | Request::Fence { .. }
                        | Request::RemoveProbe { .. }
                        | Request::Steering { .. }
                ) =>
            {
                let refusal = match fault {
                    Fault::Throttle => {
                        ActionError::Throttled { retry_after: SignedDuration::from_secs(3) }
                    }
                    Fault::Forbid => ActionError::Forbidden("a webhook says no".to_owned()),
                    _ => ActionError::Unknown("internal error".to_owned()),
                };
                Reply::Act(Answer::Acted(Err(refusal)))
            }
            _ => self.no_answer(),
        }
    }
}

impl World {
    /// Carries a request out.
    pub fn serve(&mut self, operator: usize, incarnation: u32, call: Call) -> Reply {
        let reply = match &call {
            Call::Lease(request) => Reply::Lease(Some(self.lease(request))),
            Call::ReadPolicies => {
                self.laws.policies_read(self.now);
                Reply::Policies(Some((self.statuses(), self.zone_statuses())))
            }
            Call::WriteZone(write) => {
                self.write_zone(operator, incarnation, write);
                Reply::Zone(true)
            }
            Call::Probe(ask) => Reply::Probe(self.keep_probe((operator, incarnation), ask)),
            Call::Act(request, eviction) => {
                let moved = eviction.as_deref();
                Reply::Act(self.act(operator, incarnation, request, moved))
            }
        };
        if let (Call::Act(_, Some(request)), Reply::Act(Answer::Acted(Err(refusal)))) =
            (&call, &reply)
        {
            self.tell(|| {
                let what = request.verb.what(false);
                format!("operator {operator} is refused: {what} {}: {refusal:?}", request.pod)
            });
        }
        self.laws.answered(operator, incarnation, &call, &reply, self.now);
        reply
    }

    fn statuses(&self) -> Vec<(PolicyKey, ZoneSpreadPolicyStatus)> {
        let objects = self.policies.iter().filter_map(|policy| policy.object.as_ref());
        objects
            .filter_map(|policy| {
                let name = Name::from(policy.metadata.name.as_deref()?);
                let key = PolicyKey { namespace: Name::from(NAMESPACE), name };
                Some((key, policy.status.clone()?))
            })
            .collect()
    }

    fn lease(&mut self, request: &LeaseRequest) -> LeaseAnswer {
        let version = |lease: &Lease| lease.metadata.resource_version.clone().unwrap_or_default();
        let written = match (request, &self.lease) {
            (LeaseRequest::Read, Some(lease)) => {
                return LeaseAnswer::Lease(Box::new(lease.clone()));
            }
            (LeaseRequest::Read | LeaseRequest::Renew(_) | LeaseRequest::Take(_), None) => {
                return LeaseAnswer::Missing;
            }
            (LeaseRequest::Create(lease), None) => lease,
            (LeaseRequest::Renew(lease) | LeaseRequest::Take(lease), Some(known))
                if version(lease) == version(known) =>
            {
                lease
            }
            _ => return LeaseAnswer::Conflict,
        };
        let mut written = (**written).clone();
        self.versions += 1;
        written.metadata.resource_version = Some(self.versions.to_string());
        self.lease = Some(written.clone());
        LeaseAnswer::Lease(Box::new(written))
    }

    fn act(
        &mut self,
        operator: usize,
        incarnation: u32,
        request: &Request,
        eviction: Option<&ActionRequest>,
    ) -> Answer {
        // The pod that is looked for.
        let moved = || eviction.map(|request| request.uid.to_string()).expect("an eviction");
        match request {
            Request::WriteStatus(StatusWrite { policy, uid, status, .. }) => {
                self.check_hand(operator, incarnation, "a status");
                let number = policy_number(&policy.name);
                let object = &mut self.policies[number].object;
                let Some(object) =
                    object.as_mut().filter(|known| known.metadata.uid.as_deref() == Some(&**uid))
                else {
                    return Answer::Failed("not found".to_owned());
                };
                object.status = Some(ZoneSpreadPolicyStatus::clone(status));
                let change = Change::Policy(object.clone());
                self.publish(Kind::Policy, &change);
                self.note_steering(number, Some(status));
                // What one that is dead had on its way comes too late for its successor.
                if self.lives(operator, incarnation) || !self.laws.is_succeeded() {
                    let clear_since = self.clear_since();
                    self.laws.written(status, clear_since, self.now);
                }
                self.tell(|| format!("  {}: {}", policy.name, told(status)));
                Answer::Written
            }
            Request::Pods { selector, .. } => {
                let Some(tier) = (0..self.tiers.len())
                    .find(|tier| selector.ends_with(&format!(",app={}", objects::app(*tier))))
                else {
                    return Answer::Failed(format!("what is {selector}?"));
                };
                self.see_tier((operator, moved()), tier);
                let own = self.pods.values().filter(|pod| pod.tier == tier);
                Answer::Pods(own.map(|pod| self.watched(pod)).collect())
            }
            Request::Nodes => {
                self.laws.nodes_read(&(operator, moved()), &self.nodes);
                Answer::nodes(self.nodes.iter().map(objects::Node::watched))
            }
            Request::RemoveProbe { request } => {
                let probe = request.probe.as_ref().expect("a probe that has room");
                Answer::Acted(self.give_room((operator, incarnation), probe))
            }
            Request::Fence { request } => Answer::Acted(self.try_fence(operator, request)),
            Request::Steering { pod, .. } => Answer::Acted(self.check_steering(pod)),
            Request::Pod { name, .. } => {
                let pod = self.pods.get(&**name);
                Answer::Pods(pod.map(|pod| self.watched(pod)).into_iter().collect())
            }
            Request::Node { name } if name.is_empty() => {
                Answer::Failed("a name is required".to_owned())
            }
            Request::Node { name } => {
                let node = self.nodes.iter().find(|node| node.name == **name);
                Answer::nodes(node.map(objects::Node::watched))
            }
            Request::Act { request, dry_run } => {
                self.check_hand(operator, incarnation, "a pod");
                Answer::Acted(match &request.patch {
                    Some(patch) if !request.verb.evicts() => {
                        self.patch(operator, incarnation, request, patch, *dry_run)
                    }
                    _ => self.evict(operator, incarnation, request, *dry_run),
                })
            }
        }
    }

    /// Law 8: whoever changes something holds the lease, or nobody else does.
    pub fn check_hand(&mut self, operator: usize, incarnation: u32, what: &str) {
        let holder =
            self.lease.as_ref().and_then(|lease| lease.spec.as_ref()?.holder_identity.clone());
        let identity = format!("operator{operator}-{incarnation}");
        self.laws.hand(&identity, holder.as_deref(), what, self.now);
    }

    fn see_tier(&mut self, seen_for: (usize, String), tier: usize) {
        let available = self.available(tier);
        let marked = self.pods.values().filter(|pod| pod.tier == tier && pod.mark.is_some());
        let marked = marked.map(|pod| pod.uid.clone()).collect();
        let desired = self.desired_of_late(tier);
        self.laws.pods_read(seen_for, tier, available, desired, marked);
    }

    /// The fewest and the most pods that were wanted while a watch could be behind.
    fn desired_of_late(&self, tier: usize) -> (usize, usize) {
        let since = self.now.saturating_sub(90_000);
        let history = &self.tiers[tier].history;
        let first = history.iter().rposition(|(at, _)| *at <= since).unwrap_or(0);
        let of_late = || history[first..].iter().map(|(_, replicas)| *replicas);
        (of_late().min().unwrap_or(0), of_late().max().unwrap_or(0))
    }

    fn evict(
        &mut self,
        operator: usize,
        incarnation: u32,
        request: &ActionRequest,
        dry_run: bool,
    ) -> Result<(), ActionError> {
        let Some(pod) = self.pods.get(&*request.pod).cloned() else {
            return Err(ActionError::Gone);
        };
        if *pod.uid != *request.uid {
            return Err(ActionError::Gone);
        }
        if pod.terminating {
            if !dry_run {
                self.laws.granted_in_vain(pod.tier, self.now);
            }
            return Ok(());
        }
        let refused =
            pod.is_available() && self.budget_allows(pod.tier).is_some_and(|left| left < 1);
        if refused {
            return Err(ActionError::Budget("no disruption allowed".to_owned()));
        }
        if dry_run {
            return Ok(());
        }
        if request.verb == Verb::Retire {
            self.tell(|| format!("operator {operator} evicts the released {}", pod.name));
            let tier = &self.tiers[pod.tier];
            let is_wanted = self.policies[self.script.tiers[pod.tier].policy].object.is_some()
                && tier.desired > 0;
            self.laws.judge_dry_run((operator, incarnation), request, self.now);
            self.laws.retired(operator, &pod, is_wanted, self.now);
            self.delete_pods(|_, other| other.uid == pod.uid);
            self.step_made(operator, &pod, request);
            return Ok(());
        }
        self.judge_beginning(operator, incarnation, request, &pod);
        self.delete_pods(|_, other| other.uid == pod.uid);
        Ok(())
    }

    /// Everything that must hold when a pod is evicted, or released.
    pub fn judge_beginning(
        &mut self,
        operator: usize,
        incarnation: u32,
        request: &ActionRequest,
        pod: &objects::Pod,
    ) {
        let from = self.zone_of(pod);
        let spread = self.spread(pod.tier);
        let floor = (self.available(pod.tier), self.desired_of_late(pod.tier));
        self.tell(|| {
            let what = request.verb.what(false);
            format!(
                "operator {operator}: {what} {} from {from:?} for {} {spread:?}",
                pod.name, request.zone
            )
        });
        let news = self.news_of(operator);
        let ahead = fast_by(self.script.operators[operator]);
        self.laws.judge_holds_by_hand(news.0, ahead, self.now);
        let policy = self.script.tiers[pod.tier].policy;
        self.laws.judge_consent(request, policy, news, self.now);
        let strategy = self.script.policies[policy].strategy;
        self.laws.judge_way(operator, request.verb, &pod.uid, strategy, self.now);
        self.check_calm(operator, pod.tier);
        self.judge_doubt(operator, objects::zone_number(&request.zone));
        if !self.policies[policy].holds_move(&pod.uid, news.0) {
            let how = format!("{} is evicted, and policy{policy} holds no such move", pod.name);
            self.laws.breaks(7, self.now, how);
        }
        self.laws.evicted(operator, incarnation, request, pod, from, &spread, floor, self.now);
    }
}

fn policy_number(name: &str) -> usize {
    name.strip_prefix("policy").and_then(|number| number.parse().ok()).expect("one of ours")
}

fn told(status: &ZoneSpreadPolicyStatus) -> String {
    let zones: Vec<String> =
        status.zones.iter().map(|zone| format!("{}:{}", zone.name, zone.state.as_str())).collect();
    let tiers: Vec<String> = status
        .tiers
        .iter()
        .map(|tier| {
            let counts: Vec<String> = tier.zones.iter().map(|zone| zone.pods.to_string()).collect();
            let why = tier.blocked.as_ref().map_or_else(String::new, |blocked| {
                format!(" {} ({})", blocked.reason, blocked.message)
            });
            format!("{} {}{why} misses={}", tier.name, counts.join("/"), tier.misses)
        })
        .collect();
    let moves: Vec<String> =
        status.moves.iter().map(|moved| format!("{}:{:?}", moved.pod, moved.state)).collect();
    format!(
        "{:?} [{}] [{}] moves [{}]",
        status.phase,
        zones.join(" "),
        tiers.join("; "),
        moves.join(" ")
    )
}
