//! Failing watches, said once for all that fail alike: without rights, or without an API
//! server, each of the watched kinds fails every few seconds.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tracing::{debug, info, warn};

use crate::observe::Kind;

/// How long to wait for others that fail alike.
const GATHERED_FOR: Duration = Duration::from_secs(2);
/// What lasts is said again after this long.
const AGAIN_AFTER: Duration = Duration::from_mins(10);

/// Gathers failures of watches.
#[derive(Clone, Debug, Default)]
pub struct Complaints(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// By cause: what is to be said, and of which kinds.
    gathered: BTreeMap<String, BTreeSet<Kind>>,
    /// What was said of a kind, and when.
    said: BTreeMap<Kind, (String, Instant)>,
}

impl Complaints {
    /// A watch failed. `what` is the same for all that fail alike.
    pub fn failed(&self, kind: Kind, what: &str) {
        let mut state = self.state();
        let is_said = state
            .said
            .get(&kind)
            .is_some_and(|(known, at)| known == what && at.elapsed() < AGAIN_AFTER);
        if is_said {
            debug!(resource = kind.resource(), "the watch failed again: {what}");
            return;
        }
        state.said.insert(kind, (what.to_owned(), Instant::now()));
        let is_first = !state.gathered.contains_key(what);
        state.gathered.entry(what.to_owned()).or_default().insert(kind);
        drop(state);
        if is_first {
            let (gathering, what) = (self.clone(), what.to_owned());
            tokio::spawn(async move {
                tokio::time::sleep(GATHERED_FOR).await;
                gathering.say(&what);
            });
        }
    }

    /// A watch that failed works again.
    pub fn mended(&self, kind: Kind) {
        if self.state().said.remove(&kind).is_some() {
            info!(resource = kind.resource(), "the watch works again");
        }
    }

    fn say(&self, what: &str) {
        let kinds = self.state().gathered.remove(what).unwrap_or_default();
        warn!("{}", complaint(&kinds, what));
    }

    /// A panic elsewhere leaves plain words behind.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn complaint(kinds: &BTreeSet<Kind>, what: &str) -> String {
    let names: Vec<&str> = kinds.iter().map(|kind| kind.resource()).collect();
    format!("cannot watch {}, trying again: {what}", names.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_fails_alike_is_said_once() {
        let complaints = Complaints::default();
        for kind in [Kind::Pod, Kind::Node, Kind::Pod] {
            complaints.failed(kind, "no rights");
        }
        let gathered = complaints.state().gathered.clone();
        assert_eq!(gathered["no rights"], BTreeSet::from([Kind::Pod, Kind::Node]));
        tokio::time::sleep(GATHERED_FOR * 2).await;
        complaints.failed(Kind::Pod, "no rights");
        assert!(complaints.state().gathered.is_empty(), "it was said");
        complaints.failed(Kind::Pod, "no answer");
        assert_eq!(complaints.state().gathered.len(), 1, "another cause is news");
        complaints.mended(Kind::Pod);
        complaints.failed(Kind::Pod, "no rights");
        assert!(complaints.state().gathered.contains_key("no rights"), "it is back");
    }

    #[test]
    fn a_complaint_names_all_kinds() {
        let kinds = BTreeSet::from([Kind::Node, Kind::Pod]);
        let text = complaint(&kinds, "no rights");
        assert!(text.contains("pods") && text.contains("nodes") && text.ends_with(": no rights"));
    }
}
