//! What happens in a world: drawn from a seed, and a value that can be cut down to a story.

use crate::consent::Pause;
use crate::dice::Dice;
use crate::objects::MARKS;
use crate::probes::OpeningScript;
use crate::surges::Ambush;
use zonespread::api::Strategy;

/// Milliseconds since the world began.
pub type Millis = u64;

pub const SECOND: Millis = 1_000;

/// A world before it runs.
#[derive(Clone, Debug)]
#[allow(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct Script {
    pub seed: u64,
    pub kind: Kind,
    /// Nodes of each zone.
    pub zones: Vec<usize>,
    /// A zone that the scheduler avoids for pods that need not be even: its nodes have a
    /// taint with PreferNoSchedule.
    pub avoided: Option<usize>,
    /// Whether that is cluster-autoscaler's, of empty nodes.
    pub avoided_as_empty: bool,
    /// Nodes of another pool, by zone, and in one more zone that has no other nodes.
    pub pool: Vec<usize>,
    /// Whether new nodes have a start-up taint for a while.
    pub starts_slowly: bool,
    /// Whether new pods can be steered.
    pub steers: bool,
    /// How a zone that came back without nodes is opened, if one does.
    pub opening: Option<OpeningScript>,
    pub tiers: Vec<TierScript>,
    pub policies: Vec<PolicyScript>,
    /// Clock speed of each operator, in thousandths.
    pub operators: Vec<u64>,
    /// How late a watch is at most.
    pub watch_delay: Millis,
    /// How many statuses and evictions an operator has under way at once.
    pub lanes: (usize, usize),
    pub troubles: Vec<(Millis, Trouble)>,
    /// Whether pods may be released, now or later.
    pub surges: bool,
    /// Whether scale-downs are guided.
    pub guides: bool,
    /// The right to change pods, at the beginning.
    pub right: Right,
    /// What happens when a surge has come so far.
    pub ambushes: Vec<Ambush>,
    pub end: Millis,
}

/// The right to change pods, and the fence that it needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right {
    None,
    WithoutFence,
    Fenced,
}

/// What a world is about; it decides what must hold at its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// One outage, and nothing else.
    Outage,
    /// One outage, and operators that are killed and paused.
    Crashes,
    /// One outage, and people who say when pods may move.
    Consent,
    /// A scheduler that does as it likes.
    Treachery,
    /// Everything at once.
    Chaos,
}

/// A workload.
#[derive(Clone, Debug)]
pub struct TierScript {
    pub policy: usize,
    pub replicas: usize,
    pub stateful: bool,
    /// From the assignment to Ready.
    pub start: Millis,
    /// `maxUnavailable` of its disruption budget.
    pub budget: Option<usize>,
    pub hard: bool,
    /// A zone that the scheduler would rather put its pods into than spread them.
    pub likes: Option<usize>,
    /// How many of a hundred new pods are marked as not to be moved.
    pub marked: usize,
}

#[derive(Clone, Debug)]
pub struct PolicyScript {
    pub hold_down: Millis,
    pub landing_timeout: Millis,
    /// How long an imbalance that no outage explains has to wait.
    pub settle: Millis,
    /// Whether only recoveries are moved.
    pub recovery_only: bool,
    pub max_unavailable: Option<usize>,
    pub max_skew: i32,
    /// Moves are made with approval only.
    pub approve: bool,
    pub window: Option<Window>,
    pub strategy: Strategy,
}

/// A time in which evictions may start, in minutes since the world began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    pub every: Millis,
    pub lasts: Millis,
}

/// Something that happens.
#[derive(Clone, Debug)]
pub enum Trouble {
    /// The zone's nodes are cordoned, and drained.
    Cordon(usize),
    Uncordon(usize),
    /// The zone's nodes are not Ready; its pods are replaced after a while.
    Fail(usize),
    Heal(usize),
    DeleteNodes(usize),
    CreateNodes(usize),
    /// Whether a node is made in the zone for a pod that waits there.
    Provision(usize, bool),
    /// Pods that land in the zone never start.
    Break(usize),
    Mend(usize),
    /// One node of the zone.
    CordonNode(usize, bool),
    /// The nodes of the other pool in a zone are down, or up again.
    FailPool(usize, bool),
    /// The zone's nodes but the first few get a taint, or lose it.
    Taint(usize, usize, bool),
    /// An operator is killed, and started again after a while.
    Crash(usize, Millis),
    /// An operator does nothing for a while, and goes on.
    Freeze(usize, Millis),
    /// Its machine does nothing for a while, its monotonic clock included.
    Suspend(usize, Millis),
    /// A watch says nothing for a while, and does not fail.
    Silent(usize, Watch, Millis),
    /// A watch fails; what happens meanwhile is known from a list after it.
    Fails(usize, Watch, Millis),
    /// Everything on every watch comes twice.
    Twice(usize, Millis),
    /// Requests go wrong for a while.
    Api(Fault, Millis),
    Scale(usize, usize),
    /// An autoscaler wants so many pods more, or fewer.
    ScaleBy(usize, isize),
    /// So many pods fewer of a tier that is guided.
    ScaleIn(usize, usize),
    Rollout(usize),
    DeletePod(usize),
    /// The tier's pods that there are, by one of the marks or by none.
    Mark(usize, Option<usize>),
    EditPolicy(usize),
    RecreatePolicy(usize),
    DeletePolicy(usize),
    CreatePolicy(usize),
    /// A Deployment with its pods.
    DeleteWorkload(usize),
    CreateWorkload(usize),
    Right(Right),
    Pause(Pause, bool),
    /// Somebody holds a zone, or releases it.
    Hold(usize, Option<Millis>),
    /// Somebody deletes a Zone object.
    DeleteZone(usize),
    /// Somebody reads the policy's plan, and approves it a little later.
    ReadPlan(usize),
    Budget(usize, Option<usize>),
    /// Pods of a tier are resized in place: the first of so many each.
    Resize(usize, usize, usize),
    /// Deploy/steering is there, or gone.
    Steers(bool),
    /// The scheduler does as it likes, or as it should.
    Treachery(bool),
}

/// The watches that are troubled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Watch {
    Pods,
    Nodes,
    Workloads,
    Policies,
}

/// How a request goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    Error,
    /// No answer; it was carried out or not.
    TimeOut,
    Throttle,
    Forbid,
    Slow,
}

impl Trouble {
    /// How long it may keep an operator from seeing or saying what is.
    pub const fn blinds(&self) -> Option<Millis> {
        match self {
            Self::Crash(_, lasts)
            | Self::Freeze(_, lasts)
            | Self::Suspend(_, lasts)
            | Self::Silent(.., lasts)
            | Self::Fails(.., lasts)
            | Self::Api(_, lasts) => Some(*lasts),
            Self::RecreatePolicy(_) | Self::DeletePolicy(_) | Self::CreatePolicy(_) => Some(0),
            _ => None,
        }
    }
}

impl Kind {
    /// Nothing but the outage disturbs the recovery, and it must be perfect.
    pub const fn is_calm(self) -> bool {
        matches!(self, Self::Outage | Self::Crashes | Self::Consent)
    }
}

impl Script {
    /// The world of this seed.
    pub fn draw(seed: u64) -> Self {
        let dice = &mut Dice::new(seed);
        let kind = match dice.below(10) {
            0 => Kind::Outage,
            1 | 2 => Kind::Crashes,
            3 => Kind::Consent,
            4 | 5 => Kind::Treachery,
            _ => Kind::Chaos,
        };
        let calm = kind.is_calm();
        let consent = match kind {
            Kind::Outage | Kind::Crashes => 0,
            Kind::Consent => 60,
            Kind::Treachery | Kind::Chaos => 15,
        };
        let zones = (0..if dice.chance(85) { 3 } else { dice.between(2, 4) })
            .map(|_| dice.between(1, 3))
            .collect::<Vec<_>>();
        let policies: Vec<_> = (0..dice.between(1, 2))
            .map(|_| PolicyScript {
                hold_down: dice.pick(&[5, 20, 60, 120]) * SECOND,
                landing_timeout: if calm { 120 } else { dice.pick(&[20, 60, 120]) } * SECOND,
                settle: dice.pick(&[0, 5, 30, 120, 600]) * SECOND,
                recovery_only: dice.chance(20),
                max_unavailable: dice.chance(25).then(|| dice.between(1, 4)),
                max_skew: dice.pick(&[1, 1, 1, 1, 1, 2, 3]),
                approve: dice.chance(consent),
                window: dice.chance(consent).then(|| {
                    let every = dice.pick(&[2, 3, 5, 10]);
                    Window { every, lasts: (dice.between(1, 4) as u64).min(every - 1) }
                }),
                strategy: Strategy::Auto,
            })
            .collect();
        let tiers = (0..dice.between(1, 3))
            .map(|_| TierScript {
                policy: dice.below(policies.len()),
                replicas: dice.pick(&[1, 2, 3, 4, 6, 6, 9, 12, 20]),
                stateful: dice.chance(25),
                start: dice.pick(&[500, 2_000, 10_000, 30_000]),
                budget: dice.chance(25).then(|| dice.between(usize::from(calm), 3)),
                hard: dice.chance(20),
                likes: dice.chance(10).then(|| dice.below(zones.len())),
                marked: if dice.chance(15) { dice.pick(&[10, 30, 100]) } else { 0 },
            })
            .collect::<Vec<_>>();
        let operators = (0..if dice.chance(40) { 2 } else { 1 })
            .map(|_| 970 + 10 * dice.between(0, 6) as u64)
            .collect();
        let watch_delay = dice.pick(&[50, 200, 1_000]);
        let mut script = Self {
            seed,
            kind,
            avoided: dice.chance(10).then(|| dice.below(zones.len())),
            avoided_as_empty: false,
            zones,
            tiers,
            policies,
            pool: Vec::new(),
            starts_slowly: false,
            steers: false,
            opening: None,
            operators,
            watch_delay,
            lanes: (1, 1),
            troubles: Vec::new(),
            surges: false,
            guides: false,
            right: Right::None,
            ambushes: Vec::new(),
            end: 0,
        };
        script.trouble(dice);
        script.lanes = (dice.between(1, 3), dice.between(1, 4));
        script.draw_pools();
        script.draw_surges();
        script.draw_steering();
        script.draw_resizes();
        script.draw_openings();
        script.draw_scale_ins();
        script
    }

    /// When the last trouble that kept operators from seeing what is was over.
    pub fn clear_since(&self, now: Millis) -> Millis {
        let past = self.troubles.iter().filter(|(at, _)| *at <= now);
        past.filter_map(|(at, trouble)| Some(at + trouble.blinds()?)).max().unwrap_or(0)
    }

    fn trouble(&mut self, dice: &mut Dice) {
        let begins = 30 * SECOND;
        let lasts = 20 * SECOND + dice.below(200) as u64 * SECOND;
        let zone = dice.below(self.zones.len());
        let (out, back) = Self::outage(dice, zone);
        self.troubles.push((begins, out));
        self.troubles.push((begins + lasts, back));
        let longest = self.policies.iter().map(|policy| policy.hold_down).max().unwrap_or(0);
        // Long enough for the slowest tier to be brought home pod by pod.
        let calm = self.kind.is_calm();
        let moving = if calm { 320 } else { 200 } * SECOND;
        let mut end = begins + lasts + longest + moving;
        match self.kind {
            Kind::Outage => {}
            Kind::Crashes => {
                for _ in 0..dice.between(1, 6) {
                    let at = begins + dice.below(usize::try_from(end - begins).unwrap()) as u64;
                    let operator = dice.below(self.operators.len());
                    let lasts = dice.between(100, 30_000) as u64;
                    self.troubles.push((
                        at,
                        match dice.below(10) {
                            0..6 => Trouble::Crash(operator, lasts),
                            6..8 => Trouble::Freeze(operator, lasts),
                            _ => Trouble::Suspend(operator, lasts),
                        },
                    ));
                }
                // Time for what the last of them held up.
                end += 120 * SECOND;
            }
            Kind::Consent => {
                end += 240 * SECOND;
                let mut at = begins + lasts + longest;
                while at < end {
                    let policy = dice.below(self.policies.len());
                    self.troubles.push((at, Trouble::ReadPlan(policy)));
                    at += dice.between(10, 90) as u64 * SECOND;
                }
                for _ in 0..dice.below(4) {
                    let (at, lasts) = Self::while_moving(dice, begins + lasts, end);
                    if dice.chance(30) {
                        self.hold(dice, at, lasts);
                    } else {
                        self.pause(dice, at, lasts);
                    }
                }
            }
            Kind::Treachery => {
                self.troubles.push((begins, Trouble::Treachery(true)));
                end += 700 * SECOND;
                if dice.chance(50) {
                    self.troubles.push((end - 300 * SECOND, Trouble::Treachery(false)));
                }
                self.more(dice, 3, begins, end);
            }
            Kind::Chaos => {
                end += 200 * SECOND;
                if dice.chance(15) {
                    // The zone comes back Ready and broken.
                    let mended = if dice.chance(50) { end } else { end - 60 * SECOND };
                    self.troubles.push((begins, Trouble::Break(zone)));
                    self.troubles.push((mended, Trouble::Mend(zone)));
                }
                let many = dice.between(2, 12);
                self.more(dice, many, begins, end);
            }
        }
        // A quiet end, in which everything must come to rest.
        self.end = end + 90 * SECOND;
        self.troubles.sort_by_key(|(at, _)| *at);
    }

    /// Some time between these, and for how long.
    fn while_moving(dice: &mut Dice, from: Millis, to: Millis) -> (Millis, Millis) {
        let at = from + dice.below(usize::try_from(to - from).unwrap()) as u64;
        (at, dice.pick(&[1, 5, 20, 60]) * SECOND)
    }

    fn pause(&mut self, dice: &mut Dice, at: Millis, lasts: Millis) {
        let policy = dice.below(self.policies.len());
        let what = if dice.chance(70) { Pause::Policy(policy) } else { Pause::Namespace };
        self.troubles.push((at, Trouble::Pause(what, true)));
        self.troubles.push((at + lasts, Trouble::Pause(what, false)));
    }

    /// A zone is held; the hold ends by itself, or before by hand.
    fn hold(&mut self, dice: &mut Dice, at: Millis, lasts: Millis) {
        let zone = dice.below(self.zones.len());
        let by_itself = dice.chance(50);
        let until = if by_itself { lasts } else { 2 * lasts };
        self.troubles.push((at, Trouble::Hold(zone, Some(until))));
        if !by_itself {
            self.troubles.push((at + lasts, Trouble::Hold(zone, None)));
        }
    }

    /// An autoscaler goes step by step: mostly down, as after a peak.
    fn autoscale(dice: &mut Dice, tier: usize, at: Millis) -> Vec<(Millis, Trouble)> {
        let pods = if dice.chance(75) { -1 } else { 1 };
        let steps = dice.between(1, 4) as u64;
        (0..steps).map(|step| (at + step * 15 * SECOND, Trouble::ScaleBy(tier, pods))).collect()
    }

    fn outage(dice: &mut Dice, zone: usize) -> (Trouble, Trouble) {
        match dice.below(4) {
            0 | 1 => (Trouble::Cordon(zone), Trouble::Uncordon(zone)),
            2 => (Trouble::Fail(zone), Trouble::Heal(zone)),
            _ => (Trouble::DeleteNodes(zone), Trouble::CreateNodes(zone)),
        }
    }

    fn more(&mut self, dice: &mut Dice, many: usize, from: Millis, to: Millis) {
        for _ in 0..many {
            let (at, lasts) = Self::while_moving(dice, from, to);
            let operator = dice.below(self.operators.len());
            let zone = dice.below(self.zones.len());
            let tier = dice.below(self.tiers.len());
            let policy = dice.below(self.policies.len());
            let watch = dice.pick(&[Watch::Pods, Watch::Nodes, Watch::Workloads, Watch::Policies]);
            let both = |first: Trouble, then: Trouble| vec![(at, first), (at + lasts, then)];
            let troubles = match dice.below(29) {
                0 => {
                    let (out, back) = Self::outage(dice, zone);
                    both(out, back)
                }
                1 => both(Trouble::Break(zone), Trouble::Mend(zone)),
                2 => both(Trouble::CordonNode(zone, true), Trouble::CordonNode(zone, false)),
                3 | 4 => vec![(at, Trouble::Crash(operator, lasts / 4))],
                5 if dice.chance(50) => vec![(at, Trouble::Freeze(operator, lasts))],
                5 => vec![(at, Trouble::Suspend(operator, lasts))],
                6 | 7 => vec![(at, Trouble::Silent(operator, watch, lasts))],
                8 => vec![(at, Trouble::Fails(operator, watch, lasts))],
                9 => vec![(at, Trouble::Twice(operator, lasts))],
                10 | 11 => {
                    let fault = dice.pick(&[
                        Fault::Error,
                        Fault::TimeOut,
                        Fault::Throttle,
                        Fault::Forbid,
                        Fault::Slow,
                    ]);
                    vec![(at, Trouble::Api(fault, lasts))]
                }
                12 => vec![(at, Trouble::Scale(tier, dice.between(1, 12)))],
                13 => vec![(at, Trouble::Rollout(tier))],
                26 | 27 => Self::autoscale(dice, tier, at),
                14 => vec![(at, Trouble::DeletePod(tier))],
                15 => {
                    let mark = dice.below(MARKS.len());
                    both(Trouble::Mark(tier, Some(mark)), Trouble::Mark(tier, None))
                }
                16 => vec![(at, Trouble::EditPolicy(policy))],
                17 => vec![(at, Trouble::RecreatePolicy(policy))],
                18 => {
                    self.pause(dice, at, lasts);
                    vec![]
                }
                22 | 23 => {
                    self.hold(dice, at, lasts);
                    vec![]
                }
                24 => vec![(at, Trouble::DeleteZone(zone))],
                19..=21 => vec![(at, Trouble::ReadPlan(policy))],
                _ => vec![(at, Trouble::Budget(tier, dice.chance(70).then(|| dice.below(3))))],
            };
            self.troubles.extend(troubles);
        }
    }
}
