//! Small values that everything else is made of.

pub(super) mod clock;
pub(super) mod event_seq;
pub(super) mod generation;
pub(super) mod name;
pub(super) mod pool;
pub(super) mod uid;
pub(super) mod unix_seconds;
pub(super) mod zone;
