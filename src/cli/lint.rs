//! `zonespread lint`: what will go wrong in an outage, and shows before it.

use clap::{Args, ValueEnum};
use serde::Serialize;

use crate::api::text::counted;
use crate::lint::{Accepted, Finding, Input, NotChecked, Report, Severity, lint};

use super::cluster::Access;
use super::output::{Format, Output};
use super::source::{Inspected, Source};
use super::view::{lint_metrics, lint_sarif, lint_table};
use super::{Failure, Unmet};

/// Arguments of `zonespread lint`.
#[derive(Debug, Args)]
pub struct Lint {
    /// How many zones there are, for manifests without nodes
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=20))]
    zones: Option<u8>,
    /// Exits with 3 if there is a finding as bad as this that nobody accepts
    #[arg(long, value_name = "SEVERITY", default_value = "warning")]
    fail_on: FailOn,
    #[command(flatten)]
    source: Source,
    /// How the answer is printed
    #[arg(short = 'o', long = "output", default_value = "table", value_name = "FORMAT")]
    format: LintFormat,
}

/// What ends the command with 3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum FailOn {
    /// Errors
    Error,
    /// Errors and warnings
    Warning,
    /// Any finding
    Info,
    /// Nothing
    Never,
}

/// A format of findings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum LintFormat {
    /// For people
    Table,
    /// For programs
    Json,
    /// For programs and people
    Yaml,
    /// For code scanning: SARIF 2.1.0
    Sarif,
    /// For alerts: a metric, in Prometheus' text format
    Prometheus,
}

/// What was found.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LintAnswer {
    /// The findings, the worst first.
    pub findings: Vec<Found>,
    /// What could not be checked.
    pub not_checked: Vec<Unchecked>,
    /// How many workloads were looked at.
    pub workloads: usize,
}

/// A finding.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Found {
    /// The check.
    pub check: &'static str,
    /// How bad it is.
    pub severity: &'static str,
    /// The object's namespace; empty for objects of the cluster.
    pub namespace: String,
    /// The object: `Deployment/web`.
    pub object: String,
    /// The fact.
    pub message: String,
    /// What helps.
    pub remedy: &'static str,
    /// Who accepts it, and why.
    pub accepted: Option<Acceptance>,
    /// The file in which the object is written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The line in which it begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
}

/// Who accepts a finding, and why.
#[derive(Debug, Serialize)]
pub struct Acceptance {
    /// The policy: `shop/petclinic`.
    pub policy: String,
    /// The reason that is written there.
    pub reason: String,
}

/// A check that could not be made.
#[derive(Debug, Serialize)]
pub struct Unchecked {
    /// The check.
    pub check: &'static str,
    /// Of how many objects.
    pub objects: usize,
    /// Why not, and what would help.
    pub why: String,
}

impl Lint {
    /// Prints the findings; fails if one is as bad as asked.
    pub fn run(&self, access: &Access) -> Result<(), Failure> {
        let Inspected { snapshot, declared } = self.source.inspect(access)?;
        let operator = &snapshot.operator;
        let scheduler = operator.scheduler();
        let report = lint(Input {
            index: operator.index(),
            declared: &declared,
            scheduler: &scheduler,
            config: operator.scheduler_config(),
            zones: self.zones.map(usize::from),
        });
        let report = within(report, snapshot.namespace.as_deref());
        let findings = LintAnswer::new(&report);
        match self.format {
            LintFormat::Table => Output::of(Format::Table).print(&findings, lint_table),
            LintFormat::Json => Output::of(Format::Json).print(&findings, lint_table),
            LintFormat::Yaml => Output::of(Format::Yaml).print(&findings, lint_table),
            LintFormat::Sarif => {
                Output::of(Format::Json).print(&lint_sarif(&findings), |_| String::new())
            }
            LintFormat::Prometheus => Output::of(Format::Table).print(&findings, lint_metrics),
        }?;
        let fails_on = match self.fail_on {
            FailOn::Error => Some(Severity::Error),
            FailOn::Warning => Some(Severity::Warning),
            FailOn::Info => Some(Severity::Info),
            FailOn::Never => None,
        };
        match fails_on.filter(|severity| report.fails_on(*severity)) {
            Some(_) => Err(Unmet(summary(&report)).into()),
            None => Ok(()),
        }
    }
}

/// What was found in one namespace.
fn within(report: Report, namespace: Option<&str>) -> Report {
    let Some(namespace) = namespace else { return report };
    let findings = report.findings.into_iter();
    let findings = findings.filter(|finding| finding.namespace == namespace);
    Report { findings: findings.collect(), ..report }
}

/// `2 errors, 1 warning`, those that nobody accepts.
fn summary(report: &Report) -> String {
    let of = |severity: Severity| {
        let open = report.findings.iter().filter(|finding| finding.accepted.is_none());
        open.filter(|finding| finding.severity() == severity).count()
    };
    let counts = Severity::ALL.map(|severity| {
        let noun = match severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Info => return format!("{} info", of(severity)),
        };
        counted(of(severity), noun)
    });
    let some: Vec<String> = counts.into_iter().filter(|count| !count.starts_with("0 ")).collect();
    some.join(", ")
}

impl LintAnswer {
    fn new(report: &Report) -> Self {
        Self {
            findings: report.findings.iter().map(Found::new).collect(),
            not_checked: report.not_checked.iter().map(Unchecked::new).collect(),
            workloads: report.workloads,
        }
    }
}

impl Found {
    fn new(finding: &Finding) -> Self {
        let accepted = finding.accepted.as_ref().map(|Accepted { policy, reason }| Acceptance {
            policy: policy.clone(),
            reason: reason.clone(),
        });
        let place = finding.place.as_ref();
        Self {
            check: finding.check.code(),
            severity: finding.severity().as_str(),
            namespace: finding.namespace.clone(),
            object: finding.object.clone(),
            message: finding.message.clone(),
            remedy: finding.check.helps(),
            accepted,
            file: place.map(|place| place.file.clone()),
            line: place.map(|place| place.line),
        }
    }
}

impl Unchecked {
    fn new(unchecked: &NotChecked) -> Self {
        Self {
            check: unchecked.check.code(),
            objects: unchecked.objects,
            why: unchecked.why.clone(),
        }
    }
}
