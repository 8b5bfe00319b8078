//! What a dataset's columns are. The values themselves travel as Arrow record batches.

use crate::{Error, ErrorCode, Result, nearest};
use serde::{Deserialize, Serialize};

/// What a column holds, which decides how it is validated, encoded, sketched and shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ColumnKind {
    /// A number; Arrow `Float64`.
    Number,
    /// One of few texts; Arrow `Utf8`.
    Category,
    /// Free text; Arrow `Utf8`.
    Text,
    /// A picture; the Arrow struct of [`crate::image`].
    Image,
    /// Numbers along time; the Arrow struct of [`crate::series`].
    Series,
    /// Boxes on a picture; the Arrow list of [`crate::marks`].
    Boxes,
    /// Masks of objects on a picture; the Arrow list of [`crate::marks`].
    Masks,
    /// Key points of objects on a picture; the Arrow list of [`crate::marks`].
    KeyPoints,
}

impl ColumnKind {
    /// Whether it is one value that stands in a cell of a table: a number, a category or a text.
    pub fn is_cell(self) -> bool {
        matches!(self, ColumnKind::Number | ColumnKind::Category | ColumnKind::Text)
    }

    /// Whether it is what is marked on a picture, rather than data of its own.
    pub fn is_marks(self) -> bool {
        matches!(self, ColumnKind::Boxes | ColumnKind::Masks | ColumnKind::KeyPoints)
    }
}

/// One column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Column {
    /// Its name, unique in the schema.
    pub name: String,
    /// What it holds.
    pub kind: ColumnKind,
    /// Whether values may be missing (Arrow null).
    pub nullable: bool,
}

/// The columns of a dataset, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schema {
    /// The columns.
    pub columns: Vec<Column>,
}

impl Schema {
    /// The column of that name.
    ///
    /// # Errors
    /// [`ErrorCode::NotFound`], with the nearest name.
    pub fn column(&self, name: &str) -> Result<&Column> {
        self.columns.iter().find(|column| column.name == name).ok_or_else(|| {
            let error = Error::new(ErrorCode::NotFound, "there is no such column").at_column(name);
            match nearest(name, self.names()) {
                Some(near) => error.fix(format!("did you mean \"{near}\"?")),
                None => error.fix(format!("the columns are: {}", self.names().collect::<Vec<_>>().join(", "))),
            }
        })
    }

    /// The names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().map(|column| column.name.as_str())
    }

    /// The columns of one kind.
    pub fn of_kind(&self, kind: ColumnKind) -> impl Iterator<Item = &Column> {
        self.columns.iter().filter(move |column| column.kind == kind)
    }
}
