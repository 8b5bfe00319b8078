//! Quantities as people read them: times, sizes and metric values. One place, so that a page never
//! shows the same number in two ways.

use lepton_core::{Metric, thousands};

/// Between a number and its unit, so that the two never part at a line's end.
const NO_BREAK: char = '\u{a0}';

/// Wall time: `45.0 µs`, `123 ms`, `12.3 s`, `4 min 05 s`, `1 h 02 min`.
pub(super) fn seconds(value: f64) -> String {
    if !value.is_finite() || value < 0.0 {
        return "unknown".to_owned();
    }
    let whole = value.round() as u64;
    match value {
        0.0 => format!("0{NO_BREAK}s"),
        v if v < 0.000_999_5 => format!("{}{NO_BREAK}µs", three_digits(v * 1e6)),
        v if v < 0.999_5 => format!("{}{NO_BREAK}ms", three_digits(v * 1e3)),
        v if v < 59.95 => format!("{}{NO_BREAK}s", three_digits(v)),
        _ if whole < 3600 => format!("{}{NO_BREAK}min {:02}{NO_BREAK}s", whole / 60, whole % 60),
        _ => format!("{}{NO_BREAK}h {:02}{NO_BREAK}min", whole / 3600, whole % 3600 / 60),
    }
}

/// A size in decimal units: `512 bytes`, `2.77 MB`.
pub(super) fn bytes(value: u64) -> String {
    let number = value as f64;
    for (scale, unit) in [(1e9, "GB"), (1e6, "MB"), (1e3, "kB")] {
        if number >= scale {
            return format!("{}{NO_BREAK}{unit}", three_digits(number / scale));
        }
    }
    format!("{value}{NO_BREAK}bytes")
}

/// A share of one as a percentage with two decimals.
pub(super) fn share(value: f64) -> String {
    format!("{:.2}{NO_BREAK}%", value * 100.0)
}

/// A metric by its name: shares as percentages, others with four decimals.
pub(super) fn metric(name: &str, value: f64) -> String {
    if !value.is_finite() {
        return "not a number".to_owned();
    }
    let is_share = Metric::ALL.into_iter().any(|metric| metric.name() == name && metric.is_share());
    if is_share { share(value) } else { format!("{value:.4}") }
}

/// A metric's or a finding's name as words: `log_loss` becomes `log loss`.
pub(super) fn words(name: &str) -> String {
    match name {
        "r2" => "R²".to_owned(),
        "rmse" | "mae" => name.to_uppercase(),
        "roc_auc" => "ROC AUC".to_owned(),
        other => other.replace('_', " ").replace(" f1", " F1"),
    }
}

/// `1 row`, `2 rows`.
pub(super) fn counted(value: u64, noun: &str) -> String {
    format!("{}{NO_BREAK}{noun}{}", thousands(value), if value == 1 { "" } else { "s" })
}

/// The change from `before` to `after` as a factor: `2.6× smaller`. `None` when either is not above zero.
pub(super) fn change(before: f64, after: f64, less: &str, more: &str) -> Option<String> {
    if !(before > 0.0 && after > 0.0) {
        return None;
    }
    let (factor, word) = if after <= before { (before / after, less) } else { (after / before, more) };
    Some(if factor < 1.005 { "the same".to_owned() } else { format!("{factor:.2}× {word}") })
}

fn three_digits(value: f64) -> String {
    match value {
        v if v >= 99.95 => format!("{v:.0}"),
        v if v >= 9.995 => format!("{v:.1}"),
        v => format!("{v:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_read_as_people_write_them() {
        let plain = |text: String| text.replace(NO_BREAK, " ");
        for (value, text) in [
            (0.0, "0 s"),
            (0.000_045, "45.0 µs"),
            (0.123, "123 ms"),
            (0.9999, "1.00 s"),
            (12.34, "12.3 s"),
            (59.96, "1 min 00 s"),
            (245.2, "4 min 05 s"),
            (3725.0, "1 h 02 min"),
            (f64::NAN, "unknown"),
        ] {
            assert_eq!(plain(seconds(value)), text);
        }
        assert_eq!(plain(bytes(999)), "999 bytes");
        assert_eq!(plain(bytes(2_774_000)), "2.77 MB");
        assert_eq!(plain(metric("accuracy", 0.98712)), "98.71 %");
        assert_eq!(metric("log_loss", 0.041_23), "0.0412");
        assert_eq!(change(8.0, 2.0, "smaller", "larger").as_deref(), Some("4.00× smaller"));
        assert_eq!(change(2.0, 8.0, "faster", "slower").as_deref(), Some("4.00× slower"));
        assert_eq!(change(0.0, 1.0, "faster", "slower"), None);
    }
}
