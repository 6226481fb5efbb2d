//! Resource amounts, and what a pod asks for as the scheduler adds it up.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use super::quantity::{QuantityError, parse_milli, parse_whole};
use crate::observe::value::name::Name;

/// Amounts as Kubernetes writes them, by resource name.
pub type ResourceList = BTreeMap<String, Quantity>;

/// Amounts of resources.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Resources {
    /// Thousandths of a core.
    pub cpu_milli: i64,
    /// Bytes.
    pub memory: i64,
    /// Bytes.
    pub ephemeral_storage: i64,
    /// Everything else, by name: GPUs, huge pages. Sorted by name.
    pub extended: Vec<(Name, i64)>,
}

impl Resources {
    /// Reads a resource list. `pods` is not part of it: see `pods_of`.
    ///
    /// # Errors
    /// When a quantity cannot be read.
    pub fn parse(list: &ResourceList) -> Result<Self, QuantityError> {
        let mut resources = Self::default();
        for (name, quantity) in list {
            match name.as_str() {
                "cpu" => resources.cpu_milli = parse_milli(&quantity.0)?,
                "memory" => resources.memory = parse_whole(&quantity.0)?,
                "ephemeral-storage" => resources.ephemeral_storage = parse_whole(&quantity.0)?,
                "pods" => {}
                other => resources.extended.push((Name::from(other), parse_whole(&quantity.0)?)),
            }
        }
        Ok(resources)
    }

    /// The amount of an extended resource.
    #[must_use]
    pub fn extended(&self, name: &str) -> i64 {
        self.extended
            .binary_search_by(|(known, _)| (**known).cmp(name))
            .map_or(0, |at| self.extended[at].1)
    }

    /// Adds `other`.
    pub fn add(&mut self, other: &Self) {
        self.cpu_milli += other.cpu_milli;
        self.memory += other.memory;
        self.ephemeral_storage += other.ephemeral_storage;
        for (name, amount) in &other.extended {
            *self.extended_mut(name) += amount;
        }
    }

    /// Takes `other` away.
    pub fn subtract(&mut self, other: &Self) {
        self.cpu_milli -= other.cpu_milli;
        self.memory -= other.memory;
        self.ephemeral_storage -= other.ephemeral_storage;
        for (name, amount) in &other.extended {
            *self.extended_mut(name) -= amount;
        }
    }

    /// Raises every amount to at least that of `other`.
    pub fn raise_to(&mut self, other: &Self) {
        self.cpu_milli = self.cpu_milli.max(other.cpu_milli);
        self.memory = self.memory.max(other.memory);
        self.ephemeral_storage = self.ephemeral_storage.max(other.ephemeral_storage);
        for (name, amount) in &other.extended {
            let own = self.extended_mut(name);
            *own = (*own).max(*amount);
        }
    }

    fn extended_mut(&mut self, name: &Name) -> &mut i64 {
        let at = match self.extended.binary_search_by(|(known, _)| known.cmp(name)) {
            Ok(at) => at,
            Err(at) => {
                self.extended.insert(at, (Name::clone(name), 0));
                at
            }
        };
        &mut self.extended[at].1
    }
}

/// How many pods a node may run, from its allocatable list.
///
/// # Errors
/// When the quantity cannot be read.
pub fn pods_of(list: &ResourceList) -> Result<i64, QuantityError> {
    list.get("pods").map_or(Ok(0), |quantity| parse_whole(&quantity.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(entries: &[(&str, &str)]) -> ResourceList {
        entries
            .iter()
            .map(|(name, amount)| ((*name).to_owned(), Quantity((*amount).to_owned())))
            .collect()
    }

    #[test]
    fn amounts_add_up_and_come_apart_again() {
        let mut sum = Resources::parse(&list(&[("cpu", "500m"), ("memory", "1Gi")])).unwrap();
        let gpu = Resources::parse(&list(&[("cpu", "1"), ("nvidia.com/gpu", "2")])).unwrap();
        sum.add(&gpu);
        assert_eq!((sum.cpu_milli, sum.memory, sum.extended("nvidia.com/gpu")), (1500, 1 << 30, 2));
        sum.subtract(&gpu);
        assert_eq!((sum.cpu_milli, sum.extended("nvidia.com/gpu")), (500, 0));
        sum.raise_to(&gpu);
        assert_eq!((sum.cpu_milli, sum.memory, sum.extended("nvidia.com/gpu")), (1000, 1 << 30, 2));
    }
}
