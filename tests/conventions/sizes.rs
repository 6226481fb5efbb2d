//! Files of a size that one can read. Functions: `too-many-lines-threshold`
//! in clippy.toml.

use super::files;

const LINES: usize = 500;

#[test]
fn no_file_has_more_than_500_lines() {
    let all = ["src", "tests", "benches", "fuzz"].iter().flat_map(|folder| files(folder, "rs"));
    let long: Vec<String> = all
        .map(|file| (file.text.lines().count(), file.path))
        .filter(|(lines, _)| *lines > LINES)
        .map(|(lines, path)| format!("{path}: {lines}"))
        .collect();
    assert!(long.is_empty(), "longer than {LINES} lines:\n{}", long.join("\n"));
}
