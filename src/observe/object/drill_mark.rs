//! The mark on a node that a drill closes: which drill, and until when at most, so that whoever
//! leads can open the zone again without the drill's object.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// What the annotation `zonespread.io/drill` says.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct DrillMark {
    /// The name of the drill.
    pub drill: String,
    /// Its uid.
    pub uid: String,
    /// When it must be over.
    pub until: Timestamp,
}

impl DrillMark {
    /// The mark in the words of the annotation. What cannot be read belongs to no drill, and
    /// should long be gone.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        serde_json::from_str(text).unwrap_or_else(|_| Self {
            drill: String::new(),
            uid: String::new(),
            until: Timestamp::UNIX_EPOCH,
        })
    }
}

impl std::fmt::Display for DrillMark {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&serde_json::to_string(self).map_err(|_| std::fmt::Error)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_reads_as_it_was_written_and_what_is_none_is_over() {
        let until = "2026-11-28T05:00:00Z".parse().unwrap();
        let mark = DrillMark { drill: "friday".to_owned(), uid: "u".to_owned(), until };
        assert_eq!(DrillMark::parse(&mark.to_string()), mark);
        assert_eq!(DrillMark::parse("mine").until, Timestamp::UNIX_EPOCH);
    }
}
