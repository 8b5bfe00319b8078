//! Days and microseconds as the dates and times of ISO 8601. Years are those from 1 to 9999, as every reader of dates
//! expects them.

use lepton_core::{Error, ErrorCode, Result};

/// Microseconds of a day.
const DAY: i64 = 86_400_000_000;

/// Days from 1970-01-01 to 2000-01-01.
pub(super) const TO_2000: i64 = 10_957;

/// A day counted from 1970-01-01, as `2000-12-31`. The method is that of Howard Hinnant, "chrono-compatible low-level
/// date algorithms".
pub(super) fn date(days: i64) -> Result<String> {
    let error = || {
        Error::new(ErrorCode::BadData, "the date is not in the years from 1 to 9999")
            .fix("leave such rows out in the query, or make them NULL")
    };
    let shifted = days.checked_add(719_468).ok_or_else(error)?;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    if !(1..=9999).contains(&year) {
        return Err(error());
    }
    Ok(format!("{year:04}-{month:02}-{day:02}"))
}

/// Microseconds since midnight, as `03:04:05` or `03:04:05.000006`; 24:00:00 is a time of its own.
pub(super) fn time(microseconds: i64) -> String {
    let (seconds, fraction) = (microseconds / 1_000_000, microseconds % 1_000_000);
    let text = format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    if fraction == 0 { text } else { format!("{text}.{fraction:06}") }
}

/// Microseconds since 1970-01-01, as `2000-12-31T03:04:05`.
pub(super) fn timestamp(microseconds: i64) -> Result<String> {
    Ok(format!("{}T{}", date(microseconds.div_euclid(DAY))?, time(microseconds.rem_euclid(DAY))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_microseconds_become_dates() {
        for (days, text) in [
            (0, "1970-01-01"),
            (TO_2000, "2000-01-01"),
            (11_016, "2000-02-29"),
            (-1, "1969-12-31"),
            (-719_162, "0001-01-01"),
            (2_932_896, "9999-12-31"),
        ] {
            assert_eq!(date(days).unwrap(), text);
        }
        for days in [-719_163, 2_932_897, i64::MAX] {
            assert_eq!(date(days).unwrap_err().code(), ErrorCode::BadData);
        }
        assert_eq!(timestamp(-1).unwrap(), "1969-12-31T23:59:59.999999");
        assert_eq!(timestamp(946_684_800_000_000).unwrap(), "2000-01-01T00:00:00");
        assert_eq!((time(DAY).as_str(), time(1).as_str()), ("24:00:00", "00:00:00.000001"));
    }
}
