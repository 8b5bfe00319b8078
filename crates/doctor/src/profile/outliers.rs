//! Numbers far from all others of their column: beyond three times the distance of the quartiles from the nearer one
//! (Tukey, "Exploratory Data Analysis", 1977: "far out").

use super::ColumnProfile;
use crate::checks::Mostly;
use serde::Serialize;

/// How many distances of the quartiles.
const FAR: f64 = 3.0;

/// Fewer numbers tell nothing.
const LEAST: u64 = 20;

/// The numbers of a column that are far out.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Outliers {
    /// Numbers below this are far out.
    pub low: f64,
    /// Numbers above this are far out.
    pub high: f64,
    /// How many: exact while they are among the extremes that are kept, else within the quantile sketch's bound.
    pub count: u64,
    /// The one that is farthest out; of none, NaN.
    #[serde(skip)]
    pub farthest: f64,
    /// Their rows, from 0, ascending, as far as the extremes are kept.
    #[serde(skip)]
    pub rows: Vec<u64>,
}

impl ColumnProfile {
    /// The numbers that are far out; `None` where the column is not one of numbers, has fewer than 20 of them, two
    /// values only, or quartiles that are equal.
    pub fn outliers(&self) -> Option<Outliers> {
        let numbers = &self.distribution;
        if self.mostly() != Mostly::Numbers || numbers.count() < LEAST || self.distinct <= 2 {
            return None;
        }
        let (lower, upper) = (numbers.quantile(0.25)?, numbers.quantile(0.75)?);
        let width = upper - lower;
        if width <= 0.0 {
            return None;
        }
        let (low, high) = (lower - FAR * width, upper + FAR * width);
        let below: Vec<_> = self.extremes.low.iter().take_while(|extreme| extreme.value < low).collect();
        let above: Vec<_> = self.extremes.high.iter().take_while(|extreme| extreme.value > high).collect();
        // Where all extremes that are kept lie outside there are more, which the sketch counts within its bound.
        let beyond = |kept: usize, all: usize, share: Option<f64>| match share {
            Some(share) if kept == all && kept > 0 => {
                ((share * numbers.count() as f64).round() as u64).max(kept as u64)
            }
            _ => kept as u64,
        };
        let count = beyond(below.len(), self.extremes.low.len(), numbers.cdf(low))
            + beyond(above.len(), self.extremes.high.len(), numbers.cdf(high).map(|share| 1.0 - share));
        let mut rows: Vec<u64> = below.iter().chain(&above).map(|extreme| extreme.row).collect();
        rows.sort_unstable();
        let farthest = above.first().or(below.first()).map_or(f64::NAN, |extreme| extreme.value);
        Some(Outliers { low, high, count, farthest, rows })
    }
}
