//! Policies, and which pods belong to which of them.

pub(super) mod assignment;
pub(super) mod entry;
pub(super) mod label_index;
pub(super) mod pause;
pub(super) mod selector_index;
pub(super) mod windows;
