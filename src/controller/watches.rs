//! Watches: from the API server into the index, slim and with relists folded in.

use futures::StreamExt;
use kube::api::Api;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Client, ResourceExt};
use tokio::sync::mpsc;
use tracing::warn;

use crate::observe::{Change, Kind, KindVisitor, Name, WATCH_LASTS, WatchEvent, Watched};

/// Objects per page of a list. The text of a page is held three times while it is read: 500
/// pods, which is usual, are more than 10 MB.
const PAGE: u32 = 200;

/// Watches every kind; what is seen goes to `events`.
pub fn watch_all(client: &Client, events: &mpsc::Sender<WatchEvent>) {
    for kind in Kind::ALL {
        kind.visit(Start { client, events });
    }
}

struct Start<'a> {
    client: &'a Client,
    events: &'a mpsc::Sender<WatchEvent>,
}

impl KindVisitor for Start<'_> {
    type Output = ();

    fn visit<K: Watched>(self) {
        let config = watcher::Config::default().timeout(WATCH_LASTS).page_size(PAGE);
        let stream = watcher(Api::<K>::all(self.client.clone()), config).default_backoff();
        tokio::spawn(forward(stream, self.events.clone()));
    }
}

async fn forward<K: Watched>(
    stream: impl futures::Stream<Item = watcher::Result<watcher::Event<K>>>,
    events: mpsc::Sender<WatchEvent>,
) {
    let kind = K::KIND;
    let mut stream = std::pin::pin!(stream);
    while let Some(event) = stream.next().await {
        let event = match event {
            Ok(watcher::Event::Apply(object) | watcher::Event::InitApply(object)) => {
                WatchEvent::Change(kind, Box::new(object.applied()))
            }
            Ok(watcher::Event::Delete(object)) => {
                let namespace = Name::from(object.namespace().unwrap_or_default());
                let gone = Change::Gone(kind, namespace, Name::from(object.name_any()));
                WatchEvent::Change(kind, Box::new(gone))
            }
            Ok(watcher::Event::Init) => WatchEvent::ListBegins(kind),
            Ok(watcher::Event::InitDone) => WatchEvent::ListEnds(kind),
            Err(error) => {
                warn!(resource = kind.resource(), %error, "the watch failed, trying again");
                WatchEvent::Failed(kind)
            }
        };
        // The receiver is gone only when the process ends.
        if events.send(event).await.is_err() {
            return;
        }
    }
}
