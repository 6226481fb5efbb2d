//! x
fn main() {
    use kube::CustomResourceExt;
    println!(
        "{}",
        serde_saphyr::to_string(&zonespread::api::ZoneSpreadPolicy::crd()).unwrap_or_default()
    );
}
