//! What the forecasts for one cluster share.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use crate::observe::Cluster;

use super::seats::{Asks, Seat};
use super::standings::{Common, Standings};
use super::terrain::{Terrain, kept_or};

/// What forecasts for one cluster share; made when it is first asked for, and
/// dropped when nodes or pods change.
#[derive(Debug, Default)]
pub struct Groundwork {
    terrain: OnceLock<Arc<Terrain>>,
    seats: Mutex<Vec<(Asks, Arc<[Seat]>)>>,
    standings: Mutex<Vec<(Common, Arc<Standings>)>>,
}

impl Groundwork {
    /// A node is not what it was.
    pub fn nodes_changed(&mut self) {
        *self = Self::default();
    }

    /// Other pods are on a node.
    pub fn pods_changed(&mut self) {
        self.seats.get_mut().unwrap_or_else(PoisonError::into_inner).clear();
        self.standings.get_mut().unwrap_or_else(PoisonError::into_inner).clear();
    }

    pub(super) fn terrain(&self, cluster: &Cluster) -> &Arc<Terrain> {
        self.terrain.get_or_init(|| Arc::new(Terrain::new(cluster)))
    }

    /// The seats for pods that ask for this, or what `make` makes.
    pub(super) fn seats(&self, asks: Asks, make: impl FnOnce() -> Arc<[Seat]>) -> Arc<[Seat]> {
        kept_or(&self.seats, asks, |_| make())
    }

    /// The nodes by kind for pods that see them like this, or what `make` makes.
    pub(super) fn standings(
        &self,
        common: Common,
        make: impl FnOnce() -> Standings,
    ) -> Arc<Standings> {
        kept_or(&self.standings, common, |_| Arc::new(make()))
    }
}
