//! How a person writes a dimension in TOML or JSON, and how it becomes a [`Dimension`].

use super::{Condition, Dimension, Domain};
use serde::{Deserialize, Serialize};
use serde_json::{Number, Value};

/// The kinds of numbers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Float,
    Int,
    Choice,
}

/// A dimension as it is written.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Written {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    kind: Option<Kind>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    low: Option<Number>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    high: Option<Number>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    log: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    step: Option<Number>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    choices: Option<Vec<Value>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    when: Option<Condition>,
}

impl TryFrom<Written> for Dimension {
    type Error = String;

    fn try_from(written: Written) -> Result<Dimension, String> {
        let Written { kind, low, high, log, step, choices, when } = written;
        let domain = match (low, high, choices) {
            (None, None, Some(choices)) => {
                if log.is_some() || step.is_some() {
                    return Err("`choices` have neither `log` nor `step`: leave them out".to_owned());
                }
                if kind.is_some_and(|kind| kind != Kind::Choice) {
                    return Err("`choices` are of kind \"choice\": leave `kind` out".to_owned());
                }
                Domain::Choice { choices }
            }
            (Some(low), Some(high), None) => {
                let log = log.unwrap_or(false);
                let whole = |number: &Number| number.is_i64() || number.is_u64();
                let all_whole = whole(&low) && whole(&high) && step.as_ref().is_none_or(whole);
                match kind {
                    Some(Kind::Choice) => return Err("kind \"choice\" needs `choices`, not bounds".to_owned()),
                    Some(Kind::Int) => int(&low, &high, log, step.as_ref())?,
                    None if all_whole => int(&low, &high, log, step.as_ref())?,
                    _ => Domain::Float {
                        low: float(&low)?,
                        high: float(&high)?,
                        log,
                        step: step.as_ref().map(float).transpose()?,
                    },
                }
            }
            (_, _, Some(_)) => return Err("give `low` and `high` or `choices`, not both".to_owned()),
            _ => return Err("give `low` and `high`, or `choices`".to_owned()),
        };
        Ok(Dimension { domain, when })
    }
}

impl From<Dimension> for Written {
    fn from(dimension: Dimension) -> Written {
        let mut written =
            Written { kind: None, low: None, high: None, log: None, step: None, choices: None, when: dimension.when };
        match dimension.domain {
            Domain::Float { low, high, log, step } => {
                // A float prints with its point, so that the kind is read back without being named.
                (written.low, written.high) = (Number::from_f64(low), Number::from_f64(high));
                written.log = log.then_some(true);
                written.step = step.and_then(Number::from_f64);
            }
            Domain::Int { low, high, log, step } => {
                (written.low, written.high) = (Some(low.into()), Some(high.into()));
                written.log = log.then_some(true);
                written.step = (step != 1).then(|| step.into());
            }
            Domain::Choice { choices } => written.choices = Some(choices),
        }
        written
    }
}

fn int(low: &Number, high: &Number, log: bool, step: Option<&Number>) -> Result<Domain, String> {
    let whole = |number: &Number| {
        let exact = || number.as_f64().filter(|value| value.fract() == 0.0 && value.abs() < 1e15);
        number
            .as_i64()
            .or_else(|| exact().map(|value| value as i64))
            .ok_or_else(|| format!("{number} is not a whole number within reach: write it without a fraction"))
    };
    Ok(Domain::Int { low: whole(low)?, high: whole(high)?, log, step: step.map_or(Ok(1), whole)? })
}

fn float(number: &Number) -> Result<f64, String> {
    number.as_f64().ok_or_else(|| format!("{number} is not a number within reach"))
}
