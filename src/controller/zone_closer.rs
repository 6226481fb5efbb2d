//! Closes nodes for drills and opens them: one taint and one annotation, and nothing else.
//!
//! A node is read, and changed as it was read. Before it is closed, the API server shows by dry
//! runs that it would refuse anything else, and that new pods are kept out of the zone.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Node, Taint};
use kube::Client;
use kube::ResourceExt;
use kube::api::{Api, Patch, PatchParams};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tracing::{info, warn};

use crate::act::REQUEST_TIMEOUT;
use crate::api::{DRILL, ZONE_LABEL};
use crate::observe::DrillMark;
use crate::operator::{NodeAsk, NodeVerb};

use super::drill_right::{drilled_zone, try_fence};
use super::error_text::{error_text, no_answer};
use super::lease::Leadership;

/// Closes and opens nodes.
pub struct ZoneCloser {
    /// For requests.
    pub client: Client,
    /// Asked before each request that changes anything (law 8).
    pub leadership: Leadership,
    /// Where the operator's own pods are.
    pub namespace: String,
}

impl ZoneCloser {
    /// Does what is asked, one after the other.
    pub async fn run(
        self,
        mut asks: mpsc::UnboundedReceiver<NodeAsk>,
        answers: mpsc::UnboundedSender<(NodeAsk, bool)>,
    ) {
        while let Some(ask) = asks.recv().await {
            let node = &ask.node;
            let done = match self.carry_out(&ask).await {
                Ok(()) => true,
                Err(why) => {
                    match &ask.verb {
                        NodeVerb::Close(_) => warn!(%node, why, "the node is not closed"),
                        NodeVerb::Open => warn!(
                            %node,
                            why,
                            "a drill is over and the node could not be opened: `kubectl taint node {node} {DRILL}-` and `kubectl annotate node {node} {DRILL}-` do it by hand"
                        ),
                    }
                    false
                }
            };
            if answers.send((ask, done)).is_err() {
                return;
            }
        }
    }

    async fn carry_out(&self, ask: &NodeAsk) -> Result<(), String> {
        let nodes: Api<Node> = Api::all(self.client.clone());
        let read = tokio::time::timeout(REQUEST_TIMEOUT, nodes.get_opt(&ask.node));
        let read = read.await.map_err(|_| no_answer())?.map_err(|error| error_text(&error))?;
        // One that is gone takes its taints with it.
        let Some(node) = read else { return Ok(()) };
        let change = match &ask.verb {
            NodeVerb::Close(mark) => {
                self.is_safe_to_close(&node, mark).await?;
                changed(&node, Some(mark))
            }
            NodeVerb::Open => changed(&node, None),
        };
        if matches!(ask.verb, NodeVerb::Close(_)) {
            self.patch(ask, &nodes, &change, true).await?;
        }
        self.patch(ask, &nodes, &change, false).await?;
        let node = &ask.node;
        match &ask.verb {
            NodeVerb::Close(mark) => info!(%node, drill = mark.drill, "closed"),
            NodeVerb::Open => info!(%node, "opened"),
        }
        Ok(())
    }

    async fn is_safe_to_close(&self, node: &Node, mark: &DrillMark) -> Result<(), String> {
        if mark.until <= Timestamp::now() {
            return Err("the drill's deadline is over".to_owned());
        }
        try_fence(&self.client, &node.name_any()).await?;
        let kept_out = drilled_zone(&self.client, &self.namespace, &mark.drill).await?;
        let zone = node.labels().get(ZONE_LABEL).map_or("", String::as_str);
        if zone.is_empty() || kept_out.as_deref() != Some(zone) {
            return Err(format!(
                "a dry run shows that new pods are not kept out of zone {zone} yet (deploy/drill)"
            ));
        }
        Ok(())
    }

    async fn patch(
        &self,
        ask: &NodeAsk,
        nodes: &Api<Node>,
        change: &Value,
        dry_run: bool,
    ) -> Result<(), String> {
        if !ask.is_of_late(Timestamp::now()) {
            return Err("the API server is slow: decided too long ago".to_owned());
        }
        if !self.leadership.may_act() {
            return Err("this replica no longer leads".to_owned());
        }
        let params = PatchParams { dry_run, ..PatchParams::default() };
        let change = Patch::Merge(change);
        let request = nodes.patch(&ask.node, &params, &change);
        match tokio::time::timeout(REQUEST_TIMEOUT, request).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(error_text(&error)),
            Err(_) => Err(no_answer()),
        }
    }
}

/// The change that closes the node as it was read, or opens it. Taints are one list: it is
/// written whole, and refused if anybody has changed the node since.
pub fn changed(node: &Node, mark: Option<&DrillMark>) -> Value {
    let taints = node.spec.as_ref().and_then(|spec| spec.taints.clone()).unwrap_or_default();
    let mut taints: Vec<Taint> = taints.into_iter().filter(|taint| taint.key != DRILL).collect();
    taints.extend(mark.map(|mark| Taint {
        key: DRILL.to_owned(),
        value: Some(mark.drill.clone()),
        effect: "NoSchedule".to_owned(),
        time_added: None,
    }));
    json!({
        "metadata": {
            "resourceVersion": node.metadata.resource_version,
            "annotations": {DRILL: mark.map(ToString::to_string)},
        },
        "spec": {"taints": taints},
    })
}
