//! `InterPodAffinity`: which pods a pod wants near it, and which want it near or far.
//!
//! Follows `pkg/scheduler/framework/plugins/interpodaffinity/filtering.go` and
//! `scoring.go` (1.33 to 1.37). Terminating pods count until they are gone.

use std::collections::BTreeSet;

use kube::core::{Expression, Selector, SelectorExt};

use crate::observe::{Labels, Name, PodAffinityTerm, PodClass, Template, WeightedPodAffinityTerm};
use crate::predict::classes::node_classes::Candidates;
use crate::predict::in_flight::PendingPod;
use crate::predict::prefilter::{Cycle, PodRef};
use crate::predict::sampling::bounds::{Extremes, Range, Scored};
use crate::predict::scheduler::Scheduler;
use crate::predict::snapshot::TopologyDomains;
use crate::predict::supposition::{PlacedPods, Supposition};

use super::score::{MAX, float, known_scores, whole};
use super::topology_counts::TopologyPairCounts;

const NOT_NEAR: &str = "node(s) didn't match pod affinity rules";
const NOT_FAR: &str = "node(s) didn't match pod anti-affinity rules";
const UNWANTED: &str = "node(s) didn't satisfy existing pods anti-affinity rules";

/// What a pod and those that run ask of each other.
#[derive(Debug)]
pub struct InterPodAffinity {
    required: Vec<Term>,
    required_anti: Vec<Term>,
    /// Preferred terms; a negative weight is anti-affinity.
    preferred: Vec<(i64, Term)>,
    own_terms_match: bool,
    /// Pods that all required terms match, by each term's label.
    affinity_counts: TopologyPairCounts,
    /// Pods that a required anti-affinity term matches.
    anti_affinity_counts: TopologyPairCounts,
    /// Pods whose required anti-affinity matches this one.
    existing_anti_affinity_counts: TopologyPairCounts,
    /// Weights that speak for a node, or against it.
    topology_score: TopologyPairCounts,
}

#[derive(Debug)]
struct Term {
    key: Name,
    selector: Option<Selector>,
    namespaces: BTreeSet<String>,
    namespace_selector: Option<Selector>,
}

impl Term {
    /// The term of a pod, with what it takes from the pod's own labels, as the
    /// API server merges it into the selector when the pod is created
    /// (`pkg/registry/core/pod/strategy.go`, 1.37).
    fn new(term: &PodAffinityTerm, namespace: &str, labels: &Labels) -> Self {
        let mut namespaces = term.namespaces.clone();
        if namespaces.is_empty() && term.namespace_selector.is_none() {
            namespaces.insert(namespace.to_owned());
        }
        let value = |key: &String| Some((key.clone(), BTreeSet::from([labels.get(key)?.clone()])));
        let selector = term.selector.clone().map(|mut selector| {
            let same = term.match_label_keys.iter().filter_map(value);
            selector.extend(same.map(|(key, values)| Expression::In(key, values)));
            let other = term.mismatch_label_keys.iter().filter_map(value);
            selector.extend(other.map(|(key, values)| Expression::NotIn(key, values)));
            selector
        });
        Self {
            key: Name::clone(&term.topology_key),
            selector,
            namespaces,
            namespace_selector: term.namespace_selector.clone(),
        }
    }

    fn matches(&self, scheduler: &Scheduler<'_>, namespace: &str, labels: &Labels) -> bool {
        self.selector.as_ref().is_some_and(|selector| selector.matches(labels))
            && (self.namespaces.contains(namespace)
                || selects_namespace(scheduler, self.namespace_selector.as_ref(), namespace))
    }
}

/// Whether a term of `others` matches pods with these labels. The terms of pods
/// that exist are complete: the API server has merged their labels into them.
fn term_of_matches(
    scheduler: &Scheduler<'_>,
    others: PodRef<'_>,
    term: &PodAffinityTerm,
    namespace: &str,
    labels: &Labels,
) -> bool {
    if !(term.match_label_keys.is_empty() && term.mismatch_label_keys.is_empty()) {
        let term = Term::new(term, others.namespace, others.labels);
        return term.matches(scheduler, namespace, labels);
    }
    let in_reach = if term.namespaces.is_empty() && term.namespace_selector.is_none() {
        **others.namespace == *namespace
    } else {
        term.namespaces.contains(namespace)
            || selects_namespace(scheduler, term.namespace_selector.as_ref(), namespace)
    };
    in_reach && term.selector.as_ref().is_some_and(|selector| selector.matches(labels))
}

impl Scheduler<'_> {
    /// Whether a term of affinity or anti-affinity of one of the two matches the other.
    pub(in crate::predict) fn have_terms(&self, one: PodRef<'_>, other: PodRef<'_>) -> bool {
        let matches = |of: PodRef<'_>, to: PodRef<'_>| {
            let Template {
                required_affinity,
                required_anti_affinity,
                preferred_affinity,
                preferred_anti_affinity,
                ..
            } = of.template;
            let required = required_affinity.iter().chain(required_anti_affinity);
            let preferred = preferred_affinity.iter().chain(preferred_anti_affinity);
            let mut terms = required.chain(preferred.map(|entry| &entry.term));
            terms.any(|term| term_of_matches(self, of, term, to.namespace, to.labels))
        };
        matches(one, other) || matches(other, one)
    }

    /// Whether pods with these labels are such as the `needy` must run near.
    #[must_use]
    pub fn is_needed(&self, needy: &PodClass, namespace: &str, labels: &Labels) -> bool {
        let mut terms = needy.template.required_affinity.iter();
        terms.all(|term| term_of_matches(self, PodRef::from(needy), term, namespace, labels))
    }
}

fn selects_namespace(
    scheduler: &Scheduler<'_>,
    selector: Option<&Selector>,
    namespace: &str,
) -> bool {
    let Some(selector) = selector else {
        return false;
    };
    match scheduler.cluster.namespace_labels(namespace) {
        Some(labels) => selector.matches(labels),
        // Every namespace carries its name, even one that is not shown to us.
        None => selector.matches(&Labels::from([(
            "kubernetes.io/metadata.name".to_owned(),
            namespace.to_owned(),
        )])),
    }
}

impl InterPodAffinity {
    /// Counts what the pod asks of the pods on all nodes, and they of it.
    pub fn pre_filter(cycle: &Cycle<'_>) -> Self {
        let mut state = Self::new(cycle.scheduler, &cycle.pod);
        let cluster = cycle.scheduler.cluster;
        let mut count = |pods: &PodClass| {
            state.count_incoming(cycle, PodRef::from(pods), || cycle.rows_of_present(pods), 1);
        };
        match NamespaceScope::of(&cycle.pod) {
            NamespaceScope::None => {}
            NamespaceScope::Own => {
                cluster.pod_classes_in(&cycle.pod.namespace).for_each(&mut count);
            }
            NamespaceScope::All => cluster.pod_classes().for_each(&mut count),
        }
        for pods in cluster.pod_classes_with_pod_affinity() {
            state.count_existing(cycle, PodRef::from(pods), || cycle.rows_of_present(pods), 1);
        }
        if let Some(supposed) = cycle.scheduler.supposed {
            state.count_placed(cycle, supposed);
        }
        state
    }

    /// Counts the pods that are supposed to have been placed.
    fn count_placed(&mut self, cycle: &Cycle<'_>, supposed: &Supposition) {
        let mut count = |placed: &PlacedPods| {
            self.count_incoming(cycle, placed.pod(), || placed.rows(), 1);
        };
        match NamespaceScope::of(&cycle.pod) {
            NamespaceScope::None => {}
            NamespaceScope::Own => {
                supposed.placed_in(&cycle.pod.namespace).for_each(&mut count);
            }
            NamespaceScope::All => supposed.placed().for_each(&mut count),
        }
        for placed in supposed.placed_with_terms() {
            self.count_existing(cycle, placed.pod(), || placed.rows(), 1);
        }
    }

    fn new(scheduler: &Scheduler<'_>, pod: &PendingPod) -> Self {
        let template = &pod.template;
        let term = |term: &PodAffinityTerm| Term::new(term, &pod.namespace, &pod.labels);
        let weighted = |sign: i64, terms: &[WeightedPodAffinityTerm]| -> Vec<(i64, Term)> {
            terms.iter().map(|entry| (sign * i64::from(entry.weight), term(&entry.term))).collect()
        };
        let mut preferred = weighted(1, &template.preferred_affinity);
        preferred.extend(weighted(-1, &template.preferred_anti_affinity));
        let required: Vec<Term> = template.required_affinity.iter().map(term).collect();
        // Nodes without the label are rejected, also where there is nothing to count.
        let mut affinity_counts = TopologyPairCounts::default();
        for term in &required {
            affinity_counts.add(scheduler, &term.key, &[], 0);
        }
        Self {
            own_terms_match: required
                .iter()
                .all(|term| term.matches(scheduler, &pod.namespace, &pod.labels)),
            required,
            required_anti: template.required_anti_affinity.iter().map(term).collect(),
            preferred,
            affinity_counts,
            anti_affinity_counts: TopologyPairCounts::default(),
            existing_anti_affinity_counts: TopologyPairCounts::default(),
            topology_score: TopologyPairCounts::default(),
        }
    }

    /// So many pods like this come to the node, or have left it when negative.
    pub fn count_pod(&mut self, cycle: &Cycle<'_>, pod: PodRef<'_>, row: usize, amount: i64) {
        self.count_incoming(cycle, pod, || vec![row], amount);
        self.count_existing(cycle, pod, || vec![row], amount);
    }

    /// The labels that pods are counted by.
    pub fn topologies(&self) -> impl Iterator<Item = (&Name, &TopologyDomains)> {
        self.counts().into_iter().flat_map(TopologyPairCounts::topologies)
    }

    /// Whether anything is counted on nodes alone.
    pub fn counts_by_node(&self) -> bool {
        self.topologies().any(|(_, topology)| topology.tells_apart)
    }

    /// What is counted on the node and shared with no other.
    pub fn own_counts(&self, row: usize) -> impl Iterator<Item = i64> {
        self.counts().into_iter().flat_map(move |counts| counts.own_counts(row))
    }

    const fn counts(&self) -> [&TopologyPairCounts; 4] {
        [
            &self.affinity_counts,
            &self.anti_affinity_counts,
            &self.existing_anti_affinity_counts,
            &self.topology_score,
        ]
    }

    /// Counts what the incoming pod asks of `others` on these nodes.
    fn count_incoming(
        &mut self,
        cycle: &Cycle<'_>,
        others: PodRef<'_>,
        rows: impl Fn() -> Vec<usize>,
        amount: i64,
    ) {
        let scheduler = cycle.scheduler;
        let matches = |term: &Term| term.matches(scheduler, others.namespace, others.labels);
        if !self.required.is_empty() && self.required.iter().all(matches) {
            let rows = rows();
            for term in &self.required {
                self.affinity_counts.add(scheduler, &term.key, &rows, amount);
            }
        }
        for term in self.required_anti.iter().filter(|term| matches(term)) {
            self.anti_affinity_counts.add(scheduler, &term.key, &rows(), amount);
        }
        for (weight, term) in self.preferred.iter().filter(|(_, term)| matches(term)) {
            self.topology_score.add(scheduler, &term.key, &rows(), weight * amount);
        }
    }

    /// Counts what `others`, which exist on these nodes, ask of the incoming pod.
    fn count_existing(
        &mut self,
        cycle: &Cycle<'_>,
        others: PodRef<'_>,
        rows: impl FnOnce() -> Vec<usize>,
        amount: i64,
    ) {
        let (scheduler, template) = (cycle.scheduler, others.template);
        let matches = |term: &&PodAffinityTerm| {
            term_of_matches(scheduler, others, term, &cycle.pod.namespace, &cycle.pod.labels)
        };
        let hard_weight = scheduler.config.hard_pod_affinity_weight;
        let unwanted: Vec<&Name> = template
            .required_anti_affinity
            .iter()
            .filter(matches)
            .map(|term| &term.topology_key)
            .collect();
        let mut pulls: Vec<(&Name, i64)> = Vec::new();
        if hard_weight > 0 {
            let required = template.required_affinity.iter().filter(matches);
            pulls.extend(required.map(|term| (&term.topology_key, hard_weight)));
        }
        for (sign, terms) in
            [(1, &template.preferred_affinity), (-1, &template.preferred_anti_affinity)]
        {
            let wanted = terms.iter().filter(|entry| matches(&&entry.term));
            pulls.extend(
                wanted.map(|entry| (&entry.term.topology_key, sign * i64::from(entry.weight))),
            );
        }
        if unwanted.is_empty() && pulls.is_empty() {
            return;
        }
        let rows = rows();
        for key in unwanted {
            self.existing_anti_affinity_counts.add(scheduler, key, &rows, amount);
        }
        for (key, weight) in pulls {
            self.topology_score.add(scheduler, key, &rows, weight * amount);
        }
    }

    /// Whether its filter has nothing to look at.
    pub fn is_skipped(&self) -> bool {
        self.required.is_empty()
            && self.anti_affinity_counts.is_untouched()
            && self.existing_anti_affinity_counts.is_untouched()
    }

    /// Why the plugin rejects the node, if it does.
    pub fn filter(&self, scheduler: &Scheduler<'_>, row: usize) -> Option<&'static str> {
        if !self.is_near(scheduler, row) {
            return Some(NOT_NEAR);
        }
        if self.anti_affinity_counts.any(row) {
            return Some(NOT_FAR);
        }
        self.existing_anti_affinity_counts.any(row).then_some(UNWANTED)
    }

    /// Whether the node shares every required place with matching pods. The
    /// first of a group that wants to be together may go anywhere.
    fn is_near(&self, scheduler: &Scheduler<'_>, row: usize) -> bool {
        let mut pods_exist = true;
        for term in &self.required {
            match self.affinity_counts.get(scheduler, &term.key, row) {
                None => return false,
                Some(count) => pods_exist &= count > 0,
            }
        }
        pods_exist || (self.affinity_counts.is_empty() && self.own_terms_match)
    }

    /// The plugin's scores: the more weight speaks for a node, the better.
    pub fn score(&self, candidates: &Candidates, scored: Scored<'_>) -> Vec<Range> {
        if self.topology_score.is_untouched() {
            return vec![(0, 0); candidates.len()];
        }
        let weights = candidates.rows().map(|row| self.topology_score.sum(row));
        known_scores(weights, scored, normalised)
    }
}

/// The range of a score: it shrinks with both extremes.
fn normalised(extremes: Extremes, raw: i64) -> Range {
    let Extremes { lowest, highest } = extremes;
    let share = |lowest: i64, highest: i64| {
        if highest == lowest {
            return 0;
        }
        whole(float(MAX) * (float(raw - lowest) / float(highest - lowest)))
    };
    // All that are found may have the same weight: then it decides nothing.
    let may_be_equal = highest.0 <= lowest.1;
    let least = if may_be_equal { 0 } else { share(lowest.1.min(raw), highest.1) };
    (least, share(lowest.0, highest.0.max(raw)))
}

/// Whose pods a pod's own terms can match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NamespaceScope {
    /// It asks nothing of other pods.
    None,
    /// Those of its own namespace.
    Own,
    /// Those of any namespace.
    All,
}

impl NamespaceScope {
    fn of(pod: &PendingPod) -> Self {
        let template = &pod.template;
        let preferred = template.preferred_affinity.iter().chain(&template.preferred_anti_affinity);
        let mut terms = template
            .required_affinity
            .iter()
            .chain(&template.required_anti_affinity)
            .chain(preferred.map(|entry| &entry.term))
            .peekable();
        if terms.peek().is_none() {
            return Self::None;
        }
        let is_own = |namespace: &String| **namespace == *pod.namespace;
        let within = |term: &PodAffinityTerm| {
            term.namespace_selector.is_none() && term.namespaces.iter().all(is_own)
        };
        if terms.all(within) { Self::Own } else { Self::All }
    }
}
