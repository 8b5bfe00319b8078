//! Points in time as text: ISO 8601 days, perhaps with a time and a zone as in RFC 3339, to seconds since 1970 and
//! back. Other orders of day, month and year are not guessed here; `lepton data repair` rewrites them.

/// Seconds since 1970-01-01T00:00:00Z of a text such as `2021-03-04`, `2021-03-04 10:20` or
/// `2021-03-04T10:20:30.5+02:00`. Without a zone it counts as UTC.
pub fn parse_moment(text: &str) -> Option<f64> {
    let text = text.trim();
    let (day, time) = match text.split_once(['T', ' ']) {
        Some((day, time)) => (day, Some(time.trim())),
        None => (text, None),
    };
    let mut parts = day.split('-');
    let (year, month, day) = (digits(parts.next()?, 4)?, digits(parts.next()?, 2)?, digits(parts.next()?, 2)?);
    if parts.next().is_some() || !(1..=days_of(year, month)).contains(&day) {
        return None;
    }
    let seconds = time.map_or(Some(0.0), seconds_of_day)?;
    Some(days_since_1970(year, month, day) as f64 * 86_400.0 + seconds)
}

/// RFC 3339 in UTC, to the second: `2026-11-23T00:00:00Z`.
pub fn moment_text(seconds: f64) -> String {
    let whole = seconds.floor() as i64;
    let (days, rest) = (whole.div_euclid(86_400), whole.rem_euclid(86_400));
    // Howard Hinnant's `civil_from_days`.
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_index = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_index + 2) / 5 + 1;
    let month = if month_index < 10 { month_index + 3 } else { month_index - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", rest / 3_600, rest / 60 % 60, rest % 60)
}

fn digits(text: &str, count: usize) -> Option<i64> {
    (text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok())?
}

fn days_of(year: i64, month: i64) -> i64 {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => 0,
    }
}

/// Howard Hinnant's `days_from_civil`.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// `10:20`, `10:20:30`, `10:20:30.5`, with `Z` or an offset behind it, as seconds since midnight UTC.
fn seconds_of_day(text: &str) -> Option<f64> {
    let (clock, offset) = match text.strip_suffix(['Z', 'z']) {
        Some(clock) => (clock, 0.0),
        None => match text.rfind(['+', '-']) {
            Some(at) => (&text[..at], zone(&text[at..])?),
            None => (text, 0.0),
        },
    };
    let parts: Vec<&str> = clock.trim().split(':').collect();
    let (hour, minute) = (digits(parts.first()?, 2)?, digits(parts.get(1)?, 2)?);
    let second = match parts.get(2) {
        Some(second) => {
            let (whole, fraction) = second.split_once('.').unwrap_or((second, "0"));
            let fraction = digits(fraction, fraction.len()).filter(|_| !fraction.is_empty() && fraction.len() < 16)?;
            digits(whole, 2)? as f64 + fraction as f64 / 10f64.powi(second.len() as i32 - 3).max(10.0)
        }
        None => 0.0,
    };
    let good = parts.len() <= 3 && hour < 24 && minute < 60 && second < 61.0;
    good.then(|| (hour * 3_600 + minute * 60) as f64 + second - offset)
}

/// `+02:00`, `-0530` or `+02` in seconds.
fn zone(text: &str) -> Option<f64> {
    let (sign, rest) =
        if let Some(rest) = text.strip_prefix('-') { (-1.0, rest) } else { (1.0, text.strip_prefix('+')?) };
    let plain = rest.replace(':', "");
    let (hours, minutes) = match plain.len() {
        2 => (digits(&plain, 2)?, 0),
        4 => (digits(plain.get(..2)?, 2)?, digits(plain.get(2..)?, 2)?),
        _ => return None,
    };
    (hours < 24 && minutes < 60).then(|| sign * (hours * 3_600 + minutes * 60) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn moments_match_known_instants() {
        for (text, seconds) in [
            ("1970-01-01", 0.0),
            ("2000-02-29T12:34:56Z", 951_827_696.0),
            ("2026-11-23", 1_795_392_000.0),
            ("2000-02-29 12:34:56.5", 951_827_696.5),
            ("2000-02-29T12:34:56.25Z", 951_827_696.25),
            ("2000-02-29T14:34:56+02:00", 951_827_696.0),
            ("2000-02-29T07:04:56-0530", 951_827_696.0),
            ("1969-12-31T23:59", -60.0),
        ] {
            assert_eq!(parse_moment(text), Some(seconds), "{text}");
        }
        for text in ["2021-02-29", "2021-13-01", "03/04/2021", "2021-3-4", "2021-03-04T25:00", "2021-03-04T", "7", ""] {
            assert_eq!(parse_moment(text), None, "{text}");
        }
        assert_eq!(moment_text(951_827_696.0), "2000-02-29T12:34:56Z");
        assert_eq!(moment_text(-60.0), "1969-12-31T23:59:00Z");
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(seconds in -60_000_000_000i64..200_000_000_000) {
            prop_assert_eq!(parse_moment(&moment_text(seconds as f64)), Some(seconds as f64));
        }
    }
}
