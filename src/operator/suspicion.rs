//! Whether the cluster's scheduler seems to be another one than is assumed: landings that
//! were missed tell, where a rival would have chosen as it did.

use std::collections::BTreeMap;

use crate::api::text::counted;
use crate::predict::Rival;

/// So many misses are no accident.
const ENOUGH: usize = 2;

/// What landings say about each rival of the assumed scheduler.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Suspicion(BTreeMap<Rival, Evidence>);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Evidence {
    /// Landings that were missed, and that the rival would have predicted.
    explained: usize,
    /// Landings that the rival would have predicted wrongly.
    refuted: usize,
}

impl Suspicion {
    /// A landing for which this rival would have predicted another zone, and whether it
    /// would have been right.
    pub(super) fn note(&mut self, rival: Rival, was_right: bool) {
        let evidence = self.0.entry(rival).or_default();
        if was_right {
            evidence.explained += 1;
        } else {
            evidence.refuted += 1;
        }
    }

    /// What a person should know.
    pub(super) fn warning(&self) -> Option<String> {
        let (rival, evidence) = self
            .0
            .iter()
            .filter(|(_, evidence)| {
                evidence.explained >= ENOUGH && evidence.explained > evidence.refuted
            })
            // Of those with the same evidence, the first.
            .rev()
            .max_by_key(|(_, evidence)| evidence.explained.saturating_sub(evidence.refuted))?;
        let landings = counted(evidence.explained, "landing");
        Some(format!("{landings} missed; {}", rival.advice()))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::world::World;
    use super::*;
    use crate::api::MoveState;
    use crate::observe::Change;
    use crate::observe::fixtures::pod;

    /// Zone c is emptiest of web and fullest of others. By default the pod is spread; this
    /// scheduler only looks for room.
    #[test]
    fn misses_that_another_configuration_explains_name_the_flag() {
        let mut world = World::new();
        world.spread_by_default = true;
        for (node, cpu) in [("a1", "1"), ("a2", "1"), ("c1", "2"), ("c2", "2")] {
            let load = pod(&format!("load-{node}")).on(node).cpu(cpu);
            world.operator.apply(Change::Pod(load.watched()));
        }
        let service = json!({"metadata": {"name": "web", "namespace": "default"},
            "spec": {"selector": {"app": "web"}}});
        world.operator.apply(Change::Service(serde_json::from_value(service).unwrap()));
        world.replica_set("web", &["a1", "a2", "b1", "b2", "a1", "b1"]);
        world.policy("web", json!({"rebalance": {"maxUnavailable": 1}}));
        world.trouble.scheduler_prefers = Some("b2");
        let said = |world: &World| world.status("web").scheduler.clone().unwrap().message;
        world.operator.server_version("v1.37.1");
        let missed = |world: &World| {
            let moves = world.status("web").moves.iter();
            moves.filter(|moved| moved.state == MoveState::Missed).count()
        };
        let until = |world: &mut World, wanted: usize| {
            for _ in 0..7200 {
                world.pass(1);
                if missed(world) >= wanted {
                    return;
                }
            }
            panic!("{:#?}", world.status("web"));
        };
        until(&mut world, 1);
        let message = &world.status("web").moves[0].message;
        assert!(message.contains("in zone b, expected in c; "), "{message}");
        assert!(message.contains("set --scheduler-config"), "{message}");
        assert_eq!(said(&world), None, "one may be an accident");
        until(&mut world, 2);
        let warning = said(&world).unwrap();
        assert!(warning.contains(" landings missed; "), "{warning}");
        assert!(warning.contains("without defaultConstraints"), "{warning}");
    }

    #[test]
    fn a_rival_is_named_once_it_is_right_more_often_than_wrong() {
        let mut suspicion = Suspicion::default();
        suspicion.note(Rival::NoDefaults, true);
        assert_eq!(suspicion.warning(), None, "one may be an accident");
        suspicion.note(Rival::NoDefaults, true);
        suspicion.note(Rival::ZonesSoftly, true);
        suspicion.note(Rival::ZonesSoftly, true);
        let warning = suspicion.warning().unwrap();
        assert!(warning.starts_with("2 landings missed; ") && warning.contains("AKS"), "{warning}");
        suspicion.note(Rival::ZonesSoftly, false);
        let warning = suspicion.warning().unwrap();
        assert!(warning.contains("without defaultConstraints"), "{warning}");
        suspicion.note(Rival::NoDefaults, false);
        suspicion.note(Rival::NoDefaults, false);
        suspicion.note(Rival::ZonesSoftly, false);
        assert_eq!(suspicion.warning(), None, "they were wrong as often");
    }
}
