//! A cluster, listed once, page by page.

use std::future::Future;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use kube::api::{Api, ListParams};
use kube::{Client, Config, Resource};
use serde::de::DeserializeOwned;
use thiserror::Error;

use crate::api::ZoneSpreadPolicy;
use crate::observe::{
    Change, Kind, WatchedBudget, WatchedClaim, WatchedCsiDriver, WatchedCsiNode, WatchedDeployment,
    WatchedNamespace, WatchedNode, WatchedPersistentVolume, WatchedPod, WatchedReplicaSet,
    WatchedService, WatchedStatefulSet, WatchedStorageClass,
};

use super::output::note;

/// Objects per request.
const PAGE: u32 = 500;

/// Why a cluster cannot be listed.
#[derive(Debug, Error)]
pub enum LiveError {
    /// No client.
    #[error("cannot set up a client for the cluster: {0}")]
    Client(#[source] Box<kube::Error>),
    /// The policies' kind is not known there.
    #[error(
        "the cluster knows no ZoneSpreadPolicies: install the CRD with `zonespread crd | kubectl apply --server-side -f -`"
    )]
    NoCrd,
    /// A request failed.
    #[error("cannot list {resource}: {source}")]
    List {
        /// What was asked for.
        resource: &'static str,
        /// Why not.
        source: Box<kube::Error>,
    },
}

/// Runs one future to its end.
///
/// # Errors
/// When the process gets no event loop.
pub fn block_on<T>(future: impl Future<Output = T>) -> std::io::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(runtime.block_on(future))
}

/// A client that gives up soon: somebody waits.
///
/// # Errors
/// When the configuration is not usable.
pub fn client(mut config: Config) -> Result<Client, LiveError> {
    config.connect_timeout = Some(std::time::Duration::from_secs(10));
    Client::try_from(config).map_err(|error| LiveError::Client(Box::new(error)))
}

/// Why the policies could not be read: mostly, that there is no such kind.
pub fn policies_error(error: kube::Error) -> LiveError {
    if status_of(&error) == Some(404) {
        return LiveError::NoCrd;
    }
    LiveError::List { resource: Kind::Policy.resource(), source: Box::new(error) }
}

fn status_of(error: &kube::Error) -> Option<u16> {
    match error {
        kube::Error::Api(status) => Some(status.code),
        _ => None,
    }
}

/// Lists every kind and hands the objects to `sink`. Kinds that are not
/// `needed` may be forbidden or unknown: that is noted, and they are left out.
///
/// # Errors
/// When a needed kind cannot be listed, or the cluster does not answer.
pub async fn list_all(
    config: Config,
    needed: &[Kind],
    sink: &mut dyn FnMut(Change),
) -> Result<(), LiveError> {
    let client = client(config)?;
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    if let Ok(style) = ProgressStyle::with_template("reading {msg}: {pos} objects, {elapsed}") {
        bar.set_style(style);
    }
    let mut lister = Lister { client, needed, sink, bar };
    // First what is small and needed: what fails, fails soon.
    lister.list(Kind::Policy, |policy: ZoneSpreadPolicy| Change::Policy(Box::new(policy))).await?;
    lister.list::<WatchedNode>(Kind::Node, Change::Node).await?;
    lister.list::<WatchedNamespace>(Kind::Namespace, Change::Namespace).await?;
    lister.list::<WatchedStorageClass>(Kind::StorageClass, Change::StorageClass).await?;
    lister.list::<WatchedCsiDriver>(Kind::CsiDriver, Change::CsiDriver).await?;
    lister.list::<WatchedCsiNode>(Kind::CsiNode, Change::CsiNode).await?;
    lister.list::<WatchedPersistentVolume>(Kind::Volume, Change::Volume).await?;
    lister.list::<WatchedClaim>(Kind::Claim, Change::Claim).await?;
    lister.list::<WatchedService>(Kind::Service, Change::Service).await?;
    lister.list::<WatchedBudget>(Kind::Budget, Change::Budget).await?;
    lister.list::<WatchedDeployment>(Kind::Deployment, Change::Deployment).await?;
    lister.list::<WatchedReplicaSet>(Kind::ReplicaSet, Change::ReplicaSet).await?;
    lister.list::<WatchedStatefulSet>(Kind::StatefulSet, Change::StatefulSet).await?;
    lister.list::<WatchedPod>(Kind::Pod, Change::Pod).await?;
    lister.bar.finish_and_clear();
    Ok(())
}

struct Lister<'a> {
    client: Client,
    needed: &'a [Kind],
    sink: &'a mut dyn FnMut(Change),
    bar: ProgressBar,
}

impl Lister<'_> {
    async fn list<K>(&mut self, kind: Kind, into: impl Fn(K) -> Change) -> Result<(), LiveError>
    where
        K: Resource<DynamicType = ()> + Clone + DeserializeOwned + std::fmt::Debug,
    {
        self.bar.set_message(kind.resource());
        let api = Api::<K>::all(self.client.clone());
        let mut page = ListParams::default().limit(PAGE);
        loop {
            let list = match api.list(&page).await {
                Ok(list) => list,
                Err(error) => return self.failed(kind, error),
            };
            self.bar.inc(u64::try_from(list.items.len()).unwrap_or_default());
            for object in list.items {
                (self.sink)(into(object));
            }
            match list.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => page = page.continue_token(&token),
                None => return Ok(()),
            }
        }
    }

    fn failed(&self, kind: Kind, error: kube::Error) -> Result<(), LiveError> {
        let dispensable = !self.needed.contains(&kind);
        match (kind, status_of(&error)) {
            // Without the CRD there are no policies whose moves could be under way.
            (Kind::Policy, Some(404)) if dispensable => Ok(()),
            (_, Some(403)) if dispensable => {
                self.bar.suspend(|| {
                    note(&format!("you may not list {}: the answer may differ", kind.resource()));
                });
                Ok(())
            }
            (Kind::Policy, _) => Err(policies_error(error)),
            _ => Err(LiveError::List { resource: kind.resource(), source: Box::new(error) }),
        }
    }
}
