//! Pods whose landing cannot be predicted, by name of the cause.

use crate::observe::Template;

use super::config::SchedulerConfig;

/// Why it cannot be known where a pod with this template lands.
pub(super) fn cause(config: &SchedulerConfig, template: &Template) -> Option<String> {
    if let Some(field) = &template.unreadable {
        return Some(format!("the pod's spec cannot be read: {field}"));
    }
    if let Some(what) = &config.not_modelled {
        return Some(format!("the scheduler's configuration: {what}"));
    }
    if !config.names.contains(&template.scheduler) {
        return Some(format!(
            "schedulerName {}: another scheduler places the pod, by rules of its own",
            template.scheduler
        ));
    }
    if let Some(field) = template.special {
        return Some(field.as_str().to_owned());
    }
    if template.gated {
        return Some("schedulingGates: the pod waits until somebody removes them".to_owned());
    }
    if template.claims_devices {
        return Some(
            "resourceClaims: devices are allocated by drivers (dynamic resource allocation)"
                .to_owned(),
        );
    }
    None
}
