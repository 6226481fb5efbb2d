//! `InterPodAffinity`: which pods a pod wants near it, and which want it near or far.
//!
//! Follows `pkg/scheduler/framework/plugins/interpodaffinity/filtering.go` and
//! `scoring.go` (1.37). Terminating pods count until they are gone.

use std::collections::BTreeSet;

use kube::core::{Expression, Selector, SelectorExt};

use crate::observe::{Labels, Name, PodAffinityTerm, PodClass, Template, WeightedPodAffinityTerm};

use crate::predict::classes::node_classes::Candidates;
use crate::predict::in_flight::PendingPod;
use crate::predict::plugins::score::{MAX, float, whole};
use crate::predict::plugins::topology_counts::TopologyPairCounts;
use crate::predict::sampling::bounds::{Extremes, Range, Sample};
use crate::predict::scheduler::Scheduler;
use crate::predict::snapshot::TopologyDomains;

const NOT_NEAR: &str = "node(s) didn't match pod affinity rules";
const NOT_FAR: &str = "node(s) didn't match pod anti-affinity rules";
const UNWANTED: &str = "node(s) didn't satisfy existing pods anti-affinity rules";

/// Pods that are alike: what terms are matched against.
#[derive(Clone, Copy)]
pub struct Tenants<'p> {
    pub namespace: &'p Name,
    pub labels: &'p Labels,
    pub template: &'p Template,
}

impl<'p> Tenants<'p> {
    pub fn of(pod_class: &'p PodClass) -> Self {
        Self {
            namespace: &pod_class.namespace,
            labels: &pod_class.labels,
            template: &pod_class.template,
        }
    }

    pub fn like(pod: &'p PendingPod) -> Self {
        Self { namespace: &pod.namespace, labels: &pod.labels, template: &pod.template }
    }
}

/// What a pod and those that run ask of each other.
#[derive(Debug)]
pub struct Neighbours {
    namespace: Name,
    required: Vec<Term>,
    required_anti: Vec<Term>,
    /// Preferred terms; a negative weight is anti-affinity.
    preferred: Vec<(i64, Term)>,
    own_terms_match: bool,
    /// Pods that all required terms match, by each term's label.
    near: TopologyPairCounts,
    /// Pods that a required anti-affinity term matches.
    far: TopologyPairCounts,
    /// Pods whose required anti-affinity matches this one.
    unwanted: TopologyPairCounts,
    /// What speaks for a node, and against it.
    pull: TopologyPairCounts,
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

/// Whether a term of tenants matches pods with these labels. The terms of pods
/// that exist are complete: the API server has merged their labels into them.
fn term_of_matches(
    scheduler: &Scheduler<'_>,
    tenants: Tenants<'_>,
    term: &PodAffinityTerm,
    namespace: &str,
    labels: &Labels,
) -> bool {
    if !(term.match_label_keys.is_empty() && term.mismatch_label_keys.is_empty()) {
        let term = Term::new(term, tenants.namespace, tenants.labels);
        return term.matches(scheduler, namespace, labels);
    }
    let in_reach = if term.namespaces.is_empty() && term.namespace_selector.is_none() {
        **tenants.namespace == *namespace
    } else {
        term.namespaces.contains(namespace)
            || selects_namespace(scheduler, term.namespace_selector.as_ref(), namespace)
    };
    in_reach && term.selector.as_ref().is_some_and(|selector| selector.matches(labels))
}

impl Scheduler<'_> {
    /// Whether pods with these labels are such as the `needy` must run near.
    #[must_use]
    pub fn is_needed(&self, needy: &PodClass, namespace: &str, labels: &Labels) -> bool {
        let mut terms = needy.template.required_affinity.iter();
        terms.all(|term| term_of_matches(self, Tenants::of(needy), term, namespace, labels))
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

impl Neighbours {
    pub fn new(scheduler: &Scheduler<'_>, pod: &PendingPod) -> Self {
        let template = &pod.template;
        let term = |term: &PodAffinityTerm| Term::new(term, &pod.namespace, &pod.labels);
        let weighted = |sign: i64, terms: &[WeightedPodAffinityTerm]| -> Vec<(i64, Term)> {
            terms.iter().map(|entry| (sign * i64::from(entry.weight), term(&entry.term))).collect()
        };
        let mut preferred = weighted(1, &template.preferred_affinity);
        preferred.extend(weighted(-1, &template.preferred_anti_affinity));
        let required: Vec<Term> = template.required_affinity.iter().map(term).collect();
        Self {
            namespace: Name::clone(&pod.namespace),
            own_terms_match: required
                .iter()
                .all(|term| term.matches(scheduler, &pod.namespace, &pod.labels)),
            required,
            required_anti: template.required_anti_affinity.iter().map(term).collect(),
            preferred,
            near: TopologyPairCounts::default(),
            far: TopologyPairCounts::default(),
            unwanted: TopologyPairCounts::default(),
            pull: TopologyPairCounts::default(),
        }
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
        [&self.near, &self.far, &self.unwanted, &self.pull]
    }

    /// Whether the pod asks anything of others, and whether of other namespaces too.
    pub fn reach(&self) -> Reach {
        let mut terms = self
            .required
            .iter()
            .chain(&self.required_anti)
            .chain(self.preferred.iter().map(|(_, term)| term))
            .peekable();
        if terms.peek().is_none() {
            return Reach::Nobody;
        }
        let is_own = |namespace: &String| **namespace == *self.namespace;
        if terms.all(|term| term.namespace_selector.is_none() && term.namespaces.iter().all(is_own))
        {
            Reach::OwnNamespace
        } else {
            Reach::AllNamespaces
        }
    }

    /// Counts what the pod asks of tenants of these nodes.
    pub fn ask(
        &mut self,
        scheduler: &Scheduler<'_>,
        tenants: Tenants<'_>,
        rows: impl Fn() -> Vec<usize>,
        amount: i64,
    ) {
        let matches = |term: &Term| term.matches(scheduler, tenants.namespace, tenants.labels);
        if !self.required.is_empty() && self.required.iter().all(matches) {
            let rows = rows();
            for term in &self.required {
                self.near.add(scheduler, &term.key, &rows, amount);
            }
        }
        for term in self.required_anti.iter().filter(|term| matches(term)) {
            self.far.add(scheduler, &term.key, &rows(), amount);
        }
        for (weight, term) in self.preferred.iter().filter(|(_, term)| matches(term)) {
            self.pull.add(scheduler, &term.key, &rows(), weight * amount);
        }
    }

    /// Counts what tenants of these nodes ask of the pod.
    pub fn answer(
        &mut self,
        scheduler: &Scheduler<'_>,
        pod: &PendingPod,
        tenants: Tenants<'_>,
        rows: impl FnOnce() -> Vec<usize>,
        amount: i64,
    ) {
        let template = tenants.template;
        let matches = |term: &&PodAffinityTerm| {
            term_of_matches(scheduler, tenants, term, &pod.namespace, &pod.labels)
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
            self.unwanted.add(scheduler, key, &rows, amount);
        }
        for (key, weight) in pulls {
            self.pull.add(scheduler, key, &rows, weight * amount);
        }
    }

    /// Why the pod cannot be on the node, in the scheduler's words.
    pub fn failure(&self, scheduler: &Scheduler<'_>, row: usize) -> Option<&'static str> {
        if !self.is_near(scheduler, row) {
            return Some(NOT_NEAR);
        }
        if self.far.any(row) {
            return Some(NOT_FAR);
        }
        self.unwanted.any(row).then_some(UNWANTED)
    }

    /// Whether the node shares every required place with matching pods. The
    /// first of a group that wants to be together may go anywhere.
    fn is_near(&self, scheduler: &Scheduler<'_>, row: usize) -> bool {
        let mut pods_exist = true;
        for term in &self.required {
            match self.near.get(scheduler, &term.key, row) {
                None => return false,
                Some(count) => pods_exist &= count > 0,
            }
        }
        pods_exist || (self.near.is_empty() && self.own_terms_match)
    }

    /// The plugin's scores of the nodes that fit, if they are in the sample.
    pub fn ranges(&self, feasible: &Candidates, sample: &Sample) -> Vec<Range> {
        if self.pull.is_untouched() {
            return vec![(0, 0); feasible.len()];
        }
        let raw: Vec<i64> = feasible.rows().map(|row| self.pull.sum(row)).collect();
        let values: Vec<Option<Range>> = raw.iter().map(|raw| Some((*raw, *raw))).collect();
        let Some(Extremes { lowest, highest }) = sample.extremes(&values) else {
            return vec![(0, 0); raw.len()];
        };
        let share = |raw: i64, lowest: i64, highest: i64| {
            if highest == lowest {
                return 0;
            }
            whole(float(MAX) * (float(raw - lowest) / float(highest - lowest)))
        };
        // All that are found may have the same pull: then it decides nothing.
        let may_be_equal = highest.0 <= lowest.1;
        raw.into_iter()
            .map(|raw| {
                let least = share(raw, lowest.1.min(raw), highest.1);
                let most = share(raw, lowest.0, highest.0.max(raw));
                (if may_be_equal { 0 } else { least }, most)
            })
            .collect()
    }

    /// The plugin's scores of the nodes that fit.
    pub fn scores(&self, feasible: &Candidates) -> Vec<i64> {
        if self.pull.is_untouched() {
            return vec![0; feasible.len()];
        }
        let raw: Vec<i64> = feasible.rows().map(|row| self.pull.sum(row)).collect();
        let (Some(lowest), Some(highest)) = (raw.iter().min(), raw.iter().max()) else {
            return raw;
        };
        let (lowest, range) = (*lowest, highest - lowest);
        if range == 0 {
            return vec![0; raw.len()];
        }
        raw.into_iter()
            .map(|score| whole(float(MAX) * (float(score - lowest) / float(range))))
            .collect()
    }
}

/// Whose pods a pod's own terms can match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// It asks nothing of other pods.
    Nobody,
    /// Those of its own namespace.
    OwnNamespace,
    /// Those of any namespace.
    AllNamespaces,
}
