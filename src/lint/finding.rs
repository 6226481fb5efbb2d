//! What a check found, and what could not be checked.

use super::check::{Check, Severity};

/// Where an object is written: a file, and the line in which it begins.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The file, as it was named.
    pub file: String,
    /// Its line, from 1 on.
    pub line: usize,
}

/// Who accepts a finding.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Accepted {
    /// The policy: `shop/petclinic`.
    pub policy: String,
    /// Why.
    pub reason: String,
}

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The check.
    pub check: Check,
    /// The object's namespace; empty for objects of the cluster.
    pub namespace: String,
    /// The object: `Deployment/web`.
    pub object: String,
    /// The fact, with the object first.
    pub message: String,
    /// Who accepts it.
    pub accepted: Option<Accepted>,
    /// Where the object is written, if it was read from a file.
    pub place: Option<Place>,
}

impl Finding {
    /// How bad it is.
    #[must_use]
    pub const fn severity(&self) -> Severity {
        self.check.severity()
    }
}

/// A check that could not be made, of all or of some objects.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NotChecked {
    /// The check.
    pub check: Check,
    /// Why not, and what would help.
    pub why: String,
    /// Of how many objects; 0 where it is not of single objects.
    pub objects: usize,
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The findings, the worst first; by check, namespace and object.
    pub findings: Vec<Finding>,
    /// What could not be checked.
    pub not_checked: Vec<NotChecked>,
    /// How many workloads were looked at.
    pub workloads: usize,
}

impl Report {
    /// Whether something of this severity or worse was found that nobody accepts.
    #[must_use]
    pub fn fails_on(&self, severity: Severity) -> bool {
        let open = self.findings.iter().filter(|finding| finding.accepted.is_none());
        open.map(Finding::severity).any(|found| found <= severity)
    }
}
