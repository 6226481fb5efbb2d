//! Drills in the small world: their statuses, and nodes that are closed and opened.

use std::sync::Arc;

use super::World;
use crate::api::{DrillPhase, ZoneDrillSpec, ZoneDrillStatus};
use crate::drill::DrillRight;
use crate::observe::fixtures::node;
use crate::observe::{Change, Name};
use crate::operator::{Decision, KnownDrill, NodeVerb};

impl World {
    /// Somebody asks for a drill, and the operator may close zones.
    pub fn drill(&mut self, name: &str, spec: ZoneDrillSpec) {
        self.drills.push(KnownDrill {
            name: Name::from(name),
            uid: Name::from(format!("uid-{name}")),
            created: self.now,
            generation: Some(1),
            spec: Arc::new(spec),
            status: Arc::default(),
            is_paused: false,
        });
        self.show_drills();
    }

    /// What the API server has of the drills is seen.
    pub fn show_drills(&mut self) {
        self.operator.set_drills(self.drills.clone());
        let rights = self.drills.iter().map(|drill| (Name::clone(&drill.uid), DrillRight::Proven));
        self.operator.set_drill_rights(rights.collect());
    }

    /// Carries out what is decided for drills; whether there was anything.
    pub(super) fn keeps_drills(&mut self, decision: &Decision) -> bool {
        while self.operator.forecast_is_due() {
            self.operator.make_forecast(|| true);
        }
        for write in &decision.drills {
            if let Some(drill) = self.drills.iter_mut().find(|drill| drill.uid == write.uid) {
                drill.status = Arc::clone(&write.status);
            }
            self.operator.drill_written(write, true, self.now);
        }
        if !decision.drills.is_empty() {
            self.show_drills();
        }
        for ask in &decision.nodes {
            let name = self.nodes.keys().find(|name| **name == &*ask.node).copied();
            let Some(name) = name else { continue };
            let known = self.operator.index().cluster().node(name).unwrap().0.clone();
            let mut shown = node(name).zone(self.nodes[name]);
            if known.unschedulable {
                shown = shown.cordoned();
            }
            if let NodeVerb::Close(mark) = &ask.verb {
                shown = shown.drilled(mark);
            }
            self.operator.apply(Change::Node(shown.watched()));
            self.operator.node_answered(ask, true, self.now);
        }
        !decision.drills.is_empty() || !decision.nodes.is_empty()
    }

    /// What the API server has of a drill.
    pub fn drill_status(&self, name: &str) -> &ZoneDrillStatus {
        &self.drills.iter().find(|drill| &*drill.name == name).expect("a drill").status
    }

    /// Lets time pass until the drill is that far.
    pub fn until_drill(&mut self, name: &str, phase: DrillPhase) {
        for _ in 0..600 {
            if self.drill_status(name).phase == Some(phase) {
                return;
            }
            self.pass(1);
        }
        panic!("drill {name} is never {}: {:#?}", phase.as_str(), self.drill_status(name));
    }

    /// Nodes that a drill closes.
    pub fn closed_nodes(&self) -> usize {
        let nodes = self.operator.index().cluster().nodes();
        nodes.filter(|(node, _)| node.is_drilled()).count()
    }
}
