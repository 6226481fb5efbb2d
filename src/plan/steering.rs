//! Which zone the new pods of a tier prefer, and may be made to prefer.

use crate::observe::Zone;

/// Whether new pods can be steered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SteeringRight {
    /// What steers them was seen to work.
    Proven,
    /// What is missing, and what would help.
    Missing(String),
}

impl Default for SteeringRight {
    fn default() -> Self {
        Self::Missing("deploy/steering is not installed".to_owned())
    }
}

/// The steering of a tier's new pods.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Steering {
    /// Whether they can be steered, and elsewhere than now.
    pub available: bool,
    /// The zone that they are steered to now.
    pub zone: Option<Zone>,
}

impl Steering {
    /// Where a new pod may be steered: best where it is now, then nowhere, then to one of
    /// these zones.
    pub fn choices<'z>(
        &'z self,
        targets: impl IntoIterator<Item = &'z Zone>,
    ) -> impl Iterator<Item = Option<&'z Zone>> {
        let now = self.zone.as_ref();
        let others = targets.into_iter().map(Some).filter(move |zone| *zone != now);
        let nowhere = now.is_some().then_some(None);
        let others = nowhere.into_iter().chain(others).filter(|_| self.available);
        std::iter::once(now).chain(others)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_steers_already_is_tried_first_and_nothing_else_without_the_right() {
        let zones = ["a", "b", "c"].map(Zone::new);
        let [a, b, c] = &zones;
        let choices = |available: bool, zone: Option<&Zone>| -> Vec<Option<Zone>> {
            let steering = Steering { available, zone: zone.cloned() };
            steering.choices([a, b, c]).map(Option::<&Zone>::cloned).collect()
        };
        let of = |all: &[Option<&Zone>]| all.iter().map(|zone| zone.cloned()).collect::<Vec<_>>();
        assert_eq!(choices(false, None), of(&[None]));
        assert_eq!(choices(false, Some(b)), of(&[Some(b)]));
        assert_eq!(choices(true, None), of(&[None, Some(a), Some(b), Some(c)]));
        assert_eq!(choices(true, Some(b)), of(&[Some(b), None, Some(a), Some(c)]));
    }
}
