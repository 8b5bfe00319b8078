//! Rules that a table keeps today, proposed from its profile as a commented file for a person to edit. Every one of
//! them passes on the table that it was made from.

use crate::profile::{ColumnProfile, Profile, SemanticType};
use lepton_core::thousands;
use std::fmt::Write as _;

/// Values that a proposed set has, at most.
const MOST_VALUES: usize = 20;

/// Rows below which nothing is said about values: a few rows keep many rules by chance.
const FEW_ROWS: u64 = 10;

/// A rules file. `what` is the table's name, for the comment at the top.
pub fn suggest(profile: &Profile, what: &str) -> String {
    let mut text = String::new();
    let what = what.replace(['\n', '\r'], " ");
    // Writing to a String cannot fail.
    let _ = writeln!(
        text,
        "# Rules that {what} keeps today (sha256 {}). Read them as a first draft: remove what is chance,\n\
         # widen what is too narrow, then: lepton data check FILE --rules THIS_FILE\n\
         # Every rule takes `at_least = 0.99` (a share of the values) and `severity = \"warning\"` (reported, not failed).\n",
        profile.source.sha256.short()
    );
    rule(
        &mut text,
        &format!("{} rows today; half of them would be a surprise.", thousands(profile.rows)),
        "row_count",
        None,
        &[("min", (profile.rows / 2).max(1).min(profile.rows).to_string())],
    );
    if profile.duplicates.count == 0 && profile.rows >= FEW_ROWS && profile.columns.len() > 1 {
        let complete: Vec<toml::Value> = profile
            .columns
            .iter()
            .filter(|column| column.missing.count == 0)
            .map(|column| toml::Value::String(column.name.clone()))
            .collect();
        if complete.len() == profile.columns.len() && complete.len() <= MOST_VALUES {
            let columns = toml::Value::Array(complete).to_string();
            rule(&mut text, "No row is there twice.", "unique", None, &[("columns", columns)]);
        }
    }
    for column in &profile.columns {
        of_column(&mut text, profile, column);
    }
    text
}

fn of_column(text: &mut String, profile: &Profile, column: &ColumnProfile) {
    let name = Some(column.name.as_str());
    let present = profile.rows - column.missing.count.min(profile.rows);
    if present == 0 {
        return;
    }
    if column.missing.count == 0 {
        rule(text, "Every row has a value.", "not_null", name, &[]);
    } else {
        let share = (present as f64 / profile.rows as f64 * 100.0).floor() / 100.0;
        if share > 0.0 {
            let about = format!("{} of {} rows have a value.", thousands(present), thousands(profile.rows));
            rule(text, &about, "not_null", name, &[("at_least", share.to_string())]);
        }
    }
    if profile.rows < FEW_ROWS {
        return;
    }
    let semantic = column.semantic();
    let is_whole = semantic == SemanticType::Integer;
    // A number that names something is written once; a measure with fractions is so by chance.
    if column.distinct_is_exact && column.distinct == present && (is_whole || semantic == SemanticType::Id) {
        rule(text, "No value is there twice.", "unique", name, &[]);
    }
    let all_numbers = column.numbers.count == present;
    if all_numbers && column.texts.count == 0 {
        let (kind, about) = match is_whole {
            true => ("integer", "All values are whole numbers."),
            false => ("number", "All values are numbers."),
        };
        rule(text, about, "type", name, &[("type", quoted(kind))]);
        let ends = (column.distribution.quantile(0.0), column.distribution.quantile(1.0));
        if let (Some(low), Some(high)) = ends
            && column.distinct != present
        {
            rule(
                text,
                "The least and the largest value.",
                "between",
                name,
                &[("min", number(low)), ("max", number(high))],
            );
        }
    } else if column.texts.count == present {
        of_texts(text, column, present, semantic);
    }
}

fn of_texts(text: &mut String, column: &ColumnProfile, present: u64, semantic: SemanticType) {
    let name = Some(column.name.as_str());
    let is_iso =
        column.values_are_exact && column.values.iter().all(|value| lepton_data::parse_moment(&value.value).is_some());
    if semantic == SemanticType::Date && is_iso {
        rule(text, "All values are ISO dates.", "type", name, &[("type", quoted("date"))]);
        return;
    }
    let whole = column.values_are_exact && column.values.iter().all(|value| value.value.len() < 200);
    if whole && column.values.len() <= MOST_VALUES && column.values.len() as u64 * 2 <= present {
        let values = column.values.iter().map(|value| toml::Value::String(value.value.clone())).collect();
        rule(text, "There are no others.", "in_set", name, &[("values", toml::Value::Array(values).to_string())]);
        return;
    }
    if let [only] = column.shapes.as_slice()
        && only.count == present
        && only.shape.contains(|letter: char| letter != 'a')
        && let Some(pattern) = pattern(&only.shape)
    {
        rule(text, "All values have one form.", "matches", name, &[("pattern", quoted(&pattern))]);
    }
}

/// The regular expression of a shape; none for a long text, whose shape is not known.
fn pattern(shape: &str) -> Option<String> {
    if shape == "(long)" {
        return None;
    }
    let mut pattern = String::from("^");
    for letter in shape.chars() {
        match letter {
            '9' => pattern.push_str(r"\p{N}"),
            'a' => pattern.push_str(r"\p{Alphabetic}+"),
            ' ' => pattern.push_str(r"\s"),
            other => pattern.push_str(&regex::escape(&other.to_string())),
        }
    }
    pattern.push('$');
    Some(pattern)
}

fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

/// A float that TOML reads back as the same number.
fn number(value: f64) -> String {
    if value.fract() == 0.0 && value.abs() < 1e15 {
        format!("{value:.0}")
    } else {
        toml::Value::Float(value).to_string()
    }
}

fn rule(text: &mut String, about: &str, kind: &str, column: Option<&str>, keys: &[(&str, String)]) {
    let _ = write!(text, "[[rules]] # {about}\nrule = \"{kind}\"\n");
    if let Some(column) = column {
        let _ = writeln!(text, "column = {}", quoted(column));
    }
    for (key, value) in keys {
        let _ = writeln!(text, "{key} = {value}");
    }
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::pattern;

    #[test]
    fn a_shape_becomes_the_pattern_of_all_that_have_it() {
        let found = pattern("a-9999 (a.9)").unwrap();
        assert!(regex::Regex::new(&found).unwrap().is_match("Ünal-2020 (b.7)"), "{found}");
        assert!(!regex::Regex::new(&found).unwrap().is_match("Ünal-202 (b.7)"), "{found}");
        assert_eq!(pattern("(long)"), None);
    }
}
