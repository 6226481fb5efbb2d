//! Tables as kubectl prints them: columns, no lines, no colours.

use comfy_table::{Cell, Row, Table};

use crate::api::text::bounded;

/// A table in the making.
pub struct Grid {
    table: Table,
}

impl Grid {
    /// A table with these columns.
    pub fn new<S: AsRef<str>>(columns: impl IntoIterator<Item = S>) -> Self {
        let mut table = Table::new();
        table.load_style(comfy_table::presets::NOTHING);
        table.set_header(cells(columns));
        Self { table }
    }

    /// Adds a row.
    pub fn row<S: AsRef<str>>(&mut self, cells: impl IntoIterator<Item = S>) {
        self.table.add_row(self::cells(cells));
    }

    /// The rows, each ended by a newline.
    pub fn print(mut self) -> String {
        for column in self.table.column_iter_mut() {
            column.set_padding((0, 3));
        }
        let mut text = self.table.trim_fmt();
        text.push('\n');
        text
    }
}

fn cells<S: AsRef<str>>(cells: impl IntoIterator<Item = S>) -> Row {
    let cell = |cell: S| Cell::new(bounded(cell.as_ref()));
    Row::from(cells.into_iter().map(cell).collect::<Vec<_>>())
}

/// The text, or a dash for none.
pub fn or_dash(text: Option<&str>) -> &str {
    text.filter(|text| !text.is_empty()).unwrap_or("-")
}
