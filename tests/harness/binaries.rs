//! Where the control plane's binaries are: built once, outside the checkout.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// The directory with etcd, kube-apiserver and the others; builds them when they are missing.
pub fn directory() -> &'static Path {
    static DIRECTORY: OnceLock<PathBuf> = OnceLock::new();
    DIRECTORY.get_or_init(|| {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/control-plane/build.sh");
        // stderr is passed through: a first build takes minutes and says so.
        let output = Command::new(script)
            .stderr(Stdio::inherit())
            .output()
            .unwrap_or_else(|error| panic!("cannot run {script}: {error}"));
        assert!(
            output.status.success(),
            "{script} failed, see above; `make control-plane` runs it alone"
        );
        let stdout = String::from_utf8(output.stdout).expect("a path in UTF-8");
        PathBuf::from(stdout.lines().last().expect("the directory as last line"))
    })
}
