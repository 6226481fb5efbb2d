//! What came of all landings.

use super::landing::{Observed, Outcome, explain, replay};
use super::profiles;
use super::scheduler_log;
use super::terrain::is_in_pool;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;
use zonespread::predict::{Prediction, SchedulerVersion};

/// Counts.
pub struct Tally {
    version: SchedulerVersion,
    wanted: usize,
    began: Instant,
    landings: usize,
    hits: usize,
    certain: usize,
    pending: usize,
    ties: usize,
    /// How often there was something special.
    kinds: BTreeMap<&'static str, usize>,
    misses: usize,
    certain_misses: usize,
    unpredictable: BTreeMap<String, usize>,
    disturbed: usize,
    steps: BTreeMap<u64, usize>,
}

impl Tally {
    pub fn new(version: SchedulerVersion, wanted: usize) -> Self {
        Self {
            version,
            wanted,
            began: Instant::now(),
            landings: 0,
            hits: 0,
            certain: 0,
            pending: 0,
            ties: 0,
            kinds: BTreeMap::new(),
            misses: 0,
            certain_misses: 0,
            unpredictable: BTreeMap::new(),
            disturbed: 0,
            steps: BTreeMap::new(),
        }
    }

    pub fn is_full(&self) -> bool {
        self.landings >= self.wanted
    }

    /// The number of the next landing with this seed.
    pub fn steps(&self, seed: u64) -> usize {
        self.steps.get(&seed).copied().unwrap_or_default()
    }

    pub fn add(&mut self, observed: Observed) {
        *self.steps.entry(observed.seed).or_default() += 1;
        if observed.outcome == Outcome::Disturbed {
            self.disturbed += 1;
            return;
        }
        self.landings += 1;
        for kind in kinds(&observed) {
            *self.kinds.entry(kind).or_default() += 1;
        }
        match observed.outcome {
            Outcome::Hit { certain, ties } => {
                self.hits += 1;
                self.certain += usize::from(certain);
                self.ties += ties;
            }
            Outcome::Pending => {
                self.hits += 1;
                self.pending += 1;
            }
            Outcome::Unpredictable => {
                if let Prediction::Unpredictable(why) = &observed.prediction {
                    *self.unpredictable.entry(why.clone()).or_default() += 1;
                }
            }
            Outcome::Miss => self.misses += 1,
            Outcome::CertainMiss => self.certain_misses += 1,
            Outcome::Disturbed => {}
        }
        if matches!(observed.outcome, Outcome::Miss | Outcome::CertainMiss) {
            keep(&observed);
        }
    }

    /// Prints the summary; says whether the predictions are good enough.
    pub fn close(&self) -> bool {
        let seconds = self.began.elapsed().as_secs_f64();
        let unpredictable: usize = self.unpredictable.values().sum();
        let known = self.landings - unpredictable;
        println!(
            "kube-scheduler {}: {} landings in {seconds:.0} s: {} of {known} as predicted ({} Pending, {} with a \
             certain zone, {} nodes tie on average), {} missed, {} wrong but certain, \
             {unpredictable} unpredictable; {} more were disturbed and do not count",
            self.version,
            self.landings,
            self.hits,
            self.pending,
            self.certain,
            self.ties / (self.hits - self.pending).max(1),
            self.misses,
            self.certain_misses,
            self.disturbed,
        );
        for (kind, count) in &self.kinds {
            println!("  {count} {kind}");
        }
        for (why, count) in &self.unpredictable {
            println!("  {count} {why}");
        }
        // A test that throws away what it sees proves nothing.
        let counted = self.disturbed * 50 <= self.landings;
        self.certain_misses == 0 && self.hits * 1000 >= known * 999 && counted
    }
}

/// What was special about a landing.
fn kinds(observed: &Observed) -> Vec<&'static str> {
    let mut kinds = Vec::new();
    if let Prediction::Lands(landing) = &observed.prediction {
        if !landing.preempts.is_empty() {
            kinds.push("by preemption");
        }
        if landing.unless.is_some() {
            kinds.push("with a replacement of two sizes");
        }
    }
    let resized = |pod: &Value, at: usize| {
        let status = &pod["status"]["containerStatuses"][at];
        let asked = &pod["spec"]["containers"][at]["resources"]["requests"];
        status["resources"].is_object()
            && (status["resources"]["requests"] != *asked || status["allocatedResources"] != *asked)
    };
    let pods = || observed.before.iter().filter(|(kind, _)| *kind == "Pod").map(|(_, pod)| pod);
    if pods().any(|pod| pod["status"]["containerStatuses"].is_array()) {
        kinds.push("beside pods that were resized");
    }
    if pods().any(|pod| resized(pod, 0) && resized(pod, 1)) {
        kinds.push("beside pods of which two containers are being resized");
    }
    if observed.before.iter().any(|(kind, node)| {
        kind == "Node" && is_in_pool(node["metadata"]["name"].as_str().unwrap())
    }) {
        kinds.push("in clusters with a pool");
    }
    let evicted = pods().find(|pod| {
        pod["metadata"]["name"] == *observed.evicted
            && pod["metadata"]["namespace"] == *observed.namespace
    });
    if let Some(pod) = evicted {
        if is_in_pool(pod["spec"]["nodeName"].as_str().unwrap_or_default()) {
            kinds.push("of pods in a pool");
        }
        if profiles::spreads_by_default(pod) {
            kinds.push("by default constraints of maxSkew 1");
        }
    }
    kinds
}

/// Prints a mismatch and writes it down, so that it can be replayed.
fn keep(observed: &Observed) {
    let Observed { seed, step, namespace, evicted, landed, outcome, .. } = observed;
    println!("\n{outcome:?} at SEED={seed}, step {step}: {namespace}/{evicted} was evicted");
    println!("{}", explain(&observed.prediction, landed.as_deref()));
    for line in scheduler_log::differences(&observed.scheduler, &observed.prediction) {
        println!("  {line}");
    }
    let fixture = observed.to_fixture();
    let (_, again, then) = replay(&serde_json::from_str(&fixture).unwrap());
    if then != *outcome {
        println!("  read afresh it is {then:?}: {}", explain(&again, landed.as_deref()));
    }
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("landings");
    std::fs::create_dir_all(&directory).unwrap();
    let path = directory.join(format!("{seed}-{step}.json"));
    std::fs::write(&path, fixture).unwrap();
    println!("  kept as {}", path.display());
}
