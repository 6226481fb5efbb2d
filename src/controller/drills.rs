//! `ZoneDrills`: watched where the API server knows them, and their statuses written; and what is
//! asked of nodes for them.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt};
use jiff::Timestamp;
use kube::api::{Api, ListParams, Patch, PatchParams};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Client, Error, Resource};
use serde_json::json;
use tokio::sync::{mpsc, watch};
use tracing::{info, warn};

use crate::act::REQUEST_TIMEOUT;
use crate::api::{FIELD_MANAGER, PAUSED, ZoneDrill};
use crate::observe::{Name, WATCH_LASTS};
use crate::operator::{DrillWrite, KnownDrill, NodeAsk};

use super::drill_right::{Proven, prove};
use super::error_text::{error_text, no_answer};
use super::lease::Leadership;
use super::zone_closer::ZoneCloser;

/// How soon it is looked again whether there are drills to watch.
const LOOK_AGAIN_AFTER: Duration = Duration::from_secs(15);

/// What is known of drills, and the way to write to them.
pub struct Drilling {
    /// The drills that there are.
    pub known: watch::Receiver<Option<Vec<KnownDrill>>>,
    /// What became of writes.
    pub written: mpsc::UnboundedReceiver<(DrillWrite, bool)>,
    /// Statuses to be written. Of each drill there is one at a time, so these are bounded.
    pub writes: mpsc::UnboundedSender<DrillWrite>,
    /// What became of what was asked of nodes.
    pub nodes_answered: mpsc::UnboundedReceiver<(NodeAsk, bool)>,
    /// What is asked of nodes: of each one thing at a time.
    pub nodes: mpsc::UnboundedSender<NodeAsk>,
    /// Whether zones may be closed.
    pub right: watch::Receiver<Proven>,
}

impl Drilling {
    /// Begins to watch and to write.
    pub fn start(
        watching: &Client,
        acting: &Client,
        leadership: &Leadership,
        namespace: &str,
    ) -> Self {
        let (acting, leadership) = (acting.clone(), leadership.clone());
        let namespace = namespace.to_owned();
        let (told, known) = watch::channel(None);
        tokio::spawn(watch_drills(watching.clone(), told));
        let (writes, to_write) = mpsc::unbounded_channel();
        let (answers, written) = mpsc::unbounded_channel();
        let right = prove(acting.clone(), namespace.clone(), known.clone());
        let (nodes, asked) = mpsc::unbounded_channel();
        let (node_answers, nodes_answered) = mpsc::unbounded_channel();
        let closer =
            ZoneCloser { client: acting.clone(), leadership: leadership.clone(), namespace };
        tokio::spawn(closer.run(asked, node_answers));
        let writer = DrillWriter { drills: Api::all(acting), leadership };
        tokio::spawn(writer.run(to_write, answers));
        Self { known, written, writes, nodes_answered, nodes, right }
    }
}

/// Why drills are not watched, said once for as long as it lasts.
#[derive(Default)]
struct Complaint(Option<String>);

impl Complaint {
    fn say(&mut self, error: &Error) {
        let why = error_text(error);
        if self.0.as_ref() != Some(&why) {
            warn!(%why, "ZoneDrills are not watched");
            self.0 = Some(why);
        }
    }
}

async fn watch_drills(client: Client, told: watch::Sender<Option<Vec<KnownDrill>>>) {
    let drills: Api<ZoneDrill> = Api::all(client);
    let mut complaint = Complaint::default();
    loop {
        match drills.list_metadata(&ListParams::default().limit(1)).await {
            Ok(_) => {
                complaint = Complaint::default();
                info!("ZoneDrills are watched");
                let config = watcher::Config::default().timeout(WATCH_LASTS);
                let stream = watcher(drills.clone(), config).default_backoff();
                follow(stream, &told, &mut complaint).await;
            }
            // There is no such kind: nobody drills here.
            Err(Error::Api(status)) if status.is_not_found() => {
                tell(&told, Some(Vec::new()));
                tokio::time::sleep(LOOK_AGAIN_AFTER).await;
                continue;
            }
            Err(error) => complaint.say(&error),
        }
        tell(&told, None);
        tokio::time::sleep(LOOK_AGAIN_AFTER).await;
    }
}

fn tell(told: &watch::Sender<Option<Vec<KnownDrill>>>, drills: Option<Vec<KnownDrill>>) {
    told.send_if_modified(|before| {
        let is_news = *before != drills;
        *before = drills;
        is_news
    });
}

/// Tells which drills there are, until there can be none any more.
async fn follow(
    stream: impl Stream<Item = watcher::Result<watcher::Event<ZoneDrill>>>,
    told: &watch::Sender<Option<Vec<KnownDrill>>>,
    complaint: &mut Complaint,
) {
    let mut known: BTreeMap<Name, KnownDrill> = BTreeMap::new();
    let mut listed: Option<BTreeMap<Name, KnownDrill>> = None;
    let mut stream = pin!(stream);
    while let Some(event) = stream.next().await {
        match event {
            Ok(watcher::Event::Init) => listed = Some(BTreeMap::new()),
            Ok(watcher::Event::InitApply(drill)) => {
                let drill = known_drill(drill);
                listed.get_or_insert_default().insert(Name::clone(&drill.name), drill);
            }
            Ok(watcher::Event::InitDone) => known = listed.take().unwrap_or_default(),
            Ok(watcher::Event::Apply(drill)) => {
                let drill = known_drill(drill);
                known.insert(Name::clone(&drill.name), drill);
            }
            Ok(watcher::Event::Delete(drill)) => {
                known.remove(drill.metadata.name.as_deref().unwrap_or_default());
            }
            Err(
                watcher::Error::InitialListFailed(error) | watcher::Error::WatchStartFailed(error),
            ) => {
                complaint.say(&error);
                if matches!(&error, Error::Api(status) if matches!(status.code, 403 | 404)) {
                    return;
                }
            }
            Err(_) => {}
        }
        if listed.is_none() {
            tell(told, Some(known.values().cloned().collect()));
        }
    }
}

fn known_drill(drill: ZoneDrill) -> KnownDrill {
    let metadata = drill.metadata;
    let annotations = metadata.annotations.as_ref();
    let is_paused =
        annotations.and_then(|all| all.get(PAUSED)).is_some_and(|paused| paused == "true");
    let name = |text: Option<String>| Name::from(text.unwrap_or_default());
    KnownDrill {
        name: name(metadata.name),
        uid: name(metadata.uid),
        created: metadata.creation_timestamp.map_or(Timestamp::UNIX_EPOCH, |time| time.0),
        generation: metadata.generation,
        spec: Arc::new(drill.spec),
        status: Arc::new(drill.status.unwrap_or_default()),
        is_paused,
    }
}

/// Writes the statuses of drills.
struct DrillWriter {
    drills: Api<ZoneDrill>,
    leadership: Leadership,
}

impl DrillWriter {
    async fn run(
        self,
        mut writes: mpsc::UnboundedReceiver<DrillWrite>,
        answers: mpsc::UnboundedSender<(DrillWrite, bool)>,
    ) {
        while let Some(write) = writes.recv().await {
            let is_written = match self.write(&write).await {
                Ok(()) => true,
                Err(error) => {
                    warn!(drill = %write.name, %error, "the ZoneDrill could not be written");
                    false
                }
            };
            if answers.send((write, is_written)).is_err() {
                return;
            }
        }
    }

    async fn write(&self, write: &DrillWrite) -> Result<(), String> {
        if !write.is_of_late(Timestamp::now()) {
            return Err("the API server is slow: decided too long ago".to_owned());
        }
        // The lease is asked before each request (law 8).
        if !self.leadership.may_act() {
            return Err("this replica no longer leads".to_owned());
        }
        let patch = json!({
            "apiVersion": ZoneDrill::api_version(&()),
            "kind": ZoneDrill::kind(&()),
            "metadata": {"name": &*write.name, "uid": &*write.uid},
            "status": &*write.status,
        });
        let (params, patch) = (PatchParams::apply(FIELD_MANAGER).force(), Patch::Apply(&patch));
        let request = self.drills.patch_status(&write.name, &params, &patch);
        match tokio::time::timeout(REQUEST_TIMEOUT, request).await {
            Ok(Ok(_)) => Ok(()),
            // It is gone, or another one has its name.
            Ok(Err(Error::Api(status))) if status.is_not_found() || status.is_conflict() => Ok(()),
            Ok(Err(error)) => Err(error_text(&error)),
            Err(_) => Err(no_answer()),
        }
    }
}
