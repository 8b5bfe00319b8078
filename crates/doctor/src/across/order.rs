//! Columns of times that ascend (or descend) but for a few rows: the fewest rows are told of without which the others
//! are in order, found by a longest ascending run through the column (Fredman, "On computing the length of longest
//! increasing subsequences", 1975).

use super::rows::range_of;
use crate::checks::counted_with;
use crate::finding::{Evidence, Finding, FindingKind, Severity};
use crate::profile::{ColumnProfile, Meaning, Profile, SemanticType};
use lepton_core::thousands;
use lepton_recipe::written::{DateOrder, day_parts, parse_number};

/// Fewer different times tell nothing.
const LEAST_TIMES: u64 = 20;

/// Rows of which more than this share are out of order are in none.
const MOST_SHARE: f64 = 0.05;

/// Rows that are listed.
const LISTED: usize = 10_000;

pub(super) fn check(profile: &Profile, findings: &mut Vec<Finding>) {
    for (place, column) in profile.columns.iter().enumerate() {
        if column.distinct < LEAST_TIMES || !is_time(column) {
            continue;
        }
        let day_first = column.meaning(Meaning::Date(DateOrder::DayMonthYear)) > 0;
        let times: Vec<(u64, f64)> = (0u64..)
            .zip(profile.beginning.cells(place))
            .filter_map(|(row, cell)| Some((row, time(cell.present()?, day_first)?)))
            .collect();
        let ascending = out_of_order(times.iter().copied());
        let descending = out_of_order(times.iter().map(|(row, time)| (*row, -time)));
        let (rows, way) =
            if ascending.len() <= descending.len() { (ascending, "ascend") } else { (descending, "descend") };
        if rows.is_empty() || rows.len() as f64 > MOST_SHARE * times.len() as f64 {
            continue;
        }
        let count = rows.len() as u64;
        findings.push(Finding {
            kind: FindingKind::TimeOrder,
            column: Some(column.name.clone()),
            count,
            severity: Severity::Warning,
            message: format!(
                "{} out of order: the times of the other {} rows {way}{}",
                counted_with(count, "row", ["is", "are"]),
                thousands(times.len() as u64 - count),
                range_of(profile, profile.beginning.rows())
            ),
            evidence: Evidence { rows: rows.iter().take(LISTED).map(|row| row + 1).collect(), ..Evidence::default() },
            repair: None,
        });
    }
}

/// Dates, and numbers that are called times and are not just a part of one.
fn is_time(column: &ColumnProfile) -> bool {
    let is_named = || {
        let name = column.name.to_lowercase();
        let mut words = name.split(|letter: char| !letter.is_alphanumeric());
        words.any(|word| ["time", "timestamp", "datetime", "date", "epoch", "ts", "unixtime"].contains(&word))
            && column.distribution.min().is_some_and(|least| least >= 1e7)
    };
    match column.semantic() {
        SemanticType::Date => true,
        SemanticType::Number | SemanticType::Integer => is_named(),
        _ => false,
    }
}

/// A number that orders times; of a date, seconds in years of 372 days.
fn time(text: &str, day_first: bool) -> Option<f64> {
    let text = text.trim();
    let Some(parts) = day_parts(text) else { return parse_number(text.as_bytes()) };
    let swap = parts.order == DateOrder::DayOrMonthFirst && !day_first;
    let (month, day) = if swap { (parts.day, parts.month) } else { (parts.month, parts.day) };
    let days = f64::from(parts.year) * 372.0 + f64::from(month) * 31.0 + f64::from(day);
    let clock = parts.time.unwrap_or("");
    let mut seconds = 0.0;
    // The zone behind a time is left aside: a column has one.
    let clock = clock.split(['+', 'Z', 'z', '-']).next().unwrap_or("");
    for (part, unit) in clock.split(':').zip([3_600.0, 60.0, 1.0]) {
        let number: String = part.chars().take_while(|letter| letter.is_ascii_digit() || *letter == '.').collect();
        seconds += unit * number.parse::<f64>().unwrap_or(0.0);
    }
    Some(days * 86_400.0 + seconds)
}

/// The fewest rows without which the numbers do not descend anywhere.
fn out_of_order(times: impl Iterator<Item = (u64, f64)>) -> Vec<u64> {
    let times: Vec<(u64, f64)> = times.collect();
    // For each length, the place at which the least end of a run of that length stands; for each place, the one before.
    let (mut ends, mut before): (Vec<usize>, Vec<Option<usize>>) = (Vec::new(), Vec::with_capacity(times.len()));
    for (place, (_, time)) in times.iter().enumerate() {
        let length = ends.partition_point(|end| times[*end].1 <= *time);
        before.push(length.checked_sub(1).map(|last| ends[last]));
        if length == ends.len() {
            ends.push(place);
        } else {
            ends[length] = place;
        }
    }
    let mut stays = vec![false; times.len()];
    let mut next = ends.last().copied();
    while let Some(place) = next {
        stays[place] = true;
        next = before[place];
    }
    times.iter().zip(stays).filter(|(_, stays)| !stays).map(|((row, _), _)| *row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(times: &[f64]) -> Vec<u64> {
        out_of_order((0..).zip(times.iter().copied()))
    }

    #[test]
    fn the_fewest_rows_are_out_of_order() {
        assert_eq!(rows(&[1.0, 2.0, 2.0, 3.0]), [] as [u64; 0]);
        assert_eq!(rows(&[1.0, 9.0, 2.0, 3.0, 4.0]), [1], "one that is too late makes no other too early");
        assert_eq!(rows(&[5.0, 6.0, 1.0, 7.0, 8.0]), [2]);
        assert_eq!(rows(&[3.0, 2.0, 1.0]).len(), 2);
    }

    #[test]
    fn times_are_ordered_as_they_pass() {
        let mut last = f64::MIN;
        for text in ["2019-12-31T23:59:59", "2020-01-01", "2020-01-01 00:10", "2020-01-31 10:00:00.5", "2020-02-01"] {
            let now = time(text, true).unwrap();
            assert!(now > last, "{text}");
            last = now;
        }
        assert!(time("03/04/2020", true) > time("03/04/2020", false), "April or March");
        assert!(time("Jan 5 2020 13:00", true) > time("Jan 5 2020 11:00", true));
        assert_eq!(time("1600000000", true), Some(1.6e9));
    }
}
