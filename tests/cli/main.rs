//! The commands as users run them: exit codes, what goes where, and what is said.

mod offline;
mod run;
