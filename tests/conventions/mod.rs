//! What the code and the documents promise about themselves: arrows between
//! rooms, sizes, links, runbooks. Part of the unit tests, so that it costs no build.

mod arrows;
mod chart;
mod documents;
mod runbooks;
mod sizes;
mod values;

use std::fs;
use std::path::{Path, PathBuf};

/// A file of the repository.
struct File {
    /// Its path from the root: `src/plan/gates.rs`.
    path: String,
    text: String,
}

/// The files below `folder` whose names end with `extension`, in order.
fn files(folder: &str, extension: &str) -> Vec<File> {
    let root = root();
    let mut found = Vec::new();
    let mut folders = vec![root.join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|known| known == extension) {
                let name = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
                found.push(File { path: name, text: fs::read_to_string(&path).unwrap() });
            }
        }
    }
    found.sort_by(|one, other| one.path.cmp(&other.path));
    assert!(!found.is_empty(), "no .{extension} in {folder}");
    found
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_path_buf()
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}
