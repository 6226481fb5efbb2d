//! `zonespread completion` and `zonespread man`: what shells and manuals need to know of the
//! commands, made of their arguments.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::{Args, CommandFactory};
use clap_complete::Shell;
use clap_mangen::Man as Page;

use super::{Arguments, Failure};

/// Arguments of `zonespread completion`.
#[derive(Debug, Args)]
#[command(after_help = "For a session: source <(zonespread completion bash)")]
pub struct Completion {
    /// The shell
    #[arg(value_name = "SHELL", value_enum)]
    shell: Shell,
}

/// Arguments of `zonespread man`.
#[derive(Debug, Args)]
pub struct Man {
    /// Write a page for each command into this folder, which is made if it is not there;
    /// without it the page of zonespread itself is printed
    #[arg(long, value_name = "FOLDER")]
    directory: Option<PathBuf>,
}

impl Completion {
    /// Prints the script.
    pub fn run(&self) -> Result<(), Failure> {
        // Not to stdout at once: a reader that has enough is no error.
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Arguments::command(), "zonespread", &mut script);
        Ok(io::stdout().lock().write_all(&script)?)
    }
}

impl Man {
    /// Prints the page, or writes all of them.
    pub fn run(&self) -> Result<(), Failure> {
        let Some(directory) = &self.directory else {
            let mut page = Vec::new();
            Page::new(Arguments::command()).render(&mut page)?;
            return Ok(io::stdout().lock().write_all(&page)?);
        };
        let wrong = |error| format!("--directory {}: {error}", directory.display());
        std::fs::create_dir_all(directory).map_err(wrong)?;
        Ok(clap_mangen::generate_to(Arguments::command(), directory).map_err(wrong)?)
    }
}
