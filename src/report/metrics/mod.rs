//! The metrics, as `/metrics` serves them. Names are a contract with users.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use prometheus::core::Collector;
use prometheus::{
    Gauge, GaugeVec, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry,
    TextEncoder,
};

use crate::api::{MoveKind, ZoneSpreadPolicyStatus, ZoneState};
use crate::moves::{ErrorCategory, EvictionResult, MoveOutcome};
use crate::observe::Zone;
use crate::plan::ProbeStage;

mod family;
mod series;

use series::Known;
pub use series::ZoneLossSeries;

/// From a pod that starts at once to one that is stuck for long.
const MOVE_BUCKETS: [f64; 12] =
    [1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 180.0, 300.0, 600.0, 1800.0];
/// A plan is made in well under a second even for thousands of nodes.
const PLAN_BUCKETS: [f64; 10] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2.0, 10.0];
/// An event costs the index microseconds.
const EVENT_BUCKETS: [f64; 10] =
    [0.000_002, 0.000_005, 0.000_01, 0.000_02, 0.000_05, 0.000_1, 0.001, 0.01, 0.1, 1.0];

/// All metrics of one operator.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    known: Mutex<Known>,
    move_duration: Histogram,
    plan_duration: Histogram,
    decide_duration: Histogram,
    event_duration: Histogram,
    move_kinds: IntCounterVec,
    prediction_hits: IntCounter,
    prediction_misses: IntCounter,
    staleness: GaugeVec,
    reconcile_errors: IntCounterVec,
    leader: IntGauge,
}

impl Metrics {
    /// What to send as the content type of [`Self::render`].
    pub const CONTENT_TYPE: &str = prometheus::TEXT_FORMAT;

    /// The metrics, in a registry of their own.
    ///
    /// # Errors
    /// When a name is malformed or taken twice, which a test rules out.
    pub fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let predictions = counters(
            &registry,
            "zonespread_predictions_total",
            "Predicted landings, by whether the replacement landed there.",
            &["outcome"],
        )?;
        let reconcile_errors = counters(
            &registry,
            "zonespread_reconcile_errors_total",
            "Failed steps, by category.",
            &["category"],
        )?;
        let move_kinds = counters(
            &registry,
            "zonespread_move_kind_total",
            "Moves that ended, by how the pod was moved and by outcome.",
            &["kind", "outcome"],
        )?;
        for kind in MoveKind::ALL {
            for outcome in MoveOutcome::ALL {
                move_kinds.with_label_values(&[kind.as_str(), outcome.as_str()]);
            }
        }
        // An increase is seen only from a number that was there.
        for category in ErrorCategory::ALL {
            reconcile_errors.with_label_values(&[category.as_str()]);
        }
        let build_info = register(
            &registry,
            Gauge::with_opts(
                Opts::new("zonespread_build_info", "Build information; always 1.")
                    .const_label("version", env!("CARGO_PKG_VERSION")),
            )?,
        )?;
        build_info.set(1.0);
        let staleness = Opts::new(
            "zonespread_watch_staleness_seconds",
            "Seconds since the watch of a resource last showed a sign of life.",
        );
        Ok(Self {
            known: Mutex::default(),
            move_duration: histogram(
                &registry,
                "zonespread_move_duration_seconds",
                "From the eviction until the replacement was Available in the target zone.",
                &MOVE_BUCKETS,
            )?,
            plan_duration: histogram(
                &registry,
                "zonespread_plan_duration_seconds",
                "Time to plan for one policy.",
                &PLAN_BUCKETS,
            )?,
            decide_duration: histogram(
                &registry,
                "zonespread_decide_duration_seconds",
                "Time to decide, for all policies whose answer may have changed.",
                &PLAN_BUCKETS,
            )?,
            event_duration: histogram(
                &registry,
                "zonespread_event_duration_seconds",
                "Time to fold one watch event into the index.",
                &EVENT_BUCKETS,
            )?,
            move_kinds,
            prediction_hits: predictions.with_label_values(&["hit"]),
            prediction_misses: predictions.with_label_values(&["miss"]),
            staleness: register(&registry, GaugeVec::new(staleness, &["resource"])?)?,
            reconcile_errors,
            leader: register(
                &registry,
                IntGauge::new("zonespread_leader", "1 on the leading replica, 0 on the others.")?,
            )?,
            registry,
        })
    }

    /// The text that Prometheus reads.
    #[must_use]
    pub fn render(&self, now: Timestamp) -> String {
        let mut families = self.registry.gather();
        families.extend(self.known().families(now));
        families.sort_by(|a, b| a.name().cmp(b.name()));
        let mut text = String::new();
        if let Err(error) = TextEncoder::new().encode_utf8(&families, &mut text) {
            tracing::error!(%error, "metrics could not be encoded");
        }
        text
    }

    /// Reports what the status of a policy says. What it said before and says
    /// no more, such as a tier or a reason, is gone from the next scrape on.
    pub fn policy(&self, namespace: &str, policy: &str, status: &ZoneSpreadPolicyStatus) {
        self.known().set_policy(namespace, policy, status);
    }

    /// Removes every series of a deleted policy, its counters included.
    pub fn forget_policy(&self, namespace: &str, policy: &str) {
        self.known().forget_policy(namespace, policy);
    }

    /// Reports the health of all zones, and until when each is held. A zone
    /// that is not among them is gone from the next scrape on.
    pub fn zones<'a>(
        &self,
        zones: impl IntoIterator<Item = (&'a str, ZoneState, Option<Timestamp>)>,
    ) {
        self.known().set_zones(zones);
    }

    /// Reports what the loss of each zone would do. A zone that is not among them is gone
    /// from the next scrape on.
    pub fn zone_losses<'a>(&self, zones: impl IntoIterator<Item = (&'a str, ZoneLossSeries)>) {
        self.known().set_zone_losses(zones);
    }

    /// Reports every probe pod: its zone, and how far it is.
    pub fn probes(&self, probes: impl IntoIterator<Item = (Zone, ProbeStage)>) {
        self.known().set_probes(probes);
    }

    /// Counts an eviction, if [`Self::policy`] has told of the policy: what is
    /// counted after it was deleted would bring its series back.
    pub fn eviction(&self, namespace: &str, policy: &str, tier: &str, result: EvictionResult) {
        self.known().count_eviction(namespace, policy, tier, result);
    }

    /// Counts the end of a move, by its kind for the whole cluster, and for its tier as
    /// [`Self::eviction`] does; and how long it
    /// took from the eviction until the replacement was Available, if it was.
    pub fn move_ended(
        &self,
        namespace: &str,
        policy: &str,
        tier: &str,
        (kind, outcome): (MoveKind, MoveOutcome),
        took: Option<Duration>,
    ) {
        self.move_kinds.with_label_values(&[kind.as_str(), outcome.as_str()]).inc();
        self.known().count_move(namespace, policy, tier, outcome);
        if let Some(took) = took {
            self.move_duration.observe(took.as_secs_f64());
        }
    }

    /// Counts a replacement that landed where it was predicted, or did not.
    pub fn prediction(&self, hit: bool) {
        if hit { &self.prediction_hits } else { &self.prediction_misses }.inc();
    }

    /// Records how long a decision took.
    pub fn decision_took(&self, took: Duration) {
        self.decide_duration.observe(took.as_secs_f64());
    }

    /// Records how long planning took for one policy.
    pub fn plan_took(&self, took: Duration) {
        self.plan_duration.observe(took.as_secs_f64());
    }

    /// Records how long the index took for one event.
    pub fn event_took(&self, took: Duration) {
        self.event_duration.observe(took.as_secs_f64());
    }

    /// Reports since when nothing was heard of a watched resource.
    pub fn staleness(&self, resource: &'static str, age: Duration) {
        self.staleness.with_label_values(&[resource]).set(age.as_secs_f64());
    }

    /// Counts a step that failed.
    pub fn reconcile_error(&self, category: ErrorCategory) {
        self.reconcile_errors.with_label_values(&[category.as_str()]).inc();
    }

    /// Reports whether this replica leads.
    pub fn leader(&self, leads: bool) {
        self.leader.set(i64::from(leads));
    }

    /// A panic elsewhere leaves plain numbers behind, which are as good as ever.
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn register<C: Collector + Clone + 'static>(
    registry: &Registry,
    collector: C,
) -> Result<C, prometheus::Error> {
    registry.register(Box::new(collector.clone()))?;
    Ok(collector)
}

fn counters(
    registry: &Registry,
    name: &str,
    help: &str,
    labels: &[&str],
) -> Result<IntCounterVec, prometheus::Error> {
    register(registry, IntCounterVec::new(Opts::new(name, help), labels)?)
}

fn histogram(
    registry: &Registry,
    name: &str,
    help: &str,
    buckets: &[f64],
) -> Result<Histogram, prometheus::Error> {
    let options = HistogramOpts::new(name, help).buckets(buckets.to_vec());
    register(registry, Histogram::with_opts(options)?)
}

#[cfg(test)]
mod query_tests;
#[cfg(test)]
mod tests;
