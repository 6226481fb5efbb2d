//! Pods as a watch shows them: a recount of what a recovery does to them, which knows nothing
//! of the operator.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::TryStreamExt;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::Api;
use kube::runtime::watcher::{self, Event, watcher};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::harness::{Cluster, ZONE};

/// What is counted after each event.
#[derive(Clone, Copy, Debug, Default)]
pub struct Count {
    /// Ready pods of all tiers.
    pub ready: usize,
    /// Tiers that lack a Ready pod or have a skew above one.
    pub unsettled: usize,
    /// The fewest moves that would make every skew one at most.
    pub moves: usize,
    /// The fewest Ready pods of all tiers since [`Pods::begin`].
    pub fewest: usize,
    /// The fewest Ready pods that any tier had since then.
    pub fewest_of_a_tier: usize,
}

/// The pods of a namespace, by the label `app`; counted for as long as this value lives.
pub struct Pods {
    state: Arc<Mutex<State>>,
    counts: watch::Receiver<Count>,
    task: JoinHandle<()>,
}

struct State {
    zone_of: BTreeMap<String, String>,
    zones: usize,
    replicas: usize,
    pods: BTreeMap<String, Seen>,
    fewest: Option<(usize, usize)>,
    counts: watch::Sender<Count>,
}

struct Seen {
    tier: String,
    /// Where it counts for the skew; none while it has no node or terminates.
    zone: Option<String>,
    ready: bool,
}

impl Pods {
    /// Watches tiers of so many replicas each; the nodes stay as they are.
    pub async fn watch(cluster: &Cluster, namespace: &str, replicas: usize) -> Self {
        let nodes = cluster.nodes(ZONE).await;
        let zone_of: BTreeMap<String, String> =
            nodes.iter().map(|node| (node.name_any(), node.labels()[ZONE].clone())).collect();
        let zones = zone_of.values().collect::<std::collections::BTreeSet<_>>().len();
        let (counts, counted) = watch::channel(Count::default());
        let pods = BTreeMap::new();
        let state = State { zone_of, zones, replicas, pods, fewest: None, counts };
        let state = Arc::new(Mutex::new(state));
        let api: Api<Pod> = Api::namespaced(cluster.client(), namespace);
        let told = Arc::clone(&state);
        let task = tokio::spawn(async move {
            let mut events = pin!(watcher(api, watcher::Config::default()));
            while let Some(event) = events.try_next().await.expect("a watch of pods") {
                told.lock().unwrap().event(event);
            }
        });
        Self { state, counts: counted, task }
    }

    /// From now on the fewest Ready pods are noted.
    pub fn begin(&self) {
        self.state.lock().unwrap().fewest = Some((usize::MAX, usize::MAX));
    }

    /// The last count.
    pub fn count(&self) -> Count {
        *self.counts.borrow()
    }

    /// Waits for a count like that; none if that takes longer.
    pub async fn until(
        &mut self,
        within: Duration,
        wanted: impl Fn(&Count) -> bool,
    ) -> Option<Count> {
        let reached = tokio::time::timeout(within, self.counts.wait_for(wanted)).await;
        reached.ok().map(|count| *count.expect("the watch goes on"))
    }
}

impl Drop for Pods {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl State {
    fn event(&mut self, event: Event<Pod>) {
        match event {
            Event::Apply(pod) | Event::InitApply(pod) => {
                let uid = pod.uid().expect("it was created");
                self.pods.insert(uid, self.seen(&pod));
            }
            Event::Delete(pod) => drop(self.pods.remove(&pod.uid().expect("it was created"))),
            Event::Init => self.pods.clear(),
            Event::InitDone => {}
        }
        self.recount();
    }

    fn seen(&self, pod: &Pod) -> Seen {
        let lives = pod.metadata.deletion_timestamp.is_none();
        let node = pod.spec.as_ref().and_then(|spec| spec.node_name.as_ref());
        let conditions = pod.status.iter().flat_map(|status| &status.conditions).flatten();
        let mut ready = conditions.filter(|condition| condition.type_ == "Ready");
        Seen {
            tier: pod.labels().get("app").cloned().unwrap_or_default(),
            zone: node.filter(|_| lives).and_then(|node| self.zone_of.get(node).cloned()),
            ready: lives && ready.any(|condition| condition.status == "True"),
        }
    }

    fn recount(&mut self) {
        let mut tiers: BTreeMap<&str, (usize, BTreeMap<&str, usize>)> = BTreeMap::new();
        for pod in self.pods.values() {
            let (ready, zones) = tiers.entry(&pod.tier).or_default();
            *ready += usize::from(pod.ready);
            if let Some(zone) = &pod.zone {
                *zones.entry(zone).or_default() += 1;
            }
        }
        let mut count = Count::default();
        let mut fewest_of_a_tier = usize::MAX;
        for (ready, zones) in tiers.values() {
            let mut pods: Vec<usize> = zones.values().copied().collect();
            pods.resize(self.zones, 0);
            let moves = fewest_moves(&pods);
            count.ready += ready;
            count.moves += moves;
            count.unsettled += usize::from(moves > 0 || *ready < self.replicas);
            fewest_of_a_tier = fewest_of_a_tier.min(*ready);
        }
        if let Some((all, of_a_tier)) = &mut self.fewest {
            (*all, *of_a_tier) = ((*all).min(count.ready), (*of_a_tier).min(fewest_of_a_tier));
            (count.fewest, count.fewest_of_a_tier) = (*all, *of_a_tier);
        }
        self.counts.send_replace(count);
    }
}

/// What the poor zones lack of the floor, or the rich have above the ceiling.
fn fewest_moves(pods: &[usize]) -> usize {
    let all: usize = pods.iter().sum();
    let (floor, ceiling) = (all / pods.len(), all.div_ceil(pods.len()));
    let lack: usize = pods.iter().map(|count| floor.saturating_sub(*count)).sum();
    let excess: usize = pods.iter().map(|count| count.saturating_sub(ceiling)).sum();
    lack.max(excess)
}
