//! A line of CSV, for tables that are written here: answers of queries, and rows of a dataset for the doctor.

use std::io::Write;

/// Writes the cells as one line. A lone empty cell is quoted, as a blank line is no row.
pub(crate) fn csv_line<'a>(cells: impl Iterator<Item = &'a str>, output: &mut dyn Write) -> std::io::Result<()> {
    let mut cells = cells.peekable();
    let mut place = 0;
    while let Some(cell) = cells.next() {
        if place > 0 {
            output.write_all(b",")?;
        }
        let is_alone = place == 0 && cells.peek().is_none();
        if cell.contains([',', '"', '\n', '\r']) || (is_alone && cell.is_empty()) {
            output.write_all(format!("\"{}\"", cell.replace('"', "\"\"")).as_bytes())?;
        } else {
            output.write_all(cell.as_bytes())?;
        }
        place += 1;
    }
    output.write_all(b"\n")
}
