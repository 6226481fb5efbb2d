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

    /// A merge patch that may be forbidden; says whether it was not.
    pub async fn patch_if_allowed(&self, path: &str, body: &Value) -> bool {
        match self.send("PATCH", path, "application/merge-patch+json", body).await {
            Err(kube::Error::Api(status)) if status.code == 403 => false,
            Err(error) => panic!("PATCH {path}: {error}\n{body:#}"),
            Ok(_) => true,
        }
    }

    /// Deletes at once what may be gone already.
    pub async fn delete(&self, path: &str) {
        self.delete_if(path, &Value::Null).await;
    }

    /// The same for one with this uid only: never what has come in its place.
    pub async fn delete_uid(&self, path: &str, uid: &str) {
        self.delete_if(path, &json!({"uid": uid})).await;
    }

    async fn delete_if(&self, path: &str, preconditions: &Value) {
        let options = json!({"kind": "DeleteOptions", "apiVersion": "v1",
            "gracePeriodSeconds": 0, "propagationPolicy": "Background",
            "preconditions": preconditions});
        match self.send("DELETE", path, "application/json", &options).await {
            Err(kube::Error::Api(status)) if [404, 409].contains(&status.code) => {}
            answer => drop(answer.unwrap_or_else(|error| panic!("DELETE {path}: {error}"))),
        }
    }

    /// The objects at a path, as they are now.
    pub async fn list(&self, path: &str) -> Vec<Value> {
        let request = http::Request::get(path).body(Vec::new()).unwrap();
        let mut list: Value =
            self.0.request(request).await.unwrap_or_else(|error| panic!("GET {path}: {error}"));
        serde_json::from_value(list["items"].take()).unwrap()
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
