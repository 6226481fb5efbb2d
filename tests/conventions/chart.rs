//! The chart has what kustomize has.

use serde_json::Value;

use super::{read, root};

#[test]
fn every_overlay_is_a_layer_of_the_chart() {
    let values: Value = serde_saphyr::from_str(&read("deploy/helm/values.yaml")).unwrap();
    let schema: Value = serde_json::from_str(&read("deploy/helm/values.schema.json")).unwrap();
    let layers = values["layers"].as_object().unwrap();
    let checked = schema["properties"]["layers"]["properties"].as_object().unwrap();
    let templates = read("deploy/helm/templates/layers.yaml");
    let notes = read("deploy/helm/templates/NOTES.txt");
    for entry in std::fs::read_dir(root().join("deploy")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if !path.join("kustomization.yaml").exists() || name == "base" {
            continue;
        }
        let known = [
            ("values.yaml", layers.contains_key(name)),
            ("values.schema.json", checked.contains_key(name)),
            ("templates/layers.yaml", templates.contains(&format!(".Values.layers.{name}"))),
            ("templates/NOTES.txt", notes.contains(&format!(".Values.layers.{name}"))),
        ];
        for (file, is_there) in known {
            assert!(is_there, "deploy/{name} is no layer of the chart: see deploy/helm/{file}");
        }
    }
}

/// Settings that the schema does not know would be refused, and defaults that are not there
/// would not be seen.
#[test]
fn the_charts_values_and_their_schema_name_the_same() {
    fn compare(values: &Value, schema: &Value, path: &str) {
        let Some(known) = schema["properties"].as_object() else { return };
        let values = values.as_object().unwrap_or_else(|| panic!("{path} has no default"));
        // Helm's own, and what Kubernetes defines.
        let foreign = ["global", "requests", "limits", "claims"];
        for (name, schema) in known.iter().filter(|(name, _)| !foreign.contains(&name.as_str())) {
            let value = values.get(name).unwrap_or_else(|| panic!("{path}.{name}: no default"));
            compare(value, schema, &format!("{path}.{name}"));
        }
        for name in values.keys() {
            assert!(known.contains_key(name), "{path}.{name} is not in the schema");
        }
    }
    let values: Value = serde_saphyr::from_str(&read("deploy/helm/values.yaml")).unwrap();
    let schema: Value = serde_json::from_str(&read("deploy/helm/values.schema.json")).unwrap();
    compare(&values, &schema, "");
}

#[test]
fn the_chart_has_the_version_of_the_operator() {
    let chart: Value = serde_saphyr::from_str(&read("deploy/helm/Chart.yaml")).unwrap();
    assert_eq!(chart["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(chart["appVersion"], env!("CARGO_PKG_VERSION"));
}
