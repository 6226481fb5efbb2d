//! Objects as kubectl prints them: one, a List of them, or an array. Lists
//! are taken in item by item, so that their length costs no memory.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use crate::lint::Declared;
use crate::observe::{Change, Kind, KindVisitor, Watched};

use super::contents::Contents;
use super::replay::Replay;

/// An object with all that it says.
#[derive(Clone, Debug)]
pub struct Whole {
    /// Its `apiVersion`.
    pub api_version: String,
    /// Its kind.
    pub kind: String,
    /// All of it.
    pub object: Value,
}

/// Takes in what a document holds.
pub struct Intake<'a> {
    /// What was found so far.
    pub contents: &'a mut Contents,
    /// Where objects go.
    pub sink: &'a mut dyn FnMut(Change),
    /// Where objects go whole that say more than what is watched, if anybody wants them.
    pub whole: Option<&'a mut dyn FnMut(Whole)>,
    /// What objects without a kind are: the items of a PodList carry none.
    item: Option<(String, String)>,
}

impl<'a> Intake<'a> {
    /// Objects go to `sink`, and are counted in `contents`.
    pub fn new(contents: &'a mut Contents, sink: &'a mut dyn FnMut(Change)) -> Self {
        Self { contents, sink, whole: None, item: None }
    }

    fn reborrow(&mut self) -> Intake<'_> {
        Intake {
            contents: self.contents,
            sink: self.sink,
            whole: match &mut self.whole {
                Some(whole) => Some(&mut **whole),
                None => None,
            },
            item: self.item.clone(),
        }
    }

    /// Hands an object over whole, where somebody wants it; its entries.
    fn hand_over<'de, A: MapAccess<'de>>(
        &mut self,
        api_version: &str,
        kind: &str,
        read: Vec<(String, Value)>,
        rest: Option<(String, A)>,
    ) -> Result<Vec<(String, Value)>, A::Error> {
        let mut object: serde_json::Map<String, Value> = read.into_iter().collect();
        if let Some((key, mut map)) = rest {
            object.insert(key, map.next_value()?);
            while let Some((key, value)) = map.next_entry()? {
                object.insert(key, value);
            }
        }
        let (api_version, kind) = (api_version.to_owned(), kind.to_owned());
        if let Some(whole) = &mut self.whole {
            whole(Whole { api_version, kind, object: Value::Object(object.clone()) });
        }
        Ok(object.into_iter().collect())
    }

    fn take<'de, A: MapAccess<'de>>(
        &mut self,
        api_version: String,
        kind: String,
        mut read: Vec<(String, Value)>,
        rest: Option<(String, A)>,
    ) -> Result<(), A::Error> {
        let mut rest = rest;
        let is_wanted = self.whole.is_some() && Declared::wants(&api_version, &kind);
        if is_wanted {
            read = self.hand_over(&api_version, &kind, read, rest.take())?;
        }
        let Some(known) = Kind::of(&api_version, &kind) else {
            if let Some((_, mut map)) = rest {
                map.next_value::<IgnoredAny>()?;
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            }
            if !is_wanted {
                self.contents.skip(&kind);
            }
            return Ok(());
        };
        self.contents.begin(&kind);
        read.push(("apiVersion".to_owned(), Value::String(api_version)));
        read.push(("kind".to_owned(), Value::String(kind)));
        let map = match rest {
            Some((key, map)) => Replay::up_to(read, key, map),
            None => Replay::whole(read),
        };
        let mut change = known.visit(Read(map, PhantomData))?;
        if let Some(metadata) = change.metadata_mut() {
            let Some(name) = metadata.name.as_deref().filter(|name| !name.is_empty()) else {
                return Err(A::Error::custom("metadata.name is missing"));
            };
            self.contents.end(known, metadata.namespace.as_deref(), name);
            if known.is_namespaced() && metadata.namespace.is_none() {
                metadata.namespace = Some("default".to_owned());
            }
        }
        (self.sink)(change);
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Intake<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Intake<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a Kubernetes object or a list of them")
    }

    /// An empty document, or a list whose items are null.
    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<(), A::Error> {
        while items.next_element_seed(self.reborrow())?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        let mut api_version: Option<String> = None;
        let mut kind: Option<String> = None;
        let mut is_list = false;
        let mut read: Vec<(String, Value)> = Vec::new();
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "apiVersion" => api_version = Some(map.next_value()?),
                "kind" => kind = Some(map.next_value()?),
                "items" if kind.as_deref().is_none_or(|kind| kind.ends_with("List")) => {
                    is_list = true;
                    let mut items = self.reborrow();
                    items.item = api_version.clone().zip(kind.as_deref().and_then(item_kind));
                    map.next_value_seed(items)?;
                }
                _ => match (&api_version, &kind, is_list) {
                    // The metadata of a list.
                    (_, _, true) => {
                        map.next_value::<IgnoredAny>()?;
                    }
                    // Known by now, as kubectl sorts the keys: the rest goes straight into its type.
                    (Some(api_version), Some(kind), false) if !kind.ends_with("List") => {
                        let (api_version, kind) = (api_version.clone(), kind.clone());
                        return self.take(api_version, kind, read, Some((key, map)));
                    }
                    _ => read.push((key, map.next_value()?)),
                },
            }
        }
        if is_list {
            // kubectl prints the kind of a list after its items.
            return match (api_version, kind) {
                (Some(_), None) => {
                    let last = self.contents.place().unwrap_or_default();
                    Err(A::Error::custom(format!(
                        "a list without a kind, which comes after its items: is the file cut off {last}?"
                    )))
                }
                _ => Ok(()),
            };
        }
        let (default_version, default_kind) = self.item.take().unzip();
        match (api_version.or(default_version), kind.or(default_kind)) {
            // A list without items.
            (Some(_), Some(kind)) if kind.ends_with("List") => Ok(()),
            (Some(api_version), Some(kind)) => self.take::<A>(api_version, kind, read, None),
            (None, _) => Err(A::Error::custom("an object without apiVersion")),
            (_, None) => Err(A::Error::custom("an object without kind")),
        }
    }
}

/// The kind of the items of a list: Pod for a PodList, unknown for a List.
fn item_kind(list: &str) -> Option<String> {
    list.strip_suffix("List").filter(|kind| !kind.is_empty()).map(str::to_owned)
}

/// Reads an object as the type of its kind.
struct Read<'de, A>(Replay<A>, PhantomData<&'de ()>);

impl<'de, A: MapAccess<'de>> KindVisitor for Read<'de, A> {
    type Output = Result<Change, A::Error>;

    fn visit<K: Watched>(self) -> Self::Output {
        K::deserialize(self.0.deserializer()).map(Watched::applied)
    }
}
