//! One copy of each value in use.

use std::borrow::Borrow;
use std::hash::Hash;
use std::sync::Arc;

use rustc_hash::FxHashSet;

/// After this many new values, those that nobody uses any more are dropped.
pub(in crate::observe) const SWEEP_EVERY: usize = 65_536;

/// One copy of every value of a type that is in use.
#[derive(Debug)]
pub(in crate::observe) struct Pool<T: ?Sized> {
    values: FxHashSet<Arc<T>>,
    inserts: usize,
}

impl<T: ?Sized> Default for Pool<T> {
    fn default() -> Self {
        Self { values: FxHashSet::default(), inserts: 0 }
    }
}

impl<T: ?Sized + Eq + Hash> Pool<T> {
    /// The one copy of `value`.
    pub(in crate::observe) fn get<B: Borrow<T> + Into<Arc<T>>>(&mut self, value: B) -> Arc<T> {
        if let Some(known) = self.values.get(value.borrow()) {
            return Arc::clone(known);
        }
        self.inserts += 1;
        if self.inserts >= SWEEP_EVERY {
            self.inserts = 0;
            self.values.retain(|value| Arc::strong_count(value) > 1);
        }
        let value = value.into();
        self.values.insert(Arc::clone(&value));
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_are_one_and_those_out_of_use_are_dropped() {
        let mut pool = Pool::<str>::default();
        let kept = pool.get("web");
        assert!(Arc::ptr_eq(&kept, &pool.get("web")));
        for at in 0..SWEEP_EVERY {
            pool.get(format!("pod-{at}").as_str());
        }
        assert!(pool.values.len() < 10, "{}", pool.values.len());
        assert!(Arc::ptr_eq(&kept, &pool.get("web")));
    }
}
