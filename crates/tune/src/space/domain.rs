//! The values of one dimension, and how they are measured on the unit interval, where the samplers work.
//!
//! Numbers with a `log` are measured by their logarithm. Values that lie apart (whole numbers, steps, choices) own
//! cells of the interval: value `v` of a stepped domain owns what lies between `v - step/2` and `v + step/2`, and each
//! of `n` choices owns one `n`-th. A value's coordinate is where it lies itself, inside its cell.

use lepton_core::{Error, ErrorCode, Result};
use serde_json::Value;
use std::fmt;

/// Largest magnitude of a whole number: all of them have an exact 64-bit float.
const LARGEST_INT: i64 = 1 << 53;

/// The values that a dimension may take.
#[derive(Clone, Debug, PartialEq)]
pub enum Domain {
    /// Numbers from `low` to `high`, both included.
    Float {
        /// The smallest value.
        low: f64,
        /// The largest value.
        high: f64,
        /// Measured by the logarithm; `low` must be above 0.
        log: bool,
        /// Only `low`, `low + step`, ... up to `high`; not together with `log`.
        step: Option<f64>,
    },
    /// Whole numbers from `low` to `high`, both included.
    Int {
        /// The smallest value.
        low: i64,
        /// The largest value.
        high: i64,
        /// Measured by the logarithm; `low` must be above 0.
        log: bool,
        /// Only `low`, `low + step`, ... up to `high`; 1 where `log` is set.
        step: i64,
    },
    /// Any of these values, which have no order.
    Choice {
        /// The values, each another.
        choices: Vec<Value>,
    },
}

/// A numeric domain's two ends, its step (0 for none) and whether it is logarithmic.
struct Ruler {
    low: f64,
    last: f64,
    step: f64,
    log: bool,
}

impl Domain {
    /// Checks the bounds.
    ///
    /// # Errors
    /// [`ErrorCode::Config`] with what to do about it; the caller names the key.
    pub fn validate(&self) -> Result<()> {
        let wrong = |message: String, remedy: &str| Err(Error::new(ErrorCode::Config, message).fix(remedy));
        const ONE_VALUE: &str =
            "let low be below high; a key with one value belongs into the settings, not into the space";
        const LOG: &str = "let low be above 0, or leave `log` out";
        const STEP: &str = "let step be above 0 and at most high - low, or leave it out";
        const BOTH: &str = "leave `log` or `step` out: equal steps are not equal on a logarithmic scale";
        match self {
            Domain::Float { low, high, log, step } => {
                if !(low.is_finite() && high.is_finite() && (high - low).is_finite()) {
                    return wrong(format!("the bounds {low} and {high} are not finite"), "give two finite numbers");
                }
                if low >= high {
                    return wrong(format!("low {low} is not below high {high}"), ONE_VALUE);
                }
                if *log && *low <= 0.0 {
                    return wrong(format!("low {low} has no logarithm"), LOG);
                }
                match step {
                    Some(_) if *log => wrong("a logarithmic scale with steps".to_owned(), BOTH),
                    Some(step) if !(*step > 0.0 && *step <= high - low) => {
                        wrong(format!("step {step} does not fit between {low} and {high}"), STEP)
                    }
                    _ => Ok(()),
                }
            }
            Domain::Int { low, high, log, step } => {
                if low >= high {
                    return wrong(format!("low {low} is not below high {high}"), ONE_VALUE);
                }
                if *low < -LARGEST_INT || *high > LARGEST_INT {
                    return wrong(
                        format!("the bounds {low} and {high} are too large"),
                        "stay within plus and minus 2^53",
                    );
                }
                if *log && *low <= 0 {
                    return wrong(format!("low {low} has no logarithm"), LOG);
                }
                if *log && *step != 1 {
                    return wrong("a logarithmic scale with steps".to_owned(), BOTH);
                }
                if *step <= 0 || *step > high - low {
                    return wrong(format!("step {step} does not fit between {low} and {high}"), STEP);
                }
                Ok(())
            }
            Domain::Choice { choices } => {
                if choices.is_empty() {
                    return wrong("there are no choices".to_owned(), "list at least one value");
                }
                let twice = |(index, choice): (usize, &Value)| choices[..index].iter().any(|other| same(choice, other));
                match choices.iter().enumerate().find(|&entry| twice(entry)) {
                    Some((_, choice)) => wrong(format!("{choice} is listed twice"), "list each choice once"),
                    None => Ok(()),
                }
            }
        }
    }

    /// How many values there are; `None` for a continuous range.
    pub fn count(&self) -> Option<u64> {
        match self {
            Domain::Choice { choices } => Some(choices.len() as u64),
            _ => {
                let ruler = self.ruler()?;
                (ruler.step > 0.0).then(|| ((ruler.last - ruler.low) / ruler.step).round() as u64 + 1)
            }
        }
    }

    /// Value number `index` of a domain whose values lie apart, from 0; of a continuous range its low end.
    pub(crate) fn value_at(&self, index: u64) -> Value {
        match (self, self.ruler()) {
            (Domain::Choice { choices }, _) => choices.get(index as usize).cloned().unwrap_or_default(),
            (Domain::Int { low, step, .. }, _) => Value::from(low + index as i64 * step),
            (_, Some(ruler)) => Value::from((ruler.low + index as f64 * ruler.step).min(ruler.last)),
            _ => Value::Null,
        }
    }

    /// Whether the values have no order.
    pub fn is_choice(&self) -> bool {
        matches!(self, Domain::Choice { .. })
    }

    /// The coordinate of `value` in 0..=1; `None` where the domain does not have it.
    pub fn to_unit(&self, value: &Value) -> Option<f64> {
        if let Domain::Choice { choices } = self {
            let index = choices.iter().position(|choice| same(choice, value))?;
            return Some((index as f64 + 0.5) / choices.len() as f64);
        }
        let number = value.as_f64().filter(|number| number.is_finite())?;
        if matches!(self, Domain::Int { .. }) && number.fract() != 0.0 {
            return None;
        }
        let ruler = self.ruler()?;
        // Sums of steps are rounded, so that a value may lie off its step by the last bits.
        let slack = ruler.step * 1e-6;
        if number < ruler.low - slack || number > ruler.last + slack {
            return None;
        }
        let steps = (number - ruler.low) / ruler.step;
        if ruler.step > 0.0 && (steps - steps.round()).abs() > 1e-6 {
            return None;
        }
        Some(ruler.measure(number))
    }

    /// The value at `coordinate`, which is cut to 0..=1.
    #[allow(clippy::wrong_self_convention)]
    pub fn from_unit(&self, coordinate: f64) -> Value {
        let coordinate = if coordinate.is_nan() { 0.5 } else { coordinate.clamp(0.0, 1.0) };
        match self {
            Domain::Choice { choices } => choices.get(self.choice_at(coordinate)).cloned().unwrap_or_default(),
            Domain::Float { low, high, step, .. } => match self.ruler() {
                Some(ruler) => Value::from(match step {
                    // The logarithm and back would miss the ends by the last bits.
                    None if coordinate == 0.0 => *low,
                    None if coordinate == 1.0 => *high,
                    None => ruler.value(coordinate).clamp(*low, *high),
                    Some(_) => ruler.snap(ruler.value(coordinate)).min(*high),
                }),
                None => Value::from(*low),
            },
            Domain::Int { low, .. } => match self.ruler() {
                Some(ruler) => Value::from(ruler.snap(ruler.value(coordinate)) as i64),
                None => Value::from(*low),
            },
        }
    }

    /// The cell of the value at `coordinate`: what lies between the two coordinates is that value. `None` for a
    /// continuous range.
    pub(crate) fn cell(&self, coordinate: f64) -> Option<(f64, f64)> {
        if let Domain::Choice { choices } = self {
            let (index, count) = (self.choice_at(coordinate) as f64, choices.len() as f64);
            return Some((index / count, (index + 1.0) / count));
        }
        let ruler = self.ruler().filter(|ruler| ruler.step > 0.0)?;
        let value = ruler.snap(ruler.value(coordinate.clamp(0.0, 1.0)));
        Some((ruler.measure(value - ruler.step / 2.0), ruler.measure(value + ruler.step / 2.0)))
    }

    /// The coordinate that the value at `coordinate` has itself.
    pub(crate) fn settle(&self, coordinate: f64) -> f64 {
        match self {
            Domain::Float { step: None, .. } => coordinate.clamp(0.0, 1.0),
            _ => self.to_unit(&self.from_unit(coordinate)).unwrap_or(coordinate),
        }
    }

    /// The number of the choice at `coordinate`.
    pub(crate) fn choice_at(&self, coordinate: f64) -> usize {
        match self {
            Domain::Choice { choices } => {
                ((coordinate * choices.len() as f64) as usize).min(choices.len().saturating_sub(1))
            }
            _ => 0,
        }
    }

    /// The ends and the step of a domain of numbers.
    fn ruler(&self) -> Option<Ruler> {
        match *self {
            Domain::Float { low, high, log, step: None } => Some(Ruler { low, last: high, step: 0.0, log }),
            Domain::Float { low, high, step: Some(step), .. } => {
                // The last step is kept where it misses `high` by rounding only.
                let last = low + ((high - low) / step + 1e-9).floor() * step;
                Some(Ruler { low, last, step, log: false })
            }
            Domain::Int { low, high, log, step } => {
                let last = low + (high - low) / step.max(1) * step.max(1);
                Some(Ruler { low: low as f64, last: last as f64, step: step.max(1) as f64, log })
            }
            Domain::Choice { .. } => None,
        }
    }
}

impl Ruler {
    /// The two ends of the interval, the outermost cells included, as they are measured.
    fn ends(&self) -> (f64, f64) {
        (self.scale(self.low - self.step / 2.0), self.scale(self.last + self.step / 2.0))
    }

    fn scale(&self, number: f64) -> f64 {
        if self.log { libm::log(number) } else { number }
    }

    /// The coordinate of a number.
    fn measure(&self, number: f64) -> f64 {
        let (start, end) = self.ends();
        ((self.scale(number) - start) / (end - start)).clamp(0.0, 1.0)
    }

    /// The number at a coordinate.
    fn value(&self, coordinate: f64) -> f64 {
        let (start, end) = self.ends();
        let scaled = start + coordinate * (end - start);
        if self.log { libm::exp(scaled) } else { scaled }
    }

    /// The nearest value of a stepped range.
    fn snap(&self, number: f64) -> f64 {
        (self.low + ((number - self.low) / self.step).round() * self.step).clamp(self.low, self.last)
    }
}

/// Whether two JSON values are the same, where 1 and 1.0 are.
pub(crate) fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => left == right || left.as_f64() == right.as_f64(),
        _ => left == right,
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Domain::Float { low, high, .. } => write!(f, "{low} to {high}"),
            Domain::Int { low, high, step: 1, .. } => write!(f, "{low} to {high}"),
            Domain::Int { low, high, step, .. } => write!(f, "{low} to {high} in steps of {step}"),
            Domain::Choice { choices } => {
                let words: Vec<String> = choices.iter().map(Value::to_string).collect();
                f.write_str(&words.join(", "))
            }
        }
    }
}
