//! Watches: from the API server into the index, slim and with relists folded in.

use std::time::Duration;

use futures::StreamExt;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::Api;
use kube::core::PartialObjectMeta;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Client, Resource, ResourceExt};
use rustc_hash::{FxHashMap, FxHashSet};
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;
use tracing::warn;

use crate::api::ZoneSpreadPolicy;
use crate::observe::{
    Change, Index, Kind, Name, WatchedBudget, WatchedClaim, WatchedDeployment, WatchedNode,
    WatchedPersistentVolume, WatchedPod, WatchedReplicaSet, WatchedService, WatchedStatefulSet,
    WatchedStorageClass,
};

/// The API server ends a watch after this long, and it is begun anew: a dead
/// connection is noticed by then.
const WATCH_TIMEOUT_SECONDS: u32 = 45;

/// Something that a watch says.
#[derive(Debug)]
pub enum Feed {
    /// An object was applied, or is gone.
    Change(Kind, Box<Change>),
    /// A list begins.
    ListBegins(Kind),
    /// The list is complete: what was not in it is gone.
    ListEnds(Kind),
    /// The watch failed, and is being begun anew.
    Failed(Kind),
}

/// Watches every kind; what is seen goes to `feeds`.
pub fn watch_all(client: &Client, feeds: &mpsc::Sender<Feed>) {
    watch::<WatchedNode>(client, Kind::Node, feeds, Change::Node);
    watch::<WatchedPod>(client, Kind::Pod, feeds, Change::Pod);
    watch::<WatchedDeployment>(client, Kind::Deployment, feeds, Change::Deployment);
    watch::<WatchedReplicaSet>(client, Kind::ReplicaSet, feeds, Change::ReplicaSet);
    watch::<WatchedStatefulSet>(client, Kind::StatefulSet, feeds, Change::StatefulSet);
    watch::<WatchedBudget>(client, Kind::Budget, feeds, Change::Budget);
    watch::<WatchedService>(client, Kind::Service, feeds, Change::Service);
    watch::<WatchedClaim>(client, Kind::Claim, feeds, Change::Claim);
    watch::<WatchedPersistentVolume>(client, Kind::Volume, feeds, Change::Volume);
    watch::<WatchedStorageClass>(client, Kind::StorageClass, feeds, Change::StorageClass);
    watch::<ZoneSpreadPolicy>(client, Kind::Policy, feeds, |policy| {
        Change::Policy(Box::new(policy))
    });
    watch::<PartialObjectMeta<Namespace>>(client, Kind::Namespace, feeds, |namespace| {
        let labels = namespace.labels().clone();
        Change::Namespace(Name::from(namespace.name_any()), labels)
    });
}

fn config() -> watcher::Config {
    watcher::Config::default().timeout(WATCH_TIMEOUT_SECONDS)
}

fn watch<K>(client: &Client, kind: Kind, feeds: &mpsc::Sender<Feed>, into: fn(K) -> Change)
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + std::fmt::Debug + Send + 'static,
{
    let stream = watcher(Api::<K>::all(client.clone()), config()).default_backoff();
    tokio::spawn(forward(stream, kind, feeds.clone(), into));
}

async fn forward<K, S>(stream: S, kind: Kind, feeds: mpsc::Sender<Feed>, into: impl Fn(K) -> Change)
where
    K: ResourceExt,
    S: futures::Stream<Item = watcher::Result<watcher::Event<K>>>,
{
    let mut stream = std::pin::pin!(stream);
    while let Some(event) = stream.next().await {
        let feed = match event {
            Ok(watcher::Event::Apply(object) | watcher::Event::InitApply(object)) => {
                Feed::Change(kind, Box::new(into(object)))
            }
            Ok(watcher::Event::Delete(object)) => {
                let namespace = Name::from(object.namespace().unwrap_or_default());
                let gone = Change::Gone(kind, namespace, Name::from(object.name_any()));
                Feed::Change(kind, Box::new(gone))
            }
            Ok(watcher::Event::Init) => Feed::ListBegins(kind),
            Ok(watcher::Event::InitDone) => Feed::ListEnds(kind),
            Err(error) => {
                warn!(resource = kind.resource(), %error, "the watch failed, trying again");
                Feed::Failed(kind)
            }
        };
        // The receiver is gone only when the process ends.
        if feeds.send(feed).await.is_err() {
            return;
        }
    }
}

/// What is known of the watches: which lists are complete, and which fail.
#[derive(Debug, Default)]
pub struct Freshness {
    synced: FxHashSet<Kind>,
    failing: FxHashMap<Kind, Timestamp>,
    listing: FxHashMap<Kind, FxHashSet<(Name, Name)>>,
}

/// A watch may fail this long before its silence matters.
const STALE_AFTER: Duration = Duration::from_secs(1);

impl Freshness {
    /// Takes note of a feed, and gives the changes that follow from it.
    pub fn note(&mut self, feed: Feed, index: &Index, now: Timestamp) -> Vec<Change> {
        match feed {
            Feed::Change(kind, change) => {
                self.failing.remove(&kind);
                if let Some(listed) = self.listing.get_mut(&kind)
                    && let Some(key) = key_of(&change)
                {
                    listed.insert(key);
                }
                vec![*change]
            }
            Feed::ListBegins(kind) => {
                self.listing.insert(kind, FxHashSet::default());
                Vec::new()
            }
            Feed::ListEnds(kind) => {
                self.synced.insert(kind);
                self.failing.remove(&kind);
                let listed = self.listing.remove(&kind).unwrap_or_default();
                let known = index.known(kind).into_iter();
                known
                    .filter(|key| !listed.contains(key))
                    .map(|(namespace, name)| Change::Gone(kind, namespace, name))
                    .collect()
            }
            Feed::Failed(kind) => {
                self.failing.entry(kind).or_insert(now);
                Vec::new()
            }
        }
    }

    /// Whether every list has been complete once.
    pub fn is_synced(&self) -> bool {
        self.synced.len() == Kind::ALL.len()
    }

    /// Kinds whose first list is not complete.
    pub fn missing(&self) -> Vec<&'static str> {
        let missing = Kind::ALL.into_iter().filter(|kind| !self.synced.contains(kind));
        missing.map(Kind::resource).collect()
    }

    /// How long each watch has failed; zero for those that work.
    pub fn ages(&self, now: Timestamp) -> impl Iterator<Item = (Kind, Duration)> {
        Kind::ALL.into_iter().map(move |kind| {
            let since = self.failing.get(&kind).copied().unwrap_or(now);
            (kind, Duration::try_from(now.duration_since(since)).unwrap_or_default())
        })
    }

    /// What we may not know (law 1).
    pub fn stale(&self, now: Timestamp) -> Option<String> {
        let (kind, age) = self.ages(now).max_by_key(|(_, age)| *age)?;
        let since = self.failing.get(&kind)?;
        (age >= STALE_AFTER).then(|| {
            let since = since.strftime("%H:%M:%SZ");
            format!("the watch of {} has failed since {since}", kind.resource())
        })
    }

    /// When a failing watch becomes stale.
    pub fn next_change(&self, now: Timestamp) -> Option<Timestamp> {
        let soon = |since: &Timestamp| since.checked_add(STALE_AFTER).ok().filter(|at| *at > now);
        self.failing.values().filter_map(soon).min()
    }
}

fn key_of(change: &Change) -> Option<(Name, Name)> {
    fn of(object: &impl ResourceExt) -> (Name, Name) {
        (Name::from(object.namespace().unwrap_or_default()), Name::from(object.name_any()))
    }
    Some(match change {
        Change::Node(object) => of(object),
        Change::Pod(object) => of(object),
        Change::Deployment(object) => of(object),
        Change::ReplicaSet(object) => of(object),
        Change::StatefulSet(object) => of(object),
        Change::Budget(object) => of(object),
        Change::Service(object) => of(object),
        Change::Claim(object) => of(object),
        Change::Volume(object) => of(object),
        Change::StorageClass(object) => of(object),
        Change::Policy(object) => of(&**object),
        Change::Namespace(name, _) => (Name::from(""), Name::clone(name)),
        Change::Gone(..) => return None,
    })
}
