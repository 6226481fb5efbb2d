//! What pods and the scheduler refer to by name: Services, workloads, claims,
//! volumes, storage classes, namespaces.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;

use super::cluster::Cluster;
use crate::observe::change::Kind;
use crate::observe::object::budget::Budget;
use crate::observe::object::csi::{CsiDriver, CsiNode};
use crate::observe::object::owner::Owner;
use crate::observe::object::pod::Pod;
use crate::observe::object::service::Service;
use crate::observe::object::volume::{Claim, PersistentVolume, StorageClass};
use crate::observe::object::workload::{Workload, WorkloadKey, WorkloadKind};
use crate::observe::value::name::{Labels, Name};

impl Cluster {
    /// A workload.
    #[must_use]
    pub fn workload(&self, key: &WorkloadKey) -> Option<&Workload> {
        self.workloads.get(key)
    }

    /// Every workload's key, in no order.
    pub fn workload_keys(&self) -> impl Iterator<Item = &WorkloadKey> {
        self.workloads.keys()
    }

    /// The workload that `owner` refers to. One of the same name but another uid
    /// is another workload: it was deleted and created again.
    #[must_use]
    pub fn owned_by(&self, namespace: &Name, owner: &Owner) -> Option<&Workload> {
        let key = WorkloadKey {
            namespace: Name::clone(namespace),
            kind: WorkloadKind::parse(&owner.kind)?,
            name: Name::clone(&owner.name),
        };
        self.workload(&key).filter(|workload| workload.uid == owner.uid)
    }

    /// The workload that made a pod, if it is known and still the same one.
    #[must_use]
    pub fn owner_of(&self, pod: &Pod) -> Option<&Workload> {
        self.owned_by(&pod.namespace, pod.owner.as_ref()?)
    }

    /// The budgets that protect a pod, by name.
    pub fn budgets_of<'a>(&'a self, pod: &'a Pod) -> impl Iterator<Item = &'a Budget> {
        self.budgets
            .get(&pod.namespace)
            .into_iter()
            .flat_map(BTreeMap::values)
            .filter(|budget| budget.protects(&pod.labels))
    }

    /// The storage class of claims that name none.
    #[must_use]
    pub fn default_storage_class(&self) -> Option<&StorageClass> {
        self.classes.values().filter(|class| class.is_default).min_by_key(|class| &class.name)
    }

    /// The services of a namespace, by name.
    pub fn services_in(&self, namespace: &str) -> impl Iterator<Item = &Service> {
        self.services.get(namespace).into_iter().flat_map(BTreeMap::values)
    }

    /// The labels of a namespace.
    #[must_use]
    pub fn namespace_labels(&self, namespace: &str) -> Option<&Labels> {
        self.namespaces.get(namespace)
    }

    /// A claim.
    #[must_use]
    pub fn claim(&self, namespace: &str, name: &str) -> Option<&Claim> {
        self.claims.get(namespace)?.get(name)
    }

    /// A volume.
    #[must_use]
    pub fn volume(&self, name: &str) -> Option<&PersistentVolume> {
        self.volumes.get(name)
    }

    /// A storage class.
    #[must_use]
    pub fn storage_class(&self, name: &str) -> Option<&StorageClass> {
        self.classes.get(name)
    }

    /// What the storage drivers of a node say of it.
    #[must_use]
    pub fn csi_node(&self, name: &str) -> Option<&CsiNode> {
        self.csi_nodes.get(name)
    }

    /// A storage driver.
    #[must_use]
    pub fn csi_driver(&self, name: &str) -> Option<&CsiDriver> {
        self.csi_drivers.get(name)
    }

    /// Services, claims, volumes, storage classes, drivers or namespaces that are
    /// known: namespace (empty for none) and name. Nothing for other kinds.
    #[must_use]
    pub fn known(&self, kind: Kind) -> Vec<(Name, Name)> {
        let none = Name::from("");
        let unscoped = |name: &Name| (Name::clone(&none), Name::clone(name));
        match kind {
            Kind::Service => self
                .services
                .values()
                .flat_map(BTreeMap::values)
                .map(|service| (Name::clone(&service.namespace), Name::clone(&service.name)))
                .collect(),
            Kind::Claim => self
                .claims
                .values()
                .flat_map(FxHashMap::values)
                .map(|claim| (Name::clone(&claim.namespace), Name::clone(&claim.name)))
                .collect(),
            Kind::Volume => self.volumes.keys().map(unscoped).collect(),
            Kind::StorageClass => self.classes.keys().map(unscoped).collect(),
            Kind::CsiNode => self.csi_nodes.keys().map(unscoped).collect(),
            Kind::CsiDriver => self.csi_drivers.keys().map(unscoped).collect(),
            Kind::Namespace => self.namespaces.keys().map(unscoped).collect(),
            _ => Vec::new(),
        }
    }

    /// Adds or replaces a service.
    pub fn put_service(&mut self, service: Service) {
        self.services
            .entry(Name::clone(&service.namespace))
            .or_default()
            .insert(Name::clone(&service.name), service);
    }

    /// Removes a service.
    pub fn remove_service(&mut self, namespace: &str, name: &str) {
        if let Some(services) = self.services.get_mut(namespace) {
            services.remove(name);
        }
    }

    /// Adds or replaces a workload; gives the one that was there.
    pub fn put_workload(&mut self, workload: Workload) -> Option<Workload> {
        self.workloads.insert(workload.key.clone(), workload)
    }

    /// Removes a workload, and gives it.
    pub fn remove_workload(&mut self, key: &WorkloadKey) -> Option<Workload> {
        self.workloads.remove(key)
    }

    /// Adds or replaces a namespace's labels.
    pub fn put_namespace(&mut self, name: Name, labels: Labels) {
        self.namespaces.insert(name, labels);
    }

    /// Removes a namespace.
    pub fn remove_namespace(&mut self, name: &str) {
        self.namespaces.remove(name);
    }

    /// Adds or replaces a claim.
    pub fn put_claim(&mut self, claim: Claim) {
        self.claims
            .entry(Name::clone(&claim.namespace))
            .or_default()
            .insert(Name::clone(&claim.name), claim);
    }

    /// Removes a claim.
    pub fn remove_claim(&mut self, namespace: &str, name: &str) {
        if let Some(claims) = self.claims.get_mut(namespace) {
            claims.remove(name);
        }
    }

    /// Adds or replaces a volume.
    pub fn put_volume(&mut self, volume: PersistentVolume) {
        self.volumes.insert(Name::clone(&volume.name), volume);
    }

    /// Removes a volume.
    pub fn remove_volume(&mut self, name: &str) {
        self.volumes.remove(name);
    }

    /// Adds or replaces a storage class.
    pub fn put_storage_class(&mut self, class: StorageClass) {
        self.classes.insert(Name::clone(&class.name), class);
    }

    /// Removes a storage class.
    pub fn remove_storage_class(&mut self, name: &str) {
        self.classes.remove(name);
    }

    /// Adds or replaces what the storage drivers of a node say of it.
    pub fn put_csi_node(&mut self, node: CsiNode) {
        self.csi_nodes.insert(Name::clone(&node.name), node);
    }

    /// Removes it.
    pub fn remove_csi_node(&mut self, name: &str) {
        self.csi_nodes.remove(name);
    }

    /// Adds or replaces a storage driver.
    pub fn put_csi_driver(&mut self, driver: CsiDriver) {
        self.csi_drivers.insert(Name::clone(&driver.name), driver);
    }

    /// Removes a storage driver.
    pub fn remove_csi_driver(&mut self, name: &str) {
        self.csi_drivers.remove(name);
    }
}
