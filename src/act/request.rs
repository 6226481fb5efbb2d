//! What is asked of the API server, and what it answers.

use std::sync::Arc;

use crate::moves::{ActionError, ActionRequest, StatusWrite, SteeredPod, WriteFailure};
use crate::observe::{Interner, Name, Node, PolicyKey, WatchedNode, WatchedPod};

/// One request to the API server.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    /// Write a policy's status, and publish the events about it.
    WriteStatus(StatusWrite),
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
    /// Ask, as a dry run, for a change of the pod that must be refused.
    Fence {
        /// The pod.
        request: Arc<ActionRequest>,
    },
    /// Delete the probe pod that holds the room, guarded by its uid.
    RemoveProbe {
        /// The pod that is moved then.
        request: Arc<ActionRequest>,
    },
    /// Ask, as a dry run, how the replacement would be steered.
    Steering {
        /// The policy.
        policy: PolicyKey,
        /// The replacement.
        pod: Arc<SteeredPod>,
    },
    /// Evict or change a pod, guarded by its uid.
    Act {
        /// The pod.
        request: Arc<ActionRequest>,
        /// Whether to change nothing.
        dry_run: bool,
    },
}

impl Request {
    /// What it is, in a word.
    #[must_use]
    pub fn what(&self) -> &'static str {
        match self {
            Self::WriteStatus(_) => "write the status",
            Self::Pods { .. } => "list the tier's pods",
            Self::Pod { .. } => "read the pod",
            Self::Nodes => "list all nodes",
            Self::Node { .. } => "read the node",
            Self::Fence { .. } => "try the fence (dry run)",
            Self::RemoveProbe { .. } => "delete the probe pod",
            Self::Steering { .. } => "look at the steering (dry run)",
            Self::Act { request, dry_run } => request.verb.what(*dry_run),
        }
    }
}

/// What the API server said.
#[derive(Clone, Debug)]
pub enum Answer {
    /// The status is written.
    Written,
    /// The status is not written, as far as is known.
    NotWritten(WriteFailure),
    /// The pods that were asked for; one that is not there is left out.
    Pods(Vec<WatchedPod>),
    /// The nodes that were asked for; one that is not there is left out.
    Nodes(Arc<[Node]>),
    /// What the API server said to the action; of the fence, whether it stands; of
    /// the steering, whether it is as it must be.
    Acted(Result<(), ActionError>),
    /// No answer, or none that helps.
    Failed(String),
}

impl Answer {
    /// These nodes.
    pub fn nodes(watched: impl IntoIterator<Item = WatchedNode>) -> Self {
        let mut interner = Interner::default();
        Self::Nodes(watched.into_iter().map(|node| Node::new(node, &mut interner)).collect())
    }
}
