//! The commands.

mod age;
mod cluster;
mod cluster_args;
mod completion;
mod consent;
mod crd;
mod drill;
mod drill_live;
mod explain;
mod history;
mod hold;
mod lint;
mod live;
mod log;
mod manifests;
mod names;
pub mod offline;
mod outlook;
mod output;
mod plan;
mod predict;
mod probe;
mod run;
mod scope;
mod source;
mod status;
mod table;
mod ui;
mod view;
mod watch;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

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
    /// Print the CustomResourceDefinitions
    Crd,
    /// Say what a reason means, and what helps
    Explain(explain::Explain),
    /// Hold a zone by hand: nothing is evicted from tiers that use it
    Hold(hold::Hold),
    /// End the hold of a zone
    Release(hold::Release),
    /// Pause a policy: nothing of it is moved
    Pause(consent::OnePolicy),
    /// End the pause of a policy
    Resume(consent::OnePolicy),
    /// Approve the plan of a policy that waits for it
    Approve(consent::Approve),
    /// Show what the policies' statuses say
    Status(status::Status),
    /// Show past recoveries: which zone, how long it was held, moves, the worst moment
    History(history::History),
    /// Show what would be moved now, and why not
    Plan(plan::Plan),
    /// Show where a pod's replacement would land if it were evicted now
    Predict(predict::Predict),
    /// Show what the loss of each zone would do; exits with 3 if one is not safe to lose
    Outlook(outlook::OutlookArgs),
    /// Check a cluster, or manifests, for what will go wrong in an outage; exits with 3 if
    /// something is found
    Lint(lint::Lint),
    /// Lose a zone on purpose, or show what that would do; exits with 3 if something speaks
    /// against it, or it did not succeed
    Drill(drill::Drill),
    /// Serve a page on this machine that shows zones, policies and moves as they happen
    Ui(ui::Ui),
    /// Print the script that completes commands and flags in a shell
    Completion(completion::Completion),
    /// Print the manual page, or write one for each command
    Man(completion::Man),
    /// Check what a pod needs where it runs: DNS and the API server; what a probe pod runs
    Probe(probe::Probe),
}

/// The exit code of a command that looked, and found that what it checks does not hold.
const CHECK_FAILED: u8 = 3;

/// Runs the command that the arguments name.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = arguments();
    let result = match arguments.command {
        Command::Run(run) => run.run(&arguments.access),
        Command::Crd => crd::print(),
        Command::Explain(explain) => explain.run(),
        Command::Hold(hold) => hold.run(&arguments.access),
        Command::Release(release) => release.run(&arguments.access),
        Command::Pause(policy) => policy.pause(&arguments.access),
        Command::Resume(policy) => policy.resume(&arguments.access),
        Command::Approve(approve) => approve.run(&arguments.access),
        Command::Status(status) => status.run(&arguments.access),
        Command::History(history) => history.run(&arguments.access),
        Command::Plan(plan) => plan.run(&arguments.access),
        Command::Predict(predict) => predict.run(&arguments.access),
        Command::Lint(lint) => lint.run(&arguments.access),
        Command::Drill(drill) => drill.run(&arguments.access),
        Command::Completion(completion) => completion.run(),
        Command::Man(man) => man.run(),
        Command::Ui(ui) => ui.run(&arguments.access),
        Command::Probe(probe) => probe.run(&arguments.access),
        Command::Outlook(outlook) => match outlook.run(&arguments.access) {
            Ok(true) => Ok(()),
            Ok(false) => return ExitCode::from(CHECK_FAILED),
            Err(error) => Err(error),
        },
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        // The reader of our output has closed it, as `head` does.
        Err(error) if is_broken_pipe(&*error) => ExitCode::SUCCESS,
        Err(error) if error.is::<Unmet>() => {
            output::note(&error.to_string());
            ExitCode::from(CHECK_FAILED)
        }
        Err(error) => {
            output::note(&format!("error: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// The name under which kubectl finds the binary as its plugin.
const PLUGIN: &str = "kubectl-zonespread";

/// The arguments; help is printed as the command was typed.
fn arguments() -> Arguments {
    let mut command = Arguments::command();
    let called = std::env::args_os().next().map(PathBuf::from);
    if called.is_some_and(|path| path.file_stem().is_some_and(|name| name == PLUGIN)) {
        command = command.bin_name("kubectl zonespread");
    }
    Arguments::from_arg_matches(&command.get_matches()).unwrap_or_else(|error| error.exit())
}

fn is_broken_pipe(error: &(dyn std::error::Error + 'static)) -> bool {
    error
        .downcast_ref::<std::io::Error>()
        .is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}

/// A check that a command makes does not hold; its answer is printed all the same.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Unmet(String);

/// Why a command failed, for a human.
type Failure = Box<dyn std::error::Error>;

#[cfg(test)]
mod tests;
