//! Writes the Zone objects, beside the performer: of each one there is one write at a
//! time, and whatever relies on it waits for the answer.

use jiff::Timestamp;
use kube::api::{Api, Patch, PatchParams};
use kube::{Client, Error, Resource};
use serde_json::json;
use tokio::sync::mpsc;
use tracing::warn;

use crate::act::REQUEST_TIMEOUT;
use crate::api::{FIELD_MANAGER, ZoneObject};
use crate::operator::ZoneWrite;

use super::error_text::error_text;
use super::lease::Leadership;

/// Writes Zone objects.
pub struct ZoneWriter {
    zones: Api<ZoneObject>,
    leadership: Leadership,
}

impl ZoneWriter {
    /// A writer that asks for the lease before each request (law 8).
    pub fn new(client: Client, leadership: Leadership) -> Self {
        Self { zones: Api::all(client), leadership }
    }

    /// Writes what comes in, and tells whether that worked.
    pub async fn run(
        self,
        mut writes: mpsc::UnboundedReceiver<ZoneWrite>,
        answers: mpsc::UnboundedSender<(ZoneWrite, bool)>,
    ) {
        while let Some(write) = writes.recv().await {
            let is_written = match self.write(&write).await {
                Ok(()) => true,
                Err(error) => {
                    warn!(zone = %write.name, %error, "the Zone could not be written");
                    false
                }
            };
            if answers.send((write, is_written)).is_err() {
                return;
            }
        }
    }

    async fn write(&self, write: &ZoneWrite) -> Result<(), String> {
        if !write.is_of_late(Timestamp::now()) {
            return Err("the API server is slow: decided too long ago".to_owned());
        }
        match self.apply_status(write).await? {
            Ok(()) => return Ok(()),
            Err(Error::Api(status)) if status.is_not_found() => {}
            Err(error) => return Err(error_text(&error)),
        }
        // There is no such object yet, or somebody deleted it.
        self.make(write).await?.map_err(|error| error_text(&error))?;
        self.apply_status(write).await?.map_err(|error| error_text(&error))
    }

    async fn apply_status(&self, write: &ZoneWrite) -> Result<Result<(), Error>, String> {
        let mut patch = Self::object(write);
        patch["status"] = json!(*write.status);
        let (params, patch) = (PatchParams::apply(FIELD_MANAGER).force(), Patch::Apply(&patch));
        self.ask(self.zones.patch_status(&write.name, &params, &patch)).await
    }

    async fn make(&self, write: &ZoneWrite) -> Result<Result<(), Error>, String> {
        let mut patch = Self::object(write);
        patch["spec"] = json!({});
        let (params, patch) = (PatchParams::apply(FIELD_MANAGER), Patch::Apply(&patch));
        self.ask(self.zones.patch(&write.name, &params, &patch)).await
    }

    fn object(write: &ZoneWrite) -> serde_json::Value {
        json!({
            "apiVersion": ZoneObject::api_version(&()),
            "kind": ZoneObject::kind(&()),
            "metadata": {"name": &*write.name},
        })
    }

    async fn ask(
        &self,
        request: impl Future<Output = Result<ZoneObject, Error>>,
    ) -> Result<Result<(), Error>, String> {
        if !self.leadership.may_act() {
            return Err("this replica no longer leads".to_owned());
        }
        match tokio::time::timeout(REQUEST_TIMEOUT, request).await {
            Ok(answer) => Ok(answer.map(drop)),
            Err(_) => Err(format!("no answer within {}s", REQUEST_TIMEOUT.as_secs())),
        }
    }
}
