//! Functions that SQLite lacks (`median`, `quantile`, `stddev`, `variance`, `regexp`), and `avg`, `sum` and `total`
//! that refuse a text, which SQLite's own take for zero.

use rusqlite::functions::{Aggregate, Context, FunctionFlags, WindowAggregate};
use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, Error, Result};

/// Adds them all.
pub(super) fn add(connection: &Connection) -> Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    for (name, of) in [("avg", Of::Mean), ("sum", Of::Sum), ("total", Of::Total)] {
        connection.create_window_function(name, 1, flags, Sums { name, of })?;
    }
    for (name, of) in [("variance", Of::Variance), ("stddev", Of::Deviation)] {
        connection.create_aggregate_function(name, 1, flags, Spread { name, of })?;
    }
    connection.create_aggregate_function("median", 1, flags, Quantile { name: "median" })?;
    connection.create_aggregate_function("quantile", 2, flags, Quantile { name: "quantile" })?;
    // `text REGEXP pattern` calls regexp(pattern, text).
    connection.create_scalar_function("regexp", 2, flags, |context| {
        let pattern = context.get_or_create_aux(0, |value| {
            let pattern = value.as_str().map_err(|_| refused("regexp", "its pattern is no text"))?;
            regex::Regex::new(pattern)
                .map_err(|_| refused("regexp", &format!("\"{pattern}\" is no regular expression")))
        })?;
        Ok(match context.get_raw(1) {
            ValueRef::Null => None,
            ValueRef::Text(text) => Some(pattern.is_match(&String::from_utf8_lossy(text))),
            ValueRef::Integer(value) => Some(pattern.is_match(&value.to_string())),
            ValueRef::Real(value) => Some(pattern.is_match(&crate::scan::number_text(value))),
            ValueRef::Blob(_) => return Err(refused("regexp", "its text is bytes")),
        })
    })
}

/// What is made of numbers.
#[derive(Clone, Copy, PartialEq)]
enum Of {
    Mean,
    Sum,
    Total,
    Variance,
    Deviation,
}

fn refused(name: &str, why: &str) -> Error {
    Error::UserFunctionError(format!("{name}(): {why}").into())
}

/// The number of an argument; none where it is missing.
fn number(context: &Context<'_>, name: &str) -> Result<Option<Value>> {
    match context.get_raw(0) {
        ValueRef::Null => Ok(None),
        ValueRef::Integer(value) => Ok(Some(Value::Integer(value))),
        ValueRef::Real(value) => Ok(Some(Value::Real(value))),
        ValueRef::Text(text) => {
            let text: String = String::from_utf8_lossy(text).chars().take(40).collect();
            Err(refused(name, &format!("\"{text}\" is a text and no number")))
        }
        ValueRef::Blob(_) => Err(refused(name, "bytes are no number")),
    }
}

fn float(value: &Value) -> f64 {
    match value {
        Value::Integer(value) => *value as f64,
        Value::Real(value) => *value,
        _ => 0.0,
    }
}

struct Sums {
    name: &'static str,
    of: Of,
}

/// A sum with the error of its roundings beside it (Neumaier 1974), and a whole sum as long as all are whole.
#[derive(Clone, Copy, Default)]
struct Sum {
    count: u64,
    reals: u64,
    whole: i128,
    sum: f64,
    lost: f64,
}

impl Sum {
    fn add(&mut self, value: f64) {
        let sum = self.sum + value;
        self.lost += if self.sum.abs() >= value.abs() { (self.sum - sum) + value } else { (value - sum) + self.sum };
        self.sum = sum;
    }

    /// What overflowed has no error to speak of.
    fn float(&self) -> f64 {
        let sum = self.sum + self.lost;
        if sum.is_nan() { self.sum } else { sum }
    }

    fn value(&self, name: &str, of: Of) -> Result<Value> {
        match of {
            Of::Total => Ok(Value::Real(self.float())),
            _ if self.count == 0 => Ok(Value::Null),
            Of::Mean => Ok(Value::Real(self.float() / self.count as f64)),
            _ if self.reals == 0 => match i64::try_from(self.whole) {
                Ok(whole) => Ok(Value::Integer(whole)),
                Err(_) => Err(refused(name, "the sum does not fit into 64 bits; total() gives it as a float")),
            },
            _ => Ok(Value::Real(self.float())),
        }
    }
}

impl Aggregate<Sum, Value> for Sums {
    fn init(&self, _: &mut Context<'_>) -> Result<Sum> {
        Ok(Sum::default())
    }

    fn step(&self, context: &mut Context<'_>, sum: &mut Sum) -> Result<()> {
        if let Some(value) = number(context, self.name)? {
            sum.count += 1;
            sum.reals += u64::from(matches!(value, Value::Real(_)));
            if let Value::Integer(whole) = value {
                sum.whole += i128::from(whole);
            }
            sum.add(float(&value));
        }
        Ok(())
    }

    fn finalize(&self, _: &mut Context<'_>, sum: Option<Sum>) -> Result<Value> {
        sum.unwrap_or_default().value(self.name, self.of)
    }
}

impl WindowAggregate<Sum, Value> for Sums {
    fn value(&self, sum: Option<&mut Sum>) -> Result<Value> {
        sum.map_or(Sum::default(), |sum| *sum).value(self.name, self.of)
    }

    fn inverse(&self, context: &mut Context<'_>, sum: &mut Sum) -> Result<()> {
        if let Some(value) = number(context, self.name)? {
            sum.count -= 1;
            sum.reals -= u64::from(matches!(value, Value::Real(_)));
            if let Value::Integer(whole) = value {
                sum.whole -= i128::from(whole);
            }
            sum.add(-float(&value));
        }
        Ok(())
    }
}

struct Spread {
    name: &'static str,
    of: Of,
}

/// Welford 1962: mean and sum of squared deviations, one value after the other.
#[derive(Clone, Copy, Default)]
struct Moments {
    count: f64,
    mean: f64,
    squares: f64,
}

impl Aggregate<Moments, Option<f64>> for Spread {
    fn init(&self, _: &mut Context<'_>) -> Result<Moments> {
        Ok(Moments::default())
    }

    fn step(&self, context: &mut Context<'_>, moments: &mut Moments) -> Result<()> {
        if let Some(value) = number(context, self.name)? {
            let value = float(&value);
            moments.count += 1.0;
            let away = value - moments.mean;
            moments.mean += away / moments.count;
            moments.squares += away * (value - moments.mean);
        }
        Ok(())
    }

    /// Of a sample: divided by one less than the count, so nothing for fewer than two values.
    fn finalize(&self, _: &mut Context<'_>, moments: Option<Moments>) -> Result<Option<f64>> {
        let variance = moments.filter(|moments| moments.count > 1.0).map(|one| one.squares / (one.count - 1.0));
        Ok(if self.of == Of::Deviation { variance.map(f64::sqrt) } else { variance })
    }
}

struct Quantile {
    name: &'static str,
}

impl Aggregate<(f64, Vec<f64>), Option<f64>> for Quantile {
    fn init(&self, context: &mut Context<'_>) -> Result<(f64, Vec<f64>)> {
        if context.len() == 1 {
            return Ok((0.5, Vec::new()));
        }
        let share = match context.get_raw(1) {
            ValueRef::Integer(value) => value as f64,
            ValueRef::Real(value) => value,
            _ => f64::NAN,
        };
        if (0.0..=1.0).contains(&share) {
            Ok((share, Vec::new()))
        } else {
            Err(refused(self.name, "the share is a number from 0 to 1"))
        }
    }

    fn step(&self, context: &mut Context<'_>, (_, values): &mut (f64, Vec<f64>)) -> Result<()> {
        values.extend(number(context, self.name)?.map(|value| float(&value)));
        Ok(())
    }

    /// Between two values it is interpolated: type 7 of Hyndman and Fan 1996, as NumPy and DuckDB's `quantile_cont`.
    fn finalize(&self, _: &mut Context<'_>, kept: Option<(f64, Vec<f64>)>) -> Result<Option<f64>> {
        let Some((share, mut values)) = kept.filter(|(_, values)| !values.is_empty()) else { return Ok(None) };
        values.sort_unstable_by(f64::total_cmp);
        let place = share * (values.len() - 1) as f64;
        let (low, high) = (values[place.floor() as usize], values[place.ceil() as usize]);
        Ok(Some(low + (high - low) * place.fract()))
    }
}
