//! Drills in a cluster: asked for, followed, and ended early.

use std::time::Duration;

use k8s_openapi::api::core::v1::Node;
use kube::api::{Api, ListParams, Patch, PatchParams, PostParams};
use kube::{Client, ResourceExt};
use serde_json::json;

use crate::api::{DRILL, DrillPhase, PAUSED, ZoneDrill, ZoneDrillSpec, ZoneDrillStatus};
use crate::observe::DrillMark;

use super::cluster::Access;
use super::live::{block_on, client, request_error};
use super::output::{note, plain};
use super::{Failure, Unmet};

/// How often it is looked how far a drill is.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// An operator that runs answers by then.
const ANSWERED_WITHIN: u32 = 60;

struct Cluster {
    client: Client,
    address: String,
}

impl Cluster {
    async fn of(access: &Access) -> Result<Self, Failure> {
        let config = access.config().await?;
        let address = config.cluster_url.to_string();
        Ok(Self { client: client(config)?, address })
    }

    fn drills(&self) -> Api<ZoneDrill> {
        Api::all(self.client.clone())
    }

    fn failure(&self, what: &str, error: &kube::Error) -> Failure {
        format!("{what}: {}", request_error(error, &self.address)).into()
    }
}

/// Asks for a drill.
pub fn create(access: &Access, name: &str, spec: ZoneDrillSpec) -> Result<(), Failure> {
    block_on(async {
        let cluster = Cluster::of(access).await?;
        let drill = ZoneDrill::new(name, spec);
        let created = cluster.drills().create(&PostParams::default(), &drill).await;
        created
            .map_err(|error| cluster.failure(&format!("cannot create ZoneDrill {name}"), &error))?;
        note(&format!(
            "ZoneDrill {name} is created; `zonespread drill abort {name}` ends it early"
        ));
        Ok(())
    })?
}

/// Follows a drill to its end, and says what happens.
pub fn follow(access: &Access, name: &str) -> Result<ZoneDrillStatus, Failure> {
    block_on(async {
        let cluster = Cluster::of(access).await?;
        let (mut told, mut looks) = (Vec::new(), 0);
        loop {
            let drill = cluster.drills().get(name).await;
            let drill = drill.map_err(|error| {
                cluster.failure(&format!("cannot read ZoneDrill {name}"), &error)
            })?;
            let status = drill.status.unwrap_or_default();
            let news = status.timeline.iter().filter(|event| !told.contains(*event));
            for event in news {
                note(&format!("{:.0} {}", event.at.0, plain(&event.what)));
            }
            told.clone_from(&status.timeline);
            if status.phase.is_some_and(DrillPhase::is_over) {
                return Ok(status);
            }
            looks += 1;
            if status.phase.is_none() && looks > ANSWERED_WITHIN {
                return Err("no operator answers: does it run, and does it know ZoneDrills?".into());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    })?
}

/// Ends a drill early.
pub fn abort(access: &Access, name: &str, force: bool) -> Result<(), Failure> {
    block_on(async {
        let cluster = Cluster::of(access).await?;
        let pause = json!({"metadata": {"annotations": {PAUSED: "true"}}});
        let patch = Patch::Merge(&pause);
        let paused = cluster.drills().patch(name, &PatchParams::default(), &patch).await;
        if force {
            // The drill may be gone, and its CRD as well.
            if let Err(error) = &paused {
                note(&format!("ZoneDrill {name}: {}", request_error(error, &cluster.address)));
            }
            return open(&cluster, name).await;
        }
        paused
            .map_err(|error| cluster.failure(&format!("cannot abort ZoneDrill {name}"), &error))?;
        for _ in 0..ANSWERED_WITHIN {
            let drill = cluster.drills().get(name).await;
            let drill = drill.map_err(|error| {
                cluster.failure(&format!("cannot read ZoneDrill {name}"), &error)
            })?;
            let status = drill.status.unwrap_or_default();
            let closes = |phase: DrillPhase| phase.closes() || phase == DrillPhase::Opening;
            if !status.phase.is_some_and(closes) {
                println!("drill {name}: {}", plain(&status.message));
                return Ok(());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        let why = format!(
            "no operator has opened the zone: `zonespread drill abort {name} --force` does it with your own rights"
        );
        Err(Unmet(why).into())
    })?
}

/// Opens the nodes of a drill with one's own rights.
async fn open(cluster: &Cluster, name: &str) -> Result<(), Failure> {
    let nodes: Api<Node> = Api::all(cluster.client.clone());
    let all = nodes.list(&ListParams::default()).await;
    let all = all.map_err(|error| cluster.failure("cannot list nodes", &error))?;
    let mut opened = 0;
    for node in all.items {
        let mark = node.annotations().get(DRILL).map(|mark| DrillMark::parse(mark));
        let mut taints =
            node.spec.as_ref().and_then(|spec| spec.taints.clone()).unwrap_or_default();
        let is_own = mark.as_ref().is_some_and(|mark| mark.drill == name)
            || taints
                .iter()
                .any(|taint| taint.key == DRILL && taint.value.as_deref() == Some(name));
        if !is_own {
            continue;
        }
        taints.retain(|taint| taint.key != DRILL);
        let change = json!({
            "metadata": {"resourceVersion": node.metadata.resource_version,
                         "annotations": {DRILL: null}},
            "spec": {"taints": taints},
        });
        let what = format!("cannot open node {}", node.name_any());
        let change = Patch::Merge(&change);
        let patched = nodes.patch(&node.name_any(), &PatchParams::default(), &change).await;
        patched.map_err(|error| cluster.failure(&what, &error))?;
        opened += 1;
    }
    println!("{} opened", crate::api::text::counted(opened, "node"));
    Ok(())
}
