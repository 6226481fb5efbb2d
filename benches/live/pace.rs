//! How long a mass recovery takes: a zone is lost and comes back, and many tiers have to be
//! brought home at once.

use std::time::{Duration, Instant};

use k8s_openapi::jiff::SignedDuration;
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind};

use crate::build::{Build, Table, rounds};
use crate::harness::{
    Cluster, OPERATOR_NAMESPACE, Operator, ScheduleAnyway, deployment, eventually, evictions,
    install_build,
};
use crate::pods::Pods;
use crate::usage::cpu_of;

/// A recovery.
pub struct Scene {
    /// What it is asked for by.
    pub name: &'static str,
    tiers: usize,
    /// How long a pod takes from being bound to Ready, in seconds.
    start: u32,
}

/// Requests decide how long the one takes, and starting pods the other.
pub const SCENES: [Scene; 2] = [
    Scene { name: "pace, pods start at once", tiers: 100, start: 0 },
    Scene { name: "pace, pods take 10 s to start", tiers: 60, start: 10 },
];

const ZONES: [&str; 3] = ["a", "b", "c"];
const LOST: &str = "c";
const NODES_OF_A_ZONE: usize = 4;
const REPLICAS: u32 = 6;
/// How many of six pods may be missing or moving at once (README, law 3).
const BUDGET: usize = 2;
/// How many moves may be under way in the cluster: `run --max-concurrent-moves`.
const MOST_UNDER_WAY: usize = 200;
const HOLD: Duration = Duration::from_secs(5);
const NAMESPACE: &str = "shop";

/// Creating hundreds of pods takes a while where two cores do everything.
const SETUP_WITHIN: Duration = Duration::from_mins(5);
const RECOVERS_WITHIN: Duration = Duration::from_mins(8);

/// Lets each build recover the scene, each in a cluster of its own, and prints how it did.
pub async fn measure(scene: &Scene, builds: &[Build]) {
    let limit = scene.limit();
    println!(
        "{}: {} tiers of {REPLICAS} in one policy, hold {HOLD:?}; budgets and start times allow {limit:?}",
        scene.name, scene.tiers
    );
    let mut table = Table::new(&[
        "after the hold, s",
        "fewest moves",
        "evictions",
        "moves a second",
        "fewest ready pods",
        "of a tier",
        "CPU, s",
    ]);
    for _ in 0..rounds() {
        for build in builds {
            let numbers = scene.measure_one(build).await;
            if !limit.is_zero() {
                let times = numbers[0] / limit.as_secs_f64();
                println!("  {} takes {times:.2} times what is allowed", build.name);
            }
            table.add(build, numbers);
        }
    }
    table.print();
}

impl Scene {
    /// What a recovery takes at least: the first pod in the recovered zone must be up before
    /// a second goes there; then every tier moves as many at once as its budget allows.
    fn limit(&self) -> Duration {
        // Six pods are 3/3/0 in the outage, and 2/2/2 after two moves.
        let moves = REPLICAS as usize / ZONES.len();
        let by_budget = moves.div_ceil(BUDGET);
        let by_cap = (self.tiers * moves - 1).div_ceil(MOST_UNDER_WAY);
        let rounds = 1 + by_budget.max(by_cap);
        Duration::from_secs(u64::from(self.start)) * u32::try_from(rounds).unwrap()
    }

    /// All pods that there are.
    const fn pods(&self) -> usize {
        self.tiers * REPLICAS as usize
    }

    async fn measure_one(&self, build: &Build) -> Vec<f64> {
        let cluster = Cluster::start().await;
        let mut pods = self.set_up(&cluster).await;
        let mut operator = start(&cluster, build).await;
        let policy = policy_api(&cluster);
        phase(&policy, "Balanced").await;
        cluster.cordon_zone(LOST).await;
        phase(&policy, "Frozen").await;
        cluster.evacuate_zone(LOST).await;
        let whole = pods.until(SETUP_WITHIN, |count| count.ready == self.pods()).await;
        whole.expect("all pods are ready without the zone");

        let (fewest_moves, evicted) = (pods.count().moves, evictions(&cluster));
        let process = operator.id();
        let cpu = || cpu_of(process).expect("it runs").as_secs_f64();
        let used = cpu();
        cluster.uncordon_zone(LOST).await;
        let hold_ends = Instant::now() + HOLD;
        pods.begin();
        let home = pods.until(RECOVERS_WITHIN, |count| count.unsettled == 0).await;
        let took = hold_ends.elapsed().as_secs_f64();
        let used = cpu() - used;
        let Some(home) = home else {
            let object = policy.get("shop").await.unwrap();
            panic!("not home: {:?}\n{}", pods.count(), object.data["status"]["message"]);
        };
        // Whoever goes too far does so now.
        phase(&policy, "Balanced").await;
        tokio::time::sleep(Duration::from_secs(2)).await;
        let evicted = evictions(&cluster) - evicted;
        operator.terminate().await;
        vec![
            took,
            fewest_moves as f64,
            evicted as f64,
            evicted as f64 / took,
            home.fewest as f64,
            home.fewest_of_a_tier as f64,
            used,
        ]
    }

    /// Zones, and all tiers ready and spread over them.
    async fn set_up(&self, cluster: &Cluster) -> Pods {
        for zone in ZONES {
            for number in 1..=NODES_OF_A_ZONE {
                let node = cluster.node(&format!("{zone}{number}")).zone(zone);
                node.cpu("64").memory("256Gi").create().await;
            }
        }
        cluster.wait_for_nodes().await;
        cluster.namespace(NAMESPACE).await;
        let mut pods = Pods::watch(cluster, NAMESPACE, REPLICAS as usize).await;
        let workloads: Vec<String> = (0..self.tiers).map(|tier| self.workload(tier)).collect();
        cluster.apply(workloads.join("\n---\n")).await;
        let all = self.pods();
        let ready = pods.until(SETUP_WITHIN, |count| count.ready == all && count.moves == 0).await;
        ready.unwrap_or_else(|| panic!("not all pods are ready and spread: {:?}", pods.count()));
        pods
    }

    fn workload(&self, tier: usize) -> String {
        let workload = deployment(NAMESPACE, &format!("tier-{tier}"), REPLICAS);
        let workload = workload.label("part-of", "shop").spread(ScheduleAnyway);
        match self.start {
            0 => workload.to_string(),
            seconds => workload.start_delay(&format!("{seconds}s")).to_string(),
        }
    }
}

async fn start(cluster: &Cluster, build: &Build) -> Operator {
    let kubeconfig = install_build(cluster, &build.binary).await;
    let hold = SignedDuration::try_from(HOLD).unwrap().as_secs();
    cluster
        .apply(format!(
            "apiVersion: zonespread.io/v1alpha1\nkind: ZoneSpreadPolicy\n\
             metadata: {{name: shop, namespace: {NAMESPACE}}}\n\
             spec:\n  selector: {{matchLabels: {{part-of: shop}}}}\n  tierLabel: app\n  \
             rebalance: {{holdDown: {hold}s}}\n"
        ))
        .await;
    let arguments = ["--namespace", OPERATOR_NAMESPACE];
    let mut operator = Operator::start(cluster, &build.binary, &kubeconfig, &arguments);
    operator.ready().await;
    operator
}

/// The policies as whatever build it is writes them.
fn policy_api(cluster: &Cluster) -> Api<DynamicObject> {
    let kind = GroupVersionKind::gvk("zonespread.io", "v1alpha1", "ZoneSpreadPolicy");
    let resource = ApiResource::from_gvk_with_plural(&kind, "zonespreadpolicies");
    Api::namespaced_with(cluster.client(), NAMESPACE, &resource)
}

async fn phase(policies: &Api<DynamicObject>, expected: &str) {
    eventually(SETUP_WITHIN, &format!("the policy to be {expected}"), async || {
        let policy = policies.get("shop").await.map_err(|error| error.to_string())?;
        let status = &policy.data["status"];
        if status["phase"] == expected {
            Ok(())
        } else {
            Err(format!("{}: {}", status["phase"], status["message"]))
        }
    })
    .await;
}
