//! The objects of a cluster: as JSON, to be kept, and as the operator's index.

use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use zonespread::observe::{Change, Index, Kind, Name};

/// What is looked at, and where it is.
pub const KINDS: &[(&str, &str)] = &[
    ("Namespace", "/api/v1/namespaces"),
    ("Node", "/api/v1/nodes"),
    ("StorageClass", "/apis/storage.k8s.io/v1/storageclasses"),
    ("CSIDriver", "/apis/storage.k8s.io/v1/csidrivers"),
    ("CSINode", "/apis/storage.k8s.io/v1/csinodes"),
    ("PersistentVolume", "/api/v1/persistentvolumes"),
    ("PersistentVolumeClaim", "/api/v1/persistentvolumeclaims"),
    ("Service", "/api/v1/services"),
    ("Deployment", "/apis/apps/v1/deployments"),
    ("ReplicaSet", "/apis/apps/v1/replicasets"),
    ("StatefulSet", "/apis/apps/v1/statefulsets"),
    ("Pod", "/api/v1/pods"),
];

/// Kind, namespace (empty for none) and name.
type Key = (&'static str, String, String);

/// The objects of a cluster at one moment.
#[derive(Clone, Default)]
pub struct Objects(BTreeMap<Key, Arc<Value>>);

impl FromIterator<(&'static str, Value)> for Objects {
    fn from_iter<T: IntoIterator<Item = (&'static str, Value)>>(objects: T) -> Self {
        let keyed =
            objects.into_iter().map(|(kind, object)| (key(kind, &object), Arc::new(object)));
        Self(keyed.collect())
    }
}

impl Objects {
    /// Every object, and its kind.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &Value)> {
        self.0.iter().map(|((kind, ..), object)| (*kind, &**object))
    }

    /// What has the name of this object here.
    pub fn same(&self, kind: &'static str, object: &Value) -> Option<&Value> {
        self.0.get(&key(kind, object)).map(|known| &**known)
    }

    /// Everything as a `List`, without what has no say in scheduling.
    pub fn to_list(&self) -> Value {
        let items: Vec<Value> = self
            .0
            .iter()
            .filter(|((kind, ..), _)| *kind != "Deployment")
            .map(|((kind, ..), object)| pruned(kind, Value::clone(object)))
            .collect();
        json!({"apiVersion": "v1", "kind": "List", "items": items})
    }
}

/// The objects of a cluster.
#[derive(Default)]
pub struct World {
    objects: Objects,
    pub index: Index,
}

impl World {
    /// The objects of a `List`.
    pub fn read(list: &Value) -> Self {
        let mut world = Self::default();
        for object in list["items"].as_array().unwrap() {
            let kind = object["kind"].as_str().unwrap();
            let known = KINDS.iter().find(|(known, _)| *known == kind).unwrap();
            world.put(known.0, object.clone());
        }
        world
    }

    /// What there is now.
    pub fn objects(&self) -> Objects {
        self.objects.clone()
    }

    pub fn put(&mut self, kind: &'static str, object: Value) {
        self.index.apply(change(kind, object.clone()));
        self.objects.0.insert(key(kind, &object), Arc::new(object));
    }

    pub fn remove(&mut self, kind: &'static str, object: &Value) {
        let key = key(kind, object);
        let (namespace, name) = (Name::from(&*key.1), Name::from(&*key.2));
        self.index.apply(Change::Gone(watched(kind), namespace, name));
        self.objects.0.remove(&key);
    }

    /// Makes these the only objects of their kind.
    pub fn replace(&mut self, kind: &'static str, objects: &[Value]) {
        let listed: BTreeSet<Key> = objects.iter().map(|object| key(kind, object)).collect();
        let gone: Vec<Value> =
            self.all(kind).filter(|object| !listed.contains(&key(kind, object))).cloned().collect();
        for object in &gone {
            self.remove(kind, object);
        }
        for object in objects {
            self.put(kind, object.clone());
        }
    }

    pub fn get(&self, kind: &'static str, namespace: &str, name: &str) -> Option<&Value> {
        self.objects.0.get(&(kind, namespace.to_owned(), name.to_owned())).map(|object| &**object)
    }

    pub fn all(&self, kind: &'static str) -> impl Iterator<Item = &Value> {
        let objects = self.objects.0.range((kind, String::new(), String::new())..);
        objects.take_while(move |((other, ..), _)| *other == kind).map(|(_, object)| &**object)
    }
}

fn key(kind: &'static str, object: &Value) -> Key {
    let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default().to_owned();
    (kind, text("namespace"), text("name"))
}

fn watched(kind: &str) -> Kind {
    match kind {
        "Namespace" => Kind::Namespace,
        "Node" => Kind::Node,
        "StorageClass" => Kind::StorageClass,
        "CSIDriver" => Kind::CsiDriver,
        "CSINode" => Kind::CsiNode,
        "PersistentVolume" => Kind::Volume,
        "PersistentVolumeClaim" => Kind::Claim,
        "Service" => Kind::Service,
        "Deployment" => Kind::Deployment,
        "ReplicaSet" => Kind::ReplicaSet,
        "StatefulSet" => Kind::StatefulSet,
        "Pod" => Kind::Pod,
        other => panic!("{other} is not watched"),
    }
}

fn change(kind: &str, object: Value) -> Change {
    fn read<T: DeserializeOwned>(object: Value) -> T {
        serde_json::from_value(object).unwrap()
    }
    match watched(kind) {
        Kind::Namespace => Change::Namespace(read(object)),
        Kind::Node => Change::Node(read(object)),
        Kind::StorageClass => Change::StorageClass(read(object)),
        Kind::CsiDriver => Change::CsiDriver(read(object)),
        Kind::CsiNode => Change::CsiNode(read(object)),
        Kind::Volume => Change::Volume(read(object)),
        Kind::Claim => Change::Claim(read(object)),
        Kind::Service => Change::Service(read(object)),
        Kind::Deployment => Change::Deployment(read(object)),
        Kind::ReplicaSet => Change::ReplicaSet(read(object)),
        Kind::StatefulSet => Change::StatefulSet(read(object)),
        Kind::Pod => Change::Pod(read(object)),
        other => panic!("{other:?} is not part of these tests"),
    }
}

/// What a pod's spec and its containers have a say in.
const POD_FIELDS: [&str; 16] = [
    "affinity",
    "containers",
    "initContainers",
    "nodeName",
    "nodeSelector",
    "overhead",
    "preemptionPolicy",
    "priority",
    "resourceClaims",
    "resources",
    "schedulerName",
    "schedulingGates",
    "terminationGracePeriodSeconds",
    "tolerations",
    "topologySpreadConstraints",
    "volumes",
];
/// What of a pod's status has a say; of its conditions only one.
const STATUS_FIELDS: [&str; 6] = [
    "phase",
    "conditions",
    "containerStatuses",
    "initContainerStatuses",
    "allocatedResources",
    "resources",
];
const CONTAINER_FIELDS: [&str; 5] = ["name", "image", "resources", "ports", "restartPolicy"];
const METADATA_FIELDS: [&str; 7] = [
    "name",
    "namespace",
    "labels",
    "annotations",
    "deletionTimestamp",
    "ownerReferences",
    "generation",
];

fn retain(value: &mut Value, fields: &[&str]) {
    if let Some(map) = value.as_object_mut() {
        map.retain(|field, _| fields.contains(&field.as_str()));
    }
}

/// What of an object has a say in scheduling.
pub fn pruned(kind: &str, mut object: Value) -> Value {
    retain(&mut object["metadata"], &METADATA_FIELDS);
    if kind != "Pod" {
        object["metadata"].as_object_mut().map(|metadata| metadata.remove("generation"));
    }
    match kind {
        "Pod" => {
            retain(&mut object["status"], &STATUS_FIELDS);
            for statuses in ["containerStatuses", "initContainerStatuses"] {
                for status in object["status"][statuses].as_array_mut().into_iter().flatten() {
                    retain(status, &["name", "allocatedResources", "resources"]);
                }
            }
            if let Some(conditions) = object["status"]["conditions"].as_array_mut() {
                conditions.retain(|condition| condition["type"] == "PodResizePending");
            }
            let spec = &mut object["spec"];
            retain(spec, &POD_FIELDS);
            for containers in ["containers", "initContainers"] {
                for container in spec[containers].as_array_mut().into_iter().flatten() {
                    retain(container, &CONTAINER_FIELDS);
                }
            }
        }
        "Node" => retain(&mut object["status"], &["allocatable", "images"]),
        "ReplicaSet" | "StatefulSet" => {
            retain(&mut object, &["metadata", "spec", "status"]);
            retain(&mut object["spec"], &["selector", "template", "updateStrategy"]);
            let revisions = ["currentRevision", "updateRevision", "currentReplicas"];
            retain(&mut object["status"], &revisions);
        }
        _ => retain(
            &mut object,
            &["metadata", "spec", "allowedTopologies", "provisioner", "volumeBindingMode"],
        ),
    }
    object["kind"] = json!(kind);
    object
}
