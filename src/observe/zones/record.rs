//! What a Zone object says of a zone, made of what is remembered, and read again.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use crate::api::{PolicyZone, ZoneHealth, ZoneState, ZoneStatus, seconds};

use super::condition::{NodeFault, ZoneCondition, ZoneReason};
use super::health::{ZoneMemory, hold_down_of};
use super::observed_outages::ObservedOutages;
use crate::observe::value::zone::Zone;

/// Why a zone is not Ready while people hold it.
const HELD_BY_HAND: &str = "HeldByHand";
/// The same while a drill closes it.
const DRILLED: &str = "Drilled";
/// With more outages no hold-down gets longer.
const MOST_OUTAGES: u32 = 16;

fn count(number: usize) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

/// What a status says of the nodes' fault; the next look at them tells the key of a taint.
fn told(reason: Option<&str>) -> Option<NodeFault> {
    Some(NodeFault { reason: ZoneReason::parse(reason?)?, taint: None })
}

impl ZoneMemory {
    /// Since when the zone is in the state that it has under this hold-down.
    #[must_use]
    pub fn state_since(&self, hold_down: Duration, now: Timestamp) -> Timestamp {
        match self.state(hold_down, now) {
            ZoneState::Held => self.held_since.unwrap_or(self.since),
            ZoneState::Impaired if self.health != ZoneHealth::Impaired => {
                self.drilled_since.unwrap_or(self.since)
            }
            ZoneState::Ready => {
                self.hold_until(hold_down).map_or(self.since, |until| until.max(self.since))
            }
            _ => self.since,
        }
    }

    /// What keeps pods off most of its bad nodes: `NotReady`, or `Tainted: maintenance`.
    #[must_use]
    pub fn fault(&self) -> String {
        if self.is_drilled() && self.health != ZoneHealth::Impaired {
            return "closed by a drill".to_owned();
        }
        self.condition.fault.as_ref().map_or_else(|| "unusable".to_owned(), NodeFault::to_string)
    }

    /// Why the zone is not Ready, in a word. What its bad nodes have in common counts
    /// only while it is out: it changes with the nodes.
    #[must_use]
    pub fn reason(&self, state: ZoneState) -> Option<&'static str> {
        match state {
            ZoneState::Impaired if self.is_drilled() && self.health != ZoneHealth::Impaired => {
                Some(DRILLED)
            }
            ZoneState::Impaired | ZoneState::Empty => {
                self.condition.fault.as_ref().map(|fault| fault.reason.as_str())
            }
            ZoneState::Held => Some(HELD_BY_HAND),
            ZoneState::Ready | ZoneState::Recovering | ZoneState::Suspect => None,
        }
    }

    /// What the Zone object says, under the longest hold-down of all policies.
    #[must_use]
    pub fn to_status(
        &self,
        zone: &Zone,
        hold_down: Duration,
        before: &[Condition],
        generation: Option<i64>,
        now: Timestamp,
    ) -> ZoneStatus {
        let state = self.state(hold_down, now);
        let ZoneCondition { nodes, usable, .. } = &self.condition;
        let reason = self.reason(state);
        let message = self.message(zone, state, hold_down, now);
        let mut status = ZoneStatus {
            observed_generation: generation,
            zone: zone.to_string(),
            state: Some(state),
            health: Some(self.health),
            reason: reason.map(str::to_owned),
            message,
            since: Some(seconds(self.state_since(hold_down, now))),
            outages: i32::try_from(self.outages_at(now)).unwrap_or(i32::MAX),
            last_outage: self.last_outage.map(seconds),
            recovered_at: self.recovered_at.map(seconds),
            proven: self.proven,
            suspect: self.suspect,
            no_nodes_since: self.nodes_gone.map(seconds),
            usable: format!("{usable}/{nodes}"),
            usable_nodes: count(*usable),
            nodes: count(*nodes),
            safe_to_lose: None,
            taints: None,
            opening: None,
            conditions: Vec::new(),
        };
        status.conditions = conditions_of(&status, before, now);
        status
    }

    fn message(
        &self,
        zone: &Zone,
        state: ZoneState,
        hold_down: Duration,
        now: Timestamp,
    ) -> String {
        let until = self.hold_until(hold_down).map_or_else(String::new, |until| {
            format!(" until {} at most", until.strftime("%Y-%m-%d %H:%M:%SZ"))
        });
        let by_hand = self.held(now).map_or_else(String::new, |hold| {
            format!(
                "held by hand until {} ({}); `zonespread release {zone}` ends the hold",
                hold.until.strftime("%Y-%m-%d %H:%M:%SZ"),
                hold.reason
            )
        });
        match state {
            ZoneState::Ready => "new pods can start here".to_owned(),
            ZoneState::Impaired => {
                let reason = self.fault();
                let also = if by_hand.is_empty() { by_hand } else { format!("; {by_hand}") };
                format!("out ({reason}): nothing is evicted from tiers that use this zone{also}")
            }
            ZoneState::Recovering => {
                format!("usable again; held{until}, the longest hold-down of all policies")
            }
            ZoneState::Suspect => {
                format!("the first pod moved here did not become Available; held{until}")
            }
            ZoneState::Held => by_hand,
            ZoneState::Empty if self.was_drained() => {
                "its last nodes were removed in order, by an autoscaler: no outage; counted with zero pods, and holds nothing back"
                    .to_owned()
            }
            ZoneState::Empty => {
                "without nodes for an hour: counted with zero pods, and holds nothing back"
                    .to_owned()
            }
        }
    }

    /// What a Zone object says of its zone; none if it says nothing yet.
    #[must_use]
    pub fn from_status(status: &ZoneStatus) -> Option<(Zone, Self)> {
        let (health, since) = (status.health?, status.since.as_ref()?.0);
        let count = |number: i32| usize::try_from(number).unwrap_or(0);
        let memory = Self {
            health,
            since,
            condition: ZoneCondition {
                nodes: count(status.nodes),
                usable: count(status.usable_nodes),
                leaving: 0,
                fault: told(status.reason.as_deref()),
            },
            nodes_gone: status.no_nodes_since.as_ref().map(|at| at.0),
            outages: u32::try_from(status.outages).unwrap_or(0),
            last_outage: status.last_outage.as_ref().map(|at| at.0),
            recovered_at: status.recovered_at.as_ref().map(|at| at.0),
            observed: ObservedOutages::from(status.last_outage.as_ref().map_or(since, |at| at.0)),
            proven: status.proven,
            suspect: status.suspect,
            hold: None,
            held_since: (status.state == Some(ZoneState::Held)).then_some(since),
            // The marks on its nodes say so, as long as they are there.
            drilled_since: None,
        };
        Some((Zone::new(&status.zone), memory))
    }

    /// What a policy's status says of a zone whose object somebody deleted: less, but
    /// enough to go on with an outage or a hold.
    #[must_use]
    pub fn from_policy(zone: &PolicyZone, hold_down: Duration) -> Option<(Zone, Self)> {
        let since = zone.since.as_ref()?.0;
        let health = match zone.state {
            ZoneState::Impaired if zone.reason.as_deref() == Some(DRILLED) => return None,
            ZoneState::Impaired => ZoneHealth::Impaired,
            ZoneState::Recovering | ZoneState::Suspect => ZoneHealth::Usable,
            ZoneState::Empty => ZoneHealth::Empty,
            ZoneState::Ready | ZoneState::Held => return None,
        };
        // How often the hold was doubled tells how many outages there were.
        let held = zone.hold_until.as_ref().map(|until| until.0.duration_since(since));
        let held = held.and_then(|held| Duration::try_from(held).ok()).unwrap_or_default();
        let doubled = |outages: &u32| hold_down_of(hold_down, *outages) >= held;
        let outages = (1..=MOST_OUTAGES).find(doubled).unwrap_or(MOST_OUTAGES);
        let memory = Self {
            health,
            since,
            condition: ZoneCondition {
                fault: told(zone.reason.as_deref()),
                ..ZoneCondition::default()
            },
            nodes_gone: (health == ZoneHealth::Empty).then_some(since),
            outages,
            last_outage: Some(since),
            recovered_at: (health == ZoneHealth::Usable).then_some(since),
            observed: ObservedOutages::from(since),
            proven: false,
            suspect: zone.state == ZoneState::Suspect,
            hold: None,
            held_since: None,
            drilled_since: None,
        };
        Some((Zone::new(&zone.name), memory))
    }
}

/// The status of an object for a zone that no node has, or for none.
#[must_use]
pub fn unknown_zone_status(
    name: &str,
    zone: Option<&Zone>,
    before: &[Condition],
    generation: Option<i64>,
    now: Timestamp,
) -> ZoneStatus {
    let message = match zone {
        Some(zone) => format!(
            "no node has the label topology.kubernetes.io/zone={zone}: check the name, or delete this object"
        ),
        None => format!(
            "{name} is the name of no zone: delete this object, and let `zonespread hold ZONE` make another"
        ),
    };
    let mut status = ZoneStatus {
        observed_generation: generation,
        zone: zone.map_or_else(String::new, ToString::to_string),
        state: zone.map(|_| ZoneState::Empty),
        reason: Some(if zone.is_some() { "NoNodes" } else { "InvalidName" }.to_owned()),
        message,
        usable: "0/0".to_owned(),
        ..ZoneStatus::default()
    };
    status.conditions = conditions_of(&status, before, now);
    status
}

fn conditions_of(status: &ZoneStatus, before: &[Condition], now: Timestamp) -> Vec<Condition> {
    let state = status.state.map_or("Unknown", ZoneState::as_str);
    let condition = |type_: &str, holds: bool, reason: &str| {
        let value = if holds { "True" } else { "False" };
        let known = before.iter().find(|known| known.type_ == type_ && known.status == value);
        Condition {
            type_: type_.to_owned(),
            status: value.to_owned(),
            reason: reason.to_owned(),
            message: status.message.clone(),
            last_transition_time: known
                .map_or_else(|| seconds(now), |known| known.last_transition_time.clone()),
            observed_generation: status.observed_generation,
        }
    };
    let is_held = status.state == Some(ZoneState::Held);
    vec![
        condition("Ready", status.state == Some(ZoneState::Ready), state),
        condition("Held", is_held, if is_held { HELD_BY_HAND } else { "NotHeld" }),
    ]
}
