//! How a pod is moved.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How a pod is moved.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum MoveKind {
    /// It is evicted, and its owner makes another.
    #[default]
    Evict,
    /// Its owner is made to let it go and makes another; once that is Available, the pod is
    /// evicted.
    Surge,
}

impl MoveKind {
    /// Every kind.
    pub const ALL: [Self; 2] = [Self::Evict, Self::Surge];

    /// The word users see, in status and as a metric label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Evict => "Evict",
            Self::Surge => "Surge",
        }
    }
}
