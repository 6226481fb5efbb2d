//! `zonespread probe` as a probe pod runs it, against something that answers like an API server.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::run::{Ran, zonespread};

/// Answers every request to `/readyz` with this status line and this text.
struct ApiServer {
    port: u16,
    says: Arc<Mutex<(&'static str, &'static str)>>,
    directory: TempDir,
}

const OK: (&str, &str) = ("200 OK", "ok");
const NOT_YET: (&str, &str) = ("500 Internal Server Error", "[-]etcd failed");

impl ApiServer {
    fn saying(says: (&'static str, &'static str)) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let says = Arc::new(Mutex::new(says));
        let answers = Arc::clone(&says);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let answers = Arc::clone(&answers);
                std::thread::spawn(move || answer(stream.unwrap(), &answers));
            }
        });
        Self { port, says, directory: tempfile::tempdir().unwrap() }
    }

    fn now_says(&self, says: (&'static str, &'static str)) {
        *self.says.lock().unwrap() = says;
    }

    fn kubeconfig(&self) -> PathBuf {
        kubeconfig(&self.directory, self.port)
    }
}

fn answer(stream: TcpStream, says: &Mutex<(&'static str, &'static str)>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut stream = stream;
    loop {
        let mut request = String::new();
        loop {
            let mut line = String::new();
            // A connection that is only tried is closed without a word.
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            if line == "\r\n" {
                break;
            }
            request += &line;
        }
        assert!(request.starts_with("GET /readyz "), "{request}");
        let (status, text) = *says.lock().unwrap();
        let length = text.len();
        let answer = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n{text}");
        if stream.write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

fn kubeconfig(directory: &TempDir, port: u16) -> PathBuf {
    let path = directory.path().join("kubeconfig");
    let config = serde_json::json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "it",
        "clusters": [{"name": "it", "cluster": {"server": format!("http://127.0.0.1:{port}")}}],
        "users": [{"name": "it", "user": {}}],
        "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
    });
    std::fs::write(&path, config.to_string()).unwrap();
    path
}

fn once(kubeconfig: &std::path::Path, name: &str) -> Ran {
    let kubeconfig = kubeconfig.to_str().unwrap();
    zonespread(&["--kubeconfig", kubeconfig, "probe", "--once", "--api-server-name", name])
}

#[test]
fn a_probe_says_that_every_check_holds() {
    let server = ApiServer::saying(OK);
    let ran = once(&server.kubeconfig(), "localhost");
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let said: Vec<&str> = ran.out.lines().collect();
    assert_eq!(
        said,
        [
            "DNS: localhost is known",
            "API server: 127.0.0.1 can be reached",
            "API server: /readyz says ok"
        ]
    );
}

#[test]
fn a_probe_names_the_first_check_that_does_not_hold() {
    let server = ApiServer::saying(NOT_YET);
    let ran = once(&server.kubeconfig(), "api.invalid");
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert!(ran.err.contains("DNS: api.invalid cannot be looked up"), "{ran:?}");
    assert_eq!(ran.out, "");

    let ran = once(&server.kubeconfig(), "localhost");
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert!(ran.err.contains("API server: /readyz says "), "{ran:?}");
    assert!(ran.err.contains("[-]etcd failed"), "{ran:?}");

    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let directory = tempfile::tempdir().unwrap();
    let ran = once(&kubeconfig(&directory, closed), "localhost");
    assert_eq!(ran.code, Some(3), "{ran:?}");
    let no_connection = format!("API server: no connection to 127.0.0.1:{closed}");
    assert!(ran.err.contains(&no_connection), "{ran:?}");
}

/// What its /readyz says.
fn readyz(port: u16) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: it\r\nConnection: close\r\n\r\n").ok()?;
    let mut said = String::new();
    stream.read_to_string(&mut said).ok()?;
    Some(said)
}

fn wait_for(what: &str, mut holds: impl FnMut() -> bool) {
    let patience = Instant::now() + Duration::from_secs(30);
    while !holds() {
        assert!(Instant::now() < patience, "{what} in time");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_probe_is_ready_once_every_check_holds_and_ends_when_told_to() {
    let server = ApiServer::saying(NOT_YET);
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut probe = Command::new(env!("CARGO_BIN_EXE_zonespread"))
        .args(["--kubeconfig", server.kubeconfig().to_str().unwrap(), "probe"])
        .args(["--api-server-name", "localhost", "--bind-address", &format!("127.0.0.1:{port}")])
        .env_clear()
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let says = |what: &str| readyz(port).is_some_and(|said| said.contains(what));
    wait_for("it says what fails", || says("API server: /readyz says "));
    assert!(readyz(port).unwrap().starts_with("HTTP/1.1 503"));
    server.now_says(OK);
    wait_for("it is ready", || says("HTTP/1.1 200"));
    server.now_says(NOT_YET);
    wait_for("it is no longer ready", || says("HTTP/1.1 503"));
    kill_process(Pid::from_child(&probe), Signal::TERM).unwrap();
    let mut ended = None;
    wait_for("it ends", || {
        ended = probe.try_wait().unwrap();
        ended.is_some()
    });
    assert_eq!(ended.unwrap().code(), Some(0));
}
