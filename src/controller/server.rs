//! /metrics, /livez and /readyz.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use jiff::Timestamp;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::report::Metrics;

/// Without a heartbeat for this long the process is not alive.
const HEARTBEAT_WITHIN: Duration = Duration::from_mins(1);

/// What the probes answer.
#[derive(Clone, Debug)]
pub struct Health {
    heartbeat: Arc<Mutex<Instant>>,
    not_ready: Arc<Mutex<Option<String>>>,
}

impl Default for Health {
    fn default() -> Self {
        let starting = Some("starting".to_owned());
        Self {
            heartbeat: Arc::new(Mutex::new(Instant::now())),
            not_ready: Arc::new(Mutex::new(starting)),
        }
    }
}

impl Health {
    /// The main loop is running.
    pub fn beat(&self) {
        *self.heartbeat.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// Why the process is not ready; none if it is.
    pub fn set_not_ready(&self, why: Option<String>) {
        *self.not_ready.lock().unwrap_or_else(PoisonError::into_inner) = why;
    }

    fn is_alive(&self) -> bool {
        self.heartbeat.lock().unwrap_or_else(PoisonError::into_inner).elapsed() < HEARTBEAT_WITHIN
    }

    fn not_ready(&self) -> Option<String> {
        self.not_ready.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

type Shared = (Health, Arc<Metrics>);

/// Serves until `stop`.
///
/// # Errors
/// When the server fails.
pub async fn serve(
    listener: TcpListener,
    health: Health,
    metrics: Arc<Metrics>,
    mut stop: watch::Receiver<bool>,
) -> std::io::Result<()> {
    let router = Router::new()
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .route("/metrics", get(render))
        .with_state((health, metrics));
    let stopped = async move {
        let _ = stop.wait_for(|stop| *stop).await;
    };
    axum::serve(listener, router).with_graceful_shutdown(stopped).await
}

async fn livez(State((health, _)): State<Shared>) -> impl IntoResponse {
    if health.is_alive() {
        (StatusCode::OK, "ok")
    } else {
        (StatusCode::INTERNAL_SERVER_ERROR, "the main loop is stuck")
    }
}

async fn readyz(State((health, _)): State<Shared>) -> impl IntoResponse {
    match health.not_ready() {
        None => (StatusCode::OK, "ok".to_owned()),
        Some(why) => (StatusCode::SERVICE_UNAVAILABLE, why),
    }
}

async fn render(State((_, metrics)): State<Shared>) -> impl IntoResponse {
    let kind = [(header::CONTENT_TYPE, Metrics::CONTENT_TYPE)];
    (kind, metrics.render(Timestamp::now()))
}
