//! The commands as a whole, and as documents and alerts print them.

use std::fs;
use std::path::{Path, PathBuf};

use clap::{CommandFactory, Parser};

use super::Arguments;

#[test]
fn the_arguments_of_all_commands_are_consistent() {
    Arguments::command().debug_assert();
}

/// Where commands are printed for people to type.
fn documents() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths: Vec<PathBuf> =
        ["README.md", "CHANGELOG.md", "deploy/README.md", "deploy/alerts.yaml"]
            .map(|path| root.join(path))
            .into();
    for entry in fs::read_dir(root.join("docs")).unwrap() {
        let path = entry.unwrap().path();
        // ADRs tell what was, and what was thought of.
        if path.is_file() {
            paths.push(path);
        }
    }
    paths.into_iter().map(|path| (path.clone(), fs::read_to_string(path).unwrap())).collect()
}

/// Every `zonespread …` in a line of a code block, or between backticks.
fn commands(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut in_block = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            in_block = !in_block;
        } else if in_block {
            found.push(line.trim_start().trim_start_matches("$ "));
        } else {
            found.extend(line.split('`').skip(1).step_by(2));
        }
    }
    let own = found.into_iter().map(|line| line.strip_prefix("kubectl ").unwrap_or(line));
    own.filter(|line| line.starts_with("zonespread ")).collect()
}

/// The words of a command line: quotes hold them together, a comment or a redirection ends it.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut is_quoted = false;
    // The alerts' templates.
    let line = line.replace("{{ $labels.", "").replace(" }}", "");
    for c in line.chars() {
        match c {
            '"' => is_quoted = !is_quoted,
            ' ' if !is_quoted => words.push(String::new()),
            _ => words.last_mut().unwrap().push(c),
        }
    }
    words.retain(|word| !word.is_empty());
    words.into_iter().take_while(|word| !["#", ">", "|", "&&"].contains(&word.as_str())).collect()
}

#[test]
fn every_command_that_documents_print_can_be_typed() {
    let mut wrong = Vec::new();
    let mut count = 0;
    for (path, text) in documents() {
        for line in commands(&text) {
            let mut words = words(line);
            // "zonespread plan, predict": a list of names is no command line.
            if words.len() < 2 || words[1].ends_with(',') || ["COMMAND", "…"].contains(&&*words[1])
            {
                continue;
            }
            // What is only named.
            if words.len() == 2 && Arguments::command().find_subcommand(&words[1]).is_some() {
                continue;
            }
            for word in &mut words {
                match word.as_str() {
                    "REASON" => "ZoneHeld".clone_into(word),
                    "N" => "1".clone_into(word),
                    _ => {}
                }
            }
            count += 1;
            if let Err(error) = Arguments::try_parse_from(&words) {
                let why = error.to_string();
                wrong.push(format!("{}: {line}: {}", path.display(), why.lines().next().unwrap()));
            }
        }
    }
    assert!(wrong.is_empty(), "commands that cannot be typed:\n{}", wrong.join("\n"));
    assert!(count > 40, "{count} commands were found");
}
