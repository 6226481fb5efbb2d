//! How fresh the index is: which lists are complete, which watches fail or
//! are silent, and what is gone because a new list lacks it.

use std::time::{Duration, Instant};

use rustc_hash::{FxHashMap, FxHashSet};

use super::change::{Change, Kind};
use super::index::Index;
use super::value::clock::ClockReading;
use super::value::name::Name;

/// Something that a watch says.
#[derive(Clone, Debug)]
pub enum WatchEvent {
    /// An object was applied, or is gone.
    Change(Kind, Box<Change>),
    /// A list begins.
    ListBegins(Kind),
    /// The list is complete: what was not in it is gone.
    ListEnds(Kind),
    /// The watch failed and is being restarted.
    Failed(Kind),
    /// The watch gave a sign of life: it began, or something came.
    Alive(Kind),
}

/// What is known of the watches: which lists are complete, which fail, and
/// when each gave its last sign of life.
#[derive(Debug, Default)]
pub struct Freshness {
    synced: FxHashSet<Kind>,
    failing: FxHashMap<Kind, ClockReading>,
    alive: FxHashMap<Kind, ClockReading>,
    /// What was known when a list began, and has not been in it so far.
    unlisted: FxHashMap<Kind, FxHashSet<(Name, Name)>>,
}

/// A watch may fail this long before it matters.
const STALE_AFTER: Duration = Duration::from_secs(1);
/// The API server ends a watch after this many seconds. It is then restarted,
/// which is a sign of life.
pub const WATCH_LASTS: u32 = 15;
/// A watch without a sign of life for this long is dead and could not be restarted:
/// kube-runtime tries that 5 s after it should have ended.
pub const SILENT_AFTER: Duration = Duration::from_secs(WATCH_LASTS as u64 + 10);

impl Freshness {
    /// Takes note of an event, and gives the changes that follow from it.
    pub fn note(&mut self, event: WatchEvent, index: &Index, now: ClockReading) -> Vec<Change> {
        match event {
            WatchEvent::Change(kind, change) => {
                self.alive.entry(kind).and_modify(|last| *last = now);
                match self.unlisted.get_mut(&kind) {
                    // The first list shows nothing that is known, and it is the longest.
                    Some(unlisted) if unlisted.is_empty() => {}
                    Some(unlisted) => {
                        unlisted.remove(&change.key());
                    }
                    None => {
                        self.failing.remove(&kind);
                    }
                }
                vec![*change]
            }
            WatchEvent::ListBegins(kind) => {
                self.unlisted.insert(kind, index.known(kind).into_iter().collect());
                // Half a list is neither what was nor what is.
                if self.synced.contains(&kind) {
                    let matters = now.monotonic.checked_sub(STALE_AFTER).unwrap_or(now.monotonic);
                    self.failing.entry(kind).or_insert(ClockReading { monotonic: matters, ..now });
                }
                Vec::new()
            }
            WatchEvent::ListEnds(kind) => {
                self.synced.insert(kind);
                self.failing.remove(&kind);
                let gone = self.unlisted.remove(&kind).unwrap_or_default().into_iter();
                gone.map(|(namespace, name)| Change::Gone(kind, namespace, name)).collect()
            }
            WatchEvent::Failed(kind) => {
                self.failing.entry(kind).or_insert(now);
                Vec::new()
            }
            WatchEvent::Alive(kind) => {
                if !self.is_listing(kind) {
                    self.failing.remove(&kind);
                }
                self.alive.insert(kind, now);
                Vec::new()
            }
        }
    }

    /// Whether a list of the kind has begun, and is not complete.
    #[must_use]
    pub fn is_listing(&self, kind: Kind) -> bool {
        self.unlisted.contains_key(&kind)
    }

    /// Kinds whose first list is not complete.
    pub fn missing(&self) -> Vec<&'static str> {
        let needed = Kind::ALL.into_iter().filter(|kind| !kind.is_optional());
        let missing = needed.filter(|kind| !self.synced.contains(kind));
        missing.map(Kind::resource).collect()
    }

    /// Since when a watch fails or is silent; none if it works.
    fn stale_since(&self, kind: Kind, now: ClockReading) -> Option<ClockReading> {
        let silent = |last: &&ClockReading| now.since(**last) >= SILENT_AFTER;
        let silent = self.alive.get(&kind).filter(silent);
        let stale = silent.into_iter().chain(self.failing.get(&kind));
        stale.min_by_key(|since| since.monotonic).copied()
    }

    /// How long each watch has failed or been silent; zero for those that work.
    pub fn ages(&self, now: ClockReading) -> impl Iterator<Item = (Kind, Duration)> {
        Kind::ALL.into_iter().map(move |kind| {
            let since = self.stale_since(kind, now);
            (kind, since.map_or(Duration::ZERO, |since| now.since(since)))
        })
    }

    /// What we may not know (law 1).
    #[must_use]
    pub fn stale(&self, now: ClockReading) -> Option<String> {
        let needed = self.ages(now).filter(|(kind, _)| !kind.is_optional());
        let (kind, age) = needed.max_by_key(|(_, age)| *age)?;
        let since = self.stale_since(kind, now)?;
        (age >= STALE_AFTER).then(|| {
            let ails = if self.failing.contains_key(&kind) { "failed" } else { "been silent" };
            let since = since.wall.strftime("%H:%M:%SZ");
            format!(
                "the watch of {} has {ails} since {since}: nothing is evicted on old knowledge; the operator's log says why",
                kind.resource()
            )
        })
    }

    /// Whether the list of a kind is complete and its watch works.
    #[must_use]
    pub fn works(&self, kind: Kind, now: ClockReading) -> bool {
        let age = self.stale_since(kind, now).map_or(Duration::ZERO, |since| now.since(since));
        self.synced.contains(&kind) && age < STALE_AFTER
    }

    /// When a failing or silent watch becomes stale.
    #[must_use]
    pub fn next_change(&self, now: Instant) -> Option<Instant> {
        let failing = self.failing.values().map(|since| since.monotonic + STALE_AFTER);
        let silent = self.alive.values().map(|last| last.monotonic + SILENT_AFTER);
        failing.chain(silent).filter(|at| *at > now).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;
    use std::sync::LazyLock;

    fn at(second: u64) -> ClockReading {
        static START: LazyLock<Instant> = LazyLock::new(Instant::now);
        let wall = 1_800_000_000 + i64::try_from(second).unwrap();
        ClockReading {
            monotonic: *START + Duration::from_secs(second),
            wall: Timestamp::from_second(wall).unwrap(),
        }
    }

    fn note(freshness: &mut Freshness, event: WatchEvent, second: u64) {
        freshness.note(event, &Index::default(), at(second));
    }

    #[test]
    fn a_watch_that_failed_is_fresh_again_once_it_has_begun_anew() {
        let mut freshness = Freshness::default();
        note(&mut freshness, WatchEvent::Failed(Kind::StorageClass), 0);
        assert_eq!(freshness.stale(at(0)), None);
        assert_eq!(freshness.next_change(at(0).monotonic), Some(at(1).monotonic));
        let why = freshness.stale(at(1)).unwrap();
        assert_eq!(
            why,
            "the watch of storageclasses has failed since 08:00:00Z: nothing is evicted on old knowledge; the operator's log says why"
        );
        // There are none, so no event will ever come.
        note(&mut freshness, WatchEvent::Alive(Kind::StorageClass), 30);
        assert_eq!(freshness.stale(at(30)), None);
    }

    #[test]
    fn what_a_new_list_lacks_is_gone_and_so_is_what_half_a_list_brought() {
        let (mut freshness, mut index) = (Freshness::default(), Index::default());
        let mut told = |event: WatchEvent| {
            let changes = freshness.note(event, &index, at(0));
            for change in &changes {
                index.apply(change.clone());
            }
            let gone = changes.iter().filter(|change| matches!(change, Change::Gone(..)));
            gone.map(|change| change.key().1.to_string()).collect::<Vec<_>>()
        };
        let shown = |name: &str| {
            let namespace = serde_json::json!({"metadata": {"name": name}});
            let namespace = serde_json::from_value(namespace).unwrap();
            WatchEvent::Change(Kind::Namespace, Box::new(Change::Namespace(namespace)))
        };
        told(WatchEvent::ListBegins(Kind::Namespace));
        told(shown("half"));
        told(WatchEvent::Failed(Kind::Namespace));
        told(WatchEvent::ListBegins(Kind::Namespace));
        told(shown("shop"));
        told(shown("bank"));
        assert_eq!(told(WatchEvent::ListEnds(Kind::Namespace)), ["half"]);
        told(WatchEvent::ListBegins(Kind::Namespace));
        assert!(told(shown("bank")).is_empty());
        assert_eq!(told(WatchEvent::ListEnds(Kind::Namespace)), ["shop"]);
        assert_eq!(index.known(Kind::Namespace), [(Name::from(""), Name::from("bank"))]);
    }

    #[test]
    fn half_a_list_is_stale_whatever_came_of_it() {
        let mut freshness = Freshness::default();
        let list = |freshness: &mut Freshness, event: fn(Kind) -> WatchEvent, second| {
            note(freshness, event(Kind::Namespace), second);
        };
        list(&mut freshness, WatchEvent::ListBegins, 0);
        assert_eq!(freshness.stale(at(0)), None, "the first list is waited for anyway");
        list(&mut freshness, WatchEvent::ListEnds, 1);
        list(&mut freshness, WatchEvent::ListBegins, 10);
        assert!(freshness.stale(at(10)).is_some());
        let gone = Change::Gone(Kind::Namespace, Name::from(""), Name::from("shop"));
        note(&mut freshness, WatchEvent::Change(Kind::Namespace, Box::new(gone)), 11);
        list(&mut freshness, WatchEvent::Alive, 11);
        assert!(freshness.stale(at(11)).is_some(), "more of it is to come");
        list(&mut freshness, WatchEvent::ListEnds, 12);
        assert_eq!(freshness.stale(at(12)), None);
    }

    #[test]
    fn a_watch_without_a_sign_of_life_is_stale_though_nothing_failed() {
        let mut freshness = Freshness::default();
        note(&mut freshness, WatchEvent::Alive(Kind::Node), 0);
        note(&mut freshness, WatchEvent::Alive(Kind::Pod), 0);
        note(&mut freshness, WatchEvent::Alive(Kind::Node), 20);
        assert_eq!(freshness.next_change(at(20).monotonic), Some(at(25).monotonic));
        assert_eq!(freshness.stale(at(24)), None);
        let why = freshness.stale(at(25)).unwrap();
        assert!(why.starts_with("the watch of pods has been silent since 08:00:00Z: "), "{why}");
        let ages: Vec<_> = freshness.ages(at(25)).filter(|(_, age)| !age.is_zero()).collect();
        assert_eq!(ages, [(Kind::Pod, Duration::from_secs(25))]);
    }
}
