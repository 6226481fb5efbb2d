//! Pods that are resized in place, as vertical autoscalers do: what replaces them is as large as
//! their template.

use crate::dice::Dice;
use crate::script::{SECOND, Script, Trouble};
use crate::world::World;

/// What a pod asks for, in cores: first that of its template.
pub const SIZES: [&str; 4] = ["10m", "5m", "20m", "500m"];

impl Script {
    /// In some worlds pods are resized. Drawn apart, so that all else in a world is as it
    /// would be without.
    pub fn draw_resizes(&mut self) {
        let dice = &mut Dice::new(self.seed ^ 0x07e5_12e5);
        if !dice.chance(25) {
            return;
        }
        // Where a recovery must be perfect, none is so large that it outweighs the spreading.
        let largest = SIZES.len() - usize::from(self.kind.is_calm());
        for _ in 0..dice.between(1, 5) {
            let at = 5 * SECOND + dice.below(usize::try_from(self.end).unwrap()) as u64;
            let at = at.min(self.end.saturating_sub(90 * SECOND));
            let tier = dice.below(self.tiers.len());
            let size = dice.below(largest);
            self.troubles.push((at, Trouble::Resize(tier, size, dice.between(1, 3))));
        }
        self.troubles.sort_by_key(|(at, _)| *at);
    }

    /// Whether pods are resized in this world.
    pub fn resizes(&self) -> bool {
        self.troubles.iter().any(|(_, trouble)| matches!(trouble, Trouble::Resize(..)))
    }
}

impl World {
    /// The first of so many pods of a tier each is resized, if it runs.
    pub fn resize(&mut self, tier: usize, size: usize, every: usize) {
        let running = self.pods.values().filter(|pod| pod.tier == tier && pod.is_available());
        let names: Vec<String> = running.step_by(every).map(|pod| pod.name.clone()).collect();
        for name in names {
            self.change_pod(&name, |pod| pod.size = size);
        }
    }
}
