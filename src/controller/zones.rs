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

use super::error_text::no_answer;
use super::installed_schema::InstalledSchema;
use super::lease::Leadership;

/// Writes Zone objects.
pub struct ZoneWriter {
    zones: Api<ZoneObject>,
    leadership: Leadership,
    schema: InstalledSchema,
}

impl ZoneWriter {
    /// A writer that asks for the lease before each request (law 8).
    pub fn new(client: Client, leadership: Leadership) -> Self {
        let schema = InstalledSchema::default();
        Self { zones: Api::all(client), leadership, schema }
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
                Err(NotWritten::Refused(error)) => {
                    self.schema.refused(&format!("Zone {}", write.name), &error);
                    false
                }
                Err(NotWritten::NotAsked(why)) => {
                    warn!("the status of Zone {} could not be written: {why}", write.name);
                    false
                }
            };
            if answers.send((write, is_written)).is_err() {
                return;
            }
        }
    }

    async fn write(&self, write: &ZoneWrite) -> Result<(), NotWritten> {
        if !write.is_of_late(Timestamp::now()) {
            return Err(not_asked("the API server is slow: decided too long ago"));
        }
        match self.apply_status(write).await {
            Err(NotWritten::Refused(Error::Api(status))) if status.is_not_found() => {}
            answer => return answer,
        }
        // There is no such object yet, or somebody deleted it.
        self.make(write).await?;
        self.apply_status(write).await
    }

    async fn apply_status(&self, write: &ZoneWrite) -> Result<(), NotWritten> {
        let mut patch = Self::object(write);
        patch["status"] = json!(*write.status);
        let (params, patch) = (PatchParams::apply(FIELD_MANAGER).force(), Patch::Apply(&patch));
        self.ask(self.zones.patch_status(&write.name, &params, &patch)).await
    }

    async fn make(&self, write: &ZoneWrite) -> Result<(), NotWritten> {
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
    ) -> Result<(), NotWritten> {
        if !self.leadership.may_act() {
            return Err(not_asked("this replica no longer leads"));
        }
        match tokio::time::timeout(REQUEST_TIMEOUT, request).await {
            Ok(answer) => answer.map(drop).map_err(NotWritten::Refused),
            Err(_) => Err(NotWritten::NotAsked(no_answer())),
        }
    }
}

/// Why a Zone was not written.
enum NotWritten {
    /// The API server said no, or could not be reached.
    Refused(Error),
    /// It was not even asked, or it did not answer.
    NotAsked(String),
}

fn not_asked(why: &str) -> NotWritten {
    NotWritten::NotAsked(why.to_owned())
}
