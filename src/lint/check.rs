//! The checks: the only place where their names, severities and texts are written.
//! `docs/lint.md` and `zonespread explain CHECK` are made from this table.

use std::fmt::{self, Write as _};

/// How bad a finding is, the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Something is lost or stuck when a zone is, or does not do what it says.
    Error,
    /// Something is at risk.
    Warning,
    /// Something could be better.
    Info,
}

impl Severity {
    /// Every severity, the worst first.
    pub const ALL: [Self; 3] = [Self::Error, Self::Warning, Self::Info];

    /// The word users see.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Info => "info",
        }
    }
}

/// What a check is about: a chapter of `docs/lint.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// Where the pods are.
    Placement,
    /// Constraints on where they may be.
    Constraints,
    /// Disruption budgets.
    Budgets,
    /// How many pods there are, and what they ask for.
    Sizes,
    /// What the whole cluster needs.
    Cluster,
}

impl Subject {
    /// Every subject, in the order of the document.
    pub const ALL: [Self; 5] =
        [Self::Placement, Self::Constraints, Self::Budgets, Self::Sizes, Self::Cluster];

    /// The heading.
    #[must_use]
    pub const fn heading(self) -> &'static str {
        match self {
            Self::Placement => "Where the pods are",
            Self::Constraints => "Constraints",
            Self::Budgets => "Disruption budgets",
            Self::Sizes => "Sizes and starts",
            Self::Cluster => "What the whole cluster needs",
        }
    }
}

macro_rules! checks {
    ($($check:ident: $subject:ident, $severity:ident, $title:literal, $means:literal, $helps:literal;)+) => {
        /// Something that is looked for.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Check {
            $(#[doc = $title] $check,)+
        }

        impl Check {
            /// Every check, in the order of the document.
            pub const ALL: [Self; [$($title),+].len()] = [$(Self::$check),+];

            /// Its code, as output and `accept[]` have it.
            #[must_use]
            pub const fn code(self) -> &'static str {
                match self { $(Self::$check => stringify!($check),)+ }
            }

            /// What it is about.
            #[must_use]
            pub const fn subject(self) -> Subject {
                match self { $(Self::$check => Subject::$subject,)+ }
            }

            /// How bad a finding of it is.
            #[must_use]
            pub const fn severity(self) -> Severity {
                match self { $(Self::$check => Severity::$severity,)+ }
            }

            /// It in a few words.
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self { $(Self::$check => $title,)+ }
            }

            /// What it means.
            #[must_use]
            pub const fn means(self) -> &'static str {
                match self { $(Self::$check => $means,)+ }
            }

            /// What helps.
            #[must_use]
            pub const fn helps(self) -> &'static str {
                match self { $(Self::$check => $helps,)+ }
            }
        }
    };
}

// Check: subject, severity, title, what it means, what helps.
checks! {
    AllInOneZone: Placement, Error, "All pods in one zone",
        "Two or more pods of a workload are on nodes, and all of them in the same zone: with the zone the workload is gone until its pods have started elsewhere.",
        "Add a `topologySpreadConstraint` on zones, and let the pods be moved: a ZoneSpreadPolicy does that.";
    MoreThanHalfInOneZone: Placement, Warning, "More than half of the pods in one zone",
        "Three or more pods run, and the loss of one zone takes more than half of them: those that are left may not carry the load.",
        "Add a `topologySpreadConstraint` on zones, or lower its maxSkew, and let the pods be moved: a ZoneSpreadPolicy does that.";
    QuorumInOneZone: Placement, Error, "The majority of a StatefulSet in one zone",
        "Half or more of the members of a StatefulSet with at least three are in one zone: what needs a majority (etcd, ZooKeeper, Kafka, a database) stops with the zone.",
        "Spread the members evenly over three zones: a `topologySpreadConstraint` with DoNotSchedule on zones, and volumes in all of them.";
    AllOnOneNode: Placement, Warning, "All pods on one node",
        "Two or more pods of a workload run on the same node: one node takes them all.",
        "Add a `topologySpreadConstraint` on `kubernetes.io/hostname`, or a pod anti-affinity on it.";
    VolumesInOneZone: Placement, Warning, "All volumes in one zone",
        "The volumes of two or more pods can be used in the same zone only: none of the pods can start elsewhere.",
        "Use a storage class with `volumeBindingMode: WaitForFirstConsumer`, so that volumes are made where the pods are spread to; replicate the data to another zone.";
    WouldStayPending: Placement, Error, "Pods would stay Pending in an outage",
        "When a zone is lost, pods of it would not start elsewhere: `zonespread outlook` computes it with the scheduler's rules. Of manifests alone it is computed for pods that are evenly spread over `--zones` zones with room enough.",
        "The message names what decides and a remedy; for hard spread constraints that is mostly `nodeTaintsPolicy: Honor`, without a `minDomains` above the zones that are left.";

    NoZoneConstraint: Constraints, Warning, "No constraint on zones",
        "A workload of two or more pods says nothing of zones: neither a `topologySpreadConstraint` nor an anti-affinity. The scheduler's defaults are soft, with a maxSkew of 5, and fade beside other preferences.",
        "Add a `topologySpreadConstraint` with the topologyKey `topology.kubernetes.io/zone`, maxSkew 1, and the pod's own labels as its labelSelector.";
    SelectorMissesOwnPods: Constraints, Error, "A constraint does not count the workload's own pods",
        "The labelSelector of a spread constraint does not match the labels of the pods that carry it, or is missing: it spreads nothing.",
        "Make the labelSelector match the labels of the pod template.";
    SelectorMatchesOthers: Constraints, Warning, "A constraint counts the pods of other workloads",
        "The labelSelector of a spread constraint also matches pods of other workloads in the namespace: they are balanced together, and each by itself may be uneven.",
        "Add a label to the labelSelector that only the workload's own pods have.";
    UnknownTopologyKey: Constraints, Error, "An unknown topology key",
        "No node carries the label that a constraint names as its topologyKey, or the label is one that Kubernetes has removed or never had: nodes without it are left out, and a hard constraint keeps the pods Pending.",
        "Use `topology.kubernetes.io/zone` for zones and `kubernetes.io/hostname` for nodes.";
    MaxSkewWithoutEffect: Constraints, Warning, "A maxSkew without effect",
        "The maxSkew of a constraint on zones is at least the number of pods: all of them may be in one zone.",
        "Set maxSkew 1.";
    ConstraintsLock: Constraints, Error, "Constraints on zones and hosts that lock each other",
        "A hard constraint on zones and a hard constraint or required anti-affinity on hosts leave no node for some of the pods: the zones have different numbers of nodes.",
        "Make one of the two soft (`whenUnsatisfiable: ScheduleAnyway`, or preferred anti-affinity), or give the zones as many nodes as each other.";
    MinDomainsAboveZones: Constraints, Error, "minDomains above the number of zones",
        "With fewer zones than minDomains the scheduler takes the fewest pods of a zone for 0: at most maxSkew pods start in each zone, and the rest stays Pending.",
        "Lower minDomains to the number of zones; below it if the loss of a zone is to be survived.";
    NoMatchLabelKeys: Constraints, Info, "A hard constraint counts old revisions, too",
        "A Deployment's DoNotSchedule constraint has no `matchLabelKeys`: during a rollout pods of the old revision count, and after it the new ones may be uneven.",
        "Add `matchLabelKeys: [pod-template-hash]` to the constraint.";
    AntiAffinityAboveZones: Constraints, Error, "More pods than an anti-affinity on zones allows",
        "A required pod anti-affinity on zones allows one pod in each zone, and the workload wants more: the rest stays Pending. It is the same as soon as a zone is lost.",
        "Use a `topologySpreadConstraint` with maxSkew 1 instead, or preferred anti-affinity.";
    PinnedToZone: Constraints, Warning, "Pinned to one zone",
        "A node selector or required node affinity allows the nodes of one zone only: no pod starts elsewhere when it is lost.",
        "Remove the zone from the node selector or the affinity, or allow all zones.";
    SoftConstraintLoses: Constraints, Warning, "A soft constraint that loses on this cluster",
        "The pods are uneven although a ScheduleAnyway constraint on zones asks for more, and the next pod would be put into a fuller zone again: other preferences of the scheduler weigh more.",
        "Use `whenUnsatisfiable: DoNotSchedule` with `nodeTaintsPolicy: Honor`, or install deploy/steering.";
    OtherScheduler: Constraints, Info, "Another scheduler",
        "The pods name a scheduler that is not kube-scheduler: where they land cannot be predicted, and no pod of them is moved.",
        "Remove `schedulerName` from the pod template, or pass the scheduler's configuration with `--scheduler-config` if it is a kube-scheduler of another name.";

    NoBudget: Budgets, Warning, "No disruption budget",
        "No PodDisruptionBudget selects the pods of a workload of two or more: a drain may evict all of them at once.",
        "Add a PodDisruptionBudget with `maxUnavailable: 1`.";
    BudgetNeverAllows: Budgets, Error, "A budget that never allows an eviction",
        "The PodDisruptionBudget allows no eviction even when all pods are healthy: drains hang, and pods are not brought back after an outage.",
        "Lower `minAvailable` below the number of pods, or set `maxUnavailable: 1`.";
    BudgetNeverSyncs: Budgets, Error, "A budget that never counts its pods",
        "The controller cannot count the pods of the PodDisruptionBudget, as of those of a DaemonSet or without a controller: it allows no eviction for ever.",
        "Give the budget a selector of one workload that can be scaled, or `minAvailable` as a number.";
    TwoBudgets: Budgets, Error, "Two budgets for the same pods",
        "More than one PodDisruptionBudget selects the pods: the eviction API refuses every eviction with an error.",
        "Keep one of them.";
    BudgetKeepsUnhealthyPods: Budgets, Info, "A budget that keeps pods that are not Ready",
        "Without `unhealthyPodEvictionPolicy: AlwaysAllow` pods that do not become Ready cannot be evicted while the budget is used up: a drain after an outage hangs on them.",
        "Set `unhealthyPodEvictionPolicy: AlwaysAllow`.";
    MinAvailableAboveAutoscaler: Budgets, Error, "minAvailable not below an autoscaler's minimum",
        "When the autoscaler has scaled in to its minimum, the PodDisruptionBudget allows no eviction.",
        "Use `maxUnavailable: 1` instead of `minAvailable`, or raise `minReplicas`.";

    SingleReplica: Sizes, Warning, "A single replica",
        "The workload wants one pod: it is down from the loss of its zone until the pod has started elsewhere, more than five minutes later, or for as long as a zonal volume keeps it.",
        "Run at least 2 replicas, if the application can; or accept it: `tiers[].singleZone` or `accept` of its ZoneSpreadPolicy.";
    FewerReplicasThanZones: Sizes, Info, "Fewer pods than zones",
        "The workload, or the minimum of its autoscaler, has fewer pods than there are zones: some zones have none.",
        "Run one pod in each zone, if the load of a lost zone matters.";
    NoRequests: Sizes, Warning, "No resource requests",
        "A container requests neither cpu nor memory: no room is kept for it, such pods are the first to be killed, and whether the other zones have room after an outage cannot be computed.",
        "Set `resources.requests` for cpu and memory.";
    SlowStart: Sizes, Warning, "Starts slower than a move may take",
        "The startup probe and minReadySeconds allow a pod more time to become Available than `rebalance.landingTimeout` (5m): a move of it may be given up as stuck.",
        "Raise `rebalance.landingTimeout` in the ZoneSpreadPolicy, or let the pod start faster.";
    SameZoneTraffic: Sizes, Warning, "Same-zone traffic with fewer pods than zones",
        "The Service keeps traffic in its own zone, and its pods are fewer than the zones: some zones have no endpoint, and one pod may get the traffic of a whole zone.",
        "Run at least one pod in each zone, spread by a DoNotSchedule constraint; or remove `trafficDistribution`.";

    DnsInOneZone: Cluster, Error, "The cluster's DNS in one zone",
        "All pods that answer DNS are in one zone, or there is one only: when it is lost nothing in the cluster finds anything.",
        "Run at least 2 DNS pods, with a `topologySpreadConstraint` on zones.";
    IngressInOneZone: Cluster, Error, "The ingress controller in one zone",
        "All pods of the ingress controller or gateway are in one zone, or there is one only: nothing is reached from outside when it is lost.",
        "Run at least 2 of them, with a `topologySpreadConstraint` on zones.";
    WebhookInOneZone: Cluster, Error, "An admission webhook that must answer in one zone",
        "A webhook with `failurePolicy: Fail` is answered by pods in one zone, or by one pod only: when it is lost the requests that it is asked about are refused, and pods may not even be re-created.",
        "Run at least 2 pods of it, with a `topologySpreadConstraint` on zones; or leave pods and nodes out of its rules, or set `failurePolicy: Ignore`.";
    OperatorInOneZone: Cluster, Error, "This operator in one zone",
        "All pods of zonespread are in one zone, or there is one only: nobody brings pods back while it is out.",
        "Run 2 replicas, as deploy/base does.";
}

impl Check {
    /// The check with this code, whatever the case of its letters.
    #[must_use]
    pub fn parse(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|check| check.code().eq_ignore_ascii_case(code))
    }

    /// Whether it is a consequence of a single pod, or of pods in one zone.
    #[must_use]
    pub const fn is_of_single_zone(self) -> bool {
        matches!(
            self,
            Self::AllInOneZone
                | Self::MoreThanHalfInOneZone
                | Self::QuorumInOneZone
                | Self::AllOnOneNode
                | Self::VolumesInOneZone
                | Self::NoZoneConstraint
                | Self::PinnedToZone
                | Self::SingleReplica
                | Self::FewerReplicasThanZones
        )
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// `docs/lint.md`.
#[must_use]
pub fn lint_document() -> String {
    let mut text = String::from(
        "# What `zonespread lint` looks for\n\n\
         <!-- Generated from the code by `make manifests`; `zonespread explain CHECK` prints the same. -->\n\n\
         `zonespread lint` looks at a live cluster, at a dump of one (`-f`), or at manifests in \
         files and directories (`-f DIR`) before they are applied: there the replicas that are \
         asked for stand for pods. What manifests alone cannot answer is listed as not checked, \
         with the flag that answers it: `--zones 3` says how many zones there are.\n\n\
         A finding that is known is accepted with a reason, and then listed as accepted: by \
         `accept` of the ZoneSpreadPolicy that selects the pods, and for what follows from a \
         single zone also by `tiers[].singleZone`:\n\
         ```yaml\n\
         spec:\n  accept:\n  - check: NoBudget\n    reason: a batch, may be drained at any time\n\
         ```\n\n\
         | check | severity | |\n|---|---|---|\n",
    );
    for check in Check::ALL {
        let (code, severity) = (check.code(), check.severity().as_str());
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "| [{code}](#{}) | {severity} | {} |",
            code.to_lowercase(),
            check.title()
        );
    }
    for subject in Subject::ALL {
        let _ = write!(text, "\n## {}\n", subject.heading());
        for check in Check::ALL.into_iter().filter(|check| check.subject() == subject) {
            let _ = write!(
                text,
                "\n### {}\n{} ({}).\n\n{}\n\n**What helps:** {}\n",
                check.code(),
                check.title(),
                check.severity().as_str(),
                check.means(),
                check.helps()
            );
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_check_says_what_it_means_and_what_helps() {
        for check in Check::ALL {
            assert!(check.means().ends_with('.') && check.means().len() > 60, "{check}");
            assert!(check.helps().ends_with('.') && check.helps().len() > 10, "{check}");
            assert!(!check.title().ends_with('.') && check.title().len() < 60, "{check}");
            assert_eq!(Check::parse(&check.code().to_lowercase()), Some(check));
        }
    }

    #[test]
    fn the_document_of_checks_is_up_to_date() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/lint.md");
        let written = std::fs::read_to_string(path).unwrap_or_default();
        assert!(written == lint_document(), "docs/lint.md: run 'make manifests'");
    }
}
