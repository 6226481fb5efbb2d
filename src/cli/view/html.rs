//! Parts of HTML that the reports and the page of `ui` share. What others wrote gets in as text
//! only: markup is written by words of this program.

use std::borrow::Cow;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde::Serialize;

use crate::cli::output::plain;

/// The style of all of them.
pub const STYLE: &str = include_str!("report.css");

/// What pods do when a zone is lost: the class of a bar's part, and what it means.
pub const FATES: [(&str, &str); 5] = [
    ("stay", "go on in other zones"),
    ("go", "start again in other zones"),
    ("late", "come back once the nodes are deleted, or not at all"),
    ("unknown", "cannot be predicted"),
    ("wait", "stay Pending"),
];

/// Text without what HTML or a terminal would obey.
pub fn escaped(text: &str) -> Cow<'_, str> {
    let safe = plain(text);
    if !safe.contains(['<', '>', '&', '"', '\'']) {
        return safe;
    }
    let mut escaped = String::with_capacity(safe.len() + 16);
    for letter in safe.chars() {
        match letter {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            _ => escaped.push(letter),
        }
    }
    Cow::Owned(escaped)
}

/// HTML in the making.
#[derive(Debug, Default, Serialize)]
#[serde(transparent)]
pub struct Html(String);

/// Attributes: their values are escaped.
type Attributes<'a> = &'a [(&'static str, &'a str)];

impl Html {
    /// Markup of this program.
    pub fn raw(&mut self, markup: &'static str) {
        self.0.push_str(markup);
    }

    /// Text of whoever wrote it.
    pub fn text(&mut self, text: &str) {
        self.0.push_str(&escaped(text));
    }

    /// Opens an element.
    pub fn open(&mut self, tag: &'static str, attributes: Attributes<'_>) {
        self.0.push('<');
        self.0.push_str(tag);
        for (name, value) in attributes {
            self.0.push(' ');
            self.0.push_str(name);
            self.0.push_str("=\"");
            self.text(value);
            self.0.push('"');
        }
        self.0.push('>');
    }

    /// Closes it.
    pub fn close(&mut self, tag: &'static str) {
        self.0.push_str("</");
        self.0.push_str(tag);
        self.0.push('>');
    }

    /// An element that holds a text.
    pub fn element(&mut self, tag: &'static str, attributes: Attributes<'_>, text: &str) {
        self.open(tag, attributes);
        self.text(text);
        self.close(tag);
    }

    /// A word with a dot whose colour tells how well that is.
    pub fn chip(&mut self, word: &str) {
        self.element("span", &[("class", &format!("chip {word}"))], word);
    }

    /// A time: as it is, until the script counts how long ago it is or how long it lasts.
    pub fn time(&mut self, counts: Counts, time: &Time) {
        let counts = match counts {
            Counts::Up => "up",
            Counts::Down => "down",
        };
        let time = time.0.to_string();
        self.element("time", &[("datetime", &time), ("data-counts", counts)], &time);
    }

    /// A table that is scrolled sideways where it is too wide, by keys as well.
    pub fn table(&mut self, id: &str, label: &str, columns: &[&str], rows: impl FnOnce(&mut Self)) {
        let region = [
            ("class", "wide"),
            ("id", id),
            ("role", "region"),
            ("aria-label", label),
            ("tabindex", "0"),
        ];
        self.open("div", &region);
        self.raw("<table><thead><tr>");
        for column in columns {
            self.element("th", &[("scope", "col")], column);
        }
        self.raw("</tr></thead><tbody>");
        rows(self);
        self.raw("</tbody></table></div>");
    }

    /// A row of texts, the first of which is its head.
    pub fn row<S: AsRef<str>>(&mut self, cells: impl IntoIterator<Item = S>) {
        self.raw("<tr>");
        for (at, cell) in cells.into_iter().enumerate() {
            if at == 0 {
                self.element("th", &[("scope", "row")], cell.as_ref());
            } else {
                self.element("td", &[], cell.as_ref());
            }
        }
        self.raw("</tr>");
    }

    /// What the colours of bars mean, without those that no bar shows.
    pub fn legend(&mut self, shown: impl Fn(&str) -> bool) {
        self.raw("<p class=\"legend\">");
        for (class, means) in FATES.iter().filter(|(class, _)| shown(class)) {
            self.raw("<span>");
            self.element("i", &[("class", class)], "");
            self.raw(means);
            self.raw("</span>");
        }
        self.raw("</p>");
    }

    /// A bar: so many pods of each of the [`FATES`]. A drawing, since a style of its own would
    /// need a page that allows such.
    pub fn bar(&mut self, parts: [usize; FATES.len()]) {
        let all = parts.iter().sum::<usize>().max(1);
        let view = format!("0 0 {all} 1");
        let drawing = [
            ("class", "bar"),
            ("viewBox", view.as_str()),
            ("preserveAspectRatio", "none"),
            ("aria-hidden", "true"),
        ];
        self.open("svg", &drawing);
        let mut at = 0;
        for ((class, _), pods) in FATES.iter().zip(parts).filter(|(_, pods)| *pods > 0) {
            let (x, width) = (at.to_string(), pods.to_string());
            let part = [("class", *class), ("x", &x), ("width", &width), ("height", "1")];
            self.element("rect", &part, "");
            at += pods;
        }
        self.close("svg");
    }

    /// HTML that was written like this.
    pub fn append(&mut self, other: Self) {
        self.0.push_str(&other.0);
    }

    /// Whether nothing was written.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What was written.
    pub fn into_string(self) -> String {
        self.0
    }
}

/// How a time is shown.
#[derive(Clone, Copy, Debug)]
pub enum Counts {
    /// How long ago it is.
    Up,
    /// How long until then.
    Down,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_leave_their_place() {
        let hostile = "\"><script>alert('x')</script>&\u{202e}";
        let safe = r"&quot;&gt;&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&amp;\u202e";
        assert_eq!(escaped(hostile), safe);
        let mut html = Html::default();
        html.element("td", &[("title", hostile)], hostile);
        assert_eq!(html.into_string(), format!("<td title=\"{safe}\">{safe}</td>"));
    }

    #[test]
    fn a_bar_has_a_part_for_each_fate_that_pods_have() {
        let mut html = Html::default();
        html.bar([3, 0, 0, 0, 2]);
        let bar = html.into_string();
        assert!(bar.contains("viewBox=\"0 0 5 1\""), "{bar}");
        assert!(bar.contains("<rect class=\"wait\" x=\"3\" width=\"2\""), "{bar}");
        assert_eq!(bar.matches("<rect").count(), 2);
    }
}
