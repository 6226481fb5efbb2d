//! Shared names, label sets, owners, images and templates: pods of one workload differ in little.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, Hash};
use std::sync::Arc;

use rustc_hash::{FxBuildHasher, FxHashMap, FxHashSet};

use super::node::HeldImage;
use super::pod::Owner;
use super::pod_spec::WatchedPodSpec;
use super::template::Template;

/// A name that is stored once.
pub type Name = Arc<str>;

/// Labels of a pod or node.
pub type Labels = BTreeMap<String, String>;

/// Keeps one copy of every name, label set, owner and template in use.
#[derive(Debug, Default)]
pub struct Interner {
    names: FxHashSet<Name>,
    labels: FxHashSet<Arc<Labels>>,
    owners: FxHashSet<Arc<Owner>>,
    images: FxHashSet<Arc<HeldImage>>,
    templates: FxHashMap<u64, Vec<Arc<Template>>>,
    inserts: usize,
}

/// After this many new entries, those that nobody uses any more are dropped.
const SWEEP_EVERY: usize = 65_536;

impl Interner {
    /// The one copy of `name`.
    pub fn name(&mut self, name: &str) -> Name {
        if let Some(known) = self.names.get(name) {
            return Arc::clone(known);
        }
        self.count_insert();
        let name: Name = Arc::from(name);
        self.names.insert(Arc::clone(&name));
        name
    }

    /// The one copy of `labels`.
    pub fn labels(&mut self, labels: Labels) -> Arc<Labels> {
        if let Some(known) = self.labels.get(&labels) {
            return Arc::clone(known);
        }
        self.count_insert();
        let labels = Arc::new(labels);
        self.labels.insert(Arc::clone(&labels));
        labels
    }

    /// The one copy of `owner`.
    pub fn owner(&mut self, owner: Owner) -> Arc<Owner> {
        if let Some(known) = self.owners.get(&owner) {
            return Arc::clone(known);
        }
        self.count_insert();
        let owner = Arc::new(owner);
        self.owners.insert(Arc::clone(&owner));
        owner
    }

    /// The one copy of `image`.
    pub fn image(&mut self, image: HeldImage) -> Arc<HeldImage> {
        if let Some(known) = self.images.get(&image) {
            return Arc::clone(known);
        }
        self.count_insert();
        let image = Arc::new(image);
        self.images.insert(Arc::clone(&image));
        image
    }

    /// The one template made from `spec`.
    pub fn template(&mut self, spec: WatchedPodSpec) -> Arc<Template> {
        let template = Template::new(spec);
        let hash = fingerprint(&template);
        let bucket = self.templates.entry(hash).or_default();
        if let Some(known) = bucket.iter().find(|known| ***known == template) {
            return Arc::clone(known);
        }
        let template = Arc::new(template);
        bucket.push(Arc::clone(&template));
        self.count_insert();
        template
    }

    fn count_insert(&mut self) {
        self.inserts += 1;
        if self.inserts >= SWEEP_EVERY {
            self.inserts = 0;
            self.images.retain(|image| Arc::strong_count(image) > 1);
            self.owners.retain(|owner| Arc::strong_count(owner) > 1);
            self.names.retain(|name| Arc::strong_count(name) > 1);
            self.labels.retain(|labels| Arc::strong_count(labels) > 1);
            self.templates.retain(|_, bucket| {
                bucket.retain(|template| Arc::strong_count(template) > 1);
                !bucket.is_empty()
            });
        }
    }
}

/// A hash that equal templates share. Floats are absent from pod specs, so
/// what is hashed are the fields that tell workloads apart in practice;
/// equality decides the rest.
fn fingerprint(template: &Template) -> u64 {
    let mut hasher = FxBuildHasher.build_hasher();
    template.requests.hash(&mut hasher);
    template.images.hash(&mut hasher);
    template.volumes.hash(&mut hasher);
    template.spread.len().hash(&mut hasher);
    template.priority.hash(&mut hasher);
    std::hash::Hasher::finish(&hasher)
}
