use super::*;
use crate::moves::{EligibleNodes, OwnerSnapshot, Preconditions, Verb};
use crate::observe::fixtures::{NodeFixture, PodFixture, node, pod};
use crate::observe::{Change, Index, Name, PolicyKey, Uid, Zone};
use rstest::rstest;

fn now() -> Timestamp {
    Timestamp::from_second(1_800_000_000).unwrap()
}

/// Web has three pods and may miss one; web-1 is to leave node a1 for c1.
fn action() -> Action {
    let name = Name::from;
    let request = ActionRequest {
        verb: Verb::Evict,
        policy: PolicyKey { namespace: name("default"), name: name("web") },
        tier: name("web"),
        pod: name("web-1"),
        uid: name("uid-web-1"),
        node: name("a1"),
        target: name("c1"),
        zone: name("c"),
        preconditions: Box::new(Preconditions {
            tier_selector: Some(name("app=web")),
            snapshot: Arc::new(snapshot()),
            awaited: 0,
            available: 3,
            moving: Box::default(),
            min_ready_seconds: 0,
            zones: ["a", "b", "c"].map(Zone::new).into(),
            eligible: Arc::new(eligible(&["a1", "b1", "c1", "c2", "c3"])),
            all_nodes: true,
        }),
        patch: None,
        steering: None,
        decided: now(),
        closes: None,
        probe: None,
    };
    Action::begin(request, now()).unwrap()
}

fn pods() -> Vec<PodFixture> {
    vec![web("web-1").on("a1"), web("web-2").on("a1"), web("web-3").on("b1")]
}

fn web(name: &str) -> PodFixture {
    pod(name).owner("ReplicaSet", "web")
}

fn snapshot() -> OwnerSnapshot {
    let mut index = Index::default();
    for pod in pods() {
        index.apply(Change::Pod(pod.watched()));
    }
    OwnerSnapshot::of(&index, &web("web-1").build())
}

fn nodes() -> Vec<NodeFixture> {
    ["a", "b", "c"].map(|zone| node(&format!("{zone}1")).zone(zone)).to_vec()
}

fn eligible(nodes: &[&str]) -> EligibleNodes {
    EligibleNodes::new(nodes.iter().map(|node| (Name::from(*node), Vec::new())))
}

fn carry_out(pods: Vec<PodFixture>, nodes: Vec<NodeFixture>) -> Result<Vec<Request>, ActionError> {
    let mut action = action();
    let mut asked = Vec::new();
    loop {
        let request = action.asks();
        let answer = match &request {
            Request::Pods { .. } => {
                Answer::Pods(pods.iter().cloned().map(PodFixture::watched).collect())
            }
            Request::Nodes => Answer::nodes(nodes.iter().cloned().map(NodeFixture::watched)),
            _ => Answer::Acted(Ok(())),
        };
        asked.push(request);
        if action.answered(answer, now())? {
            return Ok(asked);
        }
    }
}

#[test]
fn a_move_takes_two_reads_a_dry_run_and_the_eviction() {
    let asked = carry_out(pods(), nodes()).unwrap();
    assert!(matches!(
        asked[..],
        [
            Request::Pods { .. },
            Request::Nodes,
            Request::Act { dry_run: true, .. },
            Request::Act { dry_run: false, .. }
        ]
    ));
}

#[test]
fn a_probe_that_holds_the_room_goes_right_before_the_pod() {
    let mut action = action();
    let probe = crate::moves::ProbePod {
        namespace: Name::from("zonespread-system"),
        name: Name::from("zonespread-probe-c"),
        uid: Uid::new("uid-probe"),
    };
    Arc::make_mut(&mut action.request).probe = Some(probe);
    action.checks = &[Check::DryRun, Check::Probe];
    let ok = || Answer::Acted(Ok(()));
    assert_eq!(action.answered(ok(), now()), Ok(false));
    assert!(matches!(action.asks(), Request::RemoveProbe { .. }));
    let mut kept = action.clone();
    assert_eq!(action.answered(ok(), now()), Ok(false));
    assert!(matches!(action.asks(), Request::Act { dry_run: false, .. }));
    // Without the node that it kept nothing is evicted.
    let gone = kept.answered(Answer::Acted(Err(ActionError::Gone)), now());
    assert!(matches!(gone, Err(ActionError::Outdated(_))), "{gone:?}");
}

#[rstest]
#[case("another pod is not Ready", vec![web("web-1").on("a1"), web("web-2").on("a1").not_ready(), web("web-3").on("b1")], nodes())]
#[case("another pod is gone", vec![web("web-1").on("a1"), web("web-2").on("a1")], nodes())]
#[case("a pod is new", pods().into_iter().chain([web("web-4").on("c1")]).collect(), nodes())]
#[case("the pod is elsewhere", vec![web("web-1").on("b1"), web("web-2").on("a1"), web("web-3").on("b1")], nodes())]
#[case("the pod is marked", vec![web("web-1").on("a1").annotation("zonespread.io/do-not-evict", "true"), web("web-2").on("a1"), web("web-3").on("b1")], nodes())]
#[case("the target is cordoned", pods(), vec![node("a1").zone("a"), node("b1").zone("b"), node("c1").zone("c").cordoned()])]
#[case("the target is gone", pods(), vec![node("a1").zone("a"), node("b1").zone("b"), node("c2").zone("c")])]
#[case("the target is in another zone", pods(), vec![node("a1").zone("a"), node("b1").zone("b"), node("c1").zone("a")])]
#[case("a zone of the tier is out", pods(), vec![node("a1").zone("a"), node("b1").zone("b").not_ready(), node("c1").zone("c")])]
#[case("a fifth of the nodes is bad", pods(), vec![node("a1").zone("a"), node("b1").zone("b"), node("c1").zone("c"), node("c2").zone("c").not_ready(), node("c3").zone("c")])]
#[case("a node in use is tainted", pods(), vec![node("a1").zone("a"), node("b1").zone("b").taint("maintenance", "NoExecute"), node("c1").zone("c")])]
#[case("the target is tainted", pods(), vec![node("a1").zone("a"), node("b1").zone("b"), node("c1").zone("c").taint("maintenance", "NoSchedule")])]
#[case("a zone of the tier has no nodes", pods(), vec![node("a1").zone("a"), node("c1").zone("c")])]
fn nothing_is_evicted_when_a_fresh_look_shows_that(
    #[case] what: &str,
    #[case] pods: Vec<PodFixture>,
    #[case] nodes: Vec<NodeFixture>,
) {
    let refusal = carry_out(pods, nodes).unwrap_err();
    assert!(matches!(refusal, ActionError::Stale(_)), "{what}: {refusal:?}");
}

#[test]
fn a_released_pod_whose_owner_is_gone_is_evicted_without_a_look_at_any_node() {
    let mut request = ActionRequest::clone(action().request());
    (request.verb, request.target) = (Verb::Retire, Name::from(""));
    request.preconditions.tier_selector = None;
    request.preconditions.all_nodes = false;
    let mut action = Action::begin(request, now()).unwrap();
    assert!(matches!(action.asks(), Request::Pod { .. }));
    let mut released = web("web-1").on("a1").watched();
    let labels = released.metadata.labels.get_or_insert_default();
    labels.insert("pod-template-hash".to_owned(), "5d9c-released".to_owned());
    assert_eq!(action.answered(Answer::Pods(vec![released]), now()), Ok(false));
    assert!(matches!(action.asks(), Request::Act { dry_run: true, .. }));
}

#[test]
fn the_nodes_of_other_pools_may_be_as_they_like() {
    let gpu = |number: usize| node(&format!("gpu-{number}")).zone("c").not_ready();
    let all = nodes().into_iter().chain((0..5).map(gpu)).collect();
    assert!(carry_out(pods(), all).is_ok());
}

#[test]
fn a_replacement_that_is_up_makes_up_for_no_other_pod() {
    let pods = || {
        let pods = vec![web("web-1").on("a1"), web("web-3").on("b1"), web("web-4").on("c1")];
        Answer::Pods(pods.into_iter().map(PodFixture::watched).collect())
    };
    let mut action = action();
    let preconditions = &mut Arc::make_mut(&mut action.request).preconditions;
    (preconditions.awaited, preconditions.available) = (1, 3);
    assert!(action.clone().answered(pods(), now()).is_ok());
    // web-2 is gone, and web-4, which was awaited, is not for it.
    Arc::make_mut(&mut action.request).preconditions.moving = Box::new([Uid::new("uid-web-4")]);
    assert!(action.answered(pods(), now()).is_err());
}

#[test]
fn a_pod_that_is_still_to_be_evicted_makes_up_for_none_that_is_missing() {
    // Web-2 is to be moved as well and is still there; web-3 is missing.
    let pods = || {
        let pods = [web("web-1").on("a1"), web("web-2").on("a1")];
        Answer::Pods(pods.into_iter().map(PodFixture::watched).collect())
    };
    let mut action = action();
    let preconditions = &mut Arc::make_mut(&mut action.request).preconditions;
    (preconditions.awaited, preconditions.available) = (1, 2);
    assert!(action.clone().answered(pods(), now()).is_ok());
    Arc::make_mut(&mut action.request).preconditions.moving = Box::new([Uid::new("uid-web-2")]);
    assert!(action.answered(pods(), now()).is_err());
}

#[test]
fn the_replacement_for_another_move_may_be_new() {
    let pods = || {
        let pods = pods().into_iter().chain([web("web-4").on("c1")]);
        Answer::Pods(pods.map(PodFixture::watched).collect())
    };
    for (awaited, is_stale) in [(0, true), (1, false)] {
        let mut action = action();
        Arc::make_mut(&mut action.request).preconditions.awaited = awaited;
        let answered = action.answered(pods(), now());
        assert_eq!(answered.is_err(), is_stale, "{answered:?}");
    }
}

#[test]
fn another_pod_of_the_same_name_is_not_evicted() {
    let mut action = action();
    let other = web("web-1").on("a1");
    let mut other = other.watched();
    other.metadata.uid = Some("another".to_owned());
    let answer = Answer::Pods(vec![other]);
    let refusal = action.answered(answer, now()).unwrap_err();
    assert_eq!(refusal, ActionError::Stale("a fresh read of pods: web-1 is gone".to_owned()));
}

#[test]
fn a_pod_that_vanishes_after_the_dry_run_may_have_been_evicted_by_us() {
    let after = |checks: &'static [Check]| {
        let mut action = action();
        action.checks = checks;
        let gone = Answer::Acted(Err(ActionError::Gone));
        action.answered(gone, now()).unwrap_err()
    };
    assert_eq!(after(&[Check::DryRun]), ActionError::Gone);
    assert!(matches!(after(&[]), ActionError::Unknown(_)));
}

#[test]
fn nothing_is_evicted_after_the_window_has_closed() {
    let mut request = ActionRequest::clone(action().request());
    request.closes = Some(now() + SignedDuration::from_secs(2));
    let second = |number| now() + SignedDuration::from_secs(number);
    let mut action = Action::begin(request.clone(), second(0)).unwrap();
    let pods = Answer::Pods(pods().into_iter().map(PodFixture::watched).collect());
    assert_eq!(action.answered(pods, second(1)), Ok(false));
    let nodes = Answer::nodes(nodes().into_iter().map(NodeFixture::watched));
    let refusal = action.answered(nodes, second(2));
    assert!(matches!(refusal, Err(ActionError::Outdated(_))), "{refusal:?}");
    assert!(matches!(Action::begin(request, second(2)), Err(ActionError::Outdated(_))));
}

#[test]
fn what_was_decided_a_while_ago_is_not_carried_out() {
    let request = ActionRequest::clone(action().request());
    let later = now() + SignedDuration::from_secs(16);
    assert!(matches!(Action::begin(request, later), Err(ActionError::Outdated(_))));
    // Nor is what was begun in time by somebody who was suspended then.
    let mut action = action();
    action.checks = &[Check::DryRun];
    let refusal = action.answered(Answer::Acted(Ok(())), later);
    assert!(matches!(refusal, Err(ActionError::Outdated(_))), "{refusal:?}");
}
