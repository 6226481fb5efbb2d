//! zonespread
pub mod api;
pub mod observe;
pub mod predict;
