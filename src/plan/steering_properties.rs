//! With steering, too, a tier gets home with the fewest moves that its zones allow: past a
//! taint of somebody else there is no way, past that of empty nodes there is.

use proptest::prelude::*;

use super::properties::{Case, Small, Spread};
use super::{PlanInput, Steering, ZoneRange, minimum_moves, plan_tier, skew_of};
use crate::observe::fixtures::node;
use crate::observe::{Change, EMPTY_NODE, Zone};

const ZONES: [&str; 3] = ["a", "b", "c"];

/// Room for every pod, so that what is on a node decides nothing.
const ROOM: u32 = 1_000;

fn tiers() -> impl Strategy<Value = (Case, Option<&'static str>)> {
    let pods = prop::collection::vec((0..3_usize, Just(false)), 1..11);
    let key = prop_oneof![Just(Some("busy")), Just(Some(EMPTY_NODE)), Just(None)];
    (pods, 1..4_i32, 1..4_usize, 0..3_usize, key).prop_map(
        |(pods, max_skew, at_once, avoided, key)| {
            let room = [vec![ROOM], vec![ROOM], vec![ROOM]];
            let avoided = Some(avoided);
            let spread = Spread::Soft;
            (Case { room, pods, spread, max_skew, at_once, avoided }, key)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn a_zone_is_steered_to_for_all_moves_that_it_takes_or_for_none((case, key) in tiers()) {
        let (max_skew, avoided) = (case.max_skew, case.avoided.unwrap_or(0));
        let mut small = Small::new(case);
        let tainted = format!("{}0", ZONES[avoided]);
        let fresh = node(&tainted).zone(ZONES[avoided]).cpu(&ROOM.to_string());
        let fresh = key.into_iter().fold(fresh, |node, key| node.taint(key, "PreferNoSchedule"));
        small.index.apply(Change::Node(fresh.watched()));
        let Some(view) = small.view() else { return Ok(()) };
        let counts: Vec<i32> = view.counts().collect();
        let ranges: Vec<ZoneRange> = view
            .zones
            .keys()
            .zip(&counts)
            .map(|(zone, count)| {
                let closed = key == Some("busy") && *zone == Zone::new(ZONES[avoided]);
                ZoneRange { ceiling: if closed { *count } else { i32::MAX }, ..ZoneRange::open(*count) }
            })
            .collect();
        let fewest = minimum_moves(&ranges, max_skew);
        let steering = Steering { available: true, zone: None };
        let input = PlanInput { steering, ..PlanInput::default() };
        let mut made = 0;
        loop {
            let view = small.view().unwrap();
            let plan = plan_tier(&small.index, &small.scheduler(), &view, &input);
            // Made one by one, as the operator does: a plan is made anew after each.
            let Some(next) = plan.moves.first() else { break };
            made += 1;
            prop_assert!(made <= fewest.moves, "{made} moves from {counts:?}, {fewest:?}");
            small.carry_out(&super::TierPlan { moves: vec![next.clone()], ..plan });
        }
        let after = skew_of(small.view().unwrap().counts().collect::<Vec<_>>());
        prop_assert!(made == fewest.moves && after <= fewest.skew.max(max_skew),
            "{made} moves from {counts:?} to {after}, {fewest:?}");
    }
}
