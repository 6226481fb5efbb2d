//! What came of all landings.

use super::landing::{Observed, Outcome, explain, replay};
use super::scheduler_log;
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
    /// Where others were pushed out, where pods are being resized, and where the
    /// replacement may be of two sizes.
    preempting: usize,
    resized: usize,
    of_two_sizes: usize,
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
            preempting: 0,
            resized: 0,
            of_two_sizes: 0,
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
        if let Prediction::Lands(landing) = &observed.prediction {
            self.preempting += usize::from(!landing.preempts.is_empty());
            self.of_two_sizes += usize::from(landing.unless.is_some());
        }
        let shows_sizes = |pod: &Value| pod["status"]["containerStatuses"].is_array();
        self.resized += usize::from(observed.before.iter().any(|(_, pod)| shows_sizes(pod)));
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
        println!(
            "  {} by preemption, {} beside pods in resize, {} with a replacement of two sizes",
            self.preempting, self.resized, self.of_two_sizes
        );
        for (why, count) in &self.unpredictable {
            println!("  {count} {why}");
        }
        // A test that throws away what it sees proves nothing.
        let counted = self.disturbed * 50 <= self.landings;
        self.certain_misses == 0 && self.hits * 1000 >= known * 999 && counted
    }
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
