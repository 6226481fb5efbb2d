//! What becomes of a request that the proxy does not simply pass on.

use axum::body::Body;
use http::Response;
use serde_json::{Value, json};

/// What becomes of a request.
#[derive(Debug, Clone)]
pub enum Fate {
    /// The proxy answers; the API server never hears of it.
    Answered(Answer),
    /// Nothing answers, and the API server never hears of it.
    Swallowed,
    /// It is carried out, and the answer is lost.
    DoneUnheard,
    /// The connection closes, and the API server never hears of it.
    Cut,
    /// It is carried out, and the connection closes before the answer.
    DoneThenCut,
    /// It is carried out, and the answer says that it failed.
    DoneThenFailed,
    /// It reaches the API server twice; the second answer is the one that is heard.
    Twice,
}

/// An answer of the proxy's own.
#[derive(Debug, Clone)]
pub struct Answer {
    code: u16,
    reason: &'static str,
    message: &'static str,
    details: Value,
}

impl Answer {
    /// A failure with this code, as the API server words it.
    pub fn failure(code: u16, reason: &'static str, message: &'static str) -> Self {
        Self { code, reason, message, details: json!({}) }
    }

    /// What the eviction API says when a budget does not allow it.
    pub fn refused_by_budget() -> Self {
        let message = "Cannot evict pod as it would violate the pod's disruption budget.";
        let cause = json!({"reason": "DisruptionBudget", "message": "The disruption budget web needs 6 healthy pods and has 6 currently"});
        Self {
            details: json!({"causes": [cause]}),
            ..Self::failure(429, "TooManyRequests", message)
        }
    }

    /// What an overloaded API server says.
    pub fn throttled(seconds: u32) -> Self {
        let message = "the server has received too many requests, please try again later";
        Self {
            details: json!({"retryAfterSeconds": seconds}),
            ..Self::failure(429, "TooManyRequests", message)
        }
    }

    pub(super) fn response(&self) -> Response<Body> {
        let status = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": self.message, "reason": self.reason, "details": self.details,
            "code": self.code,
        });
        Response::builder()
            .status(self.code)
            .header("content-type", "application/json")
            .body(Body::from(status.to_string()))
            .expect("a response")
    }
}
