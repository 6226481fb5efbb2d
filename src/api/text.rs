//! Text for people: numbers with their nouns, and what others wrote, made safe
//! to show. Names, labels and messages reach logs, events, statuses and terminals.

use std::borrow::Cow;
use std::fmt::{Display, Write as _};

/// The most bytes of a message in a status or an event; the API allows 1024.
const MOST: usize = 1000;

/// A number with its noun, which takes an s in the plural: `1 move`, `2 moves`.
#[must_use]
pub fn counted(number: impl Display, noun: &str) -> String {
    let number = number.to_string();
    let plural = if number == "1" { "" } else { "s" };
    format!("{number} {noun}{plural}")
}

/// Text without what a terminal or a log would obey.
#[must_use]
pub fn plain(text: &str) -> Cow<'_, str> {
    escape(text, is_unsafe)
}

/// The same, cut to what the API takes for a message.
#[must_use]
pub fn bounded(text: &str) -> String {
    // What is cut off anyway need not be looked at.
    let mut text = plain(cut(text, MOST + 1)).into_owned();
    if text.len() > MOST {
        text.truncate(cut(&text, MOST).len());
        text.push('…');
    }
    text
}

/// The first bytes of a text, at most `most`, up to the end of a letter.
#[must_use]
pub fn cut(text: &str, most: usize) -> &str {
    &text[..text.floor_char_boundary(most)]
}

/// Controls, marks that change the direction of what follows, and letters
/// that end a line or have no width.
#[must_use]
pub fn is_unsafe(letter: char) -> bool {
    letter.is_control()
        || matches!(
            letter,
            '\u{61c}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2066}'..='\u{2069}'
                | '\u{feff}'
        )
}

/// Writes such letters as `\u001b`, which JSON strings may hold.
#[must_use]
pub fn escape(text: &str, unwanted: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&unwanted) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 8);
    for letter in text.chars() {
        if unwanted(letter) {
            // Writing to a String does not fail.
            let _ = write!(escaped, "\\u{:04x}", u32::from(letter));
        } else {
            escaped.push(letter);
        }
    }
    Cow::Owned(escaped)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn one_thing_is_not_several() {
        assert_eq!([0, 1, 2].map(|moves| counted(moves, "move")), ["0 moves", "1 move", "2 moves"]);
    }

    #[test]
    fn nothing_a_terminal_obeys_gets_through() {
        assert_eq!(
            plain("web\u{1b}[2J\u{9b}31m\r\n\u{202e}\u{2028}"),
            r"web\u001b[2J\u009b31m\u000d\u000a\u202e\u2028"
        );
        assert!(matches!(plain("größe-1"), Cow::Borrowed("größe-1")));
    }

    #[test]
    fn a_message_of_a_megabyte_is_cut() {
        let text = bounded(&"\u{1b}é".repeat(500_000));
        assert!(text.len() <= MOST + '…'.len_utf8() && text.ends_with('…'), "{}", text.len());
        assert_eq!(bounded("short"), "short");
        assert_eq!(bounded(&"a".repeat(MOST)), "a".repeat(MOST));
    }

    proptest! {
        #[test]
        fn whatever_is_written_is_one_bounded_line(text in "(?s).{0,2000}") {
            let told = bounded(&text);
            prop_assert!(told.len() <= MOST + 3 && !told.contains(is_unsafe));
        }
    }
}
