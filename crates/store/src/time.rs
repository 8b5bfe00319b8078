//! Instants as text: RFC 3339 for rows, a sortable form for run ids. UTC only; no time zones here.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// Where a store takes the current time from.
pub type Clock = Arc<dyn Fn() -> SystemTime + Send + Sync>;

/// `2026-11-23T13:14:15.042Z`.
pub(crate) fn rfc3339(instant: SystemTime) -> String {
    let (year, month, day, hour, minute, second, millis) = civil(instant);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
}

/// `20261123-131415`.
pub(crate) fn compact(instant: SystemTime) -> String {
    let (year, month, day, hour, minute, second, _) = civil(instant);
    format!("{year:04}{month:02}{day:02}-{hour:02}{minute:02}{second:02}")
}

/// Year, month, day, hour, minute, second and millisecond in UTC, proleptic Gregorian. Instants outside the
/// years 0 to 9999 are clamped, so that a broken clock gives an odd date and not a panic.
fn civil(instant: SystemTime) -> (i64, i64, i64, i64, i64, i64, i64) {
    const MILLIS_PER_DAY: i64 = 86_400_000;
    let millis = match instant.duration_since(UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_millis()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_millis()).map_or(i64::MIN, |millis| -millis),
    };
    let millis = millis.clamp(-62_167_219_200_000, 253_402_300_799_999);
    let (mut days, rest) = (millis.div_euclid(MILLIS_PER_DAY), millis.rem_euclid(MILLIS_PER_DAY));
    // Walk by 400-year cycles, then years, then months: at most 400 + 12 steps, and nothing to look up.
    let leap = |year: i64| (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    let mut year = 1970 + 400 * days.div_euclid(146_097);
    days = days.rem_euclid(146_097);
    while days >= 365 + i64::from(leap(year)) {
        days -= 365 + i64::from(leap(year));
        year += 1;
    }
    let mut month = 1;
    for length in [31, 28 + i64::from(leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    (year, month, days + 1, rest / 3_600_000, rest / 60_000 % 60, rest / 1_000 % 60, rest % 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn known_instants_are_written_as_the_calendar_says() {
        // Values from GNU date, `date -u -d @SECONDS`.
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400, "2000-02-29T00:00:00.000Z"),
            (1_709_164_800, "2024-02-29T00:00:00.000Z"),
            (1_735_689_599, "2024-12-31T23:59:59.000Z"),
            (1_795_439_655, "2026-11-23T13:14:15.000Z"),
            (4_107_542_400, "2100-03-01T00:00:00.000Z"),
        ] {
            assert_eq!(rfc3339(UNIX_EPOCH + Duration::from_secs(seconds)), text);
        }
        assert_eq!(compact(UNIX_EPOCH + Duration::from_secs(1_795_439_655)), "20261123-131415");
        assert_eq!(rfc3339(UNIX_EPOCH - Duration::from_millis(1)), "1969-12-31T23:59:59.999Z");
    }
}
