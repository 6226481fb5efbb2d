//! Names and labels.

use std::collections::BTreeMap;
use std::sync::Arc;

/// A name that is stored once.
pub type Name = Arc<str>;

/// Labels of a pod or node.
pub type Labels = BTreeMap<String, String>;
