//! What the page shows: objects of the cluster as the watches bring them, and how old that is.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use kube::core::DeserializeGuard;
use kube::runtime::watcher::Event;
use kube::{Resource, ResourceExt};
use serde::{Serialize, Serializer};

use crate::api::{LossReason, ZoneDrill, ZoneObject, ZoneSpreadPolicy, ZoneSpreadPolicySpec};
use crate::cli::history::{ToldRecovery, recoveries_of};
use crate::cli::status::Known;

/// A namespace, which cluster-scoped objects lack, and a name.
pub type Key = (String, String);

/// A policy, and what its spec says that its status does not.
#[derive(Clone, Debug, Serialize)]
pub struct BoardPolicy {
    /// What `status -o json` says of it.
    #[serde(flatten)]
    pub known: Known,
    /// Whether the spec has changed since the status was written.
    pub outdated: bool,
    #[serde(skip)]
    spec: ZoneSpreadPolicySpec,
}

impl BoardPolicy {
    /// Whether the policy accepts that the loss of a zone does this to a tier.
    pub fn accepts(&self, tier: &str, reason: LossReason) -> bool {
        let mut tiers = self.spec.tiers.iter().filter(|known| known.name == tier);
        tiers.any(|known| known.single_zone.as_ref().is_some_and(|zone| zone.accepted))
            || self.spec.accepted_losses().any(|accepted| accepted == reason)
    }
}

impl From<ZoneSpreadPolicy> for BoardPolicy {
    fn from(policy: ZoneSpreadPolicy) -> Self {
        let spec = policy.spec.clone();
        let known = Known::from(policy);
        Self { outdated: known.outdated, known, spec }
    }
}

/// An object that cannot be read as what it is: written by a newer version, or without its CRD.
#[derive(Clone, Debug, Serialize)]
pub struct Unreadable {
    /// Its namespace; empty for objects of the cluster.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Why.
    pub error: String,
}

/// The objects of a kind, and how the watch of them fares.
#[derive(Debug)]
pub struct Feed<T> {
    /// By namespace and name.
    pub objects: BTreeMap<Key, Result<T, Unreadable>>,
    /// Those of a list, until it is complete.
    listed: Option<BTreeMap<Key, Result<T, Unreadable>>>,
    /// Whether they have been listed once.
    pub is_listed: bool,
    /// Why they are not watched now.
    pub failed: Option<String>,
}

impl<T> Default for Feed<T> {
    fn default() -> Self {
        Self { objects: BTreeMap::new(), listed: None, is_listed: false, failed: None }
    }
}

impl<T> Feed<T> {
    /// Takes in what the watch brings; whether something has changed by it.
    pub fn apply<K>(&mut self, event: Event<DeserializeGuard<K>>) -> bool
    where
        K: Into<T> + Resource,
    {
        match event {
            Event::Init => self.listed = Some(BTreeMap::new()),
            Event::InitApply(object) => {
                let (key, object) = kept(object);
                self.listed.get_or_insert_default().insert(key, object);
            }
            Event::InitDone => {
                self.objects = self.listed.take().unwrap_or_default();
                (self.is_listed, self.failed) = (true, None);
                return true;
            }
            Event::Apply(object) => {
                let (key, object) = kept(object);
                self.objects.insert(key, object);
                self.failed = None;
                return true;
            }
            Event::Delete(object) => {
                let key = key(&object);
                self.failed = None;
                return self.objects.remove(&key).is_some();
            }
        }
        false
    }

    /// Those that can be read.
    pub fn readable(&self) -> impl Iterator<Item = &T> {
        self.objects.values().filter_map(|object| object.as_ref().ok())
    }

    /// Those that cannot.
    pub fn unreadable(&self) -> impl Iterator<Item = &Unreadable> {
        self.objects.values().filter_map(|object| object.as_ref().err())
    }
}

fn key<K: Resource>(object: &DeserializeGuard<K>) -> Key {
    (object.namespace().unwrap_or_default(), object.name_any())
}

fn kept<K: Into<T> + Resource, T>(object: DeserializeGuard<K>) -> (Key, Result<T, Unreadable>) {
    let key = key(&object);
    let (namespace, name) = key.clone();
    let kept = match object.0 {
        Ok(object) => Ok(object.into()),
        Err(error) => Err(Unreadable { namespace, name, error: error.error }),
    };
    (key, kept)
}

/// What is known of the cluster.
#[derive(Debug)]
pub struct Board {
    /// The API server's address.
    pub cluster: String,
    /// The namespace whose policies are shown; none for all.
    pub namespace: Option<String>,
    /// The policies.
    pub policies: Feed<BoardPolicy>,
    /// The zones.
    pub zones: Feed<ZoneObject>,
    /// The drills.
    pub drills: Feed<ZoneDrill>,
    /// When the API server last answered.
    heard: Instant,
    /// Why it does not.
    lost: Option<String>,
    /// Tells this process from the one before it at the same address.
    began: Timestamp,
    changes: u64,
}

impl Board {
    /// Nothing is known yet, but that the API server answers.
    pub fn new(cluster: String, namespace: Option<String>) -> Self {
        Self {
            cluster,
            namespace,
            policies: Feed::default(),
            zones: Feed::default(),
            drills: Feed::default(),
            heard: Instant::now(),
            lost: None,
            began: Timestamp::now(),
            changes: 0,
        }
    }

    /// Something has changed that the page shows.
    pub fn changed(&mut self) {
        self.changes += 1;
    }

    /// Tells two states of the page apart.
    pub fn version(&self) -> String {
        format!("{:x}-{}", self.began.as_nanosecond(), self.changes)
    }

    /// The API server has answered, or not.
    pub fn heard(&mut self, answer: Result<(), String>) {
        match answer {
            Ok(()) => (self.heard, self.lost) = (Instant::now(), None),
            Err(why) => self.lost = Some(why),
        }
    }

    /// How long ago it last did.
    pub fn silence(&self) -> Duration {
        self.heard.elapsed()
    }

    /// Why what is shown may be old.
    pub fn problem(&self) -> Option<&str> {
        self.lost.as_deref().or(self.policies.failed.as_deref())
    }

    /// The recoveries of all policies, the oldest first.
    pub fn recoveries(&self) -> Vec<ToldRecovery> {
        recoveries_of(self.policies.readable().map(|policy| &policy.known))
    }

    /// All of it, for programs.
    pub fn json(&self) -> serde_json::Result<String> {
        serde_json::to_string(&Told {
            cluster: &self.cluster,
            namespace: self.namespace.as_deref(),
            heard_seconds_ago: self.silence().as_secs(),
            problem: self.problem(),
            policies: Readable(&self.policies),
            unreadable_policies: self.policies.unreadable().collect(),
            zones: Readable(&self.zones),
            drills: Readable(&self.drills),
            recoveries: self.recoveries(),
        })
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Told<'a> {
    cluster: &'a str,
    namespace: Option<&'a str>,
    heard_seconds_ago: u64,
    problem: Option<&'a str>,
    policies: Readable<'a, BoardPolicy>,
    unreadable_policies: Vec<&'a Unreadable>,
    zones: Readable<'a, ZoneObject>,
    drills: Readable<'a, ZoneDrill>,
    recoveries: Vec<ToldRecovery>,
}

struct Readable<'a, T>(&'a Feed<T>);

impl<T: Serialize> Serialize for Readable<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.readable())
    }
}
