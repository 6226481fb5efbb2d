//! A controller, as a status names it.

use crate::observe::{Name, Owner};

/// A controller, by what a status says of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct OwnerName {
    /// `ReplicaSet`, `StatefulSet`, or a custom kind.
    pub kind: Name,
    /// Its name.
    pub name: Name,
}

impl OwnerName {
    /// What a status says: `Kind/name`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (kind, name) = text.split_once('/')?;
        Some(Self { kind: Name::from(kind), name: Name::from(name) })
    }

    /// Whether this is that controller.
    #[must_use]
    pub fn is(&self, owner: &Owner) -> bool {
        self.kind == owner.kind && self.name == owner.name
    }
}

impl From<&Owner> for OwnerName {
    fn from(owner: &Owner) -> Self {
        Self { kind: Name::clone(&owner.kind), name: Name::clone(&owner.name) }
    }
}

impl std::fmt::Display for OwnerName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.kind, self.name)
    }
}
