//! The `zonespread` command. As `kubectl-zonespread` on the PATH it is a
//! kubectl plugin.

use std::process::ExitCode;

/// Objects are read on one thread and kept by another: allocators that share pages between
/// both keep those pages for the few small things that stay.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    zonespread::cli::main()
}
