//! A small tier for the planner's tests.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    Approval, ClusterFacts, GateInput, InFlight, MissHistory, PlanInput, TierPlan, TierView,
    ZoneInput, gate, plan_tier, tiers_of,
};
use crate::api::Reason;
use crate::observe::fixtures::{PodFixture, node, pod};
use crate::observe::{
    Change, Index, Name, PolicyEntry, PolicyKey, RecentTaints, ZoneEvent, ZoneTracker,
    zone_conditions,
};
use crate::predict::{NodeGroups, Scheduler, SchedulerCache};

/// The tiers of a policy, whose zones are what the cluster's record says.
pub fn tiers_by_record(
    index: &Index,
    scheduler: &Scheduler<'_>,
    policy: &PolicyEntry,
    zones: &ZoneTracker,
) -> Vec<TierView> {
    let (groups, known) = (NodeGroups::default(), BTreeMap::new());
    let input = ZoneInput {
        tracker: zones,
        groups: &groups,
        regrouped: &BTreeSet::new(),
        drained: &BTreeSet::new(),
        landings: &[],
    };
    tiers_of(index, scheduler, policy, input, &known, Timestamp::UNIX_EPOCH)
}

/// Zones a, b and c with a node each (`a1`, `b1`, `c1`), and a policy for `app: web`.
pub struct Story {
    pub index: Index,
    pub zones: ZoneTracker,
    cache: SchedulerCache,
}

impl Story {
    pub fn new(pods: impl IntoIterator<Item = PodFixture>) -> Self {
        let mut index = Index::default();
        for zone in ["a", "b", "c"] {
            let node = node(&format!("{zone}1")).zone(zone);
            index.apply(Change::Node(node.watched()));
        }
        let set = json!({
            "metadata": {"name": "web-rs", "namespace": "default", "uid": "uid-web-rs"},
            "spec": {"replicas": 6, "selector": {"matchLabels": {"app": "web"}},
                "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": []}}},
        });
        index.apply(Change::ReplicaSet(serde_json::from_value(set).unwrap()));
        for pod in pods {
            index.apply(Change::Pod(pod.watched()));
        }
        let mut zones = ZoneTracker::default();
        let nodes = index.cluster().nodes().map(|(node, _)| node);
        let conditions = zone_conditions(nodes, &RecentTaints::default());
        zones.on(ZoneEvent::Nodes(&conditions), Timestamp::UNIX_EPOCH);
        Self { index, zones, cache: SchedulerCache::default() }
            .policy(json!({"selector": {"matchLabels": {"app": "web"}}}))
    }

    pub fn policy(mut self, spec: Value) -> Self {
        let policy = json!({
            "apiVersion": "zonespread.io/v1alpha1", "kind": "ZoneSpreadPolicy",
            "metadata": {"name": "web", "namespace": "default", "uid": "u", "generation": 1},
            "spec": spec,
        });
        self.index.apply(Change::Policy(serde_json::from_value(policy).unwrap()));
        self
    }

    pub fn budget(mut self, name: &str, selects: Value, allowed: i32) -> Self {
        let budget = json!({
            "metadata": {"name": name, "namespace": "default", "generation": 1},
            "spec": {"selector": {"matchLabels": selects}},
            "status": {"disruptionsAllowed": allowed, "observedGeneration": 1},
        });
        self.index.apply(Change::Budget(serde_json::from_value(budget).unwrap()));
        self
    }

    pub fn tier(&self) -> TierView {
        let key = PolicyKey { namespace: Name::from("default"), name: Name::from("web") };
        let policy = self.index.policy(&key).unwrap();
        self.tiers_of(policy).into_iter().next_back().unwrap()
    }

    pub fn tiers(&self) -> Vec<TierView> {
        self.index.policies().flat_map(|policy| self.tiers_of(policy)).collect()
    }

    fn tiers_of(&self, policy: &PolicyEntry) -> Vec<TierView> {
        tiers_by_record(&self.index, &self.scheduler(), policy, &self.zones)
    }

    fn scheduler(&self) -> Scheduler<'_> {
        Scheduler::new(self.index.cluster(), &self.cache)
    }

    pub fn plan(&self) -> TierPlan {
        self.plan_with(&PlanInput::default())
    }

    pub fn plan_with(&self, input: &PlanInput) -> TierPlan {
        plan_tier(&self.index, &self.scheduler(), &self.tier(), input)
    }

    pub fn first_moved(&self) -> String {
        let plan = self.plan();
        self.index.cluster().pod(plan.moves[0].pod).unwrap().name.to_string()
    }

    pub fn reason(&self) -> Option<Reason> {
        let facts = ClusterFacts {
            now: Timestamp::UNIX_EPOCH,
            unstable: None,
            stale: None,
            throttled_until: None,
            openings: std::sync::Arc::default(),
        };
        let input = GateInput {
            facts: &facts,
            approval: &Approval::default(),
            history: &MissHistory::default(),
            in_flight: &InFlight::default(),
            imbalance: None,
        };
        gate(&self.index, &self.tier(), &self.plan(), &input).map(|blocked| blocked.reason)
    }
}

/// A pod of the tier on a node, hard to place where it adds to the skew.
pub fn web(number: usize, node: &str) -> PodFixture {
    pod(&format!("web-{number}"))
        .on(node)
        .owner("ReplicaSet", "web-rs")
        .spread_hard("topology.kubernetes.io/zone", 1)
}

/// Pods `web-1` to `web-6`, those in zone a of the part `db`.
pub fn three_three_zero() -> Vec<PodFixture> {
    let nodes = ["a1", "a1", "a1", "b1", "b1", "b1"];
    let pods = nodes.iter().enumerate().map(|(at, node)| {
        web(at + 1, node).label("part", if *node == "a1" { "db" } else { "front" })
    });
    pods.collect()
}
