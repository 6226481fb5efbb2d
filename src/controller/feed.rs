//! Watches: from the API server into the index, slim and with relists folded in.

use futures::StreamExt;
use kube::api::Api;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;
use tracing::warn;

use crate::api::ZoneSpreadPolicy;
use crate::observe::{
    Change, Feed, Kind, Name, WATCH_LASTS, WatchedBudget, WatchedClaim, WatchedCsiDriver,
    WatchedCsiNode, WatchedDeployment, WatchedNamespace, WatchedNode, WatchedPersistentVolume,
    WatchedPod, WatchedReplicaSet, WatchedService, WatchedStatefulSet, WatchedStorageClass,
};

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
    watch::<WatchedCsiNode>(client, Kind::CsiNode, feeds, Change::CsiNode);
    watch::<WatchedCsiDriver>(client, Kind::CsiDriver, feeds, Change::CsiDriver);
    watch::<ZoneSpreadPolicy>(client, Kind::Policy, feeds, |policy| {
        Change::Policy(Box::new(policy))
    });
    watch::<WatchedNamespace>(client, Kind::Namespace, feeds, Change::Namespace);
}

fn config() -> watcher::Config {
    watcher::Config::default().timeout(WATCH_LASTS)
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
