//! Requests in plain JSON: what is sent here varies too much for types.

use kube::Client;
use serde_json::{Value, json};

/// Talks to the API server.
#[derive(Clone)]
pub struct Requests(pub Client);

impl Requests {
    pub async fn post(&self, path: &str, body: &Value) -> Value {
        self.send("POST", path, "application/json", body)
            .await
            .unwrap_or_else(|error| panic!("POST {path}: {error}\n{body:#}"))
    }

    /// A merge patch.
    pub async fn patch(&self, path: &str, body: &Value) -> Value {
        self.send("PATCH", path, "application/merge-patch+json", body)
            .await
            .unwrap_or_else(|error| panic!("PATCH {path}: {error}\n{body:#}"))
    }

    /// Deletes at once what may be gone already.
    pub async fn delete(&self, path: &str) {
        let options = json!({"kind": "DeleteOptions", "apiVersion": "v1",
            "gracePeriodSeconds": 0, "propagationPolicy": "Background"});
        match self.send("DELETE", path, "application/json", &options).await {
            Err(kube::Error::Api(status)) if status.code == 404 => {}
            answer => drop(answer.unwrap_or_else(|error| panic!("DELETE {path}: {error}"))),
        }
    }

    async fn send(
        &self,
        method: &str,
        path: &str,
        content: &str,
        body: &Value,
    ) -> kube::Result<Value> {
        let request = http::Request::builder()
            .method(method)
            .uri(path)
            .header(http::header::CONTENT_TYPE, content)
            .body(serde_json::to_vec(body).unwrap())
            .unwrap();
        self.0.request(request).await
    }
}
