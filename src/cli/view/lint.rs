//! What lint found, for a person: the findings, what helps, and what was not checked.

use std::collections::BTreeSet;

use crate::cli::lint::{Found, LintAnswer};
use crate::cli::table::{Grid, or_dash};

/// The tables of findings.
pub fn lint_table(answer: &LintAnswer) -> String {
    let mut parts = Vec::new();
    if answer.findings.is_empty() {
        parts.push(format!("nothing found in {} workloads\n", answer.workloads));
    } else {
        parts.push(findings(&answer.findings));
        parts.push(remedies(&answer.findings));
    }
    if !answer.not_checked.is_empty() {
        let mut grid = Grid::new(["NOT CHECKED", "OBJECTS", "WHY"]).with_notes(["WHY"]);
        for unchecked in &answer.not_checked {
            grid.row([unchecked.check, &unchecked.objects.to_string(), &unchecked.why]);
        }
        parts.push(grid.print());
    }
    parts.join("\n")
}

fn findings(findings: &[Found]) -> String {
    let columns = ["SEVERITY", "CHECK", "NAMESPACE", ""];
    let mut grid = Grid::new(columns).with_notes([""]);
    for found in findings {
        let severity = if found.accepted.is_some() { "accepted" } else { found.severity };
        let mut message = found.message.clone();
        if let Some(accepted) = &found.accepted {
            message = format!("{message} (accepted by {}: {})", accepted.policy, accepted.reason);
        }
        if let (Some(file), Some(line)) = (&found.file, found.line) {
            message = format!("{message} [{file}:{line}]");
        }
        grid.row([severity, found.check, or_dash(Some(&found.namespace)), &message]);
    }
    grid.print()
}

/// What helps, once for each check.
fn remedies(findings: &[Found]) -> String {
    let mut told = BTreeSet::new();
    let mut grid = Grid::new(["WHAT HELPS", ""]).with_notes([""]);
    for found in findings.iter().filter(|found| found.accepted.is_none()) {
        if told.insert(found.check) {
            grid.row([found.check, found.remedy]);
        }
    }
    if told.is_empty() { String::new() } else { grid.print() }
}
