//! How fresh the index is: which lists are complete, which watches fail, and
//! what is gone because a new list lacks it.

use std::time::Duration;

use jiff::Timestamp;
use kube::ResourceExt;
use rustc_hash::{FxHashMap, FxHashSet};

use super::change::{Change, Kind};
use super::index::Index;
use super::intern::Name;

/// Something that a watch says.
#[derive(Debug)]
pub enum Feed {
    /// An object was applied, or is gone.
    Change(Kind, Box<Change>),
    /// A list begins.
    ListBegins(Kind),
    /// The list is complete: what was not in it is gone.
    ListEnds(Kind),
    /// The watch failed, and is being begun anew.
    Failed(Kind),
}

/// What is known of the watches: which lists are complete, and which fail.
#[derive(Debug, Default)]
pub struct Freshness {
    synced: FxHashSet<Kind>,
    failing: FxHashMap<Kind, Timestamp>,
    listing: FxHashMap<Kind, FxHashSet<(Name, Name)>>,
}

/// A watch may fail this long before its silence matters.
const STALE_AFTER: Duration = Duration::from_secs(1);

impl Freshness {
    /// Takes note of a feed, and gives the changes that follow from it.
    pub fn note(&mut self, feed: Feed, index: &Index, now: Timestamp) -> Vec<Change> {
        match feed {
            Feed::Change(kind, change) => {
                self.failing.remove(&kind);
                if let Some(listed) = self.listing.get_mut(&kind)
                    && let Some(key) = key_of(&change)
                {
                    listed.insert(key);
                }
                vec![*change]
            }
            Feed::ListBegins(kind) => {
                self.listing.insert(kind, FxHashSet::default());
                Vec::new()
            }
            Feed::ListEnds(kind) => {
                self.synced.insert(kind);
                self.failing.remove(&kind);
                let listed = self.listing.remove(&kind).unwrap_or_default();
                let known = index.known(kind).into_iter();
                known
                    .filter(|key| !listed.contains(key))
                    .map(|(namespace, name)| Change::Gone(kind, namespace, name))
                    .collect()
            }
            Feed::Failed(kind) => {
                self.failing.entry(kind).or_insert(now);
                Vec::new()
            }
        }
    }

    /// Whether every list has been complete once.
    #[must_use]
    pub fn is_synced(&self) -> bool {
        self.synced.len() == Kind::ALL.len()
    }

    /// Kinds whose first list is not complete.
    pub fn missing(&self) -> Vec<&'static str> {
        let missing = Kind::ALL.into_iter().filter(|kind| !self.synced.contains(kind));
        missing.map(Kind::resource).collect()
    }

    /// How long each watch has failed; zero for those that work.
    pub fn ages(&self, now: Timestamp) -> impl Iterator<Item = (Kind, Duration)> {
        Kind::ALL.into_iter().map(move |kind| {
            let since = self.failing.get(&kind).copied().unwrap_or(now);
            (kind, Duration::try_from(now.duration_since(since)).unwrap_or_default())
        })
    }

    /// What we may not know (law 1).
    #[must_use]
    pub fn stale(&self, now: Timestamp) -> Option<String> {
        let (kind, age) = self.ages(now).max_by_key(|(_, age)| *age)?;
        let since = self.failing.get(&kind)?;
        (age >= STALE_AFTER).then(|| {
            let since = since.strftime("%H:%M:%SZ");
            format!("the watch of {} has failed since {since}", kind.resource())
        })
    }

    /// When a failing watch becomes stale.
    #[must_use]
    pub fn next_change(&self, now: Timestamp) -> Option<Timestamp> {
        let soon = |since: &Timestamp| since.checked_add(STALE_AFTER).ok().filter(|at| *at > now);
        self.failing.values().filter_map(soon).min()
    }
}

fn key_of(change: &Change) -> Option<(Name, Name)> {
    fn of(object: &impl ResourceExt) -> (Name, Name) {
        (Name::from(object.namespace().unwrap_or_default()), Name::from(object.name_any()))
    }
    Some(match change {
        Change::Node(object) => of(object),
        Change::Pod(object) => of(object),
        Change::Deployment(object) => of(object),
        Change::ReplicaSet(object) => of(object),
        Change::StatefulSet(object) => of(object),
        Change::Budget(object) => of(object),
        Change::Service(object) => of(object),
        Change::Claim(object) => of(object),
        Change::Volume(object) => of(object),
        Change::StorageClass(object) => of(object),
        Change::CsiNode(object) => of(object),
        Change::CsiDriver(object) => of(object),
        Change::Policy(object) => of(&**object),
        Change::Namespace(object) => of(object),
        Change::Gone(..) => return None,
    })
}
