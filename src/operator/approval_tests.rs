//! Stories about those who say when pods may move: windows, pauses, approvals.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::tests::{an_outage, reason};
use super::world::World;
use crate::api::{APPROVE, PAUSED, Phase, Reason};
use crate::observe::{Name, PolicyKey};

/// 2/2/2, then zone c is lost and comes back; the world begins at 08:00:00Z.
fn a_recovery(spec: &Value) -> World {
    let mut world = an_outage();
    world.policy("web", spec.clone());
    world.open("c");
    world
}

fn windows(windows: Value) -> Value {
    json!({"holdDown": "60s", "landingTimeout": "60s", "windows": windows})
}

fn at(time: &str) -> Timestamp {
    time.parse().unwrap()
}

#[test]
fn pods_wait_for_the_window_and_go_when_it_opens() {
    let night = json!([{"schedule": "5 9 * * *", "duration": "1h", "timeZone": "Europe/Paris"}]);
    let mut world = a_recovery(&json!({"rebalance": windows(night)}));
    world.pass(120);
    assert_eq!(reason(&world, "web"), Some(Reason::OutsideWindow));
    let status = world.status("web").clone();
    assert_eq!(status.phase, Some(Phase::Blocked));
    assert_eq!(
        status.message,
        "web: OutsideWindow: no window of rebalance.windows is open: the next opens at 2027-01-15 08:05:00Z; `windows: []` lets the tier move at any time"
    );
    // RequestState for nothing else, it wakes by itself.
    let decision = world.operator.decide(world.now, None);
    assert!(decision.next.is_some_and(|next| next <= at("2027-01-15T08:05:00Z")));
    while world.now < at("2027-01-15T08:04:59Z") {
        world.pass(1);
    }
    assert!(world.asked.is_empty());
    world.pass(1);
    assert_eq!(world.asked.len(), 1);
    assert_eq!(world.asked[0].closes, Some(at("2027-01-15T09:05:00Z")));
    world.pass(30);
    assert_eq!((world.spread("web"), world.evicted.len()), ("2/2/2".into(), 2));
}

#[test]
fn a_move_under_way_when_the_window_closes_is_the_last() {
    let minute = json!([{"schedule": "2 8 * * *", "duration": "1m"}]);
    let mut patient = windows(minute);
    patient["landingTimeout"] = json!("5m");
    let mut world = a_recovery(&json!({"rebalance": patient}));
    world.start_delay = 90;
    while world.now < at("2027-01-15T08:02:50Z") {
        world.pass(1);
    }
    assert_eq!((world.spread("web"), world.evicted.len()), ("2/3/1".into(), 1), "the canary");
    world.pass(120);
    assert_eq!(world.evicted.len(), 1);
    assert_eq!(world.status("web").moves[0].state, crate::api::MoveState::Landed);
    assert_eq!(reason(&world, "web"), Some(Reason::OutsideWindow));
    assert!(world.status("web").message.contains("2027-01-16 08:02:00Z"));
}

#[test]
fn a_window_that_closes_is_told_while_other_things_are_in_the_way() {
    let short = json!([{"schedule": "1 8 * * *", "duration": "2m"}]);
    let mut world = a_recovery(&json!({"rebalance": windows(short)}));
    world.trouble.refuses = Some(super::ActionError::Forbidden("rbac".into()));
    world.pass(140);
    assert_eq!(reason(&world, "web"), Some(Reason::Forbidden));
    world.pass(60);
    assert_eq!(reason(&world, "web"), Some(Reason::OutsideWindow));
}

#[test]
fn a_tier_may_have_windows_of_its_own() {
    let closed = json!([{"schedule": "0 3 * * *", "duration": "1h"}]);
    let mut world = an_outage();
    world.policy(
        "web",
        json!({"rebalance": windows(closed), "tiers": [
            {"name": "web", "rebalance": {"windows": []}},
        ]}),
    );
    world.open("c");
    world.pass(100);
    assert_eq!((world.spread("web"), world.evicted.len()), ("2/2/2".into(), 2));
}

#[test]
fn windows_that_cannot_be_read_make_their_policy_invalid_and_no_other() {
    let mut world = an_outage();
    world.replica_set("was", &["a1", "b1", "a2", "b2"]);
    world.policy("was", json!({}));
    let broken = json!([{"schedule": "0 25 * * *", "duration": "1h"}]);
    world.policy("web", json!({"rebalance": windows(broken)}));
    world.open("c");
    world.pass(100);
    let status = world.status("web");
    assert_eq!(status.phase, Some(Phase::Invalid));
    assert!(
        status.message.starts_with("spec.rebalance.windows[0].schedule: \"0 25 * * *\" is no cron"),
        "{}",
        status.message
    );
    assert_eq!((world.spread("was"), world.spread("web")), ("1/2/1".into(), "3/3/0".into()));
}

#[test]
fn a_tier_without_a_move_to_make_tells_what_is_in_its_way_by_day_and_by_night() {
    let closed = json!([{"schedule": "0 3 * * *", "duration": "1h"}]);
    let mut world = an_outage();
    let accepted = json!([{"name": "web", "singleZone": {"accepted": true, "reason": "cache"}}]);
    world.policy("web", json!({"rebalance": windows(closed), "tiers": accepted}));
    world.open("c");
    world.pass(100);
    assert_eq!(reason(&world, "web"), Some(Reason::SingleZoneAccepted));
    assert_eq!(world.status("web").phase, Some(Phase::Balanced));
}

#[test]
fn a_paused_policy_starts_no_move_and_finishes_the_one_under_way() {
    let mut world = a_recovery(&json!({}));
    world.start_delay = 20;
    world.pass(65);
    assert_eq!(world.evicted.len(), 1, "the canary is under way");
    world.annotate("web", PAUSED, json!("true"));
    world.pass(300);
    assert_eq!(world.evicted.len(), 1);
    assert_eq!(world.status("web").moves[0].state, crate::api::MoveState::Landed);
    assert_eq!(
        (world.spread("web"), reason(&world, "web")),
        ("2/3/1".into(), Some(Reason::Paused))
    );
    let status = world.status("web");
    assert_eq!(status.phase, Some(Phase::Blocked));
    assert_eq!(
        status.message,
        "web: Paused: policy web is paused (zonespread.io/paused): nothing is moved until that annotation is removed"
    );
    world.annotate("web", PAUSED, json!(null));
    world.pass(30);
    assert_eq!((world.spread("web"), world.evicted.len()), ("2/2/2".into(), 2));
}

#[test]
fn a_paused_namespace_stops_all_of_its_policies() {
    let mut world = an_outage();
    world.replica_set("was", &["a1", "b1", "a2", "b2"]);
    world.policy("was", json!({}));
    world.open("c");
    world.annotate_namespace(PAUSED, "true");
    world.pass(200);
    assert!(world.asked.is_empty());
    for policy in ["web", "was"] {
        assert_eq!(reason(&world, policy), Some(Reason::Paused));
        assert!(world.status(policy).message.contains("namespace default is paused"));
    }
    // Nothing but "true" is a pause.
    world.annotate_namespace(PAUSED, "false");
    world.pass(60);
    assert_eq!((world.spread("web"), world.spread("was")), ("2/2/2".into(), "1/2/1".into()));
}

#[test]
fn a_pause_outlives_a_restart_and_a_change_of_the_policy() {
    let mut world = a_recovery(&json!({}));
    world.annotate("web", PAUSED, json!("true"));
    world.pass(100);
    world.restart();
    world.pass(100);
    assert_eq!((reason(&world, "web"), world.asked.len()), (Some(Reason::Paused), 0));
    assert!(world.operator.index().pauses().of(&key("web")).is_some());
    world.policy("web", json!({"maxSkew": 1}));
    assert!(world.operator.index().pauses().of(&key("web")).is_none(), "applied without it");
}

fn key(policy: &str) -> PolicyKey {
    PolicyKey { namespace: Name::from("default"), name: Name::from(policy) }
}

/// A recovery in mode Approve whose plan of two moves waits for approval.
fn a_plan_to_approve() -> (World, String) {
    let mut world = a_recovery(&json!({"mode": "Approve"}));
    world.pass(70);
    let status = world.status("web");
    assert_eq!(status.phase, Some(Phase::AwaitingApproval));
    let plan = status.plan.clone().unwrap();
    assert_eq!(plan.total, 2);
    assert_eq!(
        status.message,
        format!(
            "web: plan {id} (2 moves) waits for approval: \
             kubectl annotate zsp web -n default zonespread.io/approve={id} --overwrite",
            id = plan.id
        )
    );
    (world, plan.id)
}

#[test]
fn an_approved_plan_is_carried_out_and_nothing_else() {
    let (mut world, id) = a_plan_to_approve();
    let planned: Vec<String> = world
        .status("web")
        .plan
        .iter()
        .flat_map(|plan| &plan.moves)
        .map(|planned| planned.pod.clone())
        .collect();
    world.pass(600);
    assert!(world.asked.is_empty(), "nobody has approved it");
    world.annotate("web", APPROVE, json!("0123456789"));
    world.pass(60);
    assert!(world.asked.is_empty(), "that is no plan of this policy");
    world.annotate("web", APPROVE, json!(id));
    world.pass(1);
    let approved = world.status("web").approved.clone().unwrap();
    assert_eq!((approved.id.as_str(), approved.moves.len()), (id.as_str(), 1), "one is under way");
    world.pass(60);
    assert_eq!(world.evicted, planned);
    assert_eq!(
        (world.spread("web"), world.status("web").phase),
        ("2/2/2".into(), Some(Phase::Balanced))
    );
    let approved = world.status("web").approved.clone().unwrap();
    assert_eq!((approved.id, approved.moves), (id, vec![]));
    world.annotate("web", APPROVE, json!(null));
    world.pass(1);
    assert_eq!(world.status("web").approved, None);
}

#[test]
fn a_plan_that_is_approved_is_safe_from_restarts() {
    let (mut world, id) = a_plan_to_approve();
    world.start_delay = 15;
    world.annotate("web", APPROVE, json!(id));
    for _ in 0..20 {
        world.pass(3);
        world.restart();
    }
    assert_eq!((world.spread("web"), world.evicted.len()), ("2/2/2".into(), 2));
}

#[test]
fn no_pod_of_an_approved_plan_is_evicted_before_the_approval_is_written() {
    let (mut world, id) = a_plan_to_approve();
    world.trouble.writes_fail = true;
    world.annotate("web", APPROVE, json!(id));
    world.pass(60);
    assert!(world.asked.is_empty());
    world.trouble.writes_fail = false;
    world.pass(60);
    assert_eq!((world.spread("web"), world.evicted.len()), ("2/2/2".into(), 2));
}

#[test]
fn a_withdrawn_approval_stops_the_plan() {
    let (mut world, id) = a_plan_to_approve();
    world.start_delay = 20;
    world.annotate("web", APPROVE, json!(id));
    world.pass(5);
    assert_eq!(world.evicted.len(), 1);
    world.annotate("web", APPROVE, json!(null));
    world.pass(300);
    assert_eq!(world.evicted.len(), 1);
    let status = world.status("web");
    assert_eq!((status.phase, status.approved.clone()), (Some(Phase::AwaitingApproval), None));
    assert_ne!(status.plan.as_ref().map(|plan| plan.id.clone()), Some(id));
}

#[test]
fn a_world_that_has_left_the_plan_asks_anew() {
    let (mut world, id) = a_plan_to_approve();
    world.start_delay = 20;
    world.annotate("web", APPROVE, json!(id));
    world.pass(5);
    assert_eq!(world.evicted.len(), 1);
    // The pod that would be next is replaced by another of the same zone.
    let next = world.status("web").approved.clone().unwrap().moves.pop().unwrap();
    world.replace_in_place(&next.pod);
    world.pass(100);
    assert_eq!(world.evicted.len(), 1, "its successor was not approved");
    let status = world.status("web").clone();
    assert_eq!(
        (status.phase, reason(&world, "web")),
        (Some(Phase::AwaitingApproval), Some(Reason::AwaitingApproval))
    );
    assert!(status.approved.unwrap().moves.is_empty());
    let new = status.plan.unwrap().id;
    assert!(status.message.contains(&format!("plan {new} (1 move) waits")), "{}", status.message);
    world.annotate("web", APPROVE, json!(new));
    world.pass(60);
    assert_eq!((world.spread("web"), world.evicted.len()), ("2/2/2".into(), 2));
}

#[test]
fn a_plan_stays_as_it_is_while_it_can() {
    let (mut world, id) = a_plan_to_approve();
    // Younger pods on fuller nodes would be better victims, for a new plan.
    for node in ["a1", "a2", "b1", "b2"] {
        world.replica_set("other", &[node, node]);
    }
    world.pass(60);
    assert_eq!(world.status("web").plan.as_ref().map(|plan| plan.id.clone()), Some(id));
}

#[test]
fn an_approval_opens_no_other_gate() {
    let (mut world, id) = a_plan_to_approve();
    world.cordon("c");
    world.pass(5);
    world.annotate("web", APPROVE, json!(id));
    world.pass(120);
    assert_eq!((reason(&world, "web"), world.asked.len()), (Some(Reason::ZoneImpaired), 0));
    world.open("c");
    world.pass(30);
    assert_eq!((reason(&world, "web"), world.asked.len()), (Some(Reason::ZoneRecovering), 0));
    world.trouble.refuses = Some(super::ActionError::Budget("pdb".into()));
    world.pass(100);
    assert_eq!((reason(&world, "web"), world.evicted.len()), (Some(Reason::BudgetExhausted), 0));
    world.trouble.refuses = None;
    world.pass(120);
    assert_eq!((world.spread("web"), world.evicted.len()), ("2/2/2".into(), 2));
}

#[test]
fn tiers_in_mode_auto_go_on_beside_a_plan_that_waits() {
    let mut world = an_outage();
    world.replica_set("was", &["a1", "b1", "a2", "b2"]);
    let both =
        json!({"matchExpressions": [{"key": "app", "operator": "In", "values": ["web", "was"]}]});
    let spec = json!({"selector": both, "tierLabel": "app", "tiers": [{"name": "web", "mode": "Approve"}]});
    world.policy("web", spec);
    world.open("c");
    world.pass(58);
    let before = world.status("web").plan.clone().unwrap();
    assert_eq!(
        (before.total, before.moves[0].tier.as_str()),
        (3, "web"),
        "what needs approval comes first"
    );
    world.pass(60);
    assert_eq!((world.spread("was"), world.spread("web")), ("1/2/1".into(), "3/3/0".into()));
    let status = world.status("web");
    assert_eq!(status.phase, Some(Phase::AwaitingApproval));
    assert_eq!(status.plan.as_ref().map(|plan| plan.id.clone()), Some(before.id.clone()));
    world.annotate("web", APPROVE, json!(before.id));
    world.pass(60);
    assert_eq!(world.spread("web"), "2/2/2");
}

#[test]
fn a_long_plan_is_approved_as_far_as_it_is_listed() {
    let mut world = World::new();
    let many: Vec<&str> = ["a1", "a2"].into_iter().cycle().take(120).collect();
    world.replica_set("web", &many);
    world.policy("web", json!({"mode": "Approve"}));
    world.pass(2);
    let plan = world.status("web").plan.clone().unwrap();
    assert_eq!((plan.total, plan.moves.len()), (80, 50));
    assert!(world.status("web").message.contains("(50 moves)"), "{}", world.status("web").message);
    world.annotate("web", APPROVE, json!(plan.id));
    world.pass(1200);
    assert_eq!(world.evicted.len(), 50);
    let rest = world.status("web").plan.clone().unwrap();
    assert_eq!(rest.total, 30);
    world.annotate("web", APPROVE, json!(rest.id));
    world.pass(1200);
    assert_eq!((world.evicted.len(), world.spread("web")), (80, "40/40/40".into()));
}
