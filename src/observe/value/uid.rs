//! Uids: nearly all are UUIDs, which take 16 bytes and no allocation.

use std::fmt;

use super::name::Name;

/// An object's uid, exactly as the API server wrote it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uid(Form);

/// A text that could be a UUID is always kept as one, so that equal uids have
/// one form.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Form {
    Uuid([u8; 16]),
    /// A static pod's uid is a hash; tests have their own.
    Text(Name),
}

/// Where a UUID has its dashes.
const DASHES: [usize; 4] = [8, 13, 18, 23];
const LENGTH: usize = 36;

impl Uid {
    /// The uid that is written like this.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(uuid(text).map_or_else(|| Form::Text(Name::from(text)), Form::Uuid))
    }
}

/// The bytes of a UUID in the one way in which Kubernetes writes them: lower
/// case, with dashes.
fn uuid(text: &str) -> Option<[u8; 16]> {
    let text = text.as_bytes();
    if text.len() != LENGTH {
        return None;
    }
    let mut bytes = [0; 16];
    let mut digits = 0;
    for (at, byte) in text.iter().enumerate() {
        if DASHES.contains(&at) {
            if *byte != b'-' {
                return None;
            }
            continue;
        }
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            _ => return None,
        };
        bytes[digits / 2] = bytes[digits / 2] << 4 | digit;
        digits += 1;
    }
    Some(bytes)
}

impl fmt::Display for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Form::Text(text) => f.write_str(text),
            Form::Uuid(bytes) => {
                for (at, byte) in bytes.iter().enumerate() {
                    if matches!(at, 4 | 6 | 8 | 10) {
                        f.write_str("-")?;
                    }
                    write!(f, "{byte:02x}")?;
                }
                Ok(())
            }
        }
    }
}

impl fmt::Debug for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

impl PartialEq<str> for Uid {
    fn eq(&self, other: &str) -> bool {
        match &self.0 {
            Form::Text(text) => **text == *other,
            Form::Uuid(bytes) => uuid(other).as_ref() == Some(bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;

    #[rstest]
    #[case::uuid("6f1c0b0e-93a5-4c8e-8f5e-0123456789ab")]
    #[case::upper_case("6F1C0B0E-93A5-4C8E-8F5E-0123456789AB")]
    #[case::static_pod("3b0fdb4ae5a5ba0ac9a0bd4fbb3b0a4e")]
    #[case::dash_elsewhere("6f1c0b0e93-a5-4c8e-8f5e-0123456789ab")]
    #[case::no_digit("6f1c0b0e-93a5-4c8e-8f5e-0123456789ag")]
    #[case::not_ascii("6f1c0b0e-93a5-4c8e-8f5e-0123456789é")]
    #[case::of_a_test("uid-web-1")]
    #[case::none("")]
    fn a_uid_is_what_was_written(#[case] text: &str) {
        assert_eq!(Uid::new(text).to_string(), text);
        assert_eq!(Uid::new(text), *text);
        assert_ne!(Uid::new(text), *"another");
    }

    proptest! {
        #[test]
        fn uids_are_equal_when_their_texts_are(one in "[0-9a-fA-F-]{36}|[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}", flip in 0..36_usize) {
            let mut other = one.clone().into_bytes();
            other[flip] = if other[flip] == b'0' { b'1' } else { b'0' };
            let other = String::from_utf8(other).unwrap();
            prop_assert_eq!(Uid::new(&one).to_string(), one.clone());
            prop_assert_eq!(Uid::new(&other).to_string(), other.clone());
            prop_assert!(Uid::new(&one) != Uid::new(&other) && Uid::new(&one) != *other.as_str());
        }
    }
}
