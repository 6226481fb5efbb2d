//! What lint found as a metric, in Prometheus' text format: for a file that node-exporter reads,
//! or a push gateway.

use prometheus::core::Collector;
use prometheus::{IntGaugeVec, Opts, TextEncoder};

use crate::cli::lint::LintAnswer;
use crate::lint::Check;

const NAME: &str = "zonespread_lint_findings";
const HELP: &str = "Findings of zonespread lint by check; 0 for checks that found nothing.";
const LABELS: [&str; 3] = ["check", "severity", "accepted"];

/// A series for each check, so that an alert tells a check that is content from one that was
/// not made.
pub fn lint_metrics(answer: &LintAnswer) -> String {
    let findings = match IntGaugeVec::new(Opts::new(NAME, HELP), &LABELS) {
        Ok(findings) => findings,
        Err(error) => return format!("# {error}\n"),
    };
    for check in Check::ALL {
        for accepted in [false, true] {
            let found = answer.findings.iter().filter(|found| {
                found.check == check.code() && found.accepted.is_some() == accepted
            });
            let labels = [check.code(), check.severity().as_str(), bool_label(accepted)];
            let count = i64::try_from(found.count()).unwrap_or(i64::MAX);
            findings.with_label_values(&labels).set(count);
        }
    }
    TextEncoder::new().encode_to_string(&findings.collect()).unwrap_or_default()
}

const fn bool_label(value: bool) -> &'static str {
    if value { "true" } else { "false" }
}
