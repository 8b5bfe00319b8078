//! A rule that was understood: every key belongs to its kind and makes sense. A wrong rule is an error with its key
//! before any row is read.

use super::settings::{Bound, RuleKind, RuleSettings, Scalar, ValueType};
use crate::Severity;
use lepton_core::{Error, ErrorCode, Result};
use lepton_data::{moment_text, parse_moment};
use regex::Regex;
use std::collections::HashSet;

/// Values of a set that a rule shows.
const SHOWN: usize = 6;

/// A rule that was understood.
#[derive(Clone, Debug)]
pub struct Rule {
    /// What kind it is.
    pub kind: RuleKind,
    /// The columns that it is about; none for `row_count`.
    pub columns: Vec<String>,
    /// The share of the checked values that must keep it.
    pub at_least: f64,
    /// How much it matters.
    pub severity: Severity,
    /// What is expected, in words.
    pub expected: String,
    pub(super) test: Test,
}

/// What a rule looks at.
#[derive(Clone, Debug)]
pub(super) enum Test {
    NotNull,
    Unique,
    Numbers { min: f64, max: f64 },
    Dates { min: f64, max: f64 },
    InSet { texts: HashSet<String>, numbers: HashSet<u64> },
    Matches(Regex),
    Type(ValueType),
    RowCount { min: u64, max: u64 },
    FreshWithin { seconds: f64 },
    Sql(String),
}

impl Rule {
    /// Understands rules. `key` is where they stand, for errors: `check.rules` or `rules`.
    ///
    /// # Errors
    /// [`ErrorCode::Config`] with the key of what is missing, out of range or foreign to the rule's kind.
    pub fn all(settings: &[RuleSettings], key: &str) -> Result<Vec<Rule>> {
        settings.iter().enumerate().map(|(place, rule)| Rule::of(rule, &format!("{key}[{place}]"))).collect()
    }

    /// Whether the answer may depend on the clock, or on chance.
    pub fn needs_clock(&self) -> bool {
        match &self.test {
            Test::FreshWithin { .. } => true,
            Test::Sql(query) => {
                let query = query.to_lowercase();
                ["now", "current_", "date", "time", "julianday", "random"].iter().any(|word| query.contains(word))
            }
            _ => false,
        }
    }

    fn of(settings: &RuleSettings, key: &str) -> Result<Rule> {
        let kind = settings.rule;
        let wrong =
            |name: &str, message: String| Error::new(ErrorCode::Config, message).at_key(format!("{key}.{name}"));
        let given = [
            ("column", settings.column.is_some()),
            ("columns", settings.columns.is_some()),
            ("min", settings.min.is_some()),
            ("max", settings.max.is_some()),
            ("values", settings.values.is_some()),
            ("pattern", settings.pattern.is_some()),
            ("type", settings.value_type.is_some()),
            ("within", settings.within.is_some()),
            ("query", settings.query.is_some()),
            ("at_least", settings.at_least.is_some()),
        ];
        let allowed: &[&str] = match kind {
            RuleKind::NotNull => &["column", "at_least"],
            RuleKind::Unique => &["column", "columns", "at_least"],
            RuleKind::Between => &["column", "min", "max", "at_least"],
            RuleKind::InSet => &["column", "values", "at_least"],
            RuleKind::Matches => &["column", "pattern", "at_least"],
            RuleKind::Type => &["column", "type", "at_least"],
            RuleKind::RowCount => &["min", "max"],
            RuleKind::FreshWithin => &["column", "within"],
            RuleKind::Sql => &["query"],
        };
        if let Some((name, _)) = given.iter().find(|(name, given)| *given && !allowed.contains(name)) {
            let message = format!("a rule \"{}\" has no \"{name}\"", kind.name());
            return Err(wrong(name, message).fix(format!("it may have: {}", allowed.join(", "))));
        }
        let needed = |name: &str| wrong(name, format!("a rule \"{}\" needs \"{name}\"", kind.name()));
        let columns = match (&settings.column, &settings.columns) {
            (None, None) if matches!(kind, RuleKind::RowCount | RuleKind::Sql) => Vec::new(),
            (None, None) => return Err(needed("column")),
            (Some(column), None) => vec![column.clone()],
            (None, Some(columns)) if !columns.is_empty() => columns.clone(),
            (None, Some(_)) => return Err(wrong("columns", "no column is named".to_owned())),
            (Some(_), Some(_)) => return Err(wrong("columns", "`column` and `columns` are both set".to_owned())),
        };
        let at_least = settings.at_least.unwrap_or(1.0);
        if !(at_least > 0.0 && at_least <= 1.0) {
            return Err(wrong("at_least", format!("{at_least} is not above 0 and up to 1")));
        }
        let (test, expected) = match kind {
            RuleKind::NotNull => (Test::NotNull, "a value in every row".to_owned()),
            RuleKind::Unique => (Test::Unique, "no value twice".to_owned()),
            RuleKind::Between => between(settings, &wrong)?,
            RuleKind::InSet => in_set(settings.values.as_deref().ok_or_else(|| needed("values"))?, &wrong)?,
            RuleKind::Matches => {
                let pattern = settings.pattern.as_deref().ok_or_else(|| needed("pattern"))?;
                let regex = Regex::new(pattern).map_err(|source| {
                    let reason = source.to_string();
                    let line = reason.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("unreadable");
                    let reason = line.trim_start_matches("error: ").to_owned();
                    wrong("pattern", format!("\"{pattern}\" is no regular expression: {reason}"))
                })?;
                (Test::Matches(regex), format!("matches {pattern}"))
            }
            RuleKind::Type => {
                let value_type = settings.value_type.ok_or_else(|| needed("type"))?;
                (Test::Type(value_type), format!("type {}", value_type.name()))
            }
            RuleKind::RowCount => row_count(settings, &wrong)?,
            RuleKind::FreshWithin => {
                let within = settings.within.as_deref().ok_or_else(|| needed("within"))?;
                let seconds = duration(within).ok_or_else(|| {
                    wrong("within", format!("\"{within}\" is no length of time"))
                        .fix("write a number with s, m, h, d or w behind it, for example \"36h\" or \"7d\"")
                })?;
                (Test::FreshWithin { seconds }, format!("newest date within {within}"))
            }
            RuleKind::Sql => {
                let query = settings.query.as_deref().ok_or_else(|| needed("query"))?;
                (Test::Sql(query.to_owned()), format!("no row from: {}", shortened(query)))
            }
        };
        let expected = if at_least < 1.0 { format!("{expected}, for at least {at_least}") } else { expected };
        Ok(Rule { kind, columns, at_least, severity: settings.severity.unwrap_or(Severity::Error), expected, test })
    }
}

/// A query on one line, its beginning.
fn shortened(query: &str) -> String {
    const LONGEST: usize = 100;
    let line = query.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= LONGEST {
        return line;
    }
    format!("{}...", line.chars().take(LONGEST).collect::<String>())
}

type Wrong<'a> = dyn Fn(&str, String) -> Error + 'a;

fn between(settings: &RuleSettings, wrong: &Wrong<'_>) -> Result<(Test, String)> {
    let date = |name: &str, text: &str| {
        parse_moment(text).ok_or_else(|| {
            wrong(name, format!("\"{text}\" is neither a number nor an ISO date"))
                .fix("write a number without quotes, or a date as \"2020-01-31\"")
        })
    };
    let (min, max, are_dates) = match (&settings.min, &settings.max) {
        (None, None) => return Err(wrong("min", "a rule \"between\" needs \"min\", \"max\" or both".to_owned())),
        (Some(Bound::Date(min)), Some(Bound::Date(max))) => (date("min", min)?, date("max", max)?, true),
        (Some(Bound::Date(min)), None) => (date("min", min)?, f64::INFINITY, true),
        (None, Some(Bound::Date(max))) => (f64::NEG_INFINITY, date("max", max)?, true),
        (Some(Bound::Number(min)), Some(Bound::Number(max))) => (*min, *max, false),
        (Some(Bound::Number(min)), None) => (*min, f64::INFINITY, false),
        (None, Some(Bound::Number(max))) => (f64::NEG_INFINITY, *max, false),
        _ => return Err(wrong("max", "`min` and `max` are not both numbers or both dates".to_owned())),
    };
    if min.is_nan() || max.is_nan() || min > max {
        return Err(wrong("max", "`max` is below `min`, so nothing could be between them".to_owned()));
    }
    let text = |value: f64| if are_dates { moment_text(value).replace("T00:00:00Z", "") } else { value.to_string() };
    let expected = match (min.is_finite(), max.is_finite()) {
        (true, true) => format!("from {} to {}", text(min), text(max)),
        (true, false) => format!("at least {}", text(min)),
        _ => format!("at most {}", text(max)),
    };
    Ok((if are_dates { Test::Dates { min, max } } else { Test::Numbers { min, max } }, expected))
}

fn in_set(values: &[Scalar], wrong: &Wrong<'_>) -> Result<(Test, String)> {
    if values.is_empty() {
        return Err(wrong("values", "no value is allowed, so every row would fail".to_owned()));
    }
    let (mut texts, mut numbers, mut shown) = (HashSet::new(), HashSet::new(), Vec::new());
    for value in values {
        let text = match value {
            Scalar::Text(text) => text.clone(),
            Scalar::Boolean(value) => value.to_string(),
            Scalar::Number(value) if value.is_finite() => {
                numbers.insert((value + 0.0).to_bits());
                shown.push(value.to_string());
                continue;
            }
            Scalar::Number(value) => return Err(wrong("values", format!("{value} is not a finite number"))),
        };
        shown.push(text.clone());
        texts.insert(text);
    }
    let more = if shown.len() > SHOWN { format!(", ... ({} values)", shown.len()) } else { String::new() };
    shown.truncate(SHOWN);
    Ok((Test::InSet { texts, numbers }, format!("one of {}{more}", shown.join(", "))))
}

fn row_count(settings: &RuleSettings, wrong: &Wrong<'_>) -> Result<(Test, String)> {
    let count = |name: &str, bound: &Option<Bound>, open: u64| match bound {
        None => Ok(open),
        Some(Bound::Number(value)) if *value >= 0.0 && value.fract() == 0.0 && *value < 9e15 => Ok(*value as u64),
        Some(_) => Err(wrong(name, "a number of rows is a whole number of at least 0".to_owned())),
    };
    let (min, max) = (count("min", &settings.min, 0)?, count("max", &settings.max, u64::MAX)?);
    if settings.min.is_none() && settings.max.is_none() {
        return Err(wrong("min", "a rule \"row_count\" needs \"min\", \"max\" or both".to_owned()));
    }
    if min > max {
        return Err(wrong("max", "`max` is below `min`, so no table could keep the rule".to_owned()));
    }
    let expected = match (settings.min.is_some(), settings.max.is_some()) {
        (true, true) => format!("from {min} to {max} rows"),
        (true, false) => format!("at least {min} rows"),
        _ => format!("at most {max} rows"),
    };
    Ok((Test::RowCount { min, max }, expected))
}

/// `36h` in seconds.
fn duration(text: &str) -> Option<f64> {
    let text = text.trim();
    let unit = match text.chars().last()? {
        's' => 1.0,
        'm' => 60.0,
        'h' => 3_600.0,
        'd' => 86_400.0,
        'w' => 604_800.0,
        _ => return None,
    };
    let number: f64 = text[..text.len() - 1].trim().parse().ok()?;
    (number.is_finite() && number > 0.0).then_some(number * unit)
}
