//! Rooms import each other one way. `docs/design.md` draws the arrows.

use std::collections::{BTreeMap, BTreeSet};

use super::{File, files};

/// A folder of `src`, and the rooms that it may import.
const ROOMS: [(&str, &[&str]); 13] = [
    ("api", &[]),
    ("observe", &["api"]),
    ("predict", &["api", "observe"]),
    ("outlook", &["api", "observe", "predict"]),
    ("lint", &["api", "observe", "predict", "outlook"]),
    ("drill", &["api", "observe", "outlook"]),
    ("plan", &["api", "observe", "predict"]),
    ("moves", &["api", "observe", "predict", "plan"]),
    ("report", &["api", "observe", "predict", "outlook", "plan", "moves"]),
    ("operator", &["api", "observe", "predict", "outlook", "drill", "plan", "moves", "report"]),
    ("act", &["api", "observe", "moves"]),
    (
        "controller",
        &["api", "observe", "predict", "drill", "plan", "moves", "report", "operator", "act"],
    ),
    (
        "cli",
        &[
            "api",
            "observe",
            "predict",
            "outlook",
            "lint",
            "drill",
            "plan",
            "moves",
            "report",
            "operator",
            "act",
            "controller",
        ],
    ),
];

#[test]
fn rooms_import_each_other_one_way() {
    let rooms: BTreeMap<&str, &[&str]> = ROOMS.into_iter().collect();
    let sources = files("src", "rs");
    let for_tests = test_files(&sources);
    let mut forbidden = Vec::new();
    for file in sources.iter().filter(|file| !is_below(&file.path, &for_tests)) {
        let Some(from) = room_of(&file.path) else { continue };
        let Some(allowed) = rooms.get(from) else {
            forbidden.push(format!("{}: the room {from} has no place in ROOMS", file.path));
            continue;
        };
        for (line, to) in imports(file) {
            if to != from && !allowed.contains(&to.as_str()) {
                forbidden.push(format!("{from} -> {to}: {}:{line}", file.path));
            }
        }
    }
    assert!(forbidden.is_empty(), "forbidden arrows:\n{}", forbidden.join("\n"));
}

/// The room of a file; none for `lib.rs` and `main.rs`, which put rooms together.
fn room_of(path: &str) -> Option<&str> {
    let (room, _) = path.strip_prefix("src/")?.split_once('/')?;
    Some(room)
}

/// Whether a path is one of `modules` or in the folder of one.
fn is_below(path: &str, modules: &BTreeSet<String>) -> bool {
    let module = path.trim_end_matches(".rs").trim_end_matches("/mod");
    modules.iter().any(|known| {
        module
            .strip_prefix(known.as_str())
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    })
}

/// The modules that are compiled for tests only: `src/plan/properties`.
fn test_files(sources: &[File]) -> BTreeSet<String> {
    let mut modules = BTreeSet::new();
    for file in sources {
        let stem = file.path.trim_end_matches(".rs");
        let own = ["/mod", "/lib", "/main"].iter().find_map(|end| stem.strip_suffix(end));
        let beside = stem.rsplit_once('/').map_or("", |(folder, _)| folder);
        let mut lines = file.text.lines().map(str::trim);
        while let Some(line) = lines.next() {
            if line != "#[cfg(test)]" {
                continue;
            }
            let mut path = None;
            let item = lines.by_ref().find(|line| {
                path = line
                    .strip_prefix("#[path = \"")
                    .map(|rest| rest.trim_end_matches("\"]"))
                    .or(path);
                !line.starts_with("#[")
            });
            let item = item.unwrap_or_default().trim_start_matches("pub ");
            let Some(name) = item.strip_prefix("mod ").and_then(|rest| rest.strip_suffix(';'))
            else {
                continue;
            };
            modules.insert(match path {
                Some(path) => format!("{beside}/{}", path.trim_end_matches(".rs")),
                None => format!("{}/{name}", own.unwrap_or(stem)),
            });
        }
    }
    modules
}

/// The text of a file without comments and without what is compiled for tests
/// only; every line stays at its number. Relies on rustfmt's layout.
fn production(text: &str) -> String {
    let mut out = String::new();
    // Where an item for tests ends: its indentation and a closing brace.
    let mut until: Option<String> = None;
    let mut attributes = false;
    for line in text.lines() {
        let code = line.trim_start();
        let indent = &line[..line.len() - code.len()];
        if let Some(end) = &until {
            if line.starts_with(end.as_str()) {
                until = None;
            }
        } else if code == "#[cfg(test)]" {
            attributes = true;
        } else if attributes {
            if !code.starts_with("#[") {
                attributes = false;
                until = (!code.ends_with([';', ',']) && !code.ends_with('}'))
                    .then(|| format!("{indent}}}"));
            }
        } else if !code.starts_with("//") {
            out.push_str(line);
        }
        out.push('\n');
    }
    out
}

/// The rooms that a file names, with the lines.
fn imports(file: &File) -> Vec<(usize, String)> {
    let text = production(&file.text);
    let module = file.path.trim_start_matches("src/").trim_end_matches(".rs");
    let depth = module.trim_end_matches("/mod").split('/').count();
    let to_the_root = "super::".repeat(depth);
    let mut found = Vec::new();
    for root in ["crate::", to_the_root.as_str()] {
        for (at, _) in text.match_indices(root) {
            let before = text[..at].chars().next_back();
            if before
                .is_some_and(|before| before.is_alphanumeric() || before == '_' || before == ':')
            {
                continue;
            }
            let after = &text[at + root.len()..];
            for (offset, name) in first_names(after) {
                let line = text[..at + root.len() + offset].matches('\n').count() + 1;
                found.push((line, name));
            }
        }
    }
    // A path above the file's own room is a room only if its name is one.
    found.retain(|(_, name)| !name.is_empty());
    found
}

/// The first names of a path that may begin with braces: `{api::X, plan::{A, B}}`
/// names api and plan. With their places in the text.
fn first_names(path: &str) -> Vec<(usize, String)> {
    let name_at = |at: usize| -> (usize, String) {
        let is_name = |c: &char| c.is_alphanumeric() || *c == '_';
        (at, path[at..].chars().take_while(is_name).collect())
    };
    if !path.starts_with('{') {
        return vec![name_at(0)];
    }
    let mut names = Vec::new();
    let mut depth = 0;
    let mut begins = false;
    for (at, c) in path.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            break;
        }
        if depth == 1 && (c == '{' || c == ',') {
            begins = true;
        } else if begins && !c.is_whitespace() {
            begins = false;
            names.push(name_at(at));
        }
    }
    names
}

#[test]
fn every_way_to_name_a_room_is_found() {
    let text = "\
use crate::api::Mode;
use crate::{
    observe::{Index, Name},
    plan,
};
// use crate::comment::X;
use super::super::report::Y;
use super::sibling::Z;
fn f() -> crate::act::T {}
#[cfg(test)]
mod tests {
    use crate::controller::T;
}
#[cfg(test)]
use crate::cli::T;
macro_rules! m { () => { $crate::operator::T } }
";
    let file = File { path: "src/predict/deep.rs".to_owned(), text: text.to_owned() };
    let mut found = imports(&file);
    found.sort();
    let expected =
        [(1, "api"), (3, "observe"), (4, "plan"), (7, "report"), (9, "act"), (16, "operator")];
    assert_eq!(found, expected.map(|(line, room)| (line, room.to_owned())));
}
