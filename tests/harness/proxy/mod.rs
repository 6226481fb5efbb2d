//! Between the operator and the API server: a proxy that tests turn against it.
//!
//! The operator reaches it by plain HTTP, so that answers can be made up and watches
//! held back; it passes everything on over TLS, with the operator's own token.

mod call;
mod fate;
mod line;

pub use call::Call;
pub use fate::{Answer, Fate};

use super::cluster::Cluster;
use super::credentials::write;
use axum::body::{Body, to_bytes};
use http::{HeaderMap, Request, Response, Uri, header};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use kube::Client;
use line::{Flow, Line};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// A running proxy; dropping it closes its port.
pub struct Proxy {
    port: u16,
    state: Arc<Mutex<State>>,
    accepting: JoinHandle<()>,
}

#[derive(Default)]
struct State {
    rules: Vec<Rule>,
    calls: Vec<Call>,
    lines: Vec<Line>,
    behind: BTreeMap<String, Duration>,
}

struct Rule {
    matches: Box<dyn Fn(&Call) -> bool + Send>,
    fate: Fate,
    left: usize,
}

impl Proxy {
    /// Starts one in front of the cluster's API server.
    pub async fn start(cluster: &Cluster) -> Self {
        let port = cluster.next_port();
        let listener = TcpListener::bind(("127.0.0.1", port)).await.expect("a port of our own");
        let client = upstream(cluster);
        let state = Arc::new(Mutex::new(State::default()));
        let accepting = tokio::spawn(accept(listener, client, Arc::clone(&state)));
        Self { port, state, accepting }
    }

    /// A kubeconfig like `original`, that leads through the proxy.
    pub fn kubeconfig(&self, original: &Path) -> PathBuf {
        let text = std::fs::read(original).expect("a kubeconfig");
        let mut config: Value = serde_json::from_slice(&text).expect("JSON, as the harness writes");
        config["clusters"][0]["cluster"] =
            serde_json::json!({"server": format!("http://127.0.0.1:{}", self.port)});
        let path = original.with_extension(format!("proxy-{}", self.port));
        write(&path, &config.to_string());
        path
    }

    /// The next `times` requests that match meet this fate; the rule made last goes first.
    pub fn turn(&self, times: usize, matches: impl Fn(&Call) -> bool + Send + 'static, fate: Fate) {
        lock(&self.state).rules.insert(0, Rule { matches: Box::new(matches), fate, left: times });
    }

    /// From now on all is passed on, and at once.
    pub fn mend(&self) {
        let mut state = lock(&self.state);
        state.rules.clear();
        state.behind.clear();
    }

    /// All that was asked for until now, oldest first, whatever became of it.
    pub fn calls(&self) -> Vec<Call> {
        lock(&self.state).calls.clone()
    }

    /// What is asked for from now on is counted anew.
    pub fn forget_calls(&self) {
        lock(&self.state).calls.clear();
    }

    /// The watches of a resource that run now say nothing any more; those begun later do.
    /// All resources for an empty name. How many that are.
    pub fn silence_watches(&self, resource: &str) -> usize {
        self.set_watches(resource, Flow::Silent)
    }

    /// The watches of a resource that run now end in the middle of an answer.
    pub fn cut_watches(&self, resource: &str) -> usize {
        self.set_watches(resource, Flow::Cut)
    }

    fn set_watches(&self, resource: &str, flow: Flow) -> usize {
        let mut state = lock(&self.state);
        state.lines.retain(Line::is_open);
        let lines = state.lines.iter();
        lines
            .filter(|line| resource.is_empty() || line.resource == resource)
            .map(|line| line.set(flow))
            .count()
    }

    /// What happens to this resource is told so much later, until [`Proxy::mend`].
    pub fn delay_watches(&self, resource: &str, by: Duration) {
        lock(&self.state).behind.insert(resource.to_owned(), by);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A client that trusts the API server and has no name of its own.
fn upstream(cluster: &Cluster) -> Client {
    let server: Uri = cluster.control_plane().server.parse().expect("a URL");
    let authority = std::fs::read(&cluster.control_plane().files.authority);
    let authority = pem::parse_many(authority.expect("the certificate")).expect("PEM");
    let mut config = kube::Config::new(server);
    config.root_cert = Some(authority.into_iter().map(pem::Pem::into_contents).collect());
    config.default_retry = false;
    Client::try_from(config).expect("a client")
}

async fn accept(listener: TcpListener, client: Client, state: Arc<Mutex<State>>) {
    while let Ok((stream, _)) = listener.accept().await {
        let (client, state) = (client.clone(), Arc::clone(&state));
        tokio::spawn(async move {
            let service = service_fn(|request| pass(request, client.clone(), &state));
            // A connection that is cut is what a test asked for.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

/// An error closes the connection.
async fn pass(
    request: Request<Incoming>,
    client: Client,
    state: &Arc<Mutex<State>>,
) -> io::Result<Response<Body>> {
    let (mut parts, body) = request.into_parts();
    // The client that passes it on has its own.
    for own in [header::HOST, header::CONNECTION, header::TRANSFER_ENCODING] {
        parts.headers.remove(own);
    }
    let call = Call::new(&parts.method, &parts.uri);
    let body = to_bytes(Body::new(body), usize::MAX).await.map_err(io::Error::other)?;
    let ask = || {
        let request = Request::from_parts(parts.clone(), kube::client::Body::from(body.clone()));
        let answer = client.send(request);
        async { answer.await.map_err(io::Error::other) }
    };
    match fate_of(&call, state) {
        Some(Fate::Answered(answer)) => return Ok(answer.response()),
        Some(Fate::Swallowed) => std::future::pending().await,
        Some(Fate::Cut) => return Err(io::ErrorKind::ConnectionReset.into()),
        Some(Fate::DoneUnheard) => {
            ask().await?;
            std::future::pending::<()>().await;
        }
        Some(Fate::DoneThenCut) => {
            ask().await?;
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        Some(Fate::DoneThenFailed) => {
            ask().await?;
            return Ok(Answer::failure(500, "InternalError", "made up").response());
        }
        Some(Fate::Twice) => drop(ask().await?),
        None => {}
    }
    let (mut head, body) = ask().await?.into_parts();
    head.headers = end_to_end(head.headers);
    let body = Body::new(body);
    if !call.is_watch {
        return Ok(Response::from_parts(head, body));
    }
    let (shared, resource) = (Arc::clone(state), call.resource.clone());
    let delay = move || lock(&shared).behind.get(&resource).copied().unwrap_or_default();
    let (line, body) = Line::lay(&call.resource, body, delay);
    lock(state).lines.push(line);
    Ok(Response::from_parts(head, body))
}

/// Notes the request, and what the first rule that matches says.
fn fate_of(call: &Call, state: &Mutex<State>) -> Option<Fate> {
    let mut state = lock(state);
    state.calls.push(call.clone());
    let rule = state.rules.iter_mut().find(|rule| rule.left > 0 && (rule.matches)(call))?;
    rule.left -= 1;
    Some(rule.fate.clone())
}

/// The headers that are not about one connection.
fn end_to_end(mut headers: HeaderMap) -> HeaderMap {
    for own in [header::CONNECTION, header::TRANSFER_ENCODING] {
        headers.remove(own);
    }
    headers
}
