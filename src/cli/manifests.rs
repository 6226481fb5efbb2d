//! Manifests in files and directories, document by document: each with the line in which it
//! begins, so that what is found can be shown there.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Cursor};
use std::path::{Path, PathBuf};

use crate::lint::{Declared, Place};
use crate::observe::Change;

use super::Failure;
use super::offline::{Contents, OfflineError, Whole, is_stdin, name_of, read_into};

/// What is done with manifests.
pub struct Manifests<'a> {
    /// Where watched objects go.
    pub sink: &'a mut dyn FnMut(Change),
    /// What they say beyond that.
    pub declared: &'a mut Declared,
    /// What was found.
    pub contents: Contents,
    /// What of directories could not be read, and why.
    pub unread: Vec<String>,
}

/// How a file came to be read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Named {
    /// By its own name: it must be readable.
    Itself,
    /// As one of a directory, which may hold other files, too.
    ByDirectory,
}

impl<'a> Manifests<'a> {
    /// None yet.
    pub fn new(sink: &'a mut dyn FnMut(Change), declared: &'a mut Declared) -> Self {
        Self { sink, declared, contents: Contents::default(), unread: Vec::new() }
    }

    /// Reads files, the files of directories, and stdin.
    ///
    /// # Errors
    /// When one of those named cannot be read.
    pub fn read(&mut self, paths: &[PathBuf]) -> Result<(), Failure> {
        for path in paths {
            if is_stdin(path) {
                self.read_yaml("stdin", io::stdin().lock(), Named::Itself)?;
            } else if path.is_dir() {
                let mut files = Vec::new();
                find_files(path, &mut files).map_err(|error| unreadable(path, error))?;
                for file in files {
                    self.read_file(&file, Named::ByDirectory)?;
                }
            } else {
                self.read_file(path, Named::Itself)?;
            }
        }
        Ok(())
    }

    fn read_file(&mut self, path: &Path, named: Named) -> Result<(), Failure> {
        let mut file = match File::open(path) {
            Ok(file) => BufReader::with_capacity(1 << 18, file),
            Err(error) => return self.failed(unreadable(path, error), named),
        };
        let start = file.fill_buf().unwrap_or_default();
        let is_json = matches!(start.trim_ascii_start().first(), Some(b'{' | b'['));
        let name = name_of(path);
        if !is_json {
            return self.read_yaml(&name, file, named);
        }
        if named == Named::ByDirectory && !is_kubernetes_json(path) {
            return Ok(());
        }
        self.take(&name, file, 1, named)
    }

    /// Reads YAML, one document after the other.
    fn read_yaml(&mut self, name: &str, reader: impl BufRead, named: Named) -> Result<(), Failure> {
        let mut document = String::new();
        let mut begins = 1;
        for (at, line) in reader.lines().enumerate() {
            let line = match line {
                Ok(line) => line,
                Err(source) => {
                    let error = OfflineError::Unreadable { name: name.to_owned(), source };
                    return self.failed(error, named);
                }
            };
            if line == "---" || line.starts_with("--- ") {
                self.read_document(name, &document, begins, named)?;
                document.clear();
                begins = at + 2;
            } else {
                document.push_str(&line);
                document.push('\n');
            }
        }
        self.read_document(name, &document, begins, named)
    }

    fn read_document(
        &mut self,
        name: &str,
        document: &str,
        begins: usize,
        named: Named,
    ) -> Result<(), Failure> {
        let is_text = |line: &str| !line.trim().is_empty() && !line.trim_start().starts_with('#');
        let Some(first) = document.lines().position(is_text) else { return Ok(()) };
        if named == Named::ByDirectory {
            let has = |key: &str| document.lines().any(|line| line.starts_with(key));
            if !(has("apiVersion:") && has("kind:")) {
                return Ok(());
            }
            if document.lines().any(|line| line.trim_start().starts_with("{{")) {
                let line = begins + first;
                self.unread.push(format!("{name}: line {line}: a template: render it first"));
                return Ok(());
            }
        }
        // Errors tell the line of the file.
        let padded = "\n".repeat(begins - 1) + document;
        self.take(name, Cursor::new(padded), begins + first, named)
    }

    fn take(
        &mut self,
        name: &str,
        reader: impl io::Read,
        line: usize,
        named: Named,
    ) -> Result<(), Failure> {
        let place = Place { file: name.to_owned(), line };
        let (declared, unread) = (&mut *self.declared, &mut self.unread);
        let mut whole = |Whole { kind, object, .. }: Whole| {
            if let Err(error) = declared.add(&kind, &object, Some(place.clone())) {
                let known = object["metadata"]["name"].as_str().unwrap_or_default();
                unread.push(format!("{name}: {kind} {known}: {error}"));
            }
        };
        let read = read_into(name, reader, &mut self.contents, &mut *self.sink, Some(&mut whole));
        read.or_else(|error| self.failed(error, named))
    }

    fn failed(&mut self, error: OfflineError, named: Named) -> Result<(), Failure> {
        if named == Named::Itself {
            return Err(error.into());
        }
        self.unread.push(error.to_string());
        Ok(())
    }
}

fn unreadable(path: &Path, source: io::Error) -> OfflineError {
    OfflineError::Unreadable { name: name_of(path), source }
}

/// The YAML and JSON files below a directory, by name; hidden ones are left out, and links
/// are not followed.
fn find_files(directory: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    let mut entries: Vec<fs::DirEntry> = fs::read_dir(directory)?.collect::<io::Result<_>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        let is_hidden = entry.file_name().to_string_lossy().starts_with('.');
        let kind = entry.file_type()?;
        if is_hidden {
            continue;
        }
        if kind.is_dir() {
            find_files(&path, files)?;
        } else if kind.is_file() {
            let extension = path.extension().and_then(|known| known.to_str());
            if matches!(extension, Some("yaml" | "yml" | "json")) {
                files.push(path);
            }
        }
    }
    Ok(())
}

/// Whether a JSON file of a directory looks like a manifest.
fn is_kubernetes_json(path: &Path) -> bool {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.contains("\"apiVersion\"") && text.contains("\"kind\"")
}
