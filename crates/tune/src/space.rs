//! What may vary: an ordered map from a dotted key of a settings file to the values that it may take, and the points
//! of that map. How one dimension is measured is in `domain`, how it is written by people in `written`.

mod domain;
mod written;

pub use domain::Domain;
pub(crate) use domain::same;

use lepton_core::{Error, ErrorCode, Result, nearest};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// One choice of every dimension that applies: dotted key to value.
pub type Point = BTreeMap<String, Value>;

/// What may vary, by dotted key (`train.learning_rate`). The keys are kept in alphabetical order, so that the order
/// of a file changes no suggestion.
///
/// In TOML the dotted key is quoted: `"train.learning_rate" = { low = 1e-4, high = 1e-1, log = true }`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Space {
    /// The dimensions.
    pub dimensions: BTreeMap<String, Dimension>,
}

/// The values that one key may take, and when it applies at all.
///
/// Written as `{ low = 1e-4, high = 1e-1, log = true }`, `{ low = 0.0, high = 0.5, step = 0.1 }`,
/// `{ low = 1, high = 8 }` (whole numbers, because both bounds are; `kind = "float"` makes them plain numbers and
/// `kind = "int"` says it outright) or `{ choices = ["adam", "sgd"] }`, each with an optional
/// `when = { key = "train.optimizer.kind", equals = "sgd" }`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "written::Written", into = "written::Written")]
pub struct Dimension {
    /// The values.
    pub domain: Domain,
    /// When the dimension applies; `None` is always.
    pub when: Option<Condition>,
}

/// A dimension applies only where another one applies and has this value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Condition {
    /// The key of the other dimension.
    pub key: String,
    /// The value that it must have.
    pub equals: Value,
}

impl Dimension {
    /// A dimension that always applies.
    pub fn new(domain: Domain) -> Dimension {
        Dimension { domain, when: None }
    }

    /// The same dimension, where `key` has the value `equals`.
    pub fn when(mut self, key: impl Into<String>, equals: impl Into<Value>) -> Dimension {
        self.when = Some(Condition { key: key.into(), equals: equals.into() });
        self
    }
}

impl Space {
    /// Checks every dimension and every condition.
    ///
    /// # Errors
    /// [`ErrorCode::Config`], naming the key below `tune.space` and what to do about it.
    pub fn validate(&self) -> Result<()> {
        if self.dimensions.is_empty() {
            return Err(Error::new(ErrorCode::Config, "nothing may vary: the search space is empty")
                .at_key("tune.space")
                .fix("name a key with its values: \"train.learning_rate\" = { low = 1e-4, high = 1e-1, log = true }"));
        }
        for (key, dimension) in &self.dimensions {
            dimension.domain.validate().map_err(|error| error.at_key(place(key)))?;
            if let Some(condition) = &dimension.when {
                self.check_condition(condition).map_err(|error| error.at_key(format!("{}.when", place(key))))?;
            }
        }
        self.order().map(|_| ())
    }

    /// The keys, every condition's key before those that depend on it, otherwise in alphabetical order.
    ///
    /// # Errors
    /// [`ErrorCode::Config`] where conditions wait for each other in a circle.
    pub fn order(&self) -> Result<Vec<&str>> {
        let mut ordered: Vec<&str> = Vec::with_capacity(self.dimensions.len());
        let mut done: BTreeSet<&str> = BTreeSet::new();
        while ordered.len() < self.dimensions.len() {
            let before = ordered.len();
            for (key, dimension) in &self.dimensions {
                let ready = dimension.when.as_ref().is_none_or(|condition| done.contains(condition.key.as_str()));
                if ready && done.insert(key) {
                    ordered.push(key);
                }
            }
            if ordered.len() == before {
                let waiting = self.dimensions.keys().find(|key| !done.contains(key.as_str()));
                let key = waiting.map(String::as_str).unwrap_or_default();
                return Err(Error::new(
                    ErrorCode::Config,
                    "conditions that wait for each other: a search space that cannot be sampled",
                )
                .at_key(format!("{}.when", place(key)))
                .fix("let one of the keys in the circle apply always, by leaving its `when` out"));
            }
        }
        Ok(ordered)
    }

    /// Whether the dimension `key` applies at `point`, which must hold the keys before it in [`Space::order`].
    pub fn applies(&self, key: &str, point: &Point) -> bool {
        self.dimensions.get(key).is_some_and(|dimension| match &dimension.when {
            None => true,
            Some(condition) => point.get(&condition.key).is_some_and(|value| same(value, &condition.equals)),
        })
    }

    /// Whether `point` has a value within its domain for each dimension that applies, and nothing else.
    pub fn contains(&self, point: &Point) -> bool {
        let Ok(order) = self.order() else { return false };
        let expected: Vec<&str> = order.into_iter().filter(|key| self.applies(key, point)).collect();
        expected.len() == point.len()
            && expected
                .iter()
                .all(|key| point.get(*key).is_some_and(|value| self.dimensions[*key].domain.to_unit(value).is_some()))
    }

    /// The point at `coordinates`, one per dimension in the order of [`Space::order`], each in 0..=1; those of
    /// dimensions that do not apply are passed over.
    ///
    /// # Errors
    /// [`ErrorCode::Config`] where the space has no order, [`ErrorCode::Shape`] where the count differs.
    pub fn point_at(&self, coordinates: &[f64]) -> Result<Point> {
        let order = self.order()?;
        if coordinates.len() != order.len() {
            return Err(Error::new(
                ErrorCode::Shape,
                format!("{} coordinates for {} dimensions", coordinates.len(), order.len()),
            ));
        }
        let mut point = Point::new();
        for (key, &coordinate) in order.iter().zip(coordinates) {
            if self.applies(key, &point) {
                point.insert((*key).to_owned(), self.dimensions[*key].domain.from_unit(coordinate));
            }
        }
        Ok(point)
    }

    /// The coordinates of `point` in 0..=1, one per dimension in the order of [`Space::order`]; `None` for a
    /// dimension that the point does not have or whose value is outside the domain.
    ///
    /// # Errors
    /// [`ErrorCode::Config`] where the space has no order.
    pub fn coordinates(&self, point: &Point) -> Result<Vec<Option<f64>>> {
        let unit = |key: &&str| point.get(*key).and_then(|value| self.dimensions[*key].domain.to_unit(value));
        Ok(self.order()?.iter().map(unit).collect())
    }

    fn check_condition(&self, condition: &Condition) -> Result<()> {
        let Some(other) = self.dimensions.get(&condition.key) else {
            let error = Error::new(
                ErrorCode::Config,
                format!(
                    "the condition names \"{}\", which does not vary: a search space that cannot be sampled",
                    condition.key
                ),
            );
            return Err(match nearest(&condition.key, self.dimensions.keys().map(String::as_str)) {
                Some(near) => error.fix(format!("did you mean \"{near}\"?")),
                None => error.fix("name a key of the space, or leave `when` out"),
            });
        };
        if matches!(other.domain, Domain::Float { .. }) {
            return Err(Error::new(
                ErrorCode::Config,
                format!("the condition asks \"{}\", a continuous number, for one value", condition.key),
            )
            .fix("let the condition name a key with choices or whole numbers"));
        }
        if other.domain.to_unit(&condition.equals).is_none() {
            return Err(Error::new(
                ErrorCode::Config,
                format!("\"{}\" never has the value {}", condition.key, condition.equals),
            )
            .fix(format!("let `equals` be one of {}", other.domain)));
        }
        Ok(())
    }
}

/// Where a key of the space stands in the settings file.
fn place(key: &str) -> String {
    format!("tune.space.{key}")
}

#[cfg(test)]
mod tests;
