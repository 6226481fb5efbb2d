//! Where the control plane's programs are: built once, outside the checkout.

use super::components::Component;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};

/// The version of Kubernetes that tests run on, if `KUBERNETES` names one; none is the newest.
pub fn kubernetes() -> Option<String> {
    std::env::var("KUBERNETES").ok().filter(|version| !version.is_empty())
}

/// The directory with etcd, kubectl and the others of the newest version; builds them when
/// they are missing.
pub fn directory() -> &'static Path {
    static DIRECTORY: OnceLock<PathBuf> = OnceLock::new();
    DIRECTORY.get_or_init(|| build(&[]))
}

/// The directory with Karpenter and its CRDs; builds it when it is missing.
pub fn karpenter() -> &'static Path {
    static DIRECTORY: OnceLock<PathBuf> = OnceLock::new();
    DIRECTORY.get_or_init(|| build(&["karpenter"]))
}

/// The directory with promtool and Prometheus; builds them when they are missing.
pub(super) fn prometheus() -> &'static Path {
    static DIRECTORY: OnceLock<PathBuf> = OnceLock::new();
    DIRECTORY.get_or_init(|| build(&["prometheus"]))
}

/// What tries rules for Prometheus; builds it when it is missing.
pub fn promtool() -> PathBuf {
    prometheus().join("promtool")
}

/// Helm; builds it when it is missing.
pub fn helm() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| build(&["helm"]).join("helm"))
}

/// An interpreter of the Lua that Argo CD has; builds it when it is missing.
pub fn lua() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| build(&["lua"]).join("glua"))
}

/// Programs of other versions, by version and name.
static BUILT: Mutex<BTreeMap<(String, &str), PathBuf>> = Mutex::new(BTreeMap::new());

/// A program of the control plane; builds it when it is missing. Those of Kubernetes itself
/// are of the version that was asked for, or else of the version that tests run on.
pub(super) fn program(component: Component, version: Option<&str>) -> PathBuf {
    let name = component.program();
    let version = match component {
        Component::Rollouts => return rollouts().join(name),
        Component::Etcd | Component::Kwok => None,
        _ => version.map(str::to_owned).or_else(kubernetes),
    };
    let Some(version) = version else { return directory().join(name) };
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    let program = built.entry((version.clone(), name));
    program.or_insert_with(|| build(&[&version, name]).join(name)).clone()
}

/// The directory of Argo Rollouts and its CRDs; builds it when it is missing.
pub(super) fn rollouts() -> &'static Path {
    static DIRECTORY: OnceLock<PathBuf> = OnceLock::new();
    DIRECTORY.get_or_init(|| build(&["argo-rollouts"]))
}

fn build(arguments: &[&str]) -> PathBuf {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/control-plane/build.sh");
    // stderr is passed through: a first build takes minutes and says so.
    let output = Command::new(script)
        .args(arguments)
        .stderr(Stdio::inherit())
        .output()
        .unwrap_or_else(|error| panic!("cannot run {script}: {error}"));
    assert!(
        output.status.success(),
        "{script} failed, see above; `make control-plane` runs it alone"
    );
    let stdout = String::from_utf8(output.stdout).expect("a path in UTF-8");
    PathBuf::from(stdout.lines().last().expect("the directory as last line"))
}
