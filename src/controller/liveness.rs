//! Signs of life of the watches: a client that reports each.
//!
//! An idle watch and a dead one look the same to who waits for events. But the API
//! server begins each watch with an answer, and says where it is before it ends one.

use std::time::{Duration, Instant};

use axum::body::Body;
use futures::StreamExt;
use http::{Request, Response, Uri};
use kube::{Client, Config, Error};
use tokio::sync::mpsc;

use crate::observe::{Kind, WatchEvent};

/// One sign of life in so long is enough.
const TOLD_EVERY: Duration = Duration::from_secs(1);

/// A client for watches that reports their signs of life to `events`.
///
/// # Errors
/// When the configuration does not make a client.
pub fn watching_client(config: Config, events: &mpsc::Sender<WatchEvent>) -> Result<Client, Error> {
    let namespace = config.default_namespace.clone();
    let client = Client::try_from(config)?;
    let events = events.clone();
    let service = tower::service_fn(move |request: Request<kube::client::Body>| {
        let kind = watched(request.uri());
        let (client, events) = (client.clone(), events.clone());
        async move {
            let response = client.send(request).await?.map(Body::new);
            Ok::<_, Error>(match kind.filter(|_| response.status().is_success()) {
                Some(kind) => with_liveness(response, kind, events),
                None => response,
            })
        }
    });
    Ok(Client::new(service, namespace))
}

/// What the request watches, if it is a watch.
fn watched(uri: &Uri) -> Option<Kind> {
    let is_watch = uri.query()?.split('&').any(|parameter| parameter == "watch=true");
    let resource = uri.path().rsplit('/').next()?;
    Kind::ALL.into_iter().find(|kind| is_watch && kind.resource() == resource)
}

fn with_liveness(
    response: Response<Body>,
    kind: Kind,
    events: mpsc::Sender<WatchEvent>,
) -> Response<Body> {
    // A full queue is a sign of life by itself.
    let tell = move || drop(events.try_send(WatchEvent::Alive(kind)));
    tell();
    let mut told = Instant::now();
    response.map(|body| {
        Body::from_stream(body.into_data_stream().inspect(move |piece| {
            if piece.is_ok() && told.elapsed() >= TOLD_EVERY {
                told = Instant::now();
                tell();
            }
        }))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("/api/v1/pods?&watch=true&timeoutSeconds=20", Some(Kind::Pod))]
    #[case("/apis/storage.k8s.io/v1/storageclasses?&watch=true", Some(Kind::StorageClass))]
    #[case("/api/v1/pods?&limit=500", None)]
    #[case("/api/v1/pods", None)]
    #[case("/api/v1/secrets?&watch=true", None)]
    fn a_watch_is_told_from_other_requests(#[case] uri: &str, #[case] kind: Option<Kind>) {
        assert_eq!(watched(&uri.parse().unwrap()), kind);
    }
}
