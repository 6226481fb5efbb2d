//! Everything that reads the words of strangers, with words of all kinds: the doors of the
//! fuzz targets (`fuzz/`), without a nightly compiler.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

#[path = "../../fuzz/entries.rs"]
mod entries;

use proptest::prelude::*;
use proptest::sample::Index;
use std::fmt::Write as _;
use std::io::Write as _;
use std::process::{Command, Stdio};

const FIXTURE: &str = include_str!("../fixtures/petclinic.yaml");

/// The fixture as `kubectl get -o json` would print it.
fn json() -> String {
    serde_saphyr::from_str::<serde_json::Value>(FIXTURE).unwrap().to_string()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(500) })]

    #[test]
    fn any_bytes_are_a_file_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        entries::offline(&bytes);
    }

    #[test]
    fn any_text_is_a_file_or_an_error(text in "[-?:,\\[\\]{}#&*!|>'\"%@` \n\ta-c0-9]{0,300}") {
        entries::offline(text.as_bytes());
    }

    #[test]
    fn any_text_is_a_quantity_or_an_error(text in "\\PC{0,40}|[-+0-9.eEmkKMGTPi]{0,40}") {
        entries::quantity(&text);
    }

    #[test]
    fn any_words_make_a_policy_or_an_error(words in prop::collection::vec("\\PC{0,30}", 0..20)) {
        entries::policy(&words.join("\n"));
    }

    #[test]
    fn any_schedule_is_read_or_refused(
        fields in prop::collection::vec("[*]|[0-9]{1,2}|[-0-9*/,LW#A-Z]{1,12}", 5),
        zone in "UTC|Europe/London|America/[A-Z][a-z]{3,8}|[A-Za-z/]{0,20}",
    ) {
        entries::policy(&format!("{}\n{zone}\n1h", fields.join(" ")));
    }

    #[test]
    fn any_duration_is_read_or_refused(text in "([0-9]{1,10}([.][0-9]{1,10})?(ms|s|m|h|d|)){1,4}|[-+]?[0-9.]{1,3}[smh]") {
        entries::policy(&format!("0 22 * * *\nUTC\n{text}"));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(150) })]

    /// Bytes changed, a piece left out, a piece said twice.
    #[test]
    fn a_damaged_dump_is_a_file_or_an_error(
        of_json in any::<bool>(),
        changed in prop::collection::vec((any::<Index>(), any::<u8>()), 0..8),
        cut in any::<(Index, Index)>(),
        twice in any::<(Index, Index)>(),
    ) {
        let mut bytes = if of_json { json() } else { FIXTURE.to_owned() }.into_bytes();
        for (at, byte) in changed {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let piece = |(one, other): (Index, Index), bytes: &[u8]| {
            let ends = [one.index(bytes.len()), other.index(bytes.len())];
            ends[0].min(ends[1])..ends[0].max(ends[1])
        };
        let said = bytes[piece(twice, &bytes)].to_vec();
        bytes.extend(said);
        bytes.drain(piece(cut, &bytes));
        entries::offline(&bytes);
    }
}

/// What `zonespread plan -f -` says, with an address space of 1 GB.
fn plan_in_a_gigabyte(text: &str) -> (Option<i32>, String) {
    let limited = format!("ulimit -v 1000000; exec {} plan -f -", env!("CARGO_BIN_EXE_zonespread"));
    let mut child = Command::new("sh")
        .args(["-c", &limited])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It may end before it has read everything.
    let _ = child.stdin.take().unwrap().write_all(text.as_bytes());
    let output = child.wait_with_output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

/// Each level says the one before ten times.
fn a_bomb() -> String {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let before = format!("*a{}", level - 1);
        let _ = writeln!(text, "a{level}: &a{level} [{}]", [before.as_str(); 10].join(", "));
    }
    text + "apiVersion: v1\nkind: Pod\nmetadata: {name: a, labels: *a11}\n"
}

fn a_long_list_said_often() -> String {
    let list = format!("a: &a [{}]\n", "x, ".repeat(10_000));
    list + &format!("b: [{}]\n", "*a, ".repeat(5_000)) + "apiVersion: v1\nkind: Pod\nspec: *a\n"
}

#[test]
fn bombs_are_refused_in_bounded_memory() {
    let deep = |open: &str| open.repeat(200_000);
    for (what, text) in [
        ("aliases", a_bomb()),
        ("a long list, said often", a_long_list_said_often()),
        ("brackets in YAML", format!("a: {}", deep("["))),
        ("maps in YAML", format!("kind: Pod\nspec: {}", deep("{a: "))),
        ("dashes", deep("- ")),
        ("brackets in JSON", deep("[")),
        ("maps in JSON", deep("{\"a\":")),
        (
            "maps in a known kind",
            format!("{{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"spec\":{}", deep("{\"a\":")),
        ),
    ] {
        let (code, said) = plan_in_a_gigabyte(&text);
        assert_eq!(code, Some(1), "{what}: {said:.300}");
        assert!(said.starts_with("error: ") && said.len() < 4000, "{what}: {said:.300}");
    }
}

#[test]
fn a_table_of_hostile_names_stays_a_table() {
    let hostile = format!("a\\e[2J\\n\\u202e{}", "x".repeat(1 << 20));
    let text = FIXTURE.replace(
        "topology.kubernetes.io/zone: eu-west-2a",
        &format!("topology.kubernetes.io/zone: \"{hostile}\""),
    );
    let mut child = Command::new(env!("CARGO_BIN_EXE_zonespread"))
        .args(["plan", "-f", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let table = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.success() && table.contains(r"a\u001b[2J\u000a\u202exxx"),
        "{table:.2000}"
    );
    for line in table.lines() {
        let hostile = |letter: char| letter.is_control() || letter == '\u{202e}';
        assert!(!line.contains(hostile) && line.len() < 20_000, "{line:.300}");
    }
}
