//! How far reading is, on a terminal.

use std::io::Read;
use std::path::PathBuf;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::cli::output::plain;

/// A bar on stderr; nothing where stderr is no terminal.
pub struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// For these files; their sizes are added up where all of them have one.
    pub fn new(paths: &[PathBuf]) -> Self {
        let size = |path: &PathBuf| {
            let known = std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file);
            known.map(|known| known.len())
        };
        let total: Option<u64> = paths.iter().map(size).sum();
        let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::stderr());
        let template = if total.is_some() {
            "{msg} [{wide_bar}] {bytes}/{total_bytes} {eta}"
        } else {
            "{msg} {bytes} {elapsed}"
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("=> "));
        }
        Self { bar }
    }

    /// Counts what is read of `name`.
    pub fn reads<R: Read>(&self, name: &str, reader: R) -> impl Read + use<R> {
        self.bar.set_message(plain(name).into_owned());
        self.bar.wrap_read(reader)
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
