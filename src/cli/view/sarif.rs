//! What lint found as SARIF 2.1.0, which code scanning reads: a rule for each check, and the
//! file and line of each finding.

use std::fmt::Write as _;

use serde::Serialize;

use crate::cli::lint::{Found, LintAnswer};
use crate::lint::{Check, Severity};

const SCHEMA: &str = "https://json.schemastore.org/sarif-2.1.0.json";

/// A SARIF log.
#[derive(Debug, Serialize)]
pub struct Log {
    #[serde(rename = "$schema")]
    schema: &'static str,
    version: &'static str,
    runs: [Run; 1],
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Run {
    tool: Tool,
    column_kind: &'static str,
    results: Vec<SarifResult>,
}

#[derive(Debug, Serialize)]
struct Tool {
    driver: Driver,
}

#[derive(Debug, Serialize)]
struct Driver {
    name: &'static str,
    version: &'static str,
    rules: Vec<Rule>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Rule {
    id: &'static str,
    name: &'static str,
    short_description: Message,
    full_description: Message,
    help: Message,
    default_configuration: Configuration,
}

#[derive(Debug, Serialize)]
struct Configuration {
    level: &'static str,
}

#[derive(Debug, Serialize)]
struct Message {
    text: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct SarifResult {
    rule_id: &'static str,
    rule_index: usize,
    level: &'static str,
    message: Message,
    locations: [Location; 1],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    suppressions: Vec<Suppression>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Location {
    #[serde(skip_serializing_if = "Option::is_none")]
    physical_location: Option<PhysicalLocation>,
    logical_locations: [LogicalLocation; 1],
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct PhysicalLocation {
    artifact_location: Artifact,
    region: Region,
}

#[derive(Debug, Serialize)]
struct Artifact {
    uri: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Region {
    start_line: usize,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct LogicalLocation {
    fully_qualified_name: String,
    kind: &'static str,
}

#[derive(Debug, Serialize)]
struct Suppression {
    kind: &'static str,
    status: &'static str,
    justification: String,
}

/// The findings as a SARIF log.
pub fn lint_sarif(answer: &LintAnswer) -> Log {
    let driver = Driver {
        name: "zonespread",
        version: env!("CARGO_PKG_VERSION"),
        rules: Check::ALL.into_iter().map(rule).collect(),
    };
    let run = Run {
        tool: Tool { driver },
        column_kind: "unicodeCodePoints",
        results: answer.findings.iter().map(result).collect(),
    };
    Log { schema: SCHEMA, version: "2.1.0", runs: [run] }
}

fn text(text: &str) -> Message {
    Message { text: text.to_owned() }
}

const fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Info => "note",
    }
}

fn rule(check: Check) -> Rule {
    Rule {
        id: check.code(),
        name: check.code(),
        short_description: text(check.title()),
        full_description: text(check.means()),
        help: text(check.helps()),
        default_configuration: Configuration { level: level(check.severity()) },
    }
}

fn result(found: &Found) -> SarifResult {
    let at = Check::ALL.into_iter().position(|check| check.code() == found.check);
    let at = at.unwrap_or_default();
    let physical_location = found.file.as_deref().zip(found.line).map(|(file, line)| {
        let artifact_location = Artifact { uri: uri(file) };
        PhysicalLocation { artifact_location, region: Region { start_line: line } }
    });
    let fully_qualified_name = if found.namespace.is_empty() {
        found.object.clone()
    } else {
        format!("{}/{}", found.namespace, found.object)
    };
    let logical = LogicalLocation { fully_qualified_name, kind: "resource" };
    let suppressions = found.accepted.iter().map(|accepted| Suppression {
        kind: "external",
        status: "accepted",
        justification: accepted.reason.clone(),
    });
    SarifResult {
        rule_id: found.check,
        rule_index: at,
        level: level(Check::ALL[at].severity()),
        message: Message { text: format!("{}. {}", found.message, found.remedy) },
        locations: [Location { physical_location, logical_locations: [logical] }],
        suppressions: suppressions.collect(),
    }
}

/// A path as a reference: relative to the repository where it is so.
fn uri(path: &str) -> String {
    let path = path.strip_prefix("./").unwrap_or(path);
    let mut uri = if path.starts_with('/') { "file://".to_owned() } else { String::new() };
    for byte in path.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                uri.push(char::from(byte));
            }
            // Writing to a String cannot fail.
            other => {
                let _ = write!(uri, "%{other:02X}");
            }
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use super::uri;

    #[test]
    fn paths_are_references() {
        assert_eq!(uri("./deploy/a b#1.yaml"), "deploy/a%20b%231.yaml");
        assert_eq!(uri("/tmp/x.yaml"), "file:///tmp/x.yaml");
    }
}
