//! What people write in manifests means what it says.

use super::read;

/// YAML 1.1, which kubectl reads, has many words for true and false.
#[test]
fn no_value_of_the_api_is_a_boolean_to_yaml() {
    let crds = read("crds/zonespread.yaml");
    let mut lines = crds.lines().map(str::trim).peekable();
    let mut values = Vec::new();
    while let Some(line) = lines.next() {
        if line == "enum:" {
            while let Some(value) = lines.next_if_map(|line| line.strip_prefix("- ").ok_or(line)) {
                values.push(value);
            }
        }
    }
    assert!(values.contains(&"Guided") && values.contains(&"Never"), "{values:?}");
    let booleans = ["y", "n", "yes", "no", "on", "off", "true", "false"];
    let traps: Vec<_> = values
        .iter()
        .filter(|value| booleans.contains(&value.to_ascii_lowercase().as_str()))
        .collect();
    assert!(traps.is_empty(), "to be written in quotes only: {traps:?}");
}
