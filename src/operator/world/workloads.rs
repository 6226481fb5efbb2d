//! Workloads: their pods are made, scaled and taken away.

use serde_json::json;

use super::World;
use crate::observe::{Change, Kind};

impl World {
    /// Writes a label of a policy, as `kubectl label` does.
    pub fn label_policy(&mut self, policy: &str, key: &str, value: &str) {
        let known = self.policies.iter_mut().rfind(|known| known["metadata"]["name"] == policy);
        let known = known.expect("a policy of this name");
        known["metadata"]["labels"][key] = json!(value);
        let policy = known.clone();
        self.apply_policy(policy);
    }

    /// A `ReplicaSet` that wants pods, and has none yet.
    pub fn replica_set_of(&mut self, app: &str, replicas: usize) {
        self.wanted.insert(app.to_owned(), replicas);
        let set = json!({
            "metadata": {"name": format!("{app}-rs"), "namespace": "default", "uid": format!("uid-{app}-rs")},
            "spec": {
                "replicas": replicas,
                "template": {"metadata": {"labels": {"app": app}}, "spec": {"containers": []}},
            },
        });
        self.operator.apply(Change::ReplicaSet(serde_json::from_value(set).unwrap()));
    }

    /// Pods start on every node again, and those that could not do.
    pub fn mend(&mut self) {
        self.trouble.broken_nodes.clear();
        let cluster = self.operator.index().cluster();
        let waiting = cluster.pods().filter(|(_, pod)| pod.ready_since.is_none());
        let waiting: Vec<_> = waiting
            .map(|(_, pod)| (pod.labels["app"].clone(), pod.name.to_string(), pod.node.clone()))
            .collect();
        for (app, name, node) in waiting {
            self.show_pod(&app, &name, node.as_deref(), true);
        }
    }

    /// Scales an app: pods that are not Ready go first, then the youngest; new ones are
    /// placed and ready at once.
    pub fn scale(&mut self, app: &str, replicas: usize) {
        self.replica_set_of(app, replicas);
        let cluster = self.operator.index().cluster();
        let mut pods: Vec<_> = cluster
            .pods()
            .filter(|(_, pod)| pod.labels["app"] == app && !pod.terminating)
            .map(|(_, pod)| (pod.ready_since.is_some(), pod.name.to_string()))
            .collect();
        // They are numbered as they are made.
        let number = |name: &str| name.rsplit_once('-').and_then(|(_, at)| at.parse::<u32>().ok());
        pods.sort_by_key(|(ready, name)| (*ready, std::cmp::Reverse(number(name))));
        let too_many = pods.len().saturating_sub(replicas);
        for (_, name) in &pods[..too_many] {
            self.starting.retain(|(_, _, known, _)| known != name);
            self.gone(Kind::Pod, "default", name);
        }
        for _ in pods.len()..replicas {
            let node = self.place_like(&pods[0].1);
            let fresh = self.new_name(app);
            self.show_pod(app, &fresh, node.as_deref(), true);
        }
    }
}
