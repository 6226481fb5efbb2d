//! Shared names, label sets, owners, images and templates: pods of one workload differ in little.

use std::hash::{BuildHasher, Hash};
use std::sync::Arc;

use rustc_hash::{FxBuildHasher, FxHashMap};

use super::image::HeldImage;
use super::owner::Owner;
use super::template::Template;
use crate::observe::value::name::{Labels, Name};
use crate::observe::value::pool::{Pool, SWEEP_EVERY};

/// Keeps one copy of every name, label set, owner, image and template in use.
#[derive(Debug, Default)]
pub struct Interner {
    names: Pool<str>,
    labels: Pool<Labels>,
    owners: Pool<Owner>,
    images: Pool<HeldImage>,
    templates: FxHashMap<u64, Vec<Arc<Template>>>,
    new_templates: usize,
}

impl Interner {
    /// The one copy of `name`.
    pub fn name(&mut self, name: &str) -> Name {
        self.names.get(name)
    }

    /// The one copy of `labels`.
    pub fn labels(&mut self, labels: Labels) -> Arc<Labels> {
        self.labels.get(labels)
    }

    /// The one copy of `owner`.
    pub fn owner(&mut self, owner: Owner) -> Arc<Owner> {
        self.owners.get(owner)
    }

    /// The one copy of `image`.
    pub fn image(&mut self, image: HeldImage) -> Arc<HeldImage> {
        self.images.get(image)
    }

    /// The one copy of `template`.
    pub fn template(&mut self, template: Template) -> Arc<Template> {
        let hash = fingerprint(&template);
        let bucket = self.templates.entry(hash).or_default();
        if let Some(known) = bucket.iter().find(|known| ***known == template) {
            return Arc::clone(known);
        }
        let template = Arc::new(template);
        bucket.push(Arc::clone(&template));
        self.new_templates += 1;
        if self.new_templates >= SWEEP_EVERY {
            self.new_templates = 0;
            self.templates.retain(|_, bucket| {
                bucket.retain(|template| Arc::strong_count(template) > 1);
                !bucket.is_empty()
            });
        }
        template
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
