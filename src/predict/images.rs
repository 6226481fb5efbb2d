//! `ImageLocality`: nodes that hold the pod's images already.
//!
//! Follows `pkg/scheduler/framework/plugins/imagelocality/image_locality.go` (1.37).

use crate::observe::Template;

use super::scheduler::{Row, Scheduler};
use super::score::{MAX, float, whole};

const MEBI: i64 = 1024 * 1024;
const MIN_THRESHOLD: i64 = 23 * MEBI;
const MAX_CONTAINER_THRESHOLD: i64 = 1000 * MEBI;

/// How widely an image is spread.
#[derive(Clone, Copy, Debug)]
pub(super) struct Image {
    /// The score of a node that holds it.
    score: i64,
}

impl Image {
    pub(super) fn new(rows: &[Row<'_>], name: &str) -> Self {
        let mut nodes = 0;
        // The scheduler keeps the size that the first node reported.
        let mut size = None;
        for row in rows {
            if let Some(bytes) = row.node.images.get(name) {
                nodes += 1;
                size = size.or(Some(*bytes));
            }
        }
        let total = i64::try_from(rows.len()).unwrap_or(i64::MAX);
        let share = float(nodes) / float(total);
        Self { score: whole(float(size.unwrap_or_default()) * share) }
    }
}

/// The plugin's score by row.
pub(super) fn scores(scheduler: &Scheduler<'_>, template: &Template) -> Vec<i64> {
    let images: Vec<_> = template.images.iter().map(|name| (name, scheduler.image(name))).collect();
    if images.iter().all(|(_, image)| image.score == 0) {
        return vec![0; scheduler.rows.len()];
    }
    let count = i64::try_from(images.len()).unwrap_or(i64::MAX);
    let max_threshold = MAX_CONTAINER_THRESHOLD * count;
    scheduler
        .rows
        .iter()
        .map(|row| {
            let held = images.iter().filter(|(name, _)| row.node.images.contains_key(*name));
            let sum: i64 = held.map(|(_, image)| image.score).sum();
            let sum = sum.clamp(MIN_THRESHOLD, max_threshold);
            MAX * (sum - MIN_THRESHOLD) / (max_threshold - MIN_THRESHOLD)
        })
        .collect()
}
