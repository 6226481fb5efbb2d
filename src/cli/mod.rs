//! The commands.

mod cluster;
mod crd;
mod run;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Keeps pods spread over availability zones, and brings them back after a
/// zone has recovered.
#[derive(Debug, Parser)]
#[command(name = "zonespread", version, about)]
struct Arguments {
    #[command(flatten)]
    access: cluster::Access,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the operator
    Run(run::Run),
    /// Print the CustomResourceDefinition
    Crd,
}

/// Runs the command that the arguments name.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let result = match arguments.command {
        Command::Run(run) => run.run(&arguments.access),
        Command::Crd => crd::print(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Why a command failed, for a human.
type Failure = Box<dyn std::error::Error>;
