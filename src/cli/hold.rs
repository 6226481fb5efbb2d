//! `zonespread hold` and `release`: holds of zones by hand.

use std::time::Duration;

use clap::Args;
use jiff::Timestamp;
use kube::api::{Api, Patch, PatchParams};
use kube::{Config, Resource, ResourceExt};
use serde_json::{Value, json};

use crate::api::{DurationBounds, ZoneObject, parse_duration, zone_object_name};

use super::Failure;
use super::cluster::Access;
use super::live::{block_on, client, request_error};
use super::output::note;

/// Who writes holds, as server-side apply sees it: not the operator.
const FIELD_MANAGER: &str = "zonespread-hold";
/// A hold is for a while, not for ever.
const LASTS: DurationBounds = DurationBounds { least: "1s", most: "720h" };

/// Arguments of `zonespread hold`.
#[derive(Debug, Args)]
pub struct Hold {
    /// The zone: a value of the node label topology.kubernetes.io/zone
    #[arg(value_name = "ZONE")]
    zone: String,
    /// For how long, such as 30m or 2h, at most 720h; another hold of the zone is replaced
    #[arg(long = "for", value_name = "DURATION", value_parser = duration)]
    lasts: Duration,
    /// Why; shown to the person on call
    #[arg(long, value_name = "TEXT", value_parser = reason)]
    reason: String,
}

/// Arguments of `zonespread release`.
#[derive(Debug, Args)]
pub struct Release {
    /// The zone: a value of the node label topology.kubernetes.io/zone
    #[arg(value_name = "ZONE")]
    zone: String,
}

fn duration(text: &str) -> Result<Duration, String> {
    parse_duration(text, LASTS)
}

fn reason(text: &str) -> Result<String, String> {
    let text = text.trim();
    match text.chars().count() {
        0 => Err("say why the zone is held".to_owned()),
        1..=256 => Ok(text.to_owned()),
        _ => Err("at most 256 characters".to_owned()),
    }
}

/// The zone in `ZONE` or `zone/ZONE`, as kubectl takes names.
pub(super) fn zone_name(text: &str) -> &str {
    let kinds = ["zone/", "zones/", "zsz/", "zones.zonespread.io/"];
    kinds.iter().find_map(|kind| text.strip_prefix(kind)).unwrap_or(text)
}

impl Hold {
    /// Holds the zone.
    pub fn run(&self, access: &Access) -> Result<(), Failure> {
        let zone = zone_name(&self.zone);
        let until = Timestamp::now().checked_add(self.lasts)?.round(jiff::Unit::Second)?;
        let name = zone_object_name(zone);
        let patch = json!({
            "apiVersion": ZoneObject::api_version(&()),
            "kind": ZoneObject::kind(&()),
            "metadata": {"name": name},
            "spec": {"hold": {"until": until.to_string(), "reason": self.reason}},
        });
        let params = PatchParams::apply(FIELD_MANAGER).force();
        let config = block_on(access.config())??;
        let held = block_on(patch_zone(config, &name, &params, Patch::Apply(patch)))??;
        println!(
            "zone {zone} is held until {}: `zonespread release {zone}` ends the hold",
            until.strftime("%Y-%m-%d %H:%M:%SZ")
        );
        if held.status.as_ref().is_none_or(|status| status.nodes == 0) {
            note(&format!(
                "the operator has seen no node in zone {zone}: check the name with `kubectl get zones.zonespread.io`"
            ));
        }
        Ok(())
    }
}

impl Release {
    /// Ends the hold of the zone.
    pub fn run(&self, access: &Access) -> Result<(), Failure> {
        let zone = zone_name(&self.zone);
        let patch = Patch::Merge(json!({"spec": {"hold": Value::Null}}));
        let params =
            PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        let name = zone_object_name(zone);
        let config = block_on(access.config())??;
        let released = block_on(patch_zone(config, &name, &params, patch))??;
        println!("zone {zone} is not held by hand any more");
        let state = released.status.as_ref().and_then(|status| status.state);
        if let Some(message) = released.status.as_ref().map(|status| status.message.as_str())
            && state == Some(crate::api::ZoneState::Impaired)
        {
            note(&format!("zone {} is {message}", released.name_any()));
        }
        Ok(())
    }
}

async fn patch_zone(
    config: Config,
    name: &str,
    params: &PatchParams,
    patch: Patch<Value>,
) -> Result<ZoneObject, Failure> {
    let address = config.cluster_url.to_string();
    let zones: Api<ZoneObject> = Api::all(client(config)?);
    zones.patch(name, params, &patch).await.map_err(|error| match error {
        kube::Error::Api(status) if status.is_not_found() => format!(
            "there is no Zone {name}, or the cluster knows no Zones: see `kubectl get zones.zonespread.io`"
        )
        .into(),
        error => Failure::from(format!(
            "cannot write Zone {name}: {}",
            request_error(&error, &address)
        )),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("2h", Some(7200))]
    #[case("1h30m", Some(5400))]
    #[case("720h", Some(2_592_000))]
    #[case("720h1s", None)]
    #[case("0s", None)]
    #[case("-1h", None)]
    #[case("2 hours", None)]
    fn a_hold_has_an_end_in_sight(#[case] text: &str, #[case] seconds: Option<u64>) {
        assert_eq!(duration(text).ok().map(|lasts| lasts.as_secs()), seconds);
    }

    #[rstest]
    #[case("eu-west-2c", "eu-west-2c")]
    #[case("zone/eu-west-2c", "eu-west-2c")]
    #[case("zsz/Zone_A", "Zone_A")]
    fn zones_are_named_as_kubectl_names_things(#[case] text: &str, #[case] zone: &str) {
        assert_eq!(zone_name(text), zone);
    }

    #[test]
    fn a_hold_says_why() {
        assert!(reason("  ").is_err());
        assert_eq!(reason(" packets get lost ").as_deref(), Ok("packets get lost"));
        assert!(reason(&"a".repeat(257)).is_err());
    }
}
