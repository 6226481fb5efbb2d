//! Stories about workloads that are scaled and rolled out.

use super::tests::{an_outage, reason};
use crate::api::{MoveState, Phase};

#[test]
fn a_scale_down_that_takes_the_replacement_ends_the_move_at_once_and_is_no_miss() {
    let mut world = an_outage();
    world.start_delay = 20;
    world.open("c");
    world.pass(65);
    assert_eq!((world.spread("web").as_str(), world.evicted.len()), ("2/3/1", 1));
    world.scale("web", 5);
    assert_eq!(world.spread("web"), "2/3/0", "the replacement was not Ready");
    world.decide();
    let status = world.status("web");
    assert_eq!(status.moves[0].state, MoveState::Discarded, "{:?}", status.moves);
    assert!(status.moves[0].message.contains("has the 5 pods that it wants"), "{status:?}");
    assert_eq!((status.tiers[0].misses, &status.tiers[0].retry_at), (0, &None));
    assert_eq!((reason(&world, "web"), world.evicted.len()), (None, 2), "it goes on at once");
    world.pass(60);
    assert_eq!((world.spread("web").as_str(), world.evicted.len()), ("2/2/1", 2));
    let status = world.status("web");
    assert_eq!((status.phase, status.summary.moves.as_str()), (Some(Phase::Balanced), "1/1"));
}

#[test]
fn a_restart_does_not_make_a_discarded_move_stuck() {
    let mut world = an_outage();
    world.start_delay = 20;
    world.open("c");
    world.pass(65);
    world.scale("web", 5);
    world.restart();
    world.pass(120);
    let status = world.status("web");
    assert_eq!(status.moves[0].state, MoveState::Discarded, "{:?}", status.moves);
    assert_eq!((world.spread("web").as_str(), status.tiers[0].misses), ("2/2/1", 0));
}
