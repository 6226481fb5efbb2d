//! What was found in files: how many objects of each kind, and where reading was.

use std::collections::BTreeMap;

use crate::observe::Kind;

/// What was found in files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    found: BTreeMap<Kind, usize>,
    skipped: BTreeMap<String, usize>,
    reading: Option<String>,
    last: Option<String>,
}

impl Contents {
    /// An object of this kind is being read.
    pub fn begin(&mut self, kind: &str) {
        self.reading = Some(kind.to_owned());
    }

    /// It was read.
    pub fn end(&mut self, kind: Kind, namespace: Option<&str>, name: &str) {
        *self.found.entry(kind).or_default() += 1;
        let word = self.reading.take().unwrap_or_default();
        self.last = Some(match namespace {
            Some(namespace) => format!("{word} {namespace}/{name}"),
            None => format!("{word} {name}"),
        });
    }

    /// An object that does not matter was read.
    pub fn skip(&mut self, kind: &str) {
        match self.skipped.get_mut(kind) {
            Some(count) => *count += 1,
            None => {
                self.skipped.insert(kind.to_owned(), 1);
            }
        }
    }

    /// How many objects of a kind were found.
    #[must_use]
    pub fn count(&self, kind: Kind) -> usize {
        self.found.get(&kind).copied().unwrap_or_default()
    }

    /// Adds what was found in another document.
    pub fn add(&mut self, other: Self) {
        for (kind, count) in other.found {
            *self.found.entry(kind).or_default() += count;
        }
        for (kind, count) in other.skipped {
            *self.skipped.entry(kind).or_default() += count;
        }
        self.last = other.last.or_else(|| self.last.take());
        self.reading = other.reading;
    }

    /// Where reading was: `in a Pod, after Pod shop/web-1`.
    #[must_use]
    pub fn place(&self) -> Option<String> {
        let reading = self.reading.as_ref().map(|kind| format!("in a {kind}"));
        let last = self.last.as_ref().map(|last| format!("after {last}"));
        match (reading, last) {
            (Some(reading), Some(last)) => Some(format!("{reading}, {last}")),
            (reading, last) => reading.or(last),
        }
    }

    /// What did not matter: `2 ConfigMap, 1 Secret`.
    #[must_use]
    pub fn skipped(&self) -> Option<String> {
        let kinds: Vec<String> =
            self.skipped.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
        (!kinds.is_empty()).then(|| kinds.join(", "))
    }
}
