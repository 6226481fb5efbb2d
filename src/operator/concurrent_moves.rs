//! How many moves may be under way at once, in the whole cluster.

/// How many moves may be under way in the cluster at once, if nobody says otherwise.
pub const MAX_CONCURRENT_MOVES: usize = 200;

/// How many moves may be under way at once, in the whole cluster.
#[derive(Clone, Copy, Debug)]
pub(super) struct ConcurrentMoves(pub usize);

impl Default for ConcurrentMoves {
    fn default() -> Self {
        Self(MAX_CONCURRENT_MOVES)
    }
}
