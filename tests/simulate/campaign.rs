//! Many worlds on all cores, and what came of them.

use crate::danger::Danger;
use crate::eviction::Eviction;
use crate::laws::Broken;
use crate::mutants::Mutant;
use crate::script::{Script, Trouble};
use crate::world::{World, seconds};
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// What came of a campaign.
#[derive(Default)]
pub struct Report {
    first: u64,
    worlds: u64,
    events: u64,
    evictions: u64,
    danger: Danger,
    drawn: Drawn,
    took: Duration,
    /// The first seed that broke a law.
    pub broken: Option<(u64, Broken)>,
}

const LAWS: [&str; 12] = [
    "",
    "no eviction in an outage",
    "no blind eviction",
    "the floor holds",
    "as few as possible",
    "no loops",
    "polite",
    "kill it anywhere",
    "one hand",
    "canary first",
    "it says what is",
    "nothing is left behind",
];

/// What is counted besides.
const DRAWN: [&str; 7] = [
    "worlds with another pool",
    "with pods resized",
    "with pods steered",
    "with pods released",
    "where imbalances settle",
    "moves discarded",
    "scale-downs guided",
];

/// How often each of [`DRAWN`] was there.
#[derive(Default)]
struct Drawn([u64; DRAWN.len()]);

impl Drawn {
    fn add(&mut self, world: &World) {
        let script = &world.script;
        let discarded = |eviction: &&Eviction| eviction.discarded.is_some();
        let settles = script.policies.iter().any(|policy| policy.settle > 0);
        let counts = [
            u64::from(!script.pool.is_empty()),
            u64::from(script.resizes()),
            u64::from(script.steers),
            u64::from(script.surges),
            u64::from(settles),
            world.laws.evictions.iter().filter(discarded).count() as u64,
            world.laws.guided_scale_ins,
        ];
        for (sum, count) in self.0.iter_mut().zip(counts) {
            *sum += count;
        }
    }
}

impl Report {
    fn add(&mut self, seed: u64, world: &World) {
        self.worlds += 1;
        self.events += world.events;
        self.evictions += world.laws.evictions.len() as u64;
        for (sum, danger) in self.danger.iter_mut().zip(world.laws.danger) {
            *sum += danger;
        }
        self.drawn.add(world);
        if let Some(broken) = &world.laws.broken
            && self.broken.as_ref().is_none_or(|(known, _)| seed < *known)
        {
            self.broken = Some((seed, broken.clone()));
        }
    }

    fn merge(&mut self, other: Self) {
        self.worlds += other.worlds;
        self.events += other.events;
        self.evictions += other.evictions;
        for (sum, danger) in self.danger.iter_mut().zip(other.danger) {
            *sum += danger;
        }
        for (sum, times) in self.drawn.0.iter_mut().zip(other.drawn.0) {
            *sum += times;
        }
        if let Some((seed, broken)) = other.broken
            && self.broken.as_ref().is_none_or(|(known, _)| seed < *known)
        {
            self.broken = Some((seed, broken));
        }
    }

    /// Laws that were never in danger: nothing was learnt about them.
    pub fn untested(&self) -> Vec<usize> {
        (1..=11).filter(|law| self.danger[*law] == 0).collect()
    }

    /// What was never drawn.
    pub fn undrawn(&self) -> Vec<&'static str> {
        let drawn = DRAWN.into_iter().zip(self.drawn.0);
        drawn.filter(|(_, times)| *times == 0).map(|(name, _)| name).collect()
    }

    /// The broken law as a short story.
    pub fn story(&self) -> String {
        let Some((seed, broken)) = &self.broken else { return String::new() };
        let script = shrink(Script::draw(*seed), broken);
        let mut world = World::new(script.clone(), None, true);
        world.run();
        let how = world.laws.broken.as_ref().map_or("?", |broken| broken.how.as_str());
        let story = world.story.unwrap_or_default().join("\n");
        format!(
            "law {} ({}) is broken by SEED={seed} SEEDS=1: {how}\n\n{script:#?}\n\n{story}\n",
            broken.law, LAWS[broken.law]
        )
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rate = |number: u64| {
            #[allow(clippy::cast_precision_loss, reason = "for people to read")]
            let number = number as f64;
            number / self.took.as_secs_f64().max(0.001)
        };
        writeln!(
            f,
            "worlds {} to {}: {} in {:.1?}; {:.0} worlds, {:.0} events, {:.1} evictions a second",
            self.first,
            self.first + self.worlds.saturating_sub(1),
            self.worlds,
            self.took,
            rate(self.worlds),
            rate(self.events),
            rate(self.evictions),
        )?;
        for (law, (name, danger)) in LAWS.iter().zip(self.danger).enumerate().skip(1) {
            let attacked = match danger {
                0 => "untested".to_owned(),
                times => format!("in danger {times} times"),
            };
            writeln!(f, "  law {law:>2}, {name:<26} {attacked}")?;
        }
        let drawn = DRAWN.iter().zip(self.drawn.0);
        let drawn: Vec<String> = drawn.map(|(name, times)| format!("{times} {name}")).collect();
        writeln!(f, "  {}", drawn.join(", "))?;
        match &self.broken {
            None => write!(f, "  no law was broken"),
            Some((seed, broken)) => {
                let at = seconds(broken.at);
                write!(f, "  SEED={seed} breaks law {} at {at:.1}s: {}", broken.law, broken.how)
            }
        }
    }
}

fn run(seed: u64, mutant: Option<Mutant>) -> World {
    let mut world = World::new(Script::draw(seed), mutant, false);
    world.run();
    world
}

/// Runs so many worlds, or up to the first that breaks a law.
pub fn campaign(first: u64, worlds: u64) -> Report {
    let began = Instant::now();
    let (next, end) = (AtomicU64::new(first), first + worlds);
    let stop = AtomicBool::new(false);
    let work = || {
        let mut report = Report::default();
        while !stop.load(Ordering::Relaxed) {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= end {
                break;
            }
            report.add(seed, &run(seed, None));
            if report.broken.is_some() {
                stop.store(true, Ordering::Relaxed);
            }
        }
        report
    };
    let mut report = Report { first, ..Report::default() };
    let cores = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        let workers: Vec<_> = (0..cores).map(|_| scope.spawn(work)).collect();
        for worker in workers {
            report.merge(worker.join().expect("a worker"));
        }
    });
    report.took = began.elapsed();
    report
}

/// After how many worlds, of those in which it may show, a broken operator breaks one of the
/// laws that it goes against, and how.
pub fn caught(mutant: Mutant, laws: &[usize], most: usize) -> Option<(usize, Broken)> {
    let seeds = (1..).filter(|seed| mutant.may_show_in(&Script::draw(*seed)));
    seeds.take(most).enumerate().find_map(|(worlds, seed)| {
        let broken = run(seed, Some(mutant)).laws.broken?;
        laws.contains(&broken.law).then_some((worlds + 1, broken))
    })
}

/// Takes away what the story does not need.
fn shrink(mut script: Script, broken: &Broken) -> Script {
    // In the same way: the numbers may differ, the words may not.
    let words = |how: &str| how.replace(|letter: char| letter.is_ascii_digit(), "");
    let still_breaks = |script: &Script| {
        let mut world = World::new(script.clone(), None, false);
        world.run();
        let same = |now: Broken| now.law == broken.law && words(&now.how) == words(&broken.how);
        world.laws.broken.is_some_and(same)
    };
    let mut at = 0;
    while at < script.troubles.len() {
        let mut less = script.clone();
        less.troubles.remove(at);
        if still_breaks(&less) {
            script = less;
        } else {
            at += 1;
        }
    }
    let mut at = 0;
    while at < script.ambushes.len() {
        let mut less = script.clone();
        less.ambushes.remove(at);
        if still_breaks(&less) {
            script = less;
        } else {
            at += 1;
        }
    }
    while script.tiers.len() > 1 {
        let mut less = script.clone();
        let last = less.tiers.len() - 1;
        less.tiers.pop();
        less.troubles.retain(|(_, trouble)| !is_about_tier(trouble, last));
        if !still_breaks(&less) {
            break;
        }
        script = less;
    }
    script
}

fn is_about_tier(trouble: &Trouble, number: usize) -> bool {
    matches!(
        trouble,
        Trouble::Scale(tier, _)
            | Trouble::ScaleBy(tier, _)
            | Trouble::ScaleIn(tier, _)
            | Trouble::Rollout(tier)
            | Trouble::DeletePod(tier)
            | Trouble::Mark(tier, _)
            | Trouble::Budget(tier, _)
            | Trouble::Resize(tier, ..)
            | Trouble::DeleteWorkload(tier)
            | Trouble::CreateWorkload(tier)
            if *tier == number
    )
}
