//! `zonespread ui` as users run it, against something that answers like an API server: a fake
//! that lists one policy, and forbids all else. tests/real/ui.rs has the real one.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::run::zonespread;

const POLICIES: &str = "/apis/zonespread.io/v1alpha1/namespaces/shop/zonespreadpolicies";

/// A fake API server, until it breaks.
struct ApiServer {
    port: u16,
    is_broken: Arc<AtomicBool>,
}

impl ApiServer {
    fn start(has_crd: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let is_broken = Arc::new(AtomicBool::new(false));
        let broken = Arc::clone(&is_broken);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let broken = Arc::clone(&broken);
                std::thread::spawn(move || serve(stream.unwrap(), &broken, has_crd));
            }
        });
        Self { port, is_broken }
    }
}

/// Answers one request after the other.
fn serve(mut stream: TcpStream, is_broken: &AtomicBool, has_crd: bool) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    loop {
        let mut request = String::new();
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            if line == "\r\n" {
                break;
            }
            request += &line;
        }
        let target = request.split(' ').nth(1).unwrap().to_owned();
        if target.contains("watch=true") && !is_broken.load(Ordering::Relaxed) {
            // It stays open, and nothing happens, until the server breaks.
            let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n";
            let _ = stream.write_all(head.as_bytes());
            while !is_broken.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(100));
            }
            return;
        }
        let (status, body) = if is_broken.load(Ordering::Relaxed) {
            ("503 Service Unavailable", failure(503, "etcd is away"))
        } else if !has_crd {
            ("404 Not Found", failure(404, "the server has no such resource"))
        } else if target.starts_with(POLICIES) {
            ("200 OK", list())
        } else {
            ("403 Forbidden", failure(403, "zones is forbidden: you may not list them"))
        };
        let (body, kind) = (body.to_string(), "application/json");
        let head = format!("HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: ");
        let answer = format!("{head}{}\r\n\r\n{body}", body.len());
        if stream.write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

fn failure(code: u16, message: &str) -> Value {
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
           "message": message, "reason": "Fake", "code": code})
}

fn list() -> Value {
    let policy = json!({
        "apiVersion": "zonespread.io/v1alpha1", "kind": "ZoneSpreadPolicy",
        "metadata": {"name": "web", "namespace": "shop", "generation": 1},
        "spec": {"selector": {"matchLabels": {"app": "web"}}},
        "status": {"observedGeneration": 1, "phase": "Frozen", "message": "zone c is out",
                   "tiers": [{"name": "<b>web", "pods": 2, "zones": [{"name": "a", "pods": 2, "available": 2}]}]},
    });
    json!({"apiVersion": "zonespread.io/v1alpha1", "kind": "ZoneSpreadPolicyList",
           "metadata": {"resourceVersion": "7"}, "items": [policy]})
}

/// A running `zonespread ui`.
struct Ui {
    child: Child,
    port: u16,
    _directory: TempDir,
}

impl Ui {
    fn start(server: &ApiServer) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let kubeconfig = kubeconfig(&directory, server.port);
        let mut child = Command::new(env!("CARGO_BIN_EXE_zonespread"))
            .args(["--kubeconfig", &kubeconfig, "ui", "-n", "shop"])
            .env_clear()
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let port = line.trim().strip_prefix("http://127.0.0.1:").unwrap().trim_end_matches('/');
        let port = port.parse().unwrap();
        let ui = Self { child, port, _directory: directory };
        ui.until("the policy", |state| state["policies"][0]["name"] == "web");
        ui
    }

    /// The head and the body of an answer.
    fn ask(&self, method: &str, path: &str, host: &str) -> (String, String) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        let request =
            format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut said = String::new();
        stream.read_to_string(&mut said).unwrap();
        let (head, body) = said.split_once("\r\n\r\n").unwrap();
        (head.to_lowercase(), body.to_owned())
    }

    fn get(&self, path: &str) -> (String, String) {
        self.ask("GET", path, &format!("127.0.0.1:{}", self.port))
    }

    fn until(&self, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
        let patience = Instant::now() + Duration::from_secs(30);
        loop {
            let state: Value = serde_json::from_str(&self.get("/state.json").1).unwrap();
            if holds(&state) {
                return state;
            }
            assert!(Instant::now() < patience, "{what} in time: {state:#}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Ui {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn kubeconfig(directory: &TempDir, port: u16) -> String {
    let path = directory.path().join("kubeconfig");
    let config = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "it",
        "clusters": [{"name": "it", "cluster": {"server": format!("http://127.0.0.1:{port}")}}],
        "users": [{"name": "it", "user": {}}],
        "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
    });
    std::fs::write(&path, config.to_string()).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn the_page_is_served_to_this_machine_only_and_loads_nothing_from_elsewhere() {
    let mut ui = Ui::start(&ApiServer::start(true));
    ui.until("the answers", |_| ui.get("/").1.contains("you may not list them"));
    let (head, page) = ui.get("/");
    assert!(head.starts_with("http/1.1 200"), "{head}");
    assert!(page.contains("&lt;b&gt;web") && !page.contains("<b>web"), "{page}");
    assert!(page.contains("zone c is out"), "{page}");
    for header in [
        "content-security-policy: default-src 'none'; script-src 'self'; style-src 'self'",
        "x-content-type-options: nosniff",
        "cache-control: no-store",
        "content-type: text/html; charset=utf-8",
    ] {
        assert!(head.contains(header), "no {header} in {head}");
    }
    assert!(!head.contains("access-control-allow-origin"), "{head}");
    for (path, kind) in [
        ("/page.js", "text/javascript"),
        ("/page.css", "text/css"),
        ("/icon.svg", "image/svg+xml"),
        ("/state.json", "application/json"),
        ("/live/0", "application/json"),
        ("/policy/shop/web", "text/html"),
    ] {
        let (head, _) = ui.get(path);
        assert!(head.starts_with("http/1.1 200") && head.contains(kind), "{path}: {head}");
    }
    assert!(ui.get("/nothing").0.starts_with("http/1.1 404"));

    // Another site's name that resolves to this machine is no name of this machine.
    for path in ["/", "/state.json", "/live/0", "/page.js", "/nothing"] {
        let (head, body) = ui.ask("GET", path, "evil.example");
        assert!(head.starts_with("http/1.1 403") && !body.contains("zone c"), "{path}: {head}");
    }
    for method in ["POST", "PUT", "PATCH", "DELETE"] {
        let (head, _) = ui.ask(method, "/policy/shop/web", "localhost");
        assert!(head.starts_with("http/1.1 405"), "{method}: {head}");
    }

    kill_process(Pid::from_child(&ui.child), Signal::TERM).unwrap();
    assert_eq!(ui.child.wait().unwrap().code(), Some(0));
}

#[test]
fn the_page_asks_for_what_has_changed_and_is_told_how_old_it_is() {
    let server = ApiServer::start(true);
    let ui = Ui::start(&server);
    let live = |version: &str| -> Value {
        serde_json::from_str(&ui.get(&format!("/live/{version}")).1).unwrap()
    };
    // Until the watches that are forbidden have said so.
    let state = ui.until("the answers", |_| ui.get("/").1.contains("Zones are not watched"));
    assert_eq!(state["problem"], Value::Null);
    let first = live("0");
    assert_eq!(first["sections"][0]["id"], "zones", "{first}");
    assert_eq!(live(first["version"].as_str().unwrap())["sections"], Value::Null, "nothing new");

    server.is_broken.store(true, Ordering::Relaxed);
    let state = ui.until("the problem", |state| state["problem"].is_string());
    assert!(state["problem"].as_str().unwrap().contains("etcd is away"), "{state}");
    ui.until("the age", |state| state["heardSecondsAgo"].as_u64() > Some(3));
    assert_eq!(state["policies"][0]["name"], "web", "what was seen stays");
    assert!(ui.get("/").1.contains("etcd is away"));
    // Long enough for the watch to fail as well, which nothing but a new list mends here:
    // nothing ever changes.
    std::thread::sleep(Duration::from_secs(3));
    server.is_broken.store(false, Ordering::Relaxed);
    ui.until("the end of the problem", |state| state["problem"].is_null());
}

#[test]
fn what_cannot_work_is_said_before_the_page_is_served() {
    let ran = zonespread(&["ui", "--bind-address", "0.0.0.0:8090"]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(2), ""), "{ran:?}");
    assert!(ran.err.contains("0.0.0.0 is not on loopback: everybody who reaches it"), "{ran:?}");
    assert!(ran.err.contains("ssh -L 8090:127.0.0.1:8090"), "{ran:?}");

    let directory = tempfile::tempdir().unwrap();
    let without = kubeconfig(&directory, ApiServer::start(false).port);
    let ran = zonespread(&["--kubeconfig", &without, "ui"]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(1), ""), "{ran:?}");
    assert!(
        ran.err.contains("the cluster knows no ZoneSpreadPolicies: install the CRD"),
        "{ran:?}"
    );

    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let with = kubeconfig(&directory, ApiServer::start(true).port);
    let ran = zonespread(&["--kubeconfig", &with, "ui", "-n", "shop", "--bind-address", &address]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.err.contains(&format!("cannot listen on {address}")), "{ran:?}");
}
