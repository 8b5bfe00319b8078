//! A profile as people and programs read it.

use super::{ColumnProfile, Meaning, Outliers, Profile, ShapeCount, ValueCount};
use crate::checks::Mostly;
use lepton_recipe::written::DateOrder;
use serde::Serialize;

/// What a column holds, as far as its cells tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SemanticType {
    /// Nothing at all.
    Empty,
    /// Numbers with fractions.
    Number,
    /// Whole numbers.
    Integer,
    /// Few values, each of them often.
    Category,
    /// Yes and no.
    Boolean,
    /// Another value in every row.
    Id,
    /// Days, perhaps with times.
    Date,
    /// Texts of several words.
    Text,
    /// Addresses for mail.
    Email,
    /// Telephone numbers.
    Phone,
    /// Web addresses.
    Url,
    /// Names of picture files.
    ImagePath,
    /// Numbers with a unit or a sign for money.
    Measure,
    /// Lists and objects.
    Nested,
    /// Numbers and texts.
    Mixed,
}

impl SemanticType {
    /// The name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            SemanticType::Empty => "empty",
            SemanticType::Number => "number",
            SemanticType::Integer => "integer",
            SemanticType::Category => "category",
            SemanticType::Boolean => "boolean",
            SemanticType::Id => "id",
            SemanticType::Date => "date",
            SemanticType::Text => "text",
            SemanticType::Email => "email",
            SemanticType::Phone => "phone",
            SemanticType::Url => "url",
            SemanticType::ImagePath => "image_path",
            SemanticType::Measure => "measure",
            SemanticType::Nested => "nested",
            SemanticType::Mixed => "mixed",
        }
    }
}

/// Bars of a histogram.
const BINS: usize = 20;

/// Values and shapes that a view shows.
const SHOWN: usize = 10;

/// Equal steps from the least to the largest number, and how many numbers are in each.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Histogram {
    /// The ends of the bars: one more than bars.
    pub edges: Vec<f64>,
    /// Numbers in each bar, within the bound of the quantile sketch.
    pub counts: Vec<u64>,
}

/// A column as it is shown.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ColumnView {
    /// Its name.
    pub name: String,
    /// What it holds.
    #[serde(rename = "type")]
    pub semantic: SemanticType,
    /// Missing cells.
    pub missing: u64,
    /// Different values.
    pub distinct: u64,
    /// Whether that is exact; else its standard error is 0.8 %.
    pub distinct_is_exact: bool,
    /// Numbers only.
    #[serde(flatten)]
    pub numbers: Option<NumberView>,
    /// Shortest, mean and longest text in characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub characters: Option<[f64; 3]>,
    /// The most frequent values, where any is there twice.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub top: Vec<ValueCount>,
    /// The most frequent shapes of its texts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub shapes: Vec<ShapeCount>,
}

/// What is shown of numbers.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NumberView {
    /// The mean.
    pub mean: f64,
    /// The standard deviation (over the count).
    pub deviation: f64,
    /// The least, the 5th, 25th, 50th, 75th and 95th hundredth, the largest.
    pub quantiles: [f64; 7],
    /// How they are spread.
    pub histogram: Histogram,
    /// Those that are far out, see [`ColumnProfile::outliers`].
    pub outliers: Option<Outliers>,
}

/// A number with as many digits as a person reads.
pub fn short_number(value: f64) -> String {
    let magnitude = value.abs();
    if value.fract() == 0.0 && magnitude < 1e15 {
        format!("{value}")
    } else if (1e-3..1e9).contains(&magnitude) {
        let decimals = if magnitude < 1e3 { 4 } else { 1 };
        format!("{value:.decimals$}").trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        format!("{value:.3e}")
    }
}

impl ColumnProfile {
    /// What the column holds.
    pub fn semantic(&self) -> SemanticType {
        let texts = self.real_texts();
        let most = |meaning| self.meaning(meaning) * 10 >= texts * 9;
        let dates: u64 = [
            DateOrder::YearMonthDay,
            DateOrder::DayMonthYear,
            DateOrder::MonthDayYear,
            DateOrder::DayOrMonthFirst,
            DateOrder::DayNameYear,
            DateOrder::NameDayYear,
        ]
        .map(|order| self.meaning(Meaning::Date(order)))
        .iter()
        .sum();
        let differs = self.distinct as f64 >= 0.97 * (self.texts.count + self.numbers.count) as f64;
        match self.mostly() {
            Mostly::Empty => SemanticType::Empty,
            _ if self.booleans.count > texts + self.numbers.count => SemanticType::Boolean,
            _ if self.nested.count > texts + self.numbers.count => SemanticType::Nested,
            Mostly::Numbers if self.whole_numbers == self.numbers.count => SemanticType::Integer,
            Mostly::Numbers => SemanticType::Number,
            Mostly::Mixed => SemanticType::Mixed,
            Mostly::Texts => match () {
                () if dates * 10 >= texts * 9 => SemanticType::Date,
                () if most(Meaning::Boolean) => SemanticType::Boolean,
                () if most(Meaning::Email) => SemanticType::Email,
                () if most(Meaning::Phone) => SemanticType::Phone,
                () if most(Meaning::Url) => SemanticType::Url,
                () if most(Meaning::ImagePath) => SemanticType::ImagePath,
                () if most(Meaning::Measure) || most(Meaning::WrittenNumber) => SemanticType::Measure,
                () if most(Meaning::Uuid) => SemanticType::Id,
                () if self.distinct <= 1_000 && self.distinct * 2 <= texts => SemanticType::Category,
                () if differs
                    && self.shapes.len() <= 12
                    && self.characters.is_some_and(|lengths| lengths.most <= 40) =>
                {
                    SemanticType::Id
                }
                () => SemanticType::Text,
            },
        }
    }

    /// The column as it is shown.
    pub fn view(&self) -> ColumnView {
        let semantic = self.semantic();
        let is_number = matches!(semantic, SemanticType::Number | SemanticType::Integer);
        let lengths = |sum: super::Characters| {
            let count = (self.texts.count + self.booleans.count + self.nested.count).max(1);
            [sum.least as f64, sum.sum as f64 / count as f64, sum.most as f64]
        };
        let repeats = self.values.first().is_some_and(|value| value.count > 1);
        ColumnView {
            name: self.name.clone(),
            semantic,
            missing: self.missing.count,
            distinct: self.distinct,
            distinct_is_exact: self.distinct_is_exact,
            numbers: self.number_view(),
            characters: self.characters.map(lengths),
            top: if repeats { self.values.iter().take(SHOWN).cloned().collect() } else { Vec::new() },
            shapes: if is_number { Vec::new() } else { self.shapes.iter().take(SHOWN).cloned().collect() },
        }
    }

    fn number_view(&self) -> Option<NumberView> {
        let numbers = &self.distribution;
        let quantile = |q| numbers.quantile(q);
        let (low, high) = (quantile(0.0)?, quantile(1.0)?);
        let edges: Vec<f64> = match low == high {
            true => vec![low, high],
            false => (0..=BINS).map(|bin| low + (high - low) * bin as f64 / BINS as f64).collect(),
        };
        let below = |edge: f64| numbers.cdf(edge).unwrap_or(0.0) * numbers.count() as f64;
        let inner = edges.len().saturating_sub(1);
        let mut counts = Vec::with_capacity(inner);
        let mut before = 0.0;
        for (place, edge) in edges[1..].iter().enumerate() {
            let until = if place + 1 == inner { numbers.count() as f64 } else { below(*edge) };
            counts.push((until - before).max(0.0).round() as u64);
            before = until;
        }
        Some(NumberView {
            mean: numbers.mean()?,
            deviation: numbers.variance()?.sqrt(),
            quantiles: [low, quantile(0.05)?, quantile(0.25)?, quantile(0.5)?, quantile(0.75)?, quantile(0.95)?, high],
            histogram: Histogram { edges, counts },
            outliers: self.outliers(),
        })
    }
}

impl Profile {
    /// All columns as they are shown.
    pub fn view(&self) -> Vec<ColumnView> {
        self.columns.iter().map(ColumnProfile::view).collect()
    }
}
