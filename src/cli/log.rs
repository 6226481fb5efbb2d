//! Log lines: one event is one line, which no terminal obeys, whatever others
//! wrote into it.

use std::io::{self, Write};

use serde_json::json;

use crate::api::text::{cut, plain};

/// The most bytes of a line; collectors cut longer ones in the middle of JSON.
const MOST: usize = 16 * 1024;

/// Writes log lines. The subscriber writes an event at once.
pub struct Lines<W> {
    out: W,
    json: bool,
}

impl<W: Write> Lines<W> {
    /// Lines that go to `out`, of text or of JSON.
    pub const fn new(out: W, json: bool) -> Self {
        Self { out, json }
    }
}

impl<W: Write> Write for Lines<W> {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(event);
        self.out.write_all(line(&text, self.json).as_bytes())?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

fn line(event: &str, json: bool) -> String {
    let event = event.strip_suffix('\n').unwrap_or(event);
    // Outside of its strings JSON has no such letters, and inside they may be
    // escaped like this.
    let safe = plain(cut(event, MOST + 1));
    if safe.len() <= MOST {
        return format!("{safe}\n");
    }
    let (begins, bytes) = (cut(&safe, MOST / 2), event.len());
    if json {
        let message = format!("a line of {bytes} bytes was cut");
        return format!("{}\n", json!({"level": "WARN", "message": message, "begins": begins}));
    }
    format!("{begins}… ({bytes} bytes)\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::text::is_unsafe;
    use rstest::rstest;
    use std::sync::{Arc, Mutex};
    use tracing::warn;

    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<Vec<u8>>>);

    impl Write for Page {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What is logged of a hostile message, as `zonespread run` logs it.
    fn logged(hostile: &str, json: bool) -> String {
        let page = Page::default();
        let writer = page.clone();
        let logger = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_writer(move || Lines::new(writer.clone(), json));
        let log = || warn!(policy = %hostile, error = ?hostile, "{hostile}");
        if json {
            tracing::subscriber::with_default(logger.json().finish(), log);
        } else {
            tracing::subscriber::with_default(logger.finish(), log);
        }
        String::from_utf8(page.0.lock().unwrap().clone()).unwrap()
    }

    #[rstest]
    #[case::lines("evicted\n2026-01-01T00:00:00Z  INFO zonespread: all is well\r\n")]
    #[case::colours("\u{1b}[2J\u{1b}]0;title\u{7}\u{9b}31m\u{7f}")]
    #[case::directions("web\u{202e}\u{2066}\u{200f}\u{2028}\u{feff}")]
    #[case::json("\"}\n{\"level\":\"INFO\",\"message\":\"all is well")]
    #[case::nothing("")]
    fn an_event_is_one_line_whatever_is_in_it(#[case] hostile: &str) {
        for json in [false, true] {
            let text = logged(hostile, json);
            let line = text.strip_suffix('\n').unwrap();
            assert!(!line.contains(is_unsafe), "{line:?}");
            if json {
                let read: serde_json::Value = serde_json::from_str(line).unwrap();
                assert_eq!(read["fields"]["message"], hostile);
            }
        }
    }

    #[test]
    fn a_line_of_a_megabyte_is_cut_and_stays_what_it_is() {
        let hostile = "\u{1b}\"\\é".repeat(200_000);
        for json in [false, true] {
            let text = logged(&hostile, json);
            let line = text.strip_suffix('\n').unwrap();
            assert!(line.len() < 2 * MOST && !line.contains(is_unsafe), "{}", line.len());
            if json {
                let read: serde_json::Value = serde_json::from_str(line).unwrap();
                assert!(read["message"].as_str().unwrap().ends_with("bytes was cut"));
            } else {
                assert!(line.ends_with("bytes)"), "{line}");
            }
        }
    }
}
