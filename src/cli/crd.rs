//! `zonespread crd`: prints the CustomResourceDefinitions.

use std::io::Write;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;

use crate::api::{ZoneDrill, ZoneObject, ZoneSpreadPolicy};

use super::Failure;

/// Every CRD, in the order in which they are printed.
#[must_use]
pub fn crds() -> [CustomResourceDefinition; 3] {
    [ZoneDrill::crd(), ZoneObject::crd(), ZoneSpreadPolicy::crd()]
}

/// Prints the CRDs as YAML, one document each.
pub fn print() -> Result<(), Failure> {
    let mut documents = Vec::new();
    for crd in crds() {
        // By way of a JSON value, so that the order of fields is that of the alphabet.
        documents.push(serde_saphyr::to_string(&serde_json::to_value(crd)?)?);
    }
    std::io::stdout().lock().write_all(documents.join("---\n").as_bytes())?;
    Ok(())
}
