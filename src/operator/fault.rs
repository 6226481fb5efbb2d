//! Operators with a fault: the tests must catch each of them.

use super::Operator;

/// What an operator may do wrong, for tests of the tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// Open landings are not looked at.
    TurnsLandings,
    /// Moves begin before their steering is in force.
    RushesSteering,
    /// Scale-downs take from the emptiest zones.
    InvertsCosts,
}

impl Operator {
    /// An operator with a fault: it begins moves that may turn where others land.
    #[doc(hidden)]
    #[must_use]
    pub const fn turning_landings(mut self) -> Self {
        self.fault = Some(Fault::TurnsLandings);
        self
    }

    /// An operator with a fault: the deletion costs that it writes are the wrong way round.
    #[doc(hidden)]
    #[must_use]
    pub const fn inverting_costs(mut self) -> Self {
        self.fault = Some(Fault::InvertsCosts);
        self
    }

    /// An operator with a fault: it begins moves before their steering is in force.
    #[doc(hidden)]
    #[must_use]
    pub const fn rushing_steering(mut self) -> Self {
        self.fault = Some(Fault::RushesSteering);
        self
    }
}
