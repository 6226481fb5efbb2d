//! What the answers of the eviction API mean.

use jiff::SignedDuration;
use kube::Error;
use kube::core::Status;

use super::error_text::{self, error_text};
use crate::moves::ActionError;

/// How long to leave a throttling API server alone when it does not say.
const THROTTLED_FOR: SignedDuration = SignedDuration::from_secs(10);

/// The request was given up: whether it was carried out is not known.
#[must_use]
pub fn no_answer() -> ActionError {
    ActionError::Unknown(error_text::no_answer())
}

/// The table of answers of the eviction API.
#[must_use]
pub fn action_error(error: Error) -> ActionError {
    let Error::Api(status) = error else {
        return ActionError::Unknown(error_text(&error));
    };
    let message = status.message.clone();
    match status.code {
        429 if has_cause(&status, "DisruptionBudget") => {
            // The cause names the budget and its numbers.
            ActionError::Budget(cause_of(&status).map_or(message, str::to_owned))
        }
        429 => ActionError::Throttled { retry_after: retry_after(&status) },
        500 if message.contains("more than one PodDisruptionBudget") => {
            ActionError::MultipleBudgets(message)
        }
        404 | 409 => ActionError::Gone,
        403 if message.contains("cannot create resource") => ActionError::Forbidden(format!(
            "{message}: deploy/base/rbac-evict.yaml gives this right"
        )),
        400..=403 | 405..=499 => ActionError::Forbidden(message),
        _ => ActionError::Unknown(message),
    }
}

fn has_cause(status: &Status, reason: &str) -> bool {
    status
        .details
        .as_ref()
        .is_some_and(|details| details.causes.iter().any(|cause| cause.reason == reason))
}

/// What the cause says of the budget, if it says anything.
fn cause_of(status: &Status) -> Option<&str> {
    let causes = status.details.as_ref()?.causes.iter();
    causes.map(|cause| cause.message.as_str()).find(|message| !message.is_empty())
}

fn retry_after(status: &Status) -> SignedDuration {
    status
        .details
        .as_ref()
        .map(|details| details.retry_after_seconds)
        .filter(|seconds| *seconds > 0)
        .map_or(THROTTLED_FOR, |seconds| SignedDuration::from_secs(i64::from(seconds)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::json;

    fn answer(code: u16, message: &str, details: serde_json::Value) -> Error {
        let status = json!({"code": code, "message": message, "reason": "", "details": details});
        Error::Api(Box::new(serde_json::from_value(status).unwrap()))
    }

    #[rstest]
    #[case(429, json!({"causes": [{"reason": "DisruptionBudget", "message": "m", "field": ""}]}), ActionError::Budget("m".into()))]
    #[case(429, json!({"retryAfterSeconds": 7}), ActionError::Throttled { retry_after: SignedDuration::from_secs(7) })]
    #[case(429, json!({}), ActionError::Throttled { retry_after: THROTTLED_FOR })]
    #[case(404, json!({}), ActionError::Gone)]
    #[case(409, json!({}), ActionError::Gone)]
    #[case(403, json!({}), ActionError::Forbidden("m".into()))]
    #[case(422, json!({}), ActionError::Forbidden("m".into()))]
    #[case(500, json!({}), ActionError::Unknown("m".into()))]
    #[case(503, json!({}), ActionError::Unknown("m".into()))]
    fn every_answer_of_the_eviction_api_has_its_meaning(
        #[case] code: u16,
        #[case] details: serde_json::Value,
        #[case] expected: ActionError,
    ) {
        assert_eq!(action_error(answer(code, "m", details)), expected);
    }

    #[test]
    fn two_budgets_on_one_pod_are_told_from_other_failures() {
        let message = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.";
        let refusal = action_error(answer(500, message, json!({})));
        assert_eq!(refusal, ActionError::MultipleBudgets(message.to_owned()));
    }
}
