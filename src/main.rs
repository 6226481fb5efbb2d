//! The `zonespread` command. As `kubectl-zonespread` on the PATH it is a
//! kubectl plugin.

use std::process::ExitCode;

fn main() -> ExitCode {
    zonespread::cli::main()
}
