//! Clusters out of files: what `kubectl get … -o yaml` or `-o json` prints.

mod contents;
mod missing;
mod object;
mod progress;
mod replay;

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use serde::de::{DeserializeSeed, Deserializer};
use thiserror::Error;

use crate::observe::Change;

pub use contents::Contents;
pub use missing::missing_kinds;
use object::Intake;
pub use object::Whole;
use progress::Progress;

/// Why files cannot be read.
#[derive(Debug, Error)]
pub enum OfflineError {
    /// It cannot be opened or read.
    #[error("{name}: {source}")]
    Unreadable {
        /// The file.
        name: String,
        /// Why.
        source: io::Error,
    },
    /// It is not what kubectl prints.
    #[error("{name}: {place}{message}{}", context.as_ref().map(|at| format!(" ({at})")).unwrap_or_default())]
    Wrong {
        /// The file.
        name: String,
        /// Line and column.
        place: String,
        /// What is wrong.
        message: String,
        /// The objects around.
        context: Option<String>,
    },
    /// There is nothing in it.
    #[error("{name} is empty")]
    Empty {
        /// The file.
        name: String,
    },
}

/// Reads files, `-` being stdin, and hands every object that matters to `sink`.
///
/// # Errors
/// When a file cannot be read, or is not what kubectl prints.
pub fn read_files(
    paths: &[PathBuf],
    sink: &mut dyn FnMut(Change),
) -> Result<Contents, OfflineError> {
    let progress = Progress::new(paths);
    let mut contents = Contents::default();
    for path in paths {
        let name = name_of(path);
        let unreadable = |source| OfflineError::Unreadable { name: name.clone(), source };
        if is_stdin(path) {
            let reader = progress.reads("stdin", io::stdin().lock());
            read(&name, reader, &mut contents, sink)?;
        } else {
            let file = File::open(path).map_err(unreadable)?;
            let reader = progress.reads(&name, file);
            read(&name, reader, &mut contents, sink)?;
        }
    }
    Ok(contents)
}

/// Whether a path stands for stdin.
#[must_use]
pub fn is_stdin(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// The name of a file in messages.
#[must_use]
pub fn name_of(path: &Path) -> String {
    if is_stdin(path) { "stdin".to_owned() } else { path.display().to_string() }
}

/// Reads one file; `name` is its name in messages.
///
/// # Errors
/// When it cannot be read, or is not what kubectl prints.
pub fn read(
    name: &str,
    reader: impl Read,
    contents: &mut Contents,
    sink: &mut dyn FnMut(Change),
) -> Result<(), OfflineError> {
    read_into(name, reader, contents, sink, None)
}

/// The same; what says more than what is watched goes to `whole`, too.
///
/// # Errors
/// When it cannot be read, or is not what kubectl prints.
pub fn read_into(
    name: &str,
    reader: impl Read,
    contents: &mut Contents,
    sink: &mut dyn FnMut(Change),
    whole: Option<&mut dyn FnMut(Whole)>,
) -> Result<(), OfflineError> {
    let mut reader = BufReader::with_capacity(1 << 18, reader);
    let unreadable = |source| OfflineError::Unreadable { name: name.to_owned(), source };
    let start = reader.fill_buf().map_err(unreadable)?;
    let is_json = match start.trim_ascii_start().first() {
        None if start.is_empty() => return Err(OfflineError::Empty { name: name.to_owned() }),
        first => matches!(first, Some(b'{' | b'[')),
    };
    match whole {
        whole if is_json => read_json(name, reader, contents, sink, whole),
        None => read_yaml::<false>(name, reader, contents, sink, &mut |_| {}),
        Some(whole) => read_yaml::<true>(name, reader, contents, sink, whole),
    }
}

/// One JSON document after the other.
fn read_json(
    name: &str,
    reader: impl Read,
    contents: &mut Contents,
    sink: &mut dyn FnMut(Change),
    mut whole: Option<&mut dyn FnMut(Whole)>,
) -> Result<(), OfflineError> {
    let mut documents = serde_json::Deserializer::from_reader(reader);
    // `end` fails while there is more.
    while documents.end().is_err() {
        let mut intake = Intake::new(contents, sink);
        if let Some(whole) = &mut whole {
            intake.whole = Some(&mut **whole);
        }
        if let Err(error) = intake.deserialize(&mut documents) {
            let (line, column) = (error.line(), error.column());
            let message = error.to_string();
            let place = format!(" at line {line} column {column}");
            let message = if error.is_eof() {
                "the file ends in the middle of an object: is it cut off?"
            } else {
                message.strip_suffix(&place).unwrap_or(&message)
            };
            return Err(OfflineError::Wrong {
                name: name.to_owned(),
                place: place_of(line, column),
                message: message.to_owned(),
                context: contents.place(),
            });
        }
    }
    Ok(())
}

fn place_of(line: impl std::fmt::Display, column: impl std::fmt::Display) -> String {
    format!("line {line}, column {column}: ")
}

/// What one YAML document holds: the reader of documents knows no seeds.
struct Document<const WHOLE: bool> {
    contents: Contents,
    changes: Vec<Change>,
    wholes: Vec<Whole>,
}

impl<'de, const WHOLE: bool> serde::Deserialize<'de> for Document<WHOLE> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut document =
            Self { contents: Contents::default(), changes: Vec::new(), wholes: Vec::new() };
        let mut collect = |change| document.changes.push(change);
        let mut collect_whole = |whole| document.wholes.push(whole);
        let mut intake = Intake::new(&mut document.contents, &mut collect);
        if WHOLE {
            intake.whole = Some(&mut collect_whole);
        }
        intake.deserialize(deserializer)?;
        Ok(document)
    }
}

/// One YAML document after the other.
fn read_yaml<const WHOLE: bool>(
    name: &str,
    mut reader: impl Read,
    contents: &mut Contents,
    sink: &mut dyn FnMut(Change),
    whole: &mut dyn FnMut(Whole),
) -> Result<(), OfflineError> {
    // A dump is as large as its cluster; the limits are those of a document from strangers.
    let options = serde_saphyr::options! {
        with_snippet: false,
        // Comments are skipped: by default more than 32 in a row are an error.
        emit_comments: false,
        budget: serde_saphyr::budget! {
            max_reader_input_bytes: None,
            max_events: usize::MAX,
            max_nodes: usize::MAX,
            max_total_scalar_bytes: usize::MAX,
            max_documents: usize::MAX,
            // kubectl writes no anchors; what people write by hand is short.
            max_recorded_anchor_events: 20_000,
        },
    };
    for document in serde_saphyr::read_with_options::<_, Document<WHOLE>>(&mut reader, options) {
        let document = document.map_err(|error| {
            let mut place = String::new();
            let mut message = error.to_string();
            if let Some(at) = error.location().filter(|at| at.line() > 0) {
                place = place_of(at.line(), at.column());
                let told = format!(" at line {}, column {}", at.line(), at.column());
                message = message.replace(&told, "");
            }
            OfflineError::Wrong { name: name.to_owned(), place, message, context: contents.place() }
        })?;
        contents.add(document.contents);
        document.changes.into_iter().for_each(&mut *sink);
        document.wholes.into_iter().for_each(&mut *whole);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
