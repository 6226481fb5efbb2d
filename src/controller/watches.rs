//! Watches: from the API server into the index, slim and with relists folded in.

use futures::StreamExt;
use kube::api::Api;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Client, ResourceExt};
use tokio::sync::mpsc;

use super::complaints::Complaints;
use super::error_text::error_with_remedy;
use crate::observe::{Change, Kind, KindVisitor, Name, WATCH_LASTS, WatchEvent, Watched};

/// Objects per page of a list. The text of a page is held three times while it is read: 500
/// pods, which is usual, are more than 10 MB.
const PAGE: u32 = 200;

/// Watches every kind that is always needed; what is seen goes to `events`.
pub fn watch_all(client: &Client, address: &str, events: &mpsc::Sender<WatchEvent>) {
    watch_kinds(client, address, events, |kind| !kind.is_optional());
}

/// Watches the other kinds as well: called once there is the right to.
pub fn watch_optional(client: &Client, address: &str, events: &mpsc::Sender<WatchEvent>) {
    watch_kinds(client, address, events, Kind::is_optional);
}

fn watch_kinds(
    client: &Client,
    address: &str,
    events: &mpsc::Sender<WatchEvent>,
    is_wanted: impl Fn(Kind) -> bool,
) {
    let complaints = Complaints::default();
    for kind in Kind::ALL.into_iter().filter(|kind| is_wanted(*kind)) {
        kind.visit(Start { client, address, events, complaints: &complaints });
    }
}

struct Start<'a> {
    client: &'a Client,
    /// The API server's, for messages.
    address: &'a str,
    events: &'a mpsc::Sender<WatchEvent>,
    complaints: &'a Complaints,
}

impl KindVisitor for Start<'_> {
    type Output = ();

    fn visit<K: Watched>(self) {
        let config = watcher::Config::default().timeout(WATCH_LASTS).page_size(PAGE);
        let stream = watcher(Api::<K>::all(self.client.clone()), config).default_backoff();
        let (address, complaints) = (self.address.to_owned(), self.complaints.clone());
        tokio::spawn(forward(stream, self.events.clone(), address, complaints));
    }
}

async fn forward<K: Watched>(
    stream: impl futures::Stream<Item = watcher::Result<watcher::Event<K>>>,
    events: mpsc::Sender<WatchEvent>,
    address: String,
    complaints: Complaints,
) {
    let kind = K::KIND;
    let mut has_failed = false;
    let mut stream = std::pin::pin!(stream);
    while let Some(event) = stream.next().await {
        // A list begins before anything is asked for.
        if has_failed && matches!(&event, Ok(event) if !matches!(event, watcher::Event::Init)) {
            has_failed = false;
            complaints.mended(kind);
        }
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
                has_failed = true;
                complaints.failed(kind, &why(&error, &address));
                WatchEvent::Failed(kind)
            }
        };
        // The receiver is gone only when the process ends.
        if events.send(event).await.is_err() {
            return;
        }
    }
}

/// Why a watch failed; the same words for all kinds that fail alike.
fn why(error: &watcher::Error, address: &str) -> String {
    let error = match error {
        watcher::Error::InitialListFailed(error)
        | watcher::Error::WatchStartFailed(error)
        | watcher::Error::WatchFailed(error) => error,
        watcher::Error::WatchError(status) => return status.message.clone(),
        watcher::Error::NoResourceVersion => return error.to_string(),
    };
    match error {
        // The API server's message names the kind.
        kube::Error::Api(status) if status.code == 403 => format!(
            "{address} forbids it: deploy/base/rbac.yaml gives the operator's service account these rights"
        ),
        error => error_with_remedy(error, address, ""),
    }
}
