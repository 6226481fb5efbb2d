//! `zonespread crd`: prints the CustomResourceDefinition.

use std::io::Write;

use kube::CustomResourceExt;

use crate::api::ZoneSpreadPolicy;

use super::Failure;

/// Prints the CRD as YAML.
pub fn print() -> Result<(), Failure> {
    // By way of a JSON value, so that the order of fields is that of the alphabet.
    let crd = serde_json::to_value(ZoneSpreadPolicy::crd())?;
    let yaml = serde_saphyr::to_string(&crd)?;
    std::io::stdout().lock().write_all(yaml.as_bytes())?;
    Ok(())
}
