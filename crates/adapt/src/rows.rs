//! Rows of features as this crate reads them: float32, row-major, all of one width.

use lepton_core::{Error, ErrorCode, Result};

/// Rows of `width` float32 features, row-major.
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a> {
    values: &'a [f32],
    width: usize,
}

impl<'a> Rows<'a> {
    /// Rows over `values`, whose count is a multiple of `width`.
    ///
    /// # Errors
    /// [`ErrorCode::Shape`] for a width of 0 or values that do not fill their rows; [`ErrorCode::BadData`] with the row
    /// for a value that is not finite.
    pub fn new(values: &'a [f32], width: usize) -> Result<Rows<'a>> {
        if width == 0 || !values.len().is_multiple_of(width) {
            return Err(Error::new(ErrorCode::Shape, format!("{} numbers in rows of {width}", values.len())));
        }
        if let Some(place) = values.iter().position(|value| !value.is_finite()) {
            return Err(Error::new(ErrorCode::BadData, format!("{} is not a finite number", values[place]))
                .at_row((place / width) as u64 + 1));
        }
        Ok(Rows { values, width })
    }

    /// How many rows.
    pub fn len(&self) -> usize {
        self.values.len() / self.width
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Features of a row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// All values, row-major.
    pub fn values(&self) -> &'a [f32] {
        self.values
    }

    /// One row; an empty one past the end.
    pub fn row(&self, row: usize) -> &'a [f32] {
        self.values.get(row * self.width..(row + 1) * self.width).unwrap_or_default()
    }

    pub(crate) fn iter(&self) -> std::slice::ChunksExact<'a, f32> {
        self.values.chunks_exact(self.width)
    }

    /// Source and target rows that can be compared: of one width, and some of each.
    pub(crate) fn check_pair(source: &Rows<'_>, target: &Rows<'_>) -> Result<()> {
        if source.width != target.width {
            let message = format!("source rows have {} features, target rows {}", source.width, target.width);
            return Err(Error::new(ErrorCode::Shape, message));
        }
        for (rows, name) in [(source, "source"), (target, "target")] {
            if rows.is_empty() {
                return Err(Error::new(ErrorCode::BadData, format!("the {name} domain has no rows")));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_that_are_none_are_refused_with_their_place() {
        let code = |values: &[f32], width| Rows::new(values, width).unwrap_err().code();
        assert_eq!(code(&[1.0; 5], 2), ErrorCode::Shape);
        assert_eq!(code(&[1.0], 0), ErrorCode::Shape);
        let error = Rows::new(&[1.0, 2.0, 3.0, f32::NAN], 2).unwrap_err();
        assert_eq!((error.code(), error.place().row), (ErrorCode::BadData, Some(2)));
        let (one, none) = (Rows::new(&[1.0, 2.0], 2).unwrap(), Rows::new(&[], 2).unwrap());
        assert!(Rows::check_pair(&one, &none).unwrap_err().message().contains("target domain has no rows"));
        assert!(Rows::check_pair(&one, &Rows::new(&[1.0], 1).unwrap()).is_err());
    }
}
