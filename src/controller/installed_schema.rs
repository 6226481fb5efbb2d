//! Statuses that the installed CRD does not take: it is of another version than this program.
//!
//! Nothing is evicted then, since moves are stored before they begin. What is missing is the
//! new CRD, and it is the same for every policy and zone.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use kube::Error;
use tracing::{debug, warn};

use super::error_text::error_text;

/// What lasts is said again after this long.
const AGAIN_AFTER: Duration = Duration::from_mins(10);

/// When it was last said that the CRD is another one.
#[derive(Clone, Debug, Default)]
pub struct InstalledSchema(Arc<Mutex<Option<Instant>>>);

impl InstalledSchema {
    /// Why a status was not stored; says it, where others are not told the same already.
    pub fn refused(&self, what: &str, error: &Error) -> String {
        let text = error_text(error);
        if !is_of_the_schema(error) {
            warn!("the status of {what} could not be written: {text}");
            return text;
        }
        if self.is_news() {
            warn!(
                "the status of {what} could not be written, nor can others, and nothing is evicted: the CRDs that are installed are not those of zonespread {}: apply its crds/zonespread.yaml (`zonespread crd | kubectl apply --server-side -f -`): {text}",
                env!("CARGO_PKG_VERSION")
            );
        } else {
            debug!("the status of {what} could not be written: {text}");
        }
        text
    }

    fn is_news(&self) -> bool {
        // A panic elsewhere leaves a time behind.
        let mut said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_news = said.is_none_or(|at| at.elapsed() >= AGAIN_AFTER);
        if is_news {
            *said = Some(Instant::now());
        }
        is_news
    }
}

/// Whether the CRD lacks a field, or the value of one (server-side apply, 1.33 to 1.37).
fn is_of_the_schema(error: &Error) -> bool {
    let Error::Api(status) = error else { return false };
    status.message.contains("field not declared in schema")
        || (status.code == 422 && status.message.contains(" is invalid: "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn answer(code: u16, message: &str) -> Error {
        let status = json!({"code": code, "message": message, "reason": ""});
        Error::Api(Box::new(serde_json::from_value(status).unwrap()))
    }

    #[test]
    fn what_the_schema_refuses_is_told_from_other_failures() {
        let unknown = "failed to create typed patch object (shop/shop; zonespread.io/v1alpha1, Kind=ZoneSpreadPolicy): .status.scheduler: field not declared in schema";
        let value = "ZoneSpreadPolicy.zonespread.io \"shop\" is invalid: status.phase: Unsupported value: \"Balanced\": supported values: \"Frozen\"";
        assert!(is_of_the_schema(&answer(500, unknown)));
        assert!(is_of_the_schema(&answer(422, value)));
        assert!(!is_of_the_schema(&answer(500, "etcd is gone")));
        assert!(!is_of_the_schema(&answer(404, "zonespreadpolicies \"shop\" not found")));
    }

    #[test]
    fn it_is_said_once() {
        let schema = InstalledSchema::default();
        assert!(schema.is_news());
        assert!(!schema.clone().is_news(), "to all who write");
    }
}
