//! A rule as `lepton.toml` and a rules file have it: one flat table, so that an error can name its key.

use crate::Severity;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// `[check]`: what the rows must keep. A run stops before it prepares data that break a rule.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CheckSettings {
    /// A file with more rules.
    pub file: Option<PathBuf>,
    /// The rules.
    pub rules: Vec<RuleSettings>,
}

/// A file of rules.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RulesFile {
    /// The rules.
    pub rules: Vec<RuleSettings>,
}

/// One rule. Which keys it may have depends on its kind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleSettings {
    /// What kind of rule.
    pub rule: RuleKind,
    /// The column.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
    /// Of `unique`: several columns, whose values together are there once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub columns: Option<Vec<String>>,
    /// Of `between` and `row_count`: the least that is allowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<Bound>,
    /// Of `between` and `row_count`: the most that is allowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<Bound>,
    /// Of `in_set`: the values that are allowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub values: Option<Vec<Scalar>>,
    /// Of `matches`: a regular expression in the syntax of Rust's `regex`, which is found somewhere in the value; `^`
    /// and `$` are its ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
    /// Of `type`: what every value is.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub value_type: Option<ValueType>,
    /// Of `fresh_within`: how old the newest date may be: a number with `s`, `m`, `h`, `d` or `w` behind it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within: Option<String>,
    /// Of `sql`: a query over the table `data`, whose rows are those that break the rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// The share of the checked values that must keep the rule, above 0 and up to 1; 1 where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_least: Option<f64>,
    /// How much it matters when the rule is broken; only `error`, which is the default, fails a check.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<Severity>,
}

/// Kinds of rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RuleKind {
    /// Every row has a value.
    NotNull,
    /// No value, or combination of values, is there twice. Rows that lack one are left aside.
    Unique,
    /// Numbers, or ISO dates, from `min` to `max`, both allowed.
    Between,
    /// One of these values.
    InSet,
    /// A regular expression is found in the value.
    Matches,
    /// A number, a date, ...
    Type,
    /// The table has from `min` to `max` rows.
    RowCount,
    /// The newest date that is not in the future is at most this old.
    FreshWithin,
    /// A query finds no row.
    Sql,
}

impl RuleKind {
    /// The name in TOML and JSON.
    pub fn name(self) -> &'static str {
        match self {
            RuleKind::NotNull => "not_null",
            RuleKind::Unique => "unique",
            RuleKind::Between => "between",
            RuleKind::InSet => "in_set",
            RuleKind::Matches => "matches",
            RuleKind::Type => "type",
            RuleKind::RowCount => "row_count",
            RuleKind::FreshWithin => "fresh_within",
            RuleKind::Sql => "sql",
        }
    }
}

/// An end of a range.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged, expecting = "expected a number, or an ISO date in quotes")]
pub enum Bound {
    /// A number.
    Number(f64),
    /// A date, for example `"2020-01-31"`.
    Date(String),
}

/// A value of a set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged, expecting = "expected a text, a number, true or false")]
pub enum Scalar {
    /// Yes or no.
    Boolean(bool),
    /// A number.
    Number(f64),
    /// A text.
    Text(String),
}

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ValueType {
    /// A finite number.
    Number,
    /// A whole number.
    Integer,
    /// `true` or `false`.
    Boolean,
    /// An ISO 8601 date, perhaps with a time.
    Date,
    /// A text that is no number.
    Text,
}

impl ValueType {
    /// The name in TOML.
    pub fn name(self) -> &'static str {
        match self {
            ValueType::Number => "number",
            ValueType::Integer => "integer",
            ValueType::Boolean => "boolean",
            ValueType::Date => "date",
            ValueType::Text => "text",
        }
    }
}
