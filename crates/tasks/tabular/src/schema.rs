//! What both tasks over tables ask of a dataset.

use lepton_core::{ColumnKind, Error, ErrorCode, Result, Schema};

/// Numbers, categories and texts can be learned from, and there must be one beside the target.
pub(crate) fn check(schema: &Schema, target: &str, task: &str) -> Result<()> {
    schema.column(target)?;
    let mut inputs = 0;
    for column in schema.columns.iter().filter(|column| column.name != target) {
        match column.kind {
            ColumnKind::Number | ColumnKind::Category | ColumnKind::Text => inputs += 1,
            ColumnKind::Boxes | ColumnKind::Masks | ColumnKind::KeyPoints => {
                let message = format!("{task} does not read what is marked on pictures");
                return Err(Error::new(ErrorCode::Unsupported, message).at_column(&column.name));
            }
            ColumnKind::Series => {
                return Err(Error::new(ErrorCode::Unsupported, format!("{task} does not read whole series"))
                    .at_column(&column.name)
                    .fix("use task = \"series-classification\""));
            }
            ColumnKind::Image => {
                return Err(Error::new(ErrorCode::Unsupported, format!("{task} does not read pictures"))
                    .at_column(&column.name)
                    .fix("use task = \"image-classification\", or list the column in collect.ignore"));
            }
        }
    }
    if inputs == 0 {
        return Err(
            Error::new(ErrorCode::BadData, "there is no column to learn from besides the target").at_column(target)
        );
    }
    Ok(())
}
