//! Every answer that the API server may give to an eviction, and none: a proxy gives
//! them. Each is given to a tier of its own, in a namespace and policy of that name,
//! that needs one eviction.

use super::{LONG, three_zones, web};
use crate::harness::{
    Answer, Call, Cluster, Fate, Operator, Proxy, eventually, holds_for, install,
};
use crate::policy::{self, blocked, evictions_in, phase, policy, ready, tier};
use std::collections::BTreeSet;
use std::time::Duration;
use zonespread::api::{MoveState, Phase, Reason};

/// What is turned against one namespace: which of its requests, how many, and their fate.
struct Trouble(&'static str, fn(&Call) -> bool, usize, Fate);

const DRY_RUN: fn(&Call) -> bool = |call| call.is_eviction() && call.dry_run;
const EVICTION: fn(&Call) -> bool = Call::is_real_eviction;
const STATUS: fn(&Call) -> bool = Call::is_status_write;
const ALWAYS: usize = usize::MAX;

fn failure(code: u16, reason: &'static str) -> Fate {
    Fate::Answered(Answer::failure(code, reason, "made up"))
}

/// An operator behind a proxy, and a tier of three in each namespace that has just got
/// the third of its zones back, with the troubles to come.
struct Field {
    names: Vec<&'static str>,
    proxy: Proxy,
    operator: Operator,
    cluster: Cluster,
}

impl Field {
    async fn prepare(troubles: Vec<Trouble>) -> Self {
        let cluster = Cluster::start().await;
        three_zones(&cluster).await;
        let names: Vec<&str> = troubles.iter().map(|Trouble(name, ..)| *name).collect();
        for name in &names {
            cluster.namespace(name).await;
            cluster.apply(web(name, 3).to_string()).await;
            ready(&cluster, name, "app=web", 3).await;
        }
        let proxy = Proxy::start(&cluster).await;
        let kubeconfig = proxy.kubeconfig(&install(&cluster).await);
        let operator = policy::replica(&cluster, &kubeconfig, &[]).await;
        for name in &names {
            cluster.apply(policy(name, "shop", "  rebalance: {holdDown: 2s}\n")).await;
            phase(&cluster, name, "shop", Phase::Balanced).await;
        }
        cluster.cordon_zone("c").await;
        cluster.evacuate_zone("c").await;
        for name in &names {
            ready(&cluster, name, "app=web", 3).await;
            blocked(&cluster, name, "shop", "web", Reason::ZoneImpaired).await;
        }
        for Trouble(name, matches, times, fate) in troubles {
            proxy.turn(times, move |call| call.namespace == name && matches(call), fate);
        }
        cluster.uncordon_zone("c").await;
        Self { names, proxy, operator, cluster }
    }

    /// How often an eviction was asked for in a namespace, dry runs and others.
    fn asked(&self, namespace: &str) -> [usize; 2] {
        let calls = self.proxy.calls();
        let evictions = calls.iter().filter(|call| call.namespace == namespace);
        let (dry, real): (Vec<_>, Vec<_>) =
            evictions.filter(|call| call.is_eviction()).partition(|call| call.dry_run);
        [dry.len(), real.len()]
    }

    /// The pods that were evicted in a namespace.
    fn evicted(&self, namespace: &str) -> BTreeSet<String> {
        let made = evictions_in(&self.cluster, namespace);
        made.into_iter().map(|request| request.name).collect()
    }

    async fn shows(&self, namespace: &str, reason: Reason, words: &str) {
        let why = blocked(&self.cluster, namespace, "shop", "web", reason).await;
        assert!(why.contains(words), "{namespace}: {why}");
    }

    /// Waits until all are balanced: one eviction each, and its landing is known.
    async fn each_has_made_its_one_eviction(&self) {
        for name in &self.names {
            let status = super::balanced(&self.cluster, name).await;
            let evicted = self.evicted(name);
            assert_eq!(evicted.len(), 1, "{name}: {evicted:?} {:?}", status.moves);
            let spread = self.cluster.spread(name, "app=web").await;
            assert_eq!(spread.into_values().collect::<Vec<_>>(), [1, 1, 1], "{name}");
            let last = status.moves.last().unwrap();
            assert_eq!(last.state, MoveState::Landed, "{name}: {:?}", status.moves);
        }
    }
}

#[tokio::test]
async fn a_no_is_shown_and_not_asked_for_again_and_again() {
    let field = Field::prepare(vec![
        Trouble("a-throttled", DRY_RUN, 1, Fate::Answered(Answer::throttled(12))),
        Trouble("conflict", EVICTION, ALWAYS, failure(409, "Conflict")),
        Trouble("forbidden", DRY_RUN, ALWAYS, failure(403, "Forbidden")),
        Trouble("refused", DRY_RUN, ALWAYS, Fate::Answered(Answer::refused_by_budget())),
    ])
    .await;

    // Throttled: nobody is asked for anything for as long as the API server wants.
    for name in &field.names {
        field.shows(name, Reason::Throttled, "asks for fewer requests").await;
    }
    let asked = || field.names.iter().map(|name| field.asked(name)).collect::<Vec<_>>();
    let once = vec![[1, 0], [0, 0], [0, 0], [0, 0]];
    holds_for(Duration::from_secs(6), "only one is asked for", once, async || asked()).await;

    let first = eventually(LONG, "the first to be evicted", async || {
        let evicted = field.evicted("a-throttled");
        if evicted.is_empty() { Err(format!("{:?}", asked())) } else { Ok(evicted) }
    })
    .await;
    assert_eq!(first.len(), 1);
    field
        .shows("refused", Reason::BudgetExhausted, "The disruption budget web needs 6 healthy pods")
        .await;
    field.shows("forbidden", Reason::Forbidden, "made up").await;
    // One move is under way, too; the reason that comes first in the one order is shown.
    field.shows("conflict", Reason::ClusterUnstable, "gone after the dry run").await;
    let once = vec![[2, 1], [1, 1], [1, 0], [1, 0]];
    holds_for(Duration::from_secs(20), "each is asked once", once, async || asked()).await;
    for name in ["conflict", "forbidden", "refused"] {
        assert!(field.evicted(name).is_empty(), "{name}");
    }
    // Whether it was evicted after all was waited for.
    field.shows("conflict", Reason::ClusterUnstable, "gone after the dry run").await;
    field.proxy.mend();
    field.each_has_made_its_one_eviction().await;
}

#[tokio::test]
async fn an_answer_that_is_lost_costs_no_second_eviction() {
    let field = Field::prepare(vec![
        Trouble("a-twice", EVICTION, 1, Fate::Twice),
        Trouble("cut", EVICTION, 1, Fate::Cut),
        Trouble("done-and-cut", EVICTION, 1, Fate::DoneThenCut),
        Trouble("done-and-failed", EVICTION, 1, Fate::DoneThenFailed),
        Trouble("done-unheard", EVICTION, 1, Fate::DoneUnheard),
        Trouble("lost", EVICTION, 1, Fate::Swallowed),
    ])
    .await;
    field.each_has_made_its_one_eviction().await;
    for name in &field.names {
        println!("{name}: asked {:?}", field.asked(name));
    }
}

#[tokio::test]
async fn what_fails_all_the_time_is_left_alone_and_nothing_is_evicted_unwritten() {
    let field = Field::prepare(vec![
        Trouble("failing", DRY_RUN, ALWAYS, failure(500, "InternalError")),
        Trouble("unwritten", STATUS, ALWAYS, failure(500, "InternalError")),
    ])
    .await;
    field.shows("failing", Reason::ClusterUnstable, "made up").await;
    let status = policy::status(&field.cluster, "unwritten", "shop").await;
    assert_eq!(status.phase, Some(Phase::Frozen), "as it could last be written");
    holds_for(Duration::from_secs(20), "none", [[1, 0], [0, 0]], async || {
        [field.asked("failing"), field.asked("unwritten")]
    })
    .await;
    assert!(tier(&status, "web").blocked.is_some());
    let (_, metrics) = field.operator.get("/metrics").await;
    let counts = |category: &str| {
        let series = format!("zonespread_reconcile_errors_total{{category=\"{category}\"}} ");
        let line = metrics.lines().find_map(|line| line.strip_prefix(&series));
        line.unwrap_or_else(|| panic!("{category}: {metrics}")).parse::<u32>().unwrap()
    };
    // What the alert ZonespreadReconcileErrors looks at.
    assert!(counts("write_status") > 3, "{metrics}");
    assert_eq!((counts("write_status_timeout"), counts("read_policies")), (0, 0));
    field.proxy.mend();
    field.each_has_made_its_one_eviction().await;
}
