//! Which version of kube-scheduler the predictions follow.

use crate::api::SchedulerStatus;
use crate::api::text::bounded;
use crate::predict::{KnownVersion, Rivals, VersionSource};

use super::Operator;
use super::suspicion::Suspicion;

impl Operator {
    /// An operator that was told which version it is; nothing that the cluster says later
    /// changes that.
    #[must_use]
    pub fn with_scheduler_version(mut self, told: Option<KnownVersion>) -> Self {
        if let Some(told) = told {
            self.learn(told);
        }
        self
    }

    /// The API server says which version it is. What cannot be read says nothing.
    pub fn server_version(&mut self, reported: &str) {
        if self.scheduler_version.source == VersionSource::Flag {
            return;
        }
        if let Some(known) = KnownVersion::parse(VersionSource::ApiServer, reported) {
            self.learn(known);
        }
    }

    /// Nodes came, went or were upgraded: as long as the API server says nothing, their
    /// kubelets do.
    pub(super) fn look_at_kubelets(&mut self) {
        if self.scheduler_version.is_of_nodes() {
            self.learn(KnownVersion::of_nodes(self.index.cluster()));
        }
    }

    /// Which version the predictions follow, and who says so.
    #[must_use]
    pub const fn scheduler_version(&self) -> &KnownVersion {
        &self.scheduler_version
    }

    /// What landings say against it, if anything does.
    #[must_use]
    pub fn scheduler_suspicion(&self) -> Option<String> {
        self.suspicion.warning()
    }

    /// What a policy's status says of the scheduler.
    pub(super) fn scheduler_status(&self) -> SchedulerStatus {
        let known = &self.scheduler_version;
        let messages: Vec<String> =
            known.warning().into_iter().chain(self.suspicion.warning()).collect();
        SchedulerStatus {
            version: known.modelled().to_string(),
            message: (!messages.is_empty()).then(|| bounded(&messages.join("; "))),
        }
    }

    fn learn(&mut self, known: KnownVersion) {
        if self.scheduler_version == known {
            return;
        }
        if known.modelled() != self.scheduler_version.modelled() {
            self.cache.set_version(known.modelled());
            self.rivals = Rivals::of(self.cache.config());
            self.suspicion = Suspicion::default();
        }
        self.scheduler_version = known;
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::world::World;
    use crate::observe::Change;
    use crate::observe::fixtures::node;
    use crate::predict::{KnownVersion, SchedulerVersion, VersionSource};

    fn a_policy() -> World {
        let mut world = World::new();
        world.replica_set("web", &["a1", "b1", "c1"]);
        world.policy("web", json!({}));
        world.pass(2);
        world
    }

    /// The version in the policy's status, and whether something is said of it.
    fn said(world: &World) -> (String, bool) {
        let scheduler = world.status("web").scheduler.clone().unwrap();
        (scheduler.version, scheduler.message.is_some())
    }

    #[test]
    fn an_upgrade_of_the_control_plane_is_planned_for_and_written_once() {
        let mut world = a_policy();
        assert_eq!(said(&world), ("1.37".to_owned(), true), "nobody says which it is");
        world.operator.apply(Change::Node(node("a1").zone("a").kubelet("v1.34.1").watched()));
        world.pass(1);
        assert_eq!(said(&world), ("1.34".to_owned(), false));
        world.operator.server_version("v1.35.4");
        world.pass(1);
        assert_eq!(said(&world), ("1.35".to_owned(), false));
        assert_eq!(world.operator.scheduler().version(), SchedulerVersion::V1_35);
        let writes = world.status_writes;
        // A patch changes no prediction; kubelets are behind, and no version is no news.
        world.operator.server_version("v1.35.5");
        world.operator.server_version("");
        world.operator.apply(Change::Node(node("a1").zone("a").kubelet("v1.34.2").watched()));
        world.pass(5);
        assert_eq!((said(&world), world.status_writes), (("1.35".to_owned(), false), writes));
        world.operator.server_version("v1.39.0");
        world.pass(1);
        assert_eq!(said(&world), ("1.37".to_owned(), true));
    }

    #[test]
    fn what_a_person_says_holds_whatever_the_cluster_says() {
        let mut world = a_policy();
        let told = KnownVersion::parse(VersionSource::Flag, "1.33");
        world.operator = std::mem::take(&mut world.operator).with_scheduler_version(told);
        world.operator.server_version("v1.36.1");
        world.operator.apply(Change::Node(node("a1").zone("a").kubelet("v1.36.1").watched()));
        world.pass(1);
        assert_eq!(said(&world), ("1.33".to_owned(), false));
    }
}
