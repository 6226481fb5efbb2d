//! A map whose first entries were read before its type was known.

use serde::de::value::{MapAccessDeserializer, StringDeserializer};
use serde::de::{DeserializeSeed, Error, IntoDeserializer, MapAccess};
use serde_json::Value;

/// The entries read so far, then the rest of the map: nothing is read twice,
/// and most of an object is never held as a [`Value`].
pub struct Replay<A> {
    read: std::vec::IntoIter<(String, Value)>,
    value: Option<Value>,
    /// A key that was read, and whose value was not.
    key: Option<String>,
    rest: Option<A>,
}

impl<'de, A: MapAccess<'de>> Replay<A> {
    /// A map that was read to its end.
    pub fn whole(read: Vec<(String, Value)>) -> Self {
        Self { read: read.into_iter(), value: None, key: None, rest: None }
    }

    /// A map that was read up to the value of `key`.
    pub fn up_to(read: Vec<(String, Value)>, key: String, rest: A) -> Self {
        Self { read: read.into_iter(), value: None, key: Some(key), rest: Some(rest) }
    }

    /// As a deserializer.
    pub fn deserializer(self) -> MapAccessDeserializer<Self> {
        MapAccessDeserializer::new(self)
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Replay<A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Self::Error> {
        let key = if let Some((key, value)) = self.read.next() {
            self.value = Some(value);
            Some(key)
        } else {
            self.key.take()
        };
        match (key, &mut self.rest) {
            (Some(key), _) => {
                let key: StringDeserializer<Self::Error> = key.into_deserializer();
                seed.deserialize(key).map(Some)
            }
            (None, Some(rest)) => rest.next_key_seed(seed),
            (None, None) => Ok(None),
        }
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(
        &mut self,
        seed: V,
    ) -> Result<V::Value, Self::Error> {
        match (self.value.take(), &mut self.rest) {
            (Some(value), _) => seed.deserialize(value).map_err(Self::Error::custom),
            (None, Some(rest)) => rest.next_value_seed(seed),
            (None, None) => Err(Self::Error::custom("a value without a key")),
        }
    }
}
