//! `ImageLocality`: nodes that hold the pod's images already.
//!
//! Follows `pkg/scheduler/framework/plugins/imagelocality/image_locality.go` (1.33 to 1.37).
//! Images that are mounted as volumes count since 1.36, and since 1.37 they also raise what
//! is the best score.

use rustc_hash::FxHashMap;

use crate::observe::{Name, Template};

use crate::predict::plugins::score::{MAX, float, whole};
use crate::predict::scheduler::Scheduler;
use crate::predict::snapshot::NodeRow;
use crate::predict::version::SchedulerVersion;

const MEBI: i64 = 1024 * 1024;
const MIN_THRESHOLD: i64 = 23 * MEBI;
const MAX_CONTAINER_THRESHOLD: i64 = 1000 * MEBI;

/// Every image that a node holds, by name.
#[derive(Debug)]
pub struct Images(FxHashMap<Name, Image>);

/// An image and who holds it.
#[derive(Debug)]
struct Image {
    /// The size that the first node reported: that one the scheduler keeps.
    size: i64,
    /// The nodes that hold it, by row.
    rows: Vec<u32>,
}

impl Images {
    pub fn new(rows: &[NodeRow]) -> Self {
        let mut images: FxHashMap<Name, Image> = FxHashMap::default();
        for (at, row) in rows.iter().enumerate() {
            let at = u32::try_from(at).unwrap_or(u32::MAX);
            for held in &row.node.images {
                for name in &held.names {
                    let image = match images.get_mut(name) {
                        Some(image) => image,
                        None => images
                            .entry(Name::clone(name))
                            .or_insert_with(|| Image { size: held.size, rows: Vec::new() }),
                    };
                    // A node may name an image twice.
                    if image.rows.last() != Some(&at) {
                        image.rows.push(at);
                    }
                }
            }
        }
        Self(images)
    }

    /// By how many points at most the score of a node for `pod` grows when one node more
    /// holds the images of `other`: an image counts by the share of the nodes that hold it.
    pub fn most_gain(&self, pod: &Template, other: &Template, nodes: usize) -> i64 {
        let shared = pod.images.iter().filter(|name| other.images.contains(name));
        let sizes: i64 = shared.filter_map(|name| Some(self.0.get(name)?.size)).sum();
        let nodes = i64::try_from(nodes).unwrap_or(i64::MAX).max(1);
        let containers = i64::try_from(pod.containers).unwrap_or(i64::MAX).max(1);
        let range = MAX_CONTAINER_THRESHOLD.saturating_mul(containers) - MIN_THRESHOLD;
        // Rounded up: a score that is cut off may grow by one for less.
        sizes.saturating_mul(MAX).div_euclid(range.saturating_mul(nodes)) + i64::from(sizes > 0)
    }
}

/// The plugin's scores.
#[derive(Debug, Default)]
pub struct ImageLocality {
    /// By row; empty when it is 0 for all.
    scores: Vec<i64>,
}

impl ImageLocality {
    /// Looks at the images of all nodes.
    pub fn pre_score(scheduler: &Scheduler<'_>, template: &Template) -> Self {
        Self { scores: scores(scheduler, template) }
    }

    /// Whether no node is better for its images.
    pub fn is_skipped(&self) -> bool {
        self.scores.is_empty()
    }

    /// The node's score.
    pub fn score(&self, row: usize) -> i64 {
        self.scores.get(row).copied().unwrap_or_default()
    }
}

/// The plugin's score by row; empty when it is 0 for all.
fn scores(scheduler: &Scheduler<'_>, template: &Template) -> Vec<i64> {
    let rows = scheduler.rows().len();
    let total = float(i64::try_from(rows).unwrap_or(i64::MAX));
    let images = &scheduler.snapshot.images().0;
    let score_of = |image: &Image| {
        let nodes = float(i64::try_from(image.rows.len()).unwrap_or(i64::MAX));
        whole(float(image.size) * (nodes / total))
    };
    let (looked_at, count) = counted(scheduler.config.version, template);
    let held: Vec<(&Image, i64)> = looked_at
        .iter()
        .filter_map(|name| images.get(name))
        .map(|image| (image, score_of(image)))
        .collect();
    // Small images, and those that few nodes hold, count for nothing.
    if held.iter().map(|(_, score)| score).sum::<i64>() <= MIN_THRESHOLD {
        return Vec::new();
    }
    let mut sums = vec![0; rows];
    for (image, score) in held {
        for row in &image.rows {
            sums[*row as usize] += score;
        }
    }
    let max_threshold = MAX_CONTAINER_THRESHOLD * i64::try_from(count).unwrap_or(i64::MAX);
    for sum in &mut sums {
        let held = (*sum).clamp(MIN_THRESHOLD, max_threshold);
        *sum = MAX * (held - MIN_THRESHOLD) / (max_threshold - MIN_THRESHOLD);
    }
    sums
}

/// The images that are looked at, and among how many they are counted. Those of containers
/// come first in a template.
fn counted(version: SchedulerVersion, template: &Template) -> (&[Name], usize) {
    let all = &template.images[..];
    let of_containers = template.containers.min(all.len());
    match version {
        SchedulerVersion::V1_33 | SchedulerVersion::V1_34 | SchedulerVersion::V1_35 => {
            (&all[..of_containers], of_containers)
        }
        SchedulerVersion::V1_36 => (all, of_containers),
        SchedulerVersion::V1_37 => (all, all.len()),
    }
}
