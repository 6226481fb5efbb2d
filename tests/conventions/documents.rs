//! What documents point at exists, and what they list is what the code has.

use super::{File, files, read, root};
use crate::api::Reason;

fn documents() -> Vec<File> {
    let mut all: Vec<File> = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"]
        .map(|path| File { path: path.to_owned(), text: read(path) })
        .into();
    all.extend(["deploy", "docs"].iter().flat_map(|folder| files(folder, "md")));
    all
}

#[test]
fn links_between_documents_lead_somewhere() {
    let mut broken = Vec::new();
    for document in documents() {
        let folder = root().join(&document.path).parent().unwrap().to_path_buf();
        for link in links(&document.text) {
            if link.contains("://") {
                continue;
            }
            let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target =
                if path.is_empty() { root().join(&document.path) } else { folder.join(path) };
            let headings = || std::fs::read_to_string(&target).unwrap_or_default();
            if !target.exists() || (!anchor.is_empty() && !has_heading(&headings(), anchor)) {
                broken.push(format!("{}: {link}", document.path));
            }
        }
    }
    assert!(broken.is_empty(), "links that lead nowhere:\n{}", broken.join("\n"));
}

/// The targets of `[text](target)`.
fn links(text: &str) -> impl Iterator<Item = &str> {
    text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(link, _)| link)
}

/// Whether a heading has this anchor, as GitHub makes them.
fn has_heading(text: &str, anchor: &str) -> bool {
    text.lines().filter(|line| line.starts_with('#')).any(|line| {
        let words = line.trim_start_matches('#').trim().to_lowercase();
        let kept = words.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        kept.collect::<String>().replace(' ', "-") == anchor
    })
}

/// Folders of the repository, as documents name them: from the root, or a
/// room of `src` without it.
#[test]
fn files_that_documents_name_exist() {
    let mut missing = Vec::new();
    let map = File { path: "src/lib.rs".to_owned(), text: read("src/lib.rs") };
    for document in documents().into_iter().chain([map]) {
        for word in document.text.split('`').skip(1).step_by(2) {
            let is_path = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
            let Some((first, rest)) = word.split_once('/') else { continue };
            let known = root().join(first).is_dir() || root().join("src").join(first).is_dir();
            // What is built is there once it is.
            let known = known && first != "target";
            if first.is_empty() || rest.is_empty() || !known || !word.chars().all(is_path) {
                continue;
            }
            let names = [word.to_owned(), format!("src/{word}"), format!("src/{word}.rs")];
            if !names.iter().any(|name| root().join(name).exists()) {
                missing.push(format!("{}: {word}", document.path));
            }
        }
    }
    assert!(missing.is_empty(), "named and not there:\n{}", missing.join("\n"));
}

/// Facts are shown by tests: a name of four words or more is one of them.
#[test]
fn tests_that_documents_name_exist() {
    let code: Vec<File> = ["src", "tests"].iter().flat_map(|folder| files(folder, "rs")).collect();
    let mut missing = Vec::new();
    for document in documents() {
        for word in document.text.split('`').skip(1).step_by(2) {
            let is_name = word.chars().all(|c| c.is_ascii_lowercase() || c == '_');
            if !is_name || word.matches('_').count() < 3 || word.starts_with("zonespread_") {
                continue;
            }
            let defined = format!("fn {word}(");
            if !code.iter().any(|file| file.text.contains(&defined)) {
                missing.push(format!("{}: {word}", document.path));
            }
        }
    }
    assert!(missing.is_empty(), "no such test:\n{}", missing.join("\n"));
}

/// The reasons are listed in their order of precedence, which is the enum's.
#[test]
fn every_reason_is_listed_in_its_order() {
    let concepts = read("docs/concepts.md");
    let gates = concepts.lines().find(|line| line.contains("**Gates.**")).unwrap();
    let listed: Vec<&str> = gates.split('`').skip(1).step_by(2).collect();
    let known: Vec<&str> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
    assert_eq!(listed, known);
}

/// `<!-- run by NAME -->` above a block of commands names the test that runs them in the
/// place of `tests/real/documents.rs`.
#[test]
fn tests_that_run_what_documents_print_exist() {
    let code: Vec<File> = ["src", "tests"].iter().flat_map(|folder| files(folder, "rs")).collect();
    let mut missing = Vec::new();
    for document in documents() {
        for rest in document.text.split("<!-- run by ").skip(1) {
            let name = rest.split(" -->").next().unwrap();
            let defined = format!("fn {name}(");
            if !code.iter().any(|file| file.text.contains(&defined)) {
                missing.push(format!("{}: {name}", document.path));
            }
        }
    }
    assert!(missing.is_empty(), "no such test:\n{}", missing.join("\n"));
}
