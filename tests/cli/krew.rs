//! The release of the kubectl plugin: archives, and the manifest for krew with their checksums.
//! The binaries are scripts here: what is packed makes no difference to the packing.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use ring::digest::{SHA256, digest};
use serde_json::Value;
use tempfile::TempDir;

const URL: &str = "https://example.com/releases/v1.2.3";

/// Cargo's target folder, with a release build of these platforms.
fn built(triples: &[&str]) -> TempDir {
    let target = tempfile::tempdir().unwrap();
    for triple in triples {
        let folder = target.path().join(triple).join("release");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("zonespread"), format!("#!/bin/sh\necho {triple}\n")).unwrap();
    }
    target
}

fn release(target: &Path, out: &Path, version: &str, url: &str) -> Output {
    Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/krew/release.sh"))
        .args([version, url])
        .args([target, out])
        .output()
        .unwrap()
}

/// What krew requires of a manifest: the fields, and that each platform can be told apart,
/// downloaded, verified and linked.
fn platforms(manifest: &Value) -> Vec<(String, String, String)> {
    assert_eq!(manifest["apiVersion"], "krew.googlecontainertools.github.com/v1alpha2");
    assert_eq!(
        (&manifest["kind"], &manifest["metadata"]["name"]),
        (&"Plugin".into(), &"zonespread".into())
    );
    let spec = &manifest["spec"];
    assert_eq!(spec["version"], "v1.2.3");
    let short = spec["shortDescription"].as_str().unwrap();
    assert!(!short.is_empty() && short.len() <= 50 && !short.ends_with('.'), "{short}");
    let lines = spec["description"].as_str().unwrap().lines();
    assert!(lines.max_by_key(|line| line.len()).unwrap().len() <= 80);
    assert!(spec["homepage"].as_str().unwrap().starts_with("https://"));
    let all = spec["platforms"].as_array().unwrap().iter();
    let told = all.map(|platform| {
        let text = |pointer: &str| platform.pointer(pointer).unwrap().as_str().unwrap().to_owned();
        assert_eq!(text("/bin"), "kubectl-zonespread");
        let files: Vec<&Value> = platform["files"].as_array().unwrap().iter().collect();
        let packed: Vec<&str> = files.iter().map(|file| file["from"].as_str().unwrap()).collect();
        assert_eq!(packed, ["kubectl-zonespread", "LICENSE"]);
        assert!(files.iter().all(|file| file["to"] == "."));
        let labels = "/selector/matchLabels";
        let name = format!("{}-{}", text(&format!("{labels}/os")), text(&format!("{labels}/arch")));
        assert_eq!(text("/uri"), format!("{URL}/zonespread-v1.2.3-{name}.tar.gz"));
        (name, text("/uri"), text("/sha256"))
    });
    told.collect()
}

fn hexadecimal(bytes: &[u8]) -> String {
    let digits: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    digits.concat()
}

#[test]
fn the_manifest_has_the_checksums_of_the_archives_that_were_built() {
    let target = built(&["x86_64-unknown-linux-musl", "aarch64-apple-darwin"]);
    let out = tempfile::tempdir().unwrap();
    let ran = release(target.path(), out.path(), "1.2.3", URL);
    assert!(ran.status.success(), "{ran:?}");
    let said = String::from_utf8(ran.stderr).unwrap();
    assert!(said.contains("left out: linux-arm64") && said.contains("left out: darwin-amd64"));

    let text = fs::read_to_string(out.path().join("zonespread.yaml")).unwrap();
    assert!(!["VERSION", "URL", "SHA256-", "#"].iter().any(|word| text.contains(word)), "{text}");
    let told = platforms(&serde_saphyr::from_str(&text).unwrap());
    let names: Vec<&str> = told.iter().map(|(name, ..)| name.as_str()).collect();
    assert_eq!(names, ["linux-amd64", "darwin-arm64"]);
    for (name, uri, checksum) in &told {
        let archive = out.path().join(uri.rsplit('/').next().unwrap());
        let sum = digest(&SHA256, &fs::read(&archive).unwrap());
        assert_eq!(*checksum, hexadecimal(sum.as_ref()), "{name}");
        let unpacked = tempfile::tempdir().unwrap();
        let mut tar = Command::new("tar");
        tar.arg("-xzf").arg(&archive).arg("-C").arg(unpacked.path());
        assert!(tar.status().unwrap().success());
        let plugin = unpacked.path().join("kubectl-zonespread");
        assert_eq!(fs::metadata(&plugin).unwrap().permissions().mode() & 0o777, 0o755);
        assert!(unpacked.path().join("LICENSE").exists());
    }

    let again = tempfile::tempdir().unwrap();
    assert!(release(target.path(), again.path(), "1.2.3", URL).status.success());
    let same = fs::read_to_string(again.path().join("zonespread.yaml")).unwrap();
    assert_eq!(same, text, "the same binaries give the same checksums");
}

#[test]
fn a_release_of_nothing_or_from_nowhere_is_refused() {
    let (empty, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let ran = release(empty.path(), out.path(), "1.2.3", URL);
    assert_eq!(ran.status.code(), Some(1), "{ran:?}");
    assert!(String::from_utf8_lossy(&ran.stderr).contains("nothing was built"), "{ran:?}");
    assert!(!out.path().join("zonespread.yaml").exists());
    for (version, url) in [("v1", URL), ("1.2.3", "http://example.com"), ("1.2.3", "")] {
        let ran = release(empty.path(), out.path(), version, url);
        assert_eq!(ran.status.code(), Some(2), "{ran:?}");
    }
}
