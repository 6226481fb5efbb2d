//! zonespread
pub mod api;
pub mod observe;
pub mod predict;
pub mod plan;
pub mod act;
pub mod report;
pub mod operator;
