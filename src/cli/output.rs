//! What commands print: data to stdout, notes to stderr, and nothing that a
//! terminal would obey.

use std::io::{self, Write};

use clap::{Args, ValueEnum};
use serde::Serialize;

pub use crate::api::text::plain;
use crate::api::text::{cut, escape, is_unsafe};

use super::Failure;

/// How data is printed.
#[derive(Clone, Copy, Debug, Args)]
pub struct Output {
    /// How the answer is printed
    #[arg(short = 'o', long = "output", default_value = "table", value_name = "FORMAT")]
    format: Format,
}

/// A format of data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    Table,
    /// For programs
    Json,
    /// For programs and people
    Yaml,
}

impl Output {
    /// In this format.
    pub const fn of(format: Format) -> Self {
        Self { format }
    }

    /// The format that was asked for.
    pub const fn format(self) -> Format {
        self.format
    }

    /// Prints `data`: as it is to programs, or what `table` makes of it.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn print<T: Serialize>(
        self,
        data: &T,
        table: impl FnOnce(&T) -> String,
    ) -> Result<(), Failure> {
        let text = match self.format {
            Format::Table => table(data),
            Format::Json => json(data)?,
            Format::Yaml => yaml(data)?,
        };
        let mut stdout = io::stdout().lock();
        stdout.write_all(text.as_bytes())?;
        Ok(stdout.flush()?)
    }
}

fn json<T: Serialize>(data: &T) -> serde_json::Result<String> {
    let mut text = serde_json::to_string_pretty(data)?;
    text.push('\n');
    // JSON may hold these as they are, but terminals obey them. They occur in strings only.
    Ok(escape(&text, |letter| is_unsafe(letter) && letter != '\n').into_owned())
}

fn yaml<T: Serialize>(data: &T) -> Result<String, Failure> {
    // By way of a JSON value: numbers, strings and maps only.
    let text = serde_saphyr::to_string(&serde_json::to_value(data)?)?;
    Ok(escape(&text, |letter| is_unsafe(letter) && letter != '\n').into_owned())
}

/// The most bytes of a note: an error may quote what it found, whatever its length.
const NOTE: usize = 4000;

/// Prints a note for the user beside the answer.
pub fn note(text: &str) {
    // With stderr closed there is nobody to read it.
    let _ = writeln!(io::stderr().lock(), "{}", note_line(text));
}

fn note_line(text: &str) -> String {
    let shown = cut(text, NOTE);
    let more = if shown.len() < text.len() { "…" } else { "" };
    format!("{}{more}", plain(shown))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_of_a_megabyte_is_one_line_of_a_screen() {
        let text = note_line(&format!("no such thing: \u{1b}[2J\n{}", "x".repeat(1 << 20)));
        assert!(text.starts_with(r"no such thing: \u001b[2J\u000axx") && text.ends_with('…'));
        assert!(text.len() < NOTE + 100, "{}", text.len());
        assert_eq!(note_line("short"), "short");
    }

    #[test]
    fn data_reads_back_as_it_was() {
        let hostile = "a\u{1b}[31m\u{9b}\u{7f}\u{202e}\n\"z\"";
        let json = json(&hostile).unwrap();
        assert!(!json.trim_end().contains(is_unsafe), "{json:?}");
        assert_eq!(serde_json::from_str::<String>(&json).unwrap(), hostile);
        let yaml = yaml(&hostile).unwrap();
        assert!(!yaml.trim_end().contains(is_unsafe), "{yaml:?}");
        assert_eq!(serde_saphyr::from_str::<String>(&yaml).unwrap(), hostile);
    }
}
