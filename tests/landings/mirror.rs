//! What the API server shows, kept up to date by watches: as JSON, and as the
//! index that the operator would have.

use crate::world::{KINDS, World};
use futures::TryStreamExt;
use kube::Client;
use kube::core::WatchEvent;
use serde_json::Value;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;

const PATIENCE: Duration = Duration::from_secs(30);

/// The objects of a cluster, seen through watches.
pub struct Mirror {
    world: Arc<Mutex<World>>,
    changes: watch::Receiver<u64>,
}

impl Mirror {
    /// Lists every kind and goes on watching it.
    pub async fn of(client: &Client) -> Self {
        let world = Arc::new(Mutex::new(World::default()));
        let (counter, changes) = watch::channel(0);
        for (kind, path) in KINDS {
            let request = http::Request::get(*path).body(Vec::new()).unwrap();
            let list: Value = client.request(request).await.unwrap();
            for object in list["items"].as_array().unwrap() {
                world.lock().unwrap().put(kind, object.clone());
            }
            let version = list["metadata"]["resourceVersion"].as_str().unwrap();
            let path = format!("{path}?watch=true&timeoutSeconds=36000&resourceVersion={version}");
            tokio::spawn(follow(client.clone(), kind, path, Arc::clone(&world), counter.clone()));
        }
        Self { world, changes }
    }

    /// What is shown now.
    pub fn look<T>(&self, at: impl FnOnce(&mut World) -> T) -> T {
        at(&mut self.world.lock().unwrap())
    }

    /// Waits, without polling, until `seen` gives something.
    pub async fn until<T>(&self, what: &str, seen: impl FnMut(&mut World) -> Option<T>) -> T {
        self.within(PATIENCE, seen).await.unwrap_or_else(|| panic!("waited in vain for {what}"))
    }

    /// Like [`Self::until`], but gives up.
    pub async fn within<T>(
        &self,
        patience: Duration,
        mut seen: impl FnMut(&mut World) -> Option<T>,
    ) -> Option<T> {
        let mut changes = self.changes.clone();
        let deadline = tokio::time::Instant::now() + patience;
        loop {
            changes.mark_unchanged();
            if let Some(found) = self.look(&mut seen) {
                return Some(found);
            }
            tokio::time::timeout_at(deadline, changes.changed()).await.ok()?.ok()?;
        }
    }
}

async fn follow(
    client: Client,
    kind: &'static str,
    path: String,
    world: Arc<Mutex<World>>,
    counter: watch::Sender<u64>,
) {
    let request = http::Request::get(path).body(Vec::new()).unwrap();
    let mut events = std::pin::pin!(client.request_events::<Value>(request).await.unwrap());
    // The stream ends with the cluster.
    while let Ok(Some(event)) = events.try_next().await {
        match event {
            WatchEvent::Added(object) | WatchEvent::Modified(object) => {
                world.lock().unwrap().put(kind, object);
            }
            WatchEvent::Deleted(object) => world.lock().unwrap().remove(kind, &object),
            WatchEvent::Bookmark(_) => {}
            WatchEvent::Error(error) => panic!("the watch of {kind}: {error:?}"),
        }
        counter.send_modify(|count| *count += 1);
    }
}
