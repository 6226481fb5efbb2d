//! Tables as kubectl prints them: columns, no lines, no colours.

use comfy_table::{Cell, Row, Table};

use crate::api::text::bounded;

/// How wide a table may be, in letters.
const WIDTH: usize = 100;
/// What is between two columns.
const GAP: usize = 3;

/// A table in the making.
pub struct Grid {
    columns: Vec<String>,
    rows: Vec<Vec<String>>,
    /// Columns that make way in a table that is too wide, the first to go first.
    notes: Vec<usize>,
}

impl Grid {
    /// A table with these columns.
    pub fn new<S: AsRef<str>>(columns: impl IntoIterator<Item = S>) -> Self {
        Self { columns: cells(columns), rows: Vec::new(), notes: Vec::new() }
    }

    /// If the table is too wide, these columns go, the first of them first: what they hold
    /// is in a line of its own under the row, whole, so that it can be copied.
    pub fn with_notes<'c>(mut self, columns: impl IntoIterator<Item = &'c str>) -> Self {
        let columns = columns.into_iter();
        let at = |column: &str| self.columns.iter().rposition(|known| known == column);
        self.notes = columns.filter_map(at).collect();
        self
    }

    /// Adds a row.
    pub fn row<S: AsRef<str>>(&mut self, cells: impl IntoIterator<Item = S>) {
        self.rows.push(self::cells(cells));
    }

    /// The rows, each ended by a newline.
    pub fn print(self) -> String {
        let apart = self.too_wide();
        let kept = |cells: &[String]| {
            let kept = cells.iter().enumerate().filter(|(at, _)| !apart.contains(at));
            Row::from(kept.map(|(_, cell)| Cell::new(cell)).collect::<Vec<_>>())
        };
        let mut table = Table::new();
        table.load_style(comfy_table::presets::NOTHING);
        table.set_header(kept(&self.columns));
        for row in &self.rows {
            table.add_row(kept(row));
        }
        let padding = u16::try_from(GAP).unwrap_or(0);
        for column in table.column_iter_mut() {
            column.set_padding((0, padding));
        }
        let mut text = String::new();
        let rows = std::iter::once(None).chain(self.rows.iter().map(Some));
        for (line, row) in table.trim_fmt().lines().zip(rows) {
            text.push_str(line);
            text.push('\n');
            if let Some(note) = row.and_then(|row| self.note(row, &apart)) {
                text.push_str(&" ".repeat(GAP));
                text.push_str(&note);
                text.push('\n');
            }
        }
        text
    }

    /// The columns without which the table is narrow enough, as far as they may go.
    fn too_wide(&self) -> Vec<usize> {
        let letters = |cells: &Vec<String>, at: usize| {
            cells.get(at).map_or(0, |cell: &String| cell.chars().count())
        };
        let width_of = |at: usize| {
            let cells = self.rows.iter().chain([&self.columns]);
            cells.map(|cells| letters(cells, at)).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.columns.len()).map(width_of).collect();
        let mut apart: Vec<usize> = Vec::new();
        for next in self.notes.iter().map(Some).chain([None]) {
            let kept = widths.iter().enumerate().filter(|(at, _)| !apart.contains(at));
            let width: usize = kept.map(|(_, width)| width + GAP).sum();
            if width <= WIDTH + GAP {
                break;
            }
            apart.extend(next);
        }
        apart
    }

    /// What a row says in the columns that made way.
    fn note(&self, row: &[String], apart: &[usize]) -> Option<String> {
        let told = apart.iter().filter_map(|at| {
            let cell = row.get(*at).filter(|cell| !cell.is_empty() && *cell != "-")?;
            let column = self.columns.get(*at).map(|column| column.to_lowercase());
            match column.as_deref() {
                None | Some("" | "message") => Some(cell.clone()),
                Some(column) => Some(format!("{column}: {cell}")),
            }
        });
        let told: Vec<String> = told.collect();
        (!told.is_empty()).then(|| told.join("; "))
    }
}

fn cells<S: AsRef<str>>(cells: impl IntoIterator<Item = S>) -> Vec<String> {
    cells.into_iter().map(|cell| bounded(cell.as_ref())).collect()
}

/// The text, or a dash for none.
pub fn or_dash(text: Option<&str>) -> &str {
    text.filter(|text| !text.is_empty()).unwrap_or("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moved(node: &str, message: &str) -> String {
        let mut grid = Grid::new(["MOVED", "NODE", "STATE", "MESSAGE"]);
        grid = grid.with_notes(["MESSAGE", "NODE"]);
        grid.row(["web-1", node, "Missed", message]);
        grid.row(["web-2", "-", "Evicted", ""]);
        grid.print()
    }

    #[test]
    fn what_makes_a_table_too_wide_is_told_under_the_row() {
        assert_eq!(
            moved("b1", "landed in b"),
            "MOVED   NODE   STATE     MESSAGE\n\
             web-1   b1     Missed    landed in b\n\
             web-2   -      Evicted\n"
        );
        let message = "landed in b, expected c: ".repeat(5);
        assert_eq!(
            moved("b1", &message),
            format!(
                "MOVED   NODE   STATE\n\
                 web-1   b1     Missed\n   {message}\n\
                 web-2   -      Evicted\n"
            )
        );
        let node = format!("ip-10-0-0-1.{}internal", "eu-west-2.compute.".repeat(5));
        assert_eq!(
            moved(&node, &message),
            format!(
                "MOVED   STATE\n\
                 web-1   Missed\n   {message}; node: {node}\n\
                 web-2   Evicted\n"
            )
        );
    }
}
