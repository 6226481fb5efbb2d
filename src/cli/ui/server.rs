//! What is answered: the page, what has changed of it, and the same for programs.

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use jiff::Timestamp;
use serde::Serialize;

use crate::cli::view::{PAGE_ICON, PAGE_SCRIPT, PAGE_STYLE, PageView, Section, page, sections};

use super::follow::{Shared, lock};
use super::guard::guard;

const HTML: &str = "text/html; charset=utf-8";
const JSON: &str = "application/json";

/// The routes; nothing but GET and HEAD is answered.
pub fn router(board: Shared) -> Router {
    let asset = |kind: &'static str, text: &'static str| {
        get(async move || ([(header::CONTENT_TYPE, kind)], text))
    };
    Router::new()
        .route("/", get(overview))
        .route("/policy/{namespace}/{name}", get(policy))
        .route("/live/{version}", get(overview_since))
        .route("/live/{version}/policy/{namespace}/{name}", get(policy_since))
        .route("/state.json", get(state))
        .route("/page.css", asset("text/css; charset=utf-8", PAGE_STYLE))
        .route("/page.js", asset("text/javascript; charset=utf-8", PAGE_SCRIPT))
        .route("/icon.svg", asset("image/svg+xml", PAGE_ICON))
        .fallback(async || (StatusCode::NOT_FOUND, "There is no such page.\n"))
        .layer(middleware::from_fn(guard))
        .with_state(board)
}

async fn overview(State(board): State<Shared>) -> Response {
    whole(&board, &PageView::Overview)
}

async fn policy(State(board): State<Shared>, Path(key): Path<(String, String)>) -> Response {
    whole(&board, &PageView::Policy(key))
}

fn whole(board: &Shared, view: &PageView) -> Response {
    let text = page(&lock(board), view, Timestamp::now());
    ([(header::CONTENT_TYPE, HTML)], text).into_response()
}

async fn overview_since(State(board): State<Shared>, Path(version): Path<String>) -> Response {
    since(&board, &version, &PageView::Overview)
}

async fn policy_since(
    State(board): State<Shared>,
    Path((version, namespace, name)): Path<(String, String, String)>,
) -> Response {
    since(&board, &version, &PageView::Policy((namespace, name)))
}

/// What the page asks for each second.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct News {
    version: String,
    /// By this clock times are counted.
    now: Timestamp,
    silent_for_seconds: u64,
    problem: Option<String>,
    /// All of them, if something has changed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    sections: Vec<Section>,
}

fn since(board: &Shared, version: &str, view: &PageView) -> Response {
    let now = Timestamp::now();
    let board = lock(board);
    let news = News {
        version: board.version(),
        now,
        silent_for_seconds: board.silence().as_secs(),
        problem: board.problem().map(str::to_owned),
        sections: if board.version() == version { Vec::new() } else { sections(&board, view, now) },
    };
    json(serde_json::to_string(&news))
}

async fn state(State(board): State<Shared>) -> Response {
    json(lock(&board).json())
}

fn json(text: serde_json::Result<String>) -> Response {
    match text {
        Ok(text) => ([(header::CONTENT_TYPE, JSON)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}
