//! Rights that not every installation has, and whether they changed.

use crate::plan::SurgeRight;

use super::Operator;

impl Operator {
    /// Whether pods may be replaced before they stop, from now on.
    pub fn set_surge_right(&mut self, right: SurgeRight) {
        self.surge = right;
    }

    /// What was proven of the right, whatever is in the way for a moment.
    pub fn set_surge_proven(&mut self, right: SurgeRight) {
        self.surge_proven = right;
    }

    /// Whether a right changed since the policies were last asked, which they are now.
    pub(super) fn rights_changed(&mut self) -> bool {
        let changed = self.surge != self.surge_asked || self.steering != self.steering_asked;
        self.surge_asked.clone_from(&self.surge);
        self.steering_asked.clone_from(&self.steering);
        self.begin_scale_in() || changed
    }
}
