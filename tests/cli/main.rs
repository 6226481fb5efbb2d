//! The commands as users run them: exit codes, what goes where, and what is said.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod cases;
mod completion;
mod history;
mod krew;
mod lint;
mod offline;
mod probe;
mod run;
mod situations;
mod ui;
mod versions;
