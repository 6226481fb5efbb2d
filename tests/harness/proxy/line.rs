//! The body of a watch on its way to the operator: late, silent or cut.

use axum::body::{Body, Bytes};
use futures::{Stream, StreamExt, stream};
use std::io;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

/// What a running watch does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    Flows,
    /// Open, and nothing comes any more.
    Silent,
    /// Ended in the middle of the answer.
    Cut,
}

/// One watch that runs, or has ended.
pub struct Line {
    pub resource: String,
    flow: watch::Sender<Flow>,
}

impl Line {
    /// Passes `body` on, each piece of it late by what `delay` says when it comes; the
    /// handle of the watch, and the body to give to the operator.
    pub fn lay(
        resource: &str,
        body: Body,
        delay: impl Fn() -> Duration + Send + 'static,
    ) -> (Self, Body) {
        let (flow, flows) = watch::channel(Flow::Flows);
        let (pieces, arrived) = mpsc::channel(1024);
        tokio::spawn(take_in(body, delay, pieces));
        let body = Body::from_stream(give_out(arrived, flows));
        (Self { resource: resource.to_owned(), flow }, body)
    }

    /// Whether the operator still listens.
    pub fn is_open(&self) -> bool {
        !self.flow.is_closed()
    }

    pub fn set(&self, flow: Flow) {
        self.flow.send_replace(flow);
    }
}

/// Reads what the API server sends, and notes when each piece is due.
async fn take_in(body: Body, delay: impl Fn() -> Duration, pieces: mpsc::Sender<(Instant, Bytes)>) {
    let mut body = body.into_data_stream();
    loop {
        tokio::select! {
            // The operator has gone: the watch ends here too.
            () = pieces.closed() => return,
            piece = body.next() => {
                let Some(Ok(piece)) = piece else { return };
                if pieces.send((Instant::now() + delay(), piece)).await.is_err() {
                    return;
                }
            }
        }
    }
}

fn give_out(
    arrived: mpsc::Receiver<(Instant, Bytes)>,
    flows: watch::Receiver<Flow>,
) -> impl Stream<Item = io::Result<Bytes>> {
    stream::unfold((arrived, flows), async |(mut arrived, mut flows)| {
        let cut = |arrived, flows| {
            let error = io::Error::new(io::ErrorKind::ConnectionReset, "cut by the test");
            Some((Err(error), (arrived, flows)))
        };
        let mut next = None;
        loop {
            let flow = *flows.borrow_and_update();
            if flow == Flow::Cut {
                return cut(arrived, flows);
            }
            let piece = async {
                if flow == Flow::Silent {
                    std::future::pending::<()>().await;
                }
                if next.is_none() {
                    next = Some(arrived.recv().await);
                }
                if let Some(Some((due, _))) = &next {
                    tokio::time::sleep_until(*due).await;
                }
            };
            tokio::select! {
                changed = flows.changed() => if changed.is_err() {
                    // The proxy is gone.
                    return cut(arrived, flows);
                },
                () = piece => {
                    let (_, piece) = next.flatten()?;
                    return Some((Ok(piece), (arrived, flows)));
                }
            }
        }
    })
}
