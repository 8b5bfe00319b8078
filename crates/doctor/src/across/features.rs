//! Columns as numbers or as classes, over the rows of the sample: what columns are held against each other by.

use crate::profile::{ColumnProfile, Profile, Sample, SemanticType};
use lepton_data::scan::parse_number;
use std::collections::HashMap;

/// Different values of a column of classes.
const MOST_CLASSES: usize = 100;

/// A column over the rows of the sample.
pub(super) struct Feature<'a> {
    pub(super) column: &'a ColumnProfile,
    pub(super) cells: Cells,
}

pub(super) enum Cells {
    /// Missing cells, and those that are no number, are NaN.
    Numbers(Vec<f64>),
    /// Numbered from 1 by first appearance; 0 is missing.
    Classes { codes: Vec<u32>, classes: usize },
}

impl<'a> Feature<'a> {
    /// All columns that are numbers or classes, in the order of the table. Columns that name the row are neither.
    pub(super) fn of(profile: &'a Profile) -> Vec<Feature<'a>> {
        let columns = profile.columns.iter().enumerate();
        columns.filter_map(|(place, column)| Feature::of_column(profile, place, column)).collect()
    }

    fn of_column(profile: &'a Profile, place: usize, column: &'a ColumnProfile) -> Option<Feature<'a>> {
        let sample = &profile.sample;
        let cells = match column.semantic() {
            SemanticType::Number | SemanticType::Integer if !column.names_the_row() => numbers(sample, place),
            SemanticType::Category | SemanticType::Boolean | SemanticType::Text | SemanticType::Mixed => {
                classes(sample, place, MOST_CLASSES)?
            }
            _ => return None,
        };
        Some(Feature { column, cells })
    }
}

pub(super) fn numbers(sample: &Sample, column: usize) -> Cells {
    let number = |place| {
        let cell = sample.cell(place, column);
        parse_number(cell.text.as_bytes()).filter(|number| number.is_finite()).unwrap_or(f64::NAN)
    };
    Cells::Numbers((0..sample.rows()).map(number).collect())
}

/// `None` where there are more than `most`.
pub(super) fn classes(sample: &Sample, column: usize, most: usize) -> Option<Cells> {
    let mut known: HashMap<String, u32> = HashMap::new();
    let mut codes = Vec::with_capacity(sample.rows());
    for place in 0..sample.rows() {
        let cell = sample.cell(place, column);
        let code = match cell.present().map(str::trim).filter(|text| !text.is_empty()) {
            None => 0,
            Some(text) => match known.get(text) {
                Some(code) => *code,
                None => {
                    known.insert(text.to_owned(), known.len() as u32 + 1);
                    known.len() as u32
                }
            },
        };
        if known.len() > most {
            return None;
        }
        codes.push(code);
    }
    Some(Cells::Classes { codes, classes: known.len() })
}
