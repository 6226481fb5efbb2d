//! The health check that `docs/argo-cd.md` prints, in Argo CD's Lua (gopher-lua).

use crate::harness::lua;
use std::process::Command;
use zonespread::api::Phase;

/// What Argo CD's sandbox does not have, as long as nobody allows the open libraries.
const SANDBOX: &str = "string = nil; math = nil; io = nil; debug = nil; coroutine = nil; \
                       channel = nil; require = nil; dofile = nil; loadfile = nil\n";

/// The script in the document.
fn health_check() -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/argo-cd.md");
    let text = std::fs::read_to_string(path).unwrap();
    let (_, rest) = text.split_once("health.zonespread.io_ZoneSpreadPolicy: |\n").unwrap();
    let (script, _) = rest.split_once("\n```").unwrap();
    script.to_owned()
}

/// Status and message of an object, which is a table in Lua.
fn health(object: &str) -> (String, String) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("health.lua");
    let check = health_check();
    let script = format!(
        "local say = print\n{SANDBOX}obj = {object}\nlocal function check()\n{check}\nend\n\
         local hs = check()\nsay(hs.status)\nsay(hs.message)\n"
    );
    std::fs::write(&file, script).unwrap();
    let output = Command::new(lua()).arg(&file).output().expect("glua starts");
    let text = String::from_utf8(output.stdout).unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    let (status, message) =
        text.trim_end().split_once('\n').unwrap_or_else(|| panic!("{text}{said}"));
    (status.to_owned(), message.to_owned())
}

#[test]
fn argo_cd_reads_the_health_of_a_policy() {
    for phase in Phase::ALL {
        let expected = match phase {
            Phase::Invalid | Phase::Ineffective => "Degraded",
            Phase::AwaitingApproval => "Suspended",
            Phase::Rebalancing => "Progressing",
            _ => "Healthy",
        };
        let (generation, phase) = ("metadata = {generation = 2}", phase.as_str());
        let status = format!("observedGeneration = 2, phase = '{phase}'");
        let told =
            health(&format!("{{{generation}, status = {{{status}, message = 'so it is'}}}}"));
        assert_eq!(told, (expected.to_owned(), "so it is".to_owned()), "{phase}");
        let told = health(&format!("{{{generation}, status = {{{status}}}}}"));
        assert_eq!(told, (expected.to_owned(), phase.to_owned()));
    }
    let new = health("{metadata = {generation = 1}}");
    assert_eq!(new, ("Progressing".to_owned(), "waiting for the operator".to_owned()));
    let changed =
        "{metadata = {generation = 3}, status = {observedGeneration = 2, phase = 'Invalid'}}";
    let told = health(changed);
    let waits = "waiting for the operator to read the last change";
    assert_eq!(told, ("Progressing".to_owned(), waits.to_owned()));
}
