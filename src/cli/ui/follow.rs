//! Keeps the board up to date: a watch for each kind, and a question to the API server now and
//! then, since an idle watch and a dead one look the same.

use std::fmt::Debug;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::TryStreamExt;
use kube::api::{Api, ListParams};
use kube::core::DeserializeGuard;
use kube::runtime::watcher;
use kube::{Config, Resource};
use serde::de::DeserializeOwned;

use crate::cli::live::request_error;

use super::board::{Board, Feed};

/// How often the API server is asked whether it is there.
const ASKED_EVERY: Duration = Duration::from_secs(3);
/// How long its answer may take.
const ANSWERS_WITHIN: Duration = Duration::from_secs(5);
/// How long a watch lasts, in seconds: a new one shows that it is still allowed, and goes
/// around what swallows the events of the old one.
const WATCH_LASTS: u32 = 20;
/// Without a byte for longer than a watch lasts, its connection is dead.
const SILENT_FOR: Duration = Duration::from_secs(30);
/// How soon a watch that failed is begun anew.
const RETRY: Duration = Duration::from_secs(2);
/// The same where the kind is not there, or may not be read.
const RETRY_DENIED: Duration = Duration::from_secs(30);

/// The board, and whoever changes or shows it.
pub type Shared = Arc<Mutex<Board>>;

/// The board for a moment.
pub fn lock(board: &Shared) -> MutexGuard<'_, Board> {
    board.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The configuration of a client whose watches notice that nobody answers, and that says what
/// it was answered: all is asked again by itself.
pub fn attentive(mut config: Config) -> Config {
    config.read_timeout = Some(SILENT_FOR);
    config.default_retry = false;
    config
}

/// Asks the API server now and then, for ever, for one object of a kind that is shown.
pub async fn listen<K>(api: Api<K>, board: Shared)
where
    K: Clone + DeserializeOwned + Debug + Resource<DynamicType = ()>,
{
    let address = lock(&board).cluster.clone();
    loop {
        tokio::time::sleep(ASKED_EVERY).await;
        let answer = ask(&api).await;
        let answer = answer.map_err(|error| match error {
            Some(error) => request_error(&error, &address),
            None => format!("{address} does not answer"),
        });
        lock(&board).heard(answer);
    }
}

/// Asks once; an error is none if there was no answer in time.
pub async fn ask<K>(api: &Api<K>) -> Result<(), Option<kube::Error>>
where
    K: Clone + DeserializeOwned + Debug + Resource<DynamicType = ()>,
{
    let one = ListParams::default().limit(1);
    let asked = tokio::time::timeout(ANSWERS_WITHIN, api.list_metadata(&one)).await;
    asked.map_err(|_| None)?.map(drop).map_err(Some)
}

/// Watches a kind for ever, and puts what it sees on the board.
pub async fn follow<K, T>(
    api: Api<DeserializeGuard<K>>,
    board: Shared,
    feed: fn(&mut Board) -> &mut Feed<T>,
) where
    K: Clone + DeserializeOwned + Debug + Send + Resource<DynamicType = ()> + Into<T> + 'static,
{
    let address = lock(&board).cluster.clone();
    loop {
        let config = watcher::Config { timeout: Some(WATCH_LASTS), ..watcher::Config::default() };
        let mut events = pin!(watcher(api.clone(), config));
        let error = loop {
            match events.try_next().await {
                Ok(None) => return,
                Ok(Some(event)) => {
                    let mut board = lock(&board);
                    if feed(&mut board).apply(event) {
                        board.changed();
                    }
                }
                Err(error) => break error,
            }
        };
        // From a list again: a watch that goes on where it was says nothing until something
        // changes, and until then nobody could tell that it is back.
        let pause = fail(&mut lock(&board), feed, &error, &address);
        tokio::time::sleep(pause).await;
    }
}

/// Notes that a watch has failed; gives how long to wait before it is begun anew.
fn fail<T>(
    board: &mut Board,
    feed: fn(&mut Board) -> &mut Feed<T>,
    error: &watcher::Error,
    address: &str,
) -> Duration {
    let (why, is_denied) = match error {
        watcher::Error::InitialListFailed(error)
        | watcher::Error::WatchStartFailed(error)
        | watcher::Error::WatchFailed(error) => {
            let denied =
                matches!(error, kube::Error::Api(status) if [403, 404].contains(&status.code));
            (request_error(error, address), denied)
        }
        // The watch is begun anew from a list.
        watcher::Error::WatchError(_) | watcher::Error::NoResourceVersion => return RETRY,
    };
    let feed = feed(board);
    if feed.failed.as_ref() != Some(&why) {
        feed.failed = Some(why);
        board.changed();
    }
    if is_denied { RETRY_DENIED } else { RETRY }
}
