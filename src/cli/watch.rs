//! `zonespread status --watch`: what changes, as `kubectl get --watch` prints it.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::pin::pin;

use futures::TryStreamExt;
use jiff::Timestamp;
use kube::Config;
use kube::runtime::watcher;

use crate::api::{Phase, Summary};

use super::Failure;
use super::live::{client, policies_error, request_error};
use super::output::{Format, Output, note};
use super::status::{Known, Place, list};
use super::view::policy_table;

/// Prints policies, and again what changes of them, until it is interrupted.
pub async fn watch(config: Config, place: Place<'_>, output: Output) -> Result<(), Failure> {
    if output.format() != Format::Table {
        return Err("--watch prints tables only: leave out -o".into());
    }
    let address = config.cluster_url.to_string();
    let params = watcher::Config { field_selector: place.fields(), ..watcher::Config::default() };
    let mut events = pin!(watcher(place.api(client(config)?), params));
    let mut shown = Shown::new(place);
    loop {
        match events.try_next().await {
            Ok(None) => return Ok(()),
            Ok(Some(event)) => shown.take(event)?,
            Err(watcher::Error::InitialListFailed(error)) if shown.is_new() => {
                return Err(policies_error(error, &address).into());
            }
            Err(
                watcher::Error::InitialListFailed(error)
                | watcher::Error::WatchStartFailed(error)
                | watcher::Error::WatchFailed(error),
            ) => {
                note(&format!("trying again: {}", request_error(&error, &address)));
                tokio::time::sleep(RETRY).await;
            }
            // The watch is begun anew.
            Err(_) => tokio::time::sleep(RETRY).await,
        }
    }
}

/// How soon a watch that failed is begun anew.
const RETRY: std::time::Duration = std::time::Duration::from_secs(2);

/// What was printed.
struct Shown<'a> {
    place: Place<'a>,
    policies: BTreeMap<(String, String), Known>,
    /// Policies that a list has brought, until it is complete.
    listed: Option<Vec<Known>>,
    has_header: bool,
}

impl<'a> Shown<'a> {
    const fn new(place: Place<'a>) -> Self {
        Self { place, policies: BTreeMap::new(), listed: None, has_header: false }
    }

    fn is_new(&self) -> bool {
        !self.has_header && self.policies.is_empty()
    }

    fn take(&mut self, event: watcher::Event<crate::api::ZoneSpreadPolicy>) -> io::Result<()> {
        let changed = match event {
            watcher::Event::Init => {
                self.listed = Some(Vec::new());
                return Ok(());
            }
            watcher::Event::InitApply(policy) => {
                self.listed.get_or_insert_default().push(Known::from(policy));
                return Ok(());
            }
            watcher::Event::InitDone => self.listed.take().unwrap_or_default(),
            watcher::Event::Apply(policy) => vec![Known::from(policy)],
            watcher::Event::Delete(policy) => {
                let gone = Known::from(policy);
                note(&format!("policy {} is deleted", gone.name));
                self.policies.remove(&(gone.namespace, gone.name));
                return Ok(());
            }
        };
        let text = self.text(changed, Timestamp::now());
        let mut stdout = io::stdout().lock();
        stdout.write_all(text.as_bytes())?;
        stdout.flush()
    }

    /// The rows, or the whole of one policy, of those that are not shown like that already.
    fn text(&mut self, changed: Vec<Known>, now: Timestamp) -> String {
        let mut news = Vec::new();
        for policy in changed {
            let key = (policy.namespace.clone(), policy.name.clone());
            let known = self.policies.get(&key);
            let is_news = match (known, self.place.name) {
                (None, _) => true,
                (Some(known), None) => columns(known) != columns(&policy),
                (Some(known), Some(_)) => *known != policy,
            };
            self.policies.insert(key.clone(), policy);
            if is_news {
                news.push(key);
            }
        }
        if self.place.name.is_some() {
            let parts =
                news.iter().filter_map(|key| Some(policy_table(self.policies.get(key)?, now)));
            return parts.flat_map(|part| [part, "\n".to_owned()]).collect();
        }
        if news.is_empty() {
            return String::new();
        }
        // All of them, so that the columns stay where they are.
        let all: Vec<Known> = self.policies.values().cloned().collect();
        let table = list(&all, self.place.namespace.is_none(), now);
        let mut lines = table.lines();
        let header = lines.next().filter(|_| !std::mem::replace(&mut self.has_header, true));
        let rows = lines.zip(self.policies.keys()).filter(|(_, key)| news.contains(key));
        let printed = header.into_iter().chain(rows.map(|(row, _)| row));
        printed.flat_map(|line| [line, "\n"]).collect()
    }
}

/// What a row shows, besides the age.
fn columns(policy: &Known) -> Option<(Option<Phase>, &Summary)> {
    policy.status.as_ref().map(|status| (status.phase, &status.summary))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(name: &str) -> Known {
        let policy = serde_json::json!({
            "apiVersion": "zonespread.io/v1alpha1", "kind": "ZoneSpreadPolicy",
            "metadata": {"name": name, "namespace": "shop"},
            "spec": {"selector": {"matchLabels": {"app": name}}},
        });
        Known::from(serde_json::from_value::<crate::api::ZoneSpreadPolicy>(policy).unwrap())
    }

    #[test]
    fn what_has_changed_is_printed_once_under_one_header() {
        let mut shown = Shown::new(Place { namespace: Some("shop"), name: None });
        let now = Timestamp::UNIX_EPOCH;
        let first = shown.text(vec![policy("a"), policy("b")], now);
        assert_eq!(first.lines().count(), 3, "{first}");
        assert!(first.starts_with("NAME "), "{first}");
        assert_eq!(shown.text(vec![policy("a"), policy("b")], now), "");
        let mut changed = policy("b");
        let status = changed.status.get_or_insert_default();
        status.phase = Some(Phase::Frozen);
        let text = shown.text(vec![policy("a"), changed.clone()], now);
        assert!(text.starts_with("b ") && text.lines().count() == 1, "{text}");
        changed.status.get_or_insert_default().message = "no column shows it".to_owned();
        assert_eq!(shown.text(vec![changed], now), "");
    }
}
