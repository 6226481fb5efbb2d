//! What the API server shows, kept up to date by watches: as JSON, and as the
//! index that the operator would have.

use super::world::{KINDS, World};
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
            let watch = Watch { client: client.clone(), kind, path, world: Arc::clone(&world) };
            let version = watch.list().await.unwrap();
            tokio::spawn(watch.follow(version, counter.clone()));
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

/// The watch of one kind.
struct Watch {
    client: Client,
    kind: &'static str,
    path: &'static str,
    world: Arc<Mutex<World>>,
}

impl Watch {
    /// Takes over what is there now; gives the version of the list.
    async fn list(&self) -> kube::Result<String> {
        let request = http::Request::get(self.path).body(Vec::new()).unwrap();
        let list: Value = self.client.request(request).await?;
        let objects = list["items"].as_array().unwrap();
        self.world.lock().unwrap().replace(self.kind, objects);
        Ok(list["metadata"]["resourceVersion"].as_str().unwrap().to_owned())
    }

    /// Watches until the cluster ends; a watch that ends before begins anew.
    async fn follow(self, mut version: String, counter: watch::Sender<u64>) {
        loop {
            self.watch(&version, &counter).await;
            match self.list().await {
                Ok(listed) => version = listed,
                Err(_) => return,
            }
            counter.send_modify(|count| *count += 1);
        }
    }

    async fn watch(&self, version: &str, counter: &watch::Sender<u64>) {
        let Self { client, kind, path, world } = self;
        let path = format!("{path}?watch=true&resourceVersion={version}");
        let request = http::Request::get(path).body(Vec::new()).unwrap();
        let Ok(events) = client.request_events::<Value>(request).await else { return };
        let mut events = std::pin::pin!(events);
        while let Ok(Some(event)) = events.try_next().await {
            match event {
                WatchEvent::Added(object) | WatchEvent::Modified(object) => {
                    world.lock().unwrap().put(kind, object);
                }
                WatchEvent::Deleted(object) => world.lock().unwrap().remove(kind, &object),
                WatchEvent::Bookmark(_) => {}
                WatchEvent::Error(_) => return,
            }
            counter.send_modify(|count| *count += 1);
        }
    }
}
