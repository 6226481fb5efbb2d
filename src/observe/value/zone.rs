//! Zones.

use std::fmt;

use super::name::Name;

/// A value of `topology.kubernetes.io/zone`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Zone(Name);

impl Zone {
    /// The zone with this name.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self(Name::from(name))
    }

    /// The zone with this interned name.
    #[must_use]
    pub const fn from_name(name: Name) -> Self {
        Self(name)
    }

    /// Its name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}
