//! The rows that a booster learns from, and what makes them unfit for it.

use crate::objective::Objective;
use lepton_core::{Error, ErrorCode, Result, thousands};

/// Rows with their targets. Features are numbered from 0, rows in errors from 1.
#[derive(Clone, Copy, Debug)]
pub struct Examples<'a> {
    /// `[rows, columns]`, row after row. NaN is a missing value; infinite values are refused.
    pub features: &'a [f32],
    /// `[rows]`: a finite number, or a class from 0 as the objective has it.
    pub targets: &'a [f32],
    /// `[rows]`: how much each row counts, 0 or more; `None` counts every row once.
    pub weights: Option<&'a [f32]>,
}

impl Examples<'_> {
    /// How many rows there are.
    pub fn rows(&self) -> usize {
        self.targets.len()
    }

    pub(crate) fn weight(&self, row: usize) -> f64 {
        self.weights.map_or(1.0, |weights| f64::from(weights[row]))
    }

    pub(crate) fn class(&self, row: usize) -> usize {
        self.targets[row] as usize
    }

    /// Checks the rows and gives the number of columns. `name` is what the rows are called in errors.
    pub(crate) fn check(&self, objective: &Objective, name: &str) -> Result<usize> {
        let rows = self.rows();
        if rows == 0 || self.features.is_empty() {
            return Err(Error::new(ErrorCode::BadData, format!("the {name} rows are empty"))
                .at_key(name)
                .fix("hand in at least one row with at least one column"));
        }
        if rows >= u32::MAX as usize {
            return Err(Error::new(
                ErrorCode::TooLarge,
                format!("{} {name} rows are too many", thousands(rows as u64)),
            )
            .at_key(name)
            .fix(format!("train on a sample of fewer than {} rows", thousands(u64::from(u32::MAX)))));
        }
        let columns = self.features.len() / rows;
        if columns * rows != self.features.len() || columns == 0 {
            let message = format!("{} feature values do not make {rows} rows of equal length", self.features.len());
            return Err(Error::new(ErrorCode::Shape, message)
                .at_key(format!("{name}.features"))
                .fix("hand in rows x columns values, row after row"));
        }
        if let Some(at) = self.features.iter().position(|value| value.is_infinite()) {
            return Err(Error::new(ErrorCode::BadData, format!("the {name} value is {}", self.features[at]))
                .at_row((at / columns) as u64 + 1)
                .at_column(format!("feature {}", at % columns))
                .fix("replace infinite values by numbers, or leave them empty to have them counted as missing"));
        }
        self.check_targets(objective, name)?;
        self.check_weights(name)?;
        Ok(columns)
    }

    fn check_targets(&self, objective: &Objective, name: &str) -> Result<()> {
        let classes = objective.classes();
        let fits = |target: f32| match classes {
            Some(classes) => target >= 0.0 && target.fract() == 0.0 && (target as usize) < classes,
            None => target.is_finite(),
        };
        if let Some(row) = self.targets.iter().position(|&target| !fits(target)) {
            let remedy = match classes {
                Some(classes) => format!("number the classes from 0 to {}", classes - 1),
                None => "leave rows without a finite target out".to_owned(),
            };
            return Err(Error::new(ErrorCode::BadData, format!("the {name} target is {}", self.targets[row]))
                .at_row(row as u64 + 1)
                .at_key(format!("{name}.targets"))
                .fix(remedy));
        }
        Ok(())
    }

    fn check_weights(&self, name: &str) -> Result<()> {
        let Some(weights) = self.weights else { return Ok(()) };
        let key = format!("{name}.weights");
        if weights.len() != self.rows() {
            return Err(Error::new(ErrorCode::Shape, format!("{} weights for {} rows", weights.len(), self.rows()))
                .at_key(key)
                .fix("hand in one weight for each row"));
        }
        if let Some(row) = weights.iter().position(|weight| !(weight.is_finite() && *weight >= 0.0)) {
            return Err(Error::new(ErrorCode::BadData, format!("the {name} weight is {}", weights[row]))
                .at_row(row as u64 + 1)
                .at_key(key)
                .fix("give every row a weight of 0 or more"));
        }
        if weights.iter().all(|&weight| weight == 0.0) {
            return Err(Error::new(ErrorCode::BadData, format!("every {name} weight is 0"))
                .at_key(key)
                .fix("give at least one row a weight above 0"));
        }
        Ok(())
    }

    /// Refuses training rows in which a class has no row that counts: its score would have no finite optimum.
    pub(crate) fn check_classes(&self, objective: &Objective) -> Result<()> {
        let Some(classes) = objective.classes() else { return Ok(()) };
        let mut present = vec![false; classes];
        for row in 0..self.rows() {
            present[self.class(row)] |= self.weight(row) > 0.0;
        }
        match present.iter().position(|present| !present) {
            None => Ok(()),
            Some(class) => {
                Err(Error::new(ErrorCode::BadData, format!("class {class} has no training row that counts"))
                    .at_key("training.targets")
                    .fix("add rows of this class, give them a weight above 0, or take the class out"))
            }
        }
    }
}
